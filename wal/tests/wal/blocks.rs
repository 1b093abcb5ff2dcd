//! A large commit ends at the end of a block; with blocks of their own all do, and no block that holds
//! confirmed bytes is written again.
//! Method: where frames stand; every write that reaches the disk, from its trace.

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::{Alignment, ErrorKind, Log, Options, Preparation};

use super::scenario::{
    OPTIONS, Seen, body, found, host, open_sim, open_with, put, queue, segment, shared,
};

const BLOCK: Options = Options { alignment: Alignment::Block, ..OPTIONS };
const BLOCK_BYTES: u64 = 4096;

fn open_block(disk: &SimVfs) -> Log {
    open_with(&shared(disk), BLOCK).unwrap().0
}

fn offset(frame: &Seen) -> u64 {
    u64::from(frame.place.offset)
}

#[test]
fn the_commit_after_a_large_one_begins_a_block() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    for (bytes, aligned) in [(60_000, false), (64 * 1024, true), (100, false)] {
        put(&log, &body(1, bytes)).unwrap();
        put(&log, b"next").unwrap();
        let next = host(&found(&disk).1).pop().unwrap();
        assert_eq!(offset(&next).is_multiple_of(BLOCK_BYTES), aligned, "after {bytes} bytes");
    }
}

#[test]
fn a_large_commit_that_fills_its_segment_is_not_filled_up() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let most = 256 * 1024 - 8 * 1024 - 32;
    put(&log, &body(1, most)).unwrap();
    put(&log, b"next").unwrap();
    assert_eq!(host(&found(&disk).1).len(), 2);
    assert_eq!(found(&disk).0.damage, []);
}

#[test]
fn with_blocks_of_their_own_every_commit_begins_one() {
    let disk = SimVfs::new();
    let log = open_block(&disk);
    for seed in 1..100 {
        let bodies = [body(seed, 40 * usize::try_from(seed).unwrap()), body(seed, 3)];
        let batch = queue(&log, &bodies).unwrap();
        log.wait(batch.last).unwrap();
        let (_, seen) = found(&disk);
        let first = seen.iter().find(|frame| frame.lsn == batch.first.get()).unwrap();
        // The first of a run and of a segment has the run frame before it.
        let run = seen.iter().any(|f| f.kind == 1 && f.lsn + 1 == first.lsn);
        let begins = offset(first).is_multiple_of(BLOCK_BYTES);
        assert!(begins || run, "{first:?}");
        log.mark().unwrap();
    }
    log.close().unwrap();
    let (report, seen) = found(&disk);
    assert!(report.clean && host(&seen).len() == 2 * 99);
}

#[test]
fn with_blocks_of_their_own_a_commit_is_at_most_a_segment_less_12_kib() {
    let disk = SimVfs::new();
    let log = open_block(&disk);
    let most = 256 * 1024 - 12 * 1024 - 30;
    for _ in 0..3 {
        put(&log, &body(1, most)).unwrap();
    }
    let refused = put(&log, &body(1, most + 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert_eq!(found(&disk).0.damage, []);
}

/// Blocks that were written in a segment from operation `from` on: first and last of each write.
fn writes(disk: &SimVfs, from: usize) -> Vec<(u64, u64)> {
    let of = format!(" write {} ", segment(1));
    let trace = disk.trace();
    let ranges = trace[from..].iter().filter_map(|line| line.split_once(&of));
    ranges
        .map(|(_, range)| {
            let (offset, bytes) = range.split_once('+').unwrap();
            let (offset, bytes) = (offset.parse::<u64>().unwrap(), bytes.parse::<u64>().unwrap());
            (offset / BLOCK_BYTES, (offset + bytes - 1) / BLOCK_BYTES)
        })
        .collect()
}

/// D7.
#[test]
fn with_blocks_of_their_own_no_confirmed_block_is_written_again() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"first").unwrap();
    queue(&log, &[body(2, 300)]).unwrap();
    put(&log, b"within a block").unwrap();
    drop(log);
    let disk = disk.after_power_cut(&Survival::Everything);

    let log = open_block(&disk);
    let from = disk.trace().len();
    for seed in 3..20 {
        put(&log, &body(seed, 900)).unwrap();
        log.mark().unwrap();
    }
    let blocks = writes(&disk, from);
    assert_eq!(blocks.len(), 2 * 17, "a commit and a mark each");
    assert!(blocks.windows(2).all(|w| w[0].1 < w[1].0), "{blocks:?}");
    let first = blocks[0].0 * BLOCK_BYTES;
    let older = |frame: &&Seen| frame.lsn < 5;
    let (_, seen) = found(&disk);
    let last = seen.iter().filter(older).map(|f| offset(f) + f.bytes as u64).max().unwrap();
    assert!(last <= first, "{last} {first}: what was there before is left alone");

    // Control: without the option, blocks are shared.
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    put(&log, b"two").unwrap();
    let blocks = writes(&disk, 0);
    assert!(blocks.windows(2).any(|w| w[1].0 <= w[0].1), "{blocks:?}");
}

#[test]
fn a_batch_in_the_background_mode_is_filled_too() {
    let disk = SimVfs::new();
    let options = Options { preparation: Preparation::InBackground, ..BLOCK };
    let log = open_with(&shared(&disk), options).unwrap().0;
    put(&log, b"one").unwrap();
    put(&log, b"two").unwrap();
    let seen = host(&found(&disk).1);
    assert!(offset(&seen[1]).is_multiple_of(BLOCK_BYTES), "{seen:?}");
}
