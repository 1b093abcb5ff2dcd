//! What waits for a person.

use std::slice::from_ref;

use crate::store::{Answer, Settlement};
use crate::trial::{Rig, WALL_MS, event, key, keys, receipt, sales};
use crate::{ErrorKind, Event, Scope, State, Store, Verdict};

fn reject(store: &Store, n: u64, code: &str) {
    let (code, message) = (code.to_owned(), "no such card".to_owned());
    let answer = Answer::Rejected { code, message, reply: b"{\"e\":1}".to_vec() };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

fn accept(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

#[test]
fn a_rejected_event_waits_with_its_reason_until_a_person_decides() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    assert_eq!(store.reviews(None).unwrap(), [], "control");
    rig.clock.advance(500);
    reject(&store, 1, "CARD_NOT_FOUND");
    for store in [store, rig.after_kill().open()] {
        let item = store.review(&sales(), &key(1)).unwrap();
        assert_eq!((item.code.as_str(), item.message.as_str()), ("CARD_NOT_FOUND", "no such card"));
        assert_eq!(item.reply, b"{\"e\":1}");
        assert_eq!((item.since_ms, item.event.event.clone()), (WALL_MS + 500, event(1)));
        assert_eq!((item.scope.clone(), item.key.clone()), (sales(), key(1)));
        assert_eq!(item.event.state, State::InReview);
        assert_eq!(store.reviews(None).unwrap(), from_ref(&item));
        assert_eq!(store.reviews(Some(&sales())).unwrap(), [item]);
        assert_eq!(store.reviews(Some(&Scope::default())).unwrap(), []);
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k2"]);
        let verdict = store.capture(&event(1)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { state: State::InReview, .. }));
        // A late answer does not take the decision from the person.
        accept(&store, 1);
        assert_eq!(store.status().in_review, 1);
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap().state, State::InReview);
    }
}

#[test]
fn a_retried_event_is_pending_again_under_the_same_key_and_number() {
    let rig = Rig::new();
    let store = rig.open();
    let lsn = store.capture(&event(1)).unwrap().lsn();
    reject(&store, 1, "A");
    let first = store.review(&sales(), &key(1)).unwrap().version;
    store.retry(&sales(), &key(1)).unwrap();
    for store in [&store, &rig.after_kill().open()] {
        let pending = store.pending(&sales(), None, 9).unwrap();
        assert_eq!((pending[0].lsn, pending[0].event.clone()), (lsn, event(1)));
        assert_eq!((store.status().in_review, store.status().pending), (0, 1));
        assert_eq!(store.review(&sales(), &key(1)).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.retry(&sales(), &key(1)).unwrap_err().code(), "NOT_IN_REVIEW");
    }
    reject(&store, 1, "B");
    let second = store.review(&sales(), &key(1)).unwrap();
    assert!(second.version > first && second.code == "B");
    store.retry(&sales(), &key(1)).unwrap();
    accept(&store, 1);
    drop(store);
    let store = rig.open();
    let outcome = store.outcome(&sales(), &key(1)).unwrap();
    assert_eq!((outcome.state, outcome.receipt), (State::Accepted, Some(receipt(1))));
    assert_eq!(outcome.lsn, Some(lsn));
}

#[test]
fn a_resolved_event_is_rejected_for_good_and_its_key_stays_taken() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    reject(&store, 1, "A");
    let long = "n".repeat(1_025);
    assert_eq!(store.resolve(&sales(), &key(1), &long).unwrap_err().code(), "NOTE_TOO_LONG");
    assert_eq!(store.status().in_review, 1, "a refused decision changes nothing");
    store.resolve(&sales(), &key(1), &long[..1_024]).unwrap();
    accept(&store, 1);
    for store in [store, rig.after_kill().open()] {
        let outcome = store.outcome(&sales(), &key(1)).unwrap();
        assert_eq!((outcome.state, outcome.receipt), (State::Rejected, None));
        assert_eq!(store.resolve(&sales(), &key(1), "").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(store.pending(&sales(), None, 9).unwrap().is_empty());
        let verdict = store.capture(&event(1)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { state: State::Rejected, .. }));
        assert_eq!((store.status().settled, store.status().in_review), (1, 0));
    }
}

#[test]
fn only_what_is_in_review_can_be_decided() {
    let store = Rig::new().open();
    store.capture(&event(1)).unwrap();
    store.capture(&Event { scope: Scope::default(), ..event(2) }).unwrap();
    reject(&store, 1, "A");
    assert!(store.review(&sales(), &key(1)).is_ok(), "control");
    for (scope, n) in [(sales(), 2), (Scope::default(), 1), (Scope::default(), 2), (sales(), 3)] {
        let error = store.retry(&scope, &key(n)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{scope} {n}");
        assert!(error.to_string().contains(&format!("k{n}")), "{error}");
    }
}
