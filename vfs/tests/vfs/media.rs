//! A disk that keeps less than it should is as bad as it is set to be, and no worse.
//! Method: small histories on each sort of disk; every byte after a cut is compared with the rule.

use std::{collections::BTreeSet, io};

use onceward_vfs::{
    Fault, FaultKind, FaultOp, LostWrite, Medium, Mode, Overwrite, SimVfs, Survival, Vfs, replace,
};

/// Seeds that every random check tries.
const SEEDS: u64 = 200;

/// What cheap flash damages as one.
const BLOCK: usize = 4096;

/// What every file holds at first.
const OLD: u8 = 1;

/// What is written over it.
const NEW: u8 = 2;

/// A disk with the durable file `log` of `len` old bytes.
fn disk_with_log(len: usize) -> io::Result<SimVfs> {
    let disk = SimVfs::new();
    let file = disk.open("log", Mode::CreateNew)?;
    file.write_all_at(0, &vec![OLD; len])?;
    file.sync_data()?;
    disk.sync_dir("")?;
    Ok(disk)
}

/// Writes new bytes to `log`, without a sync.
fn write(disk: &SimVfs, offset: u64, count: usize) -> io::Result<()> {
    disk.open("log", Mode::Write)?.write_all_at(offset, &vec![NEW; count])
}

/// What `log` holds after a cut on such a medium.
fn log_after(disk: &SimVfs, medium: Medium, survival: &Survival) -> Vec<u8> {
    disk.set_medium(medium);
    disk.after_power_cut(survival).bytes("log").unwrap_or_default()
}

/// A medium that loses bytes so.
fn losing(lost: LostWrite, seed: u64) -> Medium {
    Medium { lost, seed, ..Medium::default() }
}

/// A medium that damages blocks so.
fn damaging(overwrite: Overwrite, seed: u64) -> Medium {
    Medium { overwrite, seed, ..Medium::default() }
}

/// Whether `bytes` look random: no value is frequent.
fn looks_random(bytes: &[u8]) -> bool {
    let mut sorted = bytes.to_vec();
    sorted.sort_unstable();
    let most = sorted.chunk_by(u8::eq).map(<[u8]>::len).max().unwrap_or(0);
    most <= 4 + bytes.len() / 32
}

/// One survival of each sort.
fn survivals() -> Vec<Survival> {
    let mut all = vec![Survival::Nothing, Survival::Everything, Survival::Prefix(1)];
    all.push(Survival::Torn { whole: 0, bytes: 7 });
    all.push(Survival::Pieces { kept: 1, sector_bytes: 512 });
    all.extend((0..20).map(|seed| Survival::Seeded { seed, sector_bytes: 512 }));
    all
}

#[test]
fn a_cut_damages_the_blocks_around_unsynced_writes_and_no_other() {
    let disk = disk_with_log(4 * BLOCK + 100).unwrap();
    write(&disk, 8192 + 100, 10).unwrap();
    write(&disk, 16_380, 10).unwrap();
    for survival in survivals() {
        let bytes = log_after(&disk, damaging(Overwrite::DamagesEveryBlock, 3), &survival);
        assert_eq!(bytes.len(), 4 * BLOCK + 100, "{survival:?}");
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            let touched = [2, 3, 4].contains(&number);
            assert_eq!(looks_random(block), touched, "block {number}, {survival:?}");
            assert!(touched || block.iter().all(|byte| *byte == OLD), "{number}, {survival:?}");
        }
        let sound = log_after(&disk, Medium::default(), &survival);
        assert!(sound.iter().all(|byte| [OLD, NEW].contains(byte)), "control: {survival:?}");
    }
}

#[test]
fn a_synced_write_is_safe_until_its_block_is_written_again() {
    let disk = disk_with_log(2 * BLOCK).unwrap();
    write(&disk, 0, 10).unwrap();
    disk.open("log", Mode::Write).unwrap().sync_data().unwrap();
    let medium = damaging(Overwrite::DamagesEveryBlock, 0);
    let acked = |survival: &Survival| log_after(&disk, medium, survival)[..10] == [NEW; 10];
    assert!(survivals().iter().all(acked));
    write(&disk, BLOCK as u64, 10).unwrap();
    assert!(survivals().iter().all(acked), "the next write starts on a new block");
    write(&disk, 10, 10).unwrap();
    assert!(!survivals().iter().any(acked), "the next write is in the same block");
}

