//! How often an upstream is asked that takes nothing: every repetition passes through one backoff.

use super::*;
use crate::sync::{Answered, Failure};
use crate::testing::Rig;

/// Ten minutes.
const LONG_MS: u64 = 600_000;

/// What the upstream always says, and how many requests that makes in [`LONG_MS`], none of them within
/// a second of the one before.
fn requests(store: &Store, options: Options, say: impl Fn(&mut Session, &Batch, u64)) -> u64 {
    let mut session = Session::start(store, options, payloads()).unwrap();
    let (mut now_ms, mut count, mut last_ms) = (0, 0, None);
    while now_ms < LONG_MS {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => {
                let is_soon = last_ms.is_some_and(|last_ms| now_ms < last_ms + 1_000);
                assert!(!is_soon, "again after less than a second, at {now_ms}");
                last_ms = Some(now_ms);
                count += 1;
                say(&mut session, &batch, now_ms);
            }
            Step::Wait { until_ms } => {
                assert!(until_ms > now_ms, "{until_ms}");
                now_ms = until_ms;
            }
            step => panic!("{step:?}"),
        }
    }
    count
}

fn fails(failure: Failure) -> impl Fn(&mut Session, &Batch, u64) {
    move |session, batch, now_ms| session.on_failure(batch.id, &failure, now_ms).unwrap()
}

#[test]
fn why_events_failed_for_now_or_have_no_answer_is_told() {
    let store = Rig::new().open();
    capture(&store, 1..=4);
    let mut session = start_once(&store);
    let sent = batch(&mut session, 0);
    session.on_reply(sent.id, &reply(&[1, 2, 3, 4], &transient(None)), 0).unwrap();
    let why = session.report().last_failure.unwrap();
    assert!(why.contains("BUSY"), "{why}");
    drop(session);
    let mut session = start_once(&store);
    let sent = batch(&mut session, 0);
    session.on_reply(sent.id, &reply(&[1, 2, 3], &accepted()), 0).unwrap();
    let why = session.report().last_failure.unwrap();
    assert!(why.contains("left out 1 events"), "{why}");
}

#[test]
fn a_wish_of_no_time_makes_no_stream_of_requests() {
    let (why, answered) = ("busy".to_owned(), Answered::Upstream);
    let unavailable = Failure::Unavailable { why, retry_after_ms: Some(0), answered };
    let (code, message) = ("KEY".to_owned(), String::new());
    for failure in [
        Failure::InProgress { retry_after_ms: Some(0) },
        Failure::InProgress { retry_after_ms: None },
        Failure::BatchKeyRefused { code, message },
        unavailable,
    ] {
        let store = Rig::new().open();
        capture(&store, 1..=9);
        let count = requests(&store, options(), fails(failure.clone()));
        assert!((5..=20).contains(&count), "{count} for {failure:?}");
    }
}

#[test]
fn an_upstream_that_fails_every_item_for_now_is_asked_seldom() {
    for wish in [None, Some(0)] {
        let store = Rig::new().open();
        for first in (1..=5_000).step_by(500) {
            capture(&store, first..=first + 499);
        }
        let busy = |session: &mut Session, batch: &Batch, now_ms: u64| {
            let keys = batch.items().map(|item| item.key.to_owned());
            let items = keys.map(|key| (key, transient(wish))).collect();
            session.on_reply(batch.id, &Reply::of(items), now_ms).unwrap();
        };
        let count = requests(&store, options().with_items_max(50), busy);
        assert!((5..=20).contains(&count), "{count}");
        assert_eq!(pending(&store).len(), 5_000);
    }
}

#[test]
fn a_reply_without_items_is_no_reason_to_hurry() {
    let store = Rig::new().open();
    capture(&store, 1..=50);
    let nothing = |session: &mut Session, batch: &Batch, now_ms: u64| {
        session.on_reply(batch.id, &Reply::default(), now_ms).unwrap();
    };
    let count = requests(&store, options(), nothing);
    assert!((5..=20).contains(&count), "{count}");
}

#[test]
fn events_that_fail_for_now_one_by_one_come_back_together() {
    let store = Rig::new().open();
    capture(&store, 1..=400);
    let mut session = Session::start(&store, options().with_items_max(50), payloads()).unwrap();
    let (mut now_ms, mut count) = (0, 0);
    // A few of each batch fail for now, for ever; so their failures lie apart.
    while now_ms < LONG_MS {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => {
                count += 1;
                let outcome = |item: crate::sync::Item<'_>| {
                    let n: u64 = item.key[1..].parse().unwrap();
                    if n.is_multiple_of(10) { transient(None) } else { accepted() }
                };
                let items = batch.items().map(|it| (it.key.to_owned(), outcome(it)));
                session.on_reply(batch.id, &Reply::of(items.collect()), now_ms).unwrap();
                now_ms += 200;
            }
            Step::Wait { until_ms } => now_ms = until_ms,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(store.status().settled, 360);
    assert!((15..=40).contains(&count), "{count}");
}
