//! What is still in the store, whether it may be wiped, and the fence of a store that is left.

#[cfg(feature = "rescue")]
mod adding;
#[cfg(feature = "rescue")]
mod export;
#[cfg(feature = "rescue")]
mod import;

use std::time::Duration;

use super::frames::FenceFrame;
use super::{BundleId, Fence, Import, Reason, SafeToWipe, ScopeSummary, Summary, Tally};
use crate::base::bounds::SUMMARY_SCOPES_MAX;
use crate::base::places::QUARANTINE_DIR;
use crate::base::{Error, ErrorKind, FrameKind, Result, codec, observe};
use crate::kernel::{FrameBody, Share};
use crate::outbox::{Count, ScopeCounts};
use crate::store::Shared;

/// Leaving an open store, and importing what another one left.
#[derive(Clone, Copy, Debug)]
pub struct Rescue<'s> {
    inner: &'s Shared,
}

impl Rescue<'_> {
    /// What is still in the store: counts and amounts by state and by scope, the oldest age, the fence
    /// and the bundles that were imported. For a screen that a person sees before leaving a terminal.
    ///
    /// Deferred captures count before they are durable.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let sale = Event::new(Scope::new("sales")?, Key::new("sale-1")?, Payload::json("{}")?);
    /// store.capture(&sale.with_amount("24.50".parse()?))?;
    /// let summary = store.rescue().summary();
    /// assert_eq!(summary.pending.to_string(), "1 with an amount of 24.50");
    /// assert_eq!(summary.scopes[0].scope.as_str(), "sales");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cost
    ///
    /// Looks at every unsettled event in memory; reads nothing.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let inner = &self.inner;
        let trusted_ms = inner.time.trusted_ms();
        let state = inner.state.lock();
        let events = state.outbox.events();
        let [pending, in_flight, in_review, uncertain] = tallies(&events.tallies().all());
        let of_scope = |(number, counts): (usize, &ScopeCounts)| {
            let scope = state.outbox.scopes().get(number)?.clone();
            let [pending, in_flight, in_review, uncertain] = tallies(counts);
            Some(ScopeSummary { scope, pending, in_flight, in_review, uncertain })
        };
        let mut scopes: Vec<ScopeSummary> =
            events.tallies().scopes().filter_map(of_scope).collect();
        scopes.retain(|scope| scope.unsettled() > 0);
        scopes.sort_by_key(|scope| std::cmp::Reverse(scope.unsettled()));
        let left_out = scopes.len().saturating_sub(SUMMARY_SCOPES_MAX);
        scopes.truncate(SUMMARY_SCOPES_MAX);
        Summary {
            store: inner.id(),
            pending,
            in_flight,
            in_review,
            uncertain,
            leases: state.records.open_count(),
            deliveries: state.inbox.status(trusted_ms).open,
            oldest: state
                .outbox
                .oldest_ms()
                .map(|oldest| Duration::from_millis(trusted_ms.saturating_sub(oldest))),
            scopes,
            scopes_left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
            unsettled_bytes: events.tallies().bytes(),
            bytes: inner.log.file_bytes(),
            fence: state.rescue.fence().map(Fence::of),
            imports: state.rescue.imports().map(Import::of).collect(),
        }
    }

    /// Whether the store may be deleted without losing anything: every event has its final answer, no
    /// lease is open, every delivery is finished, and nothing is damaged or kept for a person.
    ///
    /// What it does not know makes it not safe. It is about this moment: a store that takes captures may
    /// not be safe any more when the answer is read. It does not know what became of a bundle: a store
    /// whose events all went with one is not safe by itself, and the person who has the `Imported` of another store,
    /// with the same digest and nothing left out, knows better.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    /// use onceward::rescue::{Reason, SafeToWipe};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// assert_eq!(store.rescue().safe_to_wipe(), SafeToWipe::Safe);
    /// store.capture(&Event::new(Scope::default(), Key::new("k1")?, Payload::json("{}")?))?;
    /// let SafeToWipe::NotSafe { why } = store.rescue().safe_to_wipe() else { panic!("an event waits") };
    /// assert!(matches!(why[..], [Reason::Pending(tally)] if tally.count == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cost
    ///
    /// As [`Rescue::summary`](crate::rescue::Rescue::summary), and lists the directory of what is in quarantine.
    pub fn safe_to_wipe(&self) -> SafeToWipe {
        let Summary { pending, in_flight, in_review, uncertain, leases, deliveries, .. } =
            self.summary();
        let events = [
            Reason::Pending(pending),
            Reason::InFlight(in_flight),
            Reason::InReview(in_review),
            Reason::Uncertain(uncertain),
        ];
        let counts = [pending, in_flight, in_review, uncertain].map(|tally| tally.count);
        let found = events.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        let mut why: Vec<Reason> = found.map(|(reason, _)| reason).collect();
        if leases > 0 {
            why.push(Reason::Leases { count: leases });
        }
        if deliveries > 0 {
            why.push(Reason::Deliveries { count: deliveries });
        }
        // In this order: what is not among the damage is not counted as checked.
        let segments = self.inner.summaries.unchecked();
        let count = self.inner.damaged_ranges();
        if count > 0 {
            why.push(Reason::Damage { count });
        }
        if segments > 0 {
            why.push(Reason::Unchecked { segments });
        }
        why.extend(self.quarantine());
        if why.is_empty() { SafeToWipe::Safe } else { SafeToWipe::NotSafe { why } }
    }

    /// Ends the fence of a store that was left: it sends and captures again.
    ///
    /// For the person who knows that `bundle` was imported nowhere and never will be: otherwise two
    /// stores send the same events, and only the upstream's memory of keys keeps them from taking effect
    /// twice. A bundle that exists should be destroyed.
    ///
    /// ```
    /// # #[cfg(feature = "rescue")] {
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    /// use onceward::rescue::BundleKey;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let exported = store.rescue().export(&mut Vec::new(), &BundleKey::from_bytes([7; 32]), true)?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// assert_eq!(store.capture(&sale).unwrap_err().code(), "STORE_FENCED");
    /// // The stick was lost before it was imported anywhere.
    /// store.rescue().unfence(exported.bundle)?;
    /// store.capture(&sale)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// `Ok` means that the store is open again after a crash too.
    ///
    /// # Errors
    ///
    /// `NotFound`, code `NOT_FENCED`: the store is not left. `Invalid`, code `OTHER_BUNDLE`: it is left
    /// for another bundle. `Full`: no room. `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture).
    pub fn unfence(&self, bundle: BundleId) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        let up = inner.state.lock().rescue.fence().map(Fence::of);
        match up {
            Some(fence) if fence.bundle == bundle => {
                inner.rescue().append_fence(bundle, false).map(drop)
            }
            Some(fence) => Err(Error::invalid(
                "OTHER_BUNDLE",
                format!("the store was left for the bundle {}, not for {bundle}", fence.bundle),
            )),
            None => Err(Error::new(
                ErrorKind::NotFound,
                "NOT_FENCED",
                "the store was not left: there is no fence to lift",
            )),
        }
    }
}

