//! What the models do with an index: as a store does, with a log of its own.

use std::sync::{Arc, Mutex as Unscheduled, MutexGuard};

use onceward_vfs::{SimVfs, Survival};
use shuttle::rand::{Rng, thread_rng};

use super::{
    log::{FrameFate, ModelFrame, ModelLog},
    truth::{KeyChange, Truth},
};
use crate::{
    ContentHash, Entry, Fingerprint, Index, Location, Lookup, Options, ReadMode, Reserved, Secret,
    SliceId, Until, Window, WindowStart, sync::Mutex,
};

/// Keys of the models.
pub(super) const KEYS: u8 = 8;
/// Length of a window, and of a slice.
pub(super) const WINDOW_MS: u64 = 60_000;

/// The disk and the log that a model begins with.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) disk: SimVfs,
    pub(super) log: ModelLog,
    /// Keys that were taken, settled or not.
    pub(super) held: Vec<Taken>,
}

/// A store.
#[derive(Clone)]
pub(super) struct ModelStore {
    pub(super) index: Arc<Index>,
    pub(super) disk: SimVfs,
    pub(super) truth: Arc<Truth>,
    log: Arc<Unscheduled<ModelLog>>,
    /// The right to apply frames to the index, in their order.
    order: Arc<Mutex<()>>,
}

/// A key that was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Taken {
    pub(super) key: u8,
    pub(super) lsn: u64,
    pub(super) slice: SliceId,
}

/// A disk and a log at one moment.
#[derive(Debug)]
pub(super) struct PowerCut {
    disk: SimVfs,
    log: ModelLog,
}

impl Before {
    /// An empty disk and an empty log.
    pub(super) fn nothing() -> Self {
        Self { disk: SimVfs::new(), log: ModelLog::default(), held: Vec::new() }
    }

    /// Another disk with the same on it.
    pub(super) fn copy(&self) -> Self {
        Self { disk: self.disk.after_kill(), log: self.log.clone(), held: self.held.clone() }
    }
}

/// Even keys are in one shard, where the first and the third have the same tag; odd ones in another.
pub(super) fn fingerprint(key: u8) -> Fingerprint {
    let number = u128::from(key);
    let (shard, tag) = if key % 2 == 0 { (0xabc, number % 4) } else { (0x123, number) };
    Fingerprint::from_u128(shard << 116 | tag << 100 | number)
}

/// The content that comes with a key in a frame.
pub(super) fn content(key: u8, lsn: u64) -> ContentHash {
    // Never 0, which is every content.
    ContentHash::from_u64((u64::from(key) + 1) << 32 | lsn)
}

/// The window of all keys.
pub(super) fn window() -> Window {
    Window::new(WINDOW_MS, WindowStart::FromSettle).unwrap()
}

/// Slices as long as windows: few of them.
fn options() -> Options {
    let reading = if thread_rng().gen_bool(0.5) { ReadMode::Mapped } else { ReadMode::Positioned };
    Options { slice_count: 1, reading, ..Options::default() }
}

impl ModelStore {
    /// A store without a disk.
    pub(super) fn in_memory() -> Self {
        let index = Index::new(options()).unwrap();
        Self::of(index, SimVfs::new(), ModelLog::default())
    }

    /// Opens the index, and tells it what the log says.
    pub(super) fn open(disk: SimVfs, log: ModelLog) -> Self {
        let place = Location { vfs: Arc::new(disk.clone()), dir: "index".to_owned() };
        let opened = Index::open(place, &Secret::from_bytes([1; 16]), options()).unwrap();
        assert_eq!(opened.index.discarded(), None);
        log.tell(&opened.index, opened.covered);
        Self::of(opened.index, disk, log)
    }

    fn of(index: Index, disk: SimVfs, log: ModelLog) -> Self {
        let truth = Arc::new(Truth::new(|key| log.last(key)));
        let (index, order) = (Arc::new(index), Arc::new(Mutex::new(())));
        Self { index, disk, truth, log: Arc::new(Unscheduled::new(log)), order }
    }

