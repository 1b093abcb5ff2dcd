//! A key of an unsettled event is never forgotten, however it is carried; once given up, it stays so.
//! Method: one case each, with keys at chosen spots of the table, in memory or over a power cut.

use onceward_index::{Entry, Index, Lookup, Until};
use onceward_vfs::SimVfs;

use crate::scenery::{
    content, crashed, from_capture, from_settle, key, open, options, reserve, take,
};

/// Carrying may begin a block, and that may copy the shard: a position in it from before counts no more.
#[test]
fn a_key_is_not_lost_when_carrying_it_begins_a_block_that_purges_its_shard() {
    let index = Index::new(options()).unwrap();
    let (dead, unsettled) = (from_capture(), from_settle());
    for n in 0..2 {
        let slice = take(&index, key(0, 0, n), n + 1, dead, 1_000_000);
        index.settle(slice, 1_000_000);
    }
    let kept = key(0, 0, 9);
    let held = take(&index, kept, 9, unsettled, 1_000_000);

    let now = 5_000_000;
    assert_eq!(index.expire(now).to_carry, [held]);
    assert!(index.carry(kept, held, now).unwrap().is_some());
    assert_eq!(index.expire(now).dropped, [held]);
    assert_eq!(index.lookup(kept, content(9)).unwrap(), Lookup::Duplicate { lsn: 9 });
}

/// A checkpoint divides the new block at the first frame in flight. The carried key comes behind it, but
/// its frame is covered, and no file of its old slice is left to have it.
#[test]
fn a_carried_key_survives_a_crash_though_its_block_was_divided() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let window = from_settle();
    let kept = key(7, 0, 1);
    let held = take(&index, kept, 1, window, 1_000_000);
    index.checkpoint(0, Until::Later).unwrap();

    let now = 5_000_000;
    take(&index, key(9, 0, 2), 2, window, now);
    reserve(&index, key(8, 0, 3), 3, window, now);
    assert_eq!(index.expire(now).to_carry, [held]);
    index.carry(kept, held, now).unwrap().unwrap();
    assert_eq!(index.expire(now).dropped, [held]);
    assert_eq!(index.checkpoint(0, Until::Close).unwrap().covered, 2);

    let opened = open(&crashed(&disk));
    assert_eq!(opened.covered, 2);
    assert!(opened.index.hold(kept).unwrap().is_some());
    assert_eq!(opened.index.lookup(kept, content(1)).unwrap(), Lookup::Duplicate { lsn: 1 });
}

/// Carrying leaves two entries of the key, and withdrawing it ends both.
#[test]
fn a_key_that_was_carried_in_flight_and_then_withdrawn_does_not_come_back() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let window = from_settle();
    let given_up = key(7, 0, 1);
    let held = reserve(&index, given_up, 1, window, 1_000_000);
    assert_eq!(index.expire(5_000_000).to_carry, [held]);
    index.carry(given_up, held, 5_000_000).unwrap().unwrap();
    assert!(index.withdraw(given_up, 1).unwrap());
    assert_eq!(index.lookup(given_up, content(1)).unwrap(), Lookup::New);
    index.checkpoint(0, Until::Later).unwrap();
    drop(index);

    let opened = open(&crashed(&disk));
    assert_eq!(opened.index.lookup(given_up, content(1)).unwrap(), Lookup::New);
}

/// The table file holds both entries of the carried key, and a crash brings both back. Keys fill the last
/// group, so that the search wraps and finds the other one elsewhere, in an order that copying changes.
#[test]
fn a_key_taken_again_is_judged_by_its_newest_entry_though_it_was_carried_before() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let window = from_settle();
    let (again, last_group) = (key(7, 0xffff, 1), 0xffff);
    for n in 0..15 {
        let slice = take(&index, key(7, last_group, 100 + n), 100 + n, window, 1_000_000);
        index.settle(slice, 1_000_000);
    }
    let held = take(&index, again, 200, window, 1_000_000);
    let begin = index.slice_info(held).unwrap().begin;
    let now = 5_000_000;
    assert_eq!(index.expire(now).to_carry, [held]);
    let target = index.carry(again, held, now).unwrap().unwrap();
    index.checkpoint(0, Until::Close).unwrap();
    // Dropped in memory only: no checkpoint says so before the crash.
    assert_eq!(index.expire(now).dropped, [held]);
    index.settle(target, now);
    let later = 9_000_000;
    assert_eq!(index.expire(later).dropped, [target]);
    let slice = take(&index, again, 300, window, later);
    let begin_again = index.slice_info(slice).unwrap().begin;

    let opened = open(&crashed(&disk));
    let index = opened.index;
    assert_eq!(opened.covered, 200);
    index.raise_settled(window, begin, now);
    let slice = index.slice(window, begin_again);
    let entry = Entry { key: again, content: content(300), lsn: 300 };
    index.restore(slice, entry, 300).unwrap();
    index.hold(again).unwrap().unwrap();
    assert_eq!(index.lookup(again, content(300)).unwrap(), Lookup::Duplicate { lsn: 300 });
    for n in 0..20 {
        take(&index, key(7, 0, 400 + n), 400 + n, window, later);
    }
    assert_eq!(index.lookup(again, content(300)).unwrap(), Lookup::Duplicate { lsn: 300 });
}

/// Opening finds two entries of the carried key, and takes one of them off the count once.
#[test]
fn the_count_of_keys_is_at_least_what_is_remembered_after_a_crash_between_carrying_and_dropping() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let window = from_settle();
    let held = take(&index, key(7, 0, 1), 1, window, 1_000_000);
    let now = 5_000_000;
    take(&index, key(8, 0, 2), 2, window, now);
    index.carry(key(7, 0, 1), held, now).unwrap().unwrap();
    index.checkpoint(0, Until::Later).unwrap();
    assert_eq!(index.len(), 2);

    let index = open(&crashed(&disk)).index;
    for n in 1..=2 {
        assert_ne!(index.lookup(key(6 + u128::from(n), 0, n), content(n)).unwrap(), Lookup::New);
    }
    assert!(index.len() >= 2, "{} keys, 2 are remembered", index.len());
}
