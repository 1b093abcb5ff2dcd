//! Space comes back, and nothing that is needed goes with it.

use onceward_vfs::{Fault, FaultKind, FaultOp, Vfs};

use crate::base::Located;
use crate::base::{FrameKind, codec};
use crate::capture::{Applied, Effect};
use crate::kernel::{FrameBody, KeyEntry, KeysFrame, Share};
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::{
    Rig, SEGMENT_BYTES, event, key, keys, other_event, receipt, sales, sized_event,
};
use crate::{Answer, Settlement};
use crate::{Event, State, Store, Verdict};

fn accepted(n: u64) -> Settlement {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    Settlement { scope: sales(), key: key(n), answer }
}

/// Captures and settles events `first..first + count` of about `bytes` bytes each.
fn round(store: &Store, first: u64, count: u64, bytes: usize) {
    let events: Vec<Event> = (first..first + count).map(|n| sized_event(n, bytes)).collect();
    store.capture_batch(&events).unwrap();
    let answers: Vec<Settlement> = (first..first + count).map(accepted).collect();
    store.settle(&answers).unwrap();
}

/// How many segments went.
fn trimmed(store: &Store) -> u64 {
    let segments = store.inner.log.segments();
    segments.last().unwrap().number - segments.len() as u64
}

fn assert_settled(store: &Store, n: u64, bytes: usize) {
    let outcome = store.outcome(&sales(), &key(n)).unwrap();
    assert_eq!((outcome.state, outcome.receipt), (State::Accepted, Some(receipt(n))), "{n}");
    let verdict = store.capture(&sized_event(n, bytes)).unwrap();
    let lsn = outcome.lsn.unwrap();
    assert_eq!(verdict, Verdict::Duplicate { lsn, state: State::Accepted }, "{n}");
    assert_eq!(store.capture(&other_event(n)).unwrap(), Verdict::Conflict { lsn }, "{n}");
}

#[test]
fn keys_stay_taken_with_their_receipts_after_their_segment_is_gone() {
    let rig = Rig::new();
    let store = rig.open();
    let first = trimmed_after(&store, 1);
    round(&store, 10, 20, 1_000);
    assert!(store.find(&sales(), &key(10)).unwrap().is_some(), "control: the body is there");
    for n in 1..=30 {
        round(&store, n * 100, 50, 2_000);
    }
    assert!(trimmed(&store) > first, "control: trimmed");
    assert_eq!(store.find(&sales(), &key(10)).unwrap(), None, "the body is gone");
    (10..30).for_each(|n| assert_settled(&store, n, 1_000));
    assert_eq!(store.status().keys, 1 + 20 + 30 * 50);
    drop(store);
    let store = rig.open();
    (10..30).for_each(|n| assert_settled(&store, n, 1_000));
    // The key entries themselves move when their segment is cleaned.
    let before = trimmed(&store);
    for n in 31..=90 {
        round(&store, n * 100, 50, 2_000);
    }
    assert!(trimmed(&store) > before + 8, "control: several turns");
    for store in [store, rig.after_kill().open()] {
        (10..30).for_each(|n| assert_settled(&store, n, 1_000));
        assert_eq!(store.status().keys, 1 + 20 + 90 * 50);
        assert_eq!(store.recovery().damage, []);
    }
}

/// Settles event `n` and returns how many segments went.
fn trimmed_after(store: &Store, n: u64) -> u64 {
    round(store, n, 1, 10);
    trimmed(store)
}

