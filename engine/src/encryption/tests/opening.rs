//! With its keys an encrypted store is as any other; without, nothing of it is read and nothing touched.

use std::sync::Arc;

use onceward_vfs::Vfs;

use super::{Keys, files, id, rig, rig_with, with_keys, without_keys};
use crate::encryption::KeyId;
use crate::inspect::repair::plan_on;
use crate::inspect::verify::verify_on;
use crate::inspect::{Inspection, Since, Tail};
use crate::testing::{Rig, event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Event, State, Store, Verdict};

/// Captures events that take a few segments, and settles every other one.
fn fill(store: &Store) {
    for first in (0..40).step_by(4) {
        let events: Vec<Event> = (first..first + 4).map(|n| sized_event(n, 30_000)).collect();
        let verdicts = store.capture_batch(&events).unwrap();
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh { .. })));
        let answer = |n| Answer::Accepted { receipt: Some(receipt(n)) };
        let settle = |n| Settlement { scope: sales(), key: key(n), answer: answer(n) };
        store.settle(&[settle(first), settle(first + 2)]).unwrap();
    }
}

fn assert_filled(store: &Store) {
    for n in 0..40 {
        let verdict = store.capture(&sized_event(n, 30_000)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { .. }), "{n}: {verdict:?}");
        let outcome = store.outcome(&sales(), &key(n)).unwrap();
        let state = if n % 2 == 0 { State::Accepted } else { State::Pending };
        assert_eq!(outcome.state, state, "{n}");
        if n % 2 == 0 {
            assert_eq!(outcome.receipt, Some(receipt(n)));
        } else {
            let found = store.find(&sales(), &key(n)).unwrap().unwrap();
            assert_eq!(found.event, sized_event(n, 30_000));
        }
    }
}

fn tail(rig: &Rig) -> crate::Result<Tail> {
    let disk: Arc<dyn Vfs> = Arc::new(rig.disk.clone());
    let find = Box::new(move || Ok(Arc::clone(&disk)));
    Tail::open_on(find, rig.clock.clone(), Since::Beginning, rig.config.sealing())
}

#[test]
fn an_encrypted_store_keeps_everything_over_closing_and_kill() {
    let rig = rig();
    let store = rig.open();
    fill(&store);
    assert!(store.inner.log.segments().len() > 3, "control: several segments");
    assert_filled(&store);
    store.close().unwrap();
    let store = rig.open();
    assert!(store.recovery().clean);
    assert_filled(&store);
    store.capture(&event(100)).unwrap();
    drop(store);
    let rig = rig.after_kill();
    let store = rig.open();
    assert_eq!((store.recovery().clean, store.recovery().damage.len()), (false, 0));
    assert_filled(&store);
    assert!(store.find(&sales(), &key(100)).unwrap().is_some());
    // Others who look see the same.
    let seen = rig.look();
    assert_eq!((seen.status().pending, seen.recovery().damage.len()), (21, 0));
    let found: Vec<_> = seen.events().map(Result::unwrap).collect();
    assert!(found.iter().any(|found| found.event == sized_event(1, 30_000)));
    let mut tail = tail(&rig).unwrap();
    let mut shown = 0;
    while let looked = tail.look().unwrap()
        && looked.is_behind
    {
        assert_eq!((looked.unreadable.len(), looked.damage.len()), (0, 0));
        shown += looked.events.len();
    }
    assert!(shown >= 21, "{shown}");
    store.capture(&event(101)).unwrap();
    store.inner.log.mark().unwrap();
    assert_eq!(tail.look().unwrap().events.last().unwrap().event, event(101));
}

#[test]
fn each_opening_begins_a_segment_with_a_key_of_its_own() {
    let rig = rig();
    for n in 0..4 {
        let store = rig.open();
        store.capture(&event(n)).unwrap();
        let segments = store.inner.log.segments();
        assert_eq!(segments.len() as u64, n + 1, "{segments:?}");
        if n % 2 == 0 {
            store.close().unwrap();
        }
    }
    let wrapped = rig.open().inner.log.wrapped_keys();
    assert_eq!(wrapped.len(), 5, "four segments and meta");
}

