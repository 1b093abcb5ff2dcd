//! What waits for a person.

use std::slice::from_ref;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::review::ReviewFilter;
use crate::review::{Decision, ReviewItem};
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::upstream::{Mood, ScriptedUpstream};
use crate::testing::{Rig, WALL_MS, event, key, keys, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, Scope, State, Store, Verdict};

pub(super) fn reject(store: &Store, n: u64, code: &str) {
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
    assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), [], "control");
    rig.clock.advance(500);
    reject(&store, 1, "CARD_NOT_FOUND");
    for store in [store, rig.after_kill().open()] {
        let item = store.reviews().get(&sales(), &key(1)).unwrap();
        assert_eq!((item.code.as_str(), item.message.as_str()), ("CARD_NOT_FOUND", "no such card"));
        assert_eq!(item.reply, b"{\"e\":1}");
        assert_eq!((item.since_ms, item.event().clone()), (WALL_MS + 500, event(1)));
        assert_eq!((item.scope.clone(), item.key.clone()), (sales(), key(1)));
        assert_eq!(item.stored.state, State::InReview);
        assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), from_ref(&item));
        assert_eq!(store.reviews().list(&ReviewFilter::new().with_scope(sales())).unwrap(), [item]);
        assert_eq!(
            store.reviews().list(&ReviewFilter::new().with_scope(Scope::default())).unwrap(),
            []
        );
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
    let first = store.reviews().get(&sales(), &key(1)).unwrap().version;
    store.reviews().retry(&sales(), &key(1)).unwrap();
    for store in [&store, &rig.after_kill().open()] {
        let pending = store.pending(&sales(), None, 9).unwrap();
        assert_eq!((pending[0].lsn, pending[0].event.clone()), (lsn, event(1)));
        assert_eq!((store.status().in_review, store.status().pending), (0, 1));
        assert_eq!(store.reviews().get(&sales(), &key(1)).unwrap_err().kind(), ErrorKind::NotFound);
        let late = store.reviews().retry(&sales(), &key(1)).unwrap_err();
        assert_eq!(late.code(), "NOT_IN_REVIEW");
        assert!(late.to_string().contains("somebody decided: retry"), "{late}");
    }
    reject(&store, 1, "B");
    let second = store.reviews().get(&sales(), &key(1)).unwrap();
    assert!(second.version > first && second.code == "B");
    store.reviews().retry(&sales(), &key(1)).unwrap();
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
    assert_eq!(
        store.reviews().resolve(&sales(), &key(1), &long).unwrap_err().code(),
        "NOTE_TOO_LONG"
    );
    assert_eq!(store.status().in_review, 1, "a refused decision changes nothing");
    store.reviews().resolve(&sales(), &key(1), &long[..1_024]).unwrap();
    accept(&store, 1);
    for store in [store, rig.after_kill().open()] {
        let outcome = store.outcome(&sales(), &key(1)).unwrap();
        assert_eq!((outcome.state, outcome.receipt), (State::Rejected, None));
        assert_eq!(
            store.reviews().resolve(&sales(), &key(1), "").unwrap_err().kind(),
            ErrorKind::NotFound
        );
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
    assert!(store.reviews().get(&sales(), &key(1)).is_ok(), "control");
    for (scope, n) in [(sales(), 2), (Scope::default(), 1), (Scope::default(), 2), (sales(), 3)] {
        let error = store.reviews().retry(&scope, &key(n)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{scope} {n}");
        assert!(error.to_string().contains(&format!("k{n}")), "{error}");
    }
}

#[test]
fn items_are_listed_in_pages_by_scope_code_and_time() {
    let rig = Rig::new();
    let store = rig.open();
    let other = |n: u64| Event { scope: Scope::default(), ..event(n) };
    store.capture_batch(&(0..30).map(event).collect::<Vec<_>>()).unwrap();
    store.capture_batch(&(30..40).map(other).collect::<Vec<_>>()).unwrap();
    // Not in the order of their capture, each a second after the other.
    for n in (0..30).rev() {
        rig.clock.advance(1_000);
        reject(&store, n, if n.is_multiple_of(3) { "A" } else { "B" });
    }
    let answer = Answer::Rejected { code: "A".into(), message: "m".into(), reply: vec![] };
    let answers = (30..40).map(|n| Settlement {
        scope: Scope::default(),
        key: key(n),
        answer: answer.clone(),
    });
    store.settle(&answers.collect::<Vec<_>>()).unwrap();
    let list = |store: &Store, filter: ReviewFilter| -> Vec<u64> {
        let items = store.reviews().list(&filter).unwrap();
        items.iter().map(|item| item.key.as_str()[1..].parse().unwrap()).collect()
    };
    let all: Vec<u64> = (0..30).rev().chain(30..40).collect();
    for store in [store, rig.after_kill().open()] {
        let filter = ReviewFilter::new;
        assert_eq!(list(&store, filter()), all);
        assert_eq!(list(&store, filter().with_max(0)), all[..1], "at least one");
        assert_eq!(
            list(&store, filter().with_scope(sales()).with_code("A").with_max(4)),
            [27, 24, 21, 18]
        );
        assert_eq!(list(&store, filter().with_scope(sales()).with_code("NO")), [] as [u64; 0]);
        let noon = WALL_MS + 10_000;
        assert_eq!(list(&store, filter().with_until_ms(noon)), all[..9]);
        assert_eq!(list(&store, filter().with_since_ms(noon).with_max(3)), all[9..12]);
        assert_eq!(list(&store, filter().with_since_ms(noon).with_until_ms(noon + 1)), [20]);
        assert_eq!((store.reviews().count(None), store.reviews().count(Some(&sales()))), (40, 30));
        // Page by page, also through items that one frame brought.
        let (mut seen, mut page) = (Vec::new(), filter().with_max(7));
        loop {
            let items: Vec<ReviewItem> = store.reviews().list(&page).unwrap();
            let Some(last) = items.last() else { break };
            page = filter().with_max(7).with_after(last.version, last.lsn);
            seen.extend(items.iter().map(|item| item.key.as_str()[1..].parse::<u64>().unwrap()));
        }
        assert_eq!(seen, all);
    }
}

/// Two people at once: the second is told, and by whom.
#[test]
fn of_two_who_decide_on_the_same_version_the_second_is_told() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    reject(&store, 1, "A");
    let seen = store.reviews().get(&sales(), &key(1)).unwrap().version;
    let retry = |who: &str| Decision::retry(sales(), key(1)).with_person(who).with_version(seen);
    store.reviews().decide(&retry("anna")).unwrap();
    let refused = |store: &Store, decision: &Decision| {
        let error = store.reviews().decide(decision).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "ALREADY_DECIDED"), "{error}");
        error.to_string()
    };
    let resolve = Decision::resolve(sales(), key(1), "x").with_person("ben").with_version(seen);
    assert!(refused(&store, &resolve).contains("anna decided first"));
    // It comes back for another reason: the old version is still the old one.
    reject(&store, 1, "B");
    let now = store.reviews().get(&sales(), &key(1)).unwrap().version;
    for store in [store, rig.after_kill().open()] {
        let text = refused(&store, &resolve);
        assert!(text.contains("anna") && text.contains(&format!("version {now} waits")), "{text}");
        refused(&store, &resolve.clone().with_version(now + 1));
        assert_eq!(store.reviews().count(None), 1, "nothing was changed");
        store.reviews().decide(&resolve.clone().with_version(now)).unwrap();
        let text = refused(&store, &retry("cid").with_version(now));
        assert!(text.contains("ben decided first"), "{text}");
        // What never was in review is no matter of who came first.
        let never = Decision::retry(sales(), key(9)).with_version(now);
        assert_eq!(store.reviews().decide(&never).unwrap_err().code(), "NOT_IN_REVIEW");
    }
}