/// P5, and an outage of a month pins nothing.
#[test]
fn an_event_that_nobody_settles_pins_no_segment_and_is_kept_whole() {
    let rig = Rig::new();
    let store = rig.open();
    rig.clock.advance(1_234);
    let old = sized_event(0, 30_000);
    let lsn = store.capture(&old).unwrap().lsn();
    let captured_at_ms = store.pending(&sales(), None, 1).unwrap()[0].captured_at_ms;
    let mut went = Vec::new();
    for day in 0..30 {
        rig.clock.advance(24 * 3_600_000);
        for n in 0..4 {
            round(&store, 1_000 + day * 1_000 + n * 100, 50, 2_000);
        }
        went.push(trimmed(&store));
        assert!(store.status().bytes <= 10 * SEGMENT_BYTES, "{:?}", store.status());
    }
    assert!(went[29] > went[0] + 20, "control: trimmed all the time: {went:?}");
    for store in [store, rig.after_kill().open()] {
        let pending = store.pending(&sales(), None, 9).unwrap();
        assert_eq!((pending.len(), pending[0].lsn), (1, lsn));
        assert_eq!((&pending[0].event, pending[0].captured_at_ms), (&old, captured_at_ms));
        let verdict = store.capture(&old).unwrap();
        assert_eq!(verdict, Verdict::Duplicate { lsn, state: State::Pending });
        assert_eq!(store.status().pending, 1);
    }
    let store = rig.after_kill().open();
    store.settle(&[accepted(0)]).unwrap();
    assert_settled(&store, 0, 30_000);
}

#[test]
fn review_items_and_open_batches_outlive_their_segments() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2), event(3), event(4)]).unwrap();
    let reject = |n: u64| {
        let (code, message) = (format!("CODE_{n}"), "m".to_owned());
        let answer = Answer::Rejected { code, message, reply: b"r".to_vec() };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    };
    reject(1);
    reject(2);
    store.reviews().retry(&sales(), &key(2)).unwrap();
    reject(2);
    let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
    assert_eq!(reviews.len(), 2);
    let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
    let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
    assert_eq!(batch.item_keys(), ["k3", "k4"]);
    drop(session);
    let before = trimmed(&store);
    for n in 1..=60 {
        round(&store, n * 100, 50, 2_000);
    }
    assert!(trimmed(&store) > before + 8, "control: several turns");
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.reviews().list(&ReviewFilter::new()).unwrap(), reviews);
        assert_eq!((store.status().in_flight, store.status().pending), (2, 0));
        let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
        let Step::Send(again) = session.next(0).unwrap() else { panic!("nothing to send") };
        assert_eq!(
            (&again.idempotency_key, again.item_keys()),
            (&batch.idempotency_key, batch.item_keys())
        );
        drop(session);
        store.reviews().retry(&sales(), &key(2)).unwrap();
        store.reviews().resolve(&sales(), &key(1), "done").unwrap();
    }
    let store = rig.open();
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k2", "k3", "k4"]);
    assert_eq!(store.outcome(&sales(), &key(1)).unwrap().state, State::Rejected);
}

#[test]
fn receipts_of_effects_outlive_their_segments() {
    let rig = Rig::new();
    let store = rig.open();
    for first in (0..4_000).step_by(100) {
        let effects: Vec<Effect> = (first..first + 100)
            .map(|n| Effect { event: sized_event(n, 500), receipt: receipt(n) })
            .collect();
        store.apply_batch(&effects).unwrap();
        store.tick().unwrap();
    }
    assert!(trimmed(&store) > 3, "control: trimmed");
    for store in [store, rig.after_kill().open()] {
        for n in (0..4_000).step_by(39) {
            let again = Effect { event: sized_event(n, 500), receipt: receipt(9_999) };
            let applied = store.apply_batch(&[again]).unwrap();
            let [Applied::Duplicate { receipt: original, .. }] = &applied[..] else {
                panic!("{n}: {applied:?}");
            };
            assert_eq!(*original, Some(receipt(n)));
        }
        assert_eq!(store.status().settled, 4_000);
    }
}

