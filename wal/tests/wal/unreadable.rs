//! A block that the disk cannot read costs the frames that touch it and no others, and a repair makes the
//! log whole. The log goes on around it unless it may end in there, and what can be read again is there again.
//! Method: each block of each segment answers every read with EIO until it was written whole.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use onceward_vfs::{SimVfs, Vfs};
use onceward_wal::{ErrorKind, Lsn, repair};

use super::scenario::{
    Seen, body, fill_segment, found, host, open, open_sim, put, queue, segment, shared,
};
use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

const BLOCK_BYTES: u64 = 4096;
/// Of a segment.
const BLOCKS: u64 = 64;
const EIO: i32 = 5;
const SEAL_BYTES: u64 = 88;

/// The blocks that cannot be read: file and number.
#[derive(Debug, Default)]
struct Bad(Mutex<BTreeSet<(String, u64)>>);

impl Bad {
    /// `disk` with such a block in a segment.
    fn over(disk: &SimVfs, number: u64, block: u64) -> (Arc<dyn Vfs>, Arc<Self>) {
        let bad = Arc::new(Self(Mutex::new([(segment(number), block)].into())));
        (hooked(shared(disk), &bad), bad)
    }

    /// The disk can read it all again.
    fn recover(&self) {
        self.0.lock().unwrap().clear();
    }

