//! Whatever a crash leaves, what was confirmed is there, and the log goes on.
//!
//! Method: scripts that follow from a seed run on a disk that keeps its state before each operation; for
//! each, many survivals of what was not synced: all prefixes, all or many subsets of its sectors, torn
//! bytes; on disks that leave old bytes, zeros, garbage or another file's in place of what was lost, and on
//! some that damage whole blocks. Each distinct state is opened, compared, appended to and read again. Some
//! of them are where another script goes on. `ONCEWARD_CRASH_STATES` is how many distinct states to check,
//! `ONCEWARD_CRASH_SEED` the first seed; a seed repeats its states.

#![expect(clippy::print_stdout, reason = "how many states were tried is part of the result")]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use onceward_vfs::{LostWrite, Medium, Overwrite, SimVfs, Survival};
use onceward_wal::Alignment;

use super::stops::{Stop, Stops};
use super::told::{Script, Step, Told};

use Step::{Append, Batch, Close, Defer, Kill, Mark, Trim};

/// Distinct states of a normal run.
const STATES: usize = 100_000;
/// Most survivals that are tried at one stop.
const SURVIVALS_MAX: usize = 56;

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn size(&mut self, least: u64, most: u64) -> usize {
        usize::try_from(least + self.below(most - least + 1)).unwrap()
    }
}

/// A script: mostly small appends, few that fill a segment.
fn script(random: &mut Random) -> Vec<Step> {
    let large = random.below(3) == 0;
    (0..random.size(6, 16))
        .map(|_| match random.below(24) {
            0..=4 => Append(random.size(1, 200)),
            5 | 6 => Append(random.size(1000, 6000)),
            7..=9 => Batch(&[30, 900, 1]),
            10 => Batch(&[10, 20, 2500, 300]),
            11..=13 => Defer(random.size(1, 900)),
            14 | 15 if large => Append(random.size(200_000, 248_000)),
            16 if large => Batch(&[100, 130_000, 7]),
            14..=16 => Append(random.size(400, 600)),
            17 | 18 => Mark,
            19 | 20 => Trim,
            21 | 22 => Kill,
            _ => Close,
        })
        .collect()
}

/// Segments that were filled before the script begins, so that it rolls, trims and recycles.
fn filled(random: &mut Random) -> Vec<Step> {
    match random.below(3) {
        0 => vec![],
        1 => vec![Append(247_000), Append(random.size(1, 100))],
        _ => vec![Append(240_000), Append(9000), Trim, Append(random.size(235_000, 247_000))],
    }
}

/// Ways in which what is not synced may survive.
fn survivals(disk: &SimVfs, random: &mut Random) -> Vec<Survival> {
    let mut all = vec![Survival::Nothing];
    let count = disk.unsynced_count();
    if count == 0 {
        return all;
    }
    all.push(Survival::Everything);
    all.extend((1..count.min(12)).map(Survival::Prefix));
    for sector_bytes in [512, 4096] {
        let pieces = disk.piece_count(sector_bytes);
        let mut keep = |kept| all.push(Survival::Pieces { kept, sector_bytes });
        if pieces <= 4 {
            (1..1 << pieces).for_each(keep);
        } else {
            // All but one, one alone, and some.
            (0..pieces.min(5)).for_each(|bit| keep(!(1 << bit)));
            (0..pieces.min(3)).for_each(|bit| keep(1 << bit));
            (0..6).for_each(|_| keep(random.next()));
        }
        all.push(Survival::Seeded { seed: random.next(), sector_bytes });
    }
    for (whole, size) in disk.unsynced_writes() {
        for bytes in [1, 3, 4, 29, 30, 31, 255, 4096, 4125, 4126, 4192, size - 1] {
            all.extend((bytes < size).then_some(Survival::Torn { whole, bytes }));
        }
        let torn = |bytes| Survival::Torn { whole, bytes };
        // No two alike: spread over the bytes, from a random one on.
        let size = size.min(12_000);
        let step = (size / 24).max(1);
        let first = random.below(step);
        all.extend((0..24).map(|i| first + i * step).take_while(|at| *at < size).map(torn));
    }
    // Not always the same ones where there are too many.
    while all.len() > SURVIVALS_MAX {
        let at = random.size(2, u64::try_from(all.len()).unwrap() - 1);
        all.swap_remove(at);
    }
    all
}