/// P5: 50,000 rounds of capturing and settling.
#[test]
fn disk_use_stays_bounded_however_much_goes_through() {
    let rig = Rig::new();
    let store = rig.open();
    let mut bytes = Vec::new();
    for n in 0..100 {
        round(&store, n * 500, 500, 10);
        bytes.push(store.status().bytes);
        // 20 rounds a window: 10,000 keys are remembered, 1.3 MB at most.
        rig.clock.advance(180_000);
    }
    let most = |part: &[u64]| part.iter().copied().max().unwrap();
    let (early, late) = (most(&bytes[25..50]), most(&bytes[50..]));
    assert!(late <= early + SEGMENT_BYTES, "{early} then {late}");
    assert!(late <= 16 * SEGMENT_BYTES, "{late}");
    assert!(store.status().keys <= 24 * 500, "{:?}", store.status());
    let (clock, keys) = (rig.clock.clone(), store.status().keys);
    drop(store);
    let store = rig.open();
    assert!(store.status().keys >= keys && store.status().keys <= keys + 1_000);
    clock.advance(2 * 3_600_000);
    store.tick().unwrap();
    assert_eq!(store.status().keys, 0, "gone when the window is over");
}

#[test]
fn a_key_that_comes_again_after_its_window_is_a_new_event_also_after_reopening() {
    let rig = Rig::new();
    let store = rig.open();
    round(&store, 1, 1, 100);
    let first = store.outcome(&sales(), &key(1)).unwrap().lsn.unwrap();
    (1..=20).for_each(|n| round(&store, n * 100, 50, 2_000));
    rig.clock.advance(2 * 3_600_000);
    store.tick().unwrap();
    let again = sized_event(1, 200);
    let second = store.capture(&again).unwrap();
    assert!(matches!(second, Verdict::Fresh { lsn } if lsn > first), "{second:?}");
    let expected = Verdict::Duplicate { lsn: second.lsn(), state: State::Pending };
    assert_eq!(rig.after_kill().open().capture(&again).unwrap(), expected);
    (21..=60).for_each(|n| round(&store, n * 100, 50, 2_000));
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.capture(&again).unwrap(), expected);
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1"]);
    }
}

/// A window ends while cleaning carries its keys, and one of them comes again: the new event keeps it.
#[test]
fn keys_that_are_carried_too_late_do_not_take_a_key_from_the_event_that_came_after() {
    let rig = Rig::new();
    let store = rig.open();
    round(&store, 1, 1, 10);
    let first = store.outcome(&sales(), &key(1)).unwrap().lsn.unwrap();
    let inner = &store.inner;
    let late = {
        let state = inner.state.lock();
        let fingerprint = state.kernel.secret.fingerprint("sales", b"k1");
        let entry = state.kernel.keys.find(fingerprint).unwrap().unwrap();
        KeyEntry {
            fingerprint: fingerprint.as_u128(),
            event: first.get(),
            content_hash: entry.content.as_u64(),
            slice_begin: 0,
            state: State::Accepted.code(),
            receipt: Vec::new(),
        }
    };
    rig.clock.advance(2 * 3_600_000);
    store.tick().unwrap();
    let second = store.capture(&sized_event(1, 20)).unwrap();
    assert!(matches!(second, Verdict::Fresh { .. }), "control: {second:?}");
    let keys = KeysFrame {
        scope: "sales".to_owned(),
        entries: vec![late],
        settled_ms: 0,
        has_moved: false,
    };
    {
        let _one_at_a_time = inner.control.lock();
        let frame = FrameBody::new(FrameKind::Keys, codec::encode(&keys));
        let written = inner.write(&[frame], Share::Decisions).unwrap();
        let state = &mut *inner.state.lock();
        state.outbox.apply_keys(&mut state.kernel, &keys, written.placed[0]);
    }
    let expected = Verdict::Duplicate { lsn: second.lsn(), state: State::Pending };
    for store in [&store, &rig.after_kill().open()] {
        assert_eq!(store.capture(&sized_event(1, 20)).unwrap(), expected);
        assert_eq!(store.status().pending, 1);
    }
}

/// Flips a bit of the frame at `at`.
fn damage(rig: &Rig, store: &Store, at: Located) {
    let segments = store.inner.log.segments();
    let position = segments.iter().position(|it| it.number == at.place.segment).unwrap();
    let mut names = rig.disk.list("log").unwrap();
    names.sort();
    let path = format!("log/{}", names[position]);
    rig.disk.flip_bit(&path, u64::from(at.place.offset + at.bytes / 2), 1);
}

