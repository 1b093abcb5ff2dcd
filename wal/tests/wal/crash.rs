//! A torn write, a crash in recovery, and a cut on a disk that ran full, lose nothing that was confirmed.
//! Method: run a script once to count the disk's operations, then again stopping at some of them;
//! for each, several survivals of what was not synced; for each, open, compare, append, open again.
//! `crash_states` has the wide search.

#![expect(clippy::print_stdout, reason = "how many states were tried is part of the result")]

use std::collections::HashSet;

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival};

use super::scenario::{look, open, shared};
use super::stops::Stops;
use super::told::{Script, Step, Told};

use Step::{Append, Batch, Close, Defer, Kill, Mark, Trim};

const SCRIPT: &[Step] = &[
    Append(20),
    Batch(&[40, 700, 5]),
    Defer(100),
    Append(240_000),
    Batch(&[60_000, 30]),
    Append(190_000),
    Trim,
    Close,
    Append(10),
    Batch(&[200_000, 10]),
    Kill,
    Defer(30),
    Append(100_000),
    Trim,
    Mark,
    Append(5),
    Trim,
    Kill,
    Close,
    Append(7),
    Close,
];

/// Runs the script until the power goes at `op`.
fn run_until(op: u64) -> (SimVfs, Told) {
    let disk = SimVfs::new();
    disk.cut_power_at(op);
    let mut script = Script::new(disk.clone());
    let ended = SCRIPT.iter().try_for_each(|step| script.step(step));
    assert!(ended.is_err(), "op {op} was reached");
    (disk, script.told)
}

/// The operations at which to cut, every `step`th.
fn cuts(step: usize) -> Vec<u64> {
    let disk = SimVfs::new();
    let mut script = Script::new(disk.clone());
    SCRIPT.iter().for_each(|step| script.step(step).unwrap());
    assert!(script.told.trimmed.len() >= 3, "control: {:?}", script.told.trimmed);
    assert!(script.told.acked.len() > 12, "control");
    let (examined, _) = look(&disk).unwrap().unwrap();
    assert!(examined.report().clean, "control");
    disk.changing_ops().into_iter().step_by(step).collect()
}

/// T14.
#[test]
fn a_crash_in_recovery_and_another_one_lose_nothing() {
    let mut states = 0;
    for op in cuts(7) {
        let (disk, told) = run_until(op);
        let survival = Survival::Seeded { seed: op, sector_bytes: 512 };
        let torn = disk.after_power_cut(&survival);
        let whole = torn.after_kill();
        open(&shared(&whole)).unwrap();
        for again in whole.changing_ops() {
            let cut = torn.after_kill();
            cut.cut_power_at(again);
            open(&shared(&cut)).unwrap_err();
            let sectors = Survival::Seeded { seed: again, sector_bytes: 512 };
            for survival in [Survival::Nothing, Survival::Everything, sectors] {
                let context = format!("op {op}, {survival:?}, recovery cut at {again}");
                told.check(&cut.after_power_cut(&survival), &context);
                states += 1;
            }
        }
    }
    println!("{states} crash states of recovery");
    assert!(states > 200, "{states}");
}

/// Where a write of so many bytes is torn: at every byte of small frames, of headers, and behind them.
fn cuts_of(size: u64) -> impl Iterator<Item = u64> {
    (0..size).filter(|at| *at < 300 || (4090..4420).contains(at) || at % 1021 == 0)
}

/// D3: of every kind of frame, of headers and of `meta`.
#[test]
fn a_write_that_is_torn_at_any_byte_is_whole_or_absent() {
    let script = [
        Append(20),
        Batch(&[3, 90, 1]),
        Mark,
        Append(246_000),
        Append(9_000),
        Kill,
        Append(10),
        Trim,
        Close,
        Append(30),
        Kill,
    ];
    let (vfs, stops) = Stops::over(SimVfs::new());
    let mut host = Script::after(vfs, Told::default(), stops.journal());
    script.iter().for_each(|step| host.step(step).unwrap());
    drop(host);
    let mut seen = HashSet::new();
    for (number, stop) in stops.take().iter().enumerate() {
        // What was written before it was torn at another stop.
        let Some((whole, size)) = stop.disk.unsynced_writes().last().copied() else { continue };
        for bytes in cuts_of(size) {
            let torn = stop.disk.after_power_cut(&Survival::Torn { whole, bytes });
            if seen.insert(torn.fingerprint() ^ stop.told.fingerprint()) {
                let context = format!("stop {number}, {bytes} of {size} bytes");
                stop.told.check_quickly(&torn, &context);
            }
        }
    }
    println!("{} states with a torn write", seen.len());
    assert!(seen.len() > 2000, "{}", seen.len());
}

/// A script that follows from a seed.
fn random_script(seed: u64) -> (Vec<Step>, u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |count: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % count
    };
    let steps = (0..12 + below(12)).map(|_| match below(16) {
        0..=3 => Append(usize::try_from(1 + below(200)).unwrap()),
        4..=6 => Append(usize::try_from(60_000 + below(180_000)).unwrap()),
        7 | 8 => Batch(&[30, 3000, 70_000, 1]),
        9 | 10 => Batch(&[10, 20]),
        11 | 12 => Defer(usize::try_from(1 + below(100_000)).unwrap()),
        13 => {
            if below(2) == 0 {
                Trim
            } else {
                Mark
            }
        }
        14 => Kill,
        _ => Close,
    });
    (steps.collect(), below(40))
}

#[test]
fn random_scripts_on_a_disk_that_runs_full_once_survive_a_random_cut() {
    let mut states = 0;
    for seed in 0..60 {
        let (steps, full_at) = random_script(seed);
        let run = |cut: Option<u64>| {
            let disk = SimVfs::new();
            let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
            let name_contains = "log/".to_owned();
            disk.plan(Fault { op, name_contains, nth: full_at, kind, forever: false });
            cut.into_iter().for_each(|op| disk.cut_power_at(op));
            let mut script = Script::new(disk.clone());
            let ended = steps.iter().try_for_each(|step| script.step(step));
            (disk, script.told, ended.is_ok())
        };
        let (whole, told, _) = run(None);
        told.check(&whole.after_kill(), &format!("seed {seed}, whole"));
        let ops = whole.changing_ops();
        let (disk, told, _) = run(Some(ops[usize::try_from(seed * 7).unwrap() % ops.len()]));
        for sector_bytes in [512, 4096] {
            let survival = Survival::Seeded { seed, sector_bytes };
            let found = disk.after_power_cut(&survival);
            told.check(&found, &format!("seed {seed}, {survival:?}"));
            states += 1;
        }
    }
    println!("{states} crash states of random scripts");
}
