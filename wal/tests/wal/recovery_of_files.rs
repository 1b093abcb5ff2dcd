//! Headers, files and `meta` that are not as they should be are judged as the second table says.
//! Method: one test for each label of that table, on a log whose files are changed afterwards.

use onceward_vfs::{Mode, SimVfs, Vfs};
use onceward_wal::{ErrorKind, Log};

use super::scenario::{
    STORE, bodies, body, fill_segment, found, host, look, open_sim, put, queue, segment,
};

/// Says which row a test is of.
fn row(label: &str) {
    let document = include_str!("../../FORMAT.md");
    assert!(document.contains(&format!("\n| `{label}` |")), "FORMAT.md has no row {label}");
}

/// A log of three segments.
fn segments() -> (SimVfs, Log) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 50)).unwrap();
    fill_segment(&log);
    fill_segment(&log);
    put(&log, &body(2, 50)).unwrap();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage, [], "control");
    assert_eq!(seen.last().unwrap().place.segment, 3, "control");
    (disk, log)
}

/// Changes a seal's body at `at` and makes its checksums right.
fn forge_seal(disk: &SimVfs, number: u64, at: usize) {
    let (_, seen) = found(disk);
    let seal = seen.iter().find(|f| f.kind == 3 && f.place.segment == number).unwrap();
    let from = usize::try_from(seal.place.offset).unwrap();
    let mut frame = disk.bytes(&segment(number)).unwrap()[from..from + seal.bytes].to_vec();
    frame[30 + at] ^= 1;
    let salt = crc(crc(0, &STORE), &number.to_le_bytes());
    let body_crc = crc(salt, &frame[30..]);
    frame[4..8].copy_from_slice(&body_crc.to_le_bytes());
    let header_crc = crc(salt, &frame[4..30]);
    frame[..4].copy_from_slice(&header_crc.to_le_bytes());
    disk.overwrite(&segment(number), u64::from(seal.place.offset), &frame);
}

fn crc(from: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(from);
    hasher.update(bytes);
    hasher.finalize()
}

#[test]
fn seal_differs_is_damage_at_the_seal() {
    row("seal-differs");
    for (what, at) in [("store", 0), ("number", 16), ("digest", 32), ("count", 40)] {
        let (disk, log) = segments();
        drop(log);
        let disk = disk.after_kill();
        let frames = found(&disk).1.len();
        forge_seal(&disk, 1, at);
        let (report, seen) = found(&disk);
        assert_eq!(seen.len(), frames, "{what}");
        let seal = seen.iter().find(|frame| frame.kind == 3).unwrap();
        let first = &report.damage[0];
        assert_eq!((first.file.clone(), first.offset), (segment(1), u64::from(seal.place.offset)));
        assert!(first.what.contains("seal"), "{what}: {}", first.what);
    }
}

#[test]
fn header_damaged_does_not_cost_a_frame() {
    row("header-damaged");
    let (disk, log) = segments();
    drop(log);
    for number in 1..=3 {
        let damaged = disk.after_kill();
        let frames = found(&damaged).1;
        damaged.flip_bit(&segment(number), 100, 1);
        let (report, seen) = found(&damaged);
        assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
        let first = &report.damage[0];
        assert_eq!((first.file.clone(), first.offset), (segment(number), 0));
        assert_eq!((first.bytes, &seen), (256, &frames));
        let log = open_sim(&damaged);
        put(&log, b"next").unwrap();
        assert_eq!(bodies(&damaged).last().unwrap(), b"next");
    }
}

#[test]
fn header_damaged_together_with_the_first_frame_is_noticed_by_the_later_ones() {
    row("header-damaged");
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 1..=3 {
        put(&log, &body(seed, 50)).unwrap();
    }
    drop(log);
    let disk = disk.after_kill();
    disk.overwrite(&segment(1), 0, &[0xee; 4200]);
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 2, "{:?}", report.damage);
    assert_eq!(host(&seen).len(), 2, "the run frame and the first of the host are lost");
    let log = open_sim(&disk);
    put(&log, b"next").unwrap();
    assert_eq!(bodies(&disk).len(), 3);
}

