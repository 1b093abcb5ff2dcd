//! Damaged, missing, stale and foreign files are told of by name, and never answered from wrongly.
//! Method: each kind of damage to each file; then every key is asked, and the log is told in full.

mod built;

use std::sync::Arc;

use onceward_index::{ErrorKind, Index, ReadMode, Secret, verify};
use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, OsVfs, SimVfs, Vfs};

use crate::scenery::slot::newest;
use crate::store::{DIR, location, options, secret};
use built::{
    Built, MANIFEST, Outcome, READINGS, built, built_under, bytes_of, copy, names, path, rewrite,
};

/// Bytes that a file may have become as a whole.
fn misshapen(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lengths = [0, 1, 7, 24, 36, 47, 48, bytes.len() / 2, bytes.len() - 4, bytes.len() - 1];
    let cuts = lengths.iter().map(|len| (*len).min(bytes.len() - 1));
    let mut all: Vec<_> =
        cuts.map(|len| (format!("cut to {len}"), bytes[..len].to_vec())).collect();
    for more in [1, 26, 4_096] {
        all.push((format!("{more} longer"), [bytes, &vec![0; more]].concat()));
    }
    all.push(("zeros".to_owned(), vec![0; bytes.len()]));
    all
}

#[test]
fn an_undamaged_index_is_opened_and_right() {
    let built = built();
    assert_eq!(built.outcome_of(|_| (), &[], "nothing"), Outcome::Right);
}

#[test]
fn a_file_that_is_missing_empty_cut_or_extended_is_named() {
    let built = built();
    for name in names(&built.disk) {
        let missing = built.outcome_of(
            |disk| disk.remove(&path(&name)).unwrap(),
            &[&name],
            &format!("{name} is missing"),
        );
        // Without a manifest there is no index, and nobody wrote that there was one.
        let expected = if name == MANIFEST { Outcome::Right } else { Outcome::Discarded };
        assert_eq!(missing, expected, "{name}");
        for (how, bytes) in misshapen(&built.disk.bytes(&path(&name)).unwrap()) {
            let what = format!("{name} is {how}");
            let outcome = built.outcome_of(|disk| rewrite(disk, &name, &bytes), &[&name], &what);
            assert_ne!(outcome, Outcome::Right, "{what}");
        }
    }
}

#[test]
fn every_flipped_bit_of_the_newest_manifest_discards_it() {
    let built = built();
    for at in newest(built.manifests.last().unwrap()) {
        for bit in 0..8 {
            let disk = copy(&built.disk);
            disk.flip_bit(&path(MANIFEST), at as u64, bit);
            let what = format!("bit {bit} of byte {at}");
            if (at * 8 + usize::from(bit)).is_multiple_of(211) {
                let vfs: Arc<dyn Vfs> = Arc::new(disk);
                let outcome = built.outcome(&vfs, ReadMode::Mapped, &[MANIFEST], &what);
                assert_eq!(outcome, Outcome::Discarded, "{what}");
                continue;
            }
            let opened = Index::open(location(disk.clone()), &secret(), options(ReadMode::Mapped));
            let opened = opened.unwrap();
            let why = &opened.index.discarded().unwrap().why;
            assert!(why.contains("index/manifest"), "{what}: {why}");
            assert_eq!((opened.covered, opened.mark, opened.index.len()), (0, 0, 0), "{what}");
            assert_eq!(names(&disk), Vec::<String>::new(), "{what}");
        }
    }
}

/// What was there before the newest manifest, and what is behind either, is of no use any more.
#[test]
fn a_flipped_bit_beside_the_newest_manifest_costs_nothing() {
    let built = built();
    let bytes = built.manifests.last().unwrap();
    let (newest, half) = (newest(bytes), bytes.len() / 2);
    let other = (newest.start + half) % bytes.len();
    let places = (other..other + 48).step_by(3).chain([newest.end, newest.start + half - 1]);
    for (nth, at) in places.enumerate() {
        let disk = copy(&built.disk);
        let bit = u8::try_from(nth % 8).unwrap();
        disk.flip_bit(&path(MANIFEST), at as u64, bit);
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        let what = format!("bit {bit} of byte {at}");
        let outcome = built.outcome(&vfs, READINGS[nth % 2], &[], &what);
        assert_eq!(outcome, Outcome::Right, "{what}");
    }
}

