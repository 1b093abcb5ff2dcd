//! Kinds of frames: the one list of what the engine writes into the log.
//!
//! Whoever looks at frames matches over all of them, so that a kind that one place forgets does not
//! compile. Bodies of the first three are laid out by hand, because every capture writes one; the others
//! go through `codec`. Both are in `FORMAT.md`.

use onceward_wal::{Frame, KIND_HOST_MIN};

/// What a frame of the engine says. The numbers are on disk: never change or reuse one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// An event as it was captured.
    Event = 16,
    /// An event that moved, because its first segment was trimmed or its store was left.
    Carried = 17,
    /// An event that was settled as it was captured, with its receipt.
    Effect = 18,
    /// A batch: what is sent together, fixed before the first attempt.
    Batch = 19,
    /// Answers of the upstream.
    Settle = 20,
    /// What a person decided on a review item.
    Decision = 21,
    /// Keys of settled events whose segment was trimmed.
    Keys = 22,
    /// A key of a record is leased.
    Lease = 23,
    /// A lease is completed, with the body to remember.
    Record = 24,
    /// A lease is released.
    LeaseEnd = 25,
    /// A window that the upstream issued: opened, or over.
    Window = 26,
    /// A delivery of the upstream, whole or only its keys.
    Delivery = 27,
    /// How far a delivery is, and how it ended.
    Progress = 28,
    /// How long the store was open, and what the upstream's clock showed.
    Clock = 29,
    /// Events that were dropped to make room.
    Evict = 30,
    /// An event that was taken back before its first attempt.
    Cancel = 31,
    /// The store is left: what it did not deliver is in a bundle; or it is not any more.
    Fence = 32,
    /// A bundle of another store was imported.
    Import = 33,
    /// The rule under which keys an upstream gets the events of a scope.
    Upstream = 34,
    /// The time until which an upstream asked not to be asked.
    Hold = 35,
    /// What came of sending a scope's events last.
    SyncResult = 36,
    /// What an upstream that keeps the history of a scope wants to be reminded of.
    Mark = 37,
}

/// The parts of events that are in a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EventPart {
    /// The event, and nothing else.
    Event,
    /// The event, behind what is said of its first frame.
    Carried,
    /// The event, behind its receipt.
    Effect,
    /// Answers to events, with receipts.
    Answers,
    /// Keys of events, with receipts.
    Keys,
    /// Numbers of events at most.
    Nothing,
}

impl FrameKind {
    /// Every kind, in the order of the numbers.
    pub(crate) const ALL: [Self; 22] = [
        Self::Event,
        Self::Carried,
        Self::Effect,
        Self::Batch,
        Self::Settle,
        Self::Decision,
        Self::Keys,
        Self::Lease,
        Self::Record,
        Self::LeaseEnd,
        Self::Window,
        Self::Delivery,
        Self::Progress,
        Self::Clock,
        Self::Evict,
        Self::Cancel,
        Self::Fence,
        Self::Import,
        Self::Upstream,
        Self::Hold,
        Self::SyncResult,
        Self::Mark,
    ];

    /// The number on disk.
    pub(crate) const fn code(self) -> u8 {
        // A fieldless enum with `repr(u8)`: the cast is the number written above.
        self as u8
    }

    /// The kind of a number from disk; `None`: only a newer program knows it, or it is one of the log's own.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let place = usize::from(code).checked_sub(usize::from(Self::Event.code()))?;
        Self::ALL.get(place).copied()
    }

    /// The kind of a frame, as [`FrameKind::from_code`].
    pub(crate) fn of(frame: &Frame<'_>) -> Option<Self> {
        Self::from_code(frame.kind)
    }

    /// The parts of events that are in a frame of this kind.
    pub(crate) const fn event_part(self) -> EventPart {
        self.facts().0
    }

    /// Whether frames of this kind may say something of events that are in frames before them: whoever reads only
    /// events up to a place still needs these from behind it.
    pub(crate) const fn changes_events(self) -> bool {
        self.facts().1
    }

    /// Whether frames of this kind only make sense in the order in which they were written.
    ///
    /// Cleaning trims segments in any order, because what its own frames change is counted (see
    /// `kernel/dependencies.rs`). These kinds are not counted there: a segment that holds one is trimmed only
    /// as the oldest. Then what such a frame changes is never older in the log than what changed it.
    pub(crate) const fn goes_in_order(self) -> bool {
        self.facts().2
    }

    /// Whether cleaning must read frames of this kind to know what of them lives. Of the others memory says it, as long
    /// as no event of theirs is unsettled.
    pub(crate) const fn must_be_read(self) -> bool {
        match self {
            Self::Event | Self::Batch | Self::Settle => false,
            Self::Carried
            | Self::Effect
            | Self::Decision
            | Self::Keys
            | Self::Lease
            | Self::Record
            | Self::LeaseEnd
            | Self::Window
            | Self::Delivery
            | Self::Progress
            | Self::Clock
            | Self::Evict
            | Self::Cancel
            | Self::Fence
            | Self::Import
            | Self::Upstream
            | Self::Hold
            | Self::SyncResult
            | Self::Mark => true,
        }
    }

    /// Whether each frame of this kind is noted in its segment.
    pub(crate) const fn is_noted(self) -> bool {
        self.goes_in_order() || self.must_be_read()
    }

    /// What readers and the order of trimming need of a kind: its part of events, whether it changes events, whether it
    /// goes in order.
    const fn facts(self) -> (EventPart, bool, bool) {
        match self {
            Self::Event => (EventPart::Event, false, false),
            Self::Carried => (EventPart::Carried, true, false),
            Self::Effect => (EventPart::Effect, false, false),
            Self::Batch => (EventPart::Nothing, true, false),
            Self::Settle => (EventPart::Answers, true, false),
            Self::Decision => (EventPart::Nothing, true, false),
            Self::Keys => (EventPart::Keys, false, false),
            Self::Lease => (EventPart::Nothing, false, true),
            Self::Record => (EventPart::Nothing, false, true),
            Self::LeaseEnd => (EventPart::Nothing, false, true),
            Self::Window => (EventPart::Nothing, true, true),
            Self::Delivery => (EventPart::Nothing, true, true),
            Self::Progress => (EventPart::Nothing, true, true),
            Self::Clock => (EventPart::Nothing, true, false),
            Self::Evict => (EventPart::Nothing, true, true),
            Self::Cancel => (EventPart::Nothing, true, true),
            Self::Fence => (EventPart::Nothing, true, true),
            Self::Import => (EventPart::Nothing, true, true),
            Self::Upstream => (EventPart::Nothing, true, false),
            Self::Hold => (EventPart::Nothing, true, false),
            Self::SyncResult => (EventPart::Nothing, false, false),
            Self::Mark => (EventPart::Nothing, false, false),
        }
    }
}

const _: () = assert!(FrameKind::Event.code() >= KIND_HOST_MIN, "kinds below belong to the log");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_to_its_kind_and_no_other_does() {
        for code in 0..=u8::MAX {
            let found = FrameKind::ALL.into_iter().find(|kind| kind.code() == code);
            assert_eq!(FrameKind::from_code(code), found, "{code}");
        }
        assert!(FrameKind::ALL.is_sorted() && FrameKind::ALL[0] == FrameKind::Event);
    }
}
