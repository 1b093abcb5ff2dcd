//! The bodies of what is kept by upstream. Field order is the format: never reorder, never reuse.

use bincode::{Decode, Encode};

use crate::base::codec::Control;

/// The rule under which keys an upstream gets the events of a scope. Written before the first attempt; never changes.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Rule {
    /// The upstream.
    pub(crate) upstream: String,
    /// The scope.
    pub(crate) scope: String,
    /// Number of the [`KeyRule`](crate::sync::KeyRule).
    pub(crate) rule: u8,
}

/// An upstream asked not to be asked for a while. The newest of these frames of an upstream alone says it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Hold {
    /// The upstream that asked.
    pub(crate) upstream: String,
    /// Trusted time until which; 0: it is over.
    pub(crate) until_ms: u64,
}

/// What came of sending a scope's events last. The newest of these frames of a scope alone says it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct SyncResultFrame {
    /// The scope.
    pub(crate) scope: String,
    /// The upstream.
    pub(crate) upstream: String,
    /// Number of the [`SyncState`](crate::sync::SyncState).
    pub(crate) state: u8,
    /// What came, in words.
    pub(crate) what: String,
    /// Wall clock at that time, Unix milliseconds.
    pub(crate) at_ms: i64,
    /// Wall clock of the next attempt; the least number: none is planned.
    pub(crate) next_ms: i64,
}

/// What an upstream that keeps the history of a scope wants to be reminded of. The newest of these frames of an
/// upstream and a scope alone says it.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub(crate) struct MarkFrame {
    /// The upstream.
    pub(crate) upstream: String,
    /// The scope.
    pub(crate) scope: String,
    /// The upstream's words; empty: none yet.
    pub(crate) mark: String,
    /// Keys of batches that the upstream may have taken after that of the mark: those in whose place others are, and
    /// those that were answered while others were on their way.
    pub(crate) replaced: Vec<String>,
}

impl Control for Rule {
    const VERSION: u16 = 1;
}
impl Control for Hold {
    const VERSION: u16 = 1;
}
impl Control for SyncResultFrame {
    const VERSION: u16 = 1;
}
impl Control for MarkFrame {
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::golden::assert_bytes;

    #[test]
    fn a_rule_has_these_bytes() {
        let rule = Rule { upstream: "u".to_owned(), scope: "s".to_owned(), rule: 2 };
        assert_bytes(&rule, "0100 0100000000000000 75 0100000000000000 73 02");
    }

    #[test]
    fn a_result_has_these_bytes() {
        let (scope, upstream, what) = ("s".to_owned(), "u".to_owned(), "w".to_owned());
        let result = SyncResultFrame { scope, upstream, state: 2, what, at_ms: 3, next_ms: -1 };
        assert_bytes(
            &result,
            "0100 0100000000000000 73 0100000000000000 75 02 0100000000000000 77 0300000000000000 \
             ffffffffffffffff",
        );
    }

    #[test]
    fn a_mark_has_these_bytes() {
        let (upstream, scope, mark) = ("u".to_owned(), "s".to_owned(), "m".to_owned());
        let mark = MarkFrame { upstream, scope, mark, replaced: vec!["r".to_owned()] };
        assert_bytes(
            &mark,
            "0100 0100000000000000 75 0100000000000000 73 0100000000000000 6d 0100000000000000 \
             0100000000000000 72",
        );
    }

    #[test]
    fn a_hold_has_these_bytes() {
        let hold = Hold { upstream: "u".to_owned(), until_ms: 3 };
        assert_bytes(&hold, "0100 0100000000000000 75 0300000000000000");
    }
}
