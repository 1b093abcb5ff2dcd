//! What a store tells about itself: plain structs, nothing hidden in a log line.

use std::fmt;

use crate::Lsn;
use crate::event::{Amount, Key, Scope, StoredEvent};
use crate::frames::control::Rejection;
use crate::leaving::Fence;

/// A store's number of 128 random bits, made once. Prints as 32 hexadecimal digits.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let id = store.id().to_string();
/// assert_eq!(id.len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StoreId(pub(crate) [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// How many events are where, and how much room they take.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let status = store.status();
/// assert_eq!((status.pending, status.in_flight, status.settled), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Events that wait to be sent, in all scopes.
    pub pending: u64,
    /// Events in a batch that was formed and is not answered.
    pub in_flight: u64,
    /// Events with a final answer whose key is still remembered. Where there are finished deliveries
    /// that expired and are not cleaned away yet, up to three fewer for each.
    pub settled: u64,
    /// Keys whose events or records are lost to damage and which stay taken: nobody knows what became of
    /// them. What an upstream knows of them tells; a person has to ask.
    pub lost: u64,
    /// Events that the upstream refused for good and that wait for a person.
    pub in_review: u64,
    /// Events of which nobody knows whether they took effect, and that wait for a person.
    pub uncertain: u64,
    /// Those of the pending events that wait in their lane behind one that waits for a person: they are sent once
    /// that is decided.
    pub behind: u64,
    /// Bytes of the log's segments on disk.
    pub bytes: u64,
    /// Time since the oldest event that is not settled was captured, milliseconds; 0 if none.
    pub oldest_pending_ms: u64,
    /// Sum of the amounts of all events that are not settled.
    pub amount_pending: Amount,
    /// Whether that sum does not fit: it is at least the largest amount, or at most the smallest, which is told.
    pub amount_is_at_limit: bool,
    /// Bytes that events which are not settled take in the log.
    pub unsettled_bytes: u64,
    /// Events that were dropped to make room, since the store was made; see
    /// [`Store::losses`](crate::Store::losses).
    pub evicted: u64,
    /// Events that were cancelled, since the store was made.
    pub cancelled: u64,
    /// Keys that are remembered, those of leases, records and deliveries included: one to three for each
    /// delivery.
    pub keys: u64,
    /// Leases that are neither completed nor released, those included whose outcome is unknown.
    pub leases: u64,
    /// Completed records that are remembered.
    pub records: u64,
    /// Why the index's files could not be written lately, or were made anew since the store was opened, if so. Nothing
    /// is lost then: the log has it all, and where it has not, this says so.
    pub index_trouble: Option<String>,
    /// How far the upstream's clock is ahead of this machine's wall clock, milliseconds, if it told its
    /// time since the machine was started; see [`Store::server_offset`](crate::Store::server_offset).
    pub server_offset_ms: Option<i64>,
    /// Why the catalog's files could not be used lately, if so. Nothing is lost then: its answers
    /// come from memory, and the next opening makes the files anew.
    pub catalog_trouble: Option<String>,
    /// Decisions that were dropped into the store's directory and refused, the last 16.
    pub decision_troubles: Vec<DecisionTrouble>,
    /// Damaged ranges that opening found, or a later reading of the log: what stood there may be lost.
    /// [`Store::recovery`](crate::Store::recovery) names those of the opening, [`verify`](crate::verify()) all; a store
    /// of which this is not 0 should be shown to a person.
    pub damaged_ranges: u64,
    /// The fence, if the store is left: what it did not deliver is in a bundle, so it sends nothing and
    /// takes nothing new.
    pub fence: Option<Fence>,
}

/// What a store knows a key by: a fingerprint that only this store makes. Prints as 32 hexadecimal
/// digits.
///
/// ```
/// use onceward::{Class, Config, Event, Key, Limits, Payload, Scope, Store, WhenFull};
///
/// let limits = Limits::new().count(1).when_full(WhenFull::EvictOldest);
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new().limits(limits))?;
/// for key in ["reading-1", "reading-2"] {
///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("21.5")?);
///     store.capture(&event.with_class(Class::Evictable))?;
/// }
/// // Of an event whose bytes are gone the print is left.
/// assert_eq!(store.losses(None, 10)?[0].print.to_string().len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyPrint(pub(crate) u128);

impl fmt::Display for KeyPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// An event that was dropped to make room; see [`Store::losses`](crate::Store::losses).
///
/// ```
/// use onceward::{Class, Config, Event, Key, Limits, Payload, Scope, Store, WhenFull};
///
/// let limits = Limits::new().count(1).when_full(WhenFull::EvictOldest);
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new().limits(limits))?;
/// for key in ["reading-1", "reading-2"] {
///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("21.5")?);
///     store.capture(&event.with_class(Class::Evictable))?;
/// }
/// let loss = &store.losses(None, 10)?[0];
/// assert_eq!(loss.key.as_ref().map(|key| key.as_str()), Some("reading-1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key, while the log still has it.
    pub key: Option<Key>,
    /// What the store knows the key by.
    pub print: KeyPrint,
    /// When it was dropped, Unix milliseconds by the wall clock.
    pub dropped_ms: i64,
}

