//! Bodies of the frames of decisions. Field order is the format: never reorder, never reuse.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// What a person decided.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) enum Action {
    /// The event is to be sent again, under the same key.
    Retry,
    /// The event is done with.
    Resolve,
}

/// A decision on a review item.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct DecisionFrame {
    /// The event.
    pub(in crate::review) event: u64,
    /// The review that was decided on.
    pub(in crate::review) version: u64,
    /// What was decided.
    pub(in crate::review) action: Action,
    /// LSN of the frame that made it; 0: this one. Another when the frame was carried.
    pub(in crate::review) number: u64,
    /// The event's scope.
    pub(in crate::review) scope: String,
    /// The event's key: the history shows it when the event is gone.
    pub(in crate::review) key: String,
    /// Why it was decided so.
    pub(in crate::review) note: String,
    /// The person who decided.
    pub(in crate::review) who: String,
    /// Wall clock when it was made, Unix milliseconds.
    pub(in crate::review) made_ms: i64,
}

impl DecisionFrame {
    /// The number of the decision, where the frame is `lsn`.
    pub(crate) fn number_at(&self, lsn: u64) -> u64 {
        if self.number == 0 { lsn } else { self.number }
    }
}

impl Control for DecisionFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    #[test]
    fn a_decision_has_these_bytes() {
        let decision = DecisionFrame {
            event: 1,
            version: 2,
            action: Action::Resolve,
            number: 3,
            scope: "s".to_owned(),
            key: "k".to_owned(),
            note: "ok".to_owned(),
            who: "ann".to_owned(),
            made_ms: 4,
        };
        assert_bytes(
            &decision,
            "0100 0100000000000000 0200000000000000 01000000 0300000000000000 \
             0100000000000000 73 0100000000000000 6b 0200000000000000 6f6b \
             0300000000000000 616e6e 0400000000000000",
        );
    }
}
