//! A reader shows every durable frame from any LSN on, once and in order, while the log is written, and
//! wakes for a lone one.
//! Method: what it shows is held against what `examine` shows; writers, trimming and damage between its
//! reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use onceward_vfs::{FaultKind, FaultOp, SimVfs};
use onceward_wal::{ErrorKind, Log, Lsn, Options, Preparation, Reader};

use super::scenario::{
    OPTIONS, body, fault, fill_segment, found, open_sim, open_with, put, queue, segment, shared,
};

const LONG: Duration = Duration::from_secs(60);

fn from(log: &Log, lsn: u64) -> Reader<'_> {
    log.read_from(Lsn::from_u64(lsn).unwrap()).unwrap()
}

/// LSN and body of all that a reader shows now, and how many it skipped.
fn drain(reader: &mut Reader<'_>) -> (Vec<(u64, Vec<u8>)>, u64) {
    let (mut shown, mut skipped) = (Vec::new(), 0);
    while let Some(slice) = reader.next_slice().unwrap() {
        skipped += slice.skipped;
        let frames: Vec<(u64, Vec<u8>)> =
            slice.frames().map(|frame| (frame.lsn.get(), frame.body.to_vec())).collect();
        assert_eq!(frames.first().map(|f| f.0), Some(slice.first.get()));
        assert_eq!(frames.last().map(|f| f.0), Some(slice.last.get()));
        shown.extend(frames);
    }
    (shown, skipped)
}

fn all(disk: &SimVfs) -> Vec<(u64, Vec<u8>)> {
    found(disk).1.into_iter().map(|frame| (frame.lsn, frame.body)).collect()
}

/// Three segments, several hundred frames, a batch, and a gap in the numbers.
fn log_of_many() -> (SimVfs, Log) {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 1..=200 {
        put(&log, &body(seed, usize::try_from(seed).unwrap())).unwrap();
    }
    disk.plan(fault(FaultOp::Write, ".seg", FaultKind::Enospc));
    assert_eq!(put(&log, &body(5, 100)).unwrap_err().kind(), ErrorKind::Full);
    log.wait(queue(&log, &[body(1, 9), body(2, 900), body(3, 1)]).unwrap().last).unwrap();
    fill_segment(&log);
    for seed in 1..=100 {
        put(&log, &body(seed, 300)).unwrap();
    }
    fill_segment(&log);
    put(&log, b"last").unwrap();
    (disk, log)
}

#[test]
fn reading_from_any_lsn_shows_everything_from_there_on() {
    let (disk, log) = log_of_many();
    let all = all(&disk);
    assert!(all.len() > 300 && log.segments().len() == 3, "control");
    let last = all.last().unwrap().0;
    for lsn in 1..=last {
        let (shown, skipped) = drain(&mut from(&log, lsn));
        let wanted: Vec<_> = all.iter().filter(|frame| frame.0 >= lsn).cloned().collect();
        assert!(shown == wanted, "from LSN {lsn}");
        assert_eq!(skipped, wanted[0].0 - lsn, "a gap in the numbers, at LSN {lsn}");
    }
    assert_eq!(drain(&mut from(&log, last + 1)).0, [], "at the end");
    put(&log, b"after that").unwrap();
    assert_eq!(drain(&mut from(&log, last + 1)).0.len(), 1);
}

/// After opening, too: places of frames come from the examination then.
#[test]
fn reading_from_any_lsn_works_after_opening() {
    let (disk, log) = log_of_many();
    log.close().unwrap();
    let all = all(&disk);
    let log = open_sim(&disk);
    for lsn in 1..=all.last().unwrap().0 {
        let wanted: Vec<_> = all.iter().filter(|frame| frame.0 >= lsn).cloned().collect();
        assert!(drain(&mut from(&log, lsn)).0 == wanted, "from LSN {lsn}");
    }
}