#[test]
fn header_torn_is_written_again_and_is_no_damage() {
    row("header-torn");
    let (disk, log) = segments();
    drop(log);
    // A log of which only the first commit of the third segment is there.
    let disk = disk.after_kill();
    let (_, seen) = found(&disk);
    let second: Vec<_> = seen.iter().filter(|frame| frame.place.segment == 3).collect();
    let unproven = u64::from(second[2].place.offset);
    let rest = 256 * 1024 - usize::try_from(unproven).unwrap();
    disk.overwrite(&segment(3), unproven, &vec![0; rest]);
    let header = disk.bytes(&segment(3)).unwrap()[..4096].to_vec();
    let (report, whole) = found(&disk);
    assert_eq!((report.damage.len(), report.torn_bytes), (0, 0), "control");

    disk.overwrite(&segment(3), 0, &[0; 512]);
    let (report, seen) = found(&disk);
    assert_eq!((report.damage.len(), &seen), (0, &whole), "{:?}", report.damage);
    let log = open_sim(&disk);
    assert_eq!(disk.bytes(&segment(3)).unwrap()[..4096], header);
    put(&log, b"next").unwrap();
    assert_eq!(found(&disk).0.damage, []);
}

/// D16, D17: wherever it is cut, also behind its last frame.
#[test]
fn file_short_is_noticed_at_every_length() {
    row("file-short");
    let (disk, log) = segments();
    drop(log);
    for number in [1, 3] {
        for len in (4096..256 * 1024).step_by(7993) {
            let cut = disk.after_kill();
            let file = cut.open(&segment(number), Mode::Write).unwrap();
            file.set_len(len).unwrap();
            let (report, _) = found(&cut);
            let said = report.damage.iter().any(|d| d.file == segment(number) && d.offset == len);
            assert!(said, "segment {number} cut to {len}: {:?}", report.damage);
            put(&open_sim(&cut), b"next").unwrap();
            assert_eq!(bodies(&cut).last().unwrap(), b"next");
        }
    }
}

#[test]
fn unused_segments_are_prepared_whatever_stands_in_them() {
    row("unused");
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 50)).unwrap();
    drop(log);
    let disk = disk.after_kill();
    disk.overwrite(&segment(2), 0, &[0xee; 10_000]);
    assert_eq!(found(&disk).0.damage, []);
    let log = open_sim(&disk);
    fill_segment(&log);
    put(&log, b"in the second").unwrap();
    drop(log);
    let (report, seen) = found(&disk);
    assert_eq!(report.damage, []);
    assert_eq!(seen.last().unwrap().place.segment, 2);
    drop(open_sim(&disk));
    assert_eq!(found(&disk).1, seen);
}

#[test]
fn missing_is_damage_until_the_segment_is_trimmed() {
    row("missing");
    let (disk, log) = segments();
    drop(log);
    let disk = disk.after_kill();
    let (_, whole) = found(&disk);
    disk.remove(&segment(2)).unwrap();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    let first = &report.damage[0];
    assert_eq!((first.file.clone(), first.bytes), (segment(2), 0));
    let others: Vec<_> = whole.into_iter().filter(|frame| frame.place.segment != 2).collect();
    assert_eq!(seen, others);
    let log = open_sim(&disk);
    log.trim(2).unwrap();
    put(&log, b"next").unwrap();
    log.close().unwrap();
    let (report, _) = found(&disk);
    assert_eq!((report.damage.len(), report.clean), (0, true));
}

#[test]
fn unlisted_is_a_trimmed_segment_that_came_back_and_is_removed() {
    row("unlisted");
    let (disk, log) = segments();
    let whole = found(&disk).1;
    let bytes = disk.bytes(&segment(1)).unwrap();
    log.trim(1).unwrap();
    assert!(!disk.exists(&segment(1)).unwrap(), "control");
    drop(log);
    let disk = disk.after_kill();
    let file = disk.open(&segment(1), Mode::CreateNew).unwrap();
    file.write_all_at(0, &bytes).unwrap();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage, []);
    assert!(seen.len() < whole.len() && seen.iter().all(|frame| frame.place.segment > 1));
    drop(open_sim(&disk));
    assert!(!disk.exists(&segment(1)).unwrap());
    assert!(disk.list("quarantine").unwrap().is_empty());
}

/// A damaged byte is never deleted.
#[test]
fn unlisted_segments_with_damage_go_to_quarantine() {
    row("unlisted");
    let (disk, log) = segments();
    drop(log);
    let disk = disk.after_kill();
    disk.flip_bit(&segment(1), 5000, 0);
    let bytes = disk.bytes(&segment(1)).unwrap();
    let log = open_sim(&disk);
    // The power goes between the two steps of trimming.
    let steps = disk.op_count();
    disk.cut_power_at(steps + 2);
    log.trim(1).unwrap_err();
    drop(log);
    let disk = disk.after_power_cut(&onceward_vfs::Survival::Nothing);
    assert!(disk.exists(&segment(1)).unwrap(), "control");
    drop(open_sim(&disk));
    assert!(!disk.exists(&segment(1)).unwrap());
    let kept = format!("quarantine/{}", segment(1).strip_prefix("log/").unwrap());
    assert_eq!(disk.bytes(&kept), Some(bytes));
}

