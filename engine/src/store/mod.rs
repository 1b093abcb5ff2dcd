//! The store: one handle to the engine and all areas.
//!
//! | file | what |
//! |---|---|
//! | `open` | opens a store, and closes it |
//! | `tick` | what a host calls from a timer |
//!
//! What an area does is in its own folder, in `calls`.

mod debug;
mod keeper;
mod open;
mod tick;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::base::{Error, RecoveryReport, Result, StoreId};
use crate::capture::{Captures, Waking};
use crate::config::Config;
use crate::event::Scope;
use crate::inbox::Inbox;
use crate::kernel::Engine;
use crate::limits::Admission;
use crate::outbox::Events;
use crate::records::{Bodies, Records};
use crate::rescue::Rescue;
use crate::review::{Cataloguing, DecisionDropbox, Dropped, KeptCatalog, Reviews, Watchers};
pub(crate) use crate::state::StoreState;
use crate::state::{ScopeStatus, Status};
use crate::timekeeping::Timekeeping;
use crate::upstreams::Upstreams;
use keeper::Keeper;

/// A handle to an open store: cheap to clone, to be used from any thread.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// let sale = Event::new(
///     Scope::default(),
///     Key::new("till-7-000042")?,
///     Payload::json(r#"{"total":24.50}"#)?,
/// );
/// assert!(matches!(store.capture(&sale)?, Verdict::Fresh { .. }));
/// assert!(matches!(store.capture(&sale)?, Verdict::Duplicate { .. }));
/// store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    /// Before what it works on: the last handle waits for it.
    keeper: Arc<Keeper>,
    pub(crate) inner: Arc<Shared>,
}

/// What the handles share: the engine, and what areas have besides the state.
pub(crate) struct Shared {
    engine: Engine<StoreState>,
    /// The directory of the store; `None`: it is in memory.
    dir: Option<PathBuf>,
    pub(crate) config: Config,
    /// The catalog of review items and decisions.
    pub(crate) kept_catalog: KeptCatalog,
    /// The watchers, which get a report of what comes into review.
    pub(crate) watchers: Arc<Watchers>,
    /// Decisions that were dropped into the directory.
    pub(crate) dropbox: DecisionDropbox,
    /// Records that were used lately. Never locked together with the state.
    pub(crate) bodies: Mutex<Bodies>,
    /// Bytes of the reserve that ends of leases took since they last found room elsewhere.
    pub(crate) reserve_used: AtomicU64,
    /// The thread that wakes the tasks that wait for tickets.
    pub(crate) waking: Waking,
    /// The scopes that sessions drain.
    pub(crate) draining: Mutex<BTreeSet<Scope>>,
    /// Somebody closed the store, and its end was written. Held by whoever closes it, before all other locks.
    is_closed_in_order: Mutex<bool>,
}

impl Deref for Shared {
    type Target = Engine<StoreState>;

    fn deref(&self) -> &Engine<StoreState> {
        &self.engine
    }
}

impl Shared {
    /// The calls for new events.
    pub(crate) fn captures(&self) -> Captures<'_> {
        Captures::new(self)
    }

    /// Whether new events find room.
    pub(crate) fn admission(&self) -> Admission<'_> {
        Admission::new(self)
    }

    /// Events on their way.
    pub(crate) fn events(&self) -> Events<'_> {
        Events::new(self)
    }

    /// What waits for a person.
    pub(crate) fn reviews(&self) -> Reviews<'_> {
        Reviews::new(self)
    }

    /// The catalog of review items and decisions.
    pub(crate) fn catalog(&self) -> Cataloguing<'_> {
        Cataloguing::new(self)
    }

    /// Decisions that were dropped into the directory.
    pub(crate) fn dropped(&self) -> Dropped<'_> {
        Dropped::new(self)
    }

    /// The calls for idempotent work.
    pub(crate) fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// What the upstream delivers.
    pub(crate) fn inbox(&self) -> Inbox<'_> {
        Inbox::new(self)
    }

    /// Leaving the store.
    pub(crate) fn rescue(&self) -> Rescue<'_> {
        Rescue::new(self)
    }

    /// How time goes on.
    pub(crate) fn timekeeping(&self) -> Timekeeping<'_> {
        Timekeeping::new(self)
    }

    /// What is kept by upstream.
    pub(crate) fn upstreams(&self) -> Upstreams<'_> {
        Upstreams::new(self)
    }

    /// Refuses a payload that is over the limit.
    pub(crate) fn refuse_if_long(&self, what: &str, payload: &[u8]) -> Result<()> {
        let bytes = payload.len();
        let most = self.config.payload_bytes_max;
        if u64::try_from(bytes).unwrap_or(u64::MAX) > u64::from(most) {
            let message = format!("{what}: has {bytes} bytes, at most {most}");
            return Err(Error::invalid("PAYLOAD_TOO_LONG", message));
        }
        Ok(())
    }
}

