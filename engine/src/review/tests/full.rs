//! Reviews on a full disk.

use onceward_vfs::{Fault, FaultKind, FaultOp};

use super::calls::reject;
use crate::ErrorKind;
use crate::review::Decision;
use crate::testing::{Rig, SEGMENT_BYTES, event, key, keys, sales, sized_event};

/// T20: the reserve of a full disk is for this too, and what is settled for good gives its room back.
#[test]
fn reviews_go_on_when_the_disk_is_full_for_captures() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    rig.disk.set_free_bytes(Some(6 * SEGMENT_BYTES));
    let full = (100..1_000).find_map(|n| store.capture(&sized_event(n, 20_000)).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::Full, "control");
    for turn in 0..40 {
        reject(&store, 1, "A");
        store
            .reviews()
            .decide(&Decision::retry(sales(), key(1)).with_note(&"n".repeat(1_024)))
            .unwrap();
        assert_eq!(store.reviews().decisions(None, 99).unwrap().len(), turn + 1);
    }
    assert_eq!(rig.after_kill().open().reviews().decisions(None, 99).unwrap().len(), 40);
}

/// T20: the disk has no room at all, not even that of the reserve.
#[test]
fn a_decision_that_finds_no_room_changes_nothing() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    reject(&store, 1, "A");
    let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    let error = store.reviews().retry(&sales(), &key(1)).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    assert_eq!(
        (store.reviews().count(None), store.reviews().decisions(None, 9).unwrap().len()),
        (1, 0)
    );
    rig.disk.forget_faults();
    store.reviews().retry(&sales(), &key(1)).unwrap();
    for store in [store, rig.after_kill().open()] {
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1"]);
        assert_eq!(store.reviews().decisions(None, 9).unwrap().len(), 1);
    }
}
