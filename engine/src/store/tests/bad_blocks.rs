//! One block that the disk cannot read makes no store unusable, unless its log may end in there.
//! Method: each block of each file answers every read with EIO until it was written as a whole.

use std::sync::Arc;

use onceward_vfs::{Fault, FaultKind, FaultOp, Vfs};

use super::lost_keys::{assert_lost, capture, damage};
use crate::base::Damage;
use crate::inspect::repair::{plan_on, repair_on};
use crate::inspect::verify::verify_on;
use crate::testing::{Rig, WINDOW_MS, event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{State, Store, StoredEvent, Verdict};

/// Bytes of a block.
const BLOCK_BYTES: u64 = 4096;

/// Eight events, half of them settled; closed.
fn closed() -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..8 {
        assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Fresh { .. }));
        if n % 2 == 0 {
            let answer = Answer::Accepted { receipt: Some(receipt(n)) };
            store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
        }
    }
    store.close().unwrap();
    rig
}

/// Every file of the store with its length.
fn files(rig: &Rig) -> Vec<(String, u64)> {
    let in_dir = |dir: &str| {
        let names = rig.disk.list(dir).unwrap();
        names.into_iter().map(|name| format!("{dir}/{name}")).collect::<Vec<_>>()
    };
    let mut names = [in_dir("log"), in_dir("index")].concat();
    names.push("meta".to_owned());
    let len = |name: &String| rig.disk.bytes(name).unwrap().len() as u64;
    names.into_iter().map(|name| (name.clone(), len(&name))).collect()
}

/// What is wrong, of all files.
fn verify(rig: &Rig) -> Vec<Damage> {
    let disk: Arc<dyn Vfs> = Arc::new(rig.disk.clone());
    verify_on(&disk).unwrap().damage
}

/// Whether every event is what it was; `lost` of them may be known and no more.
fn check(store: &Store, lost: usize, what: &str) {
    let mut unknown = 0;
    for n in 0..8 {
        let verdict = store.capture(&event(n)).unwrap_or_else(|error| panic!("{what}: {error}"));
        let Verdict::Duplicate { state, .. } = verdict else {
            panic!("{what}: {n} is {verdict:?}")
        };
        let settled = if n % 2 == 0 { State::Accepted } else { State::Pending };
        unknown += usize::from(state == State::OutcomeUnknown);
        // An answer that was lost is asked for again.
        assert!(
            [settled, State::Pending, State::OutcomeUnknown].contains(&state),
            "{what}: {state}"
        );
    }
    assert!(unknown <= lost, "{what}: {unknown} are lost");
}

#[test]
fn a_bad_block_under_a_slot_of_meta_or_of_the_manifest_is_as_good_as_a_torn_one() {
    let whole = closed();
    for name in ["meta", "index/manifest"] {
        let blocks = whole.disk.bytes(name).unwrap().len() as u64 / BLOCK_BYTES;
        let half = blocks / 2;
        for block in [0, half] {
            let what = format!("block {block} of {name}");
            let rig = whole.after_kill();
            rig.disk.spoil_block(name, block);
            assert_eq!(rig.look().status().pending, 4, "{what}");
            let told = verify(&rig);
            assert!(told.iter().any(|it| it.file == name), "{what}: {told:?}");
            let store = rig.open();
            check(&store, 0, &what);
            store.close().unwrap();
            let done = repair_on(&rig.disk, &None).unwrap();
            assert_eq!(done.left, [], "{what}");
            assert_eq!(verify(&rig), [], "{what}");
            check(&rig.open(), 0, &what);
        }
    }
}

#[test]
fn no_bad_block_makes_a_store_unusable_but_the_one_where_its_log_may_end() {
    let whole = closed();
    let segments = whole.disk.list("log").unwrap();
    let (mut opened, mut refused) = (0, 0);
    for (name, bytes) in files(&whole) {
        // Prepared for what comes, and empty.
        let is_spare = segments.iter().skip(1).any(|spare| name.ends_with(spare));
        let is_log = name.starts_with("log/");
        for block in 0..bytes.div_ceil(BLOCK_BYTES) {
            let what = format!("block {block} of {name}");
            let rig = whole.after_kill();
            rig.disk.spoil_block(&name, block);
            rig.look();
            assert!(verify(&rig).iter().any(|it| it.file == name) || is_spare, "{what}");
            plan_on(&rig.disk, &None).unwrap();
            match rig.try_open() {
                // A block of keys is read when it is asked for, and given up then, at once.
                Ok(store) => {
                    check(&store, if is_log { 8 } else { 0 }, &what);
                    opened += usize::from(is_log);
                    let is_told = !store.recovery().damage.is_empty();
                    assert!(!is_log || is_spare || is_told, "{what}");
                    let told = store.recovery().index_rebuilt.clone();
                    let told = told.or_else(|| store.status().index_trouble);
                    assert!(
                        told.is_some() || name.contains("table-") || !name.contains("keys-"),
                        "{what}"
                    );
                }
                // Where the log may end, and that is in one block only, a person decides.
                Err(error) if is_log => {
                    refused += 1;
                    assert_eq!(error.code(), "UNREADABLE", "{what}: {error}");
                }
                Err(error) => panic!("{what}: {error}"),
            }
            let done = repair_on(&rig.disk, &None).unwrap();
            assert_eq!(done.left, [], "{what}");
            let store = rig.open();
            check(&store, if is_log { 8 } else { 0 }, &what);
            store.close().unwrap();
            assert_eq!(rig.look().recovery().damage, [], "{what}");
        }
    }
    assert!(refused == 1 && opened > 100, "opened {opened}, refused {refused}");
}

