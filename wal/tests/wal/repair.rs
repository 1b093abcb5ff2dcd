//! After a repair nothing is reported as damaged, nothing that could be read before is gone, and every
//! damaged byte is in quarantine; also if the repair was cut short and done again.
//! Method: a log of three segments; bits flipped, files cut, removed or unreadable; each operation of a
//! repair as the last one before a power cut.

use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, SimVfs, Survival, Vfs};
use onceward_wal::{ErrorKind, Repaired, repair};

use super::scenario::{
    Seen, body, fill_segment, found, host, open, open_sim, put, queue, segment, shared,
};

/// Says which row of the document a test is of.
fn row(label: &str) {
    let document = include_str!("../../FORMAT.md");
    assert!(document.contains(&format!("\n| `{label}` |")), "FORMAT.md has no row {label}");
}

/// A log of three segments with small frames, a batch and a mark in the first; not closed.
fn segments() -> SimVfs {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 1..=6 {
        put(&log, &body(seed, 20 + usize::try_from(seed).unwrap())).unwrap();
    }
    let batch = [body(7, 1), body(8, 30), body(9, 2)];
    log.wait(queue(&log, &batch).unwrap().last).unwrap();
    log.mark().unwrap();
    fill_segment(&log);
    fill_segment(&log);
    put(&log, &body(10, 50)).unwrap();
    put(&log, &body(11, 50)).unwrap();
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_kill();
    assert_eq!(found(&disk).0.damage, [], "control");
    disk
}

/// Repairs, and checks what holds of every repair.
fn repaired(disk: &SimVfs, what: &str) -> Repaired {
    let (report, before) = found(disk);
    let lock = onceward_wal::lock(disk).unwrap();
    let repaired = repair(disk, &lock).unwrap().unwrap();
    drop(lock);
    assert_eq!(repaired.damage, report.damage, "{what}");
    assert_eq!(repaired.left, [], "{what}: found {:?}", repaired.damage);
    let (_, after) = found(disk);
    assert_eq!(host(&after), host(&before), "{what}: what could be read before");
    goes_on(disk, &host(&before), what);
    repaired
}

/// The log takes a further frame, and keeps what it had.
fn goes_on(disk: &SimVfs, had: &[Seen], what: &str) {
    let disk = disk.after_kill();
    let (log, report, _) = open(&shared(&disk)).unwrap();
    assert_eq!(report.damage, [], "{what}: opened again");
    let lsn = put(&log, b"after the repair").unwrap();
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean && report.damage.is_empty(), "{what}: {:?}", report.damage);
    let seen = host(&seen);
    assert_eq!(seen[..had.len()], *had, "{what}");
    assert_eq!(seen.last().map(|frame| frame.lsn), Some(lsn.get()), "{what}");
    assert!(had.iter().all(|frame| frame.lsn < lsn.get()), "{what}: no number twice");
}

/// Whether a file in quarantine holds the byte that stood at `offset` of a segment.
fn is_kept(disk: &SimVfs, repaired: &Repaired, number: u64, offset: usize, byte: u8) -> bool {
    repaired.kept.iter().any(|file| {
        let mut parts = file.strip_prefix("quarantine/").unwrap().split('-');
        let of = u64::from_str_radix(parts.next().unwrap(), 16).unwrap();
        let from = usize::from_str_radix(parts.next().unwrap(), 16).unwrap();
        let at = offset.checked_sub(from);
        let kept = at.and_then(|at| disk.bytes(file).unwrap().get(at).copied());
        of == number && kept == Some(byte)
    })
}

/// Flips a bit at each of `offsets` of a segment, one after the other.
fn flip_each(number: u64, offsets: impl Iterator<Item = usize>) -> usize {
    let disk = segments();
    let mut mended = 0;
    for offset in offsets {
        let disk = disk.after_kill();
        disk.flip_bit(&segment(number), u64::try_from(offset).unwrap(), 5);
        let flipped = disk.bytes(&segment(number)).unwrap()[offset];
        let what = format!("segment {number}, byte {offset}");
        if found(&disk).0.damage.is_empty() {
            continue;
        }
        let repaired = repaired(&disk, &what);
        let kept = is_kept(&disk, &repaired, number, offset, flipped);
        assert!(kept, "{what}: {:?}", repaired.kept);
        mended += 1;
    }
    mended
}

/// D13.
#[test]
fn every_flipped_bit_of_small_frames_is_mended_and_kept() {
    // Run frame, small frames, the batch, the mark and the head of the first large frame.
    assert_eq!(flip_each(1, 4096..4096 + 96 + 9 * 64), 96 + 9 * 64);
}

