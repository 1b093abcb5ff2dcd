//! The bodies of what limits and cancelling write. Field order is the format: never reorder, never
//! reuse.
//!
//! Each frame says how many events were evicted and cancelled in all, itself included, so that the
//! newest alone has the counts, whatever was trimmed before it.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// How many events left the outbox without being sent, since the store was made.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct Totals {
    /// DroppedEvents to make room.
    pub(crate) evicted: u64,
    /// Taken back by the host.
    pub(crate) cancelled: u64,
}

/// An event that was dropped.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct LostEvent {
    /// LSN of its first frame.
    pub(in crate::limits) event: u64,
    /// Fingerprint of its key.
    pub(in crate::limits) fingerprint: u128,
}

/// Events of one scope that were dropped together.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct DroppedEvents {
    /// The events' scope.
    pub(in crate::limits) scope: String,
    /// Wall clock then, Unix milliseconds.
    pub(in crate::limits) wall_ms: i64,
    /// The events, ascending.
    pub(in crate::limits) events: Vec<LostEvent>,
}

/// Events that are dropped to make room for those that are behind this frame in the same commit.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct EvictFrame {
    /// The events that this frame drops.
    pub(in crate::limits) now: Vec<DroppedEvents>,
    /// The events that frames dropped whose segments are trimmed.
    pub(in crate::limits) earlier: Vec<DroppedEvents>,
    /// All that were, with these.
    pub(in crate::limits) totals: Totals,
}

/// An event that is taken back before its first attempt.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct CancelFrame {
    /// The event.
    pub(in crate::limits) event: u64,
    /// All that were, with this one.
    pub(in crate::limits) totals: Totals,
}

impl Control for EvictFrame {
    const VERSION: u16 = 1;
}
impl Control for CancelFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    #[test]
    fn an_eviction_has_these_bytes() {
        let events = vec![LostEvent { event: 4, fingerprint: 5 }];
        let dropped = DroppedEvents { scope: "s".to_owned(), wall_ms: -3, events };
        let totals = Totals { evicted: 1, cancelled: 2 };
        let evict = EvictFrame { now: vec![dropped], earlier: Vec::new(), totals };
        assert_bytes(
            &evict,
            "0100 0100000000000000 0100000000000000 73 fdffffffffffffff \
             0100000000000000 0400000000000000 05000000000000000000000000000000 \
             0000000000000000 0100000000000000 0200000000000000",
        );
    }

    #[test]
    fn a_cancellation_has_these_bytes() {
        let cancel = CancelFrame { event: 7, totals: Totals { evicted: 1, cancelled: 2 } };
        assert_bytes(&cancel, "0100 0700000000000000 0100000000000000 0200000000000000");
    }
}
