//! The commit queue under a scheduler that chooses who goes on at every lock, atomic, write and sync.
//!
//! Each model is a few threads that append, wait, poll, mark, trim, or meet a failing disk. In every
//! schedule everybody must get an answer, and what they were told must hold after a power cut. If
//! nobody can go on, shuttle says so. `scripts/model` runs them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure is a panic"
)]

mod disk;
mod host;

use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, testing};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};

use super::{Options, Preparation};
use crate::error::{Error, ErrorKind};
use host::{Answer, Host, LARGE_BYTES, OPTIONS, SMALL_BYTES, Told, begun, rolled};

/// Runs `model` under many schedules, each on a fresh copy of the disk that `prepare` makes.
fn explore(name: &'static str, cost: u64, prepare: fn() -> SimVfs, model: fn(SimVfs)) {
    // Nothing on it waits for a sync.
    testing::explore(name, cost, prepare, SimVfs::after_kill, model);
}

/// Starts threads that write, with numbers from 1, and end after `batches`.
fn writers(host: &Host, count: u64, batches: RangeInclusive<u64>) -> Vec<JoinHandle<Vec<Told>>> {
    (1..=count)
        .map(|writer| {
            let host = host.clone();
            let batches = thread_rng().gen_range(batches.clone());
            thread::spawn(move || host.write(writer, batches))
        })
        .collect()
}

/// The batches of all writers, with their answers.
fn told(writers: Vec<JoinHandle<Vec<Told>>>) -> Vec<Told> {
    writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
}

/// A random number below `count`, another one in each schedule.
fn any(count: u64) -> u64 {
    thread_rng().gen_range(0..count)
}

/// A fault at one of the first `count` matching operations.
fn fault(op: FaultOp, name: &str, kind: FaultKind, count: u64) -> Fault {
    Fault { op, name_contains: name.to_owned(), nth: any(count), kind, forever: false }
}

/// Writers, and nothing else.
fn share_syncs(disk: SimVfs, count: u64) {
    let host = Host::open(disk, OPTIONS);
    let all = told(writers(&host, count, 1..=3));
    assert!(all.iter().all(|told| told.answer == Answer::Stored), "{all:?}");
    let syncs = host.slow.syncs.load(Ordering::SeqCst);
    assert!(syncs <= u64::try_from(all.len()).unwrap(), "{syncs} syncs for {all:?}");
    host.must_have_kept(&all, &[]);
}

#[test]
fn two_writers_share_syncs_and_nobody_is_left_waiting() {
    explore("two writers", 1, begun, |disk| share_syncs(disk, 2));
}

#[test]
fn three_writers_share_syncs_and_nobody_is_left_waiting() {
    explore("three writers", 1, begun, |disk| share_syncs(disk, 3));
}

#[test]
fn five_writers_share_syncs_and_nobody_is_left_waiting() {
    explore("five writers", 1, begun, |disk| share_syncs(disk, 5));
}

#[test]
fn a_mark_beside_writers_leaves_nobody_waiting() {
    explore("marks beside writers", 1, begun, |disk| {
        let host = Host::open(disk, OPTIONS);
        let writers = writers(&host, 2, 1..=3);
        (0..4).for_each(|_| host.log.mark().unwrap());
        let all = told(writers);
        assert!(all.iter().all(|told| told.answer == Answer::Stored), "{all:?}");
        host.must_have_kept(&all, &[]);
    });
}

/// Starts a thread that trims what it can, and tells which segments it tried to, and what failed.
fn trimmer(host: &Host) -> JoinHandle<(Vec<u64>, Vec<Error>)> {
    let host = host.clone();
    thread::spawn(move || {
        let (mut trimmed, mut errors) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let first = host.log.segments()[0].number;
            match host.log.trim(first) {
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                tried => {
                    trimmed.push(first);
                    errors.extend(tried.err());
                }
            }
        }
        (trimmed, errors)
    })
}

/// Appends batches, polls them all while others may sync them, and waits for the last.
fn defer(host: &Host, writer: u64) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for batch in 0..3 {
        all.push(host.append(&[writer * 100 + batch], LARGE_BYTES).unwrap());
        for told in &mut all {
            let polled = host.log.poll(told.last());
            assert!(matches!(polled, None | Some(Ok(()))), "{told:?}");
            assert!(polled.is_some() || told.answer == Answer::InDoubt, "unsaid: {told:?}");
            if polled.is_some() {
                told.answer = Answer::Stored;
            }
        }
    }
    host.wait(all.last_mut().unwrap());
    for told in &mut all {
        assert!(matches!(host.log.poll(told.last()), Some(Ok(()))), "{told:?}");
        told.answer = Answer::Stored;
    }
    all
}

