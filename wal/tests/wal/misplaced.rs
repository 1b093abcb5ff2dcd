//! A whole frame in a place that is not its own costs what it was written over, and not those between.
//! Method: frames of one size, each written over the place of each other one; a body with a copy of a frame
//! that is lost.

use onceward_vfs::SimVfs;

use super::scenario::{Seen, body, found, host, open_sim, put, segment};

/// Frames of one size, all proven, and what their segment's file holds.
fn frames() -> (SimVfs, Vec<Seen>, Vec<u8>) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    // As long as a run frame.
    for seed in 1..=8 {
        put(&log, &body(seed, 64)).unwrap();
    }
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_kill();
    let seen = found(&disk).1;
    let image = disk.bytes(&segment(1)).unwrap();
    (disk, seen, image)
}

/// The bytes of a frame.
fn bytes<'i>(image: &'i [u8], frame: &Seen) -> &'i [u8] {
    let from = usize::try_from(frame.place.offset).unwrap();
    &image[from..from + frame.bytes]
}

#[test]
fn two_frames_that_changed_places_do_not_take_those_between_along() {
    let (disk, seen, image) = frames();
    assert!(seen[..9].iter().all(|frame| frame.bytes == seen[0].bytes), "control");
    for (low, high) in (0..9).flat_map(|low| (low + 1..9).map(move |high| (low, high))) {
        let disk = disk.after_kill();
        let (one, other) = (&seen[low], &seen[high]);
        disk.overwrite(&segment(1), one.place.offset.into(), bytes(&image, other));
        disk.overwrite(&segment(1), other.place.offset.into(), bytes(&image, one));
        let (report, left) = found(&disk);
        assert!(!report.damage.is_empty(), "{low} and {high}");
        let others: Vec<&Seen> =
            seen.iter().filter(|frame| ![one.lsn, other.lsn].contains(&frame.lsn)).collect();
        let is_left = |frame: &&&Seen| left.iter().any(|left| left == **frame);
        let count = others.iter().filter(is_left).count();
        // With one between, nothing tells which of the three is in its place.
        let least = if high - low == 2 { others.len() - 1 } else { others.len() };
        assert!(count >= least, "{low} and {high}: {count}, {:?}", report.damage);
    }
}

#[test]
fn a_copy_in_a_body_is_not_taken_for_the_frame_that_is_lost() {
    let (disk, seen, image) = frames();
    let log = open_sim(&disk);
    // So that the copy begins at a multiple of 8, where frames are looked for.
    let copy = [&[0, 0], bytes(&image, &seen[5])].concat();
    let copied = put(&log, &copy).unwrap().get();
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_kill();
    let holds = |lsn: u64| found(&disk).1.iter().any(|frame| frame.lsn == lsn);
    assert!(holds(copied), "control");
    let from = usize::try_from(seen[5].place.offset).unwrap();
    let (_, all) = found(&disk);
    let container = all.iter().find(|frame| frame.lsn == copied).unwrap();
    let to = usize::try_from(container.place.offset).unwrap();
    disk.overwrite(&segment(1), u64::try_from(from).unwrap(), &vec![0xff; to - from]);
    assert!(holds(copied), "what holds the copy is whole");
    assert!(!holds(seen[5].lsn), "and the copy is a part of it");
    assert_eq!(host(&found(&disk).1).last().map(|frame| frame.lsn), Some(copied));
}
