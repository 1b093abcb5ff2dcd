//! The answers that a store gives. No I/O here.

use std::fmt;

use crate::Lsn;
use crate::admission::Limit;
use crate::event::Receipt;

/// The answer to a capture.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// let Verdict::Fresh { lsn } = store.capture(&sale)? else { panic!("a new store") };
/// assert!(matches!(store.capture(&sale)?, Verdict::Duplicate { lsn: of, .. } if of == lsn));
/// let other = Event { payload: Payload::json("3.80")?, ..sale };
/// assert_eq!(store.capture(&other)?, Verdict::Conflict { lsn });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The key was not seen inside its window; the event is stored and durable.
    Fresh {
        /// The number of the event's first frame.
        lsn: Lsn,
    },
    /// The same event was captured before and that one is durable; nothing was written.
    Duplicate {
        /// The original's number.
        lsn: Lsn,
        /// How far the original is.
        state: State,
    },
    /// The key was seen with another kind, amount or payload; nothing was written.
    Conflict {
        /// The original's number.
        lsn: Lsn,
    },
}

impl Verdict {
    /// The number of the event that holds the key.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        match *self {
            Self::Fresh { lsn } | Self::Duplicate { lsn, .. } | Self::Conflict { lsn } => lsn,
        }
    }
}

/// The answer to an effect that was offered with [`Store::apply_batch`](crate::Store::apply_batch).
///
/// ```
/// use onceward::{Applied, Config, Effect, Event, Key, Payload, Receipt, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// let applied = store.apply_batch(&[Effect { event, receipt: Receipt::new(b"txn_1")? }])?;
/// assert!(matches!(applied[0], Applied::Fresh { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The effect is applied and durable.
    Fresh {
        /// The number of its frame.
        lsn: Lsn,
    },
    /// The same effect was applied before.
    Duplicate {
        /// The original's number.
        lsn: Lsn,
        /// The original's receipt.
        receipt: Option<Receipt>,
    },
    /// The key was applied with other content; nothing was written.
    Conflict {
        /// The original's number.
        lsn: Lsn,
    },
    /// The same effect came before, and nothing of it is left, as after damage: nobody can tell what became of
    /// it. Nothing was written.
    OutcomeUnknown {
        /// The original's number.
        lsn: Lsn,
    },
}

/// What a capture would answer now; see [`Store::would_accept`](crate::Store::would_accept).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, WouldAccept};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// assert_eq!(store.would_accept(&sale)?, WouldAccept::Fresh);
/// store.capture(&sale)?;
/// assert!(matches!(store.would_accept(&sale)?, WouldAccept::Duplicate { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WouldAccept {
    /// It would be stored.
    Fresh,
    /// The same event is here.
    Duplicate {
        /// The original's number.
        lsn: Lsn,
        /// How far the original is.
        state: State,
    },
    /// The key is here with another kind, amount or payload.
    Conflict {
        /// The original's number.
        lsn: Lsn,
    },
    /// A limit leaves no room for it.
    Refused {
        /// Which.
        limit: Limit,
    },
}

/// The answer to [`Store::cancel`](crate::Store::cancel).
///
/// ```
/// use onceward::{Cancellation, Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// store.capture(&sale)?;
/// let first = store.cancel(&sale.scope, &sale.key)?;
/// assert!(matches!(first, Cancellation::Cancelled { .. }));
/// let again = store.cancel(&sale.scope, &sale.key)?;
/// assert!(matches!(again, Cancellation::TooLate { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cancellation {
    /// It is taken back: it was never sent and never will be.
    Cancelled {
        /// The event's number.
        lsn: Lsn,
    },
    /// It is too late, or it was cancelled before: nothing changed.
    TooLate {
        /// The event's number.
        lsn: Lsn,
        /// How far it is. `Pending` is an event that was attempted before and is to be sent again.
        state: State,
    },
}

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
    /// The upstream accepted it.
    Accepted = 3,
    /// The upstream already had it.
    Duplicate = 4,
    /// A person resolved it: the upstream refused it for good, or nobody knew whether it had it.
    Rejected = 5,
    /// The upstream refused it for good; it waits for a person.
    InReview = 6,
    /// Whether the upstream has it cannot be known; it waits for a person.
    Uncertain = 7,
    /// It was too old to be sent, or dropped to make room.
    Expired = 8,
    /// The host took it back before the first attempt.
    Cancelled = 9,
    /// Its key was taken, and nothing of it is left, as after damage: nobody can tell what became of it, and
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

    /// The number that stands for the state on disk.
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

/// What is known of a key.
///
/// ```
/// use onceward::{Config, Key, Outcome, Scope, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let outcome = store.outcome(&Scope::default(), &Key::new("never-seen")?)?;
/// assert_eq!(outcome, Outcome { state: State::Unknown, lsn: None, receipt: None });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// How far the event is; `Unknown` when the key is not remembered.
    pub state: State,
    /// The event's number, if the key is known.
    pub lsn: Option<Lsn>,
    /// The upstream's receipt, if it gave one.
    pub receipt: Option<Receipt>,
}