#[test]
fn tickets_are_settled_while_segments_roll_and_come_back() {
    explore("tickets, trimming, the log's thread", 8, rolled, |disk| {
        let options = Options { reserve: 1, preparation: Preparation::InBackground, ..OPTIONS };
        let host = Host::open(disk, options);
        let writers: Vec<_> = (1..=2)
            .map(|writer| {
                let host = host.clone();
                thread::spawn(move || defer(&host, writer))
            })
            .collect();
        let trimmed = trimmer(&host);
        let all = told(writers);
        let (trimmed, errors) = trimmed.join().unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!trimmed.is_empty(), "control: the disk had a finished one");
        host.must_have_kept(&all, &trimmed);
    });
}

#[test]
fn a_failed_sync_is_told_to_everybody() {
    explore("a failed sync", 1, begun, |disk| {
        let host = Host::open(disk, OPTIONS);
        // At most as many syncs as batches, at least one for each of a writer's.
        host.disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Eio, 2));
        let all = told(writers(&host, 4, 2..=3));
        assert!(host.is_poisoned());
        assert!(all.iter().any(|told| told.answer == Answer::InDoubt), "{all:?}");
        // What was only queued is absent, and is told so.
        host.must_have_kept(&all, &[]);
    });
}

#[test]
fn a_log_that_is_poisoned_from_elsewhere_leaves_nobody_waiting() {
    explore("poisoned by a trimmer", 1, rolled, |disk| {
        let host = Host::open(disk, OPTIONS);
        host.disk.plan(fault(FaultOp::SyncData, "meta", FaultKind::Eio, 1));
        let writers = writers(&host, 3, 1..=2);
        let error = host.log.trim(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        let all = told(writers);
        assert!(host.is_poisoned());
        host.must_have_kept(&all, &[]);
    });
}

#[test]
fn a_full_disk_refuses_groups_whole_and_later_ones_are_stored() {
    explore("a full disk", 1, begun, |disk| {
        let host = Host::open(disk, OPTIONS);
        host.slow.full_at.store(1 + any(3), Ordering::SeqCst);
        let mut all = told(writers(&host, 3, 3..=4));
        assert!(all.iter().any(|told| told.answer == Answer::Absent), "{all:?}");
        assert!(all.iter().all(|told| told.answer != Answer::InDoubt), "{all:?}");
        // There is room again.
        let mut more = host.append(&[5_000, 5_001], SMALL_BYTES).unwrap();
        host.wait(&mut more);
        assert_eq!(more.answer, Answer::Stored);
        assert!(all.iter().all(|told| told.last() < more.last()), "{all:?}");
        all.push(more);
        host.must_have_kept(&all, &[]);
    });
}

#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    explore("a writer that panics", 1, begun, |disk| {
        let host = Host::open(disk, OPTIONS);
        host.slow.panic_at.store(1 + any(4), Ordering::SeqCst);
        let writers: Vec<_> = (1..=3)
            .map(|writer| {
                let host = host.clone();
                let write = move || panic::catch_unwind(AssertUnwindSafe(|| host.write(writer, 2)));
                thread::spawn(write)
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
        assert!(host.is_poisoned());
        let all: Vec<Told> = ended.into_iter().flatten().flatten().collect();
        // What the one that panicked appended may be there, though nobody was told of it.
        let Host { log, disk, .. } = host;
        Arc::into_inner(log).unwrap();
        let frames = host::found(&disk.after_power_cut(&onceward_vfs::Survival::Nothing)).1;
        for told in all.iter().filter(|told| told.answer == Answer::Stored) {
            told.must_be_in(&frames);
        }
        let frames = host::found(&disk.after_power_cut(&onceward_vfs::Survival::Everything)).1;
        for told in all.iter().filter(|told| told.answer == Answer::Absent) {
            told.must_not_be_in(&frames);
        }
    });
}

#[test]
fn with_everything_at_work_everybody_is_told_whatever_fails() {
    explore("everything at work, one failure", 8, rolled, |disk| {
        let options = Options { reserve: 1, preparation: Preparation::InBackground, ..OPTIONS };
        let host = Host::open(disk, options);
        match any(3) {
            0 => host.slow.full_at.store(1 + any(8), Ordering::SeqCst),
            1 => host.disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Eio, 8)),
            _ => host.disk.plan(fault(FaultOp::SyncData, "meta", FaultKind::Eio, 3)),
        }
        let writers: Vec<_> = (1..=3)
            .map(|writer| {
                let host = host.clone();
                thread::spawn(move || host.roll(writer, 1 + any(3)))
            })
            .collect();
        let trimmed = trimmer(&host);
        for _ in 0..3 {
            host.log.sync_soon();
            if let Err(error) = host.log.mark() {
                assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
            }
        }
        let all = told(writers);
        let (trimmed, _errors) = trimmed.join().unwrap();
        host.must_have_kept(&all, &trimmed);
    });
}
