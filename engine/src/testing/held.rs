//! Holds a store, as a crash left it, against what its host was told.

use std::collections::{BTreeMap, BTreeSet};

use onceward_vfs::Survival;

use super::script::{End, Host, Note, is, number};
use super::upstream::Mood;
use super::{Rig, event, key, sales};
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::{Outcome, State, Store, StoredEvent, Verdict};

/// Holds what is found on `rig` against what `host` was told; then goes on with the store.
pub(crate) fn check(host: &Host, rig: &Rig, context: &str) {
    let store = rig.try_open().unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(store.recovery().damage, [], "{context}");
    let outcomes = check_events(host, &store, context);
    check_counters(rig, &store, context);
    check_batch(host, &store, context);
    // What was shown is durable: another cut right now changes nothing.
    let again = rig.after_power_cut(&Survival::Nothing).open();
    for (n, outcome) in &outcomes {
        let now = again.outcome(&sales(), &key(*n)).unwrap();
        let is_same = (now.lsn, &now.receipt) == (outcome.lsn, &outcome.receipt)
            && now.state.is_final() == outcome.state.is_final();
        assert!(is_same, "{n}: {outcome:?}, then {now:?}: {context}");
    }
    drop(again);
    deliver(host, &store, context);
    let new = event(1_000_000);
    let lsn = store.capture(&new).unwrap_or_else(|error| panic!("{error}: {context}")).lsn();
    assert!(host.notes.values().all(|note| note.lsn < Some(lsn.get())), "LSN {lsn}: {context}");
    drop(store);
    // T15: what was written after recovery survives the next opening.
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(store.recovery().damage, [], "{context}");
    assert_eq!(store.find(&sales(), &new.key).unwrap().unwrap().lsn, lsn, "{context}");
    assert_eq!(store.status().pending, 1, "{context}");
}

/// Every event that was confirmed, and none that was not offered.
pub(crate) fn check_events(host: &Host, store: &Store, context: &str) -> BTreeMap<u64, Outcome> {
    let mut outcomes = BTreeMap::new();
    let mut calls: BTreeMap<u64, BTreeSet<bool>> = BTreeMap::new();
    for (n, note) in &host.notes {
        let Note { lsn, end, perhaps, call, settled_ms, event: _ } = note;
        let known =
            format!("LSN {lsn:?}, {end:?}, perhaps {perhaps:?}, call {call}, {settled_ms:?}");
        let what = || format!("event {n}, {known}: {context}");
        let outcome = store.outcome(&sales(), &key(*n)).unwrap();
        if note.lsn.is_none() {
            calls.entry(note.call).or_default().insert(outcome.lsn.is_some());
        }
        let Some(lsn) = outcome.lsn else {
            if note.may_be_forgotten(&host.rig) {
                continue;
            }
            assert_eq!((note.lsn, outcome.state), (None, State::Unknown), "{}", what());
            continue;
        };
        assert!(note.lsn.is_none_or(|known| known == lsn.get()), "LSN {lsn}, {}", what());
        let ends = note.perhaps.iter().chain([&note.end]);
        let fitting = ends.filter(|end| is(&outcome.state, end)).collect::<Vec<_>>();
        assert!(!fitting.is_empty(), "{outcome:?}, {}", what());
        if outcome.state.is_final() {
            let has_receipt = |end: &&End| matches!(end, End::Final(_, r) if *r == outcome.receipt);
            assert!(fitting.iter().any(has_receipt), "{outcome:?}, {}", what());
        }
        check_body(store, *n, note, &outcome, &what());
        let verdict = store.capture(&note.event).unwrap();
        let expected = Verdict::Duplicate { lsn, state: outcome.state };
        assert_eq!(verdict, expected, "{}", what());
        outcomes.insert(*n, outcome);
    }
    for (call, there) in calls {
        assert_eq!(there.len(), 1, "call {call} is neither whole nor absent: {context}");
    }
    outcomes
}

fn check_body(store: &Store, n: u64, note: &Note, outcome: &Outcome, what: &str) {
    let found = store.find(&sales(), &key(n)).unwrap();
    assert!(found.is_some() || outcome.state.is_final(), "the body is gone: {what}");
    if let Some(found) = found {
        assert!(found.event == note.event && Some(found.lsn) == outcome.lsn, "{what}");
    }
    let review = store.reviews().get(&sales(), &key(n)).ok();
    assert_eq!(review.is_some(), outcome.state == State::InReview, "{what}");
    if let Some(review) = review {
        assert!(["NO", "CARD_NOT_FOUND"].contains(&review.code.as_str()), "{review:?}, {what}");
        assert!(*review.event() == note.event, "{what}");
    }
}