#[test]
fn flipped_bits_of_headers_and_seals_are_mended_and_kept() {
    let seal = |number| {
        let (_, seen) = found(&segments());
        let of = |f: &&Seen| f.kind == 3 && f.place.segment == number;
        usize::try_from(seen.iter().find(of).unwrap().place.offset).unwrap()
    };
    for number in [1, 2] {
        assert_eq!(flip_each(number, (0..256).step_by(3)), 86, "header");
        assert_eq!(flip_each(number, (seal(number)..seal(number) + 86).step_by(3)), 29, "seal");
    }
    assert_eq!(flip_each(3, (0..256).step_by(3)), 86, "header of the last one");
}

/// D14: what a mark proves is damage also at the end of the log.
#[test]
fn flipped_bits_of_the_last_segment_are_mended_and_kept() {
    assert!(flip_each(3, 4096..4096 + 96 + 2 * 80) >= 96 + 2 * 80);
}

#[test]
fn a_header_and_the_frames_behind_it_are_mended_together() {
    let disk = segments();
    disk.overwrite(&segment(2), 0, &[0xff; 4096 + 50]);
    let (report, _) = found(&disk);
    assert!(report.damage.len() >= 2, "control: {:?}", report.damage);
    repaired(&disk, "header and run frame");
}

/// D16.
#[test]
fn a_segment_that_was_cut_is_sealed_where_it_is_cut() {
    let whole = segments();
    let (_, seen) = found(&whole);
    for frame in seen.iter().filter(|frame| frame.place.segment == 2) {
        for offset in [u64::from(frame.place.offset), u64::from(frame.place.offset) + 13] {
            let disk = whole.after_kill();
            disk.open(&segment(2), Mode::Write).unwrap().set_len(offset).unwrap();
            repaired(&disk, &format!("cut at {offset}"));
            let len = disk.bytes(&segment(2)).unwrap().len();
            assert_eq!(len, 256 * 1024, "as long as it was");
        }
    }
}

/// Header and first frame of the second segment are damaged, and the first one was trimmed.
fn without_a_beginning() -> (SimVfs, Vec<Seen>) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"first").unwrap();
    fill_segment(&log);
    fill_segment(&log);
    put(&log, b"last").unwrap();
    log.mark().unwrap();
    log.trim(1).unwrap();
    drop(log);
    let disk = disk.after_kill();
    let (_, before) = found(&disk);
    disk.overwrite(&segment(2), 0, &[0xff; 4096 + 50]);
    (disk, before)
}

#[test]
fn without_header_and_first_frame_the_seal_tells_the_numbers() {
    let (disk, before) = without_a_beginning();
    let (report, seen) = found(&disk);
    assert!(!report.damage.is_empty(), "control");
    assert_eq!(host(&seen), host(&before), "under their own numbers");
    repaired(&disk, "numbers told by the seal");
}

#[test]
fn frames_whose_numbers_nothing_tells_are_not_shown_under_others() {
    row("numbers-lost");
    let (disk, before) = without_a_beginning();
    let seal = before.iter().find(|f| f.kind == 3 && f.place.segment == 2).unwrap();
    disk.flip_bit(&segment(2), u64::from(seal.place.offset) + 40, 1);
    let (report, seen) = found(&disk);
    let lost = report.damage.iter().find(|damage| damage.offset == 4096).unwrap();
    assert_eq!((lost.file.clone(), lost.bytes), (segment(2), 256 * 1024 - 4096));
    let others: Vec<Seen> = before.into_iter().filter(|f| f.place.segment != 2).collect();
    assert_eq!(host(&seen), host(&others));
    repaired(&disk, "numbers lost");
}

#[test]
fn a_segment_that_is_not_the_one_before_the_next_is_reported_and_sealed_anew() {
    row("end-differs");
    // In the header of the third: where the second ended, and its digest.
    for field in [80, 88] {
        let disk = segments();
        let mut header = disk.bytes(&segment(3)).unwrap()[..256].to_vec();
        header[field] ^= 8;
        let crc = crc32fast::hash(&header[..252]);
        header[252..].copy_from_slice(&crc.to_le_bytes());
        disk.overwrite(&segment(3), 0, &header);
        let (report, _) = found(&disk);
        assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
        assert_eq!(report.damage[0].file, segment(2), "field {field}");
        repaired(&disk, &format!("field {field}"));
    }
}

#[test]
fn a_missing_segment_is_taken_off_the_list() {
    for number in [1, 2] {
        let disk = segments();
        disk.remove(&segment(number)).unwrap();
        if found(&disk).0.damage.is_empty() {
            assert_eq!(number, 1, "the first one may have been trimmed");
            continue;
        }
        repaired(&disk, &format!("segment {number} is missing"));
    }
}