#[test]
fn blocks_are_damaged_one_by_one_where_some_are() {
    let disk = disk_with_log(3 * BLOCK).unwrap();
    write(&disk, 0, 1).unwrap();
    write(&disk, 8192, 1).unwrap();
    let outcomes: BTreeSet<_> = (0..SEEDS)
        .map(|seed| {
            let medium = damaging(Overwrite::DamagesSomeBlocks, seed);
            let bytes = log_after(&disk, medium, &Survival::Everything);
            let damaged: Vec<_> = bytes.chunks(BLOCK).map(looks_random).collect();
            damaged
        })
        .collect();
    let all = [[false; 3], [true, false, false], [false, false, true], [true, false, true]];
    assert_eq!(outcomes, all.map(|it| it.to_vec()).into());
}

#[test]
fn other_files_are_not_damaged() {
    let disk = disk_with_log(BLOCK).unwrap();
    replace(&disk, "other", &[OLD; BLOCK]).unwrap();
    write(&disk, 0, BLOCK).unwrap();
    disk.set_medium(Medium {
        lost: LostWrite::Garbage,
        ..damaging(Overwrite::DamagesEveryBlock, 0)
    });
    for survival in survivals() {
        let found = disk.after_power_cut(&survival);
        assert!(looks_random(&found.bytes("log").unwrap()), "control: {survival:?}");
        assert_eq!(found.bytes("other").unwrap(), [OLD; BLOCK], "{survival:?}");
    }
}

#[test]
fn what_looks_random_follows_from_both_seeds() {
    let disk = disk_with_log(BLOCK).unwrap();
    write(&disk, 0, 1000).unwrap();
    let seeded = |seed| Survival::Seeded { seed, sector_bytes: 512 };
    for medium in [losing(LostWrite::Garbage, 1), damaging(Overwrite::DamagesEveryBlock, 1)] {
        let found =
            |seed, survival: &Survival| log_after(&disk, Medium { seed, ..medium }, survival);
        assert_eq!(found(1, &Survival::Nothing), found(1, &Survival::Nothing));
        assert_ne!(found(1, &Survival::Nothing), found(2, &Survival::Nothing));
        let distinct: BTreeSet<_> = (0..40).map(|seed| found(1, &seeded(seed))).collect();
        assert!(distinct.len() > 10, "{medium:?}: only {}", distinct.len());
        assert_eq!(found(1, &seeded(5)), found(1, &seeded(5)));
    }
}

#[test]
fn every_subset_of_sectors_lands_with_old_bytes_zeros_or_garbage_in_place_of_the_rest() {
    for sector_bytes in [512_usize, 4096] {
        let disk = disk_with_log(4 * sector_bytes).unwrap();
        write(&disk, sector_bytes as u64, 2 * sector_bytes).unwrap();
        let sector_size = u32::try_from(sector_bytes).unwrap();
        assert_eq!(disk.piece_count(sector_size), 2);
        for (lost, kept) in [LostWrite::OldBytes, LostWrite::Zeros, LostWrite::Garbage]
            .into_iter()
            .flat_map(|lost| (0..4_u64).map(move |kept| (lost, kept)))
        {
            let survival = Survival::Pieces { kept, sector_bytes: sector_size };
            let bytes = log_after(&disk, losing(lost, kept), &survival);
            let sectors: Vec<_> = bytes.chunks(sector_bytes).collect();
            let all = |sector: &[u8], value: u8| sector.iter().all(|byte| *byte == value);
            assert!(all(sectors[0], OLD) && all(sectors[3], OLD), "{lost:?} {kept}");
            for (bit, sector) in sectors[1..3].iter().enumerate() {
                let as_it_should = match (kept >> bit & 1, lost) {
                    (1, _) => all(sector, NEW),
                    (_, LostWrite::OldBytes) => all(sector, OLD),
                    (_, LostWrite::Zeros) => all(sector, 0),
                    (_, _) => looks_random(sector),
                };
                assert!(as_it_should, "{sector_bytes} {lost:?} {kept:b}: sector {bit}");
            }
        }
    }
}