    /// The log.
    pub(super) fn log(&self) -> MutexGuard<'_, ModelLog> {
        self.log.lock().unwrap()
    }

    /// Takes a key; `None` if it is known.
    pub(super) fn take(&self, key: u8, now: u64) -> Option<Taken> {
        let _order = self.order.lock();
        let lsn = self.log().push(ModelFrame::Nothing);
        let (change, moment) = (KeyChange::Take(lsn), self.truth.now(key));
        self.truth.begin(key, change);
        let entry = Entry { key: fingerprint(key), content: content(key, lsn), lsn };
        let reserved = self.index.reserve(entry, window(), now).unwrap();
        let taken = match reserved {
            Reserved::Taken(slice) => {
                let begin = self.index.slice_info(slice).unwrap().begin;
                let frame =
                    ModelFrame::Took { key, window: window(), begin, fate: FrameFate::Open };
                self.log().set(lsn, frame);
                Some(Taken { key, lsn, slice })
            }
            Reserved::Known(found) => {
                let possible = self.truth.since(key, moment);
                assert!(possible.contains(&Some(found.lsn)), "{found:?} is none of {possible:?}");
                None
            }
        };
        self.truth.end(key, change, taken.is_some());
        if taken.is_some() {
            let possible = self.truth.since(key, moment);
            assert!(possible.contains(&None), "key {key} is new, and was {possible:?}");
        }
        taken
    }

    /// Notes that the frame of a key is durable.
    pub(super) fn confirm(&self, taken: Taken) {
        self.log().decide(taken.lsn, FrameFate::Stored);
        self.index.confirm(taken.lsn);
    }

    /// Notes that the frame of a key is not stored.
    pub(super) fn withdraw(&self, taken: Taken) {
        self.log().decide(taken.lsn, FrameFate::Failed);
        let change = KeyChange::Forget(taken.lsn);
        self.truth.begin(taken.key, change);
        assert!(self.index.withdraw(fingerprint(taken.key), taken.lsn).unwrap(), "{taken:?}");
        self.truth.end(taken.key, change, true);
    }

    /// Settles the event of a key.
    pub(super) fn settle(&self, taken: Taken, now: u64) {
        self.log().push(ModelFrame::Settled { lsn: taken.lsn, at: now });
        self.index.settle(taken.slice, now);
    }

    /// Gives a key up.
    pub(super) fn release(&self, taken: Taken) {
        let _order = self.order.lock();
        let frame = self.log().push(ModelFrame::Released { key: taken.key });
        let change = KeyChange::Forget(taken.lsn);
        self.truth.begin(taken.key, change);
        assert!(self.index.release(fingerprint(taken.key), frame).unwrap(), "{taken:?}");
        self.truth.end(taken.key, change, true);
    }

    /// Takes a key; its frame is stored or fails. Settled or released then, or left.
    pub(super) fn work(&self, key: u8, now: u64) -> Option<Taken> {
        let taken = self.take(key, now)?;
        if thread_rng().gen_bool(0.3) {
            self.withdraw(taken);
            return None;
        }
        self.confirm(taken);
        match thread_rng().gen_range(0..3) {
            0 => return Some(taken),
            1 => self.settle(taken, now),
            _ => {
                self.settle(taken, now);
                self.release(taken);
            }
        }
        None
    }

    /// Looks keys up: each is known as somebody made it known.
    pub(super) fn read(&self, keys: &[u8]) {
        for key in keys {
            let moment = self.truth.now(*key);
            let by = match thread_rng().gen_range(0..2) {
                0 => self.find(*key),
                _ => self.lookup(*key),
            };
            let possible = self.truth.since(*key, moment);
            assert!(possible.contains(&by), "key {key} is known by {by:?}, not {possible:?}");
        }
        let moments: Vec<usize> = keys.iter().map(|key| self.truth.now(*key)).collect();
        let asked: Vec<_> = keys.iter().map(|key| (fingerprint(*key), content(*key, 0))).collect();
        let mut verdicts = Vec::new();
        self.index.lookup_batch(&asked, &mut verdicts).unwrap();
        assert_eq!(verdicts.len(), keys.len());
        for ((key, moment), verdict) in keys.iter().zip(moments).zip(verdicts) {
            let (by, possible) = (lsn_of(verdict), self.truth.since(*key, moment));
            assert!(possible.contains(&by), "key {key}: {verdict:?} is none of {possible:?}");
        }
    }

    fn find(&self, key: u8) -> Option<u64> {
        let found = self.index.find(fingerprint(key)).unwrap()?;
        assert_eq!(found.content, content(key, found.lsn), "key {key}: {found:?}");
        Some(found.lsn)
    }

    fn lookup(&self, key: u8) -> Option<u64> {
        let guess = self.log().last(key).unwrap_or(0);
        let verdict = self.index.lookup(fingerprint(key), content(key, guess)).unwrap();
        let (lsn, is_same) = (lsn_of(verdict)?, matches!(verdict, Lookup::Duplicate { .. }));
        assert_eq!(is_same, lsn == guess, "key {key}: {verdict:?} for {guess}");
        Some(lsn)
    }

    /// The disk and the log that a power cut would leave now.
    pub(super) fn power_cut(&self) -> PowerCut {
        let seed = thread_rng().r#gen();
        let survival = Survival::Seeded { seed, sector_bytes: 512 };
        PowerCut { disk: self.disk.after_power_cut(&survival), log: self.log().clone() }
    }

    /// Holds the index against the log; closes it, and holds what is opened then against it.
    pub(super) fn must_last(self) {
        let Self { index, disk, log, .. } = self;
        let mut log = log.lock().unwrap().clone();
        log.must_be_known_by(&index);
        let done = index.checkpoint(0, Until::Close).unwrap();
        drop(index);
        log.decide_all();
        log.trim(done.covered);
        let again = Self::open(disk.after_power_cut(&Survival::Nothing), log);
        again.log().must_be_known_by(&again.index);
    }
}

impl PowerCut {
    /// Opens what was left, and holds it against the log.
    pub(super) fn must_hold(self) {
        let Self { disk, mut log } = self;
        log.decide_all();
        let store = ModelStore::open(disk, log);
        store.log().must_be_known_by(&store.index);
    }
}

fn lsn_of(verdict: Lookup) -> Option<u64> {
    match verdict {
        Lookup::New => None,
        Lookup::Duplicate { lsn } | Lookup::Conflict { lsn } => Some(lsn),
    }
}