/// T17.
#[test]
fn reading_from_behind_the_end_is_refused_and_says_where_the_end_is() {
    let (_disk, log) = log_of_many();
    let next = log.synced() + 1;
    let error = log.read_from(Lsn::from_u64(next + 1).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(&format!("goes on with LSN {next}")), "{error}");
}

#[test]
fn what_is_not_synced_is_not_shown() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    let mut reader = from(&log, 1);
    assert_eq!(drain(&mut reader).0.len(), 2, "with the run frame");
    let ticket = queue(&log, &[body(1, 10)]).unwrap();
    assert!(reader.next_slice().unwrap().is_none());
    assert!(!reader.wait(Duration::ZERO));
    log.wait(ticket.last).unwrap();
    assert!(reader.wait(LONG));
    assert_eq!(drain(&mut reader).0, [(ticket.last.get(), body(1, 10))]);
}

/// T25.
#[test]
fn a_waiting_reader_wakes_for_a_lone_frame() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    for round in 0..200 {
        let mut reader = from(&log, log.synced() + 1);
        let shown = thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                assert!(reader.wait(LONG), "nobody woke it");
                drain(&mut reader).0
            });
            put(&log, &body(round, 20)).unwrap();
            waiting.join().unwrap()
        });
        assert_eq!(shown.len(), 1, "round {round}");
    }
}

/// T25: nobody waits for the ticket, and nothing follows it.
#[test]
fn a_frame_that_nobody_waits_for_becomes_durable_and_is_shown() {
    let disk = SimVfs::new();
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let log = open_with(&shared(&disk), options).unwrap().0;
    let ticket = queue(&log, &[body(1, 10)]).unwrap();
    let mut reader = from(&log, ticket.first.get());
    assert!(reader.wait(LONG), "nobody synced it");
    assert_eq!(drain(&mut reader).0, [(ticket.last.get(), body(1, 10))]);
}

/// What is queued stays within memory: where nobody waits and there is no thread, appending does.
#[test]
fn whoever_queues_more_than_eight_mebibytes_waits_for_them() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for count in 1..=100 {
        queue(&log, &[body(1, 200_000)]).unwrap();
        assert_eq!(log.synced() > 0, count * 200_000 > 8 << 20, "after {count}");
        if log.synced() > 0 {
            return;
        }
    }
}

/// Nor does a stream of others keep them waiting, for which nobody waits either.
#[test]
fn frames_that_nobody_waits_for_become_durable_though_more_are_appended() {
    let disk = SimVfs::new();
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let log = open_with(&shared(&disk), options).unwrap().0;
    let first = queue(&log, &[body(1, 10)]).unwrap().first.get();
    while log.synced() < first {
        let last = queue(&log, &[body(2, 1)]).unwrap().last.get();
        assert!(last < 20_000_000, "nobody synced it");
        thread::yield_now();
    }
}

#[test]
fn a_waiting_reader_is_told_that_the_log_is_poisoned() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    let reader = from(&log, log.synced() + 1);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || reader.wait(LONG));
        disk.plan(fault(FaultOp::SyncData, ".seg", FaultKind::Eio));
        assert!(put(&log, b"two").is_err());
        assert!(!waiting.join().unwrap(), "there is nothing more");
    });
}

/// A segment that a reader holds is not used again, and is shown to its end.
#[test]
fn a_reader_goes_on_in_a_segment_that_was_trimmed_meanwhile() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    let mut reader = from(&log, 1);
    assert_eq!(reader.next_slice().unwrap().unwrap().last.get(), 2);
    fill_segment(&log);
    fill_segment(&log);
    let wanted: Vec<_> = all(&disk).into_iter().filter(|frame| frame.0 > 2).collect();
    log.trim(1).unwrap();
    for _ in 0..4 {
        fill_segment(&log);
    }
    let (shown, skipped) = drain(&mut reader);
    assert_eq!((&shown[..wanted.len()], skipped), (&wanted[..], 0));
}