#[test]
fn random_subsets_land_in_whole_sectors_of_either_size() {
    for sector_bytes in [512_u32, 4096] {
        let disk = disk_with_log(8 * BLOCK).unwrap();
        write(&disk, 0, 8 * BLOCK).unwrap();
        let mut mixed = 0;
        for seed in 0..SEEDS {
            let survival = Survival::Seeded { seed, sector_bytes };
            let bytes = log_after(&disk, losing(LostWrite::Zeros, 0), &survival);
            assert!(bytes.iter().all(|byte| [0, NEW].contains(byte)), "seed {seed}");
            let sectors = bytes.chunks(usize::try_from(sector_bytes).unwrap());
            assert!(sectors.clone().all(|it| it.iter().all(|byte| *byte == it[0])), "seed {seed}");
            mixed += u32::from(bytes.contains(&0) && bytes.contains(&NEW));
        }
        assert!(mixed > 20, "only {mixed} cuts tore the write");
    }
}

#[test]
fn a_torn_write_ends_in_zeros_or_garbage_at_any_byte() {
    let disk = disk_with_log(600).unwrap();
    write(&disk, 100, 400).unwrap();
    for bytes in [0, 1, 29, 399, 400] {
        let survival = Survival::Torn { whole: 0, bytes };
        let end = 100 + usize::try_from(bytes).unwrap();
        for lost in [LostWrite::Zeros, LostWrite::Garbage] {
            let found = log_after(&disk, losing(lost, 9), &survival);
            assert!(found[..100].iter().chain(&found[500..]).all(|byte| *byte == OLD), "{bytes}");
            assert!(found[100..end].iter().all(|byte| *byte == NEW), "{bytes}");
            match lost {
                LostWrite::Zeros => {
                    assert!(found[end..500].iter().all(|byte| *byte == 0), "{bytes}");
                }
                _ => assert!(looks_random(&found[end..500]), "{bytes}"),
            }
        }
    }
}

#[test]
fn a_growing_file_keeps_its_length_with_zeros_or_garbage_for_its_bytes() {
    let disk = disk_with_log(100).unwrap();
    write(&disk, 300, 2000).unwrap();
    let found = |lost| log_after(&disk, losing(lost, 9), &Survival::Nothing);
    assert_eq!(found(LostWrite::OldBytes), [OLD; 100], "control");
    for (lost, is_random) in [(LostWrite::Zeros, false), (LostWrite::Garbage, true)] {
        let bytes = found(lost);
        assert_eq!((bytes.len(), &bytes[..100]), (2300, [OLD; 100].as_slice()), "{lost:?}");
        assert!(bytes[100..300].iter().all(|byte| *byte == 0), "{lost:?}: a gap is zeros");
        assert_eq!(looks_random(&bytes[300..]), is_random, "{lost:?}");
        assert!(is_random || bytes[300..].iter().all(|byte| *byte == 0), "{lost:?}");
    }
}

#[test]
fn lost_zeros_at_the_end_of_a_growing_file_are_garbage_too() {
    let disk = disk_with_log(0).unwrap();
    disk.open("log", Mode::Write).unwrap().write_all_at(0, &[0; 2000]).unwrap();
    let found = |lost| log_after(&disk, losing(lost, 9), &Survival::Nothing);
    assert!(found(LostWrite::Garbage).len() == 2000 && looks_random(&found(LostWrite::Garbage)));
    assert!(found(LostWrite::Zeros) == [0; 2000], "control");
}

#[test]
fn nothing_is_put_where_a_later_cut_of_the_file_took_the_bytes_away() {
    let disk = disk_with_log(10).unwrap();
    write(&disk, 0, 1000).unwrap();
    disk.open("log", Mode::Write).unwrap().set_len(4).unwrap();
    let found = |survival| log_after(&disk, losing(LostWrite::Zeros, 0), &survival);
    assert_eq!(found(Survival::Nothing), [0, 0, 0, 0, OLD, OLD, OLD, OLD, OLD, OLD]);
    assert_eq!(found(Survival::Everything), [NEW; 4]);
}

#[test]
fn writing_the_same_bytes_again_loses_nothing() {
    let disk = disk_with_log(3000).unwrap();
    let file = disk.open("log", Mode::Write).unwrap();
    file.write_all_at(0, &[OLD; 2000]).unwrap();
    for lost in [LostWrite::Zeros, LostWrite::Garbage] {
        for survival in survivals() {
            let bytes = log_after(&disk, losing(lost, 9), &survival);
            assert!(bytes == [OLD; 3000], "{lost:?} {survival:?}");
        }
    }
}

