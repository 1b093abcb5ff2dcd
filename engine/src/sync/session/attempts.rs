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

    /// When the first event that failed for now is to be sent again, of those for which `waits` holds.
    pub(super) fn next_ms(&self, waits: impl Fn(u64) -> bool) -> Option<u64> {
        let retries = self.retries.iter().filter(|(_, retry)| retry.suspicion.is_none());
        retries.filter(|(lsn, _)| waits(**lsn)).map(|(_, retry)| retry.not_before_ms).min()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scope;

    const HERE: First = First::Here { trusted_ms: 5 };

    fn options() -> Options {
        Options::new(Scope::default())
            .with_backoff(
                std::time::Duration::from_millis(1_000),
                std::time::Duration::from_millis(8_000),
            )
            .with_seed(3)
    }

    fn refusal() -> Suspicion {
        Suspicion::new("CODE", "words")
    }

    #[test]
    fn an_event_that_failed_waits_at_least_the_base_and_at_most_the_cap_and_a_half() {
        let mut attempts = Attempts::new(&options());
        for failures in 0..9 {
            attempts.retry_later((1, HERE), None, 10_000);
            let wait_ms = attempts.next_ms(|_| true).unwrap() - 10_000;
            assert!((1_000..=12_000).contains(&wait_ms), "{failures}: {wait_ms}");
            assert!(!attempts.is_due(1, 10_000 + wait_ms - 1));
            assert!(attempts.is_due(1, 10_000 + wait_ms));
            assert_eq!(attempts.next_ms(|lsn| lsn != 1), None, "it is in a batch");
        }
        attempts.retry_later((2, HERE), Some(60_000), 10_000);
        assert!(!attempts.is_due(2, 69_999), "a wish of the upstream's");
        assert!(attempts.last_ms(&[1, 2]) >= 70_000 && attempts.last_ms(&[3]) == 0);
        attempts.forgive();
        assert!(attempts.is_due(1, 0) && attempts.is_due(2, 0));
    }

    #[test]
    fn in_one_run_an_event_that_failed_is_never_due_again() {
        let mut attempts = Attempts::new(&options().with_effort(Effort::Once));
        assert!(attempts.is_due(1, 0), "control: it has not failed");
        attempts.retry_later((1, HERE), None, 0);
        assert!(!attempts.is_due(1, u64::MAX));
    }

    #[test]
    fn when_an_event_was_attempted_first_outlasts_what_it_is_suspected_of() {
        let mut attempts = Attempts::new(&options());
        attempts.note_earlier(1);
        assert_eq!(attempts.first(1, HERE), First::Before);
        attempts.suspect((2, HERE), refusal());
        attempts.note_earlier(2);
        attempts.suspect((2, First::Before), refusal());
        attempts.forget_suspicions();
        assert_eq!((attempts.first(2, First::Before), attempts.suspects()), (HERE, 0));
        assert!(attempts.has(1) && attempts.has(2) && !attempts.has(3));
        attempts.forget(&[(2, refusal().into_answer())]);
        attempts.retain(|lsn| lsn != 1);
        assert!(!attempts.has(1) && !attempts.has(2));
    }

    #[test]
    fn suspects_and_misfits_are_told_apart_and_wait_without_a_time() {
        let misfit = |n: u64| {
            let misfit = crate::sync::Misfit { code: format!("M{n}"), message: String::new() };
            Suspicion::misfit(misfit, n.is_multiple_of(2))
        };
        let mut attempts = Attempts::new(&options());
        attempts.suspect((1, HERE), misfit(1));
        attempts.suspect((2, HERE), misfit(2));
        attempts.suspect((3, HERE), refusal());
        attempts.suspect((4, HERE), refusal());
        assert_eq!((attempts.suspects(), attempts.misfits()), (2, 2));
        assert_eq!(attempts.last_suspect().unwrap().0, 4);
        assert_eq!(attempts.last_misfit().unwrap().0, 2);
        assert_eq!(attempts.next_ms(|_| true), None);
        assert!(!attempts.is_due(3, u64::MAX));
        let convicted = attempts.convicted(|lsn| lsn != 4);
        assert_eq!(convicted.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(matches!(convicted[0].1, Answer::Rejected { .. }));
        assert!(matches!(convicted[1].1, Answer::Uncertain { .. }), "it was sent before");
    }
}