#[test]
fn decisions_are_remembered_with_who_what_why_and_when() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    reject(&store, 1, "A");
    rig.clock.advance(5_000);
    store
        .reviews()
        .decide(&Decision::retry(sales(), key(1)).with_person("anna").with_note("card added"))
        .unwrap();
    reject(&store, 1, "A");
    reject(&store, 2, "A");
    store.reviews().decide(&Decision::resolve(sales(), key(2), "lost").with_person("ben")).unwrap();
    store.reviews().resolve(&sales(), &key(1), "enough").unwrap();
    let long = Decision::retry(sales(), key(1)).with_person(&"w".repeat(65));
    assert_eq!(store.reviews().decide(&long).unwrap_err().code(), "WHO_TOO_LONG");
    for store in [store, rig.after_kill().open()] {
        let all = store.reviews().decisions(None, 99).unwrap();
        let told = all.iter().map(|made| {
            let Decision { key, action, note, who, .. } = &made.decision;
            format!("{key} {action} {who} {note}")
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            ["k1 retry anna card added", "k2 resolve ben lost", "k1 resolve  enough"]
        );
        assert!(all.iter().all(|made| made.made_at_ms == WALL_MS + 5_000));
        assert!(all.is_sorted_by_key(|made| made.lsn));
        assert_eq!(store.reviews().decisions(Some(all[0].lsn), 1).unwrap(), all[1..2]);
        let on_one = store.reviews().decisions_on(&sales(), &key(1)).unwrap();
        assert_eq!(on_one, [all[0].clone(), all[2].clone()]);
        assert!(on_one[0].decision.version < on_one[1].decision.version);
        assert_eq!(store.reviews().decisions_on(&sales(), &key(7)).unwrap(), []);
    }
}

