//! What waits for a person: events that the upstream refused for good, and uncertain ones.

use super::catalog::{ReviewRow, RowId};
use super::{ReviewFilter, ReviewItem};
use crate::base::{Error, ErrorKind, Result};
use crate::event::{Key, Scope};
use crate::outbox::Standing;
use crate::store::Shared;

/// Review of an open store: what waits for a person, and decisions.
#[derive(Clone, Copy, Debug)]
pub struct Reviews<'s> {
    pub(super) inner: &'s Shared,
}

impl Reviews<'_> {
    /// The events that wait for a person, in the order in which they came into review, a page of
    /// them.
    ///
    /// The next page is what lies [`after`](ReviewFilter::with_after) the last item of this one. An item
    /// that is decided meanwhile is left out, one that comes is on the last page.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, Settlement, Store};
    /// use onceward::review::ReviewFilter;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// // The upstream refuses it for good.
    /// let answer = Answer::Rejected { code: "NO_CARD".into(), message: "?".into(), reply: vec![] };
    /// store.settle(&[Settlement { scope, key, answer }])?;
    /// let items = store.reviews().list(&ReviewFilter::new())?;
    /// assert_eq!((items[0].key.as_str(), items[0].code.as_str()), ("sale-1", "NO_CARD"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: an event cannot be read.
    ///
    /// # Cost
    ///
    /// Reads the items of the page from the catalog and their events from the log. The first use
    /// may open the catalog.
    pub fn list(&self, filter: &ReviewFilter) -> Result<Vec<ReviewItem>> {
        self.inner.refuse_if_closed()?;
        let (query, max) = filter.query();
        let mut query = query.clone();
        let mut items = Vec::new();
        while items.len() < max {
            let rows =
                self.inner.catalog().ask_if_any(|shelf| shelf.list(&query, max - items.len()));
            let Some(last) = rows.last() else { break };
            query.after = Some(last.id());
            for row in rows {
                items.extend(self.review_item(row)?);
            }
        }
        Ok(items)
    }

    /// One event that waits for a person.
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
    /// assert_eq!(store.reviews().get(&scope, &key)?.code, "NO_CARD");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound`, code `NOT_IN_REVIEW`: the event does not wait for a person. `Corrupt`, `Io`: it
    /// cannot be read.
    pub fn get(&self, scope: &Scope, key: &Key) -> Result<ReviewItem> {
        self.inner.refuse_if_closed()?;
        let none = || not_in_review(scope, key);
        let found = self.find_review(scope, key)?.ok_or_else(none)?;
        let row = self.inner.catalog().ask(|shelf| shelf.review(found.event));
        // Decided by another and gone, or come again, since it was found.
        let row = row.filter(|row| row.id() == found).ok_or_else(none)?;
        self.review_item(row)?.ok_or_else(none)
    }

    /// How many events wait for a person; of one scope or of all.
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
    /// assert_eq!((store.reviews().count(None), store.reviews().count(Some(&scope))), (1, 1));
    /// # let _ = key;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count(&self, scope: Option<&Scope>) -> u64 {
        let state = self.inner.state.lock();
        let tallies = state.outbox.events().tallies();
        let counts = match scope {
            Some(scope) => {
                state.outbox.scopes().number(scope.as_str()).map(|number| tallies.of(number))
            }
            None => Some(tallies.all()),
        };
        counts.map_or(0, |counts| counts.in_review.count + counts.uncertain.count)
    }
}

impl<'s> Reviews<'s> {
    /// Review of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// The item of a key, if it waits for a person.
    pub(crate) fn find_review(&self, scope: &Scope, key: &Key) -> Result<Option<RowId>> {
        let fingerprint = self.inner.secret().fingerprint(scope.as_str(), key.as_str().as_bytes());
        let mut state = self.inner.state.lock();
        let found = self.inner.asking(&mut state, |_, keys| keys.find(fingerprint))?;
        Ok(found.and_then(|found| {
            let version = state.outbox.waiting(found.lsn)?.version;
            Some(RowId { version, event: found.lsn })
        }))
    }

    /// The item of a row; `None` if it does not wait any more, or waits again for another reason.
    fn review_item(&self, row: ReviewRow) -> Result<Option<ReviewItem>> {
        let id = row.id();
        let Some(standing) = self.standing_of(id) else { return Ok(None) };
        let Some(event) = self.inner.events().read_event(standing)? else { return Ok(None) };
        // As it was found: a decision made while the event was read comes later.
        Ok(Some(ReviewItem::of(event, row.reason)))
    }

    /// The place and stage of an item's event, if it still waits.
    fn standing_of(&self, id: RowId) -> Option<Standing> {
        let state = self.inner.state.lock();
        state.outbox.waiting(id.event).filter(|review| review.version == id.version)?;
        state.outbox.events().standing(&state.kernel, id.event)
    }
}

pub(crate) fn not_in_review(scope: &Scope, key: &Key) -> Error {
    not_in_review_since(scope, key, "")
}

/// The error for an event that is not in review any more, with what a person decided before.
pub(super) fn not_in_review_since(scope: &Scope, key: &Key, decided: &str) -> Error {
    let message = format!("no review item has the key {key} in scope {scope}{decided}");
    Error::new(ErrorKind::NotFound, "NOT_IN_REVIEW", message)
}
