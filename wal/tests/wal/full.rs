//! On a full disk nothing that was confirmed is lost, and once there is room again the log goes on.
//! Method: a script on a disk that finds itself full at each of its writes in turn, once or until there is
//! room; then a power cut, the same handle or another opening.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use onceward_vfs::{Mode, SimVfs, Survival};
use onceward_wal::{ErrorKind, SEGMENT_BYTES_MIN};

use super::scenario::{bodies, body, fill_segment, open_sim, put, shared};
use super::told::{Journal, Script, Step, Told};
use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

use Step::{Append, Batch, Close, Defer, Kill, Mark, Trim};

const SCRIPT: &[Step] = &[
    Append(100),
    Batch(&[40, 700, 5]),
    Mark,
    Append(180_000),
    Defer(100),
    Append(100_000),
    Trim,
    Append(200_000),
    Kill,
    Append(70_000),
    Batch(&[5, 100_000, 5]),
    Trim,
    Append(150_000),
    Close,
    Append(20),
    Close,
];

/// When the disk is full.
#[derive(Debug, Default)]
struct Room {
    /// Writes that still fit.
    writes_left: AtomicU64,
    /// Only one write is refused.
    once: bool,
    /// From now on there is room.
    freed: AtomicBool,
    refused: AtomicU64,
}

impl Hook for Room {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let takes_room = match call.operation {
            Operation::Write(_) | Operation::FillZeros(_) | Operation::CreateDir => true,
            Operation::Open(mode) => mode == Mode::CreateNew,
            _ => false,
        };
        if !takes_room || self.freed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let left = self.writes_left.load(Ordering::SeqCst);
        if left > 0 {
            self.writes_left.store(left - 1, Ordering::SeqCst);
            return Ok(());
        }
        self.freed.store(self.once, Ordering::SeqCst);
        self.refused.fetch_add(1, Ordering::SeqCst);
        if let (Operation::Write(bytes), Some(file)) = (call.operation, call.file) {
            // As much as there is room for, so that its first frames are whole.
            file.write_all_at(call.offset, &bytes[..bytes.len().saturating_sub(1)])?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// What a power cut now leaves is as the host was told.
fn check_cuts(disk: &SimVfs, told: &Told, context: &str) {
    for survival in
        [Survival::Nothing, Survival::Everything, Survival::Seeded { seed: 3, sector_bytes: 512 }]
    {
        told.check(&disk.after_power_cut(&survival), &format!("{context}, {survival:?}"));
    }
}

/// Runs the script on a disk that is full at its write number `nth`. Returns whether it came to that,
/// and whether the log had to be opened again.
fn full_at(nth: u64, once: bool) -> (bool, bool) {
    let context = format!("write {nth}, once: {once}");
    let disk = SimVfs::new();
    let room = Arc::new(Room { writes_left: AtomicU64::new(nth), once, ..Room::default() });
    let vfs = hooked(shared(&disk), &room);
    let mut host = Script::after(vfs, Told::default(), Journal::default());
    let mut reopened = false;
    for step in SCRIPT {
        let refused = room.refused.load(Ordering::SeqCst);
        let Err(error) = host.step(step) else {
            if refused < room.refused.load(Ordering::SeqCst) {
                check_cuts(&disk, &host.told, &format!("{context}, {step:?}"));
            }
            continue;
        };
        let known = matches!(error.kind(), ErrorKind::Full | ErrorKind::Poisoned);
        assert!(known, "{context}, {step:?}: {error}");
        check_cuts(&disk, &host.told.after_crash(), &format!("{context}, {step:?}"));
        host.told = host.told.after_crash();
        if error.kind() == ErrorKind::Poisoned {
            room.freed.store(true, Ordering::SeqCst);
            host.give_up();
            reopened = true;
        }
    }
    room.freed.store(true, Ordering::SeqCst);
    for bytes in [30, 220_000, 220_000] {
        let before = host.told.acked.len();
        host.step(&Append(bytes)).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(host.told.acked.len() > before, "{context}: refused, and there is room");
    }
    host.told.check(&disk.after_kill(), &format!("{context}, killed"));
    check_cuts(&disk, &host.told, &context);
    (room.refused.load(Ordering::SeqCst) > 0, reopened)
}

/// T20, D10, D24.
#[test]
fn a_disk_that_is_full_at_any_write_loses_nothing_and_the_log_goes_on_when_there_is_room() {
    for once in [true, false] {
        let runs: Vec<(bool, bool)> =
            (0..).map(|nth| full_at(nth, once)).take_while(|(hit, _)| *hit).collect();
        assert!(runs.len() > 40, "control: {} writes", runs.len());
        let reopened = runs.iter().filter(|(_, reopened)| *reopened).count();
        assert!(!once || reopened == 0, "{reopened} of {} need a restart", runs.len());
    }
}

/// T22.
#[test]
fn trimming_gives_room_at_once_on_a_full_disk() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    (0..4).for_each(|_| fill_segment(&log));
    put(&log, b"in the last one").unwrap();
    disk.set_free_bytes(Some(0));
    let refused = (0..2).map(|_| put(&log, &body(2, 200_000))).find_map(Result::err);
    assert_eq!(refused.unwrap().kind(), ErrorKind::Full, "control");
    let before = bodies(&disk).len();
    log.trim(1).unwrap();
    log.trim(2).unwrap();
    let trimmed = before - bodies(&disk).len();
    put(&log, &body(3, 200_000)).unwrap();
    assert_eq!(bodies(&disk).len(), before - trimmed + 1);
}

/// T21.
#[test]
fn the_bytes_of_all_files_are_counted_right_through_trimming_crashes_and_opening() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let on_disk = |disk: &SimVfs| -> u64 {
        let files = onceward_vfs::Vfs::list(disk, "log").unwrap();
        let bytes = files.iter().map(|file| disk.bytes(&format!("log/{file}")).unwrap().len());
        bytes.map(|bytes| u64::try_from(bytes).unwrap()).sum()
    };
    assert_eq!(log.file_bytes(), on_disk(&disk));
    for number in 1..6 {
        fill_segment(&log);
        assert_eq!(log.file_bytes(), on_disk(&disk));
        if number % 2 == 0 {
            log.trim(number - 1).unwrap();
            assert_eq!(log.file_bytes(), on_disk(&disk), "trimmed");
        }
    }
    drop(log);
    for survival in [Survival::Nothing, Survival::Everything] {
        let disk = disk.after_power_cut(&survival);
        let log = open_sim(&disk);
        assert_eq!(log.file_bytes(), on_disk(&disk), "{survival:?}");
        assert!(log.file_bytes() >= 4 * SEGMENT_BYTES_MIN, "control");
    }
}
