//! Which manifest is read, whatever a crash or damage left in the two slots.

use std::sync::Arc;

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival, Vfs};

use super::{super::manifest::*, *};
use crate::{
    options::{ReadMode, Window},
    slices::SliceId,
};

const CHECK: u64 = 77;
const NAME: &str = "index/manifest";
const SECTOR_BYTES: u32 = 512;

/// A manifest that differs from others by `covered`, with so many removed places.
fn manifest(covered: u64, voids: u32) -> Manifest {
    let window = Window::default();
    Manifest {
        covered,
        mark: 9,
        next_file: 7,
        next_slice: 3,
        slice_count: 24,
        slices: vec![
            SliceRecord { id: SliceId(1), window, begin: 5, last_settled: None },
            SliceRecord { id: SliceId(2), window, begin: 6, last_settled: Some(0) },
        ],
        key_files: vec![KeyFileRecord { number: 4, slice: SliceId(2), bytes: 48, in_table: true }],
        table_files: vec![TableFileRecord { number: 5, bytes: 99 }],
        // No two manifests agree in a sector of them.
        voids: (0..voids).map(|at| u32::try_from(covered).unwrap() << 16 | at).collect(),
    }
}

fn folder(disk: &SimVfs) -> Folder {
    let vfs = Arc::new(disk.clone());
    Folder { vfs, dir: "index".to_owned(), reading: ReadMode::Positioned, check: CHECK }
}

fn read(disk: &SimVfs) -> Result<Option<(Manifest, ManifestFile)>> {
    ManifestFile::read(&folder(disk))
}

/// The `covered` of the manifest that is read.
fn covered(disk: &SimVfs) -> u64 {
    read(disk).unwrap().unwrap().0.covered
}

/// A disk with manifests 1 to `last`, one written after the other, of so many places each.
fn written(last: u64, voids: u32) -> (SimVfs, ManifestFile) {
    let disk = SimVfs::new();
    disk.create_dir("index").unwrap();
    let mut slots = ManifestFile::default();
    for covered in 1..=last {
        slots.write(&folder(&disk), &manifest(covered, voids)).unwrap();
    }
    (disk, slots)
}

/// The range of the newest manifest in a file, and the offset of the other slot.
fn places(disk: &SimVfs) -> (std::ops::Range<usize>, usize) {
    let bytes = disk.bytes(NAME).unwrap();
    let half = bytes.len() / 2;
    let newest = newest(&bytes, CHECK).unwrap();
    let start = slot_of(newest.sequence) * half;
    let length = HEADER_BYTES + newest.manifest.encode().len() + CRC_BYTES;
    (start..start + length, half - start)
}

fn slot(position: usize, sequence: u64, is_manifest: bool) -> Vec<u8> {
    let body = if is_manifest { manifest(sequence, 0).encode() } else { Vec::new() };
    let mut bytes = encode(CHECK, (sequence, PAGE_BYTES), &body);
    assert_eq!(is_manifest, slot_of(sequence) == position, "{sequence} at {position}");
    bytes.resize(PAGE_BYTES, 0);
    bytes
}

#[test]
fn each_pair_of_slots_is_judged_as_the_table_says() {
    let torn = |mut bytes: Vec<u8>| {
        bytes[HEADER_BYTES + 1] ^= 1;
        bytes
    };
    let first = [
        ("manifest 3", slot(0, 3, true)),
        ("manifest 5", slot(0, 5, true)),
        ("4 took the place", slot(0, 4, false)),
        ("torn", torn(slot(0, 3, true))),
        ("zeros", vec![0; PAGE_BYTES]),
    ];
    let second = [
        ("manifest 4", slot(1, 4, true)),
        ("manifest 2", slot(1, 2, true)),
        ("3 took the place", slot(1, 3, false)),
        ("5 took the place", slot(1, 5, false)),
        ("torn", torn(slot(1, 4, true))),
        ("zeros", vec![0; PAGE_BYTES]),
    ];
    // Rows as in `first`, columns as in `second`: the number that is used, and whether the one before is
    // told to be gone.
    let (no, yes) = (false, true);
    let expected = [
        [Some((4, no)), Some((3, no)), Some((3, yes)), None, Some((3, yes)), Some((3, yes))],
        [Some((5, no)), Some((5, no)), None, Some((5, yes)), Some((5, yes)), Some((5, yes))],
        [Some((4, yes)), None, None, None, None, None],
        [Some((4, yes)), Some((2, yes)), None, None, None, None],
        [Some((4, yes)), Some((2, yes)), None, None, None, None],
    ];
    for ((one, first), row) in first.iter().zip(expected) {
        for ((two, second), expected) in second.iter().zip(row) {
            let found = newest(&[first.as_slice(), second].concat(), CHECK);
            let expected = expected.ok_or(Unusable::Damaged).map(|(sequence, is_noted)| {
                let manifest = manifest(sequence, 0);
                NewestManifest { sequence, manifest, is_noted }
            });
            assert_eq!(found, expected, "{one}, {two}");
        }
    }
}

