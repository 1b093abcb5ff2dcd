//! What is still in the store, whether it may be wiped, and the fence of a store that is left.

#[cfg(feature = "rescue")]
mod adding;
#[cfg(feature = "rescue")]
mod export;
#[cfg(feature = "rescue")]
mod import;

use std::collections::BTreeMap;

use super::{Inner, Share, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::leaving as frames;
use crate::frames::{KIND_FENCE, codec};
use crate::leaving::{BundleId, Fence, Import, Reason, SafeToWipe, ScopeSummary, Summary, Tally};
use crate::limits::SUMMARY_SCOPES_MAX;
use crate::usurpers::QUARANTINE_DIR;
use crate::view::{Stage, View};

impl Store {
    /// What is still in the store: counts and amounts by state and by scope, the oldest age, the fence
    /// and the bundles that were taken up. For a screen that a person sees before leaving a terminal.
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
    /// let summary = store.summary();
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
        let trusted_ms = inner.moment(inner.mono_ms()).trusted_ms;
        let view = inner.view.lock();
        let mut scopes: BTreeMap<usize, ScopeSummary> = BTreeMap::new();
        let [mut pending, mut in_flight, mut in_review, mut uncertain] = [Tally::default(); 4];
        for live in view.events.values() {
            let Some(scope) = view.scope(live.scope) else { continue };
            let new = || ScopeSummary::new(scope.clone());
            let of_scope = scopes.entry(live.scope).or_insert_with(new);
            let (all, one) = match live.stage {
                Stage::Pending => (&mut pending, &mut of_scope.pending),
                Stage::InFlight(_) => (&mut in_flight, &mut of_scope.in_flight),
                Stage::InReview => (&mut in_review, &mut of_scope.in_review),
                Stage::Uncertain => (&mut uncertain, &mut of_scope.uncertain),
            };
            all.add(live.amount);
            one.add(live.amount);
        }
        let oldest = view.events.values().map(|live| live.moment.trusted_ms).min();
        let mut scopes: Vec<ScopeSummary> = scopes.into_values().collect();
        scopes.sort_by_key(|scope| std::cmp::Reverse(scope.unsettled()));
        let left_out = scopes.len().saturating_sub(SUMMARY_SCOPES_MAX);
        scopes.truncate(SUMMARY_SCOPES_MAX);
        Summary {
            store: inner.id,
            pending,
            in_flight,
            in_review,
            uncertain,
            leases: view.records.open_count(),
            deliveries: view.inbox.status(trusted_ms).open,
            oldest_ms: oldest.map(|oldest| trusted_ms.saturating_sub(oldest)),
            scopes,
            scopes_left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
            unsettled_bytes: view.room.bytes(),
            bytes: inner.log.file_bytes(),
            fence: view.leaving.fence().map(Fence::of),
            imports: view.leaving.imports().map(Import::of).collect(),
        }
    }

    /// Whether the store may be deleted without losing anything: every event has its final answer, no
    /// lease is open, every delivery is finished, and nothing is damaged or kept for a person.
    ///
    /// What it does not know makes it not safe. It is about this moment: a store that takes captures may
    /// not be safe any more when the answer is read. It does not know what became of a bundle: a store
    /// whose events all went with one is not safe by itself, and the person who saw `Imported` elsewhere,
    /// with the same digest and nothing left out, knows better.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Reason, SafeToWipe, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// assert_eq!(store.safe_to_wipe(), SafeToWipe::Safe);
    /// store.capture(&Event::new(Scope::default(), Key::new("k1")?, Payload::json("{}")?))?;
    /// let SafeToWipe::NotSafe { why } = store.safe_to_wipe() else { panic!("an event waits") };
    /// assert!(matches!(why[..], [Reason::Pending(tally)] if tally.count == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cost
    ///
    /// As [`Store::summary`], and lists the directory of what is in quarantine.
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
        let count = self.inner.damaged_ranges();
        if count > 0 {
            why.push(Reason::Damage { count });
        }
        why.extend(self.inner.quarantine());
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
    /// use onceward::{BundleKey, Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let exported = store.export_bundle(&mut Vec::new(), &BundleKey::from_bytes([7; 32]), true)?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// assert_eq!(store.capture(&sale).unwrap_err().code(), "STORE_FENCED");
    /// // The stick was lost before it was imported anywhere.
    /// store.unfence(exported.bundle)?;
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
    /// for another bundle. `Full`, `Io`, `Poisoned`: the disk refused.
    pub fn unfence(&self, bundle: BundleId) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        let up = inner.view.lock().leaving.fence().map(Fence::of);
        match up {
            Some(fence) if fence.bundle == bundle => inner.append_fence(bundle, false).map(drop),
            Some(fence) => Err(Error::invalid(
                "OTHER_BUNDLE",
                format!("the store is left for the bundle {}, not {bundle}", fence.bundle),
            )),
            None => Err(Error::new(ErrorKind::NotFound, "NOT_FENCED", "the store is not left")),
        }
    }
}

impl Inner {
    /// Refuses new work on a store that is left.
    pub(crate) fn refuse_if_fenced(&self) -> Result<()> {
        self.view.lock().refuse_if_fenced()
    }

    /// Writes a fence frame and takes it up. The caller holds `control`.
    fn append_fence(&self, bundle: BundleId, is_up: bool) -> Result<Fence> {
        let since_ms = self.wall_ms();
        let frame = frames::Fence { number: 0, is_up, bundle: bundle.0, since_ms };
        let (placed, _) =
            self.append_control(&[(KIND_FENCE, codec::encode(&frame))], Share::Decisions)?;
        let mut view = self.view.lock();
        for at in placed {
            view.apply_fence(&frame, at);
        }
        Ok(Fence { bundle, since_ms })
    }

    /// What is kept for a person to look at.
    fn quarantine(&self) -> Option<Reason> {
        match self.vfs.list(QUARANTINE_DIR) {
            Ok(names) if names.is_empty() => None,
            Ok(names) => {
                Some(Reason::Quarantine { files: u64::try_from(names.len()).unwrap_or(u64::MAX) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Reason::Unreadable { why: error.to_string() }),
        }
    }
}

impl View {
    /// Refuses new work on a store that is left, or about to be.
    pub(super) fn refuse_if_fenced(&self) -> Result<()> {
        let message = match self.leaving.fence() {
            Some(fence) => format!(
                "the store is left: what it did not deliver is in the bundle {}; `unfence` opens it \
                 again, if that was imported nowhere",
                BundleId(fence.bundle)
            ),
            None if self.leaving.is_closing => "the store is about to be left".to_owned(),
            None => return Ok(()),
        };
        Err(Error::new(ErrorKind::Fenced, "STORE_FENCED", message))
    }
}
