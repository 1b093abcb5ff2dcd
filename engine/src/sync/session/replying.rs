//! What a reply means for the events of its batch.

use super::findings::Findings;
use super::store_access::MarkCame;
use super::{Open, Session};
use crate::base::{ErrorKind, Result};
use crate::outbox::Answer;
use crate::sync::batch::Items;
use crate::sync::matching::{KeyOutcomes, Said, answer, match_by_key};
use crate::sync::{BatchId, Reply};

/// How many times as many events of a reply fail for now as do not, where the upstream counts as busy.
const BUSY_TIMES: usize = 9;

/// Events that are sent again, each with what the upstream wishes, milliseconds.
type Later = Vec<(u64, Option<u64>)>;

impl Session {
    /// Applies a reply. A reply for a batch that is not waiting changes nothing.
    ///
    /// # Durability
    ///
    /// The outcomes survive a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// Those of the store; the batch is then sent again.
    pub fn on_reply(&mut self, batch: BatchId, reply: &Reply, now_ms: u64) -> Result<()> {
        let Some(open) = self.batches.take_sent(batch) else {
            return Ok(());
        };
        self.on_no_time();
        let items = open.items.clone().unwrap_or_default();
        // What the disk refuses, what follows reports.
        drop(self.hold.end());
        // First: once anything is settled, the batch is not known as this store's own but by the mark.
        if let Some(mark) = reply.mark.as_deref() {
            let was_alone = self.sendings == (open.sent_as, open.sent_as);
            let came = if was_alone { MarkCame::Alone } else { MarkCame::Beside };
            if let Err(error) = self.events.access.keep_mark(mark, came) {
                self.batches.send_first(open);
                return Err(error);
            }
        }
        let said = match_by_key(&items, reply);
        self.findings.counts.strangers += said.strangers;
        let (mut answers, mut later) = sort_out(&items, &said, &mut self.findings);
        let refused = self.findings.leave_out_reasons(&mut answers, self.pacing.is_once());
        later.extend(refused.into_iter().map(|lsn| (lsn, None)));
        if answers.is_empty() && !later.is_empty() && self.events.access.inner().reserve().is_low()
        {
            self.apply_pace(&open, &answers, &later, now_ms)?;
            let not_before_ms = self.events.attempts.last_ms(&open.formed.events);
            self.batches.keep_as_is(open, not_before_ms);
            return Ok(());
        }
        if let Err(error) = self.events.close(&open, &answers, &mut self.findings) {
            self.batches.send_first(open);
            return Err(error);
        }
        self.apply_pace(&open, &answers, &later, now_ms)?;
        self.apply_acceptances(&open, &answers)?;
        // What other processes decided; what the disk refuses now is tried again.
        drop(self.events.access.inner().dropped().carry_out());
        match self.events.access.store().clean_up() {
            // What could not be cleaned now is cleaned later; the answers are kept.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            other => other,
        }
    }

    /// When to go on after a reply: its events that failed for now come again later, and where nearly
    /// all of them did, so does everything else.
    fn apply_pace(
        &mut self,
        open: &Open,
        answers: &[(u64, Answer)],
        later: &[(u64, Option<u64>)],
        now_ms: u64,
    ) -> Result<()> {
        for (lsn, retry_after_ms) in later {
            self.events.attempts.retry_later((*lsn, open.first()), *retry_after_ms, now_ms);
        }
        if !later.is_empty() && later.len() >= answers.len().saturating_mul(BUSY_TIMES) {
            // What all of them wish is a wish of the upstream's.
            let wishes = later.iter().map(|(_, wish)| wish.unwrap_or(0));
            let wish = wishes.min();
            self.pacing.line_answers();
            self.pacing.pause_for(open.epoch, wish, now_ms);
            return self.hold.begin_if_long(wish);
        }
        self.pacing.line_works(open.epoch);
        self.pacing.events_are_answered(open.epoch);
        Ok(())
    }

    /// What the upstream took with a reply: where it was sent with the settings of now, it speaks against those that
    /// were refused alone.
    fn apply_acceptances(&mut self, open: &Open, answers: &[(u64, Answer)]) -> Result<()> {
        let is_taken =
            |answer: &Answer| matches!(answer, Answer::Accepted { .. } | Answer::Duplicate { .. });
        let taken: Vec<u64> =
            answers.iter().filter(|(_, answer)| is_taken(answer)).map(|(lsn, _)| *lsn).collect();
        for item in open.items.iter().flat_map(|items| items.iter()) {
            if taken.binary_search(&item.lsn.get()).is_ok() {
                self.sizes.note_taken(item.body.len());
            }
        }
        if taken.is_empty() || open.formed.envelope.settings != self.events.access.settings() {
            return Ok(());
        }
        self.evidence.accept();
        self.events.convict_suspects(&mut self.findings)
    }
}

/// The events that have an answer, and those that are sent again later. Why is in the report.
fn sort_out(
    items: &Items,
    said: &Said<'_>,
    findings: &mut Findings,
) -> (Vec<(u64, Answer)>, Later) {
    let mut answers: Vec<(u64, Answer)> = Vec::with_capacity(items.len());
    let mut later = Vec::new();
    let mut left_out = 0_u64;
    for (lsn, outcome) in items.lsns().zip(&said.outcomes) {
        // Left out, or given two outcomes: nothing is known.
        let KeyOutcomes::One(outcome) = outcome else {
            left_out += 1;
            later.push((lsn, None));
            continue;
        };
        match answer(outcome) {
            Ok(answer) => answers.push((lsn, answer)),
            Err(retry_after_ms) => later.push((lsn, retry_after_ms)),
        }
    }
    findings.count_missing(left_out);
    if let Some(why) = said.for_now() {
        findings.note(why);
    }
    (answers, later)
}
