//! Keys that are made to collide in shard, tag and bits are told apart by all their 128 bits.
//! Method: thousands of them, in one slice and over 720, in memory and in files, against a sorted map.

use std::collections::BTreeMap;

use onceward_index::{
    ContentHash, Fingerprint, Lookup, Options, ReadMode, Reserved, SLICE_COUNT_MAX, Until,
};
use onceward_vfs::{SimVfs, Survival};

use crate::store::{MINUTE_MS, Store, location, settling};

/// Shard, tag and 7 bits that all keys of a kind share.
const HIGH: u128 = 0xabc_1234_u128 << 100 | 0x55 << 93;

type Kind = (&'static str, fn(u64) -> u128);

/// Kinds of keys, by number.
const KINDS: [Kind; 6] = [
    ("differ in their last bits", |n| HIGH | u128::from(n)),
    ("differ above their last 64 bits", |n| HIGH | u128::from(n) << 64),
    ("share shard and tag", |n| HIGH ^ (u128::from(n) & 0x7f) << 93 | u128::from(n) << 9),
    ("share a shard and lead to its last groups", |n| {
        0xfff_u128 << 116 | (0xffff - u128::from(n) % 16) << 100 | u128::from(n)
    }),
    ("are a plain sequence", |n| u128::from(n)),
    ("are a sequence of shards", |n| u128::from(n).rotate_left(116)),
];

fn content(number: u64) -> ContentHash {
    ContentHash::from_u64((number + 1) * 0x1_0001)
}

/// A store, and every key that is in it: its LSN, number, and the time from which on it may be gone.
struct Run {
    disk: SimVfs,
    store: Store,
    options: Options,
    map: BTreeMap<u128, (u64, u64, u64)>,
}

impl Run {
    fn new(slice_count: u32, reading: ReadMode) -> Self {
        let disk = SimVfs::new();
        let options = Options { slice_count, reading, ..Options::default() };
        let store = Store::open(location(disk.clone()), options);
        Self { disk, store, options, map: BTreeMap::new() }
    }

    /// Takes a key, which is settled at once.
    fn take(&mut self, key: u128, number: u64) {
        let lsn = self.store.next_lsn();
        let taken = self.store.take(Fingerprint::from_u128(key), content(number), settling());
        match (taken.unwrap(), self.map.get(&key)) {
            (Reserved::Taken(slice), None) => {
                self.store.settle(lsn);
                let begin = self.store.index.slice_info(slice).unwrap().begin;
                let slice_ms = MINUTE_MS.div_ceil(self.options.slice_count.into());
                self.map.insert(key, (lsn, number, begin + slice_ms + MINUTE_MS));
            }
            (Reserved::Known(found), Some((lsn, ..))) => assert_eq!(found.lsn, *lsn),
            (reserved, known) => panic!("{key:032x}: {reserved:?}, but {known:?}"),
        }
    }

    fn release(&mut self, key: u128) {
        let was_known = self.map.remove(&key).is_some();
        assert_eq!(self.store.release(Fingerprint::from_u128(key)).unwrap(), was_known);
    }

    fn expire(&mut self) {
        self.store.expire().unwrap();
        self.map.retain(|_, (.., deadline)| self.store.now < *deadline);
    }

    fn restart(&mut self, until: Until) {
        self.store.index.checkpoint(0, until).unwrap();
        self.disk = self.disk.after_power_cut(&Survival::Nothing);
        let now = self.store.now;
        let location = location(self.disk.clone());
        let (store, told) = Store::reopened(location, self.options, &self.store.log);
        told.unwrap();
        assert_eq!(store.index.discarded(), None);
        self.store = store;
        self.store.now = now;
        // Told of all frames, it may remember longer; told of the time, it does not.
        self.expire();
    }

    /// Each key, and each key that differs from it in one bit, has its one right verdict.
    fn check(&self, kind: &str, every: usize) {
        for (nth, (key, (lsn, number, _))) in self.map.iter().enumerate() {
            if nth % every != 0 {
                continue;
            }
            let mut keys = vec![(*key, content(*number)), (*key, content(number + 1))];
            keys.extend([0, 1, 8, 63, 64, 92, 93, 99, 100, 115, 116, 127].map(|bit| {
                let near = key ^ 1 << bit;
                (near, content(self.map.get(&near).map_or(0, |(_, number, _)| *number)))
            }));
            let asked: Vec<_> = keys
                .iter()
                .map(|(key, content)| (Fingerprint::from_u128(*key), *content))
                .collect();
            let mut verdicts = Vec::new();
            self.store.index.lookup_batch(&asked, &mut verdicts).unwrap();
            let known = |key| match self.map.get(&key) {
                Some((lsn, ..)) => Lookup::Duplicate { lsn: *lsn },
                None => Lookup::New,
            };
            assert_eq!(verdicts[1], Lookup::Conflict { lsn: *lsn }, "{kind}: {key:032x}");
            for ((key, _), verdict) in
                keys.iter().zip(&verdicts).filter(|(_, v)| **v != verdicts[1])
            {
                assert_eq!(*verdict, known(*key), "{kind}: {key:032x}");
            }
            for ((key, content), verdict) in asked.iter().zip(&verdicts).skip(2) {
                assert_eq!(*verdict, self.store.index.lookup(*key, *content).unwrap(), "{kind}");
            }
        }
        assert_eq!(self.store.index.len(), self.map.len() as u64, "{kind}");
    }
}

#[test]
fn thousands_of_colliding_keys_in_one_slice_are_told_apart() {
    for (kind, key) in KINDS {
        let mut run = Run::new(1, ReadMode::Mapped);
        for number in 0..1_000 {
            run.take(key(number), number);
        }
        run.check(kind, 91);
        for number in (0..1_000).step_by(3) {
            run.release(key(number));
        }
        run.check(kind, 91);
        for number in 700..1_200 {
            run.take(key(number), number);
        }
        run.check(kind, 91);
    }
}

#[test]
fn colliding_keys_over_720_slices_are_forgotten_slice_by_slice() {
    for (kind, key) in KINDS {
        let mut run = Run::new(SLICE_COUNT_MAX, ReadMode::Mapped);
        for number in 0..1_200 {
            run.take(key(number), number);
            // Each slice is 84 ms: about a key in each of them, and more than a turn of the window.
            run.store.now += 84 / 2 + number % 80;
            if number % 125 == 124 {
                run.expire();
                run.check(kind, 101);
            }
            if number % 300 == 250 {
                run.store.index.checkpoint(0, Until::Later).unwrap();
            }
        }
        assert!(run.store.index.slices().len() > 600, "{}", run.store.index.slices().len());
        run.store.now += 3 * MINUTE_MS;
        run.expire();
        assert!(run.map.is_empty() && run.store.index.is_empty());
    }
}

#[test]
fn colliding_keys_in_files_are_told_apart_before_and_after_a_restart() {
    for reading in [ReadMode::Mapped, ReadMode::Positioned] {
        for (kind, key) in KINDS {
            let mut run = Run::new(24, reading);
            for number in 0..400 {
                run.take(key(number), number);
                run.store.now += MINUTE_MS / 300;
                match number {
                    150 => run.restart(Until::Close),
                    250 => {
                        (0..100).step_by(4).for_each(|number| run.release(key(number)));
                        run.restart(Until::Later);
                        // Taken again, beside the removed place in a file.
                        (0..40).step_by(4).for_each(|again| run.take(key(again), again));
                    }
                    _ => {}
                }
                if number % 130 == 129 {
                    run.expire();
                    run.check(kind, 37);
                }
            }
            run.restart(Until::Later);
            run.check(kind, 37);
        }
    }
}
