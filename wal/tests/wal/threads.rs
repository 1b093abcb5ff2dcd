//! Many threads share syncs, and what each was told is true.
//! Method: threads append and wait on real files; then the log is read again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use onceward_vfs::{FaultKind, FaultOp, OsVfs, SimVfs, Vfs};
use onceward_wal::{ErrorKind, Log, Options, Preparation};

use super::scenario::{
    OPTIONS, Seen, body, fault, fill_segment, found, host, open, open_sim, open_with, put, queue,
    segment, shared,
};
use super::watched::Watch;

const THREADS: u64 = 8;
const APPENDS: u64 = 60;

/// What one thread does: lone appends and batches. Returns the body of each confirmed LSN.
fn work(log: &Log, thread: u64) -> BTreeMap<u64, Vec<u8>> {
    let mut told = BTreeMap::new();
    for i in 0..APPENDS {
        let seed = thread * 1000 + i * 3;
        let bytes = usize::try_from(10 + seed % 3000).unwrap();
        let count = if i % 5 == 0 { 3 } else { 1 };
        let bodies: Vec<_> = (seed..seed + count).map(|seed| body(seed, bytes)).collect();
        let appended = queue(log, &bodies).unwrap();
        log.wait(appended.last).unwrap();
        assert!(log.synced() >= appended.last.get());
        let numbers = appended.first.get()..=appended.last.get();
        told.extend(numbers.zip(bodies));
    }
    told
}

#[test]
fn every_append_that_was_confirmed_to_any_thread_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (vfs, watch) = Watch::over(Arc::new(OsVfs::open(dir.path()).unwrap()));
    let (log, ..) = open(&vfs).unwrap();
    let before = watch.syncs.load(Ordering::SeqCst);
    let told: BTreeMap<u64, Vec<u8>> = thread::scope(|scope| {
        let log = &log;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || work(log, thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let syncs = watch.syncs.load(Ordering::SeqCst) - before;
    assert!(log.segments().len() > 1, "control: it rolled");
    assert!(syncs < THREADS * APPENDS, "{syncs} syncs for {} appends", THREADS * APPENDS);
    // Without closing.
    drop(log);
    let (log, report, seen) = open(&vfs).unwrap();
    assert_eq!(report.damage, []);
    let all: BTreeMap<u64, Vec<u8>> =
        host(&seen).into_iter().map(|Seen { lsn, body, .. }| (lsn, body)).collect();
    assert_eq!(all, told);
    log.close().unwrap();
    assert!(found(&*vfs).0.clean);
}

#[test]
fn readers_and_a_trimmer_beside_a_writer_see_whole_frames_or_are_told() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let reader = disk.clone();
    thread::scope(|scope| {
        let log = &log;
        let writer = scope.spawn(move || {
            for seed in 0..120 {
                put(log, &body(seed, 20_000)).unwrap();
            }
        });
        scope.spawn(move || {
            while !writer.is_finished() {
                let infos = log.segments();
                if infos.len() > 3 {
                    log.trim(infos[0].number).unwrap();
                }
                thread::yield_now();
            }
        });
        // Without the lock, as another process would.
        for _ in 0..40 {
            let (report, seen) = found(&reader);
            assert_eq!(report.damage, []);
            let host = host(&seen);
            assert!(host.windows(2).all(|w| w[0].lsn < w[1].lsn));
            for Seen { body: found, .. } in &host {
                let seed = u64::from_le_bytes(found[..8].try_into().unwrap()) & 0x7f;
                assert!(*found == body(seed, 20_000), "a frame that nobody wrote");
            }
        }
    });
    log.close().unwrap();
    assert!(found(&disk).0.clean);
}

#[test]
fn a_reader_beside_a_host_that_opens_and_closes_sees_no_damage() {
    let disk = SimVfs::new();
    open_sim(&disk).close().unwrap();
    let reader = disk.clone();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for seed in 0..40 {
                let log = open_sim(&disk);
                put(&log, &body(seed, 20_000)).unwrap();
                log.close().unwrap();
            }
        });
        let mut looks = 0;
        while looks < 20 || !writer.is_finished() {
            assert_eq!(found(&reader).0.damage, []);
            looks += 1;
        }
    });
    let (report, seen) = found(&reader);
    assert_eq!((report.clean, host(&seen).len()), (true, 40));
}

#[test]
fn a_segment_is_not_trimmed_before_the_log_goes_on_durably_in_a_later_one() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 100)).unwrap();
    assert!(log.trim(1).is_err(), "it is being written");
    // Two rolls that nobody waited for.
    for seed in 0..5 {
        queue(&log, &[body(seed, 120_000)]).unwrap();
    }
    let infos = log.segments();
    assert!(infos.len() >= 3, "control");
    for info in &infos {
        assert!(log.trim(info.number).is_err(), "segment {} is not synced", info.number);
    }
    put(&log, b"now").unwrap();
    log.trim(1).unwrap();
    assert!(log.trim(1).is_err(), "it is gone");
    assert!(!disk.exists(&segment(1)).unwrap());
}

/// Ends the program with a message if the test has not ended after a minute: a test in which
/// somebody waits for ever says nothing otherwise.
fn watchdog(what: &'static str) -> mpsc::Sender<()> {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            writeln!(io::stderr(), "{what}: somebody waits for ever").unwrap_or_default();
            process::abort();
        }
    });
    done
}

