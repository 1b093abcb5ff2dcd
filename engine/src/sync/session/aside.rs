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
        self.batches.push(Aside { open: aside.open.unsent(), ..aside });
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

#[cfg(test)]
mod tests {
    use super::super::open::tests::open;
    use super::*;

    fn aside(lsn: u64, until_ms: u64, is_at_fault: bool) -> Aside {
        Aside { open: open(&[lsn]), until_ms, is_at_fault }
    }

    fn lsns(batches: impl Iterator<Item = Open>) -> Vec<u64> {
        batches.flat_map(|open| open.formed.events).collect()
    }

    #[test]
    fn a_batch_is_aside_from_its_third_attempt_on_unless_another_one_shows_that_the_line_is_down() {
        let mut batches = AsideBatches::default();
        for attempts in 0..PATIENCE {
            let open = Open { attempts, ..open(&[1]) };
            assert!(batches.has_patience_with(&open, false));
            assert!(batches.has_patience_with(&open, true));
        }
        let open = Open { attempts: PATIENCE, ..open(&[1]) };
        assert!(!batches.has_patience_with(&open, false));
        batches.push(aside(2, 0, false));
        assert!(batches.has_patience_with(&open, false), "the line is down");
        assert!(!batches.has_patience_with(&open, true), "it is at fault itself");
    }

    #[test]
    fn one_at_fault_waits_for_its_time_and_another_one_only_for_others() {
        let mut batches = AsideBatches::default();
        batches.push(aside(1, 500, true));
        batches.push(aside(2, 700, false));
        assert_eq!(batches.next_ms(), Some(500));
        assert!(batches.take_due(499).next().is_none());
        assert_eq!(lsns(batches.take_next().into_iter()), [2]);
        assert!(batches.take_next().is_none());
        batches.push(aside(3, 900, true));
        batches.recall_last();
        assert_eq!(lsns(batches.take_due(0)), [3]);
        batches.recall();
        assert_eq!(lsns(batches.take_due(0)), [1]);
    }

    #[test]
    fn at_the_end_of_a_run_a_batch_is_halved_if_the_upstream_took_others_or_a_stranger_answered_for_a_lone_one()
     {
        let mut taken = Evidence::default();
        taken.accept();
        let nothing = Evidence::default();
        let failed = Open { failed_at: Some(0), ..open(&[1, 2]) };
        let filtered = Open { met_stranger: true, ..Open::left(open(&[1, 2]).formed) };
        for (open, evidence, count, is_halved) in [
            (failed.clone(), &taken, 1, true),
            (failed, &nothing, 1, false),
            (Open { failed_at: Some(0), ..open(&[1]) }, &taken, 1, false),
            (filtered.clone(), &nothing, 1, true),
            (filtered.clone(), &nothing, 2, false),
            (filtered, &taken, 2, true),
            (Open { met_stranger: true, ..open(&[1, 2]) }, &nothing, 1, false),
        ] {
            let mut batches = AsideBatches::default();
            let case = format!("{open:?}, {count}");
            batches.push(Aside { open, until_ms: u64::MAX, is_at_fault: true });
            for lsn in 1..count {
                batches.push(aside(lsn + 10, u64::MAX, true));
            }
            assert_eq!(batches.has_one_to_halve(evidence), is_halved, "{case}");
            assert_eq!(batches.take_one_to_halve(evidence).is_some(), is_halved, "{case}");
        }
    }
}
