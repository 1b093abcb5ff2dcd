//! New events leave what was promised besides the reserve, and it is taken from the disk only where that has
//! not plenty of it.
//! Method: events that promise as many bytes as they take, on a simulated disk with much and with little room.

use onceward_vfs::SimVfs;
use onceward_wal::{Error, ErrorKind, Log, NewFrame, Purpose, SEGMENT_BYTES_MIN};

use super::scenario::{KIND, OPTIONS, body, open_sim};

const BYTES: u64 = 1_000;

fn append(log: &Log, purpose: Purpose) -> Result<(), Error> {
    let body = body(1, 960);
    let frame = NewFrame { kind: KIND, flags: 0, parts: &[&body] };
    log.append(frame, 0, purpose).map(|_| ())
}

/// Appends events that promise [`BYTES`] each until one is refused, `most` of them at most.
fn capture(log: &Log, most: u64) -> u64 {
    for count in 0..most {
        match append(log, Purpose::CaptureLeaving((count + 1) * BYTES)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false));
                return count;
            }
        }
    }
    most
}

#[test]
fn new_events_leave_what_is_promised_and_those_that_settle_may_use_it() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    disk.set_free_bytes(Some(5 * SEGMENT_BYTES_MIN));
    let stored = capture(&log, u64::MAX);
    // Of six segments beside the reserve.
    assert!(stored * BYTES > SEGMENT_BYTES_MIN * 9 / 4, "{stored}");
    // Whoever else uses the disk may have the rest.
    disk.set_free_bytes(Some(0));
    assert_eq!(append(&log, Purpose::Capture).map_err(|error| error.kind()), Ok(()), "control");
    let reserve = u64::try_from(OPTIONS.reserve).unwrap() * (SEGMENT_BYTES_MIN - 8 * 1_024);
    let promised = (stored - 1) * BYTES;
    assert!(log.room(0, 0).unwrap() >= reserve + promised);
    let leaving = |promised| Purpose::SettleLeaving { reserved: reserve / 2, promised };
    append(&log, leaving(promised)).unwrap();
    let refused = append(&log, leaving(2 * promised)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    for _ in 0..stored - 5 {
        append(&log, Purpose::Settle).unwrap();
    }
}

#[test]
fn of_a_disk_with_plenty_nothing_is_taken_for_what_is_promised() {
    for free_bytes in [None, Some(100 * SEGMENT_BYTES_MIN)] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        disk.set_free_bytes(free_bytes);
        assert_eq!(capture(&log, 1_000), 1_000);
        let begun = u64::try_from(log.segments().len()).unwrap();
        assert!(log.file_bytes() <= (begun + 2) * SEGMENT_BYTES_MIN, "{free_bytes:?}");
        // Until it has not.
        disk.set_free_bytes(Some(10 * SEGMENT_BYTES_MIN));
        while log.segments().len() == usize::try_from(begun).unwrap() {
            append(&log, Purpose::CaptureLeaving(1_000 * BYTES)).unwrap();
        }
        append(&log, Purpose::CaptureLeaving(1_000 * BYTES)).unwrap();
        disk.set_free_bytes(Some(0));
        assert!(log.room(0, 0).unwrap() >= 1_000 * BYTES);
    }
}