/// Opening, looking, following and planning a repair with these keys are all refused with this code, and
/// change no byte.
fn assert_refused(rig: &Rig, code: &str) {
    let before = files(&rig.disk);
    let disk: Arc<dyn Vfs> = Arc::new(rig.disk.clone());
    let sealing = rig.config.sealing();
    let mut told = vec![
        rig.try_open().unwrap_err(),
        Inspection::open_on(Arc::clone(&disk), rig.clock.clone(), sealing.clone()).unwrap_err(),
        tail(rig).unwrap_err(),
    ];
    if sealing.is_some() {
        told.push(plan_on(&*disk, &sealing).unwrap_err());
        told.push(crate::inspect::repair::repair_on(&*disk, &sealing).unwrap_err());
    }
    for error in told {
        assert_eq!((error.kind(), error.code()), (ErrorKind::EncryptionKey, code), "{error}");
    }
    assert!(files(&rig.disk) == before, "{code}: nothing was touched");
}

#[test]
fn an_encrypted_store_is_refused_without_its_key_with_a_wrong_one_and_with_another_one() {
    let rig = rig();
    let store = rig.open();
    fill(&store);
    store.close().unwrap();
    assert_refused(&without_keys(&rig), "KEY_NEEDED");
    assert_refused(&with_keys(&rig, &Keys::with(2)), "KEY_UNKNOWN");
    let wrong = Keys::with(2);
    wrong.known.lock().insert(id(1), super::EncryptionKey::from_bytes([9; 32]));
    assert_refused(&with_keys(&rig, &wrong), "WRONG_KEY");
    let error = with_keys(&rig, &wrong).try_open().unwrap_err();
    assert!(error.to_string().contains("the key k1"), "{error}");
    let away = Keys::with(1);
    away.go_away(true);
    assert_refused(&with_keys(&rig, &away), "TOKEN_REMOVED");
    assert_filled(&rig.open());
}

#[test]
fn an_encrypted_store_is_refused_where_one_of_its_keys_is_unknown() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    fill(&rig.open());
    keys.rotate(2);
    rig.open().capture(&event(50)).unwrap();
    // Files of the index that opening would give up, and make anew.
    for name in files(&rig.disk).into_keys().filter(|name| name.starts_with("index/")) {
        rig.disk.overwrite(&name, 0, &[0xff; 64]);
    }
    // `meta` is under the second key, old segments are not.
    assert_refused(&with_keys(&rig, &Keys::with(2)), "KEY_UNKNOWN");
    assert_filled(&rig.open());
}

#[test]
fn a_plain_store_is_refused_with_a_key() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store);
    store.close().unwrap();
    assert_refused(&with_keys(&rig, &Keys::with(1)), "NOT_ENCRYPTED");
    assert_filled(&rig.open());
}

#[test]
fn every_byte_is_judged_without_a_key() {
    let rig = rig();
    let store = rig.open();
    fill(&store);
    store.close().unwrap();
    let sound = verify_on(&disk(&rig)).unwrap();
    assert!(sound.clean && sound.damage.is_empty() && sound.frames > 50, "{sound:?}");
    assert_eq!(sound.frames, rig.look().recovery().frames);
    let plan = plan_on(&rig.disk, &None).unwrap();
    assert_eq!(plan.damage, []);
    let name = super::segments(&rig.disk)[1].clone();
    rig.disk.flip_bit(&name, 100_000, 3);
    assert_eq!(verify_on(&disk(&rig)).unwrap().damage.len(), 1);
    let done = crate::inspect::repair::repair_on(&rig.disk, &None).unwrap();
    assert_eq!((done.damage.len(), done.left.len(), done.kept.len()), (1, 0, 2));
    assert_eq!(verify_on(&disk(&rig)).unwrap().damage, []);
    // And goes on with its key.
    let store = rig.open();
    assert_eq!(store.recovery().damage, []);
    assert!(store.status().pending >= 19, "{:?}", store.status());
}

#[test]
fn a_name_of_an_encryption_key_is_checked() {
    for name in ["a", "2026.q3_til-", "ABCDEFGHIJKL"] {
        assert_eq!(KeyId::new(name).unwrap().to_string(), name);
    }
    for name in ["", "ABCDEFGHIJKLM", "a b", "\u{e4}", "a/b"] {
        assert_eq!(KeyId::new(name).unwrap_err().code(), "KEY_ID_INVALID", "{name:?}");
    }
}

fn disk(rig: &Rig) -> Arc<dyn Vfs> {
    Arc::new(rig.disk.clone())
}
