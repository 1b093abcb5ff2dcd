//! T20, T22: a full disk refuses captures, keeps what it has, and lets settling give room.

use onceward_vfs::{Fault, FaultKind, FaultOp};

use crate::base::FrameKind;
use crate::kernel::discard_summaries;
use crate::records::tests::calls::{acquired, asks, body};
use crate::records::{LeaseReply, RecordState};
use crate::store::tests::lost_keys::frames;
use crate::testing::{Rig, SEGMENT_BYTES, event, key, keys, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, State, Store, Verdict};

/// Captures until the disk is full; returns how many were stored.
fn fill(store: &Store, first: u64) -> u64 {
    for n in first..first + 1_000 {
        match store.capture(&sized_event(n, 20_000)) {
            Ok(verdict) => assert!(matches!(verdict, Verdict::Fresh { .. }), "{n}: {verdict:?}"),
            Err(error) => {
                assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
                return n - first;
            }
        }
    }
    panic!("the disk is never full");
}

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

#[test]
fn a_full_disk_refuses_captures_and_settling_makes_room() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(6 * SEGMENT_BYTES));
    let stored = fill(&store, 0);
    assert!(stored > 40, "{stored}");
    // T26: what was refused is not a duplicate.
    assert_eq!(store.outcome(&sales(), &key(stored)).unwrap().state, State::Unknown);
    assert_eq!(store.status().pending, stored);
    let all: Vec<String> = (0..stored).map(|n| format!("k{n}")).collect();
    let reopened = rig.after_kill();
    assert_eq!(keys(&reopened.open().pending(&sales(), None, 1_000).unwrap()), all);

    let verdict = store.capture(&sized_event(0, 20_000)).unwrap();
    assert!(matches!(verdict, Verdict::Duplicate { .. }), "duplicates need no room");
    for n in 0..stored {
        settle(&store, n);
        assert_eq!(store.outcome(&sales(), &key(n)).unwrap().receipt, Some(receipt(n)));
    }
    let again = fill(&store, stored);
    // The index has files of its own.
    assert!(again * 2 >= stored, "{again} after {stored}");
    for store in [store, rig.after_kill().open()] {
        assert_eq!((store.status().settled, store.status().pending), (stored, again));
        let outcome = store.outcome(&sales(), &key(1)).unwrap();
        assert_eq!((outcome.state, outcome.receipt), (State::Accepted, Some(receipt(1))));
    }
}

#[test]
fn captures_go_on_when_space_comes_back() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(2 * SEGMENT_BYTES));
    let stored = fill(&store, 0);
    rig.disk.set_free_bytes(None);
    let verdict = store.capture(&sized_event(stored, 20_000)).unwrap();
    assert!(matches!(verdict, Verdict::Fresh { .. }));
    assert_eq!(store.status().pending, stored + 1);
}

/// P3: the line works, the disk is full, and everything that is stored can be settled.
#[test]
fn a_store_that_was_closed_on_a_full_disk_opens_and_settles() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.set_free_bytes(Some(5 * SEGMENT_BYTES));
    let stored = fill(&store, 0);
    store.close().unwrap();
    for _ in 0..3 {
        rig.disk.set_free_bytes(Some(0));
        drop(rig.open());
    }
    let store = rig.open();
    (0..stored).for_each(|n| settle(&store, n));
    assert_eq!(store.status().pending, 0);
    assert!(fill(&store, stored) > 0, "room came back");
}

/// T26: the write itself finds no room.
#[test]
fn a_capture_whose_write_found_no_room_leaves_neither_key_nor_count_behind() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&sized_event(1, 10)).unwrap();
    for _ in 0..3 {
        let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
        rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
        let error = store.capture_batch(&[sized_event(2, 10), sized_event(3, 10)]).unwrap_err();
        assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
        // Something later is synced, so that the failed numbers are below the synced one.
        store.capture(&sized_event(1, 10)).unwrap();
        settle(&store, 77);
        let n = 10 + store.status().keys;
        store.capture(&sized_event(n, 10)).unwrap();
        assert_eq!((store.status().keys, store.status().pending), (n - 9, n - 9));
        assert_eq!(store.outcome(&sales(), &key(2)).unwrap().state, State::Unknown);
        assert!(!keys(&store.pending(&sales(), None, 99).unwrap()).contains(&key(2).to_string()));
    }
    let verdicts = store.capture_batch(&[sized_event(2, 10), sized_event(3, 10)]).unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
    let told = store.status();
    drop(store);
    assert_eq!(rig.open().status().keys, told.keys);
}

/// 8,000 lost events and a lost record, a disk without room, and segments of 256 KiB.
#[test]
fn lost_keys_leave_the_reserve_to_what_gives_room_back_and_none_is_forgotten() {
    let rig = Rig::new();
    let store = rig.open();
    for first in (0..8_000).step_by(1_000) {
        let all: Vec<Event> = (first..first + 1_000).map(event).collect();
        store.capture_batch(&all).unwrap();
    }
    // Of all keys the last one that is told, so that it finds no room.
    let lease = acquired(&store, 1);
    store.records().complete(&lease, &body(1, 10)).unwrap();
    assert!(matches!(store.capture(&event(9_000)).unwrap(), Verdict::Fresh { .. }));
    store.close().unwrap();
    let mut lost = frames(&rig);
    assert_eq!(
        lost.pop_if(|last| last.kind != FrameKind::Event.code()).map(|_| ()),
        Some(()),
        "control: an end"
    );
    let last = lost.pop().unwrap();
    assert_eq!(last.kind, FrameKind::Event.code(), "control: stays");
    for frame in lost.iter().filter(|frame| frame.kind >= 16) {
        rig.disk.flip_bit(&frame.file, frame.offset + frame.bytes / 2, 3);
    }
    // So that opening reads what is damaged.
    discard_summaries(&rig.disk).unwrap();
    rig.disk.set_free_bytes(Some(0));
    let store = rig.open();
    assert_eq!(store.recovery().keys_of_lost_frames, 8_001, "control");
    let told = &store.recovery().damage;
    assert!(told.iter().any(|it| it.what.contains("only the index knows")), "control: {told:?}");
    // What would settle all that is in flight has its room.
    settle(&store, 9_000);
    assert_eq!(store.outcome(&sales(), &key(7_999)).unwrap().state, State::OutcomeUnknown);
    rig.disk.set_free_bytes(None);
    let keys = |store: &Store| {
        let state = store.inner.state.lock();
        let segments = store.inner.log.segments();
        let has_keys = |number: u64| state.outbox.events().known_in(number).1 > 0;
        segments.iter().map(|it| it.number).find(|number| has_keys(*number))
    };
    let holder = keys(&store).unwrap();
    for first in (20_000..20_400).step_by(50) {
        let many: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        store.capture_batch(&many).unwrap();
    }
    assert!(store.inner.cleaner().clean_one(holder).unwrap(), "control: it went");
    let record = store.records().get(&sales(), &key(1)).unwrap();
    assert!(matches!(record, RecordState::OutcomeUnknown { .. }), "{record:?}");
    assert!(matches!(store.records().begin(&asks(1)).unwrap(), LeaseReply::OutcomeUnknown(_)));
    assert_eq!(store.outcome(&sales(), &key(7_999)).unwrap().state, State::OutcomeUnknown);
}
