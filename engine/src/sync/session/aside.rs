//! A batch for which the line fails again and again may fail because of what is in it: a filter on the
//! way, an upstream that breaks on it. It must not hold up the others, and what becomes of them shows which it is.
//!
//! | the line failed for the same batch three times, or the upstream still worked on it, and | it |
//! |---|---|
//! | nobody knows more | is set aside for others, and sent again where there are none |
//! | another one is aside | is sent again: the line is down |
//! | the upstream took others since the line failed first | is halved; a single event comes again alone, ever later |
//! | the upstream took others, and works on this one | comes again as it is, ever later |
//!
//! With [`Effort::Once`](crate::sync::Effort::Once) a batch that failed on the way waits for the end of the
//! run. It is halved then if the upstream took others since; or if it is the only one, is left from an
//! earlier run, and somebody on the way answered. A line that is down halves nothing by this.
//!
//! No event is rejected for it, because nobody said so.

use super::Open;
use super::evidence::Evidence;
use super::open::First;

/// Attempts of a batch before others go first.
const PATIENCE: u32 = 3;

/// A batch that others go before.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) open: Open,
    /// When it goes before them.
    pub(super) until_ms: u64,
    /// Whether the batch is at fault itself: then it waits until then even if there is nothing else to send.
    pub(super) is_at_fault: bool,
}

/// The batches that failed again and again.
#[derive(Debug, Default)]
pub(super) struct AsideBatches {
    batches: Vec<Aside>,
}

impl AsideBatches {
    /// Adds a batch.
    pub(super) fn push(&mut self, aside: Aside) {
        self.batches.push(aside);
    }

    /// Whether a batch for which the line failed goes on being sent first: it was not attempted often enough, or
    /// nothing shows that the line is not down.
    pub(super) fn has_patience_with(&self, open: &Open, is_at_fault: bool) -> bool {
        open.attempts < PATIENCE || !(is_at_fault || self.batches.is_empty())
    }

    /// Takes those whose time has come.
    pub(super) fn take_due(&mut self, now_ms: u64) -> impl Iterator<Item = Open> {
        let due = self.batches.extract_if(.., move |aside| aside.until_ms <= now_ms);
        due.map(|aside| aside.open)
    }

    /// Takes one that is sent because there is nothing else.
    pub(super) fn take_next(&mut self) -> Option<Open> {
        let at = self.batches.iter().position(|aside| !aside.is_at_fault)?;
        Some(self.batches.remove(at).open)
    }

    /// Whether there is one that is to be halved at the end of a run.
    pub(super) fn has_one_to_halve(&self, evidence: &Evidence) -> bool {
        self.batches.iter().any(|aside| self.is_to_halve(&aside.open, evidence))
    }

    /// Takes one that is to be halved at the end of a run.
    pub(super) fn take_one_to_halve(&mut self, evidence: &Evidence) -> Option<Aside> {
        let at = self.batches.iter().position(|aside| self.is_to_halve(&aside.open, evidence))?;
        Some(self.batches.remove(at))
    }

    /// When the first of them is to be sent.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.batches.iter().map(|aside| aside.until_ms).min()
    }

    /// The last of them may be sent at once.
    pub(super) fn recall_last(&mut self) {
        self.batches.iter_mut().next_back().into_iter().for_each(|aside| aside.until_ms = 0);
    }

    /// All of them may be sent at once.
    pub(super) fn recall(&mut self) {
        self.batches.iter_mut().for_each(|aside| aside.until_ms = 0);
    }

    /// Whether a batch that failed in this run is to be halved, with [`Effort::Once`](crate::sync::Effort::Once).
    fn is_to_halve(&self, open: &Open, evidence: &Evidence) -> bool {
        let since = open.failed_at.is_some_and(|at| evidence.has_acceptance_since(at));
        let is_left = open.first == Some(First::Before) && self.batches.len() == 1;
        let is_filtered = open.met_stranger && (evidence.has_acceptance() || is_left);
        open.formed.events.len() > 1 && (since || is_filtered)
    }
}
