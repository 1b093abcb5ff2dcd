//! Captures that are waited for later, or by nobody; and what an event carries.

use onceward_vfs::{Fault, FaultKind, FaultOp, Survival};

use crate::base::clock::Clock;
use crate::limits::Cancellation;
use crate::store::tests::lost_keys::{capture, damage};
use crate::testing::{Rig, WALL_MS, event, key, keys, other_event, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, Headers, State, Store, Verdict};

fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

/// The next write to the log finds no room.
fn no_room(rig: &Rig) {
    let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
}

/// Whether keys are not known to be durable: the index takes none of them into its files.
fn deferred(store: &Store) -> bool {
    store.inner.state.lock().kernel.commits.deferred_bytes() > 0
}

#[test]
fn a_ticket_tells_the_verdict_once_the_event_is_durable() {
    let rig = Rig::new();
    let store = rig.open();
    let mut one = store.capture_deferred(&event(1)).unwrap();
    let mut two = store.capture_deferred(&event(2)).unwrap();
    let mut again = store.capture_deferred(&event(1)).unwrap();
    let conflict = store.capture_deferred(&other_event(2)).unwrap();
    assert_eq!([one.try_get(), two.try_get(), again.try_get()].map(Result::unwrap), [None; 3]);
    assert_eq!(state(&store, 1), State::Unknown, "not durable: not there");
    assert!(store.pending(&sales(), None, 9).unwrap().is_empty());
    let lost = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(lost.status().pending, 0, "control: nothing was promised");
    let Verdict::Fresh { lsn } = two.wait().unwrap() else { panic!("not fresh") };
    assert!(matches!(one.try_get().unwrap(), Some(Verdict::Fresh { .. })));
    let duplicate = again.try_get().unwrap();
    assert!(matches!(duplicate, Some(Verdict::Duplicate { state: State::Pending, .. })));
    assert_eq!(conflict.wait().unwrap(), Verdict::Conflict { lsn });
    let kept = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&kept.pending(&sales(), None, 9).unwrap()), ["k1", "k2"]);
    assert!(!deferred(&store));
}

#[test]
fn a_capture_that_is_waited_for_makes_those_before_it_durable() {
    let rig = Rig::new();
    let store = rig.open();
    drop(store.capture_deferred(&event(1)).unwrap());
    drop(store.capture_batch_deferred(&[event(2), event(3), event(2)]).unwrap());
    assert!(deferred(&store), "control");
    // A duplicate is answered only once the original is durable.
    assert!(matches!(store.capture(&event(3)).unwrap(), Verdict::Duplicate { .. }));
    assert!(!deferred(&store));
    let kept = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&kept.pending(&sales(), None, 9).unwrap()), ["k1", "k2", "k3"]);
}

#[test]
fn a_tick_makes_durable_what_nobody_waits_for_and_confirms_its_keys() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    drop(store.capture_deferred(&event(2)).unwrap());
    store.tick().unwrap();
    assert!(deferred(&store), "within the linger");
    let covered =
        || store.inner.state.lock().kernel.keys.index().checkpoint(0, onceward_index::Until::Later);
    let before = covered().unwrap().covered;
    rig.clock.advance(200);
    store.tick().unwrap();
    assert!(!deferred(&store));
    assert!(covered().unwrap().covered > before, "the index may keep what is durable");
    let kept = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&kept.pending(&sales(), None, 9).unwrap()), ["k1", "k2"]);
    assert!(matches!(kept.capture(&event(2)).unwrap(), Verdict::Duplicate { .. }));
}

#[test]
fn closing_makes_durable_what_nobody_waited_for() {
    let rig = Rig::new();
    let store = rig.open();
    drop(store.capture_deferred(&event(1)).unwrap());
    store.close().unwrap();
    let rig = rig.after_power_cut(&Survival::Nothing);
    let store = rig.open();
    assert!(store.recovery().clean);
    let ticket = store.capture_deferred(&event(2)).unwrap();
    store.close().unwrap();
    assert!(matches!(ticket.wait().unwrap(), Verdict::Fresh { .. }));
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1", "k2"]);
}

/// T26, T33: keys of what was not stored are free again, whether or not anybody waited.
#[test]
fn a_deferred_capture_that_found_no_room_gives_its_key_back() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    let before = store.status();
    let ticket = store.capture_deferred(&event(2)).unwrap();
    drop(store.capture_batch_deferred(&[event(3), event(4)]).unwrap());
    no_room(&rig);
    let error = ticket.wait().unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    assert_eq!((store.status(), deferred(&store)), (before, false));
    for n in 2..=4 {
        assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Fresh { .. }), "{n}");
    }
    crate::limits::tests::calls::check_counters(&rig, &store, "");
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1", "k2", "k3", "k4"]);
}