    fn is_mended(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

/// The blocks that `count` bytes from `offset` on touch.
fn blocks(offset: u64, count: usize) -> RangeInclusive<u64> {
    let last = offset + u64::try_from(count).unwrap().max(1) - 1;
    offset / BLOCK_BYTES..=last / BLOCK_BYTES
}

impl Hook for Bad {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let count = match call.operation {
            Operation::Read(count) => count,
            Operation::Write(bytes) => bytes.len(),
            Operation::FillZeros(len) => {
                let whole = |block: u64| (block + 1) * BLOCK_BYTES <= len;
                self.0.lock().unwrap().retain(|(name, block)| name != call.name || !whole(*block));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let mut bad = self.0.lock().unwrap();
        if matches!(call.operation, Operation::Write(_)) {
            let (from, to) = (call.offset, call.offset + u64::try_from(count).unwrap());
            bad.retain(|(name, block)| {
                let whole = from <= block * BLOCK_BYTES && (block + 1) * BLOCK_BYTES <= to;
                *name != call.name || !whole
            });
        }
        // To write a part of a block, the system reads it first.
        let hit = |(name, block): &(String, u64)| {
            name == call.name && blocks(call.offset, count).contains(block)
        };
        if bad.iter().any(hit) { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

/// A log of three segments, each with small frames in several blocks; a batch that spans some; the
/// end is marked.
fn segments() -> SimVfs {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for seed in 0..3 {
        for bytes in [20, 1500, 700, 3000, 90] {
            put(&log, &body(seed * 10, bytes)).unwrap();
        }
        let batch = [body(7, 1), body(8, 5000), body(9, 900)];
        log.wait(queue(&log, &batch).unwrap().last).unwrap();
        put(&log, &body(seed, 6000)).unwrap();
        log.mark().unwrap();
        if seed < 2 {
            fill_segment(&log);
        }
    }
    drop(log);
    let disk = disk.after_kill();
    assert_eq!(found(&disk).0.damage, [], "control");
    disk
}

fn touches(frame: &Seen, number: u64, block: u64) -> bool {
    let of = blocks(u64::from(frame.place.offset), frame.bytes);
    frame.place.segment == number && of.contains(&block)
}

/// Of the host's frames.
fn lsns(seen: &[Seen]) -> Vec<u64> {
    host(seen).iter().map(|frame| frame.lsn).collect()
}

/// The log takes further frames although such a block of `whole` cannot be read, and has all that it had once
/// it can.
fn goes_on_around((whole, number, block): (&SimVfs, u64, u64), left: &[Seen], what: &str) {
    for closes in [false, true] {
        let disk = whole.after_kill();
        let (_, all) = found(&disk);
        let (vfs, bad) = Bad::over(&disk, number, block);
        let (log, report, _) = open(&vfs).unwrap();
        assert!(!report.damage.is_empty(), "{what}");
        let lsn = put(&log, b"around it").unwrap();
        fill_segment(&log);
        put(&log, b"and on").unwrap();
        assert!(all.iter().all(|frame| frame.lsn < lsn.get()), "{what}: no number twice");
        if closes {
            log.close().unwrap();
        } else {
            drop(log);
        };
        let seen = host(&found(&*vfs).1);
        assert!(seen[..left.len()] == *left && seen[left.len()].lsn == lsn.get(), "{what}");
        bad.recover();
        let (report, seen) = found(&*vfs);
        let (had, seen) = (host(&all), host(&seen));
        assert_eq!(report.damage, [], "{what}: as if nothing had been");
        assert!(seen[..had.len()] == *had && seen[had.len()].lsn == lsn.get(), "{what}");
        goes_on(&vfs, &seen, what);
    }
}

/// One block of `whole`, around which the log is opened or not; returns how many frames it cost.
fn check(whole: &SimVfs, (number, block): (u64, u64), opens: bool) -> usize {
    let what = format!("block {block} of segment {number}");
    let disk = whole.after_kill();
    let (_, all) = found(&disk);
    let (vfs, bad) = Bad::over(&disk, number, block);
    let (report, shown) = found(&*vfs);
    let said = report.damage.iter().find(|damage| damage.what.contains("cannot be read"));
    let said = said.unwrap_or_else(|| panic!("{what}: {:?}", report.damage));
    assert_eq!((&said.file, said.offset), (&segment(number), block * BLOCK_BYTES), "{what}");
    let lost = all.iter().filter(|frame| touches(frame, number, block)).count();
    let others: Vec<Seen> =
        all.into_iter().filter(|frame| !touches(frame, number, block)).collect();
    assert_eq!(lsns(&shown), lsns(&others), "{what}: {:?}", report.damage);
    assert!(host(&shown) == host(&others), "{what}");

    if opens {
        goes_on_around((whole, number, block), &host(&others), &what);
    } else {
        let error = open(&vfs).unwrap_err();
        let position = error.position().cloned().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
        assert_eq!((position.file, position.offset), (segment(number), block * BLOCK_BYTES));
        assert!(found(&*vfs).1 == shown, "{what}: nothing was changed");
    }

    let lock = onceward_wal::lock(&*vfs).unwrap();
    let repaired = repair(&*vfs, &lock).unwrap().unwrap();
    drop(lock);
    assert_eq!(repaired.damage, report.damage, "{what}");
    assert_eq!(repaired.left, [], "{what}: found {:?}", repaired.damage);
    assert!(bad.is_mended(), "{what}");
    assert!(host(&found(&*vfs).1) == host(&others), "{what}: repaired");
    goes_on(&vfs, &host(&others), &what);
    lost
}

/// The log takes a further frame, and keeps what it had.
fn goes_on(vfs: &Arc<dyn Vfs>, had: &[Seen], what: &str) {
    let (log, report, _) = open(vfs).unwrap();
    assert_eq!(report.damage, [], "{what}");
    let lsn = put(&log, b"after the repair").unwrap();
    assert!(had.iter().all(|frame| frame.lsn < lsn.get()), "{what}: no number twice");
    log.close().unwrap();
    let (report, seen) = found(&**vfs);
    assert!(report.clean && report.damage.is_empty(), "{what}: {:?}", report.damage);
    let seen = host(&seen);
    assert!(seen[..had.len()] == *had && seen.len() == had.len() + 1, "{what}");
}

/// D12.
#[test]
fn a_block_within_a_finished_segment_costs_what_touches_it() {
    let whole = segments();
    let lost: Vec<usize> = (1..BLOCKS).map(|block| check(&whole, (1, block), true)).collect();
    assert!(lost.iter().take(3).all(|lost| *lost > 1), "control: {lost:?}");
    check(&whole, (2, 3), true);
    check(&whole, (2, BLOCKS - 1), true);
}

/// D12.
#[test]
fn a_header_block_costs_nothing() {
    let whole = segments();
    for number in [1, 2, 3] {
        assert_eq!(check(&whole, (number, 0), true), 0, "segment {number}");
    }
}

/// D12: the last frames, and the free space behind them. Only in the last of them the log may end.
#[test]
fn a_block_where_the_log_may_end_is_not_written_over() {
    let whole = segments();
    let last = found(&whole).1.last().unwrap().clone();
    let end = u64::from(last.place.offset) / BLOCK_BYTES;
    assert!(last.place.segment == 3 && end > 2, "control: {last:?}");
    for block in 1..=end {
        assert!(check(&whole, (3, block), block < end) > 0, "block {block}");
    }
    let seal_end = u64::from(last.place.offset) + last.bytes as u64 + SEAL_BYTES;
    for block in [seal_end.div_ceil(BLOCK_BYTES), end + 2, BLOCKS - 1] {
        assert_eq!(check(&whole, (3, block), true), 0, "block {block}");
    }
}

/// Nothing proves the last frame: whether one stands behind it nobody can tell.
#[test]
fn behind_a_frame_that_nothing_proves_the_log_may_end_where_it_cannot_be_read() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 20)).unwrap();
    put(&log, &body(2, 6000)).unwrap();
    drop(log);
    let disk = disk.after_kill();
    let last = host(&found(&disk).1).pop().unwrap();
    let end = (u64::from(last.place.offset) + last.bytes as u64) / BLOCK_BYTES;
    for block in [0, 1, 2, end] {
        let (vfs, _) = Bad::over(&disk.after_kill(), 1, block);
        assert_eq!(open(&vfs).is_ok(), block == 0, "block {block}");
    }
}

/// Header and first frame are in two blocks: only without both of them nobody can tell whether it was begun.
#[test]
fn a_prepared_segment_of_which_head_and_first_frame_cannot_be_read_may_have_been_begun() {
    let whole = segments();
    for (blocks, opens) in [(vec![0, 1], false), (vec![0, 2], true), (vec![1, 2, 3], true)] {
        let (vfs, bad) = Bad::over(&whole.after_kill(), 4, 0);
        *bad.0.lock().unwrap() = blocks.iter().map(|block| (segment(4), *block)).collect();
        assert_eq!(open(&vfs).is_ok(), opens, "blocks {blocks:?}");
        assert_eq!(bad.is_mended(), opens, "blocks {blocks:?}");
    }
}

/// D12: a segment that was prepared holds nothing yet.
#[test]
fn a_block_of_a_prepared_segment_costs_nothing() {
    let whole = segments();
    assert!(whole.exists(&segment(4)).unwrap(), "control");
    for block in [0, 1] {
        assert_eq!(check(&whole, (4, block), true), 0, "block {block}");
    }
}

/// D12.
#[test]
fn an_unreadable_block_is_no_damage_of_another_segment() {
    let whole = segments();
    for (number, block) in [(1, 0), (1, 2), (2, 20), (3, 0), (3, 1), (3, 40)] {
        let (report, _) = found(&*Bad::over(&whole, number, block).0);
        let damaged: BTreeSet<String> = report.damage.into_iter().map(|it| it.file).collect();
        assert_eq!(damaged, [segment(number)].into(), "block {block} of segment {number}");
    }
}

/// D12: with zeros behind the header block, a segment was surely not begun.
#[test]
fn an_unreadable_block_of_a_prepared_segment_is_no_damage_of_the_one_before() {
    let whole = segments();
    let (report, _) = found(&*Bad::over(&whole, 4, 0).0);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert_eq!(report.damage[0].file, segment(4));
}

/// D12: nothing that can be read proves that the batch was whole, so none of it is shown; what is left
/// of it is counted, and kept.
#[test]
fn the_rest_of_a_last_batch_that_cannot_be_read_is_in_doubt_and_kept() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    let batch = queue(&log, &[body(7, 40), body(8, 5000), body(9, 900)]).unwrap();
    log.wait(batch.last).unwrap();
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_kill();
    let seen = host(&found(&disk).1);
    assert!(!touches(&seen[1], 1, 2) && touches(&seen[2], 1, 2), "control");
    let (vfs, _) = Bad::over(&disk, 1, 2);
    let (report, shown) = found(&*vfs);
    assert_eq!((lsns(&shown), report.in_doubt), (lsns(&seen[..1]), 1), "{report:?}");
    let lock = onceward_wal::lock(&*vfs).unwrap();
    let repaired = repair(&*vfs, &lock).unwrap().unwrap();
    drop(lock);
    assert_eq!(repaired.left, []);
    let holds = |file: &String| {
        let kept = disk.bytes(file).unwrap();
        kept.windows(40).any(|bytes| bytes == seen[1].body)
    };
    assert!(repaired.kept.iter().any(holds), "{:?}", repaired.kept);
    goes_on(&vfs, &seen[..1], "a batch");
}

/// D12: while the log is open, too.
#[test]
fn reading_says_where_the_disk_fails_and_the_log_goes_on() {
    let whole = segments();
    let frames = host(&found(&whole).1);
    let (vfs, bad) = Bad::over(&whole, 1, 2);
    let hit = std::mem::take(&mut *bad.0.lock().unwrap());
    let (log, ..) = open(&vfs).unwrap();
    *bad.0.lock().unwrap() = hit;
    for frame in &frames {
        let bytes = u32::try_from(frame.bytes).unwrap();
        let read = log.read(frame.place, bytes, Lsn::from_u64(frame.lsn).unwrap());
        if touches(frame, 1, 2) {
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert_eq!(error.position().unwrap().file, segment(1));
        } else {
            assert_eq!(read.unwrap().frame().unwrap().body, frame.body);
        }
    }
    put(&log, b"next").unwrap();
    log.close().unwrap();
}
