//! A store does what a host's simple notes say, whatever comes in which order.
//! Method: random operations, among them crashes within operations, against the notes of
//! [`Host`]; at the end everything is checked and delivered. A failure prints the operations, each
//! with its seed, shrunk; pasted into `replayed` they fail again.

use onceward_vfs::Survival;
use proptest::prelude::*;

use crate::trial::held::check;
use crate::trial::script::{Host, Step};
use crate::trial::upstream::Mood;
use crate::trial::{Rig, WINDOW_MS, key};

/// Events that a run is about: few, so that operations meet.
const EVENTS: u64 = 14;

fn number() -> impl Strategy<Value = u64> {
    1..=EVENTS
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![3 => Just(Mood::Well), 2 => Just(Mood::LosesReply), 1 => Just(Mood::Away)]
}

/// Steps that change the store.
fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        // An event's content follows from its number.
        6 => prop::collection::vec(number(), 1..5).prop_map(|n| Step::Capture(n, 100)),
        // Larger ones, of other numbers, so that segments roll and are trimmed.
        4 => (0..20_u64).prop_map(|n| {
            Step::Capture((100 + 4 * n..104 + 4 * n).collect(), 55_000)
        }),
        4 => (0..20_u64).prop_map(|n| Step::Settle((100 + 4 * n..104 + 4 * n).collect())),
        2 => (30..40_u64).prop_map(Step::Apply),
        6 => mood().prop_map(Step::Sync),
        2 => prop::collection::vec(number(), 1..4).prop_map(Step::Settle),
        2 => number().prop_map(Step::Reject),
        3 => number().prop_map(Step::Retry),
        2 => number().prop_map(Step::Resolve),
        2 => Just(Step::Tick),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => change(),
        2 => number().prop_map(Step::Conflict),
        2 => prop_oneof![1..100_000_u64, Just(WINDOW_MS / 2), Just(WINDOW_MS + WINDOW_MS / 20)]
            .prop_map(Step::Advance),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        5 => (0..12_u64, any::<u64>(), change())
            .prop_map(|(ops, seed, step)| Step::Cut(ops, seed, Box::new(step))),
    ]
}

fn run(steps: &[Step]) -> Host {
    let mut host = Host::new(Rig::new());
    host.upstream.refused = [3, 8].map(|n| key(n).to_string()).into();
    for step in steps {
        host.step(step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
    host.store = None;
    check(&host, &host.rig.after_kill(), "killed at the end");
    check(&host, &host.rig.after_power_cut(&Survival::Nothing), "cut at the end");
    host
}

fn config() -> ProptestConfig {
    // The operations that are printed are the whole seed.
    ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_store_does_what_the_notes_of_its_host_say(steps in prop::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}

/// The model reaches what it is for: without that it proves nothing.
#[test]
fn replayed_operations_trim_and_settle() {
    let mut steps: Vec<Step> = vec![Step::Capture(vec![1, 2, 3], 100), Step::Apply(30)];
    for n in 0..6 {
        let numbers: Vec<u64> = (100 + 4 * n..104 + 4 * n).collect();
        steps.push(Step::Capture(numbers.clone(), 55_000));
        steps.push(Step::Settle(numbers));
    }
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
