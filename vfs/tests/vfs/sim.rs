//! A power cut of the simulated disk loses what was not synced, and nothing else; a seed decides.
//! Method: small histories, cut under every survival, compared with what the contract allows.

use std::{collections::BTreeSet, io};

use onceward_vfs::{Mode, SimVfs, Survival, Vfs};

/// Seeds that every random check tries.
const SEEDS: u64 = 400;

/// A disk with the durable file `log` of `content`.
fn disk_with_log(content: &[u8]) -> io::Result<SimVfs> {
    let disk = SimVfs::new();
    let file = disk.open("log", Mode::CreateNew)?;
    file.write_all_at(0, content)?;
    file.sync_data()?;
    disk.sync_dir("")?;
    Ok(disk)
}

/// All survivals that leave unsynced things to chance, for `SEEDS` seeds and both sector sizes.
fn seeded() -> impl Iterator<Item = Survival> {
    (0..SEEDS)
        .flat_map(|seed| [512, 4096].map(|sector_bytes| Survival::Seeded { seed, sector_bytes }))
}

#[test]
fn synced_bytes_with_synced_names_survive_every_cut() {
    let disk = disk_with_log(b"acked").unwrap();
    let fixed = [Survival::Nothing, Survival::Everything, Survival::Prefix(0)];
    for survival in fixed.into_iter().chain(seeded()) {
        let found = disk.after_power_cut(&survival);
        assert_eq!(found.bytes("log").as_deref(), Some(b"acked".as_slice()), "{survival:?}");
    }
}

#[test]
fn unsynced_bytes_are_lost_or_kept_as_told() {
    let disk = disk_with_log(b"old").unwrap();
    let file = disk.open("log", Mode::Write).unwrap();
    file.write_all_at(0, b"new").unwrap();
    file.write_all_at(3, b"er").unwrap();
    assert_eq!(disk.bytes("log").unwrap(), b"newer", "control: reads see it");
    assert_eq!(disk.unsynced_count(), 2);
    let found = |survival| disk.after_power_cut(&survival).bytes("log").unwrap();
    assert_eq!(found(Survival::Nothing), b"old");
    assert_eq!(found(Survival::Everything), b"newer");
    assert_eq!(found(Survival::Prefix(1)), b"new");
    assert_eq!(found(Survival::Torn { whole: 0, bytes: 1 }), b"nld");
    assert_eq!(found(Survival::Torn { whole: 1, bytes: 1 }), b"newe");
    assert_eq!(found(Survival::Torn { whole: 2, bytes: 1 }), b"newer");
}

#[test]
fn a_name_without_sync_dir_may_be_lost_although_its_bytes_were_synced() {
    let disk = SimVfs::new();
    let file = disk.open("log", Mode::CreateNew).unwrap();
    file.write_all_at(0, b"acked?").unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log"), None);
    assert_eq!(disk.after_power_cut(&Survival::Everything).bytes("log").unwrap(), b"acked?");
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), b"acked?");
}

#[test]
fn a_synced_name_does_not_bring_unsynced_bytes() {
    let disk = SimVfs::new();
    disk.open("log", Mode::CreateNew).unwrap().write_all_at(0, b"lost").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), b"");
}

#[test]
fn a_removed_file_comes_back_until_its_directory_is_synced() {
    let disk = disk_with_log(b"back").unwrap();
    disk.remove("log").unwrap();
    assert_eq!(disk.bytes("log"), None);
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), b"back");
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log"), None);
}

#[test]
fn a_rename_within_a_directory_is_never_halved() {
    let disk = disk_with_log(b"bytes").unwrap();
    disk.rename("log", "other").unwrap();
    let mut outcomes = BTreeSet::new();
    for survival in seeded() {
        let names = disk.after_power_cut(&survival).list("").unwrap();
        assert!(names == ["log"] || names == ["other"], "{survival:?} left {names:?}");
        outcomes.insert(names);
    }
    assert_eq!(outcomes.len(), 2, "both outcomes must happen");
}

#[test]
fn a_rename_between_directories_needs_both_synced_and_never_loses_the_file() {
    let disk = disk_with_log(b"bytes").unwrap();
    disk.create_dir("dir").unwrap();
    disk.rename("log", "dir/log").unwrap();
    let present = |disk: &SimVfs, survival: &Survival| {
        let found = disk.after_power_cut(survival);
        (found.exists("log").unwrap(), found.exists("dir/log").unwrap())
    };
    let outcomes: BTreeSet<_> = seeded().map(|survival| present(&disk, &survival)).collect();
    assert_eq!(outcomes, BTreeSet::from([(true, false), (false, true), (true, true)]));

    let source_synced = disk.after_kill();
    source_synced.sync_dir("").unwrap();
    assert_eq!(present(&source_synced, &Survival::Nothing), (true, false));
    source_synced.sync_dir("dir").unwrap();
    assert_eq!(present(&source_synced, &Survival::Nothing), (false, true));

    disk.sync_dir("dir").unwrap();
    assert_eq!(present(&disk, &Survival::Nothing), (true, true));
    disk.sync_dir("").unwrap();
    assert_eq!(present(&disk, &Survival::Nothing), (false, true));
}