/// P2, P4: a segment in which something cannot be found stays until an opening tells of it.
#[test]
fn a_frame_that_is_damaged_while_the_store_is_open_is_not_trimmed_as_if_it_were_nothing() {
    let settled = |store: &Store| {
        let state = store.inner.state.lock();
        let first = state.outbox.events().packed().settled_between(..).next();
        first.unwrap().1.at
    };
    let an_effect = |store: &Store| {
        store.apply_batch(&[Effect { event: event(1), receipt: receipt(1) }]).unwrap();
        settled(store)
    };
    let an_open_batch = |store: &Store| {
        let lsn = store.capture(&event(1)).unwrap().lsn().get();
        store
            .inner
            .events()
            .form_batches(crate::testing::options().route(), 0, &[vec![lsn]])
            .unwrap();
        store.inner.state.lock().outbox.batches().values().next().unwrap().at
    };
    let carried_keys = |store: &Store| {
        round(store, 1, 3, 100);
        let lsn = store.outcome(&sales(), &key(1)).unwrap().lsn.unwrap().get();
        let is_carried = || store.inner.state.lock().outbox.events().outcomes().get(lsn).is_some();
        (1..100).take_while(|_| !is_carried()).for_each(|n| round(store, n * 100, 50, 2_000));
        let state = store.inner.state.lock();
        state.outbox.events().outcome_at(&state.kernel, lsn).unwrap()
    };
    type Make<'a> = &'a dyn Fn(&Store) -> Located;
    let kinds: [(&str, Make<'_>); 3] = [
        ("an effect", &an_effect),
        ("an open batch", &an_open_batch),
        ("carried keys", &carried_keys),
    ];
    for (what, make) in kinds {
        let rig = Rig::new();
        let store = rig.open();
        let at = make(&store);
        let state = || store.inner.state.lock().outbox.events().state_of(2);
        let before = state();
        damage(&rig, &store, at);
        (1_000..1_030).for_each(|n| round(&store, n * 100, 50, 2_000));
        let segments = store.inner.log.segments();
        assert!(segments.iter().any(|it| it.number == at.place.segment), "{what}");
        assert_eq!(state(), before, "{what}");
        let recovery = rig.after_kill().open().recovery().clone();
        assert_eq!(recovery.damage.len(), 1, "{what}: {recovery:?}");
    }
}

/// A disk that refuses once to rename, remove or sync a name costs a file until the next opening, not all cleaning.
#[test]
fn cleaning_goes_on_after_a_file_could_not_be_given_back() {
    for op in [FaultOp::Rename, FaultOp::Remove, FaultOp::SyncDir] {
        for kind in [FaultKind::Eio, FaultKind::Enospc] {
            let rig = Rig::new();
            let store = rig.open();
            let before = trimmed_after(&store, 1);
            let name_contains = "log".to_owned();
            rig.disk.plan(Fault { op, name_contains, nth: 0, kind, forever: false });
            let mut refused = 0;
            for n in 1..=30 {
                let numbers = n * 100..n * 100 + 50;
                let events: Vec<Event> = numbers.clone().map(|n| sized_event(n, 2_000)).collect();
                let answers: Vec<Settlement> = numbers.map(accepted).collect();
                // A capture that is refused is tried again.
                while store.capture_batch(&events).is_err() {
                    refused += 1;
                }
                refused += usize::from(store.settle(&answers).is_err());
                refused += usize::from(store.tick().is_err());
            }
            assert!(refused <= 1, "{op:?} {kind:?}: refused {refused} times");
            assert!(trimmed(&store) > before + 5, "{op:?} {kind:?}: it goes on");
            drop(store);
            let store = rig.after_kill().open();
            assert_eq!(store.recovery().damage, [], "{op:?} {kind:?}");
            assert_eq!(store.status().unsettled_bytes, 0, "{op:?} {kind:?}");
        }
    }
}
