//! What a terminal captures: an event and the checked values that it is made of. No I/O here.

mod amount;
#[cfg(feature = "serde")]
mod as_text;
mod borrowed;
mod headers;
mod label;
pub(crate) mod layout;
mod payload;
mod receipt;
mod text;
pub(crate) mod together;

pub use amount::Amount;
pub(crate) use borrowed::fields;
pub use borrowed::{AnyEvent, EventRef, PayloadRef};
pub use headers::Headers;
pub use label::{Key, Kind, Lane, Scope};
pub use payload::Payload;
pub use receipt::Receipt;

use crate::Lsn;
use crate::base::{BootId, State};

/// Whether an event may be dropped when the store is full.
///
/// ```
/// use onceward::{Class, Event, Key, Payload, Scope};
///
/// // Of temperatures the newest matter; a sale is never dropped.
/// let reading = Event::new(Scope::default(), Key::generate(), Payload::json("21.5")?);
/// assert_eq!(reading.class, Class::Keep);
/// let reading = reading.with_class(Class::Evictable);
/// # let _ = reading;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Class {
    /// Never dropped: a full store refuses new events instead.
    #[default]
    Keep,
    /// May be dropped, oldest first, and counted, where the store is configured to make room.
    Evictable,
}

/// Something that happened at the terminal and must take effect upstream once.
///
/// ```
/// use onceward::{Event, Key, Payload, Scope};
///
/// let key = Key::new("till-7-receipt-000042")?;
/// let payload = Payload::json(r#"{ "total": 24.50 }"#)?;
/// let event = Event::new(Scope::default(), key, payload).with_amount("24.50".parse()?);
/// assert_eq!(event.payload.as_bytes(), br#"{"total":24.50}"#);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Logical grouping of keys, such as `sales` or `tickets`.
    pub scope: Scope,
    /// The idempotency key: made before the event is captured, and never changed.
    pub key: Key,
    /// What kind of event this is, such as `PAYMENT`.
    pub kind: Kind,
    /// The content.
    pub payload: Payload,
    /// When it happened, Unix milliseconds by the caller's clock; `None` is the moment of capture.
    /// Data only: it decides no expiry.
    pub captured_at_ms: Option<i64>,
    /// The money that the event is about.
    pub amount: Option<Amount>,
    /// Events of one lane, within a scope, are sent in the order of their numbers and one at a time:
    /// the next one only once the one before it has its final answer. One that fails for now, or
    /// waits for a person, so holds up those behind it, and nobody else. A host that delivers by
    /// itself, without a [`Session`](crate::sync::Session), sees to it itself.
    pub lane: Option<Lane>,
    /// Whether it may be dropped when the store is full.
    pub class: Class,
    /// Names and values for whoever receives it. Two events that differ only in these are the same.
    pub headers: Headers,
}

impl Event {
    /// Makes an event of kind `event`, captured now, with no amount, no lane and no headers.
    #[must_use]
    pub fn new(scope: Scope, key: Key, payload: Payload) -> Self {
        Self {
            scope,
            key,
            kind: Kind::default(),
            payload,
            captured_at_ms: None,
            amount: None,
            lane: None,
            class: Class::Keep,
            headers: Headers::new(),
        }
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the amount.
    #[must_use]
    pub fn with_amount(mut self, amount: Amount) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Sets when it happened, Unix milliseconds.
    #[must_use]
    pub fn with_captured_at_ms(mut self, captured_at_ms: i64) -> Self {
        self.captured_at_ms = Some(captured_at_ms);
        self
    }

    /// Sets the lane.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Sets the class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }
}

/// An event as the log holds it.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, State, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
/// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
/// let stored = store.find(&scope, &key)?.ok_or("it was captured")?;
/// assert_eq!((stored.event.key, stored.state), (key, State::Pending));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// The number of its first frame: its name for ever.
    pub lsn: Lsn,
    /// The event. `captured_at_ms` is as it was given.
    pub event: Event,
    /// When it happened, Unix milliseconds: as given, or else the wall clock at the capture. `None`: nobody
    /// knows, because damage took the frame of the log that says it; such a time is never made up.
    pub captured_at_ms: Option<i64>,
    /// The machine's boot during which it was captured; zeros if nobody knows.
    pub boot: BootId,
    /// The monotonic clock at the capture, milliseconds from any zero; 0 if nobody knows. Two events of one opening of
    /// the store are as far apart as these say, whatever was done to the wall clock between them.
    pub mono_ms: u64,
    /// The wall clock at the capture, Unix milliseconds: as the machine had it, right or wrong.
    /// `None`: nobody knows.
    pub wall_ms: Option<i64>,
    /// How far it is.
    pub state: State,
    /// What the upstream gave with its final answer, or an effect was applied with.
    pub receipt: Option<Receipt>,
}

impl StoredEvent {
    /// An event as it would be stored if it were captured at that moment (Unix milliseconds) as the first of a store:
    /// for trying what a dialect makes of it.
    ///
    /// ```
    /// use onceward::{Event, Key, Payload, Scope, State, StoredEvent};
    ///
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// let stored = StoredEvent::as_if_captured(sale, 1_800_000_000_000);
    /// assert_eq!((stored.captured_at_ms, stored.state), (Some(1_800_000_000_000), State::Pending));
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use]
    pub fn as_if_captured(event: Event, at_ms: i64) -> Self {
        Self {
            lsn: Lsn::FIRST,
            captured_at_ms: Some(event.captured_at_ms.unwrap_or(at_ms)),
            event,
            boot: BootId::default(),
            mono_ms: 0,
            wall_ms: Some(at_ms),
            state: State::Pending,
            receipt: None,
        }
    }
}
