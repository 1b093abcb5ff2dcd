//! What was not sealed here, with this key, in this place, is never shown, however right its checksums are.

use crc32fast::Hasher;

use super::{Keys, rig, rig_with, segments};
use crate::inspect::Inspection;
use crate::inspect::repair::{plan_on, repair_on};
use crate::testing::{Rig, event, key, sales};
use crate::{Result, State, Store};

/// Size of a frame's header.
const HEADER_BYTES: usize = 30;

/// A frame as it stands in a segment.
#[derive(Clone, Debug)]
struct Found {
    offset: usize,
    kind: u8,
    /// Size of the body, with its tag.
    body: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

/// What starts the checksums of a segment's frames.
fn salt(segment: &[u8]) -> u32 {
    u32_at(segment, 56)
}

/// The frames of a segment.
fn frames(segment: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut offset = 4096;
    while u32_at(segment, offset + 8) != 0 {
        let body = u32_at(segment, offset + 8) as usize;
        found.push(Found { offset, kind: segment[offset + 28], body });
        offset += (HEADER_BYTES + body).next_multiple_of(8);
    }
    found
}

fn crc(salt: u32, bytes: &[u8]) -> [u8; 4] {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

/// Makes the checksums of the frame at `offset` right again.
fn reseal(segment: &mut [u8], offset: usize) {
    let salt = salt(segment);
    let end = offset + (HEADER_BYTES + u32_at(segment, offset + 8) as usize).next_multiple_of(8);
    let body = crc(salt, &segment[offset + HEADER_BYTES..end]);
    segment[offset + 4..offset + 8].copy_from_slice(&body);
    let header = crc(salt, &segment[offset + 4..offset + HEADER_BYTES]);
    segment[offset..offset + 4].copy_from_slice(&header);
}

/// A closed store with a few events, its segment's name and bytes.
fn closed(rig: &Rig) -> (String, Vec<u8>) {
    let store = rig.open();
    (0..3).for_each(|n| _ = store.capture(&event(n)).unwrap());
    drop(store);
    let name = segments(&rig.disk)[0].clone();
    let bytes = rig.disk.bytes(&name).unwrap();
    (name, bytes)
}

fn look(rig: &Rig) -> Result<Inspection> {
    let disk = std::sync::Arc::new(rig.disk.clone());
    Inspection::open_on(disk, rig.clock.clone(), rig.config.sealing())
}

fn pending(store: &Store) -> Vec<u64> {
    let is_pending = |n: &u64| {
        store.outcome(&sales(), &key(*n)).unwrap().state == State::Pending
            && store.find(&sales(), &key(*n)).unwrap().unwrap().event == event(*n)
    };
    (0..10).filter(is_pending).collect()
}

#[test]
fn every_flipped_byte_of_an_encrypted_frame_is_refused_also_with_right_checksums() {
    let rig = rig();
    let (name, whole) = closed(&rig);
    let all = frames(&whole);
    let events: Vec<Found> = all.iter().filter(|frame| frame.kind >= 16).cloned().collect();
    assert_eq!(events.len(), 3, "control: {all:?}");
    let target = &events[1];
    let body = target.offset + HEADER_BYTES..target.offset + HEADER_BYTES + target.body;
    // Time, kind and flags of the header are vouched for too.
    let fields = target.offset + 24..target.offset + HEADER_BYTES;
    for at in body.chain(fields) {
        let mut forged = whole.clone();
        forged[at] ^= if at == target.offset + 29 { 0x01 } else { 0x20 };
        reseal(&mut forged, target.offset);
        rig.disk.overwrite(&name, 0, &forged);
        let seen = look(&rig).unwrap();
        let damage = &seen.recovery().damage;
        assert_eq!(damage.len(), 1, "{at}: {damage:?}");
        assert!(damage[0].what.contains("is forged"), "{damage:?}");
        assert_eq!(damage[0].offset, u64::try_from(target.offset).unwrap());
        let events: Vec<_> = seen.events().map(|found| found.unwrap().event).collect();
        assert_eq!(events, [event(0), event(2)], "{at}");
    }
    // Without the checksums it is damage as ever.
    let mut damaged = whole.clone();
    damaged[target.offset + 40] ^= 1;
    rig.disk.overwrite(&name, 0, &damaged);
    let seen = look(&rig).unwrap();
    assert!(!seen.recovery().damage[0].what.contains("forged"), "{:?}", seen.recovery().damage);
    rig.disk.overwrite(&name, 0, &whole);
    assert_eq!(look(&rig).unwrap().recovery().damage, [], "control");
}

#[test]
fn a_forged_frame_of_an_encrypted_store_is_mended_and_costs_no_other() {
    let rig = rig();
    let (name, mut bytes) = closed(&rig);
    let target = frames(&bytes).into_iter().filter(|frame| frame.kind >= 16).nth(1).unwrap();
    bytes[target.offset + HEADER_BYTES] ^= 1;
    reseal(&mut bytes, target.offset);
    rig.disk.overwrite(&name, 0, &bytes);
    assert_eq!(plan_on(&rig.disk, &None).unwrap().damage, [], "without a key it looks well");
    let store = rig.open();
    assert_eq!(store.recovery().damage.len(), 1);
    assert_eq!(pending(&store), [0, 2]);
    drop(store);
    let done = repair_on(&rig.disk, &rig.config.sealing()).unwrap();
    assert_eq!((done.damage.len(), done.left.len(), done.kept.len()), (1, 0, 2), "{done:?}");
    let store = rig.open();
    assert_eq!(store.recovery().damage, []);
    assert_eq!(pending(&store), [0, 2]);
    assert!(store.capture(&event(1)).is_ok(), "what was lost is fresh again");
    drop(store);
    assert_eq!(pending(&rig.open()), [0, 1, 2]);
}

/// The body of one event put in the place of another of the same size, in the same segment or another one.
#[test]
fn encrypted_bodies_cannot_be_moved_to_another_frame_or_segment() {
    let keys = Keys::with(1);
    let rig = rig_with(&keys);
    closed(&rig);
    let store = rig.open();
    (3..6).for_each(|n| _ = store.capture(&event(n)).unwrap());
    drop(store);
    let names = segments(&rig.disk);
    let whole: Vec<Vec<u8>> = names.iter().map(|name| rig.disk.bytes(name).unwrap()).collect();
    let of = |segment: usize, n: usize| {
        frames(&whole[segment]).into_iter().filter(|frame| frame.kind >= 16).nth(n).unwrap()
    };
    for (from, to) in [((0, 0), (0, 1)), ((0, 1), (1, 1)), ((1, 2), (0, 2))] {
        let (source, target) = (of(from.0, from.1), of(to.0, to.1));
        assert_eq!(source.body, target.body, "control: the same size");
        let mut forged = whole[to.0].clone();
        let moved = &whole[from.0][source.offset + HEADER_BYTES..][..source.body];
        forged[target.offset + HEADER_BYTES..][..target.body].copy_from_slice(moved);
        reseal(&mut forged, target.offset);
        rig.disk.overwrite(&names[to.0], 0, &forged);
        let is_refused = || {
            let seen = look(&rig).unwrap();
            let told = seen.recovery().damage.iter().filter(|it| it.what.contains("is forged"));
            (told.count(), seen.events().count()) == (1, 5)
        };
        assert!(is_refused(), "{from:?} {to:?}");
        // The header of the other frame, too: all but its number.
        let header = &whole[from.0][source.offset + 16..source.offset + HEADER_BYTES];
        forged[target.offset + 16..target.offset + HEADER_BYTES].copy_from_slice(header);
        reseal(&mut forged, target.offset);
        rig.disk.overwrite(&names[to.0], 0, &forged);
        // Its run may not even fit there.
        let seen = look(&rig).unwrap();
        let damage = &seen.recovery().damage;
        assert!(!damage.is_empty() && seen.events().count() == 5, "{from:?} {to:?} {damage:?}");
        rig.disk.overwrite(&names[to.0], 0, &whole[to.0]);
    }
    assert_eq!(look(&rig).unwrap().events().count(), 6, "control");
}

/// As whoever knows the format would do it: the other store's number is put everywhere, and all checksums are
/// right.
fn adopted(other: &[u8], store: &[u8; 16], number: u64) -> Vec<u8> {
    let mut bytes = other.to_vec();
    bytes[24..40].copy_from_slice(store);
    bytes[40..48].copy_from_slice(&number.to_le_bytes());
    let salt = crc(0, &bytes[24..48]);
    bytes[56..60].copy_from_slice(&salt);
    let crc = crc(0, &bytes[..252]);
    bytes[252..256].copy_from_slice(&crc);
    for frame in frames(&bytes) {
        reseal(&mut bytes, frame.offset);
    }
    bytes
}

#[test]
fn an_encrypted_segment_of_another_store_with_the_same_key_is_refused() {
    let keys = Keys::with(1);
    let (rig, other) = (rig_with(&keys), rig_with(&keys));
    let (name, whole) = closed(&rig);
    let (_, foreign) = closed(&other);
    let store: &[u8; 16] = whole[24..].first_chunk().unwrap();
    rig.disk.overwrite(&name, 0, &adopted(&foreign, store, 1));
    let seen = look(&rig).unwrap();
    let damage = &seen.recovery().damage;
    assert!(damage.iter().any(|damage| damage.what.contains("cannot be deciphered")), "{damage:?}");
    assert_eq!(seen.events().count(), 0, "none of them is shown");
    // Control: the forgery is well made, and only the key tells.
    rig.disk.overwrite(&name, 0, &adopted(&whole, store, 1));
    let seen = look(&rig).unwrap();
    assert_eq!((seen.recovery().damage.len(), seen.events().count()), (0, 3));
}

#[test]
fn clear_frames_in_an_encrypted_store_are_never_shown() {
    let keys = Keys::with(1);
    let (rig, plain) = (rig_with(&keys), Rig::new());
    let (name, whole) = closed(&rig);
    let (_, foreign) = closed(&plain);
    let store: &[u8; 16] = whole[24..].first_chunk().unwrap();
    rig.disk.overwrite(&name, 0, &adopted(&foreign, store, 1));
    let seen = look(&rig).unwrap();
    assert_eq!(seen.events().count(), 0, "none of them is shown");
    assert!(!seen.recovery().damage.is_empty());
}

#[test]
fn a_damaged_header_of_an_encrypted_segment_costs_none_of_its_frames() {
    let rig = rig();
    let (name, whole) = closed(&rig);
    // Where the key stands, and where the secret does.
    for at in [170, 100] {
        rig.disk.flip_bit(&name, at, 4);
        let seen = look(&rig).unwrap();
        assert_eq!(seen.recovery().damage.len(), 1);
        assert_eq!(seen.events().count(), 3, "the key stands behind it once more");
        // Mended without a key, byte for byte.
        let done = repair_on(&rig.disk, &None).unwrap();
        assert_eq!((done.damage.len(), done.left.len()), (1, 0));
        assert_eq!(rig.disk.bytes(&name).unwrap(), whole);
    }
    // The same of `meta`: the secret stands in the segments too.
    let meta = rig.disk.bytes("meta").unwrap();
    rig.disk.overwrite("meta", 0, &vec![0; meta.len()]);
    let done = repair_on(&rig.disk, &None).unwrap();
    assert_eq!((done.damage.len(), done.left.len()), (1, 0), "{done:?}");
    let store = rig.open();
    assert_eq!((store.recovery().damage.len(), pending(&store)), (0, vec![0, 1, 2]));
    assert!(matches!(store.capture(&event(1)).unwrap(), crate::Verdict::Duplicate { .. }));
    drop(store);
    assert_eq!(pending(&rig.open()), [0, 1, 2]);
}

#[test]
fn an_encrypted_segment_whose_key_is_lost_costs_no_other() {
    let rig = rig();
    let (name, _) = closed(&rig);
    let store = rig.open();
    (3..6).for_each(|n| _ = store.capture(&event(n)).unwrap());
    store.close().unwrap();
    rig.disk.flip_bit(&name, 170, 4);
    rig.disk.flip_bit(&name, 4096 + 120, 4);
    let seen = look(&rig).unwrap();
    let damage = seen.recovery().damage.clone();
    assert!(damage.iter().any(|damage| damage.what.contains("key is lost")), "{damage:?}");
    assert_eq!(seen.events().count(), 3);
    let done = repair_on(&rig.disk, &rig.config.sealing()).unwrap();
    assert!(!done.lost.lsns.is_empty(), "{done:?}");
    let store = rig.open();
    assert_eq!(pending(&store), [3, 4, 5]);
    store.capture(&event(7)).unwrap();
}
