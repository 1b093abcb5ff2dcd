//! A bundle that is not what was written is noticed, whatever is wrong with it, and nobody reads it
//! without its key.

use crate::rescue::BundleKey;
use crate::rescue::tests::calls::{accepted, export, full_house, import, secret, settle};
use crate::testing::{Rig, event, sized_event};
use crate::{ErrorKind, Store};

fn refused(store: &Store, bundle: &[u8]) -> crate::Error {
    match store.rescue().import(&mut &*bundle, &secret()) {
        Err(error) => error,
        Ok(imported) => panic!("taken up: {imported:?}"),
    }
}

/// A small bundle with an event of each sort.
fn bundle() -> Vec<u8> {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    settle(&store, 2, accepted(2));
    export(&store, false).0
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bundle = bundle();
    let store = Rig::new().open();
    for at in 0..bundle.len() {
        for bit in 0..8 {
            let mut bundle = bundle.clone();
            bundle[at] ^= 1 << bit;
            let error = refused(&store, &bundle);
            let known = ["BUNDLE_KEY", "BUNDLE_DAMAGED", "BUNDLE_TRUNCATED", "BUNDLE_VERSION"];
            assert!(known.contains(&error.code()), "byte {at}, bit {bit}: {error}");
            if at >= 81 {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
            }
        }
        if at < bundle.len() - 100 {
            assert_eq!(store.status().keys, 0, "nothing of a damaged chunk, byte {at}");
        }
    }
    assert_eq!(import(&store, &bundle).digest.len(), 32, "control");
}

#[test]
fn a_bundle_that_is_cut_anywhere_is_noticed() {
    let bundle = bundle();
    let store = Rig::new().open();
    for end in 0..bundle.len() {
        assert_eq!(refused(&store, &bundle[..end]).code(), "BUNDLE_TRUNCATED", "at {end}");
    }
    assert!(store.rescue().summary().imports.is_empty(), "no end, no import");
    let imported = import(&store, &bundle);
    assert_eq!(imported.fresh + imported.duplicates, 2);
}

#[test]
fn bytes_behind_the_end_and_chunks_out_of_place_are_noticed() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..8 {
        store.capture(&sized_event(n, 40_000)).unwrap();
    }
    let (bundle, _) = export(&store, false);
    let target = Rig::new().open();
    for more in [vec![0], bundle.clone()] {
        let longer = [bundle.clone(), more].concat();
        assert_eq!(refused(&target, &longer).code(), "BUNDLE_DAMAGED");
    }
    let chunks = chunks(&bundle);
    assert!(chunks.len() > 5, "control");
    let of = |order: Vec<usize>| {
        let parts: Vec<&[u8]> = order.into_iter().map(|at| &bundle[chunks[at].clone()]).collect();
        [&bundle[..76], &parts.concat()].concat()
    };
    let all: Vec<usize> = (0..chunks.len()).collect();
    assert_eq!(of(all.clone()), bundle, "control");
    let mut swapped = all.clone();
    swapped.swap(1, 2);
    let mut without = all.clone();
    without.remove(2);
    let twice = [&all[..2], &all[1..]].concat();
    for order in [swapped, without, twice] {
        assert_eq!(refused(&target, &of(order)).code(), "BUNDLE_DAMAGED");
    }
    // A chunk of another bundle of the same store and key.
    let (other, _) = export(&store, false);
    let mixed = [&bundle[..chunks[1].start], &other[chunks[1].start..]].concat();
    assert_eq!(refused(&target, &mixed).code(), "BUNDLE_DAMAGED");
    assert!(target.rescue().summary().imports.is_empty());
    assert_eq!(import(&target, &bundle).conflicts, 0);
    assert_eq!(target.status().pending, 8);
}

/// Where the chunks stand.
fn chunks(bundle: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 76;
    while at < bundle.len() {
        let length = u32::from_le_bytes(bundle[at..at + 4].try_into().unwrap());
        let end = at + 5 + usize::try_from(length).unwrap();
        found.push(at..end);
        at = end;
    }
    found
}

#[test]
fn another_key_is_told_as_such() {
    let bundle = bundle();
    let store = Rig::new().open();
    let other = BundleKey::from_bytes([8; 32]);
    let error = store.rescue().import(&mut bundle.as_slice(), &other).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "BUNDLE_KEY"));
    let passphrase = BundleKey::from_passphrase("correct horse").unwrap();
    let error = store.rescue().import(&mut bundle.as_slice(), &passphrase).unwrap_err();
    assert_eq!(error.code(), "BUNDLE_KEY");
    let mut newer = bundle;
    newer[8] = 2;
    let error = refused(&store, &newer);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "BUNDLE_VERSION"));
}

#[test]
fn a_passphrase_seals_and_opens() {
    let rig = Rig::new();
    let source = rig.open();
    source.capture(&event(1)).unwrap();
    let key = |text: &str| BundleKey::from_passphrase(text).unwrap();
    let mut out = Vec::new();
    source.rescue().export(&mut out, &key("correct horse"), false).unwrap();
    let target = Rig::new().open();
    let wrong = target.rescue().import(&mut out.as_slice(), &key("correct horsf")).unwrap_err();
    assert_eq!(wrong.code(), "BUNDLE_KEY");
    assert_eq!(
        target.rescue().import(&mut out.as_slice(), &key("correct horse")).unwrap().fresh,
        1
    );
}

#[test]
fn nothing_of_an_event_can_be_read_in_a_bundle() {
    let rig = Rig::new();
    let store = full_house(&rig);
    let (bundle, _) = export(&store, false);
    let log: Vec<u8> = onceward_vfs::Vfs::list(&rig.disk, "log")
        .unwrap()
        .iter()
        .filter_map(|name| rig.disk.bytes(&format!("log/{name}")))
        .flatten()
        .collect();
    for text in [r#"{"n":1"#, "PAYMENT", "card-7", "NO_CARD", "sales", "txn_", "till"] {
        let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(is_in(&log), "control: {text}");
        assert!(!is_in(&bundle), "{text}");
    }
    let (again, _) = export(&store, false);
    let same = bundle.iter().zip(&again).skip(76).filter(|(one, two)| one == two).count();
    assert!(same < bundle.len() / 20, "two bundles have {same} bytes of {} alike", bundle.len());
}

#[test]
fn an_event_that_is_damaged_at_the_source_is_counted_and_the_others_come() {
    let rig = Rig::new();
    let store = rig.open();
    let lsns: Vec<_> = (1..=3).map(|n| store.capture(&event(n)).unwrap().lsn()).collect();
    let at = {
        let state = store.inner.state.lock();
        state.outbox.events().standing(&state.kernel, lsns[1].get()).unwrap().at.place
    };
    let names = onceward_vfs::Vfs::list(&rig.disk, "log").unwrap();
    let name = names.iter().find(|name| name.ends_with(".seg")).unwrap();
    rig.disk.flip_bit(&format!("log/{name}"), u64::from(at.offset) + 50, 0);
    let (bundle, exported) = export(&store, false);
    assert_eq!((exported.unsettled, exported.unreadable_count), (2, 1));
    assert_eq!(exported.unreadable, [lsns[1]]);
    let imported = import(&Rig::new().open(), &bundle);
    assert_eq!((imported.fresh, imported.unreadable_at_source), (2, 1));
}