#[test]
fn a_tick_that_finds_no_room_withdraws_what_was_dropped() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    drop(store.capture_deferred(&event(2)).unwrap());
    rig.clock.advance(500);
    no_room(&rig);
    assert_eq!(store.tick().unwrap_err().kind(), ErrorKind::Full);
    // Something later is synced, so that the failed number is below the synced one.
    let answer = Answer::Accepted { receipt: Some(receipt(1)) };
    store.settle(&[Settlement { scope: sales(), key: key(1), answer }]).unwrap();
    assert_eq!((state(&store, 2), store.status().pending), (State::Unknown, 0));
    assert!(matches!(store.capture(&event(2)).unwrap(), Verdict::Fresh { .. }));
}

/// T33: the ticket of a repetition does not end with an original that never was.
#[test]
fn the_ticket_of_a_repetition_captures_when_the_original_turns_out_to_be_absent() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(0)).unwrap();
    let original = store.capture_deferred(&event(1)).unwrap();
    let mut waiting = store.capture_deferred(&event(1)).unwrap();
    let other = store.capture_deferred(&other_event(1)).unwrap();
    let batch = store.capture_batch_deferred(&[event(0), event(1)]).unwrap();
    no_room(&rig);
    assert_eq!(original.wait().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(waiting.try_get().unwrap(), None, "captured again, not durable yet");
    let Verdict::Fresh { lsn } = waiting.wait().unwrap() else { panic!("not fresh") };
    let verdicts = batch.wait().unwrap();
    assert!(matches!(verdicts[0], Verdict::Duplicate { .. }), "{verdicts:?}");
    assert_eq!(verdicts[1], Verdict::Duplicate { lsn, state: State::Pending });
    assert_eq!(other.wait().unwrap(), Verdict::Conflict { lsn });
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k0", "k1"]);
}

/// T2: after a failed sync nothing is promised any more.
#[test]
fn tickets_of_a_failed_sync_are_in_doubt_and_stay_so() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(0)).unwrap();
    let mut one = store.capture_deferred(&event(1)).unwrap();
    let two = store.capture_deferred(&event(1)).unwrap();
    let (op, kind) = (FaultOp::SyncData, FaultKind::Eio);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    for error in [two.wait().unwrap_err(), one.try_get().unwrap_err(), one.wait().unwrap_err()] {
        assert!(error.in_doubt(), "{error}");
    }
    assert_eq!(store.capture_deferred(&event(2)).unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn what_is_queued_is_bounded() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_segment_bytes(4 * 1024 * 1024);
    let store = rig.open();
    for n in 0..300 {
        drop(store.capture_deferred(&sized_event(n, 50_000)).unwrap());
        let bytes = store.inner.state.lock().kernel.commits.deferred_bytes();
        assert!(bytes < 7 * 1024 * 1024, "{n}: {bytes}");
    }
    store.close().unwrap();
    assert_eq!(rig.open().status().pending, 300);
}

#[test]
fn an_event_that_was_queued_can_be_cancelled() {
    let rig = Rig::new();
    let store = rig.open();
    let ticket = store.capture_deferred(&event(1)).unwrap();
    let lsn = ticket.wait().unwrap().lsn();
    drop(store.capture_deferred(&event(2)).unwrap());
    assert_eq!(store.cancel(&sales(), &key(1)).unwrap(), Cancellation::Cancelled { lsn });
    store.cancel(&sales(), &key(2)).unwrap();
    store.capture(&event(0)).unwrap();
    drop(store.capture_deferred(&event(3)).unwrap());
    no_room(&rig);
    let error = store.cancel(&sales(), &key(3)).unwrap_err();
    assert_eq!(error.code(), "NO_EVENT", "{error}");
    crate::limits::tests::calls::check_counters(&rig, &store, "");
}

