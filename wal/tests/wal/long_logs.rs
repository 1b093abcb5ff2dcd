//! A log of many segments is read through few open files, and what a reader holds is never used again.
//! Method: every way of reading is held against what `examine` shows, with the system's own list of open files;
//! more readers than files stay open; trimming and recycling before each call of a reader.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use onceward_vfs::{OsVfs, SimVfs, Vfs};
use onceward_wal::{ErrorKind, Log, Lsn};

use super::between::with_work_between;
use super::scenario::{
    Seen, body, fill_segment, found, look, open, open_sim, put, segment, shared,
};

const SEGMENTS: usize = 64;
/// Most open files of a log: 16 to be read, the tail, those prepared, `meta` and the lock.
const OPEN_MAX: usize = 16 + 8;

/// Appends until there are so many segments.
fn grow(log: &Log, count: usize) {
    let mut seed = 0;
    while log.segments().len() < count {
        seed += 1;
        put(log, &body(seed, 30_000)).unwrap();
    }
    put(log, b"last").unwrap();
}

/// A log of so many segments on a simulated disk.
fn long(count: usize) -> (SimVfs, Log) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    grow(&log, count);
    (disk, log)
}

fn lsn(of: u64) -> Lsn {
    Lsn::from_u64(of).unwrap()
}

fn size(seen: &Seen) -> u32 {
    u32::try_from(seen.bytes).unwrap()
}

/// Files below `dir` that this process has open.
#[expect(clippy::disallowed_methods, reason = "the system knows what is open, not a `Vfs`")]
fn open_files(dir: &Path) -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    links.filter(|link| link.starts_with(dir)).count()
}

/// The same frames, neighbours far apart.
fn scattered(seen: &[Seen]) -> impl Iterator<Item = &Seen> {
    let step = (seen.len() / 2..).find(|step| gcd(*step, seen.len()) == 1).unwrap();
    (0..seen.len()).map(move |index| &seen[index * step % seen.len()])
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// T24.
#[test]
fn every_way_of_reading_shows_all_of_a_long_log_through_few_open_files() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::open(dir.path()).unwrap());
    let few = |what: &str| {
        let count = open_files(dir.path());
        assert!(count <= OPEN_MAX, "{count} open files while {what}");
    };
    let log = open(&vfs).unwrap().0;
    grow(&log, SEGMENTS);
    few("writing");
    log.close().unwrap();
    few("closed, and still to be read");
    drop(log);
    assert!(open_files(dir.path()) <= 1, "control: the directory itself");
    let (examined, seen) = look(&*vfs).unwrap().unwrap();
    onceward_wal::examine(&*vfs, &mut |_| few("examining")).unwrap();
    few("having examined");

    let segments = examined.into_segments();
    for frame in scattered(&seen) {
        let read = segments.read(&*vfs, frame.place, size(frame), lsn(frame.lsn)).unwrap();
        assert_eq!(read.frame().unwrap().body, frame.body);
        few("another process reads frames");
    }
    assert!(open_files(dir.path()) > 8, "control: some stay open");
    drop(segments);

    let log = open(&vfs).unwrap().0;
    few("the log was opened");
    let seen = found(&*vfs).1;
    for frame in scattered(&seen) {
        let read = log.read(frame.place, size(frame), lsn(frame.lsn)).unwrap();
        assert_eq!(read.frame().unwrap().body, frame.body);
        few("reading frames");
    }
    let mut by_segment = Vec::new();
    for info in log.segments() {
        log.read_segment(info.number, &mut |frame| by_segment.push(frame.lsn.get())).unwrap();
        few("reading segments");
    }
    let mut by_reader = Vec::new();
    let mut reader = log.read_from(lsn(1)).unwrap();
    while let Some(slice) = reader.next_slice().unwrap() {
        by_reader.extend(slice.frames().map(|frame| frame.lsn.get()));
        few("reading on");
    }
    let all: Vec<u64> = seen.iter().map(|frame| frame.lsn).collect();
    assert!(by_segment == all && by_reader == all);
}

#[test]
fn no_file_is_used_again_that_one_of_many_readers_holds() {
    let (disk, log) = long(SEGMENTS);
    let infos = log.segments();
    let mut readers: Vec<_> = infos[..40]
        .iter()
        .map(|info| {
            let mut reader = log.read_from(lsn(info.first_lsn)).unwrap();
            reader.next_slice().unwrap().unwrap();
            reader
        })
        .collect();
    let renames = || disk.trace().iter().filter(|step| step.contains("rename log/")).count();
    infos[..40].iter().for_each(|info| log.trim(info.number).unwrap());
    assert_eq!(renames(), 0);
    (0..3).for_each(|_| fill_segment(&log));
    for reader in &mut readers {
        let slice = reader.next_slice().unwrap().unwrap();
        assert_eq!((slice.segment, slice.first.get()), (infos[40].number, infos[40].first_lsn));
    }
    // All of them hold this one now.
    log.trim(infos[40].number).unwrap();
    assert_eq!(renames(), 0);
    drop(readers);
    log.trim(infos[41].number).unwrap();
    assert_eq!(renames(), 1, "control");
}

