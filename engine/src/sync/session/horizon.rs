//! What the upstream tells of itself: its clock, and how long it remembers keys. What it may have
//! forgotten is not sent again blindly.
//!
//! | the event was first attempted | it is |
//! |---|---|
//! | never | sent |
//! | less than the horizon ago, or nobody told a horizon | sent again, under its key; after an hour only once the upstream was heard, which tells its horizon |
//! | longer ago | uncertain: a person decides |
//! | nobody knows how long ago | held until the upstream's clock tells, if it can; or else uncertain |

use super::suspects::Suspicion;
use super::unmeasured::Again;
use super::{Open, Session};
use crate::base::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;

/// When an event was attempted first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// In this session, at this trusted time, milliseconds.
    Here { trusted_ms: u64 },
    /// Before it: not before the batch was formed, of which the log may tell, and not before its capture.
    Before,
}

impl Session {
    /// Takes up what time it is by the upstream's clock, as a reply told: see
    /// [`Store::confirm_time`](crate::Store::confirm_time). To be told before
    /// [`Session::on_reply`]: what the reply settles is then remembered from that time on.
    ///
    /// A full disk is no reason to drop a reply: then it is taken up in memory only.
    ///
    /// # Errors
    ///
    /// `Io`, `Poisoned`: the disk refused; nothing is lost.
    pub fn on_time(&mut self, server_unix_ms: i64, uncertainty_ms: u64) -> Result<()> {
        match self.store.confirm_time(server_unix_ms, uncertainty_ms) {
            Err(error) if error.kind() == ErrorKind::Full => {}
            done => done?,
        }
        // What waited for it is looked at again.
        self.on_no_time();
        Ok(())
    }

    /// Takes up how long the upstream remembers keys at least, milliseconds, as a reply told. It takes
    /// the place of [`Options::horizon_ms`](crate::sync::Options::horizon_ms) in this session.
    ///
    /// An event whose first attempt is longer ago (less a tenth of that time, an hour at most) is not
    /// sent again: the upstream might take it for new. It becomes uncertain, code `HORIZON`, and waits
    /// for a person, who asks there and [retries](crate::review::Reviews::retry) or
    /// [resolves](crate::review::Reviews::resolve) it. One that was never attempted is sent however old it is. Until
    /// the upstream told, or answered without telling, nothing is sent again that was attempted an hour ago or
    /// longer, if any horizon is set: see [`Session::asks_time`].
    ///
    /// Attempts of an earlier session count as made when the first batch with the event was formed, or
    /// when it was captured if the log does not tell that any more, or when a person decided to send it
    /// again. Where nobody knows how long ago that was, because the machine was off
    /// meanwhile, the event waits until the upstream's clock tells; where that cannot tell, it becomes
    /// uncertain too, code `AGE_UNKNOWN`.
    pub fn on_horizon(&mut self, horizon_ms: u64) {
        self.options.horizon_ms = Some(horizon_ms);
        self.has_heard_horizon = true;
    }

    /// Which of these events were attempted, ascending as they are.
    pub(super) fn attempted(&self, events: &[u64]) -> Vec<u64> {
        let state = self.inner().state.lock();
        let is_attempted =
            |lsn: &u64| state.outbox.events().live(*lsn).is_some_and(|live| live.is_attempted);
        events.iter().copied().filter(|lsn| is_attempted(lsn)).collect()
    }

    /// Now, in trusted time.
    pub(super) fn trusted_ms(&self) -> u64 {
        let inner = self.inner();
        inner.time.trusted_ms()
    }

    /// When an event was attempted first that was attempted, and is in no batch or in one whose other
    /// events were attempted first then.
    pub(super) fn first(&self, lsn: u64, of_batch: First) -> First {
        match self.retries.get(&lsn) {
            Some(retry) => retry.first,
            None if self.attempted_before.contains(&lsn) => First::Before,
            None => of_batch,
        }
    }

    /// Makes those of a batch's events uncertain that must not be sent again. Returns whether any were.
    pub(super) fn park_forgotten(&mut self, open: &Open, items: &[StoredEvent]) -> Result<bool> {
        let mut answers = Vec::new();
        for event in items {
            let lsn = event.lsn.get();
            let is_attempted = open.first.is_some()
                || self.retries.contains_key(&lsn)
                || self.attempted_before.contains(&lsn);
            let first = self.first(lsn, open.first.unwrap_or(First::Before));
            if !is_attempted {
                continue;
            }
            let answer = match self.again(event, first) {
                Again::Park(answer) => Some(answer),
                // A batch with one that waits is held.
                Again::Send | Again::Wait => None,
            };
            // An earlier session could send it, and damage took a part since.
            let is_before = first == First::Before;
            let misfit = || {
                let misfit = self.fit_with_key(event).err().filter(|_| is_before)?;
                Some(Suspicion::misfit(misfit, true).into_answer())
            };
            answers.extend(answer.or_else(misfit).map(|answer| (lsn, answer)));
        }
        if answers.is_empty() {
            return Ok(false);
        }
        self.park(&answers)?;
        Ok(true)
    }

    /// Gives events that are not sent their answers.
    pub(super) fn park(&mut self, answers: &[(u64, Answer)]) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        self.settle(0, answers)?;
        let count = u64::try_from(answers.len()).unwrap_or(u64::MAX);
        self.report.rejected += count;
        self.report.parked += count;
        self.forget(answers);
        Ok(())
    }

    /// Forgets when events were attempted that have an answer now.
    pub(super) fn forget(&mut self, answers: &[(u64, Answer)]) {
        for (lsn, _) in answers {
            self.retries.remove(lsn);
            self.attempted_before.remove(lsn);
        }
    }
}
