//! Whether anything is sent now, and what.

use std::sync::Arc;

use onceward_wal::Lsn;

use super::Session;
use super::candidates::Candidates;
use super::open::{First, Open};
use crate::base::{ErrorKind, Result};
use crate::sync::{Batch, BatchId, Step};

impl Session {
    /// What to do while the line waits; `None`: it does not, or there is nothing to wait for.
    pub(super) fn paused_line(&self, now_ms: u64) -> Option<Step> {
        let until_ms = self.pacing.until_ms(now_ms)?;
        has_more(self, now_ms).then_some(Step::Wait { until_ms })
    }

    /// What to do while the upstream is not to be asked; `None`: it may be.
    pub(super) fn held_line(&mut self, now_ms: u64) -> Option<Step> {
        let left_ms = self.hold.left_ms();
        // With nothing to ask for, nobody is kept waiting.
        if left_ms == 0 || !(has_more(self, now_ms) || self.events.waits_for_upstream()) {
            self.hold.note_no_wait();
            return None;
        }
        if let Some(news) = self.hold.note_wait(left_ms) {
            self.findings.note(news);
        }
        if self.pacing.waits_for(left_ms) {
            return Some(Step::Wait { until_ms: now_ms.saturating_add(left_ms) });
        }
        self.pacing.line_fails();
        self.pacing.finish();
        Some(Step::Idle)
    }

    /// What is to be sent next: what was formed, what waits, and what others went before.
    pub(super) fn next_batch(&mut self, now_ms: u64) -> Result<Option<Open>> {
        if let Some(open) = self.batches.take_next() {
            return Ok(Some(open));
        }
        let Self { events, sizes, evidence, findings, .. } = self;
        let formed = events.form_batch(sizes, evidence, findings, now_ms)?;
        if let Some(open) = formed.or_else(|| self.batches.aside.take_next()) {
            return Ok(Some(open));
        }
        self.halve_one_aside()?;
        Ok(self.batches.take_next())
    }

    /// Hands a batch to the driver; `None` if nothing in it waits for an answer any more.
    pub(super) fn send(&mut self, mut open: Open, now_ms: u64) -> Result<Option<Step>> {
        if open.formed.envelope.upstream != self.events.access.upstream().as_str() {
            // Whom it was formed for may have it, which is reported. Its events form batches for this one.
            self.findings.count_readdressed(open.formed.events.len());
            return self.close_unsent(open).map(|()| None);
        }
        let items = match self.events.items_to_send(&mut open, &mut self.findings) {
            Ok(items) => items,
            Err(full) if full.kind() == ErrorKind::Full => {
                return self.no_room(open, &full, now_ms).map(|()| None);
            }
            Err(error) => {
                self.batches.send_first(open);
                return Err(error);
            }
        };
        let Some(id) = Lsn::from_u64(open.formed.number).filter(|_| !items.is_empty()) else {
            return self.close_unsent(open).map(|()| None);
        };
        open.attempts = open.attempts.saturating_add(1);
        open.epoch = self.pacing.epoch();
        self.sendings.0 += 1;
        open.sent_as = self.sendings.0;
        if self.batches.in_flight() == 0 {
            self.sendings.1 = open.sent_as;
        }
        let Candidates { access, form, .. } = &self.events;
        open.first.get_or_insert_with(|| First::Here { trusted_ms: access.trusted_ms() });
        self.findings.count_sent(items.len(), items.bytes());
        let envelope = &open.formed.envelope;
        let (mark, own) = access.history(id.get());
        let before = self.batches.sent_before(id.get());
        let after = before.map(|(opening, number)| access.batch_key(opening, number));
        let batch = Batch {
            id: BatchId(id),
            scope: access.scope().clone(),
            attempt: open.attempts,
            idempotency_key: access.batch_key(envelope.opening, id.get()),
            upstream: access.upstream().clone(),
            keys: form.rule(),
            settings: envelope.settings.clone(),
            mark,
            own,
            after,
            items: Arc::clone(&items),
        };
        open.items = Some(items);
        self.batches.note_sent(open);
        Ok(Some(Step::Send(batch)))
    }

    /// Closes a batch of which nothing is sent. After an error it is sent first.
    fn close_unsent(&mut self, open: Open) -> Result<()> {
        let closed = self.events.close_unanswered(&open, &mut self.findings);
        closed.inspect_err(|_| self.batches.send_first(open))
    }

    /// What to do where nothing is to be sent now.
    pub(super) fn nothing_to_send(&mut self, now_ms: u64) -> Step {
        if self.batches.in_flight() > 0 {
            return next_due_ms(self, now_ms)
                .map_or(Step::Await, |until_ms| Step::Wait { until_ms });
        }
        let Self { events, evidence, findings, .. } = self;
        events.explain_waits(evidence, findings, self.pacing.is_once());
        if self.pacing.is_once() {
            self.pacing.finish();
            return Step::Idle;
        }
        self.events.forget_settled();
        next_due_ms(self, now_ms).map_or(Step::Idle, |until_ms| Step::Wait { until_ms })
    }
}

/// Whether there is anything to wait for: with [`Effort::Once`](crate::sync::Effort::Once) what was not
/// attempted, or is halved.
fn has_more(session: &Session, now_ms: u64) -> bool {
    !session.pacing.is_once()
        || session.batches.has_next()
        || session.batches.aside.has_one_to_halve(&session.evidence)
        || session.events.has_due(&session.sizes, now_ms)
}

/// When something that failed is to be sent again, if anything is.
fn next_due_ms(session: &Session, now_ms: u64) -> Option<u64> {
    if session.pacing.is_once() {
        return None;
    }
    // One that is in a batch goes with that, and one behind another of its lane after that.
    let Candidates { access, attempts, lookups, horizon, .. } = &session.events;
    // What the upstream has to say something of first is not sent at its time either.
    let is_held = |lsn: u64| horizon.holds(lsn) || lookups.holds(lsn);
    let single =
        access.with_front(|is_in_front| attempts.next_ms(|lsn| is_in_front(lsn) && !is_held(lsn)));
    let waits = single.into_iter().chain(session.batches.next_ms()).chain(lookups.next_ms());
    waits.min().map(|until_ms| until_ms.max(now_ms))
}
