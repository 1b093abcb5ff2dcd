//! What is still in a store, in one look, and whether it may be wiped.

use std::fmt;
use std::time::Duration;

use super::{Fence, Import};
use crate::base::StoreId;
use crate::event::{Amount, Scope};

/// How many events, and the sum of their amounts.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
/// store.capture(&sale.with_amount("24.50".parse()?))?;
/// let tally = store.rescue().summary().pending;
/// assert_eq!((tally.count, tally.amount.to_string().as_str()), (1, "24.50"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Sum of their amounts.
    pub amount: Amount,
    /// Whether that sum does not fit: it is at least the largest amount, or at most the smallest, and
    /// [`amount`](Tally::amount) is that one.
    pub is_at_limit: bool,
    /// The sum itself, in ten-thousandths.
    sum: i128,
}

impl Tally {
    /// The tally of that many events, with the sum of their amounts in ten-thousandths.
    pub(crate) fn of(count: u64, sum: i128) -> Self {
        let (amount, is_at_limit) = Amount::nearest(sum);
        Self { count, amount, is_at_limit, sum }
    }

    /// Adds what another counted.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        (self.amount, self.is_at_limit) = Amount::nearest(self.sum);
        self
    }

    /// The sum for people: with a mark where it is not exact.
    #[must_use]
    pub fn amount_shown(&self) -> String {
        match (self.is_at_limit, self.sum < 0) {
            (false, _) => self.amount.to_string(),
            (true, false) => format!("at least {}", self.amount),
            (true, true) => format!("at most {}", self.amount),
        }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the sum, which is the amount in another unit.
        let Self { count, amount, is_at_limit, sum: _ } = self;
        let mut shown = f.debug_struct("Tally");
        shown
            .field("count", count)
            .field("amount", amount)
            .field("is_at_limit", is_at_limit)
            .finish()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with an amount of {}", self.count, self.amount_shown())
    }
}

/// What of one scope is not settled.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let summary = store.rescue().summary();
/// let scope = &summary.scopes[0];
/// assert_eq!((scope.scope.as_str(), scope.unsettled()), ("default", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScopeSummary {
    /// The scope.
    pub scope: Scope,
    /// Events that wait to be sent.
    pub pending: Tally,
    /// Events in a batch that is not answered.
    pub in_flight: Tally,
    /// Events that the upstream refused for good and that wait for a person.
    pub in_review: Tally,
    /// Events of which nobody knows whether they took effect, and that wait for a person.
    pub uncertain: Tally,
}

impl ScopeSummary {
    /// All events of the scope that are not settled.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        let all = [self.pending, self.in_flight, self.in_review, self.uncertain];
        all.iter().map(|tally| tally.count).sum()
    }
}

/// What is still in a store; see [`Rescue::summary`](crate::rescue::Rescue::summary).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let summary = store.rescue().summary();
/// assert_eq!((summary.pending.count, summary.leases, summary.deliveries), (1, 0, 0));
/// assert!(summary.fence.is_none() && summary.oldest.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The store's number.
    pub store: StoreId,
    /// Events that wait to be sent.
    pub pending: Tally,
    /// Events in a batch that is not answered.
    pub in_flight: Tally,
    /// Events that the upstream refused for good and that wait for a person.
    pub in_review: Tally,
    /// Events of which nobody knows whether they took effect, and that wait for a person.
    pub uncertain: Tally,
    /// Leases that are neither completed nor released.
    pub leases: u64,
    /// Deliveries from upstream that are not finished.
    pub deliveries: u64,
    /// Time since the oldest event that is not settled was captured; `None` if there is none.
    pub oldest: Option<Duration>,
    /// The counts by scope, of scopes that have unsettled events: the 64 with the most of them.
    pub scopes: Vec<ScopeSummary>,
    /// How many such scopes are not listed.
    pub scopes_left_out: u64,
    /// Bytes that events which are not settled take in the log.
    pub unsettled_bytes: u64,
    /// Bytes of the log's segments on disk.
    pub bytes: u64,
    /// The fence, if the store is left.
    pub fence: Option<Fence>,
    /// Bundles of other stores that were imported, oldest first: the last 64.
    pub imports: Vec<Import>,
}

/// Whether a store may be wiped without losing anything; see
/// [`Rescue::safe_to_wipe`](crate::rescue::Rescue::safe_to_wipe).
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::rescue::SafeToWipe;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// match store.rescue().safe_to_wipe() {
///     SafeToWipe::Safe => println!("nothing in it is needed any more"),
///     SafeToWipe::NotSafe { why } => why.iter().for_each(|reason| println!("{reason}")),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum SafeToWipe {
    /// Nothing in it is needed any more.
    Safe,
    /// Something is, or may be.
    NotSafe {
        /// All that speaks against it.
        why: Vec<Reason>,
    },
}

impl SafeToWipe {
    /// Whether it is.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Safe)
    }
}

/// What speaks against wiping a store. Prints as a sentence's part.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::{Reason, SafeToWipe};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!("an event waits") };
/// assert!(matches!(why[0], Reason::Pending(tally) if tally.count == 1));
/// assert_eq!(why[0].to_string(), "events to send: 1 with an amount of 0.00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Events wait to be sent.
    Pending(Tally),
    /// Events were sent, and no answer came.
    InFlight(Tally),
    /// Events wait for a person: the upstream refused them for good.
    InReview(Tally),
    /// Events wait for a person: nobody knows whether they took effect.
    Uncertain(Tally),
    /// Leases are open: their work may have happened, and no record says so.
    Leases {
        /// How many.
        count: u64,
    },
    /// Deliveries from upstream are not finished.
    Deliveries {
        /// How many.
        count: u64,
    },
    /// Ranges of the log are damaged: what was there is not known.
    Damage {
        /// How many.
        count: u64,
    },
    /// Finished segments of the log were not read since the store was opened: whether they are whole is not known yet.
    /// The store reads them one after another.
    Unchecked {
        /// How many.
        segments: u64,
    },
    /// Files with bytes that were damaged or in doubt are kept for a person to look at.
    Quarantine {
        /// How many.
        files: u64,
    },
    /// A part of the store cannot be looked at now.
    Unreadable {
        /// What the system said.
        why: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(tally) => write!(f, "events to send: {tally}"),
            Self::InFlight(tally) => write!(f, "events without an answer: {tally}"),
            Self::InReview(tally) => write!(f, "events in review: {tally}"),
            Self::Uncertain(tally) => write!(f, "uncertain events: {tally}"),
            Self::Leases { count } => write!(f, "open leases: {count}"),
            Self::Deliveries { count } => write!(f, "unfinished deliveries: {count}"),
            Self::Damage { count } => write!(f, "damaged ranges of the log: {count}"),
            Self::Unchecked { segments } => {
                write!(f, "segments of the log that are not checked yet: {segments}")
            }
            Self::Quarantine { files } => write!(
                f,
                "files in quarantine: {files}: what was lost, damaged or in doubt; look at them, and remove \
                 them once that is settled"
            ),
            Self::Unreadable { why } => write!(f, "a part cannot be looked at: {why}"),
        }
    }
}
