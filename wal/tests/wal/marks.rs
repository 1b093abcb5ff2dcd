//! A mark tells rot from a torn tail, costs no sync, and never costs an append.
//! Method: marks by hand on a simulated disk, then what rot, a full disk and a power cut leave; by the
//! log's thread on real files.

use std::sync::Arc;
use std::thread;

use onceward_vfs::{FaultKind, FaultOp, OsVfs, SimVfs, Survival, Vfs};
use onceward_wal::{Lsn, Options, Preparation};

use super::scenario::{
    OPTIONS, bodies, body, fault, found, host, open, open_sim, open_with, put, queue, segment,
};

const KIND_MARK: u8 = 2;

/// What the disk was asked since the step `from`.
fn calls(disk: &SimVfs, from: usize) -> Vec<String> {
    let steps = disk.trace().split_off(from);
    steps.iter().map(|step| step.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn rot_in_the_last_synced_frame_is_damage_once_a_mark_stands_behind_it() {
    for marked in [false, true] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        for seed in 1..=3 {
            put(&log, &body(seed, 50)).unwrap();
        }
        if marked {
            log.mark().unwrap();
        }
        drop(log);
        let disk = disk.after_kill();
        let last = host(&found(&disk).1).pop().unwrap();
        disk.flip_bit(&segment(1), u64::from(last.place.offset) + 40, 3);
        let (report, seen) = found(&disk);
        assert_eq!(host(&seen).len(), 2);
        assert_eq!(report.damage.len(), usize::from(marked), "{:?}", report.damage);
        if marked {
            assert_eq!(report.damage[0].offset, u64::from(last.place.offset));
            assert_eq!((report.torn_bytes, report.in_doubt), (0, 0));
        }
        let log = open_sim(&disk);
        put(&log, b"next").unwrap();
        assert_eq!(bodies(&disk.after_power_cut(&Survival::Nothing)).len(), 3);
    }
}

#[test]
fn a_mark_is_one_write_without_a_sync_and_only_where_it_says_something() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let marks = || {
        let from = disk.trace().len();
        log.mark().unwrap();
        calls(&disk, from)
    };
    assert_eq!(marks(), [""; 0], "nothing was written in this run");
    put(&log, b"one").unwrap();
    assert_eq!(marks(), ["write"]);
    assert_eq!(marks(), [""; 0], "there is one");
    let last = queue(&log, &[b"two".to_vec()]).unwrap().last;
    assert_eq!(marks(), [""; 0], "not everything is synced");
    log.wait(last).unwrap();
    assert_eq!(marks(), ["write"]);
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean);
    assert_eq!(seen.iter().filter(|frame| frame.kind == KIND_MARK).count(), 3);
}

#[test]
fn the_log_goes_on_behind_a_mark_whether_a_crash_kept_it_or_not() {
    for survival in [Survival::Nothing, Survival::Everything] {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        put(&log, b"one").unwrap();
        log.mark().unwrap();
        drop(log);
        let disk = disk.after_power_cut(&survival);
        let kept = survival == Survival::Everything;
        assert_eq!(found(&disk).1.iter().any(|frame| frame.kind == KIND_MARK), kept);
        let log = open_sim(&disk);
        put(&log, b"two").unwrap();
        let (report, seen) = found(&disk.after_power_cut(&Survival::Nothing));
        assert_eq!((report.damage, host(&seen).len()), (vec![], 2));
    }
}

#[test]
fn waiting_for_a_mark_syncs_it() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let last = put(&log, b"one").unwrap();
    log.mark().unwrap();
    let mark = Lsn::from_u64(last.get() + 1).unwrap();
    assert!(log.poll(mark).is_none());
    let from = disk.trace().len();
    log.wait(mark).unwrap();
    assert_eq!(calls(&disk, from), ["sync_data"]);
    assert_eq!(log.synced(), mark.get());
    let kept = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found(&kept).1.last().unwrap().kind, KIND_MARK);
}

/// Only a run frame declares the gap that a failed append leaves.
#[test]
fn no_mark_follows_a_failed_append() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::Enospc));
    put(&log, b"refused").unwrap_err();
    let from = disk.trace().len();
    log.mark().unwrap();
    assert_eq!(calls(&disk, from), [""; 0]);
    put(&log, b"confirmed").unwrap();
    let (report, seen) = found(&disk.after_power_cut(&Survival::Nothing));
    assert_eq!(report.damage, []);
    let bodies: Vec<_> = host(&seen).into_iter().map(|frame| frame.body).collect();
    assert_eq!(bodies, [b"kept".to_vec(), b"confirmed".to_vec()]);
}

#[test]
fn a_mark_that_finds_the_disk_full_costs_nothing() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::Enospc));
    log.mark().unwrap();
    put(&log, b"two").unwrap();
    log.mark().unwrap();
    put(&log, b"three").unwrap();
    let (report, seen) = found(&disk.after_power_cut(&Survival::Nothing));
    assert_eq!((report.damage, host(&seen).len()), (vec![], 3));
}

#[test]
fn a_mark_that_fails_poisons() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::Eio));
    log.mark().unwrap_err();
    put(&log, b"refused").unwrap_err();
    assert_eq!(bodies(&disk.after_kill()), [b"one".to_vec()]);
}

#[test]
fn the_logs_thread_marks_it_when_it_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let (log, ..) = open_with(&vfs, options).unwrap();
    put(&log, b"one").unwrap();
    while found(&*vfs).1.last().unwrap().kind != KIND_MARK {
        thread::yield_now();
    }
    let marked = found(&*vfs).1.len();
    put(&log, b"two").unwrap();
    while found(&*vfs).1.len() < marked + 2 {
        thread::yield_now();
    }
    drop(log);
    assert_eq!(open(&vfs).unwrap().1.damage, []);
}
