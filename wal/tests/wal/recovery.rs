//! Bytes in a segment that are not the frame that should be there are judged as the first table says.
//! Method: one test for each label of that table, on a log whose bytes are changed afterwards.

use onceward_vfs::{SimVfs, Vfs};
use onceward_wal::Log;

use super::scenario::{
    Seen, bodies, body, fill_segment, found, host, open_sim, put, queue, segment,
};

const DOCUMENT: &str = include_str!("../../FORMAT.md");

/// Says which row a test is of.
fn row(label: &str) {
    assert!(DOCUMENT.contains(&format!("\n| `{label}` |")), "FORMAT.md has no row {label}");
}

/// A log with three frames of the host, each committed alone: bodies 1, 2, 3.
fn three() -> (SimVfs, Log) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 1..=3 {
        put(&log, &body(seed, 50)).unwrap();
    }
    (disk, log)
}

/// The disk after the process ended, and the host's frames on it.
fn ended(disk: &SimVfs, log: Log) -> (SimVfs, Vec<Seen>) {
    drop(log);
    let disk = disk.after_kill();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage, [], "control: undamaged");
    (disk, host(&seen))
}

fn zero(disk: &SimVfs, frame: &Seen, bytes: usize) {
    disk.overwrite(&segment(frame.place.segment), u64::from(frame.place.offset), &vec![0; bytes]);
}

fn end(frame: &Seen) -> u64 {
    u64::from(frame.place.offset) + u64::try_from(frame.bytes).unwrap()
}

#[test]
fn every_label_of_the_document_has_a_test() {
    let tests = concat!(
        include_str!("recovery.rs"),
        include_str!("recovery_of_files.rs"),
        include_str!("repair.rs"),
        include_str!("sealing.rs")
    );
    let (_, recovery) = DOCUMENT.split_once("\n## Recovery").unwrap();
    let (recovery, _) = recovery.split_once("\n## Assumptions").unwrap();
    let rows = recovery.lines().filter_map(|line| line.strip_prefix("| `"));
    let labels: Vec<&str> = rows.map(|row| row.split_once('`').unwrap().0).collect();
    assert!(labels.len() >= 18, "{labels:?}");
    for label in labels {
        assert!(tests.contains(&format!("row(\"{label}\")")), "no test quotes {label}");
    }
}