/// A file with a decision that was not carried out; see [`write_decision`](crate::write_decision).
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.tick()?;
/// for trouble in store.status().decision_troubles {
///     println!("{}: {}", trouble.file, trouble.why);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DecisionTrouble {
    /// The file's name within `decisions`.
    pub file: String,
    /// Why it was refused.
    pub why: String,
}

/// An event that waits for a person: the upstream refused it for good, or nobody knows whether it
/// took effect, as `event.state` says.
///
/// ```
/// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// # store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// # let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
/// # store.settle(&[Settlement { scope: scope.clone(), key: key.clone(), answer }])?;
/// let item = store.review(&scope, &key)?;
/// assert_eq!((item.code.as_str(), item.event.event.payload.as_json()), ("NO_CARD", Some("{}")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReviewItem {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The upstream's code for the reason, such as `CARD_NOT_FOUND`; `UNREADABLE` if the disk lost
    /// the reason after the store was opened.
    pub code: String,
    /// The upstream's words.
    pub message: String,
    /// The beginning of the upstream's reply for this event, at most 1 KiB.
    pub reply: Vec<u8>,
    /// When it came into review, Unix milliseconds by the wall clock.
    pub since_ms: i64,
    /// The number of the frame that put it here: it differs each time the event comes into review,
    /// and a decision that names it is carried out only if nobody decided first.
    pub version: u64,
    /// The event itself.
    pub event: StoredEvent,
}

impl ReviewItem {
    /// The item of an event and the reason why it waits.
    pub(crate) fn of(event: StoredEvent, review: Rejection) -> Self {
        Self {
            lsn: event.lsn,
            scope: event.event.scope.clone(),
            key: event.event.key.clone(),
            code: review.code,
            message: review.message,
            reply: review.reply,
            since_ms: review.since_ms,
            version: review.version,
            event,
        }
    }
}

/// Bytes that came back from the disk different from what was written.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// for damage in &store.recovery().damage {
///     println!("{} {} {} {}", damage.file, damage.offset, damage.length, damage.what);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The file's name within the store's directory.
    pub file: String,
    /// Offset of the first bad byte.
    pub offset: u64,
    /// Count of bytes that cannot be used.
    pub length: u64,
    /// What is wrong, and which numbers are lost.
    pub what: String,
}

/// What opening found.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let found = store.recovery();
/// assert!(found.damage.is_empty() && found.torn_bytes == 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecoveryReport {
    /// Whether the store had been closed in order.
    pub clean: bool,
    /// Frames that were read.
    pub frames: u64,
    /// Bytes of a torn tail: what a crash during an append leaves. Cut, and a copy kept where whole
    /// frames stood in it.
    pub torn_bytes: u64,
    /// Whole frames within the torn tail: never confirmed to a caller, kept in quarantine.
    pub torn_frames_in_doubt: u64,
    /// Damaged ranges. Never repaired silently.
    pub damage: Vec<Damage>,
    /// Keys of which the log lost everything to damage, and which the index still knew: they stay taken, and
    /// their outcome is unknown. Counted once, by the opening that found it.
    pub keys_of_lost_frames: u64,
    /// Why the files of the index could not be used, if they could not: then it was rebuilt from the
    /// log, which lost nothing. A store that was never closed has none.
    pub index_rebuilt: Option<String>,
    /// Why the catalog's files could not be used, if they could not: then they were made anew from
    /// the log, which lost nothing. What was there is kept aside as `catalog.damaged-N`.
    pub catalog_rebuilt: Option<String>,
    /// The time since the store was last in use, if nothing measured it: the machine was started anew, or
    /// does not tell, or damage took what tells. That time does not count for expiry, and keys are
    /// remembered so much longer, unless [`Store::confirm_time`](crate::Store::confirm_time) proves it.
    pub unmeasured: Option<Unmeasured>,
}

/// Time that nobody measured.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// if let Some(off) = store.recovery().unmeasured {
///     println!("off for {:?} ms, by a clock that nobody vouches for", off.by_wall_clock_ms);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unmeasured {
    /// What the wall clock says of it, milliseconds; below 0 if it was set back. `None`: not even that is
    /// known.
    pub by_wall_clock_ms: Option<i64>,
}

impl RecoveryReport {
    /// How many ranges are damaged.
    pub(crate) fn damaged_ranges(&self) -> u64 {
        u64::try_from(self.damage.len()).unwrap_or(u64::MAX)
    }
}