/// The log may have let go of what only the newest one has.
#[test]
fn a_newest_manifest_that_was_lost_is_not_replaced_by_the_one_before() {
    let built = built();
    let [.., before, last] = built.manifests.as_slice() else { panic!("two of them") };
    assert_eq!(before.len(), last.len(), "one was written beside the other");
    let (old, new) = (newest(before), newest(last));
    assert_ne!(old.start, new.start);
    let lose = |with: &[u8]| {
        let outcome = |disk: &SimVfs| disk.overwrite(&path(MANIFEST), new.start as u64, with);
        built.outcome_of(outcome, &[MANIFEST], "the newest manifest is lost")
    };
    // Zeros, or what was there before: the disk said that it wrote, and did not.
    assert_eq!(lose(&vec![0; new.len()]), Outcome::Discarded);
    assert_eq!(lose(&before[new.start..new.start + 512]), Outcome::Discarded);
    assert_eq!(lose(&last[new.start..new.end]), Outcome::Right, "control");
}

/// Flips bits of a file, `step` bytes apart; returns what came of it, by how often.
fn flip(built: &Built, name: &str, range: std::ops::Range<usize>, step: usize) -> [u32; 3] {
    let mut counts = [0; 3];
    for at in range.step_by(step) {
        let bit = u8::try_from(at % 8).unwrap();
        let reading = READINGS[at / step % 2];
        let disk = copy(&built.disk);
        disk.flip_bit(&path(name), at as u64, bit);
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        let what = format!("bit {bit} of byte {at} of {name}");
        counts[built.outcome(&vfs, reading, &[name], &what) as usize] += 1;
    }
    println!("{name}: {counts:?} discarded, told, right");
    counts
}

#[test]
fn a_flipped_bit_in_the_head_of_a_table_file_discards_all_files() {
    let built = built();
    let name = names(&built.disk).into_iter().find(|name| name.starts_with("table")).unwrap();
    let bytes = built.disk.bytes(&path(&name)).unwrap();
    let slots = usize::try_from(u64::from_le_bytes(bytes[24..32].try_into().unwrap())).unwrap();
    let head = bytes.len() - 7 * slots;
    let fixed = flip(&built, &name, 0..36, 1);
    let directory = flip(&built, &name, 36..head - 4, 331);
    let crc = flip(&built, &name, head - 4..head, 1);
    assert_eq!(fixed[1..], [0, 0]);
    assert_eq!(directory[1..], [0, 0]);
    assert_eq!(crc[1..], [0, 0]);
}

#[test]
fn a_flipped_bit_in_the_slots_of_a_table_file_is_told_by_who_needs_that_shard() {
    let built = built();
    let name = names(&built.disk).into_iter().find(|name| name.starts_with("table")).unwrap();
    let bytes = built.disk.bytes(&path(&name)).unwrap();
    let slots = usize::try_from(u64::from_le_bytes(bytes[24..32].try_into().unwrap())).unwrap();
    let [discarded, told, right] = flip(&built, &name, bytes.len() - 7 * slots..bytes.len(), 9);
    assert_eq!((discarded, right), (0, 0), "every slot's key is asked for: {told} are told");
}

#[test]
fn a_flipped_bit_anywhere_in_a_key_file_is_told_when_it_is_read() {
    let built = built();
    let names = names(&built.disk);
    for name in names.iter().filter(|name| name.starts_with("keys")) {
        let bytes = built.disk.bytes(&path(name)).unwrap();
        let [_, _, header] = flip(&built, name, 0..48, 5);
        let [_, _, block] = flip(&built, name, 48..72, 3);
        let [_, _, entries] = flip(&built, name, 72..bytes.len(), 41);
        assert_eq!([header, block, entries], [0; 3], "{name}: every byte of it is read");
    }
}

