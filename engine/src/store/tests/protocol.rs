//! Whoever writes comes behind what was queued before, and judges by the time that it is, whatever kind of call it is.
//!
//! Method: a capture that nobody waits for is queued first; then each call that writes is made, on a disk that works,
//! and on one that had no room for that capture, which another thread learned.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use onceward_vfs::{Fault, FaultKind, FaultOp, Survival};

use crate::capture::{Applied, Effect, WouldAccept};
use crate::inbox::tests::calls::{delivery, fresh, payload};
use crate::inbox::{Received, WindowId};
use crate::kernel::Areas;
use crate::records::tests::calls::{acquired, begin, body};
use crate::records::{LeaseReply, LeaseRequest};
use crate::testing::{Rig, WINDOW_MS, event, key, keys, receipt, sales};
use crate::{Answer, ErrorKind, Event, Key, Lsn, Result, Settlement, State, Store, Verdict};

/// The event that nobody waits for.
const DEFERRED: u64 = 50;
/// Longer than every window of the tests, with its slices.
const OVER_MS: u64 = 2 * WINDOW_MS;

/// A call that writes, and its name.
type Write = (&'static str, fn(&Store, Lsn) -> Result<()>);

/// Every kind of call that writes; each has something to do in a store of [`prepared`], whose delivery has this number.
const WRITES: [Write; 9] = [
    ("capture", |store, _| store.capture(&event(60)).map(drop)),
    ("wait for a ticket", |store, _| store.capture_deferred(&event(61))?.wait().map(drop)),
    ("apply", |store, _| {
        store.apply_batch(&[Effect { event: event(62), receipt: receipt(62) }]).map(drop)
    }),
    ("settle", |store, _| store.settle(&[accepted(1)])),
    ("cancel", |store, _| store.cancel(&sales(), &key(2)).map(drop)),
    ("begin", |store, _| store.records().begin(&LeaseRequest::new(sales(), key(63))).map(drop)),
    ("receive", |store, _| store.inbox().receive(&delivery(2)).map(drop)),
    ("ack", |store, lsn| store.inbox().ack(lsn).map(drop)),
    ("open a window", |store, _| {
        store.inbox().open_window(&WindowId::new("w-1")?, Duration::from_mins(5))
    }),
];

fn accepted(n: u64) -> Settlement {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    Settlement { scope: sales(), key: key(n), answer }
}

/// Two pending events, and a delivery that is not finished.
fn prepared(rig: &Rig) -> (Store, Lsn) {
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    let lsn = fresh(&store, &delivery(1));
    (store, lsn)
}

fn is_all_resolved(store: &Store) -> bool {
    store.inner.state.lock().kernel().commits.oldest().is_none()
}

/// Another thread waits for all that is queued, and learns that the disk has no room for it.
fn another_learns_of_a_full_disk(rig: &Rig, store: &Store) {
    let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    let queued = store.inner.state.lock().kernel().commits.oldest().unwrap();
    store.inner.log.wait(Lsn::from_u64(queued.last).unwrap()).unwrap_err();
}

#[test]
fn every_call_that_writes_comes_behind_what_was_deferred_and_answers_it_too() {
    for (name, write) in WRITES {
        let rig = Rig::new();
        let (store, lsn) = prepared(&rig);
        drop(store.capture_deferred(&event(DEFERRED)).unwrap());
        assert!(!is_all_resolved(&store), "control: {name}");
        write(&store, lsn).unwrap();
        assert!(is_all_resolved(&store), "{name}");
        assert_eq!(
            store.outcome(&sales(), &key(DEFERRED)).unwrap().state,
            State::Pending,
            "{name}"
        );
        let store = rig.after_power_cut(&Survival::Nothing).open();
        assert_eq!(
            store.outcome(&sales(), &key(DEFERRED)).unwrap().state,
            State::Pending,
            "{name}"
        );
    }
}

#[test]
fn every_call_that_writes_first_takes_back_what_is_known_to_be_absent() {
    for (name, write) in WRITES {
        let rig = Rig::new();
        let (store, lsn) = prepared(&rig);
        drop(store.capture_deferred(&event(DEFERRED)).unwrap());
        another_learns_of_a_full_disk(&rig, &store);
        write(&store, lsn).unwrap();
        assert!(is_all_resolved(&store), "{name}");
        assert_eq!(
            store.outcome(&sales(), &key(DEFERRED)).unwrap().state,
            State::Unknown,
            "{name}"
        );
        assert!(
            matches!(store.capture(&event(DEFERRED)).unwrap(), Verdict::Fresh { .. }),
            "{name}"
        );
        crate::limits::tests::calls::check_counters(&rig, &store, name);
    }
}

/// An answer to a delivery is not pushed to another name by an event that never was.
#[test]
fn the_key_of_a_capture_that_is_absent_is_free_for_the_answer_to_a_delivery() {
    let rig = Rig::new();
    let config = rig.config.clone().with_inbox_scope(sales());
    let rig = Rig { config, ..rig };
    let (store, lsn) = prepared(&rig);
    let taken = Event::new(sales(), Key::new("ack:e1").unwrap(), payload(5));
    drop(store.capture_deferred(&taken).unwrap());
    another_learns_of_a_full_disk(&rig, &store);
    store.inbox().ack(lsn).unwrap();
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1", "k2", "ack:e1"]);
}

/// Nobody has ticked since, and the first call after the window finds the key free.
#[test]
fn every_call_that_judges_a_key_first_forgets_what_is_over() {
    type Judge = (&'static str, fn(&Store) -> bool);
    let judges: [Judge; 5] = [
        ("capture", |store| matches!(store.capture(&event(1)), Ok(Verdict::Fresh { .. }))),
        ("would_accept", |store| matches!(store.would_accept(&event(1)), Ok(WouldAccept::Fresh))),
        ("apply", |store| {
            let effect = Effect { event: event(1), receipt: receipt(1) };
            matches!(store.apply_batch(&[effect]).unwrap()[..], [Applied::Fresh { .. }])
        }),
        ("begin", |store| matches!(begin(store, 1), LeaseReply::Acquired(_))),
        ("receive", |store| {
            matches!(store.inbox().receive(&delivery(1)), Ok(Received::Fresh { .. }))
        }),
    ];
    for (name, is_free) in judges {
        let rig = Rig::new();
        let config = rig.config.clone();
        let window = Duration::from_millis(WINDOW_MS);
        let config = config.with_record_life(window).with_inbox_window(window);
        let rig = Rig { config, ..rig };
        let (store, lsn) = prepared(&rig);
        store.settle(&[accepted(1)]).unwrap();
        store.inbox().ack(lsn).unwrap();
        let lease = acquired(&store, 1);
        store.records().complete(&lease, &body(1, 0)).unwrap();
        assert!(!is_free(&store), "control: {name}");
        rig.clock.advance(OVER_MS);
        assert!(is_free(&store), "{name}");
    }
}

/// Keys that the log has and the index's files have not are bounded, whoever takes them.
#[test]
fn leases_and_deliveries_count_towards_the_next_checkpoint_as_captures_do() {
    type Take = (&'static str, fn(&Store, u64));
    let takes: [Take; 3] = [
        ("capture", |store, n| {
            assert!(matches!(store.capture(&event(n)), Ok(Verdict::Fresh { .. })));
        }),
        ("begin", |store, n| drop(acquired(store, n))),
        ("receive", |store, n| assert!(fresh(store, &delivery(n)).get() > 0)),
    ];
    for (name, take) in takes {
        let mut rig = Rig::new();
        rig.config.index_log_bytes_max = u64::MAX;
        let store = rig.open();
        let before = store.inner.keys_since_checkpoint();
        take(&store, 7);
        assert!(store.inner.keys_since_checkpoint() > before, "{name}");
    }
}

/// A till that asks at once must not sell under a second number what is stored.
#[test]
fn after_a_failed_sync_no_key_is_said_to_be_unknown_until_the_store_is_opened_again() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    let (op, kind) = (FaultOp::SyncData, FaultKind::Eio);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    assert!(store.capture(&event(2)).unwrap_err().in_doubt(), "control");
    let refused = [
        store.outcome(&sales(), &key(2)).map(drop).unwrap_err(),
        store.find(&sales(), &key(2)).map(drop).unwrap_err(),
        store.would_accept(&event(2)).map(drop).unwrap_err(),
        store.records().get(&sales(), &key(2)).map(drop).unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{error}");
    }
    // What is known is still said.
    assert_eq!(store.outcome(&sales(), &key(1)).unwrap().state, State::Pending);
    assert!(store.find(&sales(), &key(1)).unwrap().is_some());
    drop(store);
    let store = rig.after_kill().open();
    assert_eq!(store.outcome(&sales(), &key(2)).unwrap().state, State::Pending);
    store.close().unwrap();
    assert_eq!(
        store.outcome(&sales(), &key(3)).unwrap().state,
        State::Unknown,
        "nothing is in doubt"
    );
}

/// Somebody has the state, for as long as it takes: an event is told to be stored all the same, and applied by who
/// comes next.
#[test]
fn who_waits_for_an_event_does_not_wait_for_the_state() {
    let rig = Rig::new();
    let store = rig.open();
    let (first, second) = (event(1), event(2));
    let tickets = [&first, &second].map(|event| store.capture_deferred(event).unwrap());
    let state = store.inner.state.lock();
    let (told, hears) = mpsc::channel();
    let waiting = thread::spawn(move || {
        for ticket in tickets {
            told.send(ticket.wait().unwrap()).unwrap();
        }
    });
    for _ in 0..2 {
        let verdict = hears.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(matches!(verdict, Verdict::Fresh { .. }), "{verdict:?}");
    }
    drop(state);
    waiting.join().unwrap();
    assert!(!is_all_resolved(&store), "control: nobody had the state meanwhile");
    assert!(matches!(store.capture(&first).unwrap(), Verdict::Duplicate { .. }));
    assert!(is_all_resolved(&store));
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert!(matches!(store.capture(&second).unwrap(), Verdict::Duplicate { .. }));
}

/// The files of the index have every key of a store that was closed, also where nobody came to apply its commit.
#[test]
fn closing_applies_what_was_left_to_who_comes_next() {
    let rig = Rig::new();
    let store = rig.open();
    let ticket = store.capture_deferred(&event(1)).unwrap();
    let state = store.inner.state.lock();
    let waiting = thread::spawn(move || ticket.wait().unwrap());
    waiting.join().unwrap();
    drop(state);
    assert!(!is_all_resolved(&store), "control");
    store.close().unwrap();
    assert!(is_all_resolved(&store));
    drop(store);
    let store = rig.after_kill().open();
    assert_eq!(store.inner.state.lock().kernel().keys.coverage().upto(), 2, "all is covered");
}

/// A key that was noted because its frame may fail is forgotten once it cannot: memory would grow with every event.
#[test]
fn keys_of_frames_that_are_durable_are_kept_nowhere_but_in_the_index() {
    let rig = Rig::new();
    let store = rig.open();
    let noted = || store.inner.state.lock().outbox.events().keys().unconfirmed_count();
    let ticket = store.capture_deferred(&event(1)).unwrap();
    drop(store.capture_deferred(&event(2)).unwrap());
    assert_eq!(noted(), 2, "control");
    ticket.wait().unwrap();
    store.capture_batch(&[event(3), event(4)]).unwrap();
    store.apply_batch(&[Effect { event: event(5), receipt: receipt(5) }]).unwrap();
    store.capture(&event(6)).unwrap();
    store.tick().unwrap();
    assert!(is_all_resolved(&store));
    assert_eq!(noted(), 0);
}
