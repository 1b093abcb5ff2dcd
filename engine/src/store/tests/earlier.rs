//! Stores of earlier versions are opened, and no key in them is taken for one with another content.
//! Method: what the first version wrote is made from what is written today: content hashes of another kind, in frames
//! and in files of the index that say they are of version 1.

use std::sync::Arc;

use onceward_vfs::{Mode, Vfs};

use crate::base::{FrameKind, codec};
use crate::inspect::verify::verify_on;
use crate::kernel::{FrameBody, KeyEntry, KeysFrame, Share};
use crate::testing::{Rig, event, key, other_event, sales};
use crate::{Answer, Settlement, State, Store, Verdict};

/// Writes a control frame as a version wrote it whose fields are those of today.
fn write(store: &Store, kind: FrameKind, version: u8, mut body: Vec<u8>) {
    body[0] = version;
    store.inner.write(&[FrameBody::new(kind, body)], Share::Decisions).unwrap();
}

/// The keys frame of a settled event of which nothing else is in the log, with a content hash of its time.
fn keys_of(store: &Store, n: u64, lsn: u64) -> Vec<u8> {
    let secret = &store.inner.state.lock().kernel.secret;
    let entry = KeyEntry {
        fingerprint: secret.fingerprint("sales", key(n).as_str().as_bytes()).as_u128(),
        event: lsn,
        content_hash: 0x1234_5678_9abc,
        slice_begin: 0,
        state: State::Accepted.code(),
        receipt: Vec::new(),
    };
    let (scope, entries) = ("sales".to_owned(), vec![entry]);
    codec::encode(&KeysFrame { scope, entries, settled_ms: 0, has_moved: false })
}

#[test]
fn a_key_whose_content_hash_is_of_an_earlier_kind_is_a_duplicate_whatever_comes_with_it() {
    for (version, is_duplicate) in [(1, true), (2, false)] {
        let rig = Rig::new();
        let store = rig.open();
        let body = keys_of(&store, 7, 1);
        write(&store, FrameKind::Keys, version, body);
        drop(store);
        let store = rig.after_kill().open();
        for event in [event(7), other_event(7)] {
            let verdict = store.capture(&event).unwrap();
            let is = matches!(verdict, Verdict::Duplicate { state: State::Accepted, .. });
            assert_eq!(is, is_duplicate, "version {version}: {verdict:?}");
        }
        store.close().unwrap();
        // From the index's files now.
        let verdict = rig.open().capture(&event(7)).unwrap();
        assert_eq!(matches!(verdict, Verdict::Duplicate { .. }), is_duplicate, "{verdict:?}");
    }
}

/// The index's manifest as a program of this version wrote it, its checksums made right.
fn make_manifest_of(rig: &Rig, version: u32) {
    let mut bytes = rig.disk.bytes("index/manifest").unwrap();
    let half = bytes.len() / 2;
    for slot in bytes.chunks_mut(half) {
        let length = u32::from_le_bytes(slot[32..36].try_into().unwrap());
        let crc_at = usize::try_from(length).unwrap() - 4;
        slot[8..12].copy_from_slice(&version.to_le_bytes());
        let crc = crc32fast::hash(&slot[..crc_at]);
        slot[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }
    let file = rig.disk.open("index/manifest", Mode::Write).unwrap();
    file.write_all_at(0, &bytes).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn an_index_of_an_earlier_version_is_built_anew_with_the_contents_that_the_log_has() {
    for (version, is_anew) in [(2, false), (1, true)] {
        let rig = Rig::new();
        let store = rig.open();
        store.capture_batch(&(0..5).map(event).collect::<Vec<_>>()).unwrap();
        let answer = Answer::Accepted { receipt: None };
        store.settle(&[Settlement { scope: sales(), key: key(1), answer }]).unwrap();
        store.close().unwrap();
        make_manifest_of(&rig, version);
        let vfs: Arc<dyn Vfs> = Arc::new(rig.disk.clone());
        assert_eq!(verify_on(&vfs).unwrap().damage, [], "version {version}");
        let store = rig.open();
        let told = store.recovery().index_rebuilt.clone();
        assert_eq!(told.is_some_and(|why| why.contains("version 1")), is_anew, "{version}");
        for n in 0..5 {
            assert!(matches!(store.capture(&event(n)).unwrap(), Verdict::Duplicate { .. }), "{n}");
            assert!(matches!(store.capture(&other_event(n)).unwrap(), Verdict::Conflict { .. }));
        }
    }
}