#[test]
fn sixty_four_threads_each_get_their_answers() {
    let _watchdog = watchdog("64 threads");
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let (log, ..) = open_with(&vfs, options).unwrap();
    let told: BTreeMap<u64, Vec<u8>> = thread::scope(|scope| {
        let log = &log;
        let marker = scope.spawn(move || (0..200).for_each(|_| log.mark().unwrap()));
        let threads: Vec<_> = (0..64)
            .map(|thread| {
                scope.spawn(move || {
                    let mut told = BTreeMap::new();
                    for i in 0..25 {
                        let body = body(thread * 1000 + i, 150);
                        let lsn = queue(log, std::slice::from_ref(&body)).unwrap().last;
                        if i % 3 == 0 {
                            // Leaves it to others, now and then.
                            thread::yield_now();
                        }
                        log.wait(lsn).unwrap();
                        assert!(matches!(log.poll(lsn), Some(Ok(()))));
                        told.insert(lsn.get(), body);
                    }
                    told
                })
            })
            .collect();
        let told = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        marker.join().unwrap();
        told
    });
    drop(log);
    let all: BTreeMap<u64, Vec<u8>> =
        host(&found(&*vfs).1).into_iter().map(|Seen { lsn, body, .. }| (lsn, body)).collect();
    assert_eq!(all.len(), 64 * 25);
    assert_eq!(all, told);
}

/// A log whose first segment may be trimmed, and its disk.
fn watched() -> (Log, SimVfs, Arc<Watch>) {
    let disk = SimVfs::new();
    let (vfs, watch) = Watch::over(shared(&disk));
    let (log, ..) = open(&vfs).unwrap();
    fill_segment(&log);
    (log, disk, watch)
}

#[test]
fn nobody_waits_for_ever_when_the_log_is_poisoned_from_elsewhere() {
    let _watchdog = watchdog("poisoned from elsewhere");
    let (log, disk, watch) = watched();
    thread::scope(|scope| {
        let log = &log;
        let gate = watch.gate.lock().unwrap();
        let began = watch.began.load(Ordering::SeqCst);
        let leader = scope.spawn(move || put(log, b"leader"));
        while watch.began.load(Ordering::SeqCst) == began {
            thread::yield_now();
        }
        let (about_to, told) = mpsc::channel();
        let others: Vec<_> = (0..8)
            .map(|seed| {
                let about_to = about_to.clone();
                scope.spawn(move || {
                    let lsn = queue(log, &[body(seed, 50)]).unwrap().last;
                    about_to.send(()).unwrap();
                    log.wait(lsn)
                })
            })
            .collect();
        (0..8).for_each(|_| told.recv().unwrap());
        // They wait, or soon will: either way they must get an answer.
        (0..10_000).for_each(|_| thread::yield_now());
        disk.plan(fault(FaultOp::SyncData, "meta", FaultKind::Eio));
        assert_eq!(log.trim(1).unwrap_err().kind(), ErrorKind::Poisoned);
        drop(gate);
        leader.join().unwrap().unwrap();
        for other in others {
            let error = other.join().unwrap().unwrap_err();
            // Theirs was only queued, and never will be written.
            assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, false));
        }
    });
}

#[test]
fn those_who_wait_in_either_group_are_told_when_a_sync_fails() {
    let _watchdog = watchdog("a sync fails");
    let (log, disk, watch) = watched();
    thread::scope(|scope| {
        let log = &log;
        let gate = watch.gate.lock().unwrap();
        let began = watch.began.load(Ordering::SeqCst);
        let mut all = vec![scope.spawn(move || put(log, b"leader"))];
        while watch.began.load(Ordering::SeqCst) == began {
            thread::yield_now();
        }
        all.extend((0..8).map(|seed| scope.spawn(move || put(log, &body(seed, 50)))));
        (0..10_000).for_each(|_| thread::yield_now());
        disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Eio));
        drop(gate);
        for one in all {
            assert_eq!(one.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
        }
    });
}

#[test]
fn polling_tells_what_is_known_and_makes_nothing_happen() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let first = queue(&log, &[b"one".to_vec()]).unwrap().last;
    let steps = disk.trace().len();
    assert!(log.poll(first).is_none());
    assert_eq!(disk.trace().len(), steps);
    let unknown = log.poll(first.next().unwrap()).unwrap().unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    // Synced with that of another.
    put(&log, b"two").unwrap();
    assert!(matches!(log.poll(first), Some(Ok(()))));
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::Enospc));
    let full = queue(&log, &[b"three".to_vec()]).unwrap().last;
    put(&log, b"four").unwrap_err();
    assert_eq!(log.poll(full).unwrap().unwrap_err().kind(), ErrorKind::Full);
    disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Eio));
    let doubtful = queue(&log, &[b"five".to_vec()]).unwrap().last;
    put(&log, b"six").unwrap_err();
    assert!(log.poll(doubtful).unwrap().unwrap_err().in_doubt());
    assert!(matches!(log.poll(first), Some(Ok(()))), "still");
}

#[test]
fn a_lone_durable_append_is_one_write_and_one_sync() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"the first of a run has a run frame before it").unwrap();
    for seed in 0..20 {
        let before = disk.trace().len();
        put(&log, &body(seed, 200)).unwrap();
        let steps = disk.trace().split_off(before);
        let calls: Vec<&str> = steps.iter().map(|step| step.split(' ').nth(1).unwrap()).collect();
        assert_eq!(calls, ["write", "sync_data"], "{steps:?}");
    }
}
