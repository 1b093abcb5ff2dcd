//! The normal run: histories until there are enough operations, their counts, and what they reached.

#![expect(clippy::print_stdout, reason = "seed and counts are part of the result")]

use std::fmt::Write as _;

use super::run::{Failed, history};
use super::words::Counts;
use crate::testing::draw::Draw;

/// Operations of the normal run.
const OPERATIONS: usize = 50_400;
/// Operations of a history: few, so that there are many beginnings.
const HISTORY: usize = 280;
/// The seed of the normal run.
const SEED: u64 = 1;
/// How often each thing must have happened at least: what never happens is not shown. Several names
/// that begin alike are counted together.
const LEAST: &[(&str, u64)] = &[
    ("answer: Accepted", 500),
    ("answer: Duplicate", 50),
    ("answer: Later", 50),
    ("answer: Rejected", 50),
    ("applied: Conflict", 20),
    ("applied: Duplicate", 50),
    ("applied: Fresh", 100),
    ("batch: misfits", 20),
    ("batch: poison found", 1),
    ("batch: one is suspected", 20),
    ("batch: split", 50),
    ("batch: what is left of one", 10),
    ("begun: Acquired", 500),
    ("begun: Cached", 200),
    ("begun: Conflict", 50),
    ("begun: InProgress", 50),
    ("begun: Unknown", 100),
    ("begun: full", 50),
    ("cancel: cancelled", 50),
    ("cancel: no event", 50),
    ("cancel: too late", 50),
    ("crash: kill", 100),
    ("crash: power", 800),
    ("crash: within opening", 100),
    ("crash within", 300),
    ("decided: ALREADY_DECIDED", 100),
    ("decided: NOT_IN_REVIEW", 50),
    ("decided: resolve", 50),
    ("decided: retry", 50),
    ("decision: applied", 50),
    ("delivery: dropped with its window", 20),
    ("delivery: forgotten", 50),
    ("doubt: nothing", 100),
    ("doubt: something", 100),
    ("doubt: told by the next batch", 1),
    ("event: dropped for another", 50),
    ("finished: ALREADY_FINISHED", 100),
    ("finished: acked", 100),
    ("finished: again", 50),
    ("finished: failed", 50),
    ("full: in doubt", 100),
    ("key: forgotten", 300),
    ("key: could be forgotten", 50),
    ("lease: COMPLETED_OTHERWISE", 50),
    ("lease: LEASE_LOST", 200),
    ("lease: completed", 200),
    ("lease: released", 50),
    ("lease: renewed", 50),
    ("op Close", 100),
    ("op Compare", 500),
    ("op FailSync", 50),
    ("op FillDisk", 50),
    ("op FreeDisk", 50),
    ("op Reboot", 100),
    ("op Reviews", 100),
    ("op StepWall", 100),
    ("op Tick", 500),
    ("received: dropped, full", 50),
    ("received: dropped, no window", 100),
    ("received: duplicate", 200),
    ("received: fresh", 300),
    ("record: forgotten", 50),
    ("refused: age", 20),
    ("refused: amount", 20),
    ("refused: bytes", 20),
    ("refused: count", 50),
    ("refused: sum", 20),
    ("segment: cleaned", 100),
    ("settled", 500),
    ("step: ALREADY_FINISHED", 100),
    ("step: STEP_INVALID", 50),
    ("step: done before", 20),
    ("step: noted", 100),
    ("step: resumed", 50),
    ("ticket: waited for", 30),
    ("time: confirmed", 200),
    ("upstream: Away", 30),
    ("upstream: Blocks", 30),
    ("upstream: Busy", 30),
    ("upstream: Garbled", 30),
    ("upstream: LosesReply", 30),
    ("upstream: Refuses", 30),
    ("upstream: StillAtIt", 30),
    ("upstream: TooLarge", 30),
    ("upstream: Well", 300),
    ("verdict: conflict", 200),
    ("verdict: duplicate, accepted", 200),
    ("verdict: duplicate, cancelled", 5),
    ("verdict: duplicate, duplicate", 30),
    ("verdict: duplicate, expired", 5),
    ("verdict: duplicate, in_flight", 30),
    ("verdict: duplicate, in_review", 100),
    ("verdict: duplicate, pending", 200),
    ("verdict: duplicate, rejected", 5),
    ("verdict: duplicate, uncertain", 20),
    ("verdict: fresh", 1_000),
    ("would be: conflict", 20),
    ("would be: duplicate", 100),
    ("would be: fresh", 100),
    ("would be: refused", 30),
];

/// A number that the environment gives.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The shortest beginning of a history that still fails, everything compared at its end.
fn shortest(seed: u64, failed: Failed) -> Failed {
    let mut shortest = failed;
    while let Some(fewer) = shortest.at.checked_sub(1)
        && let Some(failed) = history(seed, fewer).1
    {
        shortest = failed;
    }
    shortest
}

/// Tells of a history that failed.
fn tell(number: usize, seed: u64, failed: &Failed) -> String {
    let why: String = failed.why.chars().take(4_000).collect();
    let mut told = format!("history {number}, seed {seed}, operation {}: {why}\n", failed.at);
    for (at, op) in failed.ops.iter().enumerate().skip(failed.ops.len().saturating_sub(12)) {
        writeln!(told, "{at}: {op:?}").unwrap();
    }
    writeln!(told, "ONCEWARD_SEED={seed} ONCEWARD_OPERATIONS={} replays it", failed.at + 1)
        .unwrap();
    told
}

/// Seed and operations may be given: a failure tells with which it fails again.
#[test]
fn every_area_does_what_the_reference_says_over_crashes_and_clock_steps() {
    let mut seed = given("ONCEWARD_SEED").unwrap_or(SEED);
    let operations = given("ONCEWARD_OPERATIONS").and_then(|count| usize::try_from(count).ok());
    let mut left = operations.unwrap_or(OPERATIONS);
    println!("seed {seed}, {left} operations");
    let mut counts = Counts::default();
    for number in 0.. {
        let most = left.min(HISTORY);
        if most == 0 {
            break;
        }
        let (counted, failed) = history(seed, most);
        if let Some(failed) = failed {
            panic!("{}", tell(number, seed, &shortest(seed, failed)));
        }
        for (what, count) in counted.0 {
            *counts.0.entry(what).or_default() += count;
        }
        left -= most;
        seed = Draw(seed).next();
    }
    for (what, count) in &counts.0 {
        println!("{count:>8} {what}");
    }
    if operations.is_none_or(|operations| operations >= OPERATIONS) {
        for (what, least) in LEAST {
            let of_it = counts.0.iter().filter(|(name, _)| name.starts_with(what));
            let found: u64 = of_it.map(|(_, count)| count).sum();
            assert!(found >= *least, "{what}: {found}, not {least}");
        }
    }
}
