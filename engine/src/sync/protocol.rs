//! What a session and its driver say to each other. No status numbers, no bytes of a wire.

use std::fmt;

use super::{Answered, Batch};
use crate::Lsn;
use crate::base::shown::OnlyLength;
use crate::event::{Receipt, Scope};

/// What the driver is to do next.
///
/// ```
/// use onceward::sync::{Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// match session.next(0)? {
///     Step::Send(batch) => println!("send {} events", batch.items().len()),
///     Step::Wait { until_ms } => println!("ask again at {until_ms}"),
///     Step::Idle => println!("ask again after a capture"),
///     Step::Blocked => println!("a new key is needed"),
///     _ => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Send this and report with `on_reply` or `on_failure`.
    Send(Batch),
    /// Ask again at this time, or earlier after a capture or a decision of a person.
    Wait {
        /// By the clock whose time [`Session::next`](super::Session::next) gets, milliseconds.
        until_ms: u64,
    },
    /// Nothing to send. With [`Effort::Forever`](super::Effort::Forever): ask again as for `Wait`.
    Idle,
    /// The upstream refuses the credentials or the version. Nothing is sent until
    /// [`on_new_key`](super::Session::on_new_key), or [`on_online`](super::Session::on_online) if it was mended there.
    Blocked,
    /// As many batches are on their way as may be, or what comes next depends on what becomes of them: ask again after
    /// the next report. Never for a driver that reports on each batch before it asks for another one.
    Await,
    /// Open a connection to the upstream, send nothing, and report with [`Drain::on_probe`](super::Drain::on_probe)
    /// whether that succeeded. Never from a session.
    Probe,
    /// Ask the upstream for anything that changes nothing there, so that it says what time it is, and report with
    /// [`Drain::on_time_answer`](super::Drain::on_time_answer). Never from a session, of which the driver asks
    /// [`Session::asks_time`](super::Session::asks_time).
    AskTime(Scope),
    /// Ask the upstream for the outcome of a key, and report with [`Drain::on_outcome`](super::Drain::on_outcome).
    /// Never from a session, which has [`Session::question`](super::Session::question); and only with
    /// [`Options::with_lookups`](super::Options::with_lookups).
    AskOutcome(Question),
}

/// What the upstream is asked for: the outcome of one key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// The scope of the event.
    pub scope: Scope,
    /// The key by which the upstream has it.
    pub key: String,
    /// The event's number.
    pub lsn: Lsn,
}

/// What a well-formed reply says, item by item.
///
/// ```
/// use onceward::sync::{ItemOutcome, Reply};
///
/// // In any order; what is not among them stays pending.
/// let items = vec![("sale-2".to_owned(), ItemOutcome::Duplicate { receipt: None })];
/// let reply = Reply::of(items);
/// # let _ = reply;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reply {
    /// Key as the reply spelled it ([`Item::key`](super::Item::key)), and its outcome. Order does not matter; an item
    /// that is missing stays pending, an unknown one is counted and ignored.
    pub items: Vec<(String, ItemOutcome)>,
    /// The outcome of all that the reply does not name, from an upstream that confirms a batch as a whole, by its
    /// key, and names the exceptions; `None`, as from every other one: what it does not name stays pending.
    pub rest: Option<ItemOutcome>,
    /// What the upstream wants to be reminded of with the next batches ([`Batch::mark`]), such as how far it has the
    /// history of this store: its first word the key of the last batch there; at most 1,024 bytes; kept by the store
    /// before anything is settled.
    pub mark: Option<String>,
}

impl Reply {
    /// A reply with these outcomes by key, and nothing else.
    #[must_use]
    pub fn of(items: Vec<(String, ItemOutcome)>) -> Self {
        Self { items, rest: None, mark: None }
    }
}

