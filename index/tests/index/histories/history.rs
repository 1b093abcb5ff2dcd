//! An index under a long history, and a map that says what must be known.
//! Method: the log is a map by LSN; a power cut takes a part of the frames in flight out of it.

use std::collections::BTreeMap;

use onceward_index::{
    ContentHash, Entry, Fingerprint, Index, Lookup, Options, ReadMode, Reserved, SliceId, Window,
    WindowStart,
};
use onceward_vfs::SimVfs;

use super::dice::Dice;
use crate::scenery::{key, open_with, scattered};

/// A frame of the log; those that failed are not in it.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Took { key: u64, content: ContentHash, window: Window, begin: u64 },
    Settled { of: u64, at: u64 },
    Released { key: u64 },
}

/// A key that was taken, as the index should know it.
#[derive(Clone, Copy, Debug)]
struct Taken {
    lsn: u64,
    content: ContentHash,
    window: Window,
    captured: u64,
    settled: Option<u64>,
    gone: bool,
}

impl Taken {
    /// Whether forgetting it would be too early, if `latest` is the latest time that was told.
    fn must_live(&self, latest: u64) -> bool {
        let Some(settled) = self.settled else { return true };
        let from =
            if self.window.start() == WindowStart::FromSettle { settled } else { self.captured };
        latest < from + self.window.length_ms()
    }
}

/// Counts of the things for which there are histories.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) dropped: u64,
    pub(crate) carried: u64,
    pub(crate) restarts: u64,
    pub(crate) failed_checkpoints: u64,
    pub(crate) checkpoints: u64,
}

impl Tally {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            dropped: self.dropped + other.dropped,
            carried: self.carried + other.carried,
            restarts: self.restarts + other.restarts,
            failed_checkpoints: self.failed_checkpoints + other.failed_checkpoints,
            checkpoints: self.checkpoints + other.checkpoints,
        }
    }
}

/// An index, the log beside it, and what is to be known.
pub(crate) struct History {
    pub(crate) dice: Dice,
    pub(crate) disk: SimVfs,
    pub(crate) index: Index,
    options: Options,
    log: BTreeMap<u64, Frame>,
    next_lsn: u64,
    /// Frames up to here are certainly in the log after a crash.
    durable: u64,
    taken: BTreeMap<u64, Taken>,
    /// LSNs of the frames in flight, and their keys.
    pub(crate) flying: BTreeMap<u64, u64>,
    /// The slice that each unsettled event holds, by its LSN.
    held: BTreeMap<u64, SliceId>,
    windows: Vec<Window>,
    pub(crate) keys: u64,
    pub(crate) now: u64,
    /// The latest time that the index was told.
    latest: u64,
    pub(crate) tally: Tally,
}

/// Keys of four kinds: of one shard; of one group, from which the search wraps; of one tag; anywhere.
fn fingerprint(n: u64) -> Fingerprint {
    match n % 4 {
        0 => key(5, u128::from(n * 977 % 0x1_0000), n),
        1 => key(6, 0xffff, n),
        2 => key(u128::from(n % 64), 7, n),
        _ => scattered(n),
    }
}

impl History {
    /// A seed chooses windows, slices, the way of reading and the number of keys.
    pub(crate) fn new(seed: u64, carry_max: u64) -> Self {
        let mut dice = Dice::new(seed);
        let reading = dice.one_of(&[ReadMode::Mapped, ReadMode::Positioned]);
        let slice_count = dice.one_of(&[1, 3, 6, 24]);
        let options = Options { slice_count, carry_max, reading, ..Options::default() };
        let count = dice.one_of(&[2, 6, 40]);
        let windows = (0..count)
            .map(|n| {
                let start =
                    if n % 2 == 0 { WindowStart::FromSettle } else { WindowStart::FromCapture };
                Window::new(60_000 + n * 7_000, start).unwrap()
            })
            .collect();
        let disk = SimVfs::new();
        let index = open_with(disk.clone(), options).index;
        let keys = dice.one_of(&[40, 400, 3_000]);
        Self {
            dice,
            disk,
            index,
            options,
            log: BTreeMap::new(),
            next_lsn: 1,
            durable: 0,
            taken: BTreeMap::new(),
            flying: BTreeMap::new(),
            held: BTreeMap::new(),
            windows,
            keys,
            now: 1_000_000,
            latest: 0,
            tally: Tally::default(),
        }
    }

    fn lsn(&mut self) -> u64 {
        self.next_lsn += 1 + self.dice.below(3);
        self.next_lsn
    }

