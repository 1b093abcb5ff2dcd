//! What a session and its driver say to each other. No status numbers, no bytes of a wire.

use std::fmt;

use super::Misfit;
use super::{Answered, KeyRule, Upstream};
use crate::Lsn;
use crate::base::shown::OnlyLength;
use crate::event::{Receipt, Scope, StoredEvent};

/// The number of a batch: that of the frame that fixed its content.
///
/// ```
/// use onceward::sync::{Options, Session, Step};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
/// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
/// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
/// assert!(batch.idempotency_key.ends_with(&format!("-{}", batch.id)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// Returns the size in bytes of an event's item in a dialect, under the key by which the upstream gets it
/// ([`Batch::wire_key`]), or why it cannot form one.
///
/// An event that cannot is never sent: it goes to review when the upstream took others in the session, and
/// stays pending until then. With a wrong dialect no event can, and none of them is at fault.
///
/// ```
/// use onceward::sync::Fit;
///
/// let fit: Fit = Box::new(|event, key| Ok(event.event.payload.as_bytes().len() + key.len()));
/// # let _ = fit;
/// ```
pub type Fit = Box<dyn Fn(&StoredEvent, &str) -> Result<usize, Misfit> + Send>;

/// Events that are sent together. Content and number are durable before the first attempt, so a
/// resend, also after a crash, is the same batch.
///
/// ```
/// use onceward::sync::{Options, Session, Step};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
/// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
/// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
/// assert_eq!((batch.items.len(), batch.attempt), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The batch's number.
    pub id: BatchId,
    /// The scope of all its events.
    pub scope: Scope,
    /// The events, in the order of their numbers.
    pub items: Vec<StoredEvent>,
    /// Which attempt of this session this is, from 1.
    pub attempt: u32,
    /// `<store id>-<opening>-<batch number>`: the same for every resend. The opening is the random
    /// number, as 16 hex digits, of the opening of the store that formed the batch: a copy of a store
    /// forms batches with the same numbers.
    pub idempotency_key: String,
    /// The upstream for which the batch was formed.
    pub upstream: Upstream,
    /// How the keys of its events are kept apart from those of other scopes; see [`Batch::wire_key`].
    pub keys: KeyRule,
    /// The [settings](super::Options::with_settings) with which it was formed. The request is made of
    /// these and not of what the host has set now.
    pub settings: String,
}

impl Batch {
    /// The key under which the upstream gets one of the batch's events, and by which its reply names it.
    #[must_use]
    pub fn wire_key(&self, item: &StoredEvent) -> String {
        // One that has none is in no batch; without a key no upstream takes it.
        self.keys.wire_key(&self.scope, &item.event.key).unwrap_or_default()
    }
}

/// What the driver is to do next.
///
/// ```
/// use onceward::sync::{Options, Session, Step};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
/// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
/// match session.next(0)? {
///     Step::Send(batch) => println!("send {} events", batch.items.len()),
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
}

/// What a well-formed reply says, item by item.
///
/// ```
/// use onceward::sync::{ItemOutcome, Reply};
///
/// // In any order; what is not among them stays pending.
/// let items = vec![("sale-2".to_owned(), ItemOutcome::Duplicate { receipt: None })];
/// let reply = Reply { items };
/// # let _ = reply;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Key as the reply spelled it ([`Batch::wire_key`]), and its outcome. Order does not matter; an item that is
    /// missing stays pending, an unknown one is counted and ignored.
    pub items: Vec<(String, ItemOutcome)>,
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

/// What a session has done so far.
///
/// ```
/// use onceward::sync::{Options, Session, Step};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
/// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
/// while let Step::Send(batch) = session.next(0)? {
///     # let taken = onceward::sync::ItemOutcome::Accepted { receipt: None };
///     # let items = batch.items.iter().map(|item| (item.event.key.to_string(), taken.clone()));
///     # let reply = onceward::sync::Reply { items: items.collect() };
///     session.on_reply(batch.id, &reply, 0)?;
/// }
/// let report = session.report();
/// assert_eq!((report.attempted, report.accepted, report.missing), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Items sent, resends counted.
    pub attempted: u64,
    /// Items that took effect now.
    pub accepted: u64,
    /// Items that the upstream already had.
    pub duplicate: u64,
    /// Items that went to review.
    pub rejected: u64,
    /// The rejected items that no reply to a request with them rejected: they must not be sent again, or cannot be
    /// sent, or were suspects.
    pub parked: u64,
    /// Requests that were sent.
    pub batches: u64,
    /// Bytes of items sent, as the dialect counts them.
    pub bytes: u64,
    /// Items of replies that were not in the batch.
    pub strangers: u64,
    /// Items of batches that the reply left out, or gave two outcomes.
    pub missing: u64,
    /// Events that were sent to another [upstream](super::Upstream), which gave no answer, and are sent to this one
    /// now: the other may have taken them.
    pub readdressed: u64,
    /// Whether the line failed last.
    pub unreachable: bool,
    /// Whether an answer could not be written for want of room, and there is none yet. Its events stay pending.
    pub is_full: bool,
    /// Whether the upstream refuses the credentials or the version.
    pub blocked: bool,
    /// Wall clock until which the upstream asked not to be asked, Unix milliseconds, if it is not asked now.
    pub held_until_ms: Option<i64>,
    /// Events that were refused alone by what refuses a whole request. They stay pending until the
    /// upstream takes others, and go to review then.
    pub suspects: u64,
    /// Events that the dialect cannot send. They stay pending until the upstream takes others, and go to
    /// review then; after that they go at once.
    pub misfits: u64,
    /// Events that wait in their lane behind one that waits for a person, when there was nothing to send.
    pub behind: u64,
    /// Why the configuration is taken to be at fault: nothing that is sent is taken. All stays pending
    /// and one event is tried after the longest wait; with [`Effort::Once`](super::Effort::Once) the
    /// session ends.
    pub misconfigured: Option<String>,
    /// Requests that failed as a whole.
    pub failures: u64,
    /// Why something is not sent or not settled, if anything is not: the last reason, in words.
    pub last_failure: Option<String>,
}
