//! Long histories are judged as a map judges them: many windows, full blocks, numbers used again, faults.
//! Method: seeded choices, with power cuts, restarts and frames in flight that end in any order.
//!
//! Beside short histories of few keys these have up to 3,000 keys and 40 windows, and 1,500 steps each.
//! `HISTORY_SEED` is the first seed (1), `HISTORY_COUNT` the number of seeds (3), `HISTORY_STEPS` the number
//! of steps (1,500); what fails is found again with its seed, which is printed.

mod dice;
mod history;

use onceward_index::{ErrorKind, Until};
use onceward_vfs::{Fault, FaultKind, FaultOp, Survival};

use history::{History, Tally};

/// The steps of a history, as it draws them.
impl History {
    fn checkpoint(&mut self) {
        let until = if self.dice.chance(50) { Until::Close } else { Until::Later };
        let mut cut = None;
        let mut troubled = true;
        match self.dice.below(10) {
            0 => cut = Some(self.dice.below(60)),
            1 | 2 => self.plan_a_fault(),
            3 => self.disk.set_free_bytes(Some(self.dice.below(60_000))),
            _ => troubled = false,
        }
        if let Some(nth) = cut {
            self.disk.cut_power_at(self.disk.op_count() + nth);
        }
        let mark = self.dice.below(3);
        let done = self.index.checkpoint(mark, until);
        self.disk.set_free_bytes(None);
        self.disk.forget_faults();
        if cut.is_some() {
            let survival = self.survival();
            let disk = self.disk.after_power_cut(&survival);
            self.restart(disk);
        } else if let Err(error) = done {
            assert!(troubled, "{error}");
            assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Io), "{error}");
            self.tally.failed_checkpoints += 1;
        } else {
            self.tally.checkpoints += 1;
        }
    }

    fn plan_a_fault(&mut self) {
        let (op, kind) = self.dice.one_of(&[
            (FaultOp::Write, FaultKind::Enospc),
            (FaultOp::Write, FaultKind::ShortWrite(100)),
            (FaultOp::SyncData, FaultKind::Eio),
            (FaultOp::SyncDir, FaultKind::Eio),
            (FaultOp::Rename, FaultKind::Eio),
            (FaultOp::Open, FaultKind::Enospc),
            (FaultOp::Remove, FaultKind::Eio),
            (FaultOp::Read, FaultKind::Eio),
        ]);
        let name_contains = self.dice.one_of(&["", "keys-", "table-", "manifest"]);
        let (nth, forever) = (self.dice.below(5), self.dice.chance(20));
        self.disk.plan(Fault { op, name_contains: name_contains.to_owned(), nth, kind, forever });
    }

    fn survival(&mut self) -> Survival {
        match self.dice.below(3) {
            0 => Survival::Nothing,
            _ => Survival::Seeded { seed: self.dice.next(), sector_bytes: 512 },
        }
    }

    fn step(&mut self) {
        let key = self.dice.below(self.keys);
        match self.dice.below(100) {
            0..40 => {
                let flies = self.dice.chance(15);
                self.capture(key, flies);
            }
            40..44 => {
                // Many at once: blocks fill.
                let count = self.dice.below(600);
                for n in 0..count {
                    self.capture((key + n) % self.keys, false);
                }
            }
            44..58 => {
                let flying: Vec<u64> = self.flying.keys().copied().collect();
                if !flying.is_empty() {
                    let lsn = self.dice.one_of(&flying);
                    if self.dice.chance(80) {
                        self.land(lsn);
                    } else {
                        self.fail_from(lsn);
                    }
                }
            }
            58..68 => self.settle(),
            68..74 => self.release(key),
            74..84 => self.now += self.dice.below(25_000),
            84..85 => self.now -= self.dice.below(30_000).min(self.now - 900_000),
            85..91 => self.expire(),
            91..98 => self.checkpoint(),
            98 => {
                let survival = self.survival();
                let disk = self.disk.after_power_cut(&survival);
                self.restart(disk);
            }
            _ => {
                let disk = self.disk.clone();
                self.restart(disk);
            }
        }
        for _ in 0..3 {
            let key = self.dice.below(self.keys);
            self.check(key);
        }
    }

    fn run(&mut self, steps: u64) {
        for step in 0..steps {
            self.step();
            if step % 64 == 0 {
                self.check_all();
            }
        }
        self.check_all();
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |it| it.parse().unwrap())
}

fn histories(carry_max: u64) {
    let (first, count) = (number("HISTORY_SEED", 1), number("HISTORY_COUNT", 3));
    let steps = number("HISTORY_STEPS", 1_500);
    let mut sum = Tally::default();
    for seed in first..first + count {
        println!("seed {seed}, {carry_max} keys may be carried");
        let mut history = History::new(seed, carry_max);
        history.run(steps);
        sum = sum.and(history.tally);
    }
    println!("{sum:?}");
    if count * steps >= 4_500 {
        assert!(sum.dropped > 0 && sum.restarts > 0, "{sum:?}");
        assert!(sum.checkpoints > 0 && sum.failed_checkpoints > 0, "{sum:?}");
        assert_eq!(sum.carried > 0, carry_max > 0, "{sum:?}");
    }
}

#[test]
fn long_histories_without_carrying_are_judged_as_a_map_judges_them() {
    histories(0);
}

#[test]
fn long_histories_with_carrying_are_judged_as_a_map_judges_them() {
    histories(1_000);
}