#[test]
fn a_header_behind_a_missing_segment_is_mended_too() {
    let disk = segments();
    disk.remove(&segment(2)).unwrap();
    disk.flip_bit(&segment(3), 50, 1);
    assert_eq!(found(&disk).0.damage.len(), 2, "control");
    repaired(&disk, "header behind a missing segment");
}

#[test]
fn what_stands_in_for_lost_frames_does_so_in_its_own_place_only() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 1..=9 {
        put(&log, &body(seed, 20)).unwrap();
    }
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_kill();
    let (_, before) = found(&disk);
    let frames = host(&before);
    disk.flip_bit(&segment(1), u64::from(frames[6].place.offset) + 40, 1);
    repaired(&disk, "the seventh");

    // What was written there is written over the third as well.
    let from = usize::try_from(frames[6].place.offset).unwrap();
    let bytes = disk.bytes(&segment(1)).unwrap()[from..from + frames[6].bytes].to_vec();
    disk.overwrite(&segment(1), u64::from(frames[2].place.offset), &bytes);
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    let left: Vec<u64> = host(&seen).iter().map(|frame| frame.lsn).collect();
    let is_left = |lsn: &u64| ![frames[2].lsn, frames[6].lsn].contains(lsn);
    let expected: Vec<u64> = frames.iter().map(|frame| frame.lsn).filter(is_left).collect();
    assert_eq!(left[..expected.len()], expected);
    repaired(&disk, "the third");
}

#[test]
fn a_log_that_ends_before_its_clean_end_is_mended() {
    let disk = segments();
    open_sim(&disk).close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean, "control");
    let last = seen.last().unwrap();
    let zeros = vec![0; last.bytes];
    disk.overwrite(&segment(last.place.segment), u64::from(last.place.offset), &zeros);
    assert!(!found(&disk).0.damage.is_empty(), "control");
    repaired(&disk, "clean-short");
}

/// D12: other segments are shown, and nothing is written where the log may end until that can be read.
#[test]
fn what_the_disk_cannot_read_is_reported_and_opening_is_refused_where_the_log_may_end() {
    row("unreadable");
    let whole = segments();
    let (_, seen) = found(&whole);
    for number in [1, 2, 3] {
        let disk = whole.after_kill();
        let faulty = Fault {
            op: FaultOp::Read,
            name_contains: segment(number),
            nth: 0,
            kind: FaultKind::Eio,
            forever: true,
        };
        disk.plan(faulty);
        let (report, shown) = found(&disk);
        let damage = &report.damage;
        assert!(damage.iter().any(|d| d.what.contains("cannot be read")), "{damage:?}");
        assert!(damage.iter().all(|d| d.file == segment(number)), "{damage:?}");
        let elsewhere = |seen: &[Seen]| -> Vec<Seen> {
            host(seen).into_iter().filter(|f| f.place.segment != number).collect()
        };
        assert_eq!(elsewhere(&shown), elsewhere(&seen), "segment {number}");
        match open(&shared(&disk)) {
            Ok(_) => assert_ne!(number, 3, "the last one"),
            Err(error) => {
                assert_eq!((number, error.kind()), (3, ErrorKind::Io), "{error}");
                assert_eq!(error.position().unwrap().file, segment(number));
            }
        }

        // The disk reads again what was written anew.
        let disk = disk.after_kill();
        assert_eq!(found(&disk).0.damage, [], "a second try finds it whole");
    }
}

/// T14.
#[test]
fn a_repair_that_was_cut_short_is_done_again() {
    let damaged = segments();
    damaged.flip_bit(&segment(1), 4096 + 120, 1);
    damaged.flip_bit(&segment(2), 40, 1);
    damaged.open(&segment(2), Mode::Write).unwrap().set_len(200_000).unwrap();
    let damaged = damaged.after_power_cut(&Survival::Everything);
    let (_, before) = found(&damaged);
    let ops = {
        let disk = damaged.after_kill();
        repaired(&disk, "control");
        let again = damaged.after_kill();
        let lock = onceward_wal::lock(&again).unwrap();
        repair(&again, &lock).unwrap();
        again.changing_ops()
    };
    assert!(ops.len() > 10, "control: {ops:?}");
    for op in ops {
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::Seeded { seed: op, sector_bytes: 512 },
        ] {
            let disk = damaged.after_kill();
            disk.cut_power_at(op);
            onceward_wal::lock(&disk)
                .and_then(|lock| repair(&disk, &lock))
                .map(|_| ())
                .unwrap_err();
            let disk = disk.after_power_cut(&survival);
            let what = format!("cut at operation {op}, {survival:?}");
            assert_eq!(host(&found(&disk).1), host(&before), "{what}");
            repaired(&disk, &what);
        }
    }
}
