//! The caller's log: what it tells the index again after a crash.

use std::collections::{BTreeMap, BTreeSet};

use shuttle::rand::{Rng, thread_rng};

use super::store::{KEYS, content, fingerprint};
use crate::{Entry, Index, SliceId, Window};

/// A frame; its LSN is its position, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum ModelFrame {
    /// A key was taken.
    Took { key: u8, window: Window, begin: u64, fate: FrameFate },
    /// The event of a frame was settled.
    Settled { lsn: u64, at: u64 },
    /// A key was given up.
    Released { key: u8 },
    /// A number that nobody used.
    Nothing,
}

/// The fate of a frame that may fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FrameFate {
    /// The fate is open.
    Open,
    /// The frame is durable.
    Stored,
    /// The frame is not there.
    Failed,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelLog {
    frames: Vec<ModelFrame>,
    /// Frames before this one are not in the log any more.
    first: u64,
    /// Frames whose keys may be forgotten, because their slice is over.
    pub(super) over: BTreeSet<u64>,
}

impl ModelLog {
    /// Adds a frame; returns its LSN.
    pub(super) fn push(&mut self, frame: ModelFrame) -> u64 {
        self.frames.push(frame);
        u64::try_from(self.frames.len()).unwrap()
    }

    /// Trims what a log may: frames that a checkpoint covers, up to the first unsettled event.
    pub(super) fn trim(&mut self, covered: u64) {
        let mut unsettled = BTreeSet::from([covered + 1]);
        for (frame, lsn) in self.frames.iter().zip(1..) {
            match frame {
                ModelFrame::Took { fate: FrameFate::Stored | FrameFate::Open, .. } => {
                    unsettled.insert(lsn);
                }
                ModelFrame::Settled { lsn, .. } => {
                    unsettled.remove(lsn);
                }
                ModelFrame::Took { .. } | ModelFrame::Released { .. } | ModelFrame::Nothing => {}
            }
        }
        self.first = self.first.max(unsettled.first().copied().unwrap_or(0));
    }

    fn frame(&self, lsn: u64) -> ModelFrame {
        self.frames[usize::try_from(lsn).unwrap() - 1]
    }

    /// Replaces a frame.
    pub(super) fn set(&mut self, lsn: u64, frame: ModelFrame) {
        self.frames[usize::try_from(lsn).unwrap() - 1] = frame;
    }

    /// Notes what became of a frame.
    pub(super) fn decide(&mut self, lsn: u64, now: FrameFate) {
        match &mut self.frames[usize::try_from(lsn).unwrap() - 1] {
            ModelFrame::Took { fate, .. } => *fate = now,
            other => panic!("{other:?} cannot fail"),
        }
    }

    /// Decides what nobody knows: the power was cut.
    pub(super) fn decide_all(&mut self) {
        for frame in &mut self.frames {
            if let ModelFrame::Took { fate: fate @ FrameFate::Open, .. } = frame {
                *fate =
                    if thread_rng().gen_bool(0.5) { FrameFate::Stored } else { FrameFate::Failed };
            }
        }
    }

    /// Tells an index what it must be told after it was opened.
    pub(super) fn tell(&self, index: &Index, covered: u64) {
        assert!(covered <= u64::try_from(self.frames.len()).unwrap(), "{covered} of {self:?}");
        let mut unsettled = BTreeMap::new();
        for (frame, lsn) in self.frames.iter().zip(1..).filter(|(_, lsn)| *lsn >= self.first) {
            match *frame {
                ModelFrame::Took { key, window, begin, fate: FrameFate::Stored } => {
                    if lsn > covered {
                        let slice = index.slice(window, begin);
                        let entry =
                            Entry { key: fingerprint(key), content: content(key, lsn), lsn };
                        index.restore(slice, entry, lsn).unwrap();
                    }
                    unsettled.insert(lsn, (key, window, begin));
                }
                ModelFrame::Settled { lsn, at } => {
                    unsettled.remove(&lsn);
                    if let ModelFrame::Took { window, begin, .. } = self.frame(lsn) {
                        index.raise_settled(window, begin, at);
                    }
                }
                ModelFrame::Released { key } => drop(index.release(fingerprint(key), lsn).unwrap()),
                ModelFrame::Took { .. } | ModelFrame::Nothing => {}
            }
        }
        for (lsn, (key, window, begin)) in unsettled {
            let of_files = (lsn <= covered).then(|| index.hold_covered(window, begin, 1)).flatten();
            let held: Option<SliceId> = of_files.or_else(|| index.hold(fingerprint(key)).unwrap());
            assert!(held.is_some() || self.last(key) != Some(lsn), "{lsn} is held nowhere");
        }
    }

    /// The frame that a key is known by, as the log tells.
    pub(super) fn last(&self, key: u8) -> Option<u64> {
        let mut last = None;
        for (frame, lsn) in self.frames.iter().zip(1..) {
            match *frame {
                ModelFrame::Took { key: its, fate, .. }
                    if its == key && fate != FrameFate::Failed =>
                {
                    last = Some(lsn);
                }
                ModelFrame::Released { key: its } if its == key => last = None,
                ModelFrame::Took { .. }
                | ModelFrame::Released { .. }
                | ModelFrame::Settled { .. }
                | ModelFrame::Nothing => {}
            }
        }
        last
    }

    /// Holds an index against the log, all of which it was told.
    pub(super) fn must_be_known_by(&self, index: &Index) {
        for key in 0..KEYS {
            let found = index.find(fingerprint(key)).unwrap();
            let last = self.last(key);
            let is_over = last.is_some_and(|lsn| self.over.contains(&lsn));
            if is_over && found.is_none() {
                continue;
            }
            let found = found.map(|found| (found.lsn, found.content));
            assert_eq!(found, last.map(|lsn| (lsn, content(key, lsn))), "key {key}: {self:?}");
        }
    }
}