#[test]
fn frame_a_valid_frame_that_belongs_here_is_kept() {
    row("frame");
    let (disk, log) = three();
    let (disk, _) = ended(&disk, log);
    assert_eq!(bodies(&disk), [body(1, 50), body(2, 50), body(3, 50)]);
    let (report, seen) = found(&disk);
    assert_eq!((report.frames, seen.len()), (4, 4), "with the run frame");
    assert_eq!(seen.iter().map(|frame| frame.lsn).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn unwritten_zeros_to_the_end_are_where_the_log_goes_on() {
    row("unwritten");
    let (disk, log) = three();
    let (disk, frames) = ended(&disk, log);
    let (report, _) = found(&disk);
    assert_eq!((report.torn_bytes, report.clean), (0, false));
    let log = open_sim(&disk);
    put(&log, b"next").unwrap();
    let (_, seen) = found(&disk);
    assert_eq!(u64::from(seen[4].place.offset), end(&frames[2]), "the run frame");
    assert_eq!(seen[5].body, b"next");
}

#[test]
fn torn_bytes_behind_the_last_frame_are_counted_and_overwritten() {
    row("torn");
    let (disk, log) = three();
    let (disk, frames) = ended(&disk, log);
    disk.overwrite(&segment(1), end(&frames[2]) + 3, b"garbage");
    let (report, seen) = found(&disk);
    assert_eq!((report.torn_bytes, report.torn_offset), (10, end(&frames[2])));
    assert_eq!(report.torn_file, Some(segment(1)));
    assert_eq!((report.damage.len(), report.in_doubt, host(&seen).len()), (0, 0, 3));
    drop(open_sim(&disk));
    let bytes = disk.bytes(&segment(1)).unwrap();
    let from = usize::try_from(end(&frames[2])).unwrap();
    assert!(bytes[from..].iter().all(|byte| *byte == 0), "zeros again");
}

#[test]
fn torn_frames_behind_a_hole_that_nothing_proves_are_kept_in_quarantine() {
    row("torn-frames");
    let (disk, log) = three();
    queue(&log, &[body(4, 50)]).unwrap();
    let last = queue(&log, &[body(5, 50)]).unwrap().last;
    log.wait(last).unwrap();
    let (disk, frames) = ended(&disk, log);
    let whole = disk.bytes(&segment(1)).unwrap();
    zero(&disk, &frames[3], 1);
    let (report, seen) = found(&disk);
    assert_eq!((report.damage.len(), report.in_doubt, host(&seen).len()), (0, 1, 3));
    let log = open_sim(&disk);
    let next = put(&log, b"next").unwrap();
    assert!(next > last, "the number of the frame in doubt is not used again");
    let kept = disk.list("quarantine").unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = disk.bytes(&format!("quarantine/{}", kept[0])).unwrap();
    let from = usize::try_from(frames[4].place.offset).unwrap();
    assert_eq!(kept, whole[from..from + frames[4].bytes]);
}

/// T12.
#[test]
fn lost_costs_only_the_frame_whose_bit_was_flipped() {
    row("lost");
    let (disk, log) = three();
    let (disk, frames) = ended(&disk, log);
    let victim = &frames[1];
    for byte in 0..victim.bytes {
        let damaged = disk.after_kill();
        let at = u64::from(victim.place.offset) + u64::try_from(byte).unwrap();
        damaged.flip_bit(&segment(1), at, 3);
        let (report, seen) = found(&damaged);
        assert_eq!(report.damage.len(), 1, "byte {byte}");
        let damage = &report.damage[0];
        assert_eq!(damage.offset, u64::from(victim.place.offset), "byte {byte}");
        assert_eq!(damage.offset + damage.bytes, end(victim), "byte {byte}");
        assert!(damage.what.contains(&format!("LSN {} ", victim.lsn)), "{}", damage.what);
        let kept: Vec<u64> = host(&seen).iter().map(|frame| frame.lsn).collect();
        assert_eq!(kept, [frames[0].lsn, frames[2].lsn], "byte {byte}");
    }
}

#[test]
fn lost_is_said_again_after_the_log_went_on_behind_it() {
    row("lost");
    let (disk, log) = three();
    let (disk, frames) = ended(&disk, log);
    zero(&disk, &frames[0], 8);
    let log = open_sim(&disk);
    fill_segment(&log);
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert!(host(&seen).len() > 4);
}

#[test]
fn lost_tail_is_damage_where_meta_proves_that_more_was_synced() {
    row("lost-tail");
    let (disk, log) = three();
    log.close().unwrap();
    let disk = disk.after_kill();
    let (report, seen) = found(&disk);
    assert!(report.clean, "control");
    let last = seen.last().unwrap();
    zero(&disk, last, last.bytes);
    let (report, _) = found(&disk);
    let first = &report.damage[0];
    assert_eq!((first.file.clone(), first.offset), (segment(1), u64::from(last.place.offset)));
    assert_eq!(first.offset + first.bytes, 256 * 1024, "to the end");
    assert_eq!((report.clean, report.torn_bytes), (false, 0));

    let log = open_sim(&disk);
    put(&log, b"next").unwrap();
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 1, "still said, once: {:?}", report.damage);
    let next = seen.last().unwrap();
    assert_eq!((next.place.segment, next.body.as_slice()), (2, &b"next"[..]));
}

#[test]
fn lost_end_is_damage_where_a_later_segment_proves_it() {
    row("lost-end");
    let (disk, log) = three();
    fill_segment(&log);
    put(&log, b"in the second").unwrap();
    let (disk, frames) = ended(&disk, log);
    let first: Vec<&Seen> = frames.iter().filter(|frame| frame.place.segment == 1).collect();
    let last = first.last().unwrap();
    let rest = 256 * 1024 - usize::try_from(last.place.offset).unwrap();
    zero(&disk, last, rest);
    let (report, seen) = found(&disk);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert_eq!(report.damage[0].offset, u64::from(last.place.offset));
    assert_eq!(report.damage[0].bytes, u64::try_from(rest).unwrap());
    assert_eq!(host(&seen).len(), frames.len() - 1);
}

/// D16: also where the cut is at the boundary of a frame, so that only the seal is missing.
#[test]
fn lost_end_is_noticed_wherever_a_sealed_segment_is_cut() {
    row("lost-end");
    let (disk, log) = three();
    fill_segment(&log);
    let (disk, _) = ended(&disk, log);
    let (_, seen) = found(&disk);
    for frame in seen.iter().filter(|frame| frame.place.segment == 1) {
        let cut = disk.after_kill();
        let file = cut.open(&segment(1), onceward_vfs::Mode::Write).unwrap();
        file.set_len(u64::from(frame.place.offset)).unwrap();
        let (report, _) = found(&cut);
        assert!(!report.damage.is_empty(), "cut at LSN {}", frame.lsn);
    }
}

#[test]
fn batch_cut_takes_back_a_batch_whose_end_is_torn() {
    row("batch-cut");
    let (disk, log) = three();
    let batch = [body(4, 30), body(5, 30), body(6, 30)];
    let last = queue(&log, &batch).unwrap().last;
    log.wait(last).unwrap();
    let (disk, frames) = ended(&disk, log);
    assert_eq!(frames.len(), 6, "control");
    zero(&disk, &frames[5], 1);
    let (report, seen) = found(&disk);
    assert_eq!((report.damage.len(), report.in_doubt, host(&seen).len()), (0, 2, 3));
    assert_eq!(report.torn_offset, u64::from(frames[3].place.offset));
    let log = open_sim(&disk);
    assert!(put(&log, b"next").unwrap() > last);
    assert_eq!(bodies(&disk).len(), 4);
}

/// T7: the bytes of an older run behind the tail are a right frame, with the right LSN.
#[test]
fn torn_is_also_a_frame_of_an_earlier_run_that_would_fit() {
    row("torn");
    let (disk, log) = three();
    for seed in 4..=6 {
        put(&log, &body(seed, 50)).unwrap();
    }
    let (disk, frames) = ended(&disk, log);
    let old = disk.bytes(&segment(1)).unwrap();
    let stale = &frames[5];
    let from = usize::try_from(stale.place.offset).unwrap();
    let bytes = &old[from..from + stale.bytes];
    // The last three are lost; another run writes its run frame and one more, up to the LSN
    // before the stale one.
    zero(&disk, &frames[3], 3 * frames[3].bytes);
    let log = open_sim(&disk);
    assert_eq!(put(&log, b"x").unwrap().get() + 1, stale.lsn, "control: it would fit");
    let (disk, after) = ended(&disk, log);
    let tail = after.last().unwrap();
    disk.overwrite(&segment(1), end(tail), bytes);
    assert_eq!(host(&found(&disk).1).len(), 4, "it is not adopted");
    let log = open_sim(&disk);
    put(&log, b"y").unwrap();
    assert_eq!(bodies(&disk).last().unwrap(), b"y");
}

/// T6, T7: a file that was used before holds right frames of another segment.
#[test]
fn torn_is_also_a_frame_of_another_segment_that_would_fit() {
    row("torn");
    let (disk, log) = three();
    fill_segment(&log);
    let (disk, frames) = ended(&disk, log);
    let other = &frames[1];
    let from = usize::try_from(other.place.offset).unwrap();
    let bytes = &disk.bytes(&segment(1)).unwrap()[from..from + other.bytes];
    let (tail, first) = (frames.last().unwrap(), frames.first().unwrap());
    let second = found(&disk).1.iter().find(|f| f.place.segment == 2).unwrap().lsn;
    let would_fit = other.lsn + 1 - first.lsn == tail.lsn - second + 1;
    assert!(tail.place.segment == 2 && would_fit, "control: {other:?} {tail:?}");
    disk.overwrite(&segment(2), end(tail), bytes);
    assert_eq!(host(&found(&disk).1), frames, "it is not adopted");
}
