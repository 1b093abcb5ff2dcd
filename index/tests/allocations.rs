//! Asking for keys and taking them allocates nothing for each key, however many come at once: only the table and the
//! blocks grow.
//! Method: an allocator that counts what the test's thread asks for, on an index of many keys.

// A program of its own: the allocator is the program's.

#[cfg(test)]
mod tests {
    #![expect(unsafe_code, reason = "an allocator can only be wrapped by unsafe functions")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::sync::Arc;

    use onceward_index::{
        ContentHash, Entry, Fingerprint, Index, KeyBatch, Location, Lookup, OpenedIndex, Options,
        Reserved, Secret, SliceId, Until, Window,
    };
    use onceward_vfs::OsVfs;

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    struct Counting;

    // SAFETY: everything is passed on to the system's allocator as it came; counting allocates nothing,
    // because the cell is constant and needs no destructor.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller's promise about `layout` is passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the pointer came from `alloc` or `realloc` here, thus from the system.
            unsafe { System.dealloc(pointer, layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            COUNT.with(|count| count.set(count.get() + 1));
            // SAFETY: the pointer came from here, and the caller's promises are passed on.
            unsafe { System.realloc(pointer, layout, bytes) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;

    /// What `work` takes from the heap on this thread.
    fn count(work: impl FnOnce()) -> u64 {
        let before = COUNT.with(Cell::get);
        work();
        COUNT.with(Cell::get) - before
    }

    /// A key, and what is found of it.
    #[derive(Clone, Debug)]
    struct Item {
        entry: Entry,
        verdict: Option<Lookup>,
        slice: Option<SliceId>,
    }

    fn item(n: u64) -> Item {
        // As by chance: evenly spread, all shards would grow at once.
        let mut mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        let key = u128::from(mixed) << 64 | u128::from(n);
        let entry = Entry {
            key: Fingerprint::from_u128(key),
            content: ContentHash::from_u64(n + 1),
            lsn: n + 1,
        };
        Item { entry, verdict: None, slice: None }
    }

    fn items(numbers: std::ops::Range<u64>) -> Vec<Item> {
        numbers.map(item).collect()
    }

    /// All that a store asks of the index for the events of one call, until they are settled.
    fn call(index: &Index, items: &mut [Item]) {
        let batch = KeyBatch::of(index);
        let key_of = |item: &Item| Some((item.entry.key, item.entry.content));
        batch.lookup_each(items, key_of, |item, verdict| item.verdict = Some(verdict)).unwrap();
        index.check_room(items.len()).unwrap();
        let entry_of = |item: &Item| {
            (item.verdict == Some(Lookup::New)).then_some((item.entry, Window::default()))
        };
        let taken = |item: &mut Item, outcome| {
            let Reserved::Taken(slice) = outcome else { panic!("{item:?} is known") };
            item.slice = Some(slice);
        };
        batch.reserve_each(items, 0, entry_of, taken).unwrap();
        let (first, last) = (items[0].entry.lsn, items[items.len() - 1].entry.lsn);
        batch.confirm_range(first, last);
        batch.settle_slices(items.iter().filter_map(|item| Some((item.slice?, 1))), 5);
    }

    const KEYS: u64 = 400_000;

    /// An index in memory that knows the keys below `KEYS`.
    fn grown() -> Index {
        let index = Index::new(Options::default()).unwrap();
        for first in (0..KEYS).step_by(500) {
            call(&index, &mut items(first..first + 500));
        }
        assert_eq!(index.len(), KEYS);
        index
    }

    /// What each of 101 calls of so many new keys takes, from few to many.
    fn of_calls(index: &Index, first: u64, keys: u64) -> Vec<u64> {
        let mut calls: Vec<Vec<Item>> =
            (0..101).map(|n| items(first + n * keys..first + (n + 1) * keys)).collect();
        let mut counts: Vec<u64> =
            calls.iter_mut().map(|items| count(|| call(index, items))).collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn new_keys_take_nothing_but_what_the_table_and_the_blocks_grow_by() {
        let index = grown();
        assert!(count(|| drop(vec![1_u8])) > 0, "control: it counts");
        for (first, keys) in [(KEYS, 1), (KEYS + 1_000, 4), (KEYS + 2_000, 8)] {
            let counts = of_calls(&index, first, keys);
            assert_eq!(counts[50], 0, "{keys} keys: {counts:?}");
            assert!(counts[100] > 0, "control: sometimes something grows");
        }
        // As many for all at once as one by one.
        let numbers = KEYS + 10_000..KEYS + 10_500;
        let one_by_one = of_each(&grown(), items(numbers.clone()));
        let index = grown();
        let mut at_once = items(numbers);
        let of_all = count(|| call(&index, &mut at_once));
        assert_eq!(of_all, one_by_one);
    }

    /// What calls of one key each take.
    fn of_each(index: &Index, mut items: Vec<Item>) -> u64 {
        count(|| items.chunks_mut(1).for_each(|item| call(index, item)))
    }

    #[test]
    fn known_keys_take_nothing_in_memory_and_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = Arc::new(OsVfs::create(&dir.path().join("store")).unwrap());
        let location = Location { vfs, dir: "index".to_owned() };
        let secret = Secret::from_bytes([7; 16]);
        let OpenedIndex { index, .. } = Index::open(location, &secret, Options::default()).unwrap();
        let mut in_files = items(0..2_000);
        call(&index, &mut in_files);
        index.checkpoint(0, Until::Later).unwrap();
        call(&index, &mut items(2_000..4_000));
        for numbers in [0..2_000, 2_000..4_000] {
            let mut known = items(numbers);
            // Files are opened when they are first read.
            call(&index, &mut known);
            for keys in [1, 500] {
                assert_eq!(count(|| call(&index, &mut known[..keys])), 0, "{keys} keys");
            }
            let is_known =
                |item: &Item| item.verdict == Some(Lookup::Duplicate { lsn: item.entry.lsn });
            assert!(known.iter().all(is_known));
        }
        assert_eq!(index.unwritten(), 2_000, "control: half of them are in files");
    }

    #[test]
    fn a_secret_makes_fingerprints_and_hashes_without_memory() {
        let secret = Secret::from_bytes([7; 16]);
        let payload = [9; 2_000];
        let hashes = || {
            let key = secret.fingerprint("default", &payload[..36]);
            let content = secret.content(&[b"sale", &[0; 8], &payload]);
            assert!(key.as_u128() > 0 && content != ContentHash::UNKNOWN);
        };
        assert_eq!(count(hashes), 0);
    }
}
