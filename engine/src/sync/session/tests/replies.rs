//! What a reply changes: what it proves, and nothing else.

use super::*;
use crate::review::ReviewFilter;
use crate::testing::upstream::rejected;
use crate::testing::{Rig, receipt};
use crate::{ErrorKind, Event, Scope};

#[test]
fn a_full_reply_settles_its_batch_with_receipts() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=6);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    assert_eq!(first.item_keys(), ["k1", "k2", "k3", "k4"]);
    let parts: Vec<&str> = first.idempotency_key.rsplitn(3, '-').collect();
    let [number, opening, id] = parts[..] else { panic!("{}", first.idempotency_key) };
    assert_eq!((id, number), (store.id().to_string().as_str(), first.id.to_string().as_str()));
    assert!(opening.len() == 16 && u64::from_str_radix(opening, 16).is_ok(), "{opening}");
    assert_eq!((first.attempt, first.scope.clone()), (1, sales()));
    assert_eq!(state(&store, 1), State::InFlight);
    let items = vec![
        ("k1".to_owned(), ItemOutcome::Accepted { receipt: Some(receipt(1)) }),
        ("k2".to_owned(), ItemOutcome::Duplicate { receipt: Some(receipt(2)) }),
        ("k3".to_owned(), rejected("CARD_NOT_FOUND")),
        ("k4".to_owned(), accepted()),
    ];
    session.on_reply(first.id, &Reply::of(items), 0).unwrap();
    let second = batch(&mut session, 0);
    assert_eq!(second.item_keys(), ["k5", "k6"]);
    session.on_reply(second.id, &reply(&[5, 6], &accepted()), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    let report = session.report();
    assert_eq!((report.attempted, report.batches), (6, 2));
    assert_eq!((report.accepted, report.duplicate, report.rejected), (4, 1, 1));
    assert_eq!((report.missing, report.strangers, report.failures), (0, 0, 0));
    drop(session);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap().receipt, Some(receipt(1)));
        let two = store.outcome(&sales(), &key(2)).unwrap();
        assert_eq!((two.state, two.receipt), (State::Duplicate, Some(receipt(2))));
        assert_eq!(store.reviews().get(&sales(), &key(3)).unwrap().code, "CARD_NOT_FOUND");
        assert!(pending(&store).is_empty());
    }
}

/// T43, T42, T47.
#[test]
fn a_reply_that_is_reordered_partial_strange_and_contradictory_settles_only_what_it_proves() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 1..=4);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    let mut items = reply(&[99, 4, 1], &accepted()).items;
    // 2 is told two ways, 3 is missing, 1 is told twice in one way.
    items.extend(reply(&[2], &accepted()).items);
    items.extend(reply(&[2], &rejected("NO")).items);
    items.extend(reply(&[2], &accepted()).items);
    items.extend(reply(&[1], &accepted()).items);
    items.push((" k3".to_owned(), accepted()));
    items.push(("K3".to_owned(), accepted()));
    session.on_reply(first.id, &Reply::of(items), 0).unwrap();
    assert_eq!(pending(&store), ["k2", "k3"]);
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), []);
    let report = session.report();
    assert_eq!((report.accepted, report.strangers, report.missing), (2, 3, 2));
    assert_eq!(store.outcome(&sales(), &key(99)).unwrap().state, State::Unknown);
    assert_eq!(pending(&rig.after_kill().open()), ["k2", "k3"]);
    // Only what failed is sent again, later, in a new batch.
    let until = wait(&mut session, 0);
    assert!((1_000..=1_500).contains(&until), "{until}");
    let again = batch(&mut session, until);
    assert_eq!(again.item_keys(), ["k2", "k3"]);
    assert!(again.id > first.id && again.idempotency_key != first.idempotency_key);
}

#[test]
fn a_key_that_one_reply_tells_accepted_and_duplicate_took_effect_in_either_order() {
    let store = Rig::new().open();
    capture(&store, 1..=2);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    let known = ItemOutcome::Duplicate { receipt: None };
    let mut items = reply(&[1], &accepted()).items;
    items.extend(reply(&[1, 2], &known).items);
    items.extend(reply(&[2], &accepted()).items);
    session.on_reply(first.id, &Reply::of(items), 0).unwrap();
    assert_eq!(pending(&store), Vec::<String>::new());
    let report = session.report();
    assert_eq!((report.accepted, report.duplicate, report.missing), (2, 0, 0));
}

#[test]
fn a_reply_that_says_nothing_changes_nothing() {
    let store = Rig::new().open();
    capture(&store, 1..=3);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    session.on_reply(first.id, &Reply::default(), 0).unwrap();
    assert_eq!(pending(&store), ["k1", "k2", "k3"]);
    assert_eq!(session.report().missing, 3);
    let mut upstream = ScriptedUpstream::default();
    drain(&mut session, &mut upstream, 0);
    assert_eq!(store.status().settled, 3, "control: the next reply counts");
}

