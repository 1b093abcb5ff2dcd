//! How many records each slice of keys holds and what they take, so that a slice that goes is
//! subtracted without a visit to its records.
//!
//! A measure for cleaning and for people: what is remembered, the index alone says.

use std::collections::{BTreeMap, BTreeSet};

/// The records of one slice.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    count: u64,
    bytes: u64,
}

/// Groups by the trusted time at which their slice began.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    by_begin: BTreeMap<u64, Group>,
}

impl Groups {
    /// One more record.
    pub(super) fn add(&mut self, begin: u64, bytes: u32) {
        let group = self.by_begin.entry(begin).or_default();
        group.count += 1;
        group.bytes += u64::from(bytes);
    }

    /// One fewer, if its slice is still counted.
    pub(super) fn remove(&mut self, begin: u64, bytes: u32) {
        if let Some(group) = self.by_begin.get_mut(&begin) {
            group.count = group.count.saturating_sub(1);
            group.bytes = group.bytes.saturating_sub(u64::from(bytes));
        }
    }

    /// Forgets all slices but those that began then.
    pub(super) fn keep(&mut self, live: &BTreeSet<u64>) {
        self.by_begin.retain(|begin, _| live.contains(begin));
    }

    /// Records of all slices.
    pub(super) fn count(&self) -> u64 {
        self.by_begin.values().map(|group| group.count).sum()
    }

    /// Bytes of their frames.
    pub(super) fn bytes(&self) -> u64 {
        self.by_begin.values().map(|group| group.bytes).sum()
    }
}