#[test]
fn threads_that_defer_and_wait_agree_on_one_fresh_event_for_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), crate::Config::new()).unwrap();
    let fresh = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, fresh) = (&store, &fresh);
            scope.spawn(move || {
                let tickets: Vec<_> = (0..200)
                    .map(|n| store.capture_deferred(&event((n * 7 + thread * 13) % 200)).unwrap())
                    .collect();
                for ticket in tickets {
                    if matches!(ticket.wait().unwrap(), Verdict::Fresh { .. }) {
                        fresh.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(fresh.into_inner(), 200);
    assert_eq!(store.status().pending, 200);
    assert!(!deferred(&store));
    store.close().unwrap();
}

#[test]
fn headers_travel_with_the_event_and_make_no_other_event_of_it() {
    let rig = Rig::new();
    let store = rig.open();
    let headers = Headers::new().with("trace-id", "4bf9").unwrap().with("till", "7").unwrap();
    let with = event(1).with_headers(headers.clone());
    let lsn = store.capture(&with).unwrap().lsn();
    let duplicate = Verdict::Duplicate { lsn, state: State::Pending };
    assert_eq!(store.capture(&event(1)).unwrap(), duplicate, "headers are not compared");
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!(store.find(&sales(), &key(1)).unwrap().unwrap().event, with);
        assert_eq!(rig.look().events().next().unwrap().unwrap().event.headers, headers);
    }
}

#[test]
fn an_event_tells_by_which_clocks_it_was_captured_also_after_its_segment_is_gone() {
    let rig = Rig::new();
    let store = rig.open();
    rig.clock.advance(1_000);
    store.capture(&event(1)).unwrap();
    rig.clock.step_wall(-5_000_000);
    rig.clock.advance(30);
    store.capture(&event(2)).unwrap();
    let found = |store: &Store, n| store.find(&sales(), &key(n)).unwrap().unwrap();
    let (one, two) = (found(&store, 1), found(&store, 2));
    assert_eq!((one.mono_ms, two.mono_ms), (77 + 1_000, 77 + 1_030));
    assert_eq!(one.wall_ms, Some(WALL_MS + 1_000));
    assert_eq!(one.boot.as_bytes(), &rig.clock.boot());
    // A run that begins after a failed append goes by the same clocks.
    no_room(&rig);
    store.capture(&event(3)).unwrap_err();
    rig.clock.advance(10);
    store.capture(&event(3)).unwrap();
    assert_eq!(found(&store, 3).mono_ms, 77 + 1_040);
    drop(store);
    let store = rig.open();
    let same = |store: &Store| {
        assert_eq!([found(store, 1), found(store, 2)], [one.clone(), two.clone()]);
        assert_eq!(found(store, 3).mono_ms, 77 + 1_040);
    };
    same(&store);
    assert_eq!(rig.look().events().next().unwrap().unwrap(), one);
    let first = store.inner.log.segments()[0].number;
    for round in 1..=30 {
        let events: Vec<Event> = (0..50).map(|n| sized_event(round * 100 + n, 2_000)).collect();
        store.capture_batch(&events).unwrap();
        for n in round * 100..round * 100 + 50 {
            let answer = Answer::Accepted { receipt: None };
            store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
        }
    }
    assert!(store.inner.log.segments()[0].number > first + 1, "control: trimmed");
    same(&store);
    same(&rig.after_kill().open());
    assert_eq!(rig.look().events().next().unwrap().unwrap(), one);
}

/// The last event is lost, its number is kept from others, and the log says of it that it was cut.
#[test]
fn nobody_waits_for_an_event_of_which_nothing_is_left() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&sized_event(9, 2_000)).unwrap();
    let lsns: Vec<u64> = (0..3).map(|n| capture(&store, n)).collect();
    store.tick().unwrap();
    let rig = rig.after_kill();
    damage(&rig, lsns[2]);
    let store = rig.open();
    assert_eq!(store.recovery().keys_of_lost_frames, 1, "control");
    let ticket = store.capture_batch_deferred(&[event(2), event(50)]).unwrap();
    let told = ticket.wait().unwrap();
    let is_lost = |verdict: &Verdict| matches!(verdict, Verdict::Duplicate { state: State::OutcomeUnknown, lsn } if lsn.get() == lsns[2]);
    assert!(is_lost(&told[0]) && matches!(told[1], Verdict::Fresh { .. }), "{told:?}");
    let mut ticket = store.capture_deferred(&event(2)).unwrap();
    assert!(is_lost(&ticket.try_get().unwrap().unwrap()));
    let cancelled = store.cancel(&sales(), &key(2)).unwrap();
    assert!(
        matches!(cancelled, Cancellation::TooLate { state: State::OutcomeUnknown, .. }),
        "{cancelled:?}"
    );
}