#[test]
fn half_a_rename_never_undoes_a_later_synced_one() {
    let disk = disk_with_log(b"first").unwrap();
    disk.create_dir("dir").unwrap();
    disk.rename("log", "dir/log").unwrap();
    disk.sync_dir("dir").unwrap();
    let file = disk.open("dir/new", Mode::CreateNew).unwrap();
    file.write_all_at(0, b"second").unwrap();
    file.sync_data().unwrap();
    disk.rename("dir/new", "dir/log").unwrap();
    disk.sync_dir("dir").unwrap();
    for survival in seeded().chain([Survival::Everything]) {
        let found = disk.after_power_cut(&survival);
        assert_eq!(found.bytes("dir/log").unwrap(), b"second", "{survival:?}");
    }
}

#[test]
fn directories_and_what_was_synced_in_them_survive() {
    let disk = SimVfs::new();
    disk.create_dir("a/b").unwrap();
    disk.open("a/b/file", Mode::CreateNew).unwrap();
    disk.sync_dir("a/b").unwrap();
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found.list("a/b").unwrap(), ["file"]);
}

#[test]
fn a_torn_write_is_old_or_new_in_every_sector_and_both_in_some_cut() {
    let disk = disk_with_log(&[1; 3000]).unwrap();
    disk.open("log", Mode::Write).unwrap().write_all_at(100, &[2; 2500]).unwrap();
    let mut mixed = false;
    for seed in 0..SEEDS {
        let survival = Survival::Seeded { seed, sector_bytes: 512 };
        let bytes = disk.after_power_cut(&survival).bytes("log").unwrap();
        assert!(bytes[..100].iter().chain(&bytes[2600..]).all(|byte| *byte == 1), "seed {seed}");
        let sectors: Vec<_> = bytes[100..2600].chunk_by(|left, right| left == right).collect();
        let mut at = 100;
        for run in &sectors[..sectors.len() - 1] {
            at += run.len();
            assert_eq!(at % 512, 0, "seed {seed} tore a sector at {at}");
        }
        mixed |= sectors.len() > 1;
    }
    assert!(mixed, "no cut tore the write");
}

#[test]
fn a_sector_never_holds_a_later_write_without_the_earlier_one() {
    let disk = disk_with_log(&[0; 512]).unwrap();
    let file = disk.open("log", Mode::Write).unwrap();
    file.write_all_at(0, b"a").unwrap();
    file.write_all_at(1, b"b").unwrap();
    let seen: BTreeSet<_> = seeded()
        .map(|survival| disk.after_power_cut(&survival).bytes("log").unwrap()[..2].to_vec())
        .collect();
    assert_eq!(seen, BTreeSet::from([b"\0\0".to_vec(), b"a\0".to_vec(), b"ab".to_vec()]));
}

#[test]
fn a_growing_file_may_keep_its_length_without_its_bytes() {
    let disk = disk_with_log(b"").unwrap();
    disk.open("log", Mode::Write).unwrap().write_all_at(0, &[7; 2048]).unwrap();
    let found = seeded().map(|survival| disk.after_power_cut(&survival).bytes("log").unwrap());
    let (mut zeros, mut hole, mut short) = (false, false, false);
    for bytes in found {
        zeros |= bytes.len() == 2048 && bytes.iter().all(|byte| *byte == 0);
        hole |= bytes.first() == Some(&0) && bytes.last() == Some(&7);
        short |= bytes.len() < 2048;
    }
    assert!(zeros && hole && short, "zeros {zeros}, hole {hole}, short {short}");
}

#[test]
fn the_same_seed_finds_the_same_disk_and_seeds_differ() {
    let disk = disk_with_log(&[0; 8192]).unwrap();
    let file = disk.open("log", Mode::Write).unwrap();
    for at in 0..16 {
        file.write_all_at(at * 512, &[1; 512]).unwrap();
    }
    let bytes = |survival: &Survival| disk.after_power_cut(survival).bytes("log").unwrap();
    let survivals: Vec<_> = seeded().collect();
    let first: Vec<_> = survivals.iter().map(bytes).collect();
    let second: Vec<_> = survivals.iter().map(bytes).collect();
    assert_eq!(first, second);
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 100);
}