    /// Takes a key unless it is known; its frame may stay in flight.
    pub(crate) fn capture(&mut self, key: u64, flies: bool) {
        let window = self.dice.one_of(&self.windows);
        let content = ContentHash::from_u64(self.dice.below(3));
        let lsn = self.lsn();
        let entry = Entry { key: fingerprint(key), content, lsn };
        self.check(key);
        match self.index.reserve(entry, window, self.now).unwrap() {
            Reserved::Known(found) => {
                let taken = self.taken.get(&key).unwrap_or_else(|| panic!("key {key} not taken"));
                assert_eq!((found.lsn, found.content), (taken.lsn, taken.content), "key {key}");
                assert!(!taken.gone);
            }
            Reserved::Taken(slice) => {
                if let Some(taken) = self.taken.get(&key) {
                    assert!(taken.gone, "key {key} taken twice: {taken:?}");
                }
                let begin = self.index.slice_info(slice).unwrap().begin;
                self.log.insert(lsn, Frame::Took { key, content, window, begin });
                let captured = self.now;
                let taken = Taken { lsn, content, window, captured, settled: None, gone: false };
                self.taken.insert(key, taken);
                self.held.insert(lsn, slice);
                self.flying.insert(lsn, key);
                if !flies {
                    self.land(lsn);
                }
            }
        }
    }

    /// A frame in flight is durable.
    pub(crate) fn land(&mut self, lsn: u64) {
        self.flying.remove(&lsn);
        self.index.confirm(lsn);
        self.durable = self.durable.max(lsn);
    }

    /// The frames from one on fail, as all after a failed sync do.
    pub(crate) fn fail_from(&mut self, lsn: u64) {
        if self.durable >= lsn {
            return;
        }
        let failing: Vec<(u64, u64)> = self.flying.range(lsn..).map(|(a, b)| (*a, *b)).collect();
        for (lsn, key) in failing {
            self.flying.remove(&lsn);
            self.held.remove(&lsn);
            self.log.remove(&lsn);
            assert!(self.index.withdraw(fingerprint(key), lsn).unwrap());
            self.taken.remove(&key);
            self.check(key);
        }
    }

    /// Some events get their final answers.
    pub(crate) fn settle(&mut self) {
        let open: Vec<u64> =
            self.held.keys().copied().filter(|lsn| !self.flying.contains_key(lsn)).collect();
        if open.is_empty() {
            return;
        }
        let some = 1 + self.dice.position(open.len());
        let first = self.dice.position(open.len());
        for of in open.into_iter().skip(first).take(some) {
            let slice = self.held.remove(&of).unwrap();
            let lsn = self.lsn();
            self.log.insert(lsn, Frame::Settled { of, at: self.now });
            self.index.settle(slice, self.now);
            let taken = self.taken.values_mut().find(|taken| taken.lsn == of).unwrap();
            taken.settled = Some(self.now);
        }
        // They are durable: so is all before them.
        self.durable = self.durable.max(self.next_lsn);
    }

    /// Gives a key up, if it is settled.
    pub(crate) fn release(&mut self, key: u64) {
        let Some(taken) = self.taken.get(&key).copied() else { return };
        if taken.settled.is_none() || self.flying.contains_key(&taken.lsn) {
            return;
        }
        let lsn = self.lsn();
        self.log.insert(lsn, Frame::Released { key });
        self.durable = lsn;
        self.check(key);
        self.index.release(fingerprint(key), lsn).unwrap();
        self.taken.remove(&key);
        self.check(key);
    }

    /// Expires, and carries what it is asked to.
    pub(crate) fn expire(&mut self) {
        self.latest = self.latest.max(self.now);
        let expired = self.index.expire(self.now);
        self.tally.dropped += expired.dropped.len() as u64;
        if expired.to_carry.is_empty() {
            return;
        }
        let known: Vec<(u64, u64)> = self.taken.iter().map(|(key, t)| (*key, t.lsn)).collect();
        for (key, lsn) in known {
            let from = self.held.get(&lsn).copied();
            if let Some(from) = from.filter(|slice| expired.to_carry.contains(slice)) {
                let target = self.index.carry(fingerprint(key), from, self.now).unwrap();
                self.held.insert(lsn, target.unwrap_or_else(|| panic!("key {key} is lost")));
                self.tally.carried += 1;
            }
        }
    }

