//! Whatever happened to a file of the log, it is noticed, costs what it hit, and the log opens and goes on.
//! Method: files of zeros, cut at each length of a region, with a bit flipped in each byte of `meta`.

use onceward_vfs::{Mode, SimVfs, Survival, Vfs};
use onceward_wal::ErrorKind;

use super::scenario::{
    Seen, body, fill_segment, found, host, look, open, open_sim, put, queue, segment, shared,
};

/// Of `meta`.
const SLOT_BYTES: usize = 65_536;

/// A log of three segments, each with small frames at first; its second and third end clean where
/// `closed`.
fn segments(closed: bool) -> SimVfs {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for number in 1..=3 {
        for seed in 1..=5 {
            put(&log, &body(seed, 30)).unwrap();
        }
        log.wait(queue(&log, &[body(1, 40), body(2, 60)]).unwrap().last).unwrap();
        if number < 3 {
            fill_segment(&log);
        }
    }
    if closed {
        log.close().unwrap();
    } else {
        drop(log);
    }
    let disk = disk.after_kill();
    let (report, seen) = found(&disk);
    assert_eq!((report.damage, report.clean), (vec![], closed), "control");
    assert_eq!(seen.last().unwrap().place.segment, 3, "control");
    disk
}

fn outside(seen: &[Seen], number: u64) -> Vec<Seen> {
    host(seen).into_iter().filter(|frame| frame.place.segment != number).collect()
}

fn set_len(disk: &SimVfs, name: &str, len: u64) {
    disk.open(name, Mode::Write).unwrap().set_len(len).unwrap();
}

/// The log opens and takes a frame, with what is found now before it.
fn goes_on(disk: &SimVfs, what: &str) {
    let before = host(&found(disk).1);
    let log = open_sim(disk);
    let lsn = put(&log, b"next").unwrap();
    assert!(before.iter().all(|frame| frame.lsn < lsn.get() && frame.run < log.run()));
    drop(log);
    let after = host(&found(disk).1);
    assert!(after[..before.len()] == before[..], "{what}");
    assert_eq!(after.last().map(|frame| frame.lsn), Some(lsn.get()), "{what}");
}

/// T10.
#[test]
fn a_segment_of_zeros_costs_its_own_frames() {
    let whole = segments(true);
    let (_, all) = found(&whole);
    for number in 1..=3 {
        for len in [0, 1, 4095, 4096, 70_000, 256 * 1024] {
            let what = format!("segment {number}, {len} bytes");
            let disk = whole.after_kill();
            disk.overwrite(&segment(number), 0, &vec![0; 256 * 1024]);
            set_len(&disk, &segment(number), len);
            let (report, seen) = found(&disk);
            assert!(!report.damage.is_empty() && !report.clean, "{what}");
            assert!(host(&seen) == outside(&all, number), "{what}");
            goes_on(&disk, &what);
        }
    }
}

/// T10.
#[test]
fn a_meta_of_zeros_is_made_again_and_without_segments_it_is_an_error() {
    let whole = segments(false);
    let (_, all) = found(&whole);
    for len in [0, 1, 100, 65_536, 65_600, 131_072] {
        let disk = whole.after_kill();
        disk.overwrite("meta", 0, &vec![0; 2 * SLOT_BYTES]);
        set_len(&disk, "meta", len);
        let (report, seen) = found(&disk);
        assert_eq!((report.damage.len(), seen == all), (1, true), "{:?}", report.damage);
        goes_on(&disk, &format!("{len} bytes"));

        let disk = whole.after_kill();
        for file in disk.list("log").unwrap() {
            disk.overwrite(&format!("log/{file}"), 0, &vec![0; 256 * 1024]);
        }
        disk.overwrite("meta", 0, &vec![0; 2 * SLOT_BYTES]);
        set_len(&disk, "meta", len);
        assert_eq!(look(&disk).unwrap_err().kind(), ErrorKind::Corrupt, "{len} bytes");
    }
}

/// T13, D15.
#[test]
fn a_flipped_bit_in_any_byte_of_meta_hides_no_frame() {
    for closed in [false, true] {
        let whole = segments(closed);
        let (_, all) = found(&whole);
        for slot in [0, SLOT_BYTES] {
            for byte in 0..240 {
                let what = format!("byte {byte} of the slot at {slot}");
                let disk = whole.after_kill();
                disk.flip_bit("meta", u64::try_from(slot + byte).unwrap(), 3);
                let (_, seen) = found(&disk);
                assert!(seen == all, "{what}");
                if byte % 40 == 0 {
                    goes_on(&disk, &what);
                }
            }
        }
    }
}

