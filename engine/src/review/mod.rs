//! What persons decide on: events that the upstream refused for good, and uncertain ones.
//!
//! [`Store::reviews`](crate::Store::reviews) gives [`Reviews`]: it lists what waits ([`ReviewItem`]), decides
//! ([`Decision`]), and calls the host when something comes into review ([`Reviews::watch`]). Another process
//! decides with [`write_decision`].

// `list`: what waits. `decide`: decisions. `dropbox`: decisions that other processes drop into the directory.
// `notices`: callbacks for what comes into review. `catalog`: the texts of items and decisions, in order. `keeping`:
// keeps the catalog beside the log. `table`: the newest decisions. `frames`: bodies of decision frames.

pub(crate) mod catalog;
mod decide;
mod dropbox;
pub(crate) mod frames;
mod item;
mod keeping;
mod list;
mod notices;
mod table;

use std::fmt;

pub use dropbox::write_decision;
#[cfg(test)]
pub(crate) use dropbox::write_decision_on;
pub(crate) use dropbox::{DecisionDropbox, Dropped};
pub use item::{DecisionTrouble, ReviewItem};
pub(crate) use keeping::{Cataloguing, KeptCatalog, rejection_in};
pub use list::Reviews;
pub(crate) use notices::Watchers;
pub use notices::{ReviewCallback, ReviewWatch};
pub(crate) use table::DecisionTable;

use crate::Lsn;
use catalog::{Query, RowId};

use crate::base::bounds::{NOTE_BYTES_MAX, PAGE_MAX, WHO_BYTES_MAX};
use crate::base::{Error, Result, State};
use crate::event::{Key, Scope};

/// Which review items are wanted, and from where on: a page of them.
///
/// ```
/// use onceward::Scope;
/// use onceward::review::ReviewFilter;
///
/// let filter = ReviewFilter::new().with_scope(Scope::new("sales")?).with_code("CARD_NOT_FOUND").with_max(20);
/// # let _ = filter;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ReviewFilter {
    query: Query,
    max: usize,
}

/// How many items a page has unless another number is asked for.
const PAGE_DEFAULT: usize = 100;

impl ReviewFilter {
    /// The first 100 items of all.
    pub fn new() -> Self {
        Self { query: Query::default(), max: PAGE_DEFAULT }
    }

    /// Only items of this scope.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.query.scope = Some(scope.as_str().to_owned());
        self
    }

    /// Only items with this code.
    pub fn with_code(mut self, code: &str) -> Self {
        self.query.code = Some(code.to_owned());
        self
    }

    /// Only items that came into review at this time or later: Unix milliseconds, by the terminal's
    /// wall clock.
    pub fn with_since_ms(mut self, ms: i64) -> Self {
        self.query.since_ms = Some(ms);
        self
    }

    /// Only items that came into review before this time.
    pub fn with_until_ms(mut self, ms: i64) -> Self {
        self.query.until_ms = Some(ms);
        self
    }

    /// Only items behind the one with this version and number: the last one of the page before.
    pub fn with_after(mut self, version: u64, lsn: Lsn) -> Self {
        self.query.after = Some(RowId { version, event: lsn.get() });
        self
    }

    /// At most so many items: 1 to 1,000; 100 by default. More is taken as 1,000, 0 as 1.
    pub fn with_max(mut self, count: usize) -> Self {
        self.max = count.clamp(1, PAGE_MAX);
        self
    }

    /// What the catalog is asked.
    pub(crate) fn query(&self) -> (&Query, usize) {
        (&self.query, self.max)
    }
}

impl Default for ReviewFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// What is to become of a review item.
///
/// ```
/// use onceward::{Key, Scope};
/// use onceward::review::{Decision, DecisionAction};
///
/// let decision = Decision::retry(Scope::default(), Key::new("sale-1")?);
/// assert_eq!((decision.action, decision.action.as_str()), (DecisionAction::Retry, "retry"));
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DecisionAction {
    /// The event is sent again, under the same key.
    Retry,
    /// The event is done with: its state becomes `rejected`.
    Resolve,
}

impl DecisionAction {
    /// The action's name in snake case, as programs see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Resolve => "resolve",
        }
    }
}

impl fmt::Display for DecisionAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person decides about a review item.
///
/// ```
/// use onceward::{Key, Scope};
/// use onceward::review::Decision;
///
/// let decision = Decision::resolve(Scope::default(), Key::new("sale-1")?, "refunded in cash")
///     .with_person("anna")
///     .with_version(17);
/// assert_eq!(decision.who, "anna");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// What is to become of it.
    pub action: DecisionAction,
    /// Why, at most 1,024 bytes.
    pub note: String,
    /// The person who decides, at most 64 bytes.
    pub who: String,
    /// The version of the item that the person looked at. With it, the decision is refused if another
    /// person decided first; without it, it is about whatever waits now.
    pub version: Option<u64>,
}

impl Decision {
    /// The event is sent again, under the same key.
    #[must_use]
    pub fn retry(scope: Scope, key: Key) -> Self {
        Self::new(scope, key, DecisionAction::Retry)
    }

    /// The event is done with, and why.
    #[must_use]
    pub fn resolve(scope: Scope, key: Key, note: &str) -> Self {
        Self { note: note.to_owned(), ..Self::new(scope, key, DecisionAction::Resolve) }
    }

    /// Sets who decides.
    #[must_use]
    pub fn with_person(mut self, who: &str) -> Self {
        who.clone_into(&mut self.who);
        self
    }

    /// Sets why.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    /// The version of the item that the person looked at.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    fn new(scope: Scope, key: Key, action: DecisionAction) -> Self {
        Self { scope, key, action, note: String::new(), who: String::new(), version: None }
    }

    /// Refuses texts that are too long.
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            ("NOTE_TOO_LONG", "note", self.note.len(), NOTE_BYTES_MAX),
            ("WHO_TOO_LONG", "who", self.who.len(), WHO_BYTES_MAX),
        ];
        match texts.into_iter().find(|(_, _, bytes, bytes_max)| bytes > bytes_max) {
            Some((code, field, bytes, bytes_max)) => Err(Error::invalid(
                code,
                format!("{field}: has {bytes} bytes, at most {bytes_max}"),
            )),
            None => Ok(()),
        }
    }
}

/// A decision that was made. The newest 256 are remembered.
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
/// store.reviews().resolve(&scope, &key, "paid in cash")?;
/// let made = &store.reviews().decisions(None, 10)?[0];
/// assert_eq!((made.decision.key.as_str(), made.decision.note.as_str()), ("sale-1", "paid in cash"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DecisionMade {
    /// The decision's number, which is that of its frame: decisions ascend.
    pub lsn: Lsn,
    /// The number of the event.
    pub event: Lsn,
    /// What was decided, by whom and why; `version` is that of the item.
    pub decision: Decision,
    /// When, Unix milliseconds by the terminal's wall clock.
    pub made_at_ms: i64,
}

/// What a host gets when an event comes into review; see [`Reviews::watch`](crate::review::Reviews::watch).
///
/// ```
/// use std::sync::Arc;
///
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let watch = store.reviews().watch(Arc::new(|notice| {
///     println!("{} waits: {} {}", notice.key, notice.code, notice.message);
/// }));
/// # drop(watch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReviewNotice {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// [`State::InReview`] or [`State::Uncertain`].
    pub state: State,
    /// The upstream's code.
    pub code: String,
    /// The upstream's words.
    pub message: String,
    /// The item's version.
    pub version: u64,
}

#[cfg(test)]
pub(crate) mod tests;