#[test]
fn a_file_that_was_read_and_is_held_by_nobody_is_used_again() {
    let (disk, log) = long(4);
    let seen = found(&disk).1;
    for frame in &seen {
        log.read(frame.place, size(frame), lsn(frame.lsn)).unwrap();
    }
    let oldest = log.segments()[0].number;
    log.trim(oldest).unwrap();
    assert!(disk.trace().iter().any(|step| step.contains("rename log/")));
    let error = log.read(seen[1].place, size(&seen[1]), lsn(seen[1].lsn)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn what_a_writer_trimmed_is_told_from_damage_however_long_the_log_is() {
    let (disk, log) = long(SEGMENTS);
    let vfs = shared(&disk);
    let (examined, seen) = look(&*vfs).unwrap().unwrap();
    let segments = examined.into_segments();
    let in_segment = |number: u64| seen.iter().find(|s| s.place.segment == number).unwrap();
    let read = |number| {
        let frame = in_segment(number);
        segments.read(&*vfs, frame.place, size(frame), lsn(frame.lsn)).map(drop)
    };
    // One that is open then, others that are not.
    read(1).unwrap();
    (1..=20).for_each(|number| log.trim(number).unwrap());
    (0..4).for_each(|_| fill_segment(&log));
    assert!(disk.trace().iter().any(|step| step.contains("rename log/")), "control");
    for number in 1..=20 {
        assert_eq!(read(number).unwrap_err().kind(), ErrorKind::Trimmed, "{number}");
        let whole = segments.read_segment(&*vfs, number, &mut |_| {});
        assert!(number == 1 || whole.unwrap_err().kind() == ErrorKind::Trimmed, "{number}");
    }
    (21..=60).for_each(|number| read(number).unwrap());
    vfs.remove(&segment(60)).unwrap();
    let frame = in_segment(60);
    let error = log.read(frame.place, size(frame), lsn(frame.lsn)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "nobody trimmed it");
}

/// Single reads in random order, while the oldest segments are trimmed and recycled.
#[test]
fn reading_frames_beside_trimming_gives_the_frame_or_says_that_it_is_gone() {
    let (disk, log) = long(SEGMENTS);
    let (seen, done, met) = (found(&disk).1, AtomicBool::new(false), AtomicBool::new(false));
    let (log, seen, done, met) = (&log, &seen, &done, &met);
    let gone = thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut gone = BTreeSet::new();
                    while !done.load(Ordering::Acquire) {
                        for frame in scattered(seen) {
                            match log.read(frame.place, size(frame), lsn(frame.lsn)) {
                                Ok(read) => {
                                    assert_eq!(read.frame().unwrap().body, frame.body);
                                }
                                Err(error) => {
                                    let what = error.to_string();
                                    assert!(what.contains("no longer there"), "{what}");
                                    gone.insert(frame.place.segment);
                                    met.store(true, Ordering::Release);
                                }
                            }
                        }
                    }
                    gone.len()
                })
            })
            .collect();
        for number in 1..=u64::try_from(SEGMENTS - 4).unwrap() {
            log.trim(number).unwrap();
            fill_segment(log);
        }
        // A busy machine may not have let them read meanwhile: what they look for stays gone.
        while !met.load(Ordering::Acquire) && !readers.iter().any(|reader| reader.is_finished()) {
            thread::yield_now();
        }
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
    });
    assert!(gone > 0, "control");
    let renames = disk.trace().iter().filter(|step| step.contains("rename log/")).count();
    assert!(renames > 10, "control: {renames}");
}

/// T5: more segments than stay open, and trimming between any two calls of the one who examines.
#[test]
fn examining_a_long_log_beside_a_writer_takes_no_trimmed_segment_for_damage() {
    let (disk, log) = long(24);
    let before = found(&disk).1;
    log.close().unwrap();
    let work = |log: &Log| {
        // Old ones that are still open in the reader, and later ones that are not.
        [1, 2, 15, 18, 19, 21].iter().for_each(|number| log.trim(*number).unwrap());
        (0..4).for_each(|_| fill_segment(log));
    };
    let mut without = BTreeSet::new();
    for nth in (0..).step_by(5) {
        let disk = disk.after_kill();
        let log = open_sim(&disk);
        let (result, reached) =
            with_work_between(shared(&disk), nth, |vfs| look(&*vfs), || work(&log));
        let (examined, seen) = result.unwrap().unwrap();
        assert_eq!(examined.report().damage, [], "call {nth}");
        let shown: BTreeSet<u64> = seen.iter().map(|frame| frame.lsn).collect();
        let kept: BTreeSet<u64> = log.segments().iter().map(|info| info.number).collect();
        for frame in &before {
            let is_shown = shown.contains(&frame.lsn);
            assert!(is_shown || !kept.contains(&frame.place.segment), "call {nth}: {frame:?}");
            if !is_shown {
                without.insert(frame.place.segment);
            }
        }
        if !reached {
            assert!(nth > 60, "control: {nth} calls");
            break;
        }
    }
    assert!(without.contains(&18), "control: one was not open: {without:?}");
}
