//! What a session knows of single events: when they were attempted first, how often they failed for now, and of what
//! they are suspected.

use std::collections::{BTreeMap, BTreeSet};

use super::open::First;
use super::suspicion::Suspicion;
use crate::outbox::Answer;
use crate::sync::backoff::{RETRY_AFTER_MS_MAX, doubled_ms};
use crate::sync::{Effort, Options};

/// An event that is to be sent again.
#[derive(Debug)]
struct Retry {
    /// How often it failed for now.
    failures: u32,
    not_before_ms: u64,
    first: First,
    /// Why the event was refused alone, where nobody knows whose fault that is: the event waits for evidence.
    suspicion: Option<Suspicion>,
}

impl Retry {
    /// An event that has not failed in this session.
    fn new(first: First) -> Self {
        Self { failures: 0, not_before_ms: 0, first, suspicion: None }
    }

    /// Forgets why it waits.
    fn forgive(&mut self) {
        *self = Self::new(self.first);
    }
}

/// The events that were attempted, by LSN.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Events that failed for now, or are suspected.
    retries: BTreeMap<u64, Retry>,
    /// Events of this session's batches that an earlier one attempted, and that did not fail here.
    before: BTreeSet<u64>,
    effort: Effort,
    base_ms: u64,
    cap_ms: u64,
    seed: u64,
}

impl Attempts {
    /// None so far.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            retries: BTreeMap::new(),
            before: BTreeSet::new(),
            effort: options.effort,
            base_ms: options.backoff_base_ms,
            cap_ms: options.backoff_cap_ms,
            seed: options.seed,
        }
    }

    /// How many events failed for now, or are suspected.
    pub(super) fn failed_count(&self) -> usize {
        self.retries.len()
    }

    /// Whether an event may be sent now. With [`Effort::Once`] one that failed is another session's.
    pub(super) fn is_due(&self, lsn: u64, now_ms: u64) -> bool {
        self.retries.get(&lsn).is_none_or(|retry| {
            self.effort != Effort::Once
                && retry.suspicion.is_none()
                && retry.not_before_ms <= now_ms
        })
    }

    /// Whether it is known of an event that it was attempted.
    pub(super) fn has(&self, lsn: u64) -> bool {
        self.retries.contains_key(&lsn) || self.before.contains(&lsn)
    }

    /// When an event was attempted first that was attempted, and is in no batch or in one whose other
    /// events were attempted first then.
    pub(super) fn first(&self, lsn: u64, of_batch: First) -> First {
        match self.retries.get(&lsn) {
            Some(retry) => retry.first,
            None if self.before.contains(&lsn) => First::Before,
            None => of_batch,
        }
    }

    /// An event comes into a batch that an earlier session attempted, unless it failed here.
    pub(super) fn note_earlier(&mut self, lsn: u64) {
        if !self.retries.contains_key(&lsn) {
            self.before.insert(lsn);
        }
    }

    /// An event failed for now. Those that fail at about the same time come back together, at a time
    /// that the seed shifts between terminals.
    pub(super) fn retry_later(
        &mut self,
        (lsn, of_batch): (u64, First),
        retry_after_ms: Option<u64>,
        now_ms: u64,
    ) {
        let first = self.first(lsn, of_batch);
        let retry = self.retries.entry(lsn).or_insert_with(|| Retry::new(first));
        let longest_ms = doubled_ms(self.base_ms, self.cap_ms, retry.failures);
        retry.failures = retry.failures.saturating_add(1);
        let grid_ms = (longest_ms / 2).max(1);
        let at_least_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        let wait_ms = longest_ms.saturating_sub(grid_ms).max(self.base_ms).max(at_least_ms);
        let due_ms = now_ms.saturating_add(wait_ms);
        let past_ms = due_ms.wrapping_add(self.seed) % grid_ms;
        retry.not_before_ms = due_ms.saturating_add(grid_ms - past_ms);
    }

    /// When the first event that failed for now is to be sent again.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let retries = self.retries.values().filter(|retry| retry.suspicion.is_none());
        retries.map(|retry| retry.not_before_ms).min()
    }

    /// When the last of these events is to be sent again; 0: at once.
    pub(super) fn last_ms(&self, lsns: &[u64]) -> u64 {
        let retries = lsns.iter().filter_map(|lsn| self.retries.get(lsn));
        retries.map(|retry| retry.not_before_ms).max().unwrap_or(0)
    }

    /// An event waits for evidence.
    pub(super) fn suspect(&mut self, (lsn, of_batch): (u64, First), why: Suspicion) {
        let first = self.first(lsn, of_batch);
        self.retries.entry(lsn).or_insert_with(|| Retry::new(first)).suspicion = Some(why);
    }

    /// The answers of the suspects among those for which `waits` holds, were they at fault.
    pub(super) fn convicted(&self, waits: impl Fn(u64) -> bool) -> Vec<(u64, Answer)> {
        let suspects = self.suspicions().filter(|(lsn, _)| waits(*lsn));
        suspects.map(|(lsn, why)| (lsn, why.clone().into_answer())).collect()
    }

    /// How many events were refused alone and wait for evidence.
    pub(super) fn suspects(&self) -> u64 {
        self.count(|why| !why.is_misfit())
    }

    /// How many events the dialect cannot send, and wait for evidence.
    pub(super) fn misfits(&self) -> u64 {
        self.count(Suspicion::is_misfit)
    }

    /// The last event that was refused alone, and why.
    pub(super) fn last_suspect(&self) -> Option<(u64, &Suspicion)> {
        self.suspicions().rfind(|(_, why)| !why.is_misfit())
    }

    /// The last event that the dialect cannot send, and why.
    pub(super) fn last_misfit(&self) -> Option<(u64, &Suspicion)> {
        self.suspicions().rfind(|(_, why)| why.is_misfit())
    }

    /// The host says that it is worth trying: nothing waits any more.
    pub(super) fn forgive(&mut self) {
        self.retries.values_mut().for_each(Retry::forgive);
    }

    /// The configuration may be another one: no event is suspected any more.
    pub(super) fn forget_suspicions(&mut self) {
        let suspects = self.retries.values_mut().filter(|retry| retry.suspicion.is_some());
        suspects.for_each(Retry::forgive);
    }

    /// Forgets events that have an answer now.
    pub(super) fn forget(&mut self, answers: &[(u64, Answer)]) {
        for (lsn, _) in answers {
            self.retries.remove(lsn);
            self.before.remove(lsn);
        }
    }

    /// Forgets events for which `waits` does not hold: they would be waited for without end.
    pub(super) fn retain(&mut self, waits: impl Fn(u64) -> bool) {
        self.retries.retain(|lsn, _| waits(*lsn));
        self.before.retain(|lsn| waits(*lsn));
    }

    /// The events that wait for evidence, by LSN.
    fn suspicions(&self) -> impl DoubleEndedIterator<Item = (u64, &Suspicion)> {
        self.retries.iter().filter_map(|(lsn, retry)| Some((*lsn, retry.suspicion.as_ref()?)))
    }

    fn count(&self, is_counted: impl Fn(&Suspicion) -> bool) -> u64 {
        let count = self.suspicions().filter(|(_, why)| is_counted(why)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