#[test]
fn unlisted_newer_segments_are_taken_into_the_list() {
    row("unlisted-newer");
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 50)).unwrap();
    let old = disk.bytes("meta").unwrap();
    (0..3).for_each(|_| fill_segment(&log));
    put(&log, b"last").unwrap();
    drop(log);
    let disk = disk.after_kill();
    let (_, whole) = found(&disk);
    disk.overwrite("meta", 0, &old);
    let (report, seen) = found(&disk);
    assert_eq!((report.damage.len(), &seen), (0, &whole), "{:?}", report.damage);
    let log = open_sim(&disk);
    fill_segment(&log);
    assert_eq!(found(&disk).1[..whole.len()], whole);
}

#[test]
fn clean_short_notices_that_the_end_of_a_closed_log_is_gone() {
    row("clean-short");
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    queue(&log, &[body(1, 50)]).unwrap();
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean, "control");
    let file = disk.open(&segment(1), Mode::Write).unwrap();
    for frame in &seen {
        file.write_all_at(u64::from(frame.place.offset), &vec![0; frame.bytes]).unwrap();
    }
    let (report, _) = found(&disk);
    assert!(!report.clean);
    let said = report.damage.iter().any(|damage| damage.what.contains("closed in order"));
    assert!(said, "{:?}", report.damage);
}

#[test]
fn meta_lost_is_made_again_from_the_directory() {
    row("meta-lost");
    let (disk, log) = segments();
    drop(log);
    for gone in [false, true] {
        let disk = disk.after_kill();
        let (_, whole) = found(&disk);
        if gone {
            disk.remove("meta").unwrap();
        } else {
            disk.overwrite("meta", 0, &vec![0xee; 131_072]);
        }
        let (report, seen) = found(&disk);
        assert_eq!((report.damage.len(), &seen), (1, &whole), "{:?}", report.damage);
        assert_eq!(report.damage[0].file, "meta");
        let last = whole.last().unwrap().clone();
        let log = open_sim(&disk);
        assert!(log.run() > last.run);
        assert!(put(&log, b"next").unwrap().get() > last.lsn);
        drop(log);
        let (report, _) = found(&disk);
        assert_eq!(report.damage, [], "mended");
    }
}

#[test]
fn newer_formats_are_refused_and_not_touched() {
    row("newer");
    let (disk, log) = segments();
    drop(log);
    for (file, at, crc_at) in [(segment(2), 8, 252), ("meta".to_owned(), 8, 192)] {
        let disk = disk.after_kill();
        let mut bytes = disk.bytes(&file).unwrap();
        let slots = if file == "meta" { vec![0, 65_536] } else { vec![0] };
        for slot in slots {
            bytes[slot + at] = 2;
            let sum = crc(0, &bytes[slot..slot + crc_at]);
            bytes[slot + crc_at..slot + crc_at + 4].copy_from_slice(&sum.to_le_bytes());
        }
        disk.overwrite(&file, 0, &bytes);
        let error = look(&disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{file}");
        assert_eq!(error.position().unwrap().file, file);
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
#[test]
fn a_segment_that_may_have_been_trimmed_is_not_reported_later_either() {
    let mut untold = 0;
    for slot in [0, 1] {
        let (disk, log) = segments();
        drop(log);
        disk.flip_bit("meta", 65_536 * slot + 40, 1);
        disk.remove(&segment(1)).unwrap();
        if found(&disk).0.damage.is_empty() {
            untold += 1;
            open_sim(&disk).close().unwrap();
            assert_eq!(found(&disk).0.damage, [], "slot {slot}");
        }
    }
    assert!(untold > 0, "control");
}

#[test]
fn numbers_do_not_fall_behind_a_header_with_too_high_a_number() {
    let (disk, log) = segments();
    drop(log);
    let mut header = disk.bytes(&segment(1)).unwrap()[..256].to_vec();
    header[48..56].copy_from_slice(&1_000_000_u64.to_le_bytes());
    let sum = crc32fast::hash(&header[..252]);
    header[252..].copy_from_slice(&sum.to_le_bytes());
    disk.overwrite(&segment(1), 0, &header);
    let (report, seen) = found(&disk);
    assert!(!report.damage.is_empty());
    assert!(seen[0].lsn >= 1_000_000, "control");
    assert!(seen.windows(2).all(|pair| pair[0].lsn < pair[1].lsn), "{:?}", report.damage);
}
