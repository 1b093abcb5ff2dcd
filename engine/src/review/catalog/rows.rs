//! Keys and values of the catalog.
//!
//! | key | value | for |
//! |---|---|---|
//! | `m` | how far the log is applied | opening |
//! | `r` version event | a review item | all in order of arrival |
//! | `t` since version event | | by time |
//! | `s` length scope version event | | by scope |
//! | `c` length code version event | | by code |
//! | `e` event | version | one item |
//! | `d` number | a decision | the history |
//! | `h` event number | | one event's history |
//!
//! Numbers in keys are big-endian, so that their order is that of the bytes; values are control
//! bodies. Nobody but the store that wrote them reads them, and any other layout is made anew.

use bincode::{Decode, Encode};

use crate::base::codec::Control;
use crate::outbox::frames::Rejection;
use crate::review::frames::DecisionFrame;

/// Key of [`AppliedUpTo`].
pub(super) const APPLIED: &[u8] = b"m";
/// Items in order of arrival.
pub(super) const REVIEW: u8 = b'r';
/// Decisions in order.
pub(super) const DECISION: u8 = b'd';

/// How far the log is applied.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct AppliedUpTo {
    /// The store whose log it is.
    pub(in crate::review) store: [u8; 16],
    /// LSN of the last frame that is in the catalog, as are all before it.
    pub(in crate::review) lsn: u64,
}

/// An event that waits for a person.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct ReviewRow {
    /// The event's scope.
    pub(in crate::review) scope: String,
    /// Why it waits; the version is that of the review.
    pub(crate) reason: Rejection,
}

impl Control for AppliedUpTo {
    const VERSION: u16 = 1;
}
impl Control for ReviewRow {
    const VERSION: u16 = 1;
}

/// What names a review item: versions ascend as items arrive, and one frame may bring several.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RowId {
    /// LSN of the frame that brought it.
    pub(crate) version: u64,
    /// The event.
    pub(crate) event: u64,
}

impl RowId {
    /// The id at the end of a key.
    pub(super) fn at_end_of(key: &[u8]) -> Option<Self> {
        let (rest, event) = key.split_last_chunk::<8>()?;
        let (_, version) = rest.split_last_chunk::<8>()?;
        let (version, event) = (u64::from_be_bytes(*version), u64::from_be_bytes(*event));
        Some(Self { version, event })
    }

    /// The key that begins with `prefix` and ends with this.
    pub(super) fn behind(self, prefix: &[u8]) -> Vec<u8> {
        [prefix, &self.version.to_be_bytes(), &self.event.to_be_bytes()].concat()
    }
}

impl ReviewRow {
    /// What names it.
    pub(crate) fn id(&self) -> RowId {
        RowId { version: self.reason.version, event: self.reason.event }
    }

    /// The keys without a value under which it is found too.
    pub(super) fn orders(&self) -> [Vec<u8>; 3] {
        let Rejection { code, since_ms, .. } = &self.reason;
        let prefixes = [by_time(*since_ms), by_text(b's', &self.scope), by_text(b'c', code)];
        prefixes.map(|prefix| self.id().behind(&prefix))
    }
}

/// The prefix of items that came at this time.
pub(super) fn by_time(since_ms: i64) -> Vec<u8> {
    // With the sign turned round, the order of the bytes is that of the numbers.
    let turned = since_ms.cast_unsigned() ^ (1 << 63);
    [&b"t"[..], &turned.to_be_bytes()].concat()
}

/// The prefix of items with this scope or code.
pub(super) fn by_text(order: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[order, length], text.as_bytes()].concat()
}

/// The key of an event's version.
pub(super) fn of_event(event: u64) -> Vec<u8> {
    [&b"e"[..], &event.to_be_bytes()].concat()
}

/// The key of a decision.
pub(super) fn of_decision(number: u64) -> Vec<u8> {
    [&[DECISION][..], &number.to_be_bytes()].concat()
}

/// The key under which a decision is found by its event.
pub(super) fn in_history(decision: &DecisionFrame) -> Vec<u8> {
    RowId { version: decision.event, event: decision.number }.behind(b"h")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::codec::{decode, encode};
    use crate::base::golden::hex;

    #[test]
    fn values_have_these_bytes() {
        let applied = AppliedUpTo { store: [0xab; 16], lsn: 5 };
        let bytes = encode(&applied);
        assert_eq!(hex(&bytes), format!("0100{}0500000000000000", "ab".repeat(16)));
        assert_eq!(decode::<AppliedUpTo>(&bytes), Some(applied));
        let reason = Rejection {
            event: 1,
            version: 2,
            code: "C".to_owned(),
            message: String::new(),
            reply: vec![],
            since_ms: 3,
            state: 6,
        };
        let row = ReviewRow { scope: "s".to_owned(), reason };
        let bytes = encode(&row);
        assert_eq!(
            hex(&bytes),
            "0100 0100000000000000 73 0100000000000000 0200000000000000 0100000000000000 43 \
             0000000000000000 0000000000000000 0300000000000000 06"
                .replace(' ', "")
        );
        assert_eq!(decode::<ReviewRow>(&bytes), Some(row));
        for cut in 0..bytes.len() {
            assert_eq!(decode::<ReviewRow>(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let times = [i64::MIN, -2, -1, 0, 1, 255, 256, i64::MAX].map(by_time);
        assert!(times.is_sorted());
        let ids = [(1, 300), (2, 1), (255, 9), (256, 0)];
        let ids = ids.map(|(version, event)| RowId { version, event });
        assert!(ids.map(|id| id.behind(b"r")).is_sorted());
        for id in ids {
            assert_eq!(RowId::at_end_of(&id.behind(b"xyz")), Some(id));
        }
    }
}