#[test]
fn manifests_stand_by_turns_in_two_slots_and_come_back() {
    let disk = SimVfs::new();
    disk.create_dir("index").unwrap();
    assert!(read(&disk).unwrap().is_none(), "there is none");
    let mut slots = ManifestFile::default();
    for number in 1..=6 {
        slots.write(&folder(&disk), &manifest(number, 0)).unwrap();
        assert_eq!(places(&disk).0.start, if number % 2 == 1 { 0 } else { PAGE_BYTES });
        let (found, again) = read(&disk).unwrap().unwrap();
        assert_eq!(found, manifest(number, 0));
        if number % 3 == 0 {
            slots = again;
        }
    }
    assert_eq!(disk.bytes(NAME).unwrap().len(), 2 * PAGE_BYTES);
}

#[test]
fn a_manifest_that_fits_is_written_without_a_change_of_names_or_lengths() {
    let (disk, mut slots) = written(3, 0);
    let before = disk.trace().len();
    slots.write(&folder(&disk), &manifest(4, 0)).unwrap();
    let trace = disk.trace().split_off(before);
    let syncs = trace.iter().filter(|line| line.contains("sync")).count();
    assert_eq!((trace.len(), syncs), (4, 1), "open, write, sync, write: {trace:?}");
    assert_eq!(disk.list("index").unwrap(), ["manifest"]);
}

/// Runs `write` again and again, the power cut at each of its operations, and looks at each survival.
fn cut_everywhere(
    last: u64,
    (voids, next_voids): (u32, u32),
    survivals: impl Fn(&SimVfs) -> Vec<Survival>,
) -> u64 {
    let mut states = 0;
    for op in 0.. {
        let (disk, mut slots) = written(last, voids);
        disk.cut_power_at(disk.op_count() + op);
        let done = slots.write(&folder(&disk), &manifest(last + 1, next_voids));
        for survival in survivals(&disk) {
            let what = format!("cut at {op}, {survival:?}");
            let left = disk.after_power_cut(&survival);
            let (found, mut slots) = read(&left).unwrap().unwrap();
            let is_new = found.covered == last + 1;
            assert!(is_new || found == manifest(last, voids), "{what}: {found:?}");
            assert!(is_new || done.is_err(), "{what}: it was written");
            // What was read lasts, and the next one too.
            let left = left.after_power_cut(&Survival::Nothing);
            assert_eq!(covered(&left), found.covered, "{what}");
            slots.write(&folder(&left), &manifest(99, voids)).unwrap();
            assert_eq!(covered(&left.after_power_cut(&Survival::Nothing)), 99, "{what}");
            states += 1;
        }
        if done.is_ok() {
            break;
        }
    }
    states
}

#[test]
fn every_set_of_sectors_of_a_cut_write_leaves_the_manifest_before_or_the_new_one() {
    let all = |disk: &SimVfs| {
        let pieces = disk.piece_count(SECTOR_BYTES);
        assert!(pieces <= 16, "{pieces} pieces are too many to try all");
        // More than 8 are of both slots: each in every way, while the other is as before or as written.
        (0_u64..1 << pieces)
            .filter(|kept| pieces <= 8 || [0, 0xff].contains(&(kept & 0xff)) || kept >> 8 == 0)
            .map(|kept| Survival::Pieces { kept, sector_bytes: SECTOR_BYTES })
            .collect()
    };
    // 800 places fill seven sectors.
    let states = cut_everywhere(3, (800, 800), all);
    assert!(states > 500, "{states} states");
}

