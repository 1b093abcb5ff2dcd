//! Whatever a crash leaves, what the host was told still holds, and the store goes on.
//! Method: run a script in chapters, each from a fresh opening; for each, count the disk's operations
//! and run it again stopping at each of them; for each, several survivals of what was not synced.

#![expect(clippy::print_stdout, reason = "how many states were tried is part of the result")]

use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::testing::ToySealing;

use crate::testing::held::check;
use crate::testing::script::{Host, Step, is_of_a_dead_disk};
use crate::testing::upstream::Mood;
use crate::testing::{HandClock, Rig};

use Step::{Advance, Apply, Capture, Close, Kill, Reject, Resolve, Retry, Settle, Sync, Tick};

fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

/// A chapter that fills about a segment and settles it.
fn volume(first: u64) -> Vec<Step> {
    vec![
        Capture(numbers(first..first + 4), 50_000),
        Settle(numbers(first..first + 4)),
        Capture(numbers(first + 4..first + 6), 20_000),
        Settle(numbers(first + 4..first + 6)),
    ]
}

/// What the host does. Every chapter begins by opening the store.
fn script() -> Vec<Vec<Step>> {
    vec![
        vec![
            Capture(vec![1], 10),
            Capture(vec![2, 3, 4], 700),
            Capture(vec![2, 5, 2], 700),
            Apply(6),
            Kill,
            Capture(vec![7], 10),
            Close,
        ],
        vec![
            Sync(Mood::LosesReply),
            Capture(vec![8, 9], 30),
            Sync(Mood::Well),
            Sync(Mood::Away),
            Kill,
            Sync(Mood::Well),
        ],
        vec![
            Capture(vec![10, 11, 12, 13], 30),
            Reject(10),
            Reject(11),
            Retry(10),
            Resolve(11),
            Reject(10),
            Settle(vec![12]),
            Close,
        ],
        vec![
            // Stays in flight over the following chapters.
            Capture(vec![14, 15], 40),
            Sync(Mood::Away),
            Capture(vec![16], 30_000),
            Reject(16),
        ],
        [volume(100), volume(110)].concat(),
        [volume(120), volume(130), vec![Advance(100_000)]].concat(),
        [volume(140), vec![Kill], volume(150)].concat(),
        [volume(160), volume(170), vec![Apply(17), Tick, Close]].concat(),
        [volume(180), vec![Sync(Mood::LosesReply)], volume(190), vec![Sync(Mood::Well)]].concat(),
        [volume(200), vec![Retry(16), Sync(Mood::Well), Tick, Close]].concat(),
    ]
}

/// Ways in which what is not synced may survive; the more of them the denser.
fn survivals(disk: &SimVfs, op: u64) -> Vec<Survival> {
    let count = disk.unsynced_count();
    let mut all = vec![Survival::Nothing];
    if count > 0 {
        let sector_bytes = if op.is_multiple_of(2) { 512 } else { 4096 };
        all.push(Survival::Seeded { seed: op, sector_bytes });
        match op % 3 {
            0 => all.push(Survival::Everything),
            1 => all.push(Survival::Prefix(count / 2)),
            _ => all.push(Survival::Torn { whole: count - 1, bytes: 30 + 251 * (op % 17) }),
        }
    }
    all
}

/// The host as it is before each chapter, and the operations of that chapter.
fn chapters(rig: Rig) -> Vec<(Host, Vec<Step>, Vec<u64>)> {
    let mut host = Host::new(rig);
    let mut found = Vec::new();
    for steps in script() {
        let before = host.moved_to(host.rig.after_kill());
        steps.iter().for_each(|step| host.step(step).unwrap());
        let ops = host.rig.disk.changing_ops();
        found.push((before, steps, ops));
        host = host.moved_to(host.rig.after_kill());
    }
    found
}

/// Cuts at every `of`th operation beginning with number `first`, and checks what is found.
fn cut_everywhere(rig: Rig, first: usize, of: usize) {
    let (mut states, mut ops) = (0, 0);
    for (chapter, (before, steps, cuts)) in chapters(rig).into_iter().enumerate() {
        for op in cuts.into_iter().skip(first).step_by(of) {
            let mut host = before.moved_to(before.rig.after_kill());
            host.rig.clock = HandClock::new();
            host.rig.disk.cut_power_at(op);
            let ended = steps.iter().try_for_each(|step| host.step(step));
            assert!(host.rig.disk.is_cut(), "the operation was reached");
            // A host does not hear of a checkpoint of the index that failed.
            if let Err(error) = ended {
                assert!(is_of_a_dead_disk(&error), "chapter {chapter}, op {op}: {error}");
            }
            host.store = None;
            ops += 1;
            for survival in survivals(&host.rig.disk, op) {
                let context = format!("chapter {chapter}, op {op}, {survival:?}");
                check(&host, &host.rig.after_power_cut(&survival), &context);
                states += 1;
            }
            if op % 8 == 0 {
                let context = format!("chapter {chapter}, op {op}, killed");
                check(&host, &host.rig.after_kill(), &context);
                states += 1;
            }
        }
    }
    println!("{states} crash states at {ops} operations (part {first} of {of})");
    assert!(states > 100 && ops > 30, "{states} states at {ops} operations");
}

#[test]
fn the_script_reaches_what_it_is_for() {
    let chapters = chapters(Rig::new());
    let (host, ..) = chapters.last().unwrap();
    let store = host.rig.after_kill().open();
    let segments = store.inner.log.segments();
    let trimmed = segments.last().unwrap().number - segments.len() as u64;
    assert!(trimmed > 3, "segments were trimmed: {segments:?}");
    assert_eq!(store.status().in_review, 2);
    assert!(store.status().settled > 50);
    let cuts: usize = chapters.iter().map(|(_, _, ops)| ops.len()).sum();
    println!("{cuts} operations");
    for (before, steps, _) in &chapters {
        let rig = Rig { clock: HandClock::new(), ..before.rig.after_kill() };
        check(before, &rig, &format!("before {steps:?}"));
    }
}

#[test]
fn every_crash_state_keeps_what_was_told_first_part() {
    cut_everywhere(Rig::new(), 0, 4);
}

#[test]
fn every_crash_state_keeps_what_was_told_second_part() {
    cut_everywhere(Rig::new(), 1, 4);
}

#[test]
fn every_crash_state_keeps_what_was_told_third_part() {
    cut_everywhere(Rig::new(), 2, 4);
}

#[test]
fn every_crash_state_keeps_what_was_told_fourth_part() {
    cut_everywhere(Rig::new(), 3, 4);
}

/// Cuts everywhere as above, with bodies sealed; no key seals two bodies under one nonce, whatever crashes.
fn cut_everywhere_sealed(first: usize) {
    let toy = Arc::new(ToySealing::default());
    cut_everywhere(Rig::new().sealed(&toy), first, 8);
    let (sealed, twice) = toy.sealings();
    assert!(sealed > 2_500 && toy.made() > 300, "control: {sealed} with {} keys", toy.made());
    assert_eq!(twice, []);
}

// Twice as long as the others, since each opening begins a segment: every fourth operation.

#[test]
fn every_crash_state_of_an_encrypted_store_keeps_what_was_told_first_part() {
    cut_everywhere_sealed(0);
}

#[test]
fn every_crash_state_of_an_encrypted_store_keeps_what_was_told_second_part() {
    cut_everywhere_sealed(4);
}
