//! Segments are ready before they are needed, and closing waits for nobody.
//! Method: a log with its thread on real files, behind a disk that notes who writes zeros.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use onceward_vfs::{OsVfs, Pace, Vfs};
use onceward_wal::{Log, Options, Preparation};

use super::scenario::{OPTIONS, body, found, host, open_with, put};
use super::watched::Watch;
use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

const BACKGROUND: Options = Options { preparation: Preparation::InBackground, ..OPTIONS };

fn start(dir: &tempfile::TempDir) -> (Log, Arc<dyn Vfs>, Arc<Watch>) {
    let (vfs, watch) = Watch::over(Arc::new(OsVfs::open(dir.path()).unwrap()));
    let (log, ..) = open_with(&vfs, BACKGROUND).unwrap();
    (log, vfs, watch)
}

/// Bytes of the segments that are begun, and of those that are kept ready beside them.
fn ready(log: &Log) -> u64 {
    let begun = u64::try_from(log.segments().len()).unwrap();
    (begun + 2) * OPTIONS.segment_bytes
}

#[test]
fn many_segments_roll_without_a_caller_who_fills_one_with_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let (log, vfs, watch) = start(&dir);
    for seed in 0..60 {
        // Before anything is appended, only a little is filled.
        let zeros = if seed == 0 { OPTIONS.segment_bytes } else { ready(&log) };
        while log.file_bytes() < ready(&log) || watch.zeros.load(Ordering::SeqCst) < zeros {
            thread::yield_now();
        }
        put(&log, &body(seed, 100_000)).unwrap();
    }
    let segments = log.segments().len();
    assert!(segments >= 25, "control: {segments}");
    log.close().unwrap();
    let filled_by = watch.filled_by.lock().unwrap();
    assert!(filled_by.len() >= segments, "{filled_by:?}");
    assert!(filled_by.iter().all(|thread| thread == "onceward-log"), "{filled_by:?}");
    let (report, seen) = found(&*vfs);
    assert_eq!((report.clean, host(&seen).len()), (true, 60));
}

#[test]
fn a_log_whose_settled_segments_are_trimmed_fills_no_further_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (log, vfs, watch) = start(&dir);
    for seed in 0..10 {
        while log.file_bytes() < ready(&log) {
            thread::yield_now();
        }
        put(&log, &body(seed, 100_000)).unwrap();
    }
    // From here on each file that is given back is used again.
    watch.zeros.store(0, Ordering::SeqCst);
    let before = log.segments().last().unwrap().number;
    for seed in 10..60 {
        put(&log, &body(seed, 100_000)).unwrap();
        let infos = log.segments();
        if infos.len() > 3 {
            log.trim(infos[0].number).unwrap();
        }
    }
    let rolled = log.segments().last().unwrap().number - before;
    assert!(rolled >= 20, "control: {rolled}");
    // Of those that are made before the first came back.
    let zeros = watch.zeros.load(Ordering::SeqCst);
    assert!(zeros <= 4 * OPTIONS.segment_bytes, "{zeros} for {rolled} segments");
    drop(log);
    let (report, seen) = found(&*vfs);
    assert_eq!(report.damage, []);
    assert_eq!(host(&seen).last().unwrap().body, body(59, 100_000));
}

/// A file system that takes no space without writing there; and as long to fill a file as somebody wants it.
#[derive(Debug, Default)]
struct Endless {
    begun: AtomicBool,
    given_up: AtomicBool,
}

impl Hook for Endless {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        match call.operation {
            Operation::Allocate(_) => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(()),
        }
    }

    fn before_fill(&self, pace: &dyn Fn() -> Pace) {
        self.begun.store(true, Ordering::SeqCst);
        // For ever, if nobody gives it up: the runner's time limit tells.
        while pace() != Pace::Abandon {
            thread::yield_now();
        }
        self.given_up.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_log_that_ends_gives_up_the_segment_that_is_being_prepared_and_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
    let (log, ..) = open_with(&vfs, OPTIONS).unwrap();
    put(&log, b"before").unwrap();
    log.close().unwrap();
    let before = vfs.list("log").unwrap();
    for is_closed in [true, false] {
        let endless = Arc::new(Endless::default());
        let (log, ..) = open_with(&hooked(Arc::clone(&vfs), &endless), BACKGROUND).unwrap();
        while !endless.begun.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        assert!(endless.given_up.load(Ordering::SeqCst), "closed: {is_closed}");
        assert_eq!(vfs.list("log").unwrap(), before, "closed: {is_closed}");
    }
    let (log, report, _) = open_with(&vfs, BACKGROUND).unwrap();
    assert_eq!(report.damage, []);
    while log.file_bytes() < ready(&log) {
        thread::yield_now();
    }
    log.close().unwrap();
    assert_eq!(host(&found(&*vfs).1).len(), 1, "the log goes on as it was");
}

#[test]
fn opening_and_closing_at_once_ends_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (log, vfs, _) = start(&dir);
    log.close().unwrap();
    for round in 0..20 {
        let (log, report, _) = open_with(&vfs, BACKGROUND).unwrap();
        assert_eq!((report.clean, report.damage), (true, vec![]), "{round}");
        if round % 2 == 0 {
            put(&log, b"x").unwrap();
        }
        log.close().unwrap();
    }
    assert_eq!(host(&found(&*vfs).1).len(), 10);
}