/// The search, shared by its threads.
struct Search {
    wanted: usize,
    distinct: AtomicUsize,
    tried: AtomicUsize,
    stops: AtomicUsize,
    next_seed: AtomicU64,
    seen: [Mutex<HashSet<u64>>; 16],
}

impl Search {
    fn new(wanted: usize, first_seed: u64) -> Self {
        Self {
            wanted,
            distinct: AtomicUsize::new(0),
            tried: AtomicUsize::new(0),
            stops: AtomicUsize::new(0),
            next_seed: AtomicU64::new(first_seed),
            seen: Default::default(),
        }
    }

    /// Whether nobody came across this state before.
    fn is_new(&self, disk: &SimVfs, told: &Told) -> bool {
        let mark = disk.fingerprint() ^ told.fingerprint().rotate_left(32);
        self.tried.fetch_add(1, Ordering::Relaxed);
        let shard = usize::try_from(mark % 16).unwrap();
        let is_new = self.seen[shard].lock().unwrap().insert(mark);
        self.distinct.fetch_add(usize::from(is_new), Ordering::Relaxed);
        is_new
    }

    fn is_done(&self) -> bool {
        self.distinct.load(Ordering::Relaxed) >= self.wanted
    }

    /// Checks the states of a stop; returns one of them to go on from.
    fn stop(&self, stop: &Stop, medium: Medium, random: &mut Random, context: &str) -> SimVfs {
        // The one exception that FORMAT.md names.
        let safe = stop.told.reopening;
        let overwrite = if safe { Overwrite::Safe } else { medium.overwrite };
        // What is not there takes long to make where much is lost.
        let unsynced: u64 = stop.disk.unsynced_writes().iter().map(|(_, bytes)| bytes).sum();
        let rare = unsynced > 16 * 1024 && random.below(8) > 0;
        let lost = if rare { LostWrite::OldBytes } else { medium.lost };
        stop.disk.set_medium(Medium { lost, overwrite, ..medium });
        self.stops.fetch_add(1, Ordering::Relaxed);
        let survivals = survivals(&stop.disk, random);
        let chosen = random.size(0, u64::try_from(survivals.len()).unwrap() - 1);
        let mut kept = None;
        for (i, survival) in survivals.iter().enumerate() {
            let disk = stop.disk.after_power_cut(survival);
            if i == chosen {
                kept = Some(disk.after_kill());
            }
            if self.is_new(&disk, &stop.told) {
                stop.told.check_quickly(&disk, &format!("{context}, {survival:?}"));
            }
        }
        let killed = stop.disk.after_kill();
        if self.is_new(&killed, &stop.told) {
            stop.told.check_quickly(&killed, &format!("{context}, killed"));
        }
        kept.unwrap_or(killed)
    }

    /// Runs a script from a state, checks every stop, and goes on from some.
    fn run(
        &self,
        begin: &Stop,
        (depth, medium): (u32, Medium),
        random: &mut Random,
        context: &str,
    ) {
        begin.disk.set_medium(medium);
        let (vfs, stops) = Stops::over(begin.disk.after_kill());
        let mut host = Script::after(vfs, begin.told.after_crash(), stops.journal());
        let steps = script(random);
        steps.iter().try_for_each(|step| host.step(step)).unwrap_or_else(|error| {
            panic!("{error}: {context}, {steps:?}");
        });
        drop(host);
        let list = stops.take();
        let again = random.size(0, u64::try_from(list.len()).unwrap() - 1);
        for (number, stop) in list.iter().enumerate() {
            if self.is_done() {
                return;
            }
            let context = format!("{context}, depth {depth}, stop {number}, {steps:?}");
            let state = self.stop(stop, medium, random, &context);
            if depth < 3 && number == again {
                let begin = Stop { disk: state, told: Arc::clone(&stop.told) };
                self.run(&begin, (depth + 1, medium), random, &context);
            }
        }
    }