#[test]
fn files_of_the_same_kind_that_took_each_others_names_are_told_of() {
    let built = built();
    let keys: Vec<String> =
        names(&built.disk).into_iter().filter(|name| name.starts_with("keys")).collect();
    for (a, b) in keys.iter().zip(keys.iter().skip(1)) {
        let swap = |disk: &SimVfs| {
            let (bytes_a, bytes_b) = (bytes_of(disk, a), bytes_of(disk, b));
            rewrite(disk, a, &bytes_b);
            rewrite(disk, b, &bytes_a);
        };
        let outcome = built.outcome_of(swap, &[a, b], &format!("{a} and {b} swapped"));
        assert_ne!(outcome, Outcome::Right, "{a} and {b}");
    }
    let table = names(&built.disk).into_iter().find(|name| name.starts_with("table")).unwrap();
    let stale = |disk: &SimVfs| rewrite(disk, &table, &built.old_table);
    let outcome = built.outcome_of(stale, &[&table], "an old table file under the new name");
    assert_eq!(outcome, Outcome::Discarded);
}

#[test]
fn files_of_another_store_are_told_of() {
    let built = built();
    let other = built_under(&Secret::from_bytes([2; 16]));
    assert_eq!(names(&built.disk), names(&other.disk), "the same history");
    for name in names(&built.disk) {
        let foreign = other.disk.bytes(&path(&name)).unwrap();
        let what = format!("{name} of another store");
        let outcome = built.outcome_of(|disk| rewrite(disk, &name, &foreign), &[&name], &what);
        assert_ne!(outcome, Outcome::Right, "{what}");
    }
    let all = |disk: &SimVfs| {
        for name in names(disk) {
            rewrite(disk, &name, &other.disk.bytes(&path(&name)).unwrap());
        }
    };
    assert_eq!(built.outcome_of(all, &[MANIFEST], "all of another store"), Outcome::Discarded);
}

#[test]
fn an_older_manifest_is_right_where_its_files_are_there_and_discarded_where_they_are_gone() {
    let built = built();
    let any: Vec<String> =
        (0..64).flat_map(|n| [format!("keys-{n:08x}"), format!("table-{n:08x}")]).collect();
    let any: Vec<&str> = any.iter().map(String::as_str).collect();
    let outcomes: Vec<Outcome> = (0..built.manifests.len())
        .map(|nth| {
            let put_back = |disk: &SimVfs| rewrite(disk, MANIFEST, &built.manifests[nth]);
            built.outcome_of(put_back, &any, &format!("the manifest of checkpoint {nth}"))
        })
        .collect();
    let (discarded, right) = (Outcome::Discarded, Outcome::Right);
    assert_eq!(outcomes, [discarded, discarded, right, right]);
}

/// The bytes of a file with another version, its checksum made right again.
fn of_version(name: &str, bytes: &[u8], version: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let crc_at = match name.split('-').next().unwrap() {
        "keys" => 44,
        "table" => {
            let slots = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
            bytes.len() - 7 * usize::try_from(slots).unwrap() - 4
        }
        _ => newest(&bytes).end - 4,
    };
    let start = if name == MANIFEST { newest(&bytes).start } else { 0 };
    bytes[start + 8..start + 12].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[start..crc_at]).to_le_bytes();
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc);
    bytes
}

/// The version that files have.
const VERSION: u32 = 2;

#[test]
fn a_file_of_another_version_is_told_of() {
    let built = built();
    for name in names(&built.disk) {
        let bytes = built.disk.bytes(&path(&name)).unwrap();
        let same = of_version(&name, &bytes, VERSION);
        assert_eq!(same, bytes, "control: the checksum is where it is");
        for version in [VERSION - 1, VERSION + 1] {
            let other = of_version(&name, &bytes, version);
            let what = format!("{name} of version {version}");
            let outcome = built.outcome_of(|disk| rewrite(disk, &name, &other), &[&name], &what);
            assert_ne!(outcome, Outcome::Right, "{what}");
        }
    }
}

