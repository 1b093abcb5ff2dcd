//! One block that the disk cannot read makes no store unusable where what stood there stands elsewhere.
//! Method: each block of each file answers every read with EIO until it was written as a whole.

use std::sync::Arc;

use onceward_vfs::Vfs;

use crate::repair::{plan_on, repair_on};
use crate::report::Damage;
use crate::store::{Answer, Settlement};
use crate::trial::{Rig, event, key, receipt, sales};
use crate::verify::verify_on;
use crate::{State, Store, Verdict};

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
fn no_bad_block_makes_a_store_unusable_where_a_copy_exists() {
    let whole = closed();
    let segments = whole.disk.list("log").unwrap();
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
                    check(&store, 0, &what);
                    let told = store.recovery().index_rebuilt.clone();
                    let told = told.or_else(|| store.status().index_trouble);
                    assert!(
                        told.is_some() || name.contains("table-") || !name.contains("keys-"),
                        "{what}"
                    );
                }
                // What nothing else has is given up by a person only.
                Err(error) if is_log => assert_eq!(error.code(), "UNREADABLE", "{what}: {error}"),
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
}
