//! What is confirmed is in the log's directory, and a file that may not grow is no worse than a full disk.
//! Method: the disk moves away before a write, or between a write and the end of its sync; real directories
//! and segments are moved and removed; files reach a limit at every byte of a commit.

#![expect(clippy::disallowed_methods, reason = "plays what others do to a directory")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use onceward_vfs::{FaultKind, FaultOp, OsVfs, SimVfs, Survival, Vfs};
use onceward_wal::{Error, ErrorKind, GROUND_MOVED};

use super::scenario::{bodies, body, fault, open, open_sim, put, queue, segment};

/// Kind, code, and whether it may be found.
fn told(error: &Error) -> (ErrorKind, Option<&'static str>, bool) {
    (error.kind(), error.code(), error.in_doubt())
}

#[test]
fn what_meets_moved_ground_before_its_write_is_absent_and_the_log_takes_nothing_more() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    let (one, two) = (queue(&log, &[b"1".to_vec()]), queue(&log, &[b"2".to_vec()]));
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::Moved));
    for lsn in [one.unwrap().last, two.unwrap().last] {
        let error = log.wait(lsn).unwrap_err();
        assert_eq!(told(&error), (ErrorKind::Poisoned, Some(GROUND_MOVED), false), "{error}");
    }
    let error = put(&log, b"later").unwrap_err();
    assert_eq!(told(&error), (ErrorKind::Poisoned, Some(GROUND_MOVED), false), "{error}");
    assert_eq!(log.close().unwrap_err().code(), Some(GROUND_MOVED));
    assert_eq!(bodies(&disk.after_power_cut(&Survival::Everything)), [b"kept".to_vec()]);
}

#[test]
fn what_meets_moved_ground_after_its_sync_is_in_doubt_and_found_where_it_is() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Moved));
    let error = put(&log, b"elsewhere").unwrap_err();
    assert_eq!(told(&error), (ErrorKind::Poisoned, Some(GROUND_MOVED), true), "{error}");
    let error = put(&log, b"later").unwrap_err();
    assert_eq!(told(&error), (ErrorKind::Poisoned, Some(GROUND_MOVED), false), "{error}");
    let found = bodies(&disk.after_power_cut(&Survival::Nothing));
    assert_eq!(found, [b"kept".to_vec(), b"elsewhere".to_vec()]);
}

#[test]
fn whatever_part_of_the_log_meets_moved_ground_says_so_and_confirms_nothing_more() {
    for (op, name) in [
        (FaultOp::Write, "meta"),
        (FaultOp::SyncData, "meta"),
        (FaultOp::Rename, "log/"),
        (FaultOp::SyncDir, "log"),
        (FaultOp::Open, "log/"),
    ] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        let mut kept = Vec::new();
        disk.plan(fault(op, name, FaultKind::Moved));
        let refused = (0..40).find_map(|seed| {
            let text = body(seed, 60_000);
            let stored = put(&log, &text).map(|_| kept.push(text));
            let trimmed = log.trim(u64::try_from(kept.len() / 4).unwrap());
            // Most of those are not there to be trimmed.
            let trimmed = trimmed.or_else(|error| {
                if error.kind() == ErrorKind::Invalid { Ok(()) } else { Err(error) }
            });
            stored.and(trimmed).err()
        });
        let error = refused.unwrap_or_else(|| panic!("{op:?} {name}: never met"));
        assert_eq!(told(&error), (ErrorKind::Poisoned, Some(GROUND_MOVED), false), "{error}");
        let error = put(&log, b"later").unwrap_err();
        assert_eq!(error.code(), Some(GROUND_MOVED), "{op:?} {name}: {error}");
    }
}

/// A change of a real directory beneath an open log.
type Change = fn(&Path, &Path);

#[test]
fn a_real_log_that_is_moved_removed_or_replaced_confirms_nothing() {
    let changes: [(&str, Change); 5] = [
        ("directory moved", |dir, beside| fs::rename(dir, beside).unwrap()),
        ("directory removed", |dir, _| fs::remove_dir_all(dir).unwrap()),
        ("directory made anew", |dir, _| {
            fs::remove_dir_all(dir).unwrap();
            fs::create_dir(dir).unwrap();
        }),
        ("segment removed", |dir, _| fs::remove_file(dir.join(segment(1))).unwrap()),
        ("segment replaced by its copy", |dir, beside| {
            fs::copy(dir.join(segment(1)), beside).unwrap();
            fs::rename(beside, dir.join(segment(1))).unwrap();
        }),
    ];
    for (what, change) in changes {
        let parent = tempfile::tempdir().unwrap();
        let (dir, beside) = (parent.path().join("store"), parent.path().join("beside"));
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::create(&dir).unwrap());
        let (log, ..) = open(&vfs).unwrap();
        put(&log, b"kept").unwrap();
        change(&dir, &beside);
        for _ in 0..2 {
            let error = put(&log, b"lost").unwrap_err();
            let expected = (ErrorKind::Poisoned, Some(GROUND_MOVED), false);
            assert_eq!(told(&error), expected, "{what}: {error}");
        }
        assert_eq!(log.close().unwrap_err().code(), Some(GROUND_MOVED), "{what}");
    }
}

#[test]
fn who_opens_a_log_whose_lock_file_was_removed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::create(dir.path()).unwrap());
    let (log, ..) = open(&vfs).unwrap();
    fs::remove_file(dir.path().join("lock")).unwrap();
    let other = OsVfs::open(dir.path()).unwrap();
    assert_eq!(onceward_wal::lock(&other).unwrap_err().kind(), ErrorKind::Locked);
    put(&log, b"kept").unwrap();
}

/// As a full disk, and not a failure of the disk: RLIMIT_FSIZE, or the largest file of a file system.
#[test]
fn a_commit_that_reaches_the_limit_of_its_file_is_absent_and_the_log_goes_on_once_it_is_lifted() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    let last = log.segments().last().unwrap().used_bytes;
    let mut expected = vec![b"kept".to_vec()];
    for limit in (last - 40..last + 200).chain([0, 4096]) {
        disk.set_file_bytes_max(Some(limit));
        let error = put(&log, &[7; 100]).unwrap_err();
        assert_eq!(told(&error), (ErrorKind::Full, None, false), "{limit}: {error}");
        for survival in [Survival::Nothing, Survival::Everything] {
            assert_eq!(bodies(&disk.after_power_cut(&survival)), expected, "{limit}");
        }
    }
    disk.set_file_bytes_max(None);
    put(&log, b"again").unwrap();
    expected.push(b"again".to_vec());
    log.close().unwrap();
    assert_eq!(bodies(&disk.after_power_cut(&Survival::Nothing)), expected);
}

#[test]
fn a_first_commit_of_a_segment_that_reaches_the_limit_is_absent_too() {
    for limit in [0, 1, 100, 4095, 4096, 4097, 4127, 4128, 4200] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        disk.set_file_bytes_max(Some(limit));
        let error = put(&log, &[7; 500]).unwrap_err();
        assert_eq!(told(&error), (ErrorKind::Full, None, false), "{limit}: {error}");
        disk.set_file_bytes_max(None);
        put(&log, b"again").unwrap();
        assert_eq!(bodies(&disk.after_power_cut(&Survival::Nothing)), [b"again".to_vec()]);
    }
}
