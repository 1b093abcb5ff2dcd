//! What lives in each segment, kept up to date with every frame, so that choosing one to clean asks
//! no keys and reads nothing. No I/O here.
//!
//! The bytes are what cleaning would carry. Keys count by their slice: when a slice is forgotten, its
//! bytes go in every segment at once. They are an estimate that only decides the order of cleaning;
//! whether a segment may go is judged by its frames.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Window;

use super::Located;
use crate::frames::goes_in_order;

/// What a key entry takes besides its receipt.
pub(crate) const KEY_ENTRY_BYTES: u64 = 49;

/// A slice of keys: its window, and when it began.
pub(crate) type Slice = (Window, u64);

/// What lives in each segment.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    segments: BTreeMap<u64, Part>,
}

/// What the view counts on in one segment.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Frames of events that are not settled.
    pub(crate) unsettled: usize,
    unsettled_bytes: u64,
    /// Frames that say something which no other frame says, or without which an older one would be
    /// taken at its word.
    pub(crate) needed: usize,
    needed_bytes: u64,
    /// Bytes of key entries that are not carried, or were carried to here.
    keys: BTreeMap<Slice, u64>,
    /// Settled events whose frames were here when they were settled; some may stand elsewhere by now.
    pub(crate) settled: Vec<u64>,
    /// Frames that others may depend on, by their LSN.
    pub(crate) holders: Vec<u64>,
    /// Events of which a copy stands here and a newer one elsewhere.
    pub(crate) copies: Vec<u64>,
    /// Batches that have a frame here.
    pub(crate) batches: Vec<u64>,
    /// Events that a frame here puts into review.
    pub(crate) rejected: Vec<u64>,
    /// Frames here that hold carried keys.
    pub(crate) key_frames: usize,
    /// Frames here that may only go when every older segment is gone.
    pub(crate) in_order: usize,
    /// Trusted time until which unsettled events that were carried here are expected to stay.
    events_rest_until: u64,
    /// Trusted time until which keys that were carried here are remembered.
    keys_rest_until: u64,
}

/// Whether a segment had better be left alone, because it holds what was carried to there: it would
/// only be carried again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Rest {
    /// It holds nothing of the kind any more.
    Over,
    /// Keys, which end by themselves.
    Keys,
    /// Events that have not been settled for long.
    Events,
}

impl Part {
    /// Bytes that cleaning the segment would carry, without what goes in order.
    pub(crate) fn live_bytes(&self) -> u64 {
        let keys = self.keys.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        self.unsettled_bytes.saturating_add(self.needed_bytes).saturating_add(keys)
    }

    /// Whether it had better be left alone.
    pub(crate) fn rest(&self, trusted_ms: u64) -> Rest {
        if self.events_rest_until > trusted_ms {
            Rest::Events
        } else if self.keys_rest_until > trusted_ms {
            Rest::Keys
        } else {
            Rest::Over
        }
    }
}

impl Lives {
    /// What lives in a segment.
    pub(crate) fn get(&self, segment: u64) -> Option<&Part> {
        self.segments.get(&segment)
    }

    /// What lives in a segment, for noting more.
    pub(crate) fn part(&mut self, segment: u64) -> &mut Part {
        self.segments.entry(segment).or_default()
    }

    /// The segment goes.
    pub(crate) fn remove(&mut self, segment: u64) -> Part {
        self.segments.remove(&segment).unwrap_or_default()
    }

    /// A frame stands there.
    pub(crate) fn note(&mut self, kind: u8, at: Located) {
        if goes_in_order(kind) {
            self.part(at.place.segment).in_order += 1;
        }
    }

    /// An unsettled event stands there.
    pub(crate) fn add_unsettled(&mut self, at: Located) {
        let part = self.part(at.place.segment);
        part.unsettled += 1;
        part.unsettled_bytes += u64::from(at.bytes);
    }

    /// It stands elsewhere, or is settled.
    pub(crate) fn end_unsettled(&mut self, at: Located) {
        let part = self.part(at.place.segment);
        part.unsettled = part.unsettled.saturating_sub(1);
        part.unsettled_bytes = part.unsettled_bytes.saturating_sub(u64::from(at.bytes));
    }

    /// Something there must be carried before the segment goes.
    pub(crate) fn need(&mut self, segment: u64, bytes: u64) {
        let part = self.part(segment);
        part.needed += 1;
        part.needed_bytes = part.needed_bytes.saturating_add(bytes);
    }

    /// It need not any more.
    pub(crate) fn end_need(&mut self, segment: u64, bytes: u64) {
        if let Some(part) = self.segments.get_mut(&segment) {
            part.needed = part.needed.saturating_sub(1);
            part.needed_bytes = part.needed_bytes.saturating_sub(bytes);
        }
    }

    /// An event that stands there was settled: its key is to be carried from there.
    pub(crate) fn settle(&mut self, segment: u64, lsn: u64, slice: Slice, bytes: u64) {
        let part = self.part(segment);
        part.settled.push(lsn);
        *part.keys.entry(slice).or_default() += bytes;
    }

    /// A key of this slice is to be carried from there.
    pub(crate) fn add_key(&mut self, segment: u64, slice: Slice, bytes: u64) {
        *self.part(segment).keys.entry(slice).or_default() += bytes;
    }

    /// It was.
    pub(crate) fn end_key(&mut self, segment: u64, slice: Slice, bytes: u64) {
        let part = self.segments.get_mut(&segment);
        if let Some(left) = part.and_then(|part| part.keys.get_mut(&slice)) {
            *left = left.saturating_sub(bytes);
        }
    }

    /// An event that was carried there is expected to stay so long.
    pub(crate) fn rest_event(&mut self, segment: u64, until_ms: u64) {
        let part = self.part(segment);
        part.events_rest_until = part.events_rest_until.max(until_ms);
    }

    /// Keys that were carried there are remembered so long.
    pub(crate) fn rest_keys(&mut self, segment: u64, until_ms: u64) {
        let part = self.part(segment);
        part.keys_rest_until = part.keys_rest_until.max(until_ms);
    }

    /// Slices were forgotten: only these are left.
    pub(crate) fn retain_slices(&mut self, left: &BTreeSet<Slice>) {
        for part in self.segments.values_mut() {
            part.keys.retain(|slice, _| left.contains(slice));
        }
    }
}
