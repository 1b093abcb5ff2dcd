//! The answers that a store gives. No I/O here.

use crate::Lsn;
use crate::base::State;
use crate::event::Receipt;
use crate::limits::Limit;

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
#[non_exhaustive]
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
/// use onceward::{Config, Event, Key, Payload, Receipt, Scope, Store};
/// use onceward::capture::{Applied, Effect};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// let applied = store.apply_batch(&[Effect { event, receipt: Receipt::new(b"txn_1")? }])?;
/// assert!(matches!(applied[0], Applied::Fresh { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
    /// The same effect came before, and nothing of it is left, as after damage: what became of it cannot be known.
    /// Nothing was written.
    OutcomeUnknown {
        /// The original's number.
        lsn: Lsn,
    },
}

/// What a capture would answer now; see [`Store::would_accept`](crate::Store::would_accept).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::capture::WouldAccept;
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
    /// The event would be stored.
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
        /// The limit.
        limit: Limit,
    },
}
