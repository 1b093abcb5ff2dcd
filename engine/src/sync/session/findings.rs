//! What a session did and met, for its report.

use super::shortage::Shortage;
use crate::outbox::Answer;
use crate::store::Store;
use crate::sync::Report;

/// Counts and reasons of one session.
#[derive(Debug)]
pub(super) struct Findings {
    /// The counts and the last reason; the fields of what other parts of the session know stay empty.
    pub(super) counts: Report,
    shortage: Shortage,
}

impl Findings {
    /// None so far.
    pub(super) fn new(store: &Store) -> Self {
        Self { counts: Report::default(), shortage: Shortage::new(store) }
    }

    /// Whether something found no room, and there is still none.
    pub(super) fn is_full(&self) -> bool {
        self.shortage.is_lasting()
    }

    /// Something is not sent or not settled, for this reason.
    pub(super) fn note(&mut self, why: String) {
        self.counts.last_failure = Some(why);
    }

    /// Notes a reason, unless another one is known.
    pub(super) fn note_if_first(&mut self, why: impl FnOnce() -> String) {
        self.counts.last_failure.get_or_insert_with(why);
    }

    /// A batch failed as a whole, for this reason.
    pub(super) fn note_failure(&mut self, why: String) {
        self.counts.failures += 1;
        self.note(why);
    }

    /// Something found no room and is left for later, so that the session goes on.
    pub(super) fn found_no_room(&mut self) {
        self.shortage.note(1);
    }

    /// Takes those refusals out of answers whose reasons find no room. They are asked for again.
    pub(super) fn leave_out_reasons(
        &mut self,
        answers: &mut Vec<(u64, Answer)>,
        is_once: bool,
    ) -> Vec<u64> {
        let left_out = self.shortage.leave_out_reasons(answers, is_once);
        if !left_out.is_empty() {
            let count = left_out.len();
            self.note(format!(
                "the disk is full: {count} refusals are written down when there is room"
            ));
        }
        left_out
    }

    /// A batch is handed out: its items, and their bytes.
    pub(super) fn count_sent(&mut self, items: usize, bytes: usize) {
        self.counts.batches += 1;
        self.counts.attempted += u64::try_from(items).unwrap_or(u64::MAX);
        self.counts.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Events are sent again to another upstream than before.
    pub(super) fn count_readdressed(&mut self, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.counts.readdressed = self.counts.readdressed.saturating_add(events);
    }

    /// Events have these answers of the upstream.
    pub(super) fn count_answers(&mut self, answers: &[(u64, Answer)]) {
        for (_, answer) in answers {
            match answer {
                Answer::Accepted { .. } => self.counts.accepted += 1,
                Answer::Duplicate { .. } => self.counts.duplicate += 1,
                Answer::Rejected { .. } | Answer::Uncertain { .. } => self.counts.rejected += 1,
            }
        }
    }

    /// Counts events that have an answer that is not the upstream's.
    pub(super) fn count_parked(&mut self, events: usize) {
        let count = u64::try_from(events).unwrap_or(u64::MAX);
        self.counts.rejected += count;
        self.counts.parked += count;
    }

    /// A reply left out so many events, or gave two outcomes for them.
    pub(super) fn count_missing(&mut self, events: u64) {
        self.counts.missing += events;
        if events > 0 {
            self.note(format!("a reply left out {events} events, or gave two outcomes for them"));
        }
    }
}
