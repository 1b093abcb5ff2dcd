//! T54: what was never sent can be taken back, and what was cannot.

use crate::limits::Cancellation;
use crate::sync::payloads;
use crate::sync::{ItemOutcome, Reply, Session, Step};
use crate::testing::{Rig, event, key, keys, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, State, Store, Verdict};

fn start(store: &Store) -> Session {
    Session::start(store, crate::testing::options().with_items_max(2), payloads()).unwrap()
}

fn too_late(store: &Store, n: u64) -> State {
    let before = store.status();
    let told = store.cancel(&sales(), &key(n)).unwrap();
    let Cancellation::TooLate { lsn, state } = told else { panic!("{told:?}") };
    let outcome = store.outcome(&sales(), &key(n)).unwrap();
    assert_eq!((outcome.lsn, outcome.state), (Some(lsn), state));
    assert_eq!(store.status(), before, "nothing changed");
    state
}

fn settle(store: &Store, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let answer = Answer::Accepted { receipt: Some(receipt(n)) };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
}

#[test]
fn a_cancelled_event_is_never_sent_and_its_key_stays_taken() {
    let rig = Rig::new();
    let store = rig.open();
    let lsn = store.capture_batch(&[event(1), event(2)]).unwrap()[0].lsn();
    assert_eq!(store.cancel(&sales(), &key(1)).unwrap(), Cancellation::Cancelled { lsn });
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k2"]);
        assert_eq!((store.status().cancelled, store.status().pending), (1, 1));
        let state = State::Cancelled;
        assert_eq!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { lsn, state });
        assert_eq!(too_late(store, 1), State::Cancelled);
        crate::limits::tests::calls::check_counters(&rig, store, "");
    }
    let mut session = start(&store);
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    assert_eq!(batch.item_keys(), ["k2"]);
    settle(&store, 1..2);
    assert_eq!(too_late(&store, 1), State::Cancelled, "a late answer changes nothing");
}

#[test]
fn an_event_that_was_attempted_cannot_be_cancelled_and_the_answer_tells_its_state() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3)]).unwrap();
    let mut session = start(&store);
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    assert_eq!([1, 2].map(|n| too_late(&store, n)), [State::InFlight; 2]);
    let transient = ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms: None };
    let refused =
        ItemOutcome::Rejected { code: "NO".to_owned(), message: "no".to_owned(), reply: vec![] };
    let items = vec![(key(1).to_string(), transient), (key(2).to_string(), refused)];
    session.on_reply(batch.id, &Reply::of(items), 0).unwrap();
    drop(session);
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!([1, 2].map(|n| too_late(store, n)), [State::Pending, State::InReview]);
        let error = store.cancel(&sales(), &key(4)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "NO_EVENT"));
    }
    store.reviews().resolve(&sales(), &key(2), "note").unwrap();
    settle(&store, 1..2);
    assert_eq!([1, 2].map(|n| too_late(&store, n)), [State::Accepted, State::Rejected]);
    assert!(matches!(store.cancel(&sales(), &key(3)), Ok(Cancellation::Cancelled { .. })));
}

/// The batch that shows it goes, and so does the event's first frame.
#[test]
fn that_an_event_was_attempted_outlives_segments() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    let mut session = start(&store);
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    let transient = ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms: None };
    let items = vec![(key(1).to_string(), transient.clone()), (key(2).to_string(), transient)];
    session.on_reply(batch.id, &Reply::of(items), 0).unwrap();
    drop(session);
    store.capture(&event(3)).unwrap();
    let first = store.inner.log.segments()[0].number;
    for round in 1..=30 {
        let events: Vec<Event> = (0..50).map(|n| sized_event(round * 100 + n, 2_000)).collect();
        store.capture_batch(&events).unwrap();
        settle(&store, round * 100..round * 100 + 50);
    }
    assert!(store.inner.log.segments()[0].number > first + 1, "control: trimmed");
    drop(store);
    let store = rig.open();
    assert_eq!([1, 2].map(|n| too_late(&store, n)), [State::Pending; 2]);
    assert!(matches!(store.cancel(&sales(), &key(3)), Ok(Cancellation::Cancelled { .. })));
}

/// Whatever order segments go in: the fact is carried where the event itself is not.
#[test]
fn that_an_event_was_attempted_is_kept_when_only_the_segment_of_its_batch_goes() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3)]).unwrap();
    let fill = |round: u64| {
        for n in 0..7 {
            store.capture(&sized_event(round * 100 + n, 50_000)).unwrap();
        }
    };
    fill(1);
    // Two batches in one segment: the first is answered, the second stays open.
    let waiting = store.inner.events().waiting(&sales(), 0, 4);
    let options = crate::testing::options();
    let form = |some: &[u64]| {
        store.inner.events().form_batches(options.route(), 0, &[some.to_vec()]).unwrap()
    };
    let answered = form(&waiting[..2]);
    {
        let _one_at_a_time = store.inner.control.lock();
        store.inner.events().settle_events(answered[0].number, &[]).unwrap();
    }
    form(&waiting[2..]);
    fill(2);
    fill(3);
    let before = store.status();
    let segments = store.inner.log.segments();
    assert!(store.inner.cleaner().clean_one(segments[1].number).unwrap());
    assert_eq!(store.status().in_flight, 2, "{before:?}");
    assert!(segments[1].number > store.inner.log.segments()[0].number, "control");
    drop(store);
    let store = rig.open();
    assert_eq!((store.recovery().damage.len(), store.status().in_flight), (0, 2));
    assert_eq!([1, 2].map(|n| too_late(&store, n)), [State::Pending; 2]);
    assert_eq!(too_late(&store, 3), State::InFlight);
    crate::limits::tests::calls::check_counters(&rig, &store, "");
}