#[test]
fn a_write_of_several_pages_that_is_cut_at_any_sector_leaves_the_manifest_before_or_the_new_one() {
    let torn = |disk: &SimVfs| {
        let mut all = vec![Survival::Nothing, Survival::Everything];
        for (whole, bytes) in disk.unsynced_writes() {
            let cuts = (0..bytes).step_by(512).chain([1, 39, 40, 41, bytes - 1]);
            all.extend(cuts.map(|bytes| Survival::Torn { whole, bytes }));
        }
        let seeds = 0..64;
        all.extend(seeds.map(|seed| Survival::Seeded { seed, sector_bytes: SECTOR_BYTES }));
        all
    };
    let states = cut_everywhere(4, (4_000, 4_000), torn);
    assert!(states > 200, "{states} states");
}

#[test]
fn a_manifest_that_does_not_fit_replaces_the_file_by_one_with_room_for_twice_as_much() {
    let (disk, mut slots) = written(3, 0);
    let larger = manifest(4, 3_000);
    slots.write(&folder(&disk), &larger).unwrap();
    let needed = HEADER_BYTES + larger.encode().len() + CRC_BYTES;
    let slot_bytes = (2 * needed).next_multiple_of(PAGE_BYTES);
    assert_eq!(disk.bytes(NAME).unwrap().len(), 2 * slot_bytes);
    assert_eq!(read(&disk).unwrap().unwrap().0, larger);
    // It stays as long as it is.
    let before = disk.changing_ops().len();
    for (number, voids) in [(5, 10), (6, 5_900), (7, 0)] {
        slots.write(&folder(&disk), &manifest(number, voids)).unwrap();
    }
    assert_eq!(disk.changing_ops().len() - before, 9, "two writes and a sync each");
    assert_eq!(disk.bytes(NAME).unwrap().len(), 2 * slot_bytes);
    assert_eq!(read(&disk).unwrap().unwrap().0, manifest(7, 0));
    let survivals = |_: &SimVfs| {
        let seeds = (0..8).map(|seed| Survival::Seeded { seed, sector_bytes: SECTOR_BYTES });
        seeds.chain([Survival::Nothing, Survival::Everything]).collect()
    };
    assert!(cut_everywhere(3, (0, 3_000), survivals) > 50);
}