#[test]
fn everything_fails_from_the_cut_on_and_without_effect() {
    let disk = disk_with_log(b"old").unwrap();
    let before = disk.op_count();
    disk.cut_power_at(before + 2);
    let file = disk.open("log", Mode::Write).unwrap();
    assert!(!disk.is_cut());
    file.write_all_at(0, b"new").unwrap();
    assert!(disk.is_cut());
    assert!(file.sync_data().is_err());
    assert!(file.read_at(0, &mut [0]).is_err());
    assert!(disk.list("").is_err() && disk.lock("lock").is_err());
    assert_eq!(disk.op_count(), before + 2);
    let found = disk.after_power_cut(&Survival::Nothing);
    assert!(!found.is_cut());
    assert_eq!((found.op_count(), found.bytes("log").unwrap()), (0, b"old".to_vec()));
}

#[test]
fn a_kill_keeps_what_is_live_and_what_is_not_durable_stays_so() {
    let disk = disk_with_log(b"old").unwrap();
    let _guard = disk.lock("lock").unwrap();
    disk.open("log", Mode::Write).unwrap().write_all_at(0, b"new").unwrap();
    let found = disk.after_kill();
    assert_eq!(found.bytes("log").unwrap(), b"new");
    assert!(found.lock("lock").is_ok(), "a killed holder holds nothing");
    assert_eq!(found.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), b"old");
}

#[test]
fn what_nothing_can_reach_is_forgotten_so_that_long_runs_stay_small() {
    let disk = disk_with_log(b"old").unwrap();
    let has_a_file = |disk: &SimVfs| format!("{disk:?}").contains("file_count: 1");
    let open = disk.open("log", Mode::Read).unwrap();
    disk.remove("log").unwrap();
    disk.sync_dir("").unwrap();
    assert!(has_a_file(&disk), "control: a handle still reaches it");
    assert!(!has_a_file(&disk.after_kill()), "a killed process has no handles");
    drop(open);
    disk.sync_dir("").unwrap();
    assert!(!has_a_file(&disk));
}

#[test]
fn damage_reaches_both_images_and_costs_no_operation() {
    let disk = disk_with_log(&[0b100; 4]).unwrap();
    let before = disk.op_count();
    disk.flip_bit("log", 1, 2);
    disk.overwrite("log", 2, b"xy");
    assert_eq!(disk.op_count(), before);
    assert_eq!(disk.bytes("log").unwrap(), [0b100, 0, b'x', b'y']);
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found.bytes("log").unwrap(), [0b100, 0, b'x', b'y']);
}

#[test]
#[should_panic(expected = "none at 4+1")]
fn damage_to_nothing_is_refused() {
    disk_with_log(b"four").unwrap().flip_bit("log", 4, 0);
}

#[test]
fn the_trace_tells_order_names_and_ranges() {
    let disk = SimVfs::new();
    onceward_vfs::replace(&disk, "meta", b"12").unwrap();
    assert_eq!(
        disk.trace(),
        [
            "0 remove meta.tmp",
            "1 create meta.tmp",
            "2 write meta.tmp 0+2",
            "3 sync_data meta.tmp",
            "4 rename meta.tmp meta",
            "5 sync_dir .",
        ]
    );
    assert_eq!(disk.changing_ops(), [0, 1, 2, 3, 4, 5]);
    assert!(disk.exists("meta").unwrap());
    assert_eq!((disk.op_count(), disk.changing_ops().len()), (7, 6));
}

#[test]
fn pieces_of_an_unsynced_write_survive_one_by_one_and_equal_disks_have_equal_fingerprints() {
    let disk = SimVfs::new();
    let file = disk.open("f", Mode::CreateNew).unwrap();
    file.write_all_at(0, &[1; 2048]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    file.write_all_at(512, &[2; 1024]).unwrap();
    assert_eq!((disk.piece_count(512), disk.piece_count(4096)), (2, 1));
    assert_eq!(disk.unsynced_writes(), [(0, 1024)]);
    let cut = |kept| disk.after_power_cut(&Survival::Pieces { kept, sector_bytes: 512 });
    let bytes = |kept| cut(kept).bytes("f").unwrap();
    let expected = |first: u8, second: u8| {
        let sectors = [[1; 512], [first; 512], [second; 512], [1; 512]];
        sectors.concat()
    };
    assert_eq!(bytes(0), expected(1, 1));
    assert_eq!(bytes(1), expected(2, 1));
    assert_eq!(bytes(2), expected(1, 2));
    assert_eq!(bytes(3), expected(2, 2));
    assert_eq!(cut(0).fingerprint(), disk.after_power_cut(&Survival::Nothing).fingerprint());
    assert_eq!(cut(3).fingerprint(), disk.after_power_cut(&Survival::Everything).fingerprint());
    assert_ne!(cut(1).fingerprint(), cut(2).fingerprint());
}