/// What the upstream says of one event.
///
/// ```
/// use onceward::sync::ItemOutcome;
///
/// /// What this upstream's words mean.
/// fn outcome(word: &str) -> ItemOutcome {
///     match word {
///         "ok" => ItemOutcome::Accepted { receipt: None },
///         "known" => ItemOutcome::Duplicate { receipt: None },
///         "busy" => ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms: None },
///         code => ItemOutcome::Rejected {
///             code: code.to_owned(),
///             message: "refused".to_owned(),
///             reply: Vec::new(),
///         },
///     }
/// }
/// assert_eq!(outcome("ok"), ItemOutcome::Accepted { receipt: None });
/// ```
#[derive(Clone, Eq, PartialEq)]
pub enum ItemOutcome {
    /// The event took effect now.
    Accepted {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// The event had taken effect before.
    Duplicate {
        /// The upstream's receipt.
        receipt: Option<Receipt>,
    },
    /// The event is refused for good: a person must decide.
    Rejected {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
        /// The reply for this item.
        reply: Vec<u8>,
    },
    /// The event came before, and the upstream cannot know whether it took effect: a person must find out.
    Uncertain {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
    },
    /// The event failed for now: it is sent again, in a new batch.
    Transient {
        /// The upstream's code.
        code: String,
        /// The upstream's wish.
        retry_after_ms: Option<u64>,
    },
}

impl fmt::Debug for ItemOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { receipt } => {
                f.debug_struct("Accepted").field("receipt", receipt).finish()
            }
            Self::Duplicate { receipt } => {
                f.debug_struct("Duplicate").field("receipt", receipt).finish()
            }
            Self::Rejected { code, message, reply } => f
                .debug_struct("Rejected")
                .field("code", code)
                .field("message", message)
                .field("reply", &OnlyLength(reply))
                .finish(),
            Self::Uncertain { code, message } => {
                f.debug_struct("Uncertain").field("code", code).field("message", message).finish()
            }
            Self::Transient { code, retry_after_ms } => f
                .debug_struct("Transient")
                .field("code", code)
                .field("retry_after_ms", retry_after_ms)
                .finish(),
        }
    }
}

/// Why a whole batch has no outcome by item.
///
/// ```
/// use onceward::sync::{Answered, Failure};
///
/// /// What a status of HTTP means for a batch as a whole, where the upstream surely said it itself.
/// fn failure(status: u16) -> Failure {
///     match status {
///         401 | 403 => Failure::Blocked { why: "the key is refused".to_owned() },
///         409 => Failure::InProgress { retry_after_ms: None },
///         413 => Failure::TooLarge,
///         422 => Failure::Refused { code: "INVALID".to_owned(), message: "an item".to_owned() },
///         _ => Failure::Unavailable {
///             why: format!("status {status}"),
///             retry_after_ms: None,
///             answered: Answered::Upstream,
///         },
///     }
/// }
/// assert_eq!(failure(413), Failure::TooLarge);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection, no answer in time, an answer that proves nothing, or a server's error: the same
    /// batch again. After the third time others go first, and if they are taken it is halved, so that an
    /// event that never gets through waits alone.
    Unavailable {
        /// What happened, in words.
        why: String,
        /// The wish of whoever answered.
        retry_after_ms: Option<u64>,
        /// Who answered, if anybody did.
        answered: Answered,
    },
    /// The credentials or the version are refused: pause, spend no attempts.
    Blocked {
        /// What happened, in words.
        why: String,
    },
    /// The upstream's own server says that it does not serve this at this address, or not in this form: no
    /// event is at fault, and the configuration is.
    Misdirected {
        /// What happened, in words.
        why: String,
    },
    /// The batch has too many bytes: send halves. Of one event: as [`Failure::Refused`], or the line's
    /// fault if a larger one was taken.
    TooLarge,
    /// The reply has more bytes than are taken: send halves, whose replies are shorter. One to a single event
    /// says nothing about the event.
    ReplyTooLarge {
        /// What happened, in words.
        why: String,
    },
    /// Somebody on the way, who is not the upstream, refuses the request for its size: send halves. One for
    /// a single event says nothing about the event.
    LineTooNarrow {
        /// What happened, in words.
        why: String,
    },
    /// The batch is refused as a whole: split it until the item that causes it is found, which waits for
    /// a person once the upstream takes others. Not for what a stranger on the way says.
    Refused {
        /// The upstream's code.
        code: String,
        /// The upstream's words.
        message: String,
    },
    /// The batch's key is taken by other content: a fault of the key and of no event. They are sent
    /// again in a new batch, which has another key. Not for dialects in which that key is the only
    /// one of an item: see [`ItemOutcome::Rejected`].
    BatchKeyRefused {
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