/// T32: what must not be sent blindly waits for a person, and is decided on as anything else.
#[test]
fn uncertain_events_wait_beside_refused_ones() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3)]).unwrap();
    for n in [1, 2] {
        let (code, message) = ("TOO_OLD".to_owned(), "first sent 40 days ago".to_owned());
        let answer = Answer::Uncertain { code, message };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
    reject(&store, 3, "A");
    for store in [store, rig.after_kill().open()] {
        let status = store.status();
        assert_eq!((status.uncertain, status.in_review, status.pending), (2, 1, 0));
        assert_eq!(rig.look().status().uncertain, 2);
        let items = store.reviews().list(&ReviewFilter::new()).unwrap();
        let states: Vec<State> = items.iter().map(|item| item.stored.state).collect();
        assert_eq!(states, [State::Uncertain, State::Uncertain, State::InReview]);
        assert_eq!((items[0].code.as_str(), &items[0].reply[..]), ("TOO_OLD", &[][..]));
        assert_eq!(store.outcome(&sales(), &key(1)).unwrap().state, State::Uncertain);
        accept(&store, 1);
        assert_eq!(store.status().uncertain, 2, "a late answer leaves it to the person");
    }
    let store = rig.open();
    store.reviews().retry(&sales(), &key(1)).unwrap();
    store.reviews().resolve(&sales(), &key(2), "seen there").unwrap();
    for store in [store, rig.after_kill().open()] {
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1"]);
        assert_eq!(store.outcome(&sales(), &key(2)).unwrap().state, State::Rejected);
        assert_eq!((store.status().uncertain, store.reviews().count(None)), (0, 1));
    }
}

#[test]
fn callbacks_are_told_of_what_comes_and_may_use_the_store() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&(1..6).map(event).collect::<Vec<_>>()).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    reject(&store, 1, "BEFORE");
    let panicking = store.reviews().watch(Arc::new(|_| panic!("a host's own fault")));
    let (handle, list) = (store.clone(), Arc::clone(&told));
    let watch = store.reviews().watch(Arc::new(move |notice| {
        let store: &Store = &handle;
        // Durable already, and no lock is held.
        let item = store.reviews().get(&notice.scope, &notice.key).unwrap();
        assert_eq!((item.version, item.lsn), (notice.version, notice.lsn));
        list.lock().push(format!("{} {} {}", notice.key, notice.state, notice.code));
        if notice.code == "AGAIN" {
            store.reviews().retry(&notice.scope, &notice.key).unwrap();
        }
    }));
    reject(&store, 2, "A");
    let (code, message) = ("OLD".to_owned(), String::new());
    let answer = Answer::Uncertain { code, message };
    store.settle(&[Settlement { scope: sales(), key: key(3), answer }]).unwrap();
    reject(&store, 4, "AGAIN");
    assert_eq!(*told.lock(), ["k2 in_review A", "k3 uncertain OLD", "k4 in_review AGAIN"]);
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k4", "k5"]);
    drop((watch, panicking));
    reject(&store, 5, "A");
    assert_eq!(told.lock().len(), 3, "nobody listens any more");
    store.close().unwrap();
}

#[test]
fn a_session_tells_of_what_the_upstream_refused() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let _watch = store.reviews().watch(Arc::new(move |_| *count.lock() += 1));
    let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    let mut upstream = ScriptedUpstream::default();
    upstream.refuse("k1", "CARD_NOT_FOUND");
    let reply = upstream.take(&batch, Mood::Well).unwrap();
    session.on_reply(batch.id, &reply, 0).unwrap();
    assert_eq!(*told.lock(), 1);
}

#[test]
fn reasons_and_the_newest_decisions_outlive_their_segments() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&(0..12).map(event).collect::<Vec<_>>()).unwrap();
    for n in 0..12 {
        reject(&store, n, "A");
    }
    for n in 0..6 {
        store
            .reviews()
            .decide(&Decision::resolve(sales(), key(n), "done").with_person("anna"))
            .unwrap();
    }
    store.reviews().decide(&Decision::retry(sales(), key(6)).with_person("ben")).unwrap();
    reject(&store, 6, "B");
    let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
    let decisions = store.reviews().decisions(None, 99).unwrap();
    assert_eq!((reviews.len(), decisions.len()), (6, 7), "control");
    let before = store.inner.log.segments()[0].number;
    for first in (100..6_000).step_by(50) {
        let events: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&events).unwrap();
        let answer = Answer::Accepted { receipt: None };
        let settled = (first..first + 50).map(|n| Settlement {
            scope: sales(),
            key: key(n),
            answer: answer.clone(),
        });
        store.settle(&settled.collect::<Vec<_>>()).unwrap();
    }
    let after = store.inner.log.segments()[0].number;
    assert!(after > before + 8, "control: several turns, {before} to {after}");
    // By the log alone: the simulated disk has no catalog.
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), reviews);
        assert_eq!(store.reviews().decisions(None, 99).unwrap(), decisions);
        let state = store.inner.state.lock();
        let oldest = store.inner.log.segments()[0].number;
        let places = state.outbox.reviews().items().map(|(_, review)| review.at.place.segment);
        let decisions = state.decisions.numbers().map(|it| state.decisions.get(it).unwrap().at);
        assert!(places.chain(decisions.map(|at| at.place.segment)).all(|it| it >= oldest));
    }
    let mut seen = rig.look().reviews().unwrap();
    seen.sort_by_key(|item| item.version);
    assert_eq!(seen, reviews);
}
