//! Histories that once failed, or that show what a script of steps must reach.
//! Method: the steps of [`Host`] against its notes; at the end everything is checked after a kill and a cut.
//! Random histories of all areas are in `whole_model`.

use onceward_vfs::Survival;

use crate::testing::held::check;
use crate::testing::script::{Host, Step};
use crate::testing::upstream::Mood;
use crate::testing::{Rig, WINDOW_MS, key};

fn run(steps: &[Step]) -> Host {
    let mut host = Host::new(Rig::new());
    [3, 8].iter().for_each(|n| host.upstream.refuse(key(*n).as_str(), "CARD_NOT_FOUND"));
    for step in steps {
        host.step(step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
    host.store = None;
    check(&host, &host.rig.after_kill(), "killed at the end");
    check(&host, &host.rig.after_power_cut(&Survival::Nothing), "cut at the end");
    host
}

/// A script reaches what it is for: without that it proves nothing.
#[test]
fn a_script_with_a_cut_trims_and_settles() {
    let mut steps: Vec<Step> = vec![Step::Capture(vec![1, 2, 3], 100), Step::Apply(30)];
    for n in 0..6 {
        let numbers: Vec<u64> = (100 + 4 * n..104 + 4 * n).collect();
        steps.push(Step::Capture(numbers.clone(), 55_000));
        steps.push(Step::Settle(numbers));
    }
    steps.push(Step::Conflict(1));
    steps.push(Step::Cut(3, 9, Box::new(Step::Sync(Mood::LosesReply))));
    steps.push(Step::Sync(Mood::Well));
    steps.push(Step::Sync(Mood::Well));
    let host = run(&steps);
    let store = host.rig.after_kill().open();
    let segments = store.inner.log.segments();
    assert!(segments.last().unwrap().number > segments.len() as u64 + 1, "trimmed: {segments:?}");
    assert_eq!((store.status().in_review, store.status().settled), (1, 2 + 1 + 24));
}

/// An unsettled key moves to a later slice, is settled there, and a crash comes before the index's
/// files say so.
#[test]
fn a_key_that_moved_before_it_was_settled_survives_a_crash() {
    let large = |first: u64| (first..first + 4).collect::<Vec<u64>>();
    run(&[
        Step::Capture(vec![1], 100),
        Step::Capture(large(168), 55_000),
        Step::Capture(large(100), 55_000),
        Step::Settle(vec![1]),
        Step::Advance(WINDOW_MS + WINDOW_MS / 20),
        Step::Close,
        Step::Settle(large(168)),
        Step::Kill,
    ]);
}
