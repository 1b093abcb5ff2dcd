//! What the index answers about a key. No tables here.

use crate::{fingerprint::ContentHash, slices::SliceId};

/// The answer to "has this key been seen inside its window?".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// The key is not remembered.
    New,
    /// The key is remembered with the same content.
    Duplicate {
        /// LSN of the event that has the key.
        lsn: u64,
    },
    /// The key is remembered with another content.
    Conflict {
        /// LSN of the event that has the key.
        lsn: u64,
    },
}

/// A key that is remembered, as callers see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownKey {
    /// LSN of the event's first frame: the event's number for ever.
    pub lsn: u64,
    /// Hash of the content that came with the key.
    pub content: ContentHash,
    /// The slice that the key is in.
    pub slice: SliceId,
}

impl KnownKey {
    /// The verdict on the same key with this content. Of a content that is not known every other one is a duplicate.
    #[must_use]
    pub fn judge(&self, content: ContentHash) -> Lookup {
        let lsn = self.lsn;
        if self.content.matches(content) {
            Lookup::Duplicate { lsn }
        } else {
            Lookup::Conflict { lsn }
        }
    }
}

/// The outcome of a reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reserved {
    /// The key was not remembered; it is in this slice from now on.
    Taken(SliceId),
    /// The key is remembered. Nothing was changed.
    Known(KnownKey),
}
