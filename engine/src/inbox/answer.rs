//! What the inbox returns: answers, states and counts. No I/O here.

use std::fmt;

use super::Delivery;
use crate::Lsn;

/// The answer to a delivery.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, Received};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
/// assert!(matches!(store.inbox().receive(&delivery)?, Received::Fresh { .. }));
/// assert!(matches!(store.inbox().receive(&delivery)?, Received::Duplicate { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Received {
    /// The delivery was not seen before; it is stored and durable.
    Fresh {
        /// The delivery's number, by which all other calls name it.
        lsn: Lsn,
    },
    /// The delivery was received before, durably; nothing was written.
    Duplicate {
        /// The number of the first one.
        lsn: Lsn,
        /// How far the first one is. If it is finished the upstream did not hear of it yet, or asks
        /// again: the answer of the first one still travels, and may be repeated by other means.
        state: DeliveryState,
    },
    /// The delivery is not accepted, and nothing was stored: it may be delivered again.
    Dropped {
        /// Why the delivery is not accepted.
        why: DropReason,
    },
}

/// Why a delivery is not taken.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, DropReason, Received, WindowId, WindowKey};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let within = WindowKey::new("user-17", "tour", WindowId::new("session-1")?)?;
/// let early = Delivery::of_window(within, Payload::json("{}")?);
/// assert_eq!(store.inbox().receive(&early)?, Received::Dropped { why: DropReason::WindowNotOpen });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DropReason {
    /// The delivery's window is over, or was never opened.
    WindowNotOpen,
    /// The inbox holds as many unfinished deliveries, or bytes of them, as it may.
    Full,
}

/// How far a delivery is.
///
/// The numbers are on disk: never change or reuse one.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, DeliveryState, Received};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
/// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
/// store.inbox().fail(lsn, "no such article")?;
/// let known = store.inbox().get(lsn)?.ok_or("it was received")?;
/// assert_eq!((known.state, known.state.as_str()), (DeliveryState::Failed, "failed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum DeliveryState {
    /// Received, and not finished.
    Open = 1,
    /// Finished with [`Inbox::ack`](crate::inbox::Inbox::ack).
    Acked = 2,
    /// Finished with [`Inbox::fail`](crate::inbox::Inbox::fail).
    Failed = 3,
    /// The delivery's window was over before it was finished.
    Dropped = 4,
    /// Damage took what the log had of it: what became of it cannot be known. Never on disk.
    OutcomeUnknown = 5,
}

impl DeliveryState {
    /// The state's name in snake case, as programs see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acked => "acked",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
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
        [Self::Open, Self::Acked, Self::Failed, Self::Dropped]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer to a step that is done.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, Progress, Received};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
/// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
/// assert_eq!(store.inbox().progress(lsn, 1)?, Progress::Noted { next: Some(2) });
/// assert_eq!(store.inbox().progress(lsn, 1)?, Progress::DoneBefore { next: Some(2) });
/// assert_eq!(store.inbox().progress(lsn, 2)?.next(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// The step is noted, durably.
    Noted {
        /// The step to do next; `None` after the last one.
        next: Option<u32>,
    },
    /// This step, or a later one, was done before; nothing was written.
    DoneBefore {
        /// The step to do next; `None` after the last one.
        next: Option<u32>,
    },
}

impl Progress {
    /// The step to do next; `None` after the last one.
    #[must_use]
    pub fn next(self) -> Option<u32> {
        match self {
            Self::Noted { next } | Self::DoneBefore { next } => next,
        }
    }
}

/// A delivery as the log holds it.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::Delivery;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
/// store.inbox().receive(&delivery)?;
/// let open = &store.inbox().list(None, 10)?[0];
/// assert_eq!((open.delivery.event_id(), open.next_step), (Some("6f1c2c1e"), Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredDelivery {
    /// The delivery's number.
    pub lsn: Lsn,
    /// What was delivered.
    pub delivery: Delivery,
    /// How far it is.
    pub state: DeliveryState,
    /// The step to do next, counted from 1; `None` if all are done.
    pub next_step: Option<u32>,
    /// When it was received, Unix milliseconds by the wall clock. `None`: damage took what says it, and
    /// nobody knows.
    pub received_at_ms: Option<i64>,
}

/// A delivery that was stored and dropped, because its window was over before it was finished.
///
/// ```
/// use std::time::Duration;
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, WindowId, WindowKey};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let window = WindowId::new("session-1")?;
/// store.inbox().open_window(&window, Duration::from_mins(1))?;
/// let within = WindowKey::new("user-17", "tour", window.clone())?;
/// store.inbox().receive(&Delivery::of_window(within, Payload::json("{}")?))?;
/// store.inbox().close_window(&window)?;
/// let dropped = &store.inbox().dropped()[0];
/// assert_eq!((dropped.id.as_str(), dropped.window.as_str()), ("tour", "session-1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DroppedDelivery {
    /// The delivery's number.
    pub lsn: Lsn,
    /// The upstream's number of the event; where it had none, the delivery's in its window.
    pub id: String,
    /// The window that is over.
    pub window: String,
}

/// How many deliveries are where.
///
/// ```
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::Delivery;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
/// store.inbox().receive(&delivery)?;
/// store.inbox().receive(&delivery)?;
/// let status = store.inbox().status();
/// assert_eq!((status.open, status.duplicates), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboxStatus {
    /// Count of unfinished deliveries.
    pub open: u64,
    /// Bytes of unfinished deliveries in the log.
    pub open_bytes: u64,
    /// Deliveries that ended with `ack` or `fail` and are not forgotten.
    pub finished: u64,
    /// Server windows that are open.
    pub windows: u64,
    /// Deliveries that were stored and dropped because their window was over, since the store was
    /// made: written with the frame that drops them.
    pub dropped: u64,
    /// Repetitions since the store was opened.
    pub duplicates: u64,
    /// Deliveries that were not taken because their window was not open, since the store was opened.
    pub refused_window_not_open: u64,
    /// Deliveries that were not taken because the inbox was full, since the store was opened.
    pub refused_full: u64,
}