    /// The scripts of a seed, on such a disk from when they begin.
    fn seed(&self, seed: u64, alignment: Alignment, medium: Medium) {
        let mut random = Random(seed);
        let disk = SimVfs::new();
        let mut before = Script::new(disk.clone());
        before.told.alignment = alignment;
        filled(&mut random).iter().for_each(|step| before.step(step).unwrap());
        let told = Arc::new(before.told.clone());
        drop(before);
        let context = format!("seed {seed}, {medium:?}");
        self.run(&Stop { disk, told }, (1, medium), &mut random, &context);
    }

    fn work(&self) {
        while !self.is_done() {
            let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
            let (alignment, medium) = disk_of(seed);
            self.seed(seed, alignment, medium);
        }
    }
}

/// What sort of disk a seed gets, and where commits end on it. Where a cut may damage the block around
/// a write, commits must have blocks of their own: otherwise nothing is promised (D7).
fn disk_of(seed: u64) -> (Alignment, Medium) {
    let own = seed.is_multiple_of(4);
    let lost = [LostWrite::OldBytes, LostWrite::Zeros, LostWrite::Garbage, LostWrite::Stale];
    let overwrite = [Overwrite::Safe, Overwrite::DamagesEveryBlock, Overwrite::DamagesSomeBlocks];
    let of = |count: usize, by: u64| usize::try_from(seed / 4 / by).unwrap() % count;
    let alignment = if own { Alignment::Block } else { Alignment::Frame };
    let overwrite = if own { overwrite[of(3, 1)] } else { Overwrite::Safe };
    let lost = lost[of(4, if own { 3 } else { 1 })];
    (alignment, Medium { lost, overwrite, seed, ..Medium::default() })
}

/// A number that may be set from outside.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn every_crash_state_keeps_what_was_confirmed_and_the_log_goes_on() {
    let wanted = setting("ONCEWARD_CRASH_STATES").map_or(STATES, |n| usize::try_from(n).unwrap());
    let seed = setting("ONCEWARD_CRASH_SEED").unwrap_or(1);
    let search = Search::new(wanted, seed);
    let threads = thread::available_parallelism().map_or(2, NonZeroUsize::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| search.work()))));
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{} distinct crash states, of {} tried at {} stops of scripts {seed} to {}",
        count(&search.distinct),
        count(&search.tried),
        count(&search.stops),
        search.next_seed.load(Ordering::Relaxed) - 1
    );
    assert!(search.is_done());
}

/// What the check says of one of the first seeds on a disk that keeps less than the log needs.
fn noticed(alignment: Alignment, medium: Medium) -> Option<String> {
    (1..40).find_map(|seed| {
        let search = Search::new(STATES, seed);
        let checked = catch_unwind(AssertUnwindSafe(|| search.seed(seed, alignment, medium)));
        checked.err().and_then(|panic| panic.downcast_ref::<String>().cloned())
    })
}

/// Control: a check that passes whatever the disk does would prove nothing.
#[test]
fn a_disk_whose_syncs_lie_fails_the_check() {
    let said = noticed(Alignment::Block, Medium { lying_syncs: true, ..Medium::default() });
    let said = said.expect("a loss was not noticed");
    assert!(said.contains("T15"), "{said}");
}

/// Control, D7: what a cut does to a shared block is noticed, so blocks of their own are what helps.
#[test]
fn commits_that_share_blocks_are_lost_where_a_cut_damages_the_whole_block() {
    let overwrite = Overwrite::DamagesEveryBlock;
    let said = noticed(Alignment::Frame, Medium { overwrite, ..Medium::default() });
    let said = said.expect("the loss of what was confirmed was not noticed");
    assert!(said.contains("was confirmed"), "{said}");
}
