//! `Effort::Once`: one attempt for each event, unless nothing comes of it several times in a row.

use super::*;
use crate::sync::{Answered, Failure};
use crate::testing::Rig;

#[test]
fn every_event_is_attempted_once_and_then_it_is_idle_for_ever() {
    let store = Rig::new().open();
    capture(&store, 1..=10);
    let mut session = start_once(&store);
    let mut seen = Vec::new();
    let mut now_ms = 0;
    while let Step::Send(sent) = session.next(now_ms).unwrap() {
        seen.extend(sent.item_keys());
        // Half fail for now, one is missing.
        let items = sent.items().skip(1).enumerate().map(|(i, item)| {
            let outcome = if i % 2 == 0 { transient(None) } else { accepted() };
            (item.key.to_owned(), outcome)
        });
        session.on_reply(sent.id, &Reply::of(items.collect()), now_ms).unwrap();
        now_ms += 10_000_000;
    }
    assert_eq!(seen, (1..=10).map(|n| key(n).to_string()).collect::<Vec<_>>());
    capture(&store, 11..=11);
    assert!(matches!(session.next(u64::MAX).unwrap(), Step::Idle), "it has ended");
    assert_eq!(session.report().attempted, 10);
}

#[test]
fn batches_that_an_earlier_session_left_are_attempted_once_too() {
    let store = Rig::new().open();
    capture(&store, 1..=6);
    let mut session = start(&store);
    let left = batch(&mut session, 0);
    drop(session);
    let mut session = start_once(&store);
    let mut seen = Vec::new();
    let mut now_ms = 0;
    while let Step::Send(sent) = session.next(now_ms).unwrap() {
        if seen.is_empty() {
            assert_eq!(sent.idempotency_key, left.idempotency_key);
        }
        seen.extend(sent.item_keys());
        let items = sent.items().map(|i| (i.key.to_owned(), transient(None)));
        session.on_reply(sent.id, &Reply::of(items.collect()), now_ms).unwrap();
        now_ms += 10_000_000;
    }
    assert_eq!(seen, ["k1", "k2", "k3", "k4", "k5", "k6"]);
    assert!(session.report().last_failure.unwrap().ends_with("for now: BUSY"), "the code is told");
}

#[test]
fn splitting_belongs_to_the_one_attempt() {
    let store = Rig::new().open();
    capture(&store, 1..=8);
    let mut upstream = ScriptedUpstream::default();
    upstream.refuse_batches_with("k2");
    let mut session = start_once(&store);
    drain(&mut session, &mut upstream, 0);
    assert_eq!((store.status().settled, store.status().in_review), (7, 1));
    assert!(matches!(session.next(u64::MAX).unwrap(), Step::Idle));
}

fn unavailable(retry_after_ms: Option<u64>) -> Failure {
    Failure::Unavailable { why: "down".to_owned(), retry_after_ms, answered: Answered::Nobody }
}

#[test]
fn one_batch_that_is_still_worked_on_does_not_take_their_attempt_from_the_others() {
    let failure = Failure::InProgress { retry_after_ms: Some(0) };
    let store = Rig::new().open();
    capture(&store, 1..=12);
    let mut session = start_once(&store);
    let first = batch(&mut session, 0);
    session.on_reply(first.id, &reply(&[1, 2, 3, 4], &accepted()), 0).unwrap();
    let second = batch(&mut session, 0);
    session.on_failure(second.id, &failure, 0).unwrap();
    let until_ms = wait(&mut session, 0);
    assert!(until_ms >= 1_000, "{until_ms}");
    let third = batch(&mut session, until_ms);
    assert_eq!(third.item_keys(), ["k9", "k10", "k11", "k12"]);
    session.on_reply(third.id, &reply(&[9, 10, 11, 12], &accepted()), until_ms).unwrap();
    for now_ms in [until_ms, 10_000_000_000] {
        assert!(matches!(session.next(now_ms).unwrap(), Step::Idle), "{failure:?}");
    }
    assert_eq!(pending(&store), ["k5", "k6", "k7", "k8"]);
    drop(session);
    let mut session = start_once(&store);
    let again = batch(&mut session, 0);
    assert_eq!((again.id, &again.items), (second.id, &second.items), "the next one goes on");
}

/// A filter on the way that lets no batch through that has this event in it.
fn filtered(batch: &Batch, poison: &str) -> Option<Failure> {
    let has = batch.items().any(|item| item.key == poison);
    let (why, answered) = ("a web page".to_owned(), Answered::Stranger);
    has.then_some(Failure::Unavailable { why, retry_after_ms: None, answered })
}

/// One run against that filter. Returns how many requests it took.
fn run_filtered(
    store: &Store,
    upstream: &mut ScriptedUpstream,
    poison: &str,
    items_max: usize,
) -> u64 {
    let options = options().with_items_max(items_max).with_effort(Effort::Once);
    let mut session = Session::start(store, options, payloads()).unwrap();
    let mut now_ms = 0;
    loop {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => match filtered(&batch, poison) {
                Some(failure) => session.on_failure(batch.id, &failure, now_ms).unwrap(),
                None => {
                    let reply = upstream.take(&batch, Mood::Well).unwrap();
                    session.on_reply(batch.id, &reply, now_ms).unwrap();
                }
            },
            Step::Wait { until_ms } => now_ms = until_ms,
            step => {
                assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                return session.report().batches;
            }
        }
    }
}