#[test]
fn a_reader_that_held_nothing_says_what_was_trimmed_before_it_came() {
    let (disk, log) = log_of_many();
    log.trim(1).unwrap();
    let first = all(&disk)[0].0;
    let (shown, skipped) = drain(&mut from(&log, 1));
    assert_eq!((shown[0].0, skipped), (first, first - 1));
}

#[test]
fn damage_is_skipped_and_counted_and_the_rest_is_shown() {
    let (disk, log) = log_of_many();
    let frames = found(&disk).1;
    let hit = [3, 70, frames.len() - 2].map(|at| &frames[at]);
    // In the middle, and with the seal of the first segment its end.
    let seal = frames.iter().find(|f| f.kind == 3 && f.place.segment == 1).unwrap();
    for frame in hit.into_iter().chain([seal]) {
        let offset = u64::from(frame.place.offset) + 12;
        disk.flip_bit(&segment(frame.place.segment), offset, 2);
    }
    let wanted: Vec<u64> = frames
        .iter()
        .map(|frame| frame.lsn)
        .filter(|lsn| *lsn != seal.lsn && hit.iter().all(|hit| hit.lsn != *lsn))
        .collect();
    let (shown, skipped) = drain(&mut from(&log, 1));
    assert_eq!(shown.iter().map(|frame| frame.0).collect::<Vec<_>>(), wanted);
    // And the number that the failed append left unused.
    assert!(skipped >= 4, "{skipped}");
}

#[test]
fn a_read_error_is_told_and_the_next_try_goes_on() {
    let (disk, log) = log_of_many();
    let mut reader = from(&log, 1);
    disk.plan(fault(FaultOp::Read, &segment(1), FaultKind::Eio));
    let error = reader.next_slice().unwrap_err();
    assert_eq!((error.kind(), error.position().unwrap().offset), (ErrorKind::Io, 4096));
    assert_eq!(drain(&mut reader).0, all(&disk));
}

#[test]
fn a_frame_larger_than_a_piece_is_shown() {
    let disk = SimVfs::new();
    let options = Options { segment_bytes: 8 << 20, ..OPTIONS };
    let log = open_with(&shared(&disk), options).unwrap().0;
    for bytes in [10, 1_500_000, 20, 5_000_000, 30] {
        put(&log, &body(1, bytes)).unwrap();
    }
    assert_eq!(drain(&mut from(&log, 1)).0, all(&disk));
}

/// With writers, rolling, trimming and recycling at work.
#[test]
fn a_reader_beside_writers_shows_each_frame_once_and_in_order() {
    const FRAMES: u64 = 3_000;
    let disk = SimVfs::new();
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let log = open_with(&shared(&disk), options).unwrap().0;
    let read = AtomicU64::new(0);
    let (log, read) = (&log, &read);
    thread::scope(|scope| {
        for writer in 0..2 {
            scope.spawn(move || {
                for seed in 0..FRAMES / 2 {
                    put(log, &body(2 * seed + writer, 700)).unwrap();
                    let done = read.load(Ordering::Acquire);
                    let old = log.segments().into_iter().find(|s| s.last_lsn < done);
                    // The other one may have trimmed it, or it is the last.
                    drop(old.map(|old| log.trim(old.number)));
                }
            });
        }
        let mut reader = from(log, 1);
        let (mut hosts, mut last) = (0, 0);
        while hosts < FRAMES {
            assert!(reader.wait(LONG), "nothing more after LSN {last}");
            let (shown, skipped) = drain(&mut reader);
            assert_eq!(skipped, 0, "after LSN {last}");
            for (lsn, body) in shown {
                assert_eq!(lsn, last + 1);
                last = lsn;
                hosts += u64::from(body.len() == 700);
            }
            read.store(last, Ordering::Release);
        }
    });
    assert!(log.segments().first().unwrap().number > 1, "control: it trimmed");
}
