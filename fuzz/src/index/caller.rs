//! The caller of an index: its log, and what is true of each key.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::{
    ContentHash, Entry, Error, Fingerprint, Index, Lookup, Reserved, SliceId, Window, WindowStart,
};

/// Length of the window.
pub(super) const WINDOW_MS: u64 = 60_000;
/// Keys that inputs choose from; those that come in bulk have higher numbers.
pub(super) const KEYS: u16 = 16;

/// A frame; its LSN is its position, counted from 1.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// A key was taken.
    Took { key: u16, begin: u64, fate: Fate },
    /// The event of a frame was settled.
    Settled { lsn: u64, at: u64 },
    /// A key was given up.
    Released { key: u16 },
}

/// What became of a frame that may fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// Nobody knows yet.
    Open,
    /// It is durable.
    Stored,
    /// It is not there.
    Failed,
}

/// The caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    log: Vec<Frame>,
    /// Frames whose keys may be forgotten, because their slice is over.
    over: BTreeSet<u64>,
    /// Keys that were ever named, each with its frames.
    keys: BTreeMap<u16, Vec<u64>>,
    /// Unsettled events, each with its key and the slice that it holds.
    held: BTreeMap<u64, (u16, SliceId)>,
    /// Frames of which nobody knows yet what becomes of them.
    open: BTreeSet<u64>,
    /// Trusted time.
    pub(super) now: u64,
}

/// Keys of four kinds: far apart; in one shard; with one tag too; and differing in the last bits only.
pub(super) fn print(key: u16) -> Fingerprint {
    let number = u128::from(key);
    Fingerprint::from_u128(match key % 4 {
        0 => number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        1 => 0xabc << 116 | number << 100,
        2 => 0xabc << 116 | 0x1234 << 100 | number,
        _ => (0xabc << 116 | 0x1234 << 100 | 0x55 << 93 | 0xffff << 8) + number,
    })
}

/// What comes with a key in a frame.
fn content(key: u16, lsn: u64) -> ContentHash {
    ContentHash::from_u64(u64::from(key) << 32 | lsn)
}

/// The window of all keys.
fn window() -> Window {
    Window::new(WINDOW_MS, WindowStart::FromSettle).expect("within its range")
}

