//! What came of what a drain wanted done.

use super::{Drain, is_full};
use crate::base::Result;
use crate::event::Scope;
use crate::sync::{Answered, Batch, Effort, Failure, ItemOutcome, Question, Reply, Session};

impl Drain {
    /// Applies a reply to a batch: see [`Session::on_reply`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::on_reply`], but for a full disk where it goes on for ever.
    pub fn on_reply(&mut self, batch: &Batch, reply: &Reply, now_ms: u64) -> Result<()> {
        self.line.on_answer();
        let applied =
            self.report_to(batch, now_ms, |session| session.on_reply(batch.id, reply, now_ms));
        self.tell(&batch.scope);
        applied
    }

    /// Applies that a batch as a whole has no outcome: see [`Session::on_failure`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::on_failure`], but for a full disk where it goes on for ever.
    pub fn on_failure(&mut self, batch: &Batch, failure: &Failure, now_ms: u64) -> Result<()> {
        self.hear(failure, now_ms);
        let applied =
            self.report_to(batch, now_ms, |session| session.on_failure(batch.id, failure, now_ms));
        self.tell(&batch.scope);
        applied
    }

    /// The answer that was asked for with [`Step::AskTime`](crate::sync::Step::AskTime) came, or this did instead. What
    /// an answer says of the upstream is applied before, with [`Drain::session_of`]: [`Session::on_time`],
    /// [`Session::on_horizon`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::on_no_answer`].
    pub fn on_time_answer(
        &mut self,
        scope: &Scope,
        failure: Option<&Failure>,
        now_ms: u64,
    ) -> Result<()> {
        match failure {
            None => self.line.on_answer(),
            Some(failure) => self.hear(failure, now_ms),
        }
        let Some(drained) = self.find(scope) else { return Ok(()) };
        drained.is_asking = false;
        let applied = match failure {
            None => {
                drained.session.on_no_time();
                Ok(())
            }
            Some(failure) => drained.session.on_no_answer(failure, now_ms),
        };
        self.tell(scope);
        applied
    }

    /// What was asked for with [`Step::AskOutcome`](crate::sync::Step::AskOutcome) came, or this did instead: see
    /// [`Session::on_outcome`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::on_outcome`].
    pub fn on_outcome(
        &mut self,
        question: &Question,
        outcome: &std::result::Result<Option<ItemOutcome>, Failure>,
        now_ms: u64,
    ) -> Result<()> {
        match outcome {
            Ok(_) => self.line.on_answer(),
            Err(failure) => self.hear(failure, now_ms),
        }
        let Some(drained) = self.find(&question.scope) else { return Ok(()) };
        drained.is_looking_up = false;
        let applied = drained.session.on_outcome(question, outcome, now_ms);
        self.tell(&question.scope);
        applied
    }

    /// The probe that was asked for with [`Step::Probe`](crate::sync::Step::Probe) reached the upstream, or did not.
    ///
    /// Returns whether the line is back: what waits for it goes now.
    pub fn on_probe(&mut self, is_reached: bool, now_ms: u64) -> bool {
        let is_back = self.line.on_probe(is_reached, now_ms);
        if is_back {
            self.scopes.iter_mut().for_each(|drained| drained.session.on_line_back());
        }
        is_back
    }

    /// The line is back, and the host says now: see [`Session::on_online`].
    pub fn on_online(&mut self) {
        self.line.on_answer();
        self.scopes.iter_mut().for_each(|drained| drained.session.on_online());
    }

    /// The credentials are others: see [`Session::on_new_key`].
    pub fn on_new_key(&mut self) {
        self.scopes.iter_mut().for_each(|drained| drained.session.on_new_key());
    }

    /// The driver gave up whatever is on its way: see [`Session::on_abandoned`].
    pub fn on_abandoned(&mut self) {
        self.in_flight = 0;
        for drained in &mut self.scopes {
            (drained.is_asking, drained.is_looking_up) = (false, false);
            drained.session.on_abandoned();
        }
    }

    /// What a failure says of the line.
    fn hear(&mut self, failure: &Failure, now_ms: u64) {
        match failure {
            Failure::Unavailable { answered: Answered::Nobody, .. } => self.line.on_failure(now_ms),
            _ => self.line.on_answer(),
        }
    }

    /// Reports on a batch to its session.
    fn report_to(
        &mut self,
        batch: &Batch,
        now_ms: u64,
        report: impl FnOnce(&mut Session) -> Result<()>,
    ) -> Result<()> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(drained) = self.find(&batch.scope) else { return Ok(()) };
        match report(&mut drained.session) {
            Err(full) if is_full(&full) && drained.options.effort == Effort::Forever => {
                drained.session.on_full(&full, now_ms);
                Ok(())
            }
            reported => reported,
        }
    }

    /// Notes what came of a scope's events last.
    fn tell(&mut self, scope: &Scope) {
        if let Some(drained) = self.scopes.iter().find(|drained| drained.scope == *scope) {
            self.results.note(&self.store, &drained.options, &drained.session.report());
        }
    }
}
