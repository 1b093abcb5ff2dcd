//! A new key of the host is in use from the next segment on, and an old one is free once nothing stands under it.

use super::{Keys, id, rig_with};
use crate::testing::{event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Store, Verdict};

/// Captures and settles so many events of 30 KB.
fn pass(store: &Store, first: u64, count: u64) {
    for n in first..first + count {
        store.capture(&sized_event(n, 30_000)).unwrap();
        settle(store, n);
    }
}

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

#[test]
fn an_encryption_key_is_replaced_at_a_segment_and_is_free_when_its_segments_are_gone() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    let store = rig.open();
    store.capture(&event(0)).unwrap();
    pass(&store, 1_000, 20);
    assert_eq!(store.keys_in_use().unwrap(), [id(1)]);
    keys.rotate(2);
    assert_eq!(store.keys_in_use().unwrap(), [id(1)], "not before the next segment");
    let mut n = 1_020;
    while !store.keys_in_use().unwrap().contains(&id(2)) {
        store.capture(&sized_event(n, 30_000)).unwrap();
        n += 1;
        assert!(n < 1_030, "a segment takes eight");
    }
    assert_eq!(store.keys_in_use().unwrap(), [id(1), id(2)]);
    (1_020..n).for_each(|n| settle(&store, n));
    while store.keys_in_use().unwrap() != [id(2)] {
        pass(&store, n, 2);
        store.tick().unwrap();
        n += 2;
        assert!(n < 1_400, "{:?}", store.inner.log.segments());
    }
    keys.destroy(1);
    let check = |store: &Store| {
        for n in (0..1).chain(1_000..n) {
            let verdict = store.capture(&sized_event(n, if n == 0 { 0 } else { 30_000 })).unwrap();
            assert!(matches!(verdict, Verdict::Duplicate { .. }), "{n}: {verdict:?}");
        }
        assert_eq!(store.find(&sales(), &key(0)).unwrap().unwrap().event, event(0));
        assert_eq!(store.outcome(&sales(), &key(1_001)).unwrap().receipt, Some(receipt(1_001)));
    };
    check(&store);
    drop(store);
    let rig = rig.after_kill();
    let store = rig.open();
    check(&store);
    store.close().unwrap();
    let store = rig.open();
    assert_eq!((store.recovery().clean, store.keys_in_use().unwrap()), (true, vec![id(2)]));
}

#[test]
fn meta_of_an_encrypted_store_is_under_the_current_key_after_an_opening() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    rig.open().close().unwrap();
    keys.rotate(2);
    let store = rig.open();
    assert_eq!(store.keys_in_use().unwrap(), [id(2)], "no segment was begun before");
    drop(store);
    keys.destroy(1);
    assert_eq!(rig.open().keys_in_use().unwrap(), [id(2)]);
}

/// A rig whose next events need a segment.
fn full(store: &Store) -> u64 {
    let segment = store.inner.log.segments().len();
    let mut n = 0;
    while store.inner.log.segments().len() == segment {
        store.capture(&sized_event(n, 30_000)).unwrap();
        n += 1;
    }
    // The next one fits, and seven more; then none.
    (n..n + 7).for_each(|n| _ = store.capture(&sized_event(n, 30_000)).unwrap());
    n + 7
}

#[test]
fn captures_are_refused_while_no_encryption_key_can_be_had_and_nothing_is_lost() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    let store = rig.open();
    let n = full(&store);
    keys.go_away(true);
    let (segments, status) = (store.inner.log.segments(), store.status());
    for _ in 0..3 {
        let error = store.capture(&sized_event(n, 30_000)).unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::EncryptionKey, "TOKEN_REMOVED"),
            "{error}"
        );
        assert!(!error.in_doubt(), "surely not stored");
        let answer = Answer::Accepted { receipt: None };
        let settlement = Settlement { scope: sales(), key: key(0), answer };
        store.settle(&[settlement]).unwrap();
    }
    assert!(store.find(&sales(), &key(n)).unwrap().is_none());
    let (now, then) = (store.inner.log.segments(), segments);
    assert_eq!(now.len(), then.len());
    assert_eq!(store.status().pending, status.pending - 1);
    // What fits into the segment still goes.
    store.capture(&event(n + 1)).unwrap();
    keys.go_away(false);
    assert!(matches!(store.capture(&sized_event(n, 30_000)).unwrap(), Verdict::Fresh { .. }));
    store.close().unwrap();
    let store = rig.open();
    assert_eq!((store.recovery().damage.len(), store.status().pending), (0, n + 1));
}

#[test]
fn another_encryption_key_under_the_same_name_is_refused() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    let store = rig.open();
    let n = full(&store);
    keys.known.lock().insert(id(1), super::EncryptionKey::from_bytes([9; 32]));
    let error = store.capture(&sized_event(n, 30_000)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::EncryptionKey, "WRONG_KEY"), "{error}");
    keys.rotate(1);
    assert!(store.capture(&sized_event(n, 30_000)).is_ok());
}