impl<'s> Rescue<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Writes a fence frame and applies it. The caller holds `control`.
    fn append_fence(&self, bundle: BundleId, is_up: bool) -> Result<Fence> {
        let since_ms = self.inner.time.wall_ms();
        let fence = FenceFrame { number: 0, is_up, bundle: bundle.0, since_ms };
        let frame = FrameBody::new(FrameKind::Fence, codec::encode(&fence));
        let written = self.inner.write(&[frame], Share::Decisions)?;
        let mut state = self.inner.state.lock();
        written.placed.into_iter().for_each(|at| state.rescue.apply_fence(&fence, at));
        drop(state);
        observe::fence(is_up);
        Ok(Fence { bundle, since_ms })
    }

    /// What is kept for a person to look at.
    fn quarantine(&self) -> Option<Reason> {
        match self.inner.vfs.list(QUARANTINE_DIR) {
            Ok(names) if names.is_empty() => None,
            Ok(names) => {
                Some(Reason::Quarantine { files: u64::try_from(names.len()).unwrap_or(u64::MAX) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Reason::Unreadable { why: error.to_string() }),
        }
    }
}

/// What is counted of events, as a summary says it: pending, in flight, in review, uncertain.
fn tallies(counts: &ScopeCounts) -> [Tally; 4] {
    let tally = |count: Count| Tally::of(count.count, count.sum);
    [counts.pending, counts.in_flight, counts.in_review, counts.uncertain].map(tally)
}
