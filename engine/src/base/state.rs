//! How far an event is.

use std::fmt;

/// How far an event is.
///
/// The numbers are in key entries on disk: never change or reuse one.
///
/// ```
/// use onceward::State;
///
/// assert_eq!(State::InReview.to_string(), "in_review");
/// assert!(State::Accepted.is_final() && !State::Uncertain.is_final());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum State {
    /// No event with this key is known.
    Unknown = 0,
    /// Stored, not sent yet, or sent and to be sent again.
    Pending = 1,
    /// In a batch that was sent and is not answered.
    InFlight = 2,
    /// The upstream accepted the event.
    Accepted = 3,
    /// The upstream already had the event.
    Duplicate = 4,
    /// A person resolved the event: the upstream refused it for good, or nobody knew whether the upstream had it.
    Rejected = 5,
    /// The upstream refused the event for good; it waits for a person.
    InReview = 6,
    /// Whether the upstream has it cannot be known; it waits for a person.
    Uncertain = 7,
    /// The event was too old to be sent, or was dropped to make room.
    Expired = 8,
    /// The host took the event back before the first attempt.
    Cancelled = 9,
    /// The event's key was taken, and nothing else of it is left, as after damage: what became of it cannot be
    /// known, and
    /// it will never be sent.
    OutcomeUnknown = 10,
}

impl State {
    /// The state's name in snake case, as programs see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::InFlight => "in_flight",
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
            Self::InReview => "in_review",
            Self::Uncertain => "uncertain",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }

    /// The number of the state on disk.
    pub(crate) fn code(self) -> u8 {
        // A fieldless enum with `repr(u8)`: the cast is the number written above.
        self as u8
    }

    /// The state of a number from disk.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [
            Self::Unknown,
            Self::Pending,
            Self::InFlight,
            Self::Accepted,
            Self::Duplicate,
            Self::Rejected,
            Self::InReview,
            Self::Uncertain,
            Self::Expired,
            Self::Cancelled,
            Self::OutcomeUnknown,
        ]
        .into_iter()
        .find(|state| state.code() == code)
    }

    /// Whether nothing more will happen to the event.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Accepted
                | Self::Duplicate
                | Self::Rejected
                | Self::Expired
                | Self::Cancelled
                | Self::OutcomeUnknown
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
