//! What the upstream tells of itself: its clock, and how long it remembers keys. What it may have
//! forgotten is not sent again blindly.
//!
//! | the event was first attempted | it is |
//! |---|---|
//! | never | sent |
//! | less than the horizon ago, or nobody told a horizon | sent again, under its key |
//! | longer ago | uncertain: a person decides |

use super::forming::unfit;
use super::{Open, Session};
use crate::error::{ErrorKind, Result};
use crate::event::StoredEvent;
use crate::review::{DecisionAction, DecisionMade};
use crate::store::Answer;

/// What is taken off a horizon, at most: requests are on their way for some time, and two clocks do not
/// run alike.
const MARGIN_MS_MAX: u64 = 60 * 60 * 1_000;
/// And at most this part of it.
const MARGIN_PART: u64 = 10;

/// When an event was attempted first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// In this session, at this trusted time, milliseconds.
    Here { trusted_ms: u64 },
    /// Before it. The log does not keep when: not before its capture.
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
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            done => done,
        }
    }

    /// Takes up how long the upstream remembers keys at least, milliseconds, as a reply told. It takes
    /// the place of [`Options::horizon_ms`](crate::sync::Options::horizon_ms) in this session.
    ///
    /// An event whose first attempt is longer ago (less a tenth of that time, an hour at most) is not
    /// sent again: the upstream might take it for new. It becomes uncertain, code `HORIZON`, and waits
    /// for a person, who asks there and [retries](crate::Store::retry) or
    /// [resolves](crate::Store::resolve) it. One that was never attempted is sent however old it is.
    ///
    /// Attempts of an earlier session count as made when the event was captured, or when a person
    /// decided to send it again.
    pub fn on_horizon(&mut self, horizon_ms: u64) {
        self.options.horizon_ms = Some(horizon_ms);
    }

    /// Which of these events were attempted, ascending as they are.
    pub(super) fn attempted(&self, events: &[u64]) -> Vec<u64> {
        let view = self.inner().view.lock();
        let is_attempted = |lsn: &u64| view.events.get(lsn).is_some_and(|live| live.is_attempted);
        events.iter().copied().filter(|lsn| is_attempted(lsn)).collect()
    }

    /// Now, in trusted time.
    pub(super) fn trusted_ms(&self) -> u64 {
        let inner = self.inner();
        inner.moment(inner.mono_ms()).trusted_ms
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
            let Some(answer) = is_attempted.then(|| self.forgotten(event, first)).transpose()?
            else {
                continue;
            };
            // An earlier session could send it, and damage took a part since.
            let is_before = first == First::Before;
            let misfit =
                || self.fit_with_key(event).err().filter(|_| is_before).map(|it| unfit(it, true));
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
        self.report.rejected += u64::try_from(answers.len()).unwrap_or(u64::MAX);
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

    /// Why an event must not be sent again; `None` if it may.
    pub(super) fn forgotten(&self, event: &StoredEvent, first: First) -> Result<Option<Answer>> {
        let Some(horizon_ms) = self.options.horizon_ms else { return Ok(None) };
        let most_ms = horizon_ms - (horizon_ms / MARGIN_PART).min(MARGIN_MS_MAX);
        let age_ms = match first {
            First::Here { trusted_ms } => self.trusted_ms().saturating_sub(trusted_ms),
            First::Before => {
                let age_ms = self.inner().age_ms(event);
                if age_ms < most_ms {
                    age_ms
                } else {
                    self.since_decision(event)?.unwrap_or(age_ms)
                }
            }
        };
        Ok((age_ms >= most_ms).then(|| Answer::Uncertain {
            code: "HORIZON".to_owned(),
            message: format!(
                "it may have been sent first {age_ms} ms ago, and the upstream remembers keys for \
                 {horizon_ms} ms: ask there whether it took effect"
            ),
        }))
    }

    /// How long ago a person decided to send an event again, by the wall clock; `None`: nobody did.
    fn since_decision(&self, event: &StoredEvent) -> Result<Option<u64>> {
        let made = match self.store.decisions_on(&event.event.scope, &event.event.key) {
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
            made => made?,
        };
        let is_retry = |made: &&DecisionMade| made.decision.action == DecisionAction::Retry;
        let now_ms = self.inner().wall_ms();
        let since_ms = |made_ms: i64| u64::try_from(now_ms.saturating_sub(made_ms)).unwrap_or(0);
        Ok(made.iter().rfind(is_retry).map(|made| since_ms(made.made_at_ms)))
    }
}
