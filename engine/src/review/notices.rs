//! Reports to the host events that come into review, outside of all locks and once they are durable.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onceward_wal::Lsn;
use parking_lot::Mutex;

use super::catalog::{Fact, ReviewRow};
use super::{ReviewNotice, Reviews};
use crate::base::State;
use crate::event::Scope;
use crate::outbox::frames::Rejection;

/// What is called when an event comes into review.
///
/// ```
/// use std::sync::Arc;
///
/// use onceward::review::ReviewCallback;
///
/// let ring: ReviewCallback = Arc::new(|notice| println!("look at {}", notice.key));
/// # let _ = ring;
/// ```
pub type ReviewCallback = Arc<dyn Fn(&ReviewNotice) + Send + Sync>;

/// Keeps a callback registered; dropping it ends that. A call that is under way is finished.
///
/// ```
/// use std::sync::Arc;
///
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let watch = store.reviews().watch(Arc::new(|notice| println!("look at {}", notice.key)));
/// // Until here it is called; no longer.
/// drop(watch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it ends the registration at once"]
pub struct ReviewWatch {
    watchers: Arc<Watchers>,
    number: u64,
}

impl Drop for ReviewWatch {
    fn drop(&mut self) {
        let callback = self.watchers.known.lock().callbacks.remove(&self.number);
        // What it captured is dropped outside of the lock: it may hold anything.
        drop(callback);
    }
}

impl fmt::Debug for ReviewWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReviewWatch").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The watchers of reviews, and what was not reported to them yet.
#[derive(Default)]
pub(crate) struct Watchers {
    known: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    callbacks: BTreeMap<u64, ReviewCallback>,
    last_number: u64,
    /// Items that came; who brought them reports them as soon as it holds no lock.
    arrived: Vec<ReviewRow>,
}

impl Watchers {
    /// Notes items that came and are durable. Nothing is kept if nobody watches.
    pub(crate) fn arrived(&self, rows: impl Iterator<Item = ReviewRow>) {
        let mut known = self.known.lock();
        if !known.callbacks.is_empty() {
            known.arrived.extend(rows);
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

impl Reviews<'_> {
    /// Calls `callback` for every event that comes into review from now on, until the guard is
    /// dropped.
    ///
    /// It is called once the item is durable, in the thread that brought the upstream's answer, and outside of all
    /// locks: it may use the store. A panic in it ends only the call. What came before is listed by
    /// [`Reviews::list`](crate::review::Reviews::list); what comes while a process dies may not be reported.
    ///
    /// A callback that owns a handle of the store keeps the store open while it is registered.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// # use onceward::{Config, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let watch = store.reviews().watch(Arc::new(|notice| {
    ///     eprintln!("{} needs a decision: {}", notice.key, notice.message);
    /// }));
    /// drop(watch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch(&self, callback: ReviewCallback) -> ReviewWatch {
        let watchers = Arc::clone(&self.inner.watchers);
        let number = {
            let mut known = watchers.known.lock();
            known.last_number += 1;
            let number = known.last_number;
            known.callbacks.insert(number, callback);
            number
        };
        ReviewWatch { watchers, number }
    }
}

impl Reviews<'_> {
    /// Notes items that came into review and are durable, the last one by the frame `last`: the catalog keeps them, and
    /// [`Reviews::call_watchers`] reports them to the host.
    pub(crate) fn arrived(&self, arrived: Vec<(Scope, Rejection)>, last: u64) {
        let row = |(scope, reason): (Scope, Rejection)| {
            let scope = scope.as_str().to_owned();
            ReviewRow { scope, reason }
        };
        let rows: Vec<ReviewRow> = arrived.into_iter().map(row).collect();
        self.inner.watchers.arrived(rows.iter().cloned());
        let facts: Vec<Fact> = rows.into_iter().map(Fact::Arrived).collect();
        self.inner.catalog().keep(&facts, last);
    }

    /// Reports what came. The caller holds no lock.
    pub(crate) fn call_watchers(&self) {
        let (arrived, callbacks) = {
            let mut known = self.inner.watchers.known.lock();
            if known.arrived.is_empty() {
                return;
            }
            let callbacks: Vec<ReviewCallback> = known.callbacks.values().map(Arc::clone).collect();
            (std::mem::take(&mut known.arrived), callbacks)
        };
        for row in arrived {
            let Some(notice) = self.notice(row) else { continue };
            for callback in &callbacks {
                // The hook of the host has reported a panic; here it ends only this call.
                drop(catch_unwind(AssertUnwindSafe(|| callback(&notice))));
            }
        }
    }

    /// `None`: the event cannot be read; listing the items reports why.
    fn notice(&self, row: ReviewRow) -> Option<ReviewNotice> {
        let reason = row.reason;
        let standing = {
            let state = self.inner.state.lock();
            state.outbox.events().standing(&state.kernel, reason.event)?
        };
        let stored = self.inner.events().read_event(standing).ok()??;
        Some(ReviewNotice {
            lsn: Lsn::from_u64(reason.event)?,
            scope: stored.event.scope,
            key: stored.event.key,
            state: State::from_code(reason.state)?,
            code: reason.code,
            message: reason.message,
            version: reason.version,
        })
    }
}
