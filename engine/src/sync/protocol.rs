//! What a session and its driver say to each other. No status numbers, no bytes of a wire.

use std::fmt;

use crate::Lsn;
use crate::event::{Receipt, Scope, StoredEvent};

/// The number of a batch: that of the frame that fixed its content.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BatchId(pub(crate) Lsn);

impl BatchId {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why an event cannot form an item of a dialect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misfit {
    /// Short name in capitals, such as `INVALID_ITEM`.
    pub code: String,
    /// Which field breaks which rule.
    pub message: String,
}

/// Tells the size in bytes of an event's item in a dialect, or why it cannot form one.
///
/// An event that cannot goes to review without being sent.
pub type Fit = Box<dyn Fn(&StoredEvent) -> Result<usize, Misfit> + Send>;

/// Events that are sent together. Content and number are durable before the first attempt, so a
/// resend, also after a crash, is the same batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number.
    pub id: BatchId,
    /// The scope of all its events.
    pub scope: Scope,
    /// The events, in the order of their numbers.
    pub items: Vec<StoredEvent>,
    /// Which attempt of this session this is, from 1.
    pub attempt: u32,
    /// `<store id>-<batch number>`: the same for every resend.
    pub idempotency_key: String,
}

/// What the driver is to do next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Send this and report with `on_reply` or `on_failure`.
    Send(Batch),
    /// Ask again at this time, or earlier when something was captured.
    Wait {
        /// On the caller's monotonic clock, milliseconds.
        until_ms: u64,
    },
    /// Nothing to send. With [`Effort::Forever`](super::Effort::Forever): ask again after a capture.
    Idle,
    /// The upstream refuses the credentials or the version. Nothing is sent until `on_online`.
    Blocked,
}

/// What a well-formed reply says, item by item.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Key as the reply spelled it, and its outcome. Order does not matter; an item that is missing
    /// stays pending, an unknown one is counted and ignored.
    pub items: Vec<(String, ItemOutcome)>,
}

/// What the upstream says of one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ItemOutcome {
    /// It took effect now.
    Accepted {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It had taken effect before.
    Duplicate {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// It is refused for good: a person must decide.
    Rejected {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
        /// The reply for this item.
        reply: Vec<u8>,
    },
    /// It failed for now: it is sent again, in a new batch.
    Transient {
        /// The upstream's code.
        code: String,
        /// The upstream's wish.
        retry_after_ms: Option<u64>,
    },
}

/// Why a whole batch has no outcome by item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection, no answer in time, an answer that proves nothing, or a server's error.
    Unavailable {
        /// In words.
        why: String,
        /// The upstream's wish.
        retry_after_ms: Option<u64>,
    },
    /// The credentials or the version are refused: pause, spend no attempts.
    Blocked {
        /// In words.
        why: String,
    },
    /// The batch has too many bytes: send halves.
    TooLarge,
    /// The batch is refused as a whole: split it until the item that causes it is found.
    Refused {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
    },
    /// The upstream still works on the same batch: not a failure, ask again.
    InProgress {
        /// The upstream's wish.
        retry_after_ms: Option<u64>,
    },
}

/// What a session has done so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Items sent, resends counted.
    pub attempted: u64,
    /// Items that took effect now.
    pub accepted: u64,
    /// Items that the upstream already had.
    pub duplicate: u64,
    /// Items that went to review.
    pub rejected: u64,
    /// Requests.
    pub batches: u64,
    /// Bytes of items sent, as the dialect counts them.
    pub bytes: u64,
    /// Items of replies that were not in the batch.
    pub strangers: u64,
    /// Items of batches that the reply left out, or told two ways.
    pub missing: u64,
    /// Whether the line failed last.
    pub unreachable: bool,
    /// Whether the upstream refuses the credentials or the version.
    pub blocked: bool,
    /// Whole-batch failures.
    pub failures: u64,
    /// The last of them, in words.
    pub last_failure: Option<String>,
}
