//! What the index remembers of a key, and what it answers about one. No tables here.

use crate::fingerprint::{ContentPrint, Fingerprint};

/// What the index remembers of one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// LSN of the event's first frame: the event's number for ever.
    pub lsn: u64,
    /// Print of the content that came with the key; another content is a conflict.
    pub content: ContentPrint,
    /// Outcome code of the caller; the index stores it and never reads it. 0 after a reservation.
    pub outcome: u8,
    /// LSN of the frame that holds the outcome, 0 for none. Not read by the index either.
    pub outcome_lsn: u64,
}

/// The answer to "has this key been seen?".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The key is not remembered.
    New,
    /// The key is remembered with the same content.
    Duplicate(Entry),
    /// The key is remembered with another content.
    Conflict(Entry),
}

/// One place of a slice's table: a key, its entry, and how far the key has come.
///
/// The two flags are independent, so that `confirm` and `settle` may come in either order.
///
/// Holds the entry's fields one by one: an [`Entry`] inside would be padded twice, which costs a
/// quarter of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The key's identity, compared in full.
    pub(crate) key: Fingerprint,
    /// [`Entry::lsn`].
    lsn: u64,
    /// [`Entry::content`].
    content: ContentPrint,
    /// [`Entry::outcome_lsn`].
    outcome_lsn: u64,
    /// [`Entry::outcome`].
    outcome: u8,
    /// The event's frame is durable.
    confirmed: bool,
    /// The final answer for the event is known.
    settled: bool,
}

impl Slot {
    /// A key that is taken and of which nothing more is known.
    pub(crate) const fn reserved(key: Fingerprint, entry: Entry) -> Self {
        let Entry { lsn, content, outcome, outcome_lsn } = entry;
        Self { key, lsn, content, outcome_lsn, outcome, confirmed: false, settled: false }
    }

    /// A key as the log tells of it, so durable.
    pub(crate) const fn restored(key: Fingerprint, entry: Entry, settled: bool) -> Self {
        Self { confirmed: true, settled, ..Self::reserved(key, entry) }
    }

    /// What is answered about the key.
    pub(crate) const fn entry(&self) -> Entry {
        let Self { lsn, content, outcome, outcome_lsn, .. } = *self;
        Entry { lsn, content, outcome, outcome_lsn }
    }

    /// Whether the key is the frame `lsn`'s and that frame may still fail.
    pub(crate) const fn is_reserved_for(&self, lsn: u64) -> bool {
        self.lsn == lsn && !self.confirmed
    }

    /// Whether the final answer for the event is known.
    pub(crate) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether nothing more is to come for this key, so that it may be forgotten in time.
    ///
    /// A key whose frame may still fail is not final, even if it was settled already.
    pub(crate) const fn is_final(&self) -> bool {
        self.confirmed && self.settled
    }

    /// Notes that the frame `lsn` is durable, if the key is that frame's.
    pub(crate) const fn confirm(&mut self, lsn: u64) {
        self.confirmed |= self.lsn == lsn;
    }

    /// Changes the outcome and its place.
    pub(crate) const fn update(&mut self, outcome: u8, outcome_lsn: u64) {
        self.outcome = outcome;
        self.outcome_lsn = outcome_lsn;
    }

    /// Notes the final answer, unless there is one; returns whether this was the first.
    pub(crate) const fn settle(&mut self, outcome: u8, outcome_lsn: u64) -> bool {
        if self.settled {
            return false;
        }
        self.settled = true;
        self.update(outcome, outcome_lsn);
        true
    }
}

const _: () = assert!(size_of::<Slot>() == 48, "FORMAT.md says 49 bytes with the control byte");