/// The disk reads nothing of the oldest segment while the store is open, and all of it after that.
#[test]
fn what_could_not_be_read_is_kept_and_is_there_again_once_it_can() {
    let whole = Rig::new();
    let store = whole.open();
    for n in 0..10 {
        store.capture(&sized_event(n, 50_000)).unwrap();
    }
    let settle = |store: &Store, n| {
        let answer = Answer::Accepted { receipt: Some(receipt(n)) };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    };
    settle(&store, 0);
    store.close().unwrap();
    let oldest = format!("log/{}", whole.disk.list("log").unwrap().swap_remove(0));
    let before: Vec<StoredEvent> = whole.look().events().map(Result::unwrap).collect();

    let rig = whole.after_kill();
    let (op, kind) = (FaultOp::Read, FaultKind::Eio);
    let name_contains = oldest.clone();
    rig.disk.plan(Fault { op, name_contains, nth: 0, kind, forever: true });
    let store = rig.open();
    assert!(store.recovery().damage.iter().any(|it| it.file == oldest), "told");
    let lost = (0..10).filter(|n| store.find(&sales(), &key(*n)).unwrap().is_none()).count();
    assert!(lost > 1, "control: {lost}");
    for n in 0..10 {
        let verdict = store.capture(&sized_event(n, 50_000)).unwrap();
        assert!(matches!(verdict, Verdict::Duplicate { .. }), "{n}: {verdict:?}");
    }
    // All that can be read is settled, and nothing of use is left in any finished segment.
    for stored in store.pending(&sales(), None, 100).unwrap() {
        settle(&store, stored.event.key.as_str()[1..].parse().unwrap());
    }
    for n in 20..40 {
        store.capture(&sized_event(n, 50_000)).unwrap();
        settle(&store, n);
        store.tick().unwrap();
    }
    assert!(rig.disk.exists(&oldest).unwrap(), "it is neither trimmed nor moved");
    store.close().unwrap();

    let rig = rig.after_kill();
    let store = rig.open();
    assert_eq!(store.recovery().damage, [], "as if nothing had been");
    let mut again = 0;
    for event in before {
        let now = store.outcome(&sales(), &event.event.key).unwrap();
        assert_eq!(now.lsn, Some(event.lsn));
        assert!(now.state == State::Accepted || now.state == event.state, "{event:?}: {now:?}");
        again += usize::from(now.state == State::Pending);
    }
    assert_eq!(again + 1, lost, "they wait to be sent, but for the one that was settled before");
    store.tick().unwrap();
    assert_eq!(store.pending(&sales(), None, 100).unwrap().len(), again);
}

/// Two slices of keys in two files, one of which is damaged too.
#[test]
fn a_damaged_part_of_the_index_frees_no_key_that_the_rest_of_it_knows() {
    let rig = Rig::new();
    let store = rig.open();
    let first = capture(&store, 0);
    rig.clock.advance(WINDOW_MS / 2);
    let second = capture(&store, 1);
    store.close().unwrap();
    let files = rig.disk.list("index").unwrap();
    let keys: Vec<&String> = files.iter().filter(|name| name.starts_with("keys-")).collect();
    assert_eq!(keys.len(), 2, "control: {files:?}");
    rig.disk.flip_bit(&format!("index/{}", keys[0]), 80, 1);
    damage(&rig, second);
    let store = rig.open();
    assert!(store.recovery().index_rebuilt.is_some(), "{:?}", store.recovery());
    assert_lost(&store, 1, second);
    let known = store.capture(&event(0)).unwrap();
    assert_eq!((known.lsn().get(), store.recovery().keys_of_lost_frames), (first, 1), "{known:?}");
}