impl Store {
    /// Idempotent calls: work that is done once, whoever asks how often.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        self.inner.records()
    }

    /// What the upstream delivers.
    #[must_use]
    pub fn inbox(&self) -> Inbox<'_> {
        self.inner.inbox()
    }

    /// What waits for a person, and what persons decided.
    #[must_use]
    pub fn reviews(&self) -> Reviews<'_> {
        self.inner.reviews()
    }

    /// Leaving the store, and importing what another one left.
    #[must_use]
    pub fn rescue(&self) -> Rescue<'_> {
        self.inner.rescue()
    }

    /// How many events are where, and how much room they take.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.inner.state.lock().status(self.inner.time.trusted_ms());
        status.bytes = self.inner.log.file_bytes();
        status.damaged_ranges = self.inner.damaged_ranges();
        status.unchecked_segments = self.inner.summaries.unchecked();
        status.index_trouble = self.inner.index_trouble();
        status.server_offset_ms = self.server_offset().map(|offset| offset.offset_ms);
        status.catalog_trouble = self.inner.kept_catalog.trouble();
        status.decision_troubles = self.inner.dropbox.troubles();
        status
    }

    /// How many events of one scope are where, and their amounts. In constant time, as [`Store::status`].
    ///
    /// ```
    /// use onceward::{Amount, Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let sales = Scope::new("sales")?;
    /// let sale = Event::new(sales.clone(), Key::new("sale-1")?, Payload::json("{}")?);
    /// store.capture(&sale.with_amount("24.50".parse()?))?;
    /// let status = store.status_of(&sales);
    /// assert_eq!((status.pending, status.amount_pending), (1, "24.50".parse()?));
    /// assert_eq!(store.status_of(&Scope::default()).pending, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status_of(&self, scope: &Scope) -> ScopeStatus {
        self.inner.state.lock().status_of(scope)
    }

    /// What opening found. Of segments that it did not read, also what was found since.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.inner.engine.report()
    }

    /// Reads, now, the segments that opening did not read and nobody has read since. What is damaged in them is in
    /// [`Store::recovery`] then.
    ///
    /// For a host that wants to know at once, as before wiping: the store does it by itself, beside its calls.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// store.check_segments();
    /// assert_eq!(store.recovery().unchecked_segments, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cost
    ///
    /// Reads each of them whole. One that cannot be read stays unchecked.
    pub fn check_segments(&self) {
        while self.inner.summaries.check_one() {}
    }

    /// Bytes that the store's file system still offers; `None` if it does not say.
    ///
    /// # Errors
    ///
    /// `Io`: what the disk said.
    pub fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(self.inner.vfs.free_bytes()?)
    }

    /// The store's number.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.inner.engine.id()
    }

    /// Whether this process was forked from the one that opened the store. It may not use the store: calls
    /// that return a result are refused with the code `GROUND_MOVED`, where they write, and others may wait
    /// for ever for a thread that only the parent has. Dropping the handle is safe, and does nothing to the parent.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.inner.log.is_forked()
    }
}

#[cfg(test)]
pub(crate) mod tests;