/// What an earlier program left: its content hashes are of another kind, so none of them may be used. The log,
/// which has the contents, is replayed.
#[test]
fn files_of_an_earlier_version_are_no_damage_and_are_built_anew_from_the_log() {
    let built = built();
    let disk = copy(&built.disk);
    for name in names(&built.disk) {
        let bytes = built.disk.bytes(&path(&name)).unwrap();
        rewrite(&disk, &name, &of_version(&name, &bytes, VERSION - 1));
    }
    assert_eq!(verify(location(disk.clone())).unwrap(), [], "nothing is damaged");
    let opened = Index::open(location(disk.clone()), &secret(), options(ReadMode::Mapped)).unwrap();
    let why = &opened.index.discarded().unwrap().why;
    assert!(why.contains("version 1"), "{why}");
    assert_eq!((opened.covered, opened.index.len()), (0, 0));
    assert_eq!(names(&disk), [""; 0], "the files are gone");

    let later = copy(&built.disk);
    let bytes = later.bytes(&path(MANIFEST)).unwrap();
    rewrite(&later, MANIFEST, &of_version(MANIFEST, &bytes, VERSION + 1));
    let faults = verify(location(later)).unwrap();
    assert!(faults.iter().any(|fault| fault.what.contains("Version(3)")), "{faults:?}");
}

#[test]
fn a_disk_that_fails_while_an_index_is_opened_costs_no_answer() {
    let built = built();
    let mut failed = 0;
    for op in [FaultOp::Read, FaultOp::Open, FaultOp::Look, FaultOp::Remove, FaultOp::SyncDir] {
        for nth in 0..12 {
            let disk = copy(&built.disk);
            let (name_contains, kind) = (DIR.to_owned(), FaultKind::Eio);
            disk.plan(Fault { op, name_contains, nth, kind, forever: false });
            let what = format!("{op:?} number {nth} fails");
            match Index::open(location(disk.clone()), &secret(), options(ReadMode::Positioned)) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
                    failed += 1;
                }
                // What passes does not cost the files.
                Ok(opened) => assert_eq!(opened.index.discarded(), None, "{what}"),
            }
            disk.forget_faults();
            let vfs: Arc<dyn Vfs> = Arc::new(disk);
            assert_eq!(built.outcome(&vfs, ReadMode::Positioned, &[], &what), Outcome::Right);
        }
    }
    assert!(failed > 10, "much of it is read at opening: {failed}");
}

#[test]
fn damage_to_real_files_is_told_of_with_real_maps() {
    let built = built();
    for reading in READINGS {
        for name in [None].into_iter().chain(names(&built.disk).into_iter().map(Some)) {
            for damage in ["missing", "cut", "longer", "flipped early", "flipped late"] {
                let folder = tempfile::tempdir().unwrap();
                let vfs: Arc<dyn Vfs> =
                    Arc::new(OsVfs::create(&folder.path().join("store")).unwrap());
                vfs.create_dir(DIR).unwrap();
                for each in names(&built.disk) {
                    let mut bytes = built.disk.bytes(&path(&each)).unwrap();
                    if Some(&each) == name.as_ref() {
                        let len = bytes.len();
                        let used = if each == MANIFEST { newest(&bytes) } else { 0..len };
                        match damage {
                            "missing" => continue,
                            "cut" => bytes.truncate(len - 1),
                            "longer" => bytes.push(0),
                            "flipped early" => bytes[used.start + 10] ^= 1,
                            _ => bytes[used.end - 1] ^= 0x80,
                        }
                    }
                    let file = vfs.open(&path(&each), Mode::CreateNew).unwrap();
                    file.write_all_at(0, &bytes).unwrap();
                }
                let what = format!("{name:?} is {damage}, {reading:?}");
                let blamed: Vec<&str> = name.as_deref().into_iter().collect();
                let outcome = built.outcome(&vfs, reading, &blamed, &what);
                let is_whole =
                    name.is_none() || (name.as_deref(), damage) == (Some(MANIFEST), "missing");
                assert_eq!(outcome == Outcome::Right, is_whole, "{what}");
                if name.is_none() {
                    break;
                }
            }
        }
    }
}
