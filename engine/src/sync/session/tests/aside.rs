//! A batch that fails on the way whenever it is sent holds up nobody, and none of its events is rejected.

use onceward_vfs::{Fault, FaultKind, FaultOp};

use super::*;
use crate::sync::{Answered, Failure};
use crate::testing::Rig;

/// A filter on the way that lets nothing through that has this event in it.
fn filtered(batch: &Batch, poison: &str) -> Option<Failure> {
    let has = batch.items().any(|item| item.key == poison);
    let (why, answered) = ("the answer is a web page".to_owned(), Answered::Stranger);
    has.then_some(Failure::Unavailable { why, retry_after_ms: None, answered })
}

/// Sends for so long, and captures one event a minute. Returns how many requests had the poison in them.
fn run(store: &Store, session: &mut Session, poison: &str, until_ms: u64) -> u64 {
    let (mut now_ms, mut next, mut tried) = (0, 1_000, 0);
    let mut upstream = ScriptedUpstream::default();
    while now_ms < until_ms {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => match filtered(&batch, poison) {
                Some(failure) => {
                    tried += 1;
                    session.on_failure(batch.id, &failure, now_ms).unwrap();
                }
                None => {
                    let reply = upstream.take(&batch, Mood::Well).unwrap();
                    session.on_reply(batch.id, &reply, now_ms).unwrap();
                }
            },
            Step::Wait { until_ms } => now_ms = until_ms.min(now_ms + 60_000),
            Step::Idle => now_ms += 60_000,
            step => panic!("{step:?}"),
        }
        if now_ms / 60_000 >= next - 1_000 {
            next += 1;
            capture(store, next..=next);
        }
    }
    tried
}

#[test]
fn an_event_that_never_gets_through_waits_alone_and_the_others_flow() {
    for poison in ["k1", "k7", "k12"] {
        let store = Rig::new().open();
        capture(&store, 1..=12);
        let mut session = start(&store);
        let tried = run(&store, &mut session, poison, 3_600_000);
        let waiting = pending(&store);
        assert!(waiting.contains(&poison.to_owned()) && waiting.len() <= 3, "{waiting:?}");
        assert!(store.status().settled >= 60, "{:?}", store.status());
        assert_eq!((store.status().in_review, session.report().rejected), (0, 0));
        assert!((10..80).contains(&tried), "{tried}");
    }
}

#[test]
fn a_line_that_is_down_forms_a_second_batch_and_no_third_and_halves_none() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = start(&store);
    let (mut now_ms, mut sent) = (0, std::collections::BTreeSet::new());
    while now_ms < 36_000_000 {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => {
                sent.insert(batch.idempotency_key);
                let (why, answered) = ("away".to_owned(), Answered::Nobody);
                let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
                session.on_failure(batch.id, &failure, now_ms).unwrap();
            }
            Step::Wait { until_ms } => now_ms = until_ms,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((sent.len(), store.status().in_flight), (2, 8));
    drain(&mut session, &mut ScriptedUpstream::default(), now_ms);
    assert_eq!(store.status().settled, 40);
}

#[test]
fn a_batch_on_which_the_upstream_works_for_ever_holds_up_nobody_and_stays_whole() {
    let store = Rig::new().open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let (mut now_ms, mut stuck) = (0, None);
    let mut upstream = ScriptedUpstream::default();
    for n in 5..=60 {
        capture(&store, n..=n);
        for _ in 0..4 {
            match session.next(now_ms).unwrap() {
                Step::Send(batch) if *stuck.get_or_insert(batch.id) == batch.id => {
                    let failure = Failure::InProgress { retry_after_ms: Some(1_000) };
                    session.on_failure(batch.id, &failure, now_ms).unwrap();
                }
                Step::Send(batch) => {
                    let reply = upstream.take(&batch, Mood::Well).unwrap();
                    session.on_reply(batch.id, &reply, now_ms).unwrap();
                }
                Step::Wait { until_ms } => now_ms = until_ms.min(now_ms + 10_000),
                step => {
                    assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                }
            }
        }
    }
    assert_eq!(&pending(&store)[..4], ["k1", "k2", "k3", "k4"]);
    assert!(store.status().settled > 40, "{:?}", store.status());
    assert_eq!(store.inner.events().open_batches(&sales()).len(), 1, "as it was");
}

#[test]
fn a_batch_that_cannot_be_halved_for_want_of_room_waits_as_it_is() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let (mut now_ms, mut failed) = (0, 0);
    let first = batch(&mut session, 0);
    let failure = filtered(&first, "k1").unwrap();
    session.on_failure(first.id, &failure, 0).unwrap();
    session.on_online();
    capture(&store, 5..=5);
    while failed < 6 {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) if batch.id == first.id => {
                failed += 1;
                let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
                let name_contains = ".seg".into();
                rig.disk.plan(Fault { op, name_contains, nth: 0, kind, forever: false });
                session.on_failure(batch.id, &failure, now_ms).unwrap();
                rig.disk.forget_faults();
            }
            Step::Send(other) => {
                session.on_reply(other.id, &reply(&[5], &accepted()), now_ms).unwrap();
            }
            Step::Wait { until_ms } => now_ms = until_ms,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((store.status().in_flight, store.status().settled), (4, 1));
}
