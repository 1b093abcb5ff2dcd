//! Lines that fail: nothing is lost, waits are bounded, a resend is the same batch.

use super::*;
use std::time::Duration;

use crate::sync::Item;
use crate::sync::{Answered, Failure};
use crate::testing::{Rig, receipt};

fn unavailable(retry_after_ms: Option<u64>) -> Failure {
    Failure::Unavailable { why: "timeout".to_owned(), retry_after_ms, answered: Answered::Nobody }
}

/// T39.
#[test]
fn a_lost_reply_is_answered_by_the_same_batch_again_also_after_a_crash() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut upstream = ScriptedUpstream::default();
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    let failure = upstream.take(&first, Mood::LosesReply).unwrap_err();
    session.on_failure(first.id, &failure, 0).unwrap();
    assert!(session.report().unreachable);
    // Meanwhile more is captured: it must not slip into the batch.
    capture(&store, 5..=5);
    let again = batch(&mut session, 2_000);
    assert_eq!((again.id, &again.items, again.attempt), (first.id, &first.items, 2));
    assert_eq!(again.idempotency_key, first.idempotency_key);
    let killed = rig.after_kill();
    drop(session);

    let store = killed.open();
    let mut session = start(&store);
    let resent = batch(&mut session, 0);
    assert_eq!((resent.id, &resent.items), (first.id, &first.items));
    assert_eq!(resent.idempotency_key, first.idempotency_key);
    let reply = upstream.take(&resent, Mood::Well).unwrap();
    session.on_reply(resent.id, &reply, 0).unwrap();
    assert_eq!((session.report().duplicate, session.report().unreachable), (4, false));
    let one = store.outcome(&sales(), &key(1)).unwrap();
    assert_eq!(
        (one.state, one.receipt),
        (State::Duplicate, Some(receipt(first.items().next().unwrap().lsn.get())))
    );
    assert_eq!(pending(&store), ["k5"]);
    assert!(upstream.effects().values().all(|count| *count == 1));
}

/// T40.
#[test]
fn in_progress_is_no_failure_and_the_same_batch_is_asked_for_again() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &Failure::InProgress { retry_after_ms: None }, 0).unwrap();
    let until_ms = wait(&mut session, 0);
    assert!((1_000..=2_000).contains(&until_ms), "{until_ms}");
    assert_eq!((session.report().failures, session.report().unreachable), (0, false));
    let again = batch(&mut session, 2_000);
    assert_eq!(again.idempotency_key, first.idempotency_key);
    session
        .on_failure(first.id, &Failure::InProgress { retry_after_ms: Some(9_000) }, 2_000)
        .unwrap();
    assert_eq!(wait(&mut session, 2_000), 11_000);
    // T36: seconds for milliseconds must not stop a terminal for years.
    batch(&mut session, 11_000);
    let failure = Failure::InProgress { retry_after_ms: Some(u64::MAX) };
    session.on_failure(first.id, &failure, 11_000).unwrap();
    assert_eq!(wait(&mut session, 11_000), 11_000 + 3_600_000);
}

/// T46.
#[test]
fn refused_credentials_pause_everything_until_the_host_says_that_they_changed() {
    let store = Rig::new().open();
    capture(&store, 1..=8);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_reply(first.id, &reply(&[1, 2, 3, 4], &accepted()), 0).unwrap();
    let second = batch(&mut session, 0);
    let why = "401".to_owned();
    session.on_failure(second.id, &Failure::Blocked { why }, 0).unwrap();
    for now_ms in [0, 1_000_000_000_000] {
        assert!(matches!(session.next(now_ms).unwrap(), Step::Blocked), "{now_ms}");
    }
    assert!(session.report().blocked);
    assert_eq!((pending(&store).len(), store.status().in_review), (4, 0));
    session.on_online();
    assert!(!session.report().blocked);
    let again = batch(&mut session, 0);
    assert_eq!((again.id, &again.items), (second.id, &second.items));
    session.on_reply(again.id, &reply(&[5, 6, 7, 8], &accepted()), 0).unwrap();
    assert_eq!(store.status().settled, 8);
}

/// T52: there is no number of attempts after which an event is given up.
#[test]
fn two_thousand_failures_give_nothing_up_and_no_wait_is_longer_than_the_longest() {
    let store = Rig::new().open();
    capture(&store, 1..=2);
    let mut session = Session::start(
        &store,
        options().with_backoff(Duration::from_secs(1), Duration::from_mins(5)),
        payloads(),
    )
    .unwrap();
    let mut now_ms = 5;
    let mut longest = 0;
    let mut key = None;
    for attempt in 1..=2_000 {
        let sent = batch(&mut session, now_ms);
        assert_eq!(sent.attempt, attempt);
        assert_eq!(*key.get_or_insert_with(|| sent.idempotency_key.clone()), sent.idempotency_key);
        session.on_failure(sent.id, &unavailable(None), now_ms).unwrap();
        if let Step::Wait { until_ms } = session.next(now_ms).unwrap() {
            longest = longest.max(until_ms - now_ms);
            now_ms = until_ms;
        }
    }
    assert!(longest <= 300_000 && longest > 200_000, "{longest}");
    assert_eq!((store.status().in_flight, store.status().in_review), (2, 0));
    assert_eq!(session.report().failures, 2_000);
}