/// T21: counters equal a scan of the log, and no key is there that was never offered.
fn check_counters(rig: &Rig, store: &Store, context: &str) {
    let seen = rig.look();
    assert_eq!(seen.recovery().damage, [], "{context}");
    let (told, mut status) = (store.status(), seen.status());
    // A crash may leave a file that was being prepared: it takes room, and is no segment.
    assert!(status.bytes >= told.bytes, "{context}");
    status.bytes = told.bytes;
    // The log does not tell the window, so a look counts keys that the store has forgotten.
    assert!(
        status.keys >= told.keys && status.settled >= told.settled,
        "{told:?}, a look: {status:?}, {context}"
    );
    (status.keys, status.settled) = (told.keys, told.settled);
    // A look reads everything.
    status.unchecked_segments = told.unchecked_segments;
    // A look counts the time that the store was closed, by the wall clock.
    status.oldest_pending = told.oldest_pending;
    assert_eq!(told, status, "{context}");
    let events: Vec<StoredEvent> = seen.events().map(Result::unwrap).collect();
    let count = |state: State| events.iter().filter(|event| event.state == state).count() as u64;
    assert_eq!(told.pending, count(State::Pending), "{context}");
    assert_eq!(told.in_flight, count(State::InFlight), "{context}");
    assert_eq!(told.in_review, count(State::InReview), "{context}");
    assert_eq!(told.keys, told.settled + told.pending + told.in_flight + told.in_review);
    let open = events.iter().filter(|event| !event.state.is_final());
    let amounts = open.filter_map(|event| event.event.amount.map(|a| a.ten_thousandths()));
    assert_eq!(all_amounts(&told), amounts.sum::<i64>(), "{context}");
    assert_eq!(
        seen.reviews().unwrap(),
        store.reviews().list(&ReviewFilter::new()).unwrap(),
        "{context}"
    );
}

/// T39: what was out is sent again as it was.
fn check_batch(host: &Host, store: &Store, context: &str) {
    for stored in store.pending(&sales(), None, 10_000).unwrap() {
        let n = number(stored.event.key.as_str());
        assert!(host.notes.contains_key(&n), "event {n} was never offered: {context}");
    }
    let Some((idempotency_key, numbers)) = &host.out else { return };
    let is_answered = |n: &u64| host.notes[n].perhaps.is_some();
    let session = Session::start(store, crate::testing::options().with_items_max(6), payloads());
    let step = session.unwrap().next(0).unwrap();
    match step {
        Step::Send(batch) if batch.idempotency_key == *idempotency_key => {
            let again: BTreeSet<u64> = batch.items().map(|item| number(item.key)).collect();
            assert_eq!(again, *numbers, "{context}");
        }
        step => assert!(numbers.iter().all(is_answered), "{step:?}: {context}"),
    }
}

/// Everything that is not settled is delivered, once.
fn deliver(host: &Host, store: &Store, context: &str) {
    let mut upstream = host.upstream.clone();
    upstream.refuse_nothing();
    for item in store.reviews().list(&ReviewFilter::new()).unwrap() {
        store.reviews().retry(&item.scope, &item.key).unwrap();
    }
    let mut session =
        Session::start(store, crate::testing::options().with_items_max(6), payloads()).unwrap();
    while let Step::Send(batch) = session.next(0).unwrap() {
        let reply = upstream.take(&batch, Mood::Well).unwrap();
        session.on_reply(batch.id, &reply, 0).unwrap();
    }
    drop(session);
    let status = store.status();
    assert_eq!((status.pending, status.in_flight, status.in_review), (0, 0, 0), "{context}");
    assert!(upstream.effects().values().all(|count| *count == 1), "{context}");
}

/// The sum of the amounts of all unsettled events, in ten-thousandths.
pub(crate) fn all_amounts(status: &crate::Status) -> i64 {
    let amounts = [
        status.amount_pending,
        status.amount_in_flight,
        status.amount_in_review,
        status.amount_uncertain,
    ];
    amounts.iter().map(|amount| amount.ten_thousandths()).sum()
}
