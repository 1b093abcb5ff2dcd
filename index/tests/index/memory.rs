//! Room that was checked for keys is there when they are taken, whatever has to grow or shrink for them.
//! Method: shards of removed keys, cold shards and many slices, each up to the limit of memory.

use onceward_index::{Entry, Fingerprint, Index, MEMORY_BYTES_MIN, Options, Until};
use onceward_vfs::SimVfs;

use crate::scenery::{
    MINUTE, content, from_settle, key, open, open_with, options, scattered, take,
};

/// Keys of one home group, told apart by the bits that the table looks at first.
fn bits(n: u64) -> Fingerprint {
    Fingerprint::from_u128(u128::from(n) << 93 | 1)
}

/// A shard that holds marks of removed keys becomes smaller when it is copied, which is no growth to find
/// room for.
#[test]
fn a_key_finds_room_in_a_shard_of_which_most_keys_were_released() {
    let index = Index::new(options()).unwrap();
    let window = from_settle();
    for n in 0..41 {
        take(&index, bits(n), n + 1, window, 0);
    }
    for n in 0..32 {
        assert!(index.release(bits(n), 100 + n).unwrap());
    }
    take(&index, bits(100), 1_000, window, 0);
    assert_eq!(index.len(), 10);
}

/// A key of a cold shard loads it, and that takes memory too.
#[test]
fn keys_find_the_room_that_was_checked_for_them_after_a_restart() {
    let disk = SimVfs::new();
    let window = from_settle();
    let index = open(&disk).index;
    for n in 0..10_000 {
        let tag = u128::from(n) & 0xffff;
        take(&index, key(5, tag, n << 20), n + 1, window, 0);
    }
    index.checkpoint(0, Until::Close).unwrap();
    drop(index);

    // The shard stays cold while others fill the room, as far as asked.
    let filled = |count_max: u64| {
        let options = Options { memory_bytes_max: MEMORY_BYTES_MIN, ..options() };
        let index = open_with(disk.clone(), options).index;
        let mut count = 0;
        while count < count_max && index.check_room(1).is_ok() {
            count += 1;
            let entry = Entry { key: scattered(count), content: content(0), lsn: 40_000 + count };
            if entry.key.as_u128() >> 116 != 5 {
                index.reserve(entry, window, 0).unwrap();
            }
        }
        (index, count)
    };
    let (_, count) = filled(u64::MAX);
    assert!(count > 1_000, "control: there was room for {count} keys");
    // The last one for which there was room is of the cold shard.
    let (index, _) = filled(count - 1);
    index.check_room(1).unwrap();
    let entry = Entry { key: key(5, 7, 7), content: content(0), lsn: 40_000 + count };
    index.reserve(entry, window, 0).unwrap();
    assert!(index.memory_bytes() <= MEMORY_BYTES_MIN);
}

/// The list of blocks doubles in one step, here for one of three keys.
#[test]
fn keys_of_many_slices_find_the_room_that_was_checked_for_them() {
    let run = |memory_bytes_max: u64, count: u64| {
        let index = Index::new(Options { memory_bytes_max, ..options() }).unwrap();
        for n in 0..count {
            take(&index, scattered(n), n + 1, from_settle(), n * MINUTE);
        }
        index
    };
    // Each key in a slice, and so a block, of its own.
    let mut count = 16_384;
    let before = run(1 << 30, count).memory_bytes();
    let index = run(before + 1_000_000, count);
    while index.check_room(3).is_ok() {
        for n in count..count + 3 {
            take(&index, scattered(n), n + 1, from_settle(), n * MINUTE);
        }
        count += 3;
    }
    assert!(count > 16_384, "control: there was room");
}
