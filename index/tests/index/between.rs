//! The entries of frames that are one behind the other are those that were taken and not removed: in memory, in files,
//! and after a restart.
//! Method: ranges of all lengths over several blocks, each against the list of what was taken.

use std::ops::RangeInclusive;

use onceward_index::{
    ContentHash, Entry, Fingerprint, Index, KeyBatch, Options, ReadMode, Reserved, Until,
};
use onceward_vfs::SimVfs;

use crate::store::{MINUTE_MS, location, options, secret, settling};

/// Keys that are taken: several blocks.
const COUNT: u64 = 2_000;
/// LSN of the first, so high that none is near the lowest.
const FIRST: u64 = 1 << 40;

/// Whether entries that were removed may be shown: once the files were written without their slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RemovedAreShown {
    Never,
    Perhaps,
}

fn entry(number: u64) -> Entry {
    let key = Fingerprint::from_u128(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64);
    // Every other frame is of another kind.
    Entry { key, content: ContentHash::from_u64(number), lsn: FIRST + 2 * number }
}

/// Checks ranges of all lengths, from and to frames that took keys and others.
fn check(
    (index, begin): (&Index, u64),
    is_there: impl Fn(u64) -> bool,
    (when, removed_are_shown): (&str, RemovedAreShown),
) {
    let ends = [0, 1, 255, 256, 257, 900, 1_999];
    for (from, to) in ends.into_iter().flat_map(|from| ends.map(|to| (from, to))) {
        for (before, behind) in [(0, 0), (1, 1)] {
            let (first, last) = (FIRST + 2 * from - before, FIRST + 2 * to + behind);
            let mut found = between(index, begin, first..=last).unwrap();
            if removed_are_shown == RemovedAreShown::Perhaps {
                found.retain(|entry| is_there(entry.content.as_u64()));
            }
            let expected = (from..=to).filter(|number| is_there(*number)).map(entry);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{when}: {from} to {to}");
        }
    }
    assert_eq!(between(index, begin + MINUTE_MS, 0..=u64::MAX), None, "{when}: no such slice");
}

fn between(index: &Index, begin: u64, lsns: RangeInclusive<u64>) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    let slice =
        KeyBatch::of(index).entries_between((settling(), begin), lsns, |entry| found.push(entry));
    slice.unwrap().map(|_| found)
}

#[test]
fn entries_of_a_range_of_frames_are_those_that_were_taken() {
    for reading in [ReadMode::Mapped, ReadMode::Positioned] {
        let disk = SimVfs::new();
        let options: Options = options(reading);
        let index = Index::open(location(disk.clone()), &secret(), options).unwrap().index;
        for number in 0..COUNT {
            let taken = index.reserve(entry(number), settling(), 0).unwrap();
            assert!(matches!(taken, Reserved::Taken(_)));
            if number == COUNT / 2 {
                index.confirm_batch((0..=number).map(|number| entry(number).lsn));
                index.checkpoint(1, Until::Later).unwrap();
            }
        }
        index.confirm_batch((0..COUNT).map(|number| entry(number).lsn));
        let begin = index.slices()[0].begin;
        let checked = (&index, begin);
        check(checked, |_| true, ("half in files", RemovedAreShown::Never));
        // One in a file, one in memory.
        let removed = [300, 1_900];
        let release = |number| index.release(entry(number).key, entry(number).lsn + 1).unwrap();
        assert!(removed.into_iter().all(release));
        let is_there = |number| !removed.contains(&number);
        check(checked, is_there, ("two were removed", RemovedAreShown::Never));
        index.checkpoint(1, Until::Close).unwrap();
        check(checked, is_there, ("all in files", RemovedAreShown::Perhaps));
        drop(index);
        let index = Index::open(location(disk), &secret(), options).unwrap().index;
        check((&index, begin), is_there, ("opened again", RemovedAreShown::Perhaps));
    }
}

#[test]
fn damage_of_a_block_is_told() {
    use onceward_vfs::Vfs;
    let disk = SimVfs::new();
    let options = options(ReadMode::Positioned);
    let index = Index::open(location(disk.clone()), &secret(), options).unwrap().index;
    for number in 0..COUNT {
        index.reserve(entry(number), settling(), 0).unwrap();
    }
    index.confirm_batch((0..COUNT).map(|number| entry(number).lsn));
    let begin = index.slices()[0].begin;
    index.checkpoint(1, Until::Close).unwrap();
    drop(index);
    let names = disk.list(crate::store::DIR).unwrap();
    let keys = names.iter().find(|name| name.contains("keys")).unwrap();
    disk.flip_bit(&format!("{}/{keys}", crate::store::DIR), 20_000, 1);
    let index = Index::open(location(disk), &secret(), options).unwrap().index;
    let found = KeyBatch::of(&index).entries_between((settling(), begin), 0..=u64::MAX, |_| ());
    assert!(found.is_err(), "{names:?}");
}