#[test]
fn rot_in_the_newest_manifest_is_damage_and_rot_beside_it_is_not() {
    let (disk, _) = written(4, 20);
    let (newest, other) = places(&disk);
    let flipped = |at: usize, bit| {
        let disk = disk.after_power_cut(&Survival::Everything);
        disk.flip_bit(NAME, at as u64, bit);
        disk
    };
    for at in newest.clone() {
        for bit in 0..8 {
            let error = read(&flipped(at, bit)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit} of byte {at}");
            assert!(error.to_string().starts_with(NAME), "{error}");
        }
    }
    let told = other..other + HEADER_BYTES + CRC_BYTES;
    for at in told.chain([other + 100, newest.end, newest.start + PAGE_BYTES - 1]) {
        for bit in 0..8 {
            let disk = flipped(at, bit);
            assert_eq!(covered(&disk), 4, "bit {bit} of byte {at}");
            // The next one is written there.
            let mut slots = read(&disk).unwrap().unwrap().1;
            slots.write(&folder(&disk), &manifest(5, 20)).unwrap();
            assert_eq!(covered(&disk), 5, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn the_manifest_before_is_not_read_instead_of_one_that_lasted_and_was_lost() {
    let (before, mut slots) = written(3, 0);
    let old = before.bytes(NAME).unwrap();
    slots.write(&folder(&before), &manifest(4, 0)).unwrap();
    let disk = before;
    assert_eq!(covered(&disk), 4, "control");
    // The write came only to the disk's memory, or the sector was lost.
    for lost in [old[PAGE_BYTES..].to_vec(), vec![0; PAGE_BYTES], vec![0xff; PAGE_BYTES]] {
        let disk = disk.after_power_cut(&Survival::Everything);
        disk.overwrite(NAME, PAGE_BYTES as u64, &lost);
        assert_eq!(read(&disk).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_file_of_another_length_and_slots_in_each_others_place_are_damage() {
    let (disk, _) = written(4, 0);
    let bytes = disk.bytes(NAME).unwrap();
    let (one, two) = bytes.split_at(PAGE_BYTES);
    assert!(newest(&bytes, CHECK).is_ok(), "control");
    let page = vec![0; PAGE_BYTES];
    let all = [
        [two, one].concat(),
        [two, two].concat(),
        [one, one].concat(),
        [bytes.as_slice(), &page].concat(),
        [bytes.as_slice(), &page, &page].concat(),
        [&page, bytes.as_slice(), &page].concat(),
        one.to_vec(),
        two.to_vec(),
        Vec::new(),
    ];
    for (nth, bytes) in all.iter().enumerate() {
        assert_eq!(newest(bytes, CHECK), Err(Unusable::Damaged), "{nth}");
    }
    for len in 0..bytes.len() {
        assert_eq!(newest(&bytes[..len], CHECK), Err(Unusable::Damaged), "cut to {len}");
    }
}

/// The slots with a byte of the newest manifest changed, and its checksum made right again.
fn forged(at: usize, value: u8) -> Vec<u8> {
    let (disk, _) = written(4, 1);
    let (newest, _) = places(&disk);
    let mut bytes = disk.bytes(NAME).unwrap();
    let content = &mut bytes[newest];
    content[at] = value;
    let (fields, crc) = content.split_last_chunk_mut::<CRC_BYTES>().unwrap();
    *crc = crc32fast::hash(fields).to_le_bytes();
    bytes
}

#[test]
fn another_secret_another_version_and_hostile_fields_are_told_apart() {
    assert!(newest(&forged(0, b'O'), CHECK).is_ok(), "control");
    assert_eq!(newest(&forged(0, b'O'), CHECK + 1), Err(Unusable::Foreign));
    for version in [1, 3] {
        let other = forged(8, version);
        assert_eq!(newest(&other, CHECK), Err(Unusable::Version(version.into())));
    }
    assert_eq!(newest(&forged(0, b'o'), CHECK), Err(Unusable::Damaged), "the magic");
    for at in [64, 132, 153, 169] {
        let hostile = forged(at + 3, 0xff);
        assert_eq!(newest(&hostile, CHECK), Err(Unusable::Damaged), "count at {at}");
    }
    assert_eq!(newest(&forged(152, 2), CHECK), Err(Unusable::Damaged), "a flag of 2");
    assert_eq!(newest(&forged(20, 3), CHECK), Err(Unusable::Damaged), "a number of the other slot");
    assert_eq!(newest(&forged(29, 32), CHECK), Err(Unusable::Damaged), "another slot's length");
    for number in [0, u64::MAX] {
        let content = encode(CHECK, (number, PAGE_BYTES), &manifest(1, 0).encode());
        let bytes = [paged(content), vec![0; PAGE_BYTES]].concat();
        assert_eq!(newest(&bytes, CHECK), Err(Unusable::Damaged), "number {number}");
        let swapped = [&bytes[PAGE_BYTES..], &bytes[..PAGE_BYTES]].concat();
        assert_eq!(newest(&swapped, CHECK), Err(Unusable::Damaged), "number {number}");
    }
}

#[test]
fn after_a_write_that_failed_the_file_is_replaced_as_a_whole() {
    for (op, kind) in [
        (FaultOp::Open, FaultKind::Eio),
        (FaultOp::Write, FaultKind::ShortWrite(700)),
        (FaultOp::SyncData, FaultKind::Eio),
    ] {
        for nth in 0..2 {
            let (disk, mut slots) = written(3, 500);
            disk.plan(Fault { op, name_contains: NAME.to_owned(), nth, kind, forever: false });
            let failed = slots.write(&folder(&disk), &manifest(4, 500));
            if nth > 0 && op != FaultOp::Write {
                assert!(failed.is_ok(), "there is one only");
                continue;
            }
            failed.unwrap_err();
            disk.forget_faults();
            for left in [disk.after_kill(), disk.after_power_cut(&Survival::Nothing)] {
                // Killed, then without power: what was read at the first opening lasts.
                let first = covered(&left);
                assert!([3, 4].contains(&first), "{op:?} {nth}: {first}");
                for survival in [Survival::Nothing, Survival::Everything] {
                    assert_eq!(covered(&left.after_power_cut(&survival)), first, "{op:?} {nth}");
                }
            }
            let before = disk.trace().len();
            slots.write(&folder(&disk), &manifest(5, 500)).unwrap();
            let trace = disk.trace().split_off(before);
            assert!(trace.iter().any(|line| line.contains("rename")), "{op:?} {nth}: {trace:?}");
            assert_eq!(covered(&disk.after_power_cut(&Survival::Nothing)), 5, "{op:?} {nth}");
        }
    }
}