#[test]
fn late_repeated_and_invented_replies_change_nothing() {
    let store = Rig::new().open();
    capture(&store, 1..=8);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    let partial = reply(&[1, 2], &accepted());
    session.on_reply(first.id, &partial, 0).unwrap();
    let second = batch(&mut session, 0);
    assert_eq!(second.item_keys(), ["k5", "k6", "k7", "k8"]);
    let before = (store.status(), session.report());
    // The first batch's reply comes again, as a whole, and as a refusal.
    session.on_reply(first.id, &reply(&[1, 2, 3, 4], &rejected("NO")), 0).unwrap();
    session.on_reply(first.id, &partial, 0).unwrap();
    let why = "late".to_owned();
    let late = crate::sync::Failure::Refused { code: why.clone(), message: why };
    session.on_failure(first.id, &late, 0).unwrap();
    assert_eq!((store.status(), session.report()), before);
    session.on_reply(second.id, &reply(&[5, 6, 7, 8], &accepted()), 0).unwrap();
    let settled = store.status();
    session.on_reply(second.id, &reply(&[5, 6, 7, 8], &rejected("NO")), 0).unwrap();
    session.on_failure(second.id, &crate::sync::Failure::TooLarge, 0).unwrap();
    assert_eq!(store.status(), settled);
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), []);
    assert_eq!(pending(&store), ["k3", "k4"]);
}

/// T41.
#[test]
fn events_captured_while_a_batch_is_out_come_in_the_next_and_one_session_drains() {
    let store = Rig::new().open();
    capture(&store, 1..=2);
    let mut session = start(&store);
    let first = batch(&mut session, 0);
    capture(&store, 3..=4);
    let error = Session::start(&store, options(), payloads()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "DRAINING"));
    assert!(
        matches!(session.next(0).unwrap(), Step::Await),
        "one at a time, unless the host allows more"
    );
    // Given up: the same batch, not another one.
    let again = again(&mut session, 0);
    assert_eq!((again.id, &again.items), (first.id, &first.items));
    session.on_reply(first.id, &reply(&[1, 2], &accepted()), 0).unwrap();
    assert_eq!(batch(&mut session, 0).item_keys(), ["k3", "k4"]);
    drop(session);
    let mut session = start(&store);
    assert_eq!(batch(&mut session, 0).item_keys(), ["k3", "k4"]);
    session.next(0).unwrap();
}

/// T25.
#[test]
fn a_lone_event_after_idle_is_sent_without_another_capture() {
    let store = Rig::new().open();
    let mut session = start(&store);
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    capture(&store, 1..=1);
    assert_eq!(batch(&mut session, 0).item_keys(), ["k1"]);
}

/// T44, T49.
#[test]
fn a_refused_event_at_the_head_goes_to_review_and_the_others_flow() {
    let store = Rig::new().open();
    capture(&store, 1..=9);
    let mut upstream = ScriptedUpstream::default();
    upstream.refuse("k1", "CARD_NOT_FOUND");
    let mut session = start(&store);
    drain(&mut session, &mut upstream, 0);
    assert_eq!((store.status().settled, store.status().in_review), (8, 1));
    assert_eq!(upstream.request_count(), 3, "and it is not sent again");
    // Mended upstream, retried under the same key.
    upstream.refuse_nothing();
    store.reviews().retry(&sales(), &key(1)).unwrap();
    drain(&mut session, &mut upstream, 0);
    assert_eq!(store.status().settled, 9);
    assert!(upstream.effects().values().all(|count| *count == 1));
}

#[test]
fn a_session_sends_one_scope_and_leaves_the_batches_of_others_alone() {
    let store = Rig::new().open();
    let other = Scope::new("tickets").unwrap();
    capture(&store, 1..=2);
    store.capture(&Event { scope: other.clone(), ..event(1) }).unwrap();
    let mut session = start(&store);
    let sales_batch = batch(&mut session, 0);
    assert_eq!(sales_batch.item_keys(), ["k1", "k2"]);
    drop(session);
    let mut session = Session::start(
        &store,
        Options::new(other.clone()).with_keys(crate::sync::KeyRule::Conveyed),
        payloads(),
    )
    .unwrap();
    let tickets = batch(&mut session, 0);
    assert_eq!(
        (tickets.item_keys(), tickets.scope.clone()),
        (vec!["k1".to_owned()], other.clone())
    );
    session.on_reply(tickets.id, &reply(&[1], &accepted()), 0).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Idle));
    assert_eq!(store.outcome(&other, &key(1)).unwrap().state, State::Accepted);
    assert_eq!(state(&store, 1), State::InFlight);
    drop(session);
    assert_eq!(batch(&mut start(&store), 0).idempotency_key, sales_batch.idempotency_key);
}