#[test]
fn events_that_always_fail_for_now_stay_pending_and_do_not_block_others() {
    let store = Rig::new().open();
    capture(&store, 1..=5);
    let mut session = start(&store);
    let mut now_ms = 0;
    for round in 0..300 {
        match session.next(now_ms).unwrap() {
            Step::Send(sent) => {
                let items = sent.items().map(|item| {
                    let key = item.key.to_owned();
                    let outcome = if key == "k1" { transient(None) } else { accepted() };
                    (key, outcome)
                });
                let reply = Reply::of(items.collect());
                session.on_reply(sent.id, &reply, now_ms).unwrap();
            }
            Step::Wait { until_ms } => {
                assert!(until_ms <= now_ms + 300_000, "round {round}");
                now_ms = until_ms;
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((store.status().settled, store.status().pending), (4, 1));
    assert!(session.report().attempted > 100, "control: {:?}", session.report());
}

#[test]
fn the_upstreams_wish_is_honoured_for_batches_and_items_up_to_one_hour() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=2);
    let mut session = start(&store);
    let first = batch(&mut session, 10);
    session.on_failure(first.id, &unavailable(Some(120_000)), 10).unwrap();
    assert_eq!(wait(&mut session, 119_999), 120_010);
    batch(&mut session, 120_010);
    session.on_failure(first.id, &unavailable(Some(u64::MAX)), 120_010).unwrap();
    assert_eq!(wait(&mut session, 120_010), 120_010 + 3_600_000);
    session.on_online();
    let now = 200_000;
    let again = batch(&mut session, now);
    let mut items = reply(&[1], &transient(Some(50_000))).items;
    items.extend(reply(&[2], &transient(Some(90_000))).items);
    session.on_reply(again.id, &Reply::of(items), now).unwrap();
    // Both wish for that much, so it is the upstream's; and what is due is gathered.
    assert_eq!(wait(&mut session, now), now + 50_000);
    rig.clock.advance(50_000);
    let until_ms = wait(&mut session, now + 50_000);
    assert!((now + 50_000..=now + 50_500).contains(&until_ms), "{until_ms}");
    assert_eq!(batch(&mut session, until_ms).item_keys(), ["k1"]);
}

#[test]
fn being_online_again_forgets_the_wait_and_the_doubling() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    let mut session = start(&store);
    for _ in 0..20 {
        let sent = batch(&mut session, 0);
        session.on_failure(sent.id, &unavailable(Some(60_000)), 0).unwrap();
        assert_eq!(wait(&mut session, 0).max(60_000) / 60_000, wait(&mut session, 0) / 60_000);
        session.on_online();
    }
    let sent = batch(&mut session, 0);
    session.on_failure(sent.id, &unavailable(None), 0).unwrap();
    let until_ms = wait(&mut session, 0);
    assert!((1_000..=2_000).contains(&until_ms), "the first wait again: {until_ms}");
}

/// T48.
#[test]
fn a_session_that_ends_while_the_upstream_is_down_leaves_everything() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=9);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_failure(first.id, &unavailable(None), 0).unwrap();
    drop(session);
    store.close().unwrap();
    let store = rig.open();
    assert_eq!(pending(&store).len(), 9);
    let mut upstream = ScriptedUpstream::default();
    drain(&mut start(&store), &mut upstream, 0);
    assert_eq!((store.status().settled, upstream.effects().len()), (9, 9));
}

#[test]
fn another_key_ends_a_refusal_and_not_the_doubling() {
    let store = Rig::new().open();
    capture(&store, 1..=1);
    let mut session = start(&store);
    let sent = batch(&mut session, 0);
    session.on_failure(sent.id, &Failure::Blocked { why: "401".to_owned() }, 0).unwrap();
    session.on_new_key();
    let mut until_ms = 0;
    for _ in 0..5 {
        let sent = batch(&mut session, 0);
        session.on_failure(sent.id, &unavailable(None), 0).unwrap();
        until_ms = wait(&mut session, 0);
        session.on_new_key();
    }
    assert!(until_ms > 5_000, "{until_ms} ms after five failures");
}

#[test]
fn replies_that_are_too_long_make_batches_smaller_until_the_line_is_another() {
    let store = Rig::new().open();
    capture(&store, 1..=16);
    let mut session = start(&store);
    let sent = batch(&mut session, 0);
    assert_eq!(sent.items().len(), 4);
    session.on_failure(sent.id, &Failure::ReplyTooLarge { why: "long".to_owned() }, 0).unwrap();
    for expected in [2, 2, 2] {
        let sent = batch(&mut session, 0);
        assert_eq!(sent.items().len(), expected);
        let taken = |item: Item<'_>| (item.key.to_owned(), accepted());
        let reply = Reply::of(sent.items().map(taken).collect());
        session.on_reply(sent.id, &reply, 0).unwrap();
    }
    session.on_online();
    assert_eq!(batch(&mut session, 0).items.len(), 4);
}
