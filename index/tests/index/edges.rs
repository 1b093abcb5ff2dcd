//! What is told twice counts once, of several entries of a key the newest counts, and what is held stays.
//! Method: one case each: cold shards, slices that open anew, released keys, the largest numbers.

use onceward_index::{Entry, Index, Lookup, Options, Until};
use onceward_vfs::SimVfs;

use crate::scenery::slot::newest;
use crate::scenery::{
    MINUTE, content, crashed, from_capture, from_settle, key, open, open_with, options, reserve,
    scattered, take,
};

#[test]
fn room_for_more_keys_than_there_can_be_is_refused_without_a_panic() {
    let index = Index::new(options()).unwrap();
    index.check_room(usize::MAX).unwrap_err();
}

#[test]
fn a_frame_that_is_told_twice_to_a_cold_shard_is_counted_once() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let slice = take(&index, key(1, 1, 1), 1, from_settle(), 0);
    index.settle(slice, 0);
    index.checkpoint(0, Until::Close).unwrap();
    let index = open(&crashed(&disk)).index;
    let slice = index.slice(from_settle(), 0);
    let entry = Entry { key: key(2, 2, 2), content: content(2), lsn: 2 };
    for _ in 0..3 {
        index.restore(slice, entry, 2).unwrap();
    }
    assert_eq!((index.len(), index.unwritten()), (2, 1));
}

/// Released keys alone make table files due: opening accepts no manifest of more than so many places.
#[test]
fn a_closed_index_does_not_list_every_released_key_in_its_manifest() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let count = 5_000;
    for n in 0..count {
        take(&index, scattered(n), n + 1, from_settle(), 0);
    }
    index.checkpoint(0, Until::Close).unwrap();
    for n in 0..count {
        assert!(index.release(scattered(n), count + n + 1).unwrap());
    }
    index.checkpoint(0, Until::Close).unwrap();
    assert!(index.is_empty());
    let bytes = newest(&disk.bytes("index/manifest").unwrap()).len();
    assert!(bytes < 4_096, "{bytes} bytes of manifest for no key");
}

/// Other frames may have opened the slice anew that the log names, while the key is in the one that it was
/// carried to: that one is to be held.
#[test]
fn a_held_key_is_not_forgotten_though_its_old_slice_was_opened_anew() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    let window = from_settle();
    let (kept, other) = (key(7, 0, 1), key(9, 0, 3));
    let held = take(&index, kept, 1, window, 1_000_000);
    let begin = index.slice_info(held).unwrap().begin;
    // In flight, and so the checkpoint covers no more than frame 1.
    reserve(&index, key(8, 0, 2), 2, from_capture(), 1_000_000);
    index.settle(take(&index, other, 3, window, 1_000_000), 1_000_000);
    let now = 5_000_000;
    let to_carry = index.expire(now).to_carry;
    assert!(to_carry.contains(&held));
    index.carry(kept, held, now).unwrap().unwrap();
    assert_eq!(index.expire(now).dropped, [held]);
    assert_eq!(index.checkpoint(0, Until::Later).unwrap().covered, 1);

    let waits = Options { carry_max: 0, ..options() };
    let index = open_with(crashed(&disk), waits).index;
    let slice = index.slice(window, begin);
    let entry = Entry { key: other, content: content(3), lsn: 3 };
    index.restore(slice, entry, 3).unwrap();
    index.raise_settled(window, begin, 1_000_000);
    assert!(index.hold(kept).unwrap().is_some());
    assert_eq!(index.lookup(kept, content(1)).unwrap(), Lookup::Duplicate { lsn: 1 });
    index.expire(9_000_000);
    assert_eq!(index.lookup(kept, content(1)).unwrap(), Lookup::Duplicate { lsn: 1 });
}

/// Nobody asks for the shard between the restarts, so that a checkpoint brings both entries of the key into
/// table files before they were ever compared.
#[test]
fn a_key_that_was_forgotten_and_taken_again_keeps_its_newest_entry_through_two_restarts() {
    let disk = SimVfs::new();
    let window = from_settle();
    let again = key(7, 0, 1);
    let index = open(&disk).index;
    let slice = take(&index, again, 1, window, 1_000_000);
    index.settle(slice, 1_000_000);
    let begin = index.slice_info(slice).unwrap().begin;
    for n in 2..12 {
        index.settle(take(&index, scattered(n), n, window, 1_000_000), 1_000_000);
    }
    index.checkpoint(0, Until::Close).unwrap();
    let now = 9_000_000;
    assert_eq!(index.expire(now).dropped, [slice]);
    let slice = take(&index, again, 20, window, now);
    let begin_again = index.slice_info(slice).unwrap().begin;
    assert_eq!(index.lookup(again, content(20)).unwrap(), Lookup::Duplicate { lsn: 20 });

    // A crash; the log is told again; the host closes the store at once.
    let disk = crashed(&disk);
    let opened = open(&disk);
    assert_eq!(opened.covered, 11);
    let index = opened.index;
    let slice = index.slice(window, begin_again);
    let entry = Entry { key: again, content: content(20), lsn: 20 };
    index.restore(slice, entry, 20).unwrap();
    index.raise_settled(window, begin, 1_000_000);
    index.hold(again).unwrap().unwrap();
    index.checkpoint(0, Until::Close).unwrap();
    drop(index);

    let opened = open(&disk);
    assert_eq!(opened.covered, 20);
    assert_eq!(opened.index.lookup(again, content(20)).unwrap(), Lookup::Duplicate { lsn: 20 });
}

#[test]
fn an_index_of_released_keys_only_is_empty_after_a_restart() {
    let disk = SimVfs::new();
    let index = open(&disk).index;
    take(&index, key(1, 1, 1), 1, from_settle(), 0);
    index.checkpoint(0, Until::Later).unwrap();
    assert!(index.release(key(1, 1, 1), 2).unwrap());
    index.checkpoint(0, Until::Close).unwrap();
    assert!(index.is_empty());
    let index = open(&disk).index;
    index.release(key(1, 1, 1), 2).unwrap();
    assert!(index.is_empty(), "{} keys", index.len());
}

/// A window that counts from the capture: the slice is worked out anew from when that was, since the old
/// one began long before.
#[test]
fn a_key_captured_late_in_its_slice_lives_for_its_window_though_the_number_of_slices_was_changed() {
    let disk = SimVfs::new();
    let few = Options { slice_count: 1, ..options() };
    let index = open_with(disk.clone(), few).index;
    let captured = 20 * MINUTE + 59_000;
    let slice = take(&index, key(1, 1, 1), 1, from_capture(), captured);
    index.settle(slice, captured);
    index.checkpoint(0, Until::Close).unwrap();
    drop(index);

    let many = Options { slice_count: 720, ..options() };
    let opened = open_with(disk, many);
    let index = opened.index;
    assert_eq!(opened.covered, 0, "the log is told again");
    let begin = index.slice_begin(from_capture(), captured);
    let entry = Entry { key: key(1, 1, 1), content: content(1), lsn: 1 };
    index.restore(index.slice(from_capture(), begin), entry, 1).unwrap();
    index.raise_settled(from_capture(), begin, captured);
    index.expire(captured + 2_000);
    let verdict = index.lookup(key(1, 1, 1), content(1)).unwrap();
    assert_eq!(verdict, Lookup::Duplicate { lsn: 1 }, "2 s after it was captured");
}
