//! Memory is bounded: what has no room is refused, and nothing is forgotten to make some (T29).
//! Method: keys until there is no room, in memory and in files; then time passes, and there is room again.

use onceward_index::{
    ContentHash, Error, ErrorKind, Fingerprint, Index, MEMORY_BYTES_MIN, Options, ReadMode,
    Reserved, Until,
};
use onceward_vfs::SimVfs;

use crate::store::{MINUTE_MS, Store, location, options, secret, settling};

const CONTENT: ContentHash = ContentHash::from_u64(1);

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

fn is_known(index: &Index, number: u64) -> bool {
    index.find(key(number)).unwrap().is_some()
}

/// Takes keys from `first` on, settled at once, until there is no room; returns how many.
///
/// `every` so many keys a checkpoint is written, and room is asked for before each; or neither.
fn fill(store: &mut Store, every: Option<u64>, first: u64) -> (u64, Error) {
    for number in first..first + 1_000_000 {
        let lsn = store.next_lsn();
        let room = if every.is_some() { store.index.check_room(1) } else { Ok(()) };
        if let Err(error) = room.and_then(|()| store.take(key(number), CONTENT, settling())) {
            return (number - first, error);
        }
        let slice = store.held.remove(&lsn).unwrap();
        store.index.settle(slice, store.now);
        if every.is_some_and(|every| number % every == every - 1) {
            store.index.checkpoint(0, Until::Later).unwrap();
        }
    }
    unreachable!("memory is bounded")
}

#[test]
fn beyond_the_memory_that_is_allowed_new_keys_are_refused_and_none_is_forgotten_until_its_time() {
    let options = Options { memory_bytes_max: MEMORY_BYTES_MIN, ..options(ReadMode::Mapped) };
    let mut store = Store::open(location(SimVfs::new()), options);
    let (count, error) = fill(&mut store, None, 0);
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains("4194304 allowed"), "{error}");
    assert!(count > 60_000, "{count} keys in 4 MiB");
    assert!(store.index.memory_bytes() <= MEMORY_BYTES_MIN);
    assert!((0..count).all(|number| is_known(&store.index, number)));
    let known = store.take(key(0), CONTENT, settling()).unwrap();
    assert!(matches!(known, Reserved::Known(_)), "a known key needs no room");
    // What is on the disk takes less memory.
    store.index.checkpoint(0, Until::Later).unwrap();
    store.index.check_room(1).unwrap();
    store.now += 2 * MINUTE_MS;
    store.expire().unwrap();
    assert!(store.index.is_empty());
    assert!(fill(&mut store, None, 0).0 >= count / 2, "there is room again");
}

#[test]
fn there_is_room_again_once_keys_in_files_are_forgotten() {
    let options = Options { memory_bytes_max: MEMORY_BYTES_MIN, ..options(ReadMode::Mapped) };
    let mut store = Store::open(location(SimVfs::new()), options);
    let mut count = 0;
    loop {
        let (more, error) = fill(&mut store, Some(20_000), count);
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        count += more;
        // What is in files takes less memory, until there is nothing more to write.
        if store.index.checkpoint(0, Until::Later).unwrap().entries == 0 {
            break;
        }
    }
    assert!(count > 250_000, "{count} keys in 4 MiB");
    store.now += 2 * MINUTE_MS;
    store.expire().unwrap();
    assert!(store.index.is_empty());
    let (again, error) = fill(&mut store, Some(20_000), 0);
    assert!(again >= count / 2, "only {again} of {count} keys find room again: {error}");
}