    /// Compares one key with the map.
    pub(crate) fn check(&mut self, key: u64) {
        let found = self.index.find(fingerprint(key)).unwrap();
        let latest = self.latest;
        let Some(taken) = self.taken.get_mut(&key) else {
            assert_eq!(found, None, "key {key} was never taken, released or withdrawn");
            return;
        };
        match found {
            Some(found) => {
                let expected = (taken.lsn, taken.content);
                assert_eq!((found.lsn, found.content), expected, "key {key} {taken:?}");
                assert!(!taken.gone, "key {key} came back: {taken:?}");
            }
            None => {
                assert!(
                    taken.gone || !taken.must_live(latest),
                    "key {key} is lost: {taken:?} {latest}"
                );
                taken.gone = true;
            }
        }
    }

    /// Compares every key, alone and in a batch.
    pub(crate) fn check_all(&mut self) {
        for key in 0..self.keys {
            self.check(key);
        }
        let asked: Vec<_> = (0..self.keys)
            .map(|key| {
                (
                    fingerprint(key),
                    self.taken.get(&key).map_or(ContentHash::from_u64(0), |t| t.content),
                )
            })
            .collect();
        let mut verdicts = Vec::new();
        self.index.lookup_batch(&asked, &mut verdicts).unwrap();
        for (key, verdict) in (0..self.keys).zip(verdicts) {
            let expected = match self.taken.get(&key) {
                Some(taken) if !taken.gone => Lookup::Duplicate { lsn: taken.lsn },
                _ => Lookup::New,
            };
            assert_eq!(verdict, expected, "key {key}");
        }
    }

    /// A crash may bring back what time had forgotten: of each key what was taken last.
    fn take_back(&mut self) {
        for taken in self.taken.values_mut() {
            taken.gone = false;
        }
        let mut last = BTreeMap::new();
        for (lsn, frame) in &self.log {
            match *frame {
                Frame::Took { key, content, window, .. } => {
                    last.insert(key, (*lsn, content, window));
                }
                Frame::Released { key } => {
                    last.remove(&key);
                }
                Frame::Settled { .. } => {}
            }
        }
        for (key, (lsn, content, window)) in last {
            let (captured, settled) = (0, Some(0));
            let ghost = Taken { lsn, content, window, captured, settled, gone: false };
            self.taken.entry(key).or_insert(ghost);
        }
    }

    /// Opens what is on a disk and tells it the log.
    pub(crate) fn restart(&mut self, disk: SimVfs) {
        // Frames in flight are in the log up to some point, or are not.
        let end = self.durable + self.dice.below(8);
        for (lsn, key) in std::mem::take(&mut self.flying) {
            if lsn > end {
                self.log.remove(&lsn);
                self.held.remove(&lsn);
                self.taken.remove(&key);
            }
        }
        self.durable = self.next_lsn;
        self.disk = disk;
        let opened = open_with(self.disk.clone(), self.options);
        self.index = opened.index;
        assert_eq!(self.index.discarded(), None);
        self.tally.restarts += 1;
        let warm_first = self.dice.below(3);
        if warm_first == 0 {
            self.index.warm(10_000).unwrap();
        }
        self.take_back();
        self.tell(opened.covered);
        if self.dice.chance(50) {
            self.check_all();
        }
    }

    /// Tells what an index must be told after opening: see `FORMAT.md`, "Replay contract".
    fn tell(&mut self, covered: u64) {
        for (lsn, frame) in &self.log {
            match *frame {
                Frame::Took { key, content, window, begin } if *lsn > covered => {
                    let slice = self.index.slice(window, begin);
                    let entry = Entry { key: fingerprint(key), content, lsn: *lsn };
                    self.index.restore(slice, entry, *lsn).unwrap();
                }
                Frame::Took { .. } => {}
                Frame::Settled { of, at } => {
                    if let Some(Frame::Took { window, begin, .. }) = self.log.get(&of) {
                        self.index.raise_settled(*window, *begin, at);
                    }
                }
                Frame::Released { key } => {
                    self.index.release(fingerprint(key), *lsn).unwrap();
                }
            }
        }
        for lsn in std::mem::take(&mut self.held).into_keys() {
            let Some(Frame::Took { key, .. }) = self.log.get(&lsn).copied() else {
                panic!("no frame {lsn}")
            };
            let slice = self.index.hold(fingerprint(key)).unwrap();
            self.held.insert(lsn, slice.unwrap_or_else(|| panic!("key {key} of {lsn} is lost")));
        }
    }
}
