//! What lives in each segment, kept up to date with every frame, so that choosing one to clean asks
//! no keys and reads nothing. No I/O here.
//!
//! The bytes are what cleaning would carry. Keys count by their slice: when a slice is forgotten, its
//! bytes go in every segment at once. They are an estimate that only decides the order of cleaning;
//! whether a segment may go is judged by its frames.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Window;

use crate::base::{FrameKind, Located};

/// What a key entry takes besides its receipt.
pub(crate) const KEY_ENTRY_BYTES: u64 = 49;

/// A slice of keys: its window, and when it began.
pub(crate) type Slice = (Window, u64);

/// What lives in each segment.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    segments: BTreeMap<u64, SegmentUsage>,
    /// Bytes of frames that need not be carried whole any more, since that was asked.
    freed_bytes: u64,
}

/// What lives in one segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentUsage {
    /// Frames that are carried whole, such as those of events without a final answer.
    whole: usize,
    whole_bytes: u64,
    /// Frames that say something which no other frame says, or without which an older one would be
    /// taken at its word.
    needed: usize,
    needed_bytes: u64,
    /// Bytes of key entries that are not carried, or were carried to here.
    keys: BTreeMap<Slice, u64>,
    /// Frames on which others may depend, by their LSN.
    holders: Vec<u64>,
    /// Frames here that may only go when every older segment is gone.
    in_order: usize,
    /// Frames here that only reading them says what of them lives.
    to_read: usize,
    /// Trusted time until which unsettled events that were carried here are expected to stay.
    events_rest_until: u64,
    /// Trusted time until which keys that were carried here are remembered.
    keys_rest_until: u64,
}

/// Whether a segment had better be left alone, because it holds what was carried to there: it would
/// only be carried again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Resting {
    /// The segment holds nothing that was carried to it any more.
    Over,
    /// Keys, which end by themselves.
    Keys,
    /// Events that have not been settled for long.
    Events,
}

impl SegmentUsage {
    /// Bytes that cleaning the segment would carry, without what goes in order.
    pub(crate) fn live_bytes(&self) -> u64 {
        let keys = self.keys.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        self.whole_bytes.saturating_add(self.needed_bytes).saturating_add(keys)
    }

    /// How many frames are carried whole.
    pub(crate) fn whole(&self) -> usize {
        self.whole
    }

    /// Whether something is left that must be carried before the segment goes.
    pub(crate) fn is_needed(&self) -> bool {
        self.whole > 0 || self.needed > 0
    }

    /// Whether nothing lives here but keys of events of which memory knows all.
    pub(crate) fn is_known(&self) -> bool {
        !self.is_needed() && self.to_read == 0
    }

    /// Whether the segment may only go as the oldest.
    pub(crate) fn goes_in_order(&self) -> bool {
        self.in_order > 0
    }

    /// Whether the segment had better be left alone.
    pub(crate) fn rest(&self, trusted_ms: u64) -> Resting {
        if self.events_rest_until > trusted_ms {
            Resting::Events
        } else if self.keys_rest_until > trusted_ms {
            Resting::Keys
        } else {
            Resting::Over
        }
    }
}

impl Usage {
    /// What lives in a segment.
    pub(crate) fn get(&self, segment: u64) -> Option<&SegmentUsage> {
        self.segments.get(&segment)
    }

    /// What lives in a segment, for noting more.
    fn part(&mut self, segment: u64) -> &mut SegmentUsage {
        self.segments.entry(segment).or_default()
    }

    /// Forgets a segment that goes.
    ///
    /// Returns the frames there on which others depended, by their LSN.
    pub(super) fn remove(&mut self, segment: u64) -> Vec<u64> {
        self.segments.remove(&segment).unwrap_or_default().holders
    }

    /// Notes a frame on which others may depend.
    pub(super) fn add_holder(&mut self, at: Located) {
        self.part(at.place.segment).holders.push(at.lsn);
    }

    /// Notes a frame.
    pub(super) fn note(&mut self, kind: FrameKind, at: Located) {
        if kind.goes_in_order() {
            self.part(at.place.segment).in_order += 1;
        }
        if kind.must_be_read() {
            self.part(at.place.segment).to_read += 1;
        }
    }

    /// Counts frames that are carried whole.
    pub(crate) fn add_whole(&mut self, segment: u64, count: u64, bytes: u64) {
        let part = self.part(segment);
        part.whole = part.whole.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        part.whole_bytes = part.whole_bytes.saturating_add(bytes);
    }

    /// Counts frames of [`Usage::add_whole`] no more: they moved, or need not be carried whole.
    pub(crate) fn end_whole(&mut self, segment: u64, count: u64, bytes: u64) {
        self.freed_bytes = self.freed_bytes.saturating_add(bytes);
        let part = self.part(segment);
        part.whole = part.whole.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        part.whole_bytes = part.whole_bytes.saturating_sub(bytes);
    }

    /// Bytes of frames that need not be carried whole any more, since this was asked last.
    pub(in crate::kernel) fn take_freed(&mut self) -> u64 {
        std::mem::take(&mut self.freed_bytes)
    }

    /// Counts something in a segment that must be carried before the segment goes.
    pub(crate) fn need(&mut self, segment: u64, bytes: u64) {
        let part = self.part(segment);
        part.needed += 1;
        part.needed_bytes = part.needed_bytes.saturating_add(bytes);
    }

    /// Counts a need of [`Usage::need`] no more.
    pub(crate) fn end_need(&mut self, segment: u64, bytes: u64) {
        if let Some(part) = self.segments.get_mut(&segment) {
            part.needed = part.needed.saturating_sub(1);
            part.needed_bytes = part.needed_bytes.saturating_sub(bytes);
        }
    }

    /// Counts a key of this slice that is to be carried from a segment.
    pub(crate) fn add_key(&mut self, segment: u64, slice: Slice, bytes: u64) {
        *self.part(segment).keys.entry(slice).or_default() += bytes;
    }

    /// Counts a key of [`Usage::add_key`] no more.
    pub(crate) fn end_key(&mut self, segment: u64, slice: Slice, bytes: u64) {
        let part = self.segments.get_mut(&segment);
        if let Some(left) = part.and_then(|part| part.keys.get_mut(&slice)) {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Notes until when an event that was carried to a segment is expected to stay.
    pub(crate) fn rest_event(&mut self, segment: u64, until_ms: u64) {
        let part = self.part(segment);
        part.events_rest_until = part.events_rest_until.max(until_ms);
    }

    /// Notes until when keys that were carried to a segment are remembered.
    pub(crate) fn rest_keys(&mut self, segment: u64, until_ms: u64) {
        let part = self.part(segment);
        part.keys_rest_until = part.keys_rest_until.max(until_ms);
    }

    /// Forgets the keys of all slices but these.
    pub(crate) fn retain_slices(&mut self, left: &BTreeSet<Slice>) {
        for part in self.segments.values_mut() {
            part.keys.retain(|slice, _| left.contains(slice));
        }
    }
}