impl Caller {
    /// One that has done nothing.
    pub(super) fn new(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// The last frame's LSN.
    pub(super) fn last_lsn(&self) -> u64 {
        u64::try_from(self.log.len()).expect("fits")
    }

    fn append(&mut self, frame: Frame) -> u64 {
        self.log.push(frame);
        let lsn = self.last_lsn();
        if let Frame::Took { key, .. } | Frame::Released { key } = frame {
            self.keys.entry(key).or_default().push(lsn);
        }
        lsn
    }

    fn frame(&self, lsn: u64) -> Frame {
        self.log[usize::try_from(lsn).expect("fits") - 1]
    }

    /// Takes a key, if it is not known.
    pub(super) fn take(&mut self, index: &Index, key: u16, fate: Fate) -> Result<(), Error> {
        let lsn = self.last_lsn() + 1;
        let begin = index.slice_begin(window(), self.now);
        let entry = Entry { key: print(key), content: content(key, lsn), lsn };
        self.keys.entry(key).or_default();
        let expected = self.known(key);
        match index.reserve(entry, window(), self.now)? {
            Reserved::Known(found) => {
                assert!(expected.contains(&Some(found.lsn)), "key {key}: {found:?} {expected:?}");
            }
            Reserved::Taken(slice) => {
                assert!(expected.contains(&None), "key {key} is taken twice: {expected:?}");
                self.append(Frame::Took { key, begin, fate: Fate::Open });
                self.held.insert(lsn, (key, slice));
                self.decide(index, lsn, fate)?;
            }
        }
        Ok(())
    }

    /// Says what became of a frame.
    fn decide(&mut self, index: &Index, lsn: u64, now: Fate) -> Result<(), Error> {
        let at = usize::try_from(lsn).expect("fits") - 1;
        let Frame::Took { key, fate, .. } = &mut self.log[at] else { return Ok(()) };
        *fate = now;
        match now {
            Fate::Open => drop(self.open.insert(lsn)),
            Fate::Stored => {
                self.open.remove(&lsn);
                index.confirm(lsn);
            }
            Fate::Failed => {
                self.open.remove(&lsn);
                assert!(index.withdraw(print(*key), lsn)?, "{lsn} was reserved");
                self.held.remove(&lsn);
            }
        }
        Ok(())
    }

    /// Says what became of the oldest frame of which nobody knows.
    pub(super) fn decide_next(&mut self, index: &Index, now: Fate) -> Result<(), Error> {
        match self.open.first().copied() {
            Some(lsn) => self.decide(index, lsn, now),
            None => Ok(()),
        }
    }

    /// The power was cut: of which frames nobody knew, one bit each says whether they are there.
    pub(super) fn decide_all(&mut self, bits: u8) {
        for (lsn, bit) in std::mem::take(&mut self.open).into_iter().zip((0..8).cycle()) {
            let at = usize::try_from(lsn).expect("fits") - 1;
            if let Frame::Took { fate, .. } = &mut self.log[at] {
                *fate = if bits >> bit & 1 == 0 { Fate::Stored } else { Fate::Failed };
            }
        }
    }

    /// Settles one of the unsettled events whose frame is durable.
    pub(super) fn settle(&mut self, index: &Index, nth: usize) {
        let is_stored =
            |lsn: &u64| matches!(self.frame(*lsn), Frame::Took { fate: Fate::Stored, .. });
        let stored: Vec<u64> = self.held.keys().copied().filter(is_stored).collect();
        self.settle_event(index, stored.get(nth % stored.len().max(1)).copied());
    }

    /// Settles the event of the last frame, if it took a key.
    pub(super) fn settle_last(&mut self, index: &Index) {
        self.settle_event(index, Some(self.last_lsn()));
    }

    fn settle_event(&mut self, index: &Index, lsn: Option<u64>) {
        if let Some(lsn) = lsn.filter(|lsn| *lsn > 0)
            && !self.open.contains(&lsn)
            && let Some((_, slice)) = self.held.remove(&lsn)
        {
            self.append(Frame::Settled { lsn, at: self.now });
            index.settle(slice, self.now);
        }
    }

    /// Gives up a key whose event is settled.
    pub(super) fn release(&mut self, index: &Index, key: u16) -> Result<(), Error> {
        if self.last(key).is_some_and(|lsn| !self.held.contains_key(&lsn)) {
            let was_known = index.find(print(key))?.is_some();
            let frame = self.append(Frame::Released { key });
            assert_eq!(index.release(print(key), frame)?, was_known, "key {key}");
        }
        Ok(())
    }

    /// Forgets what is over, and carries what must be.
    pub(super) fn expire(&mut self, index: &Index) -> Result<(), Error> {
        let mut slices: BTreeMap<SliceId, Vec<u64>> = BTreeMap::new();
        for key in self.keys.keys() {
            if let Some(found) = index.find(print(*key))? {
                slices.entry(found.slice).or_default().push(found.lsn);
            }
        }
        let mut expired = index.expire(self.now);
        if !expired.to_carry.is_empty() {
            for (lsn, (key, slice)) in &mut self.held {
                if expired.to_carry.contains(slice) {
                    let carried = index.carry(print(*key), *slice, self.now)?;
                    *slice = carried.unwrap_or_else(|| panic!("{lsn} is unsettled and forgotten"));
                }
            }
            expired.dropped.extend(index.expire(self.now).dropped);
        }
        let dropped = expired.dropped.iter().filter_map(|slice| slices.get(slice)).flatten();
        let held = &self.held;
        self.over.extend(dropped.filter(|lsn| !held.contains_key(lsn)));
        Ok(())
    }

    /// Tells an index what it must be told after it was opened.
    pub(super) fn tell(&mut self, index: &Index, covered: u64) -> Result<(), Error> {
        self.held.clear();
        let mut unsettled = BTreeMap::new();
        for (frame, lsn) in self.log.iter().zip(1..) {
            match *frame {
                Frame::Took { key, begin, fate: Fate::Stored } => {
                    if lsn > covered {
                        let slice = index.slice(window(), begin);
                        let entry = Entry { key: print(key), content: content(key, lsn), lsn };
                        index.restore(slice, entry, lsn)?;
                    }
                    unsettled.insert(lsn, (key, begin));
                }
                Frame::Settled { lsn, at } => {
                    if let Some((_, begin)) = unsettled.remove(&lsn) {
                        index.raise_settled(window(), begin, at);
                    }
                }
                Frame::Released { key } => drop(index.release(print(key), lsn)?),
                Frame::Took { .. } => {}
            }
        }
        for (lsn, (key, begin)) in unsettled {
            let of_files = (lsn <= covered).then(|| index.hold_covered(window(), begin, 1)).flatten();
            let slice = match of_files {
                Some(slice) => Some(slice),
                None => index.hold(print(key))?,
            };
            let slice = slice.unwrap_or_else(|| panic!("{lsn} is unsettled and forgotten"));
            self.held.insert(lsn, (key, slice));
        }
        Ok(())
    }

    /// The frame that a key is known by, as the log tells.
    fn last(&self, key: u16) -> Option<u64> {
        let mut last = None;
        for lsn in self.keys.get(&key).into_iter().flatten().copied() {
            match self.frame(lsn) {
                Frame::Took { fate, .. } if fate != Fate::Failed => last = Some(lsn),
                Frame::Released { .. } => last = None,
                Frame::Took { .. } | Frame::Settled { .. } => {}
            }
        }
        last
    }

    /// What a key may be known by.
    fn known(&self, key: u16) -> Vec<Option<u64>> {
        let last = self.last(key);
        let is_over = last.is_some_and(|lsn| self.over.contains(&lsn));
        if is_over { vec![None, last] } else { vec![last] }
    }

    /// Holds every verdict against the log.
    pub(super) fn must_be_right(&self, index: &Index) -> Result<(), Error> {
        for key in self.keys.keys().copied().chain(0..KEYS) {
            let known = self.known(key);
            let found = index.find(print(key))?;
            let by = found.map(|found| found.lsn);
            assert!(known.contains(&by), "key {key} is known by {by:?}, not {known:?}: {self:?}");
            let its = content(key, by.unwrap_or(0));
            let verdict = index.lookup(print(key), its)?;
            let expected = by.map_or(Lookup::New, |lsn| Lookup::Duplicate { lsn });
            assert_eq!(verdict, expected, "key {key}");
        }
        Ok(())
    }

    /// Does to an index all that it can, and looks at no answer.
    pub(super) fn work_without_judging(&mut self, index: &Index, covered: u64) {
        let mut unsettled = Vec::new();
        for (frame, lsn) in self.log.iter().zip(1..) {
            match *frame {
                Frame::Took { key, begin, .. } => {
                    let slice = index.slice(window(), begin);
                    let entry = Entry { key: print(key), content: content(key, lsn), lsn };
                    if lsn > covered {
                        let _told = index.restore(slice, entry, lsn);
                    }
                    unsettled.push((key, begin));
                }
                Frame::Settled { at, .. } => index.raise_settled(window(), at, at),
                Frame::Released { key } => drop(index.release(print(key), lsn)),
            }
        }
        for (key, begin) in unsettled {
            let _told = index.lookup(print(key), content(key, 1));
            let of_files = index.hold_covered(window(), begin, 1);
            if let Ok(Some(slice)) =
                of_files.map_or_else(|| index.hold(print(key)), |it| Ok(Some(it)))
            {
                let _told = index.carry(print(key), slice, self.now);
                index.unhold(slice);
            }
        }
        let asked: Vec<_> = (0..KEYS).map(|key| (print(key), content(key, 1))).collect();
        let _told = index.lookup_batch(&asked, &mut Vec::new());
        for now in [self.now, self.now + 3 * WINDOW_MS, u64::MAX] {
            let _expired = index.expire(now);
            for key in 0..KEYS {
                let lsn = 1_000 + u64::from(key);
                let entry = Entry { key: print(key), content: content(key, lsn), lsn };
                if let Ok(Reserved::Taken(slice)) = index.reserve(entry, window(), now) {
                    index.confirm(lsn);
                    index.settle(slice, now);
                    let _told = index.withdraw(entry.key, lsn);
                }
            }
        }
    }
}
