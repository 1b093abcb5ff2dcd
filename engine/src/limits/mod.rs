//! Bounds on what an open store holds: whether new events are taken, what is dropped for them, and taking events back.
//!
//! A host gives [`Limits`] to [`Config::with_limits`](crate::Config::with_limits). At one of them a capture is refused
//! with the code of the [`Limit`], or evictable events are dropped ([`WhenFull`]), which
//! [`Store::losses`](crate::Store::losses) lists as [`Loss`]. [`Store::cancel`](crate::Store::cancel) takes an event
//! back before its first attempt ([`Cancellation`]).

// `calls`: whether there is room for new events, and what is dropped. `cancel`: takes an event back before its first
// attempt. `table`: what was dropped and cancelled. `frames`: bodies of evict and cancel frames.

mod calls;
mod cancel;
pub(crate) mod frames;
mod loss;
mod table;

use std::fmt;
use std::time::Duration;

pub(crate) use calls::{Admission, Demand, Room};
pub use cancel::Cancellation;
pub use loss::{KeyFingerprint, Loss};
pub(crate) use table::LossTable;

use crate::event::Amount;

/// What a store does with a new event for which a limit leaves no room.
///
/// ```
/// use onceward::{Class, Config, Event, Key, Payload, Scope, Store};
/// use onceward::limits::{Limits, WhenFull};
///
/// let limits = Limits::new().with_count(1).with_when_full(WhenFull::EvictOldest);
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new().with_limits(limits))?;
/// for key in ["reading-1", "reading-2"] {
///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("21.5")?);
///     store.capture(&event.with_class(Class::Evictable))?;
/// }
/// assert_eq!((store.status().pending, store.status().evicted), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum WhenFull {
    /// The store refuses the new event; nothing that is stored is dropped.
    #[default]
    Refuse,
    /// The store drops the oldest events that are [`Evictable`](crate::Class::Evictable) and were never attempted,
    /// as many as the new one needs, in the commit that stores the new one; each is counted and listed,
    /// see [`Store::losses`](crate::Store::losses). Where these do not suffice it refuses. Events that
    /// were sent once, are in flight or in review, and those to [`Keep`](crate::Class::Keep), are never dropped.
    ///
    /// A capture that drops events waits until that is durable, also a deferred one, and those that do
    /// take turns.
    EvictOldest,
}

/// Which limit it is.
///
/// ```
/// use onceward::limits::Limit;
///
/// assert_eq!((Limit::Sum.code(), Limit::Sum.to_string().as_str()), ("LIMIT_SUM", "sum"));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// The limit of [`Limits::bytes`].
    Bytes,
    /// The limit of [`Limits::count`].
    Count,
    /// The limit of [`Limits::age`].
    Age,
    /// The limit of [`Limits::amount`].
    Amount,
    /// The limit of [`Limits::sum`].
    Sum,
}

impl Limit {
    /// The code of the error with which a capture is refused, such as `LIMIT_BYTES`.
    ///
    /// ```
    /// assert_eq!(onceward::limits::Limit::Sum.code(), "LIMIT_SUM");
    /// ```
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Bytes => "LIMIT_BYTES",
            Self::Count => "LIMIT_COUNT",
            Self::Age => "LIMIT_AGE",
            Self::Amount => "LIMIT_AMOUNT",
            Self::Sum => "LIMIT_SUM",
        }
    }

    /// The limit's name in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Age => "age",
            Self::Amount => "amount",
            Self::Sum => "sum",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a store takes before it refuses new events. No limit is set by default: the disk is the
/// bound then.
///
/// Events count until they are settled, those in review too. Limits concern captures only: repetitions
/// are answered, and settling, deciding, cancelling and cleaning go on, whatever is reached. A batch is
/// judged as a whole. Limits are not stored: set them at every opening. What is stored already and over
/// a new limit stays. Each limit is a method that sets it, and a field of the same name that has what is set.
///
/// ```
/// use onceward::{Config, ErrorKind, Event, Key, Payload, Scope, Store};
/// use onceward::limits::Limits;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let limits = Limits::new().with_count(10_000).with_amount("250".parse()?).with_sum("5000".parse()?);
/// let store = Store::open(&dir, Config::new().with_limits(limits))?;
/// let sale = Event::new(Scope::default(), Key::generate(), Payload::json("{}")?);
/// let error = store.capture(&sale.with_amount("250.01".parse()?)).unwrap_err();
/// assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "LIMIT_AMOUNT"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes that unsettled events take in the log.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub bytes: Option<u64>,
    /// Most unsettled events.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub count: Option<u64>,
    /// Longest time that an event may wait.
    #[cfg_attr(
        feature = "serde",
        serde(
            with = "crate::base::time_text::perhaps_duration",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub age: Option<Duration>,
    /// Largest amount of one event.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub amount: Option<Amount>,
    /// Largest sum of the amounts of all unsettled events.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub sum: Option<Amount>,
    /// What happens with an event for which there is no room.
    pub when_full: WhenFull,
}

impl Limits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Most bytes that unsettled events take in the log, their frames included: see
    /// [`Status::unsettled_bytes`](crate::Status::unsettled_bytes). With 0 the store is closed for captures: no new
    /// event is taken, and all else goes on.
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Most unsettled events. With 0 the store is closed for captures, as with 0 bytes.
    pub fn with_count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Longest time that an event may wait, by trusted time: while the oldest one
    /// waits longer, nothing new is taken.
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Largest amount of one event, in either direction. Waiting does not help an event over it.
    pub fn with_amount(mut self, amount: Amount) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Largest sum of the amounts of all unsettled events. An event that does not add to the sum is
    /// taken also where it is reached.
    pub fn with_sum(mut self, sum: Amount) -> Self {
        self.sum = Some(sum);
        self
    }

    /// What happens with an event for which there is no room: it is refused, by default.
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Whether any limit is set.
    pub(crate) fn is_any(&self) -> bool {
        let Self { bytes, count, age, amount, sum, when_full: _ } = self;
        bytes.is_some() || count.is_some() || age.is_some() || amount.is_some() || sum.is_some()
    }

    /// Values that make no sense, each in a sentence.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> + use<> {
        let amounts = [("amount", self.amount), ("sum", self.sum)].into_iter();
        amounts.filter_map(|(name, amount)| {
            let below = amount.filter(|amount| *amount < Amount::ZERO)?;
            Some(format!("limits.{name}: {below} must be at least 0"))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