#[test]
fn a_lost_write_may_show_what_another_file_has_there() {
    let disk = disk_with_log(1000).unwrap();
    replace(&disk, "recycled", &[&[8; 600][..], &[9; 300]].concat()).unwrap();
    write(&disk, 500, 1000).unwrap();
    let bytes = log_after(&disk, losing(LostWrite::Stale, 0), &Survival::Nothing);
    let expected = [&[OLD; 500][..], &[8; 100], &[9; 300], &[0; 600]].concat();
    assert_eq!(bytes, expected);
    disk.remove("recycled").unwrap();
    disk.sync_dir("").unwrap();
    let bytes = log_after(&disk, losing(LostWrite::Stale, 0), &Survival::Nothing);
    assert_eq!(bytes, [&[OLD; 500][..], &[0; 1000]].concat(), "no other file is left");
}

#[test]
fn a_lying_sync_says_ok_and_makes_neither_bytes_nor_names_durable() {
    let lying = Medium { lying_syncs: true, ..Medium::default() };
    let history = |medium| -> io::Result<(Vec<String>, Option<Vec<u8>>)> {
        let disk = disk_with_log(4)?;
        disk.set_medium(medium);
        write(&disk, 0, 4)?;
        disk.open("log", Mode::Write)?.sync_data()?;
        disk.rename("log", "renamed")?;
        disk.open("new", Mode::CreateNew)?;
        disk.sync_dir("")?;
        disk.create_dir("dir")?;
        let found = disk.after_power_cut(&Survival::Nothing);
        Ok((found.list("")?, found.bytes("log").or_else(|| found.bytes("renamed"))))
    };
    let (names, bytes) = history(lying).unwrap();
    assert_eq!((names, bytes.unwrap()), (vec!["log".to_owned()], vec![OLD; 4]));
    let (names, bytes) = history(Medium::default()).unwrap();
    assert_eq!((names.join(" "), bytes.unwrap()), ("dir new renamed".to_owned(), vec![NEW; 4]));
}

#[test]
fn a_check_of_durability_notices_a_lying_sync() {
    let lost_after_ok = |lying_syncs| {
        let disk = SimVfs::new();
        replace(&disk, "meta", b"old").unwrap();
        disk.set_medium(Medium { lying_syncs, ..Medium::default() });
        replace(&disk, "meta", b"new").unwrap();
        let is_lost = |seed| {
            let survival = Survival::Seeded { seed, sector_bytes: 512 };
            disk.after_power_cut(&survival).bytes("meta").as_deref() != Some(b"new")
        };
        (0..SEEDS).filter(|seed| is_lost(*seed)).count()
    };
    assert_eq!(lost_after_ok(false), 0);
    assert!(lost_after_ok(true) > 20);
}

#[test]
fn a_lying_sync_still_fails_where_a_fault_is_planned_and_maps_what_it_called_synced() {
    let disk = disk_with_log(4).unwrap();
    disk.set_medium(Medium { lying_syncs: true, ..Medium::default() });
    write(&disk, 0, 4).unwrap();
    let file = disk.open("log", Mode::Write).unwrap();
    file.sync_data().unwrap();
    assert_eq!(&*disk.map("log").unwrap(), [NEW; 4]);
    let name_contains = String::new();
    let op = FaultOp::SyncData;
    disk.plan(Fault { op, name_contains, nth: 0, kind: FaultKind::Eio, forever: false });
    assert!(file.sync_data().is_err());
    assert_eq!(disk.after_power_cut(&Survival::Everything).bytes("log").unwrap(), [OLD; 4]);
}

#[test]
fn the_medium_stays_the_same_over_crashes() {
    let disk = disk_with_log(BLOCK).unwrap();
    disk.set_medium(damaging(Overwrite::DamagesEveryBlock, 0));
    for found in [disk.after_kill(), disk.after_power_cut(&Survival::Nothing)] {
        write(&found, 0, 1).unwrap();
        let bytes = found.after_power_cut(&Survival::Nothing).bytes("log").unwrap();
        assert!(looks_random(&bytes));
    }
}
