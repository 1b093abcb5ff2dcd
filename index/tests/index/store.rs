//! What the owner of an index does: writes a log beside it, and tells that log again after opening.
//! Method: the log is a list in memory; each of its frames is durable as soon as it is appended.

use std::{collections::BTreeMap, sync::Arc};

use onceward_index::{
    ContentHash, Entry, Error, Fingerprint, Index, Location, OpenedIndex, Options, ReadMode,
    Reserved, Secret, SliceId, Window, WindowStart,
};
use onceward_vfs::Vfs;

use crate::reference::Frame;

/// The index's directory.
pub(crate) const DIR: &str = "index";
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const SLICE_COUNT: u32 = 6;
pub(crate) const SLICE_MS: u64 = MINUTE_MS / SLICE_COUNT as u64;
pub(crate) const CARRY_MAX: u64 = 3;

/// A minute from the settlement.
pub(crate) fn settling() -> Window {
    Window::new(MINUTE_MS, WindowStart::FromSettle).unwrap()
}

/// A minute from the capture.
pub(crate) fn capturing() -> Window {
    Window::new(MINUTE_MS, WindowStart::FromCapture).unwrap()
}

/// Small slices, few carried keys.
pub(crate) fn options(reading: ReadMode) -> Options {
    Options { slice_count: SLICE_COUNT, carry_max: CARRY_MAX, reading, ..Options::default() }
}

pub(crate) fn secret() -> Secret {
    Secret::from_bytes([1; 16])
}

/// The location of the index on a disk.
pub(crate) fn location(vfs: impl Vfs + 'static) -> Location {
    Location { vfs: Arc::new(vfs), dir: DIR.to_owned() }
}

/// A log and its index.
pub(crate) struct Store {
    pub(crate) index: Arc<Index>,
    pub(crate) log: Vec<Frame>,
    /// The slice that each unsettled event holds, by its LSN.
    pub(crate) held: BTreeMap<u64, SliceId>,
    pub(crate) now: u64,
    /// The latest time that the index was told.
    pub(crate) latest: u64,
}

impl Store {
    /// Opens an index, to which nothing is told yet, beside an empty log.
    pub(crate) fn open(location: Location, options: Options) -> Self {
        let index = Index::open(location, &secret(), options).unwrap().index;
        Self::of(index, Vec::new())
    }

    /// An index to which this log was told.
    pub(crate) fn of(index: Index, log: Vec<Frame>) -> Self {
        Self { index: Arc::new(index), log, held: BTreeMap::new(), now: 1_000_000, latest: 0 }
    }

    /// Opens an index and tells it the log.
    pub(crate) fn reopened(
        location: Location,
        options: Options,
        log: &[Frame],
    ) -> (Self, Result<(), Error>) {
        let OpenedIndex { index, covered, .. } = Index::open(location, &secret(), options).unwrap();
        assert!(covered <= log.len() as u64, "a frame is covered that never was");
        let mut store = Self::of(index, log.to_vec());
        let told = store.replay(covered);
        (store, told)
    }

    /// Tells what an index must be told after opening: see `FORMAT.md`, "Replay contract".
    fn replay(&mut self, covered: u64) -> Result<(), Error> {
        let mut unsettled = BTreeMap::new();
        for (frame, lsn) in self.log.iter().zip(1..) {
            match *frame {
                Frame::Took { key, content, window, begin, .. } => {
                    unsettled.insert(lsn, (key, window, begin));
                    if lsn > covered {
                        let slice = self.index.slice(window, begin);
                        self.index.restore(slice, Entry { key, content, lsn }, lsn)?;
                    }
                }
                Frame::Settled { lsn, at } => {
                    if let Some((_, window, begin)) = unsettled.remove(&lsn) {
                        self.index.raise_settled(window, begin, at);
                    }
                }
                Frame::Released { key } => {
                    self.index.release(key, lsn)?;
                    unsettled.retain(|_, (taken, ..)| *taken != key);
                }
                Frame::Failed => {}
            }
        }
        for (lsn, (key, window, begin)) in unsettled {
            let covered =
                (lsn <= covered).then(|| self.index.hold_covered(window, begin, 1)).flatten();
            let slice = match covered {
                Some(slice) => Some(slice),
                None => self.index.hold(key)?,
            };
            assert!(slice.is_some(), "a false new: unsettled {key:?} is not remembered");
            self.held.extend(slice.map(|slice| (lsn, slice)));
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, frame: Frame) -> u64 {
        self.log.push(frame);
        self.log.len() as u64
    }

    /// The LSN of the next frame.
    pub(crate) fn next_lsn(&self) -> u64 {
        self.log.len() as u64 + 1
    }

    /// Captures a key: reserves it, appends its frame, confirms.
    pub(crate) fn take(
        &mut self,
        key: Fingerprint,
        content: ContentHash,
        window: Window,
    ) -> Result<Reserved, Error> {
        let (lsn, now) = (self.next_lsn(), self.now);
        let begin = self.index.slice_begin(window, now);
        let reserved = self.index.reserve(Entry { key, content, lsn }, window, now)?;
        if let Reserved::Taken(slice) = reserved {
            self.append(Frame::Took { key, content, window, begin, now });
            self.index.confirm(lsn);
            self.held.insert(lsn, slice);
        }
        Ok(reserved)
    }

    /// Notes the final answer for the event of a frame.
    pub(crate) fn settle(&mut self, lsn: u64) {
        self.append(Frame::Settled { lsn, at: self.now });
        self.index.settle(self.held.remove(&lsn).unwrap(), self.now);
    }

    /// Gives a settled key up.
    pub(crate) fn release(&mut self, key: Fingerprint) -> Result<bool, Error> {
        let frame = self.append(Frame::Released { key });
        self.index.release(key, frame)
    }

    /// Expires, carries what it is asked to, expires again.
    pub(crate) fn expire(&mut self) -> Result<(), Error> {
        self.latest = self.latest.max(self.now);
        let to_carry = self.index.expire(self.now).to_carry;
        let mut stayed = Vec::new();
        for (lsn, from) in self.held.clone() {
            if to_carry.contains(&from) {
                let key = self.key_of(lsn);
                let target = self.index.carry(key, from, self.now)?;
                assert!(target.is_some(), "a false new: unsettled {key:?} is not remembered");
                stayed.extend(target.filter(|target| *target == from));
                self.held.extend(target.map(|target| (lsn, target)));
            }
        }
        // A key whose frame is in flight stays where it is, and holds its slice.
        let still = self.index.expire(self.now).to_carry;
        assert!(still.iter().all(|slice| stayed.contains(slice)), "one round is enough");
        Ok(())
    }

    /// The key of the frame of a capture.
    pub(crate) fn key_of(&self, lsn: u64) -> Fingerprint {
        match self.log[usize::try_from(lsn).unwrap() - 1] {
            Frame::Took { key, .. } => key,
            frame => unreachable!("{lsn} is {frame:?}"),
        }
    }
}