/// T13: the slot that is left was written when the log was closed; it was opened and written since.
#[test]
fn a_flipped_bit_of_meta_is_not_taken_for_a_lost_end() {
    let disk = segments(true);
    let log = open_sim(&disk);
    put(&log, b"more").unwrap();
    drop(log);
    for slot in [0, SLOT_BYTES] {
        let disk = disk.after_kill();
        disk.flip_bit("meta", u64::try_from(slot + 50).unwrap(), 3);
        let (report, _) = found(&disk);
        assert_eq!(report.damage, [], "the slot at {slot}");
    }
}

/// D16: every length of header, small frames and seal of a finished segment.
#[test]
fn a_finished_segment_that_was_cut_anywhere_is_noticed_and_costs_what_was_cut() {
    let whole = segments(false);
    let (_, all) = found(&whole);
    let seal = all.iter().find(|f| f.kind == 3 && f.place.segment == 2).unwrap();
    let seal = u64::from(seal.place.offset);
    let lengths = (0..4096).step_by(61).chain(4096..4800).chain(seal - 20..seal + 90);
    for len in lengths {
        let disk = whole.after_kill();
        set_len(&disk, &segment(2), len);
        let (report, seen) = found(&disk);
        assert!(report.damage.iter().all(|damage| damage.file == segment(2)), "{len}");
        assert!(!report.damage.is_empty(), "cut to {len}");
        let kept: Vec<u64> = host(&seen).iter().map(|frame| frame.lsn).collect();
        let end =
            |frame: &Seen| u64::from(frame.place.offset) + u64::try_from(frame.bytes).unwrap();
        let wanted = host(&all).into_iter();
        let wanted = wanted.filter(|frame| frame.place.segment != 2 || end(frame) <= len);
        assert_eq!(kept, wanted.map(|frame| frame.lsn).collect::<Vec<_>>(), "cut to {len}");
        if len % 90 == 0 {
            goes_on(&disk, &format!("cut to {len}"));
        }
    }
}

/// D17: what was closed in order is missed wherever the last segment is cut.
#[test]
fn the_last_segment_of_a_closed_log_that_was_cut_anywhere_is_noticed() {
    let whole = segments(true);
    for len in (0..4096).step_by(61).chain(4096..4800) {
        let disk = whole.after_kill();
        set_len(&disk, &segment(3), len);
        let (report, _) = found(&disk);
        assert!(!report.damage.is_empty() && !report.clean, "cut to {len}");
        if len % 90 == 0 {
            goes_on(&disk, &format!("cut to {len}"));
        }
    }
}

/// D29.
#[test]
fn where_runs_are_used_up_the_log_is_read_only_and_stays_as_it_is() {
    let disk = segments(false);
    for slot in [0, SLOT_BYTES] {
        let mut bytes = disk.bytes("meta").unwrap()[slot..slot + SLOT_BYTES].to_vec();
        bytes[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
        let ranges = u32::from_le_bytes(bytes[168..172].try_into().unwrap());
        let end = 176 + 16 * usize::try_from(ranges).unwrap();
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        disk.overwrite("meta", u64::try_from(slot).unwrap(), &bytes);
    }
    let before = found(&disk);
    let error = open(&shared(&disk)).unwrap_err();
    assert!(error.kind() == ErrorKind::Full && error.to_string().contains("run"), "{error}");
    assert_eq!(found(&disk.after_power_cut(&Survival::Everything)), before);
}

/// T23.
#[test]
fn a_commit_that_no_segment_can_hold_is_refused_and_changes_nothing() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let most = 256 * 1024 - 8 * 1024 - 32;
    let steps = disk.op_count();
    for bodies in [vec![body(1, most + 3)], vec![body(1, 130_000), body(2, 130_000)]] {
        let error = queue(&log, &bodies).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(disk.op_count(), steps, "nothing was touched");
    put(&log, b"small").unwrap();
    put(&log, &body(1, most)).unwrap();
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert_eq!((report.clean, host(&seen).len()), (true, 2));
    let lsns: Vec<u64> = seen.iter().map(|frame| frame.lsn).collect();
    assert!(lsns.windows(2).all(|w| w[0] + 1 == w[1]), "no number was used: {lsns:?}");
}