#[test]
fn a_batch_that_fails_on_the_way_is_halved_when_others_were_taken_and_one_event_is_left() {
    for poison in ["k1", "k90", "k200"] {
        let store = Rig::new().open();
        capture(&store, 1..=200);
        let requests = run_filtered(&store, &mut ScriptedUpstream::default(), poison, 64);
        assert_eq!(pending(&store), [poison], "it waits alone");
        assert!(requests <= 4 + 2 * 6, "{requests}");
        assert_eq!(store.status().in_review, 0);
    }
}

#[test]
fn a_batch_that_failed_for_the_whole_of_an_earlier_run_is_halved_in_the_next() {
    let store = Rig::new().open();
    capture(&store, 1..=64);
    let mut upstream = ScriptedUpstream::default();
    assert_eq!(run_filtered(&store, &mut upstream, "k3", 64), 1, "perhaps it is the line");
    let requests = run_filtered(&store, &mut upstream, "k3", 64);
    assert_eq!(pending(&store), ["k3"]);
    assert!(requests <= 1 + 2 * 6, "{requests}");
}

#[test]
fn a_line_that_is_down_halves_nothing_however_often_it_is_tried() {
    for answered in [Answered::Nobody, Answered::Stranger] {
        let store = Rig::new().open();
        capture(&store, 1..=64);
        for _ in 0..10 {
            let options = options().with_items_max(64).with_effort(Effort::Once);
            let mut session = Session::start(&store, options, payloads()).unwrap();
            let mut now_ms = 0;
            loop {
                match session.next(now_ms).unwrap() {
                    Step::Send(sent) => {
                        let why = "down".to_owned();
                        let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
                        session.on_failure(sent.id, &failure, now_ms).unwrap();
                    }
                    Step::Wait { until_ms } => now_ms = until_ms,
                    step => {
                        assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                        break;
                    }
                }
            }
        }
        // What a page on the way answers may be a filter's answer, once.
        let most = if answered == Answered::Stranger { 2 } else { 1 };
        assert_eq!(store.inner.events().open_batches(&sales()).len(), most);
    }
}

#[test]
fn nothing_is_waited_for_when_everything_was_attempted() {
    let store = Rig::new().open();
    capture(&store, 1..=3);
    let mut session = start_once(&store);
    let only = batch(&mut session, 0);
    session.on_failure(only.id, &unavailable(None), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert!(session.report().unreachable);
}

#[test]
fn a_third_request_in_a_row_that_brings_nothing_ends_it() {
    let busy = |batch: &Batch| {
        Reply::of(batch.items().map(|it| (it.key.to_owned(), transient(None))).collect())
    };
    for is_busy in [false, true] {
        let store = Rig::new().open();
        capture(&store, 1..=40);
        let mut session = start_once(&store);
        let mut now_ms = 0;
        for _ in 0..3 {
            let sent = batch(&mut session, now_ms);
            if is_busy {
                session.on_reply(sent.id, &busy(&sent), now_ms).unwrap();
            } else {
                session.on_failure(sent.id, &unavailable(None), now_ms).unwrap();
            }
            if let Step::Wait { until_ms } = session.next(now_ms).unwrap() {
                now_ms = until_ms;
            }
        }
        assert!(matches!(session.next(now_ms).unwrap(), Step::Idle));
        assert_eq!((pending(&store).len(), session.report().batches), (40, 3));
    }
}

#[test]
fn an_upstream_that_wants_to_be_left_alone_for_long_ends_it() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = start_once(&store);
    let sent = batch(&mut session, 0);
    session.on_failure(sent.id, &unavailable(Some(600_000)), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
}

#[test]
fn refused_credentials_end_it_as_blocked() {
    let store = Rig::new().open();
    capture(&store, 1..=2);
    let mut session = start_once(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &Failure::Blocked { why: "403".to_owned() }, 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Blocked));
    assert_eq!(pending(&store).len(), 2);
}

/// Each refusal alone would bring a fresh key; that is no reason to begin anew.
#[test]
fn fresh_keys_that_are_no_better_make_no_stream_of_requests() {
    let store = Rig::new().open();
    capture(&store, 1..=40);
    let mut session = start_once(&store);
    let mut now_ms = 0;
    let mut requests = 0;
    loop {
        match session.next(now_ms).unwrap() {
            Step::Send(sent) => {
                let why = "a page".to_owned();
                let answered = Answered::Stranger;
                let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
                session.on_failure(sent.id, &failure, now_ms).unwrap();
                requests += 1;
                assert!(requests < 10, "{requests} requests");
                session.on_new_key();
            }
            Step::Wait { until_ms } => now_ms = until_ms,
            step => {
                assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                break;
            }
        }
    }
    assert_eq!((requests, pending(&store).len()), (3, 40));
}
