//! With a history, the upstream is told of every batch of this store that it may have taken last.

use super::*;
use crate::sync::{Answered, Failure, Upstream};
use crate::testing::Rig;

fn history() -> Options {
    options().with_history()
}

fn hub(address: &str) -> Upstream {
    Upstream::new(address, "onceward").unwrap()
}

fn lost() -> Failure {
    let (why, answered) = ("timeout".to_owned(), Answered::Nobody);
    Failure::Unavailable { why, retry_after_ms: None, answered }
}

#[test]
fn a_batch_that_was_sent_to_another_address_and_not_answered_is_named_as_its_own() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=2);
    let options = history().with_upstream(hub("https://10.0.0.1"));
    let mut session = Session::start(&store, options, payloads()).unwrap();
    let taken = batch(&mut session, 0);
    // The hub took it; its answer is lost, and the hub's address changes.
    session.on_failure(taken.id, &lost(), 0).unwrap();
    drop((session, store));
    let store = rig.open();
    let options = history().with_upstream(hub("https://hub.example"));
    let mut session = Session::start(&store, options, payloads()).unwrap();
    let next = batch(&mut session, 0);
    assert_ne!(next.idempotency_key, taken.idempotency_key, "control: it was formed anew");
    assert!(next.own.contains(&taken.idempotency_key), "{:?}", next.own);
}

#[test]
fn a_batch_whose_only_event_was_damaged_since_is_named_as_its_own() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=1);
    let mut session = Session::start(&store, history(), payloads()).unwrap();
    let taken = batch(&mut session, 0);
    drop((session, store));
    damage::flip(&rig, "k1{");
    let store = rig.open();
    capture(&store, 2..=2);
    let mut session = Session::start(&store, history(), payloads()).unwrap();
    let next = batch(&mut session, 0);
    assert_eq!(next.item_keys(), ["k2"]);
    assert!(next.own.contains(&taken.idempotency_key), "{:?}", next.own);
}

#[test]
fn what_is_remembered_does_not_grow_with_each_half_that_the_line_refuses() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=512);
    let options = history().with_items_max(512);
    let mut session = Session::start(&store, options, payloads()).unwrap();
    let (mut now_ms, mut halved) = (0, 0);
    let narrow = Failure::LineTooNarrow { why: "status 413".to_owned() };
    while halved < 100 {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => {
                halved += u64::from(batch.items().len() > 1);
                session.on_failure(batch.id, &narrow, now_ms).unwrap();
            }
            Step::Wait { until_ms } => now_ms = until_ms,
            step => panic!("{step:?}"),
        }
    }
    let mark = store.inner.upstreams().mark(history().route());
    assert!((1..=32).contains(&mark.replaced.len()), "{}", mark.replaced.len());
}
