//! Events that are refused alone by what refuses a whole request: theirs may be the fault, or that of
//! whoever answers. A wrong address, a wrong dialect, a page on the way refuse good sales too.
//!
//! | an event is refused alone, and | it |
//! |---|---|
//! | the upstream took another one since a batch with it was refused first | goes to review |
//! | the upstream took another one in this session, and refused fewer than eight in a row since | too |
//! | the upstream takes another one later | goes to review then |
//! | others are refused alone as well, eight in a row | stays pending, as they do; the session pauses |
//!
//! Only what the upstream took with the settings of now counts. An event that forms no item of the dialect
//! is a suspect too, and costs no request: see [`misfits`](super::misfits).

use std::fmt;

use super::horizon::First;
use super::pacing::Retry;
use super::{Open, Session};
use crate::base::{ErrorKind, Result};
use crate::outbox::Answer;
use crate::sync::Misfit;

/// Events refused alone in a row after which the fault is not taken for theirs.
const SUSPECTS_MAX: u32 = 8;

/// Of what an event is suspected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// The upstream refused it alone.
    Refusal,
    /// It forms no item of the dialect.
    Misfit,
    /// The same, and one was sent of it before.
    MisfitNow,
}

/// Why an event was refused alone, or cannot be sent.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    of: Of,
    code: String,
    message: String,
}

impl Suspicion {
    pub(super) fn new(code: &str, message: &str) -> Self {
        Self { of: Of::Refusal, code: code.to_owned(), message: message.to_owned() }
    }

    /// An event forms no item. Nobody knows whether one that was sent before took effect.
    pub(super) fn misfit(misfit: Misfit, is_again: bool) -> Self {
        let Misfit { code, message } = misfit;
        Self { of: if is_again { Of::MisfitNow } else { Of::Misfit }, code, message }
    }

    /// Whether nobody was asked about the event.
    pub(super) fn is_misfit(&self) -> bool {
        self.of != Of::Refusal
    }

    pub(super) fn into_answer(self) -> Answer {
        let Self { of, code, message } = self;
        match of {
            Of::Refusal | Of::Misfit => Answer::Rejected { code, message, reply: Vec::new() },
            Of::MisfitNow => Answer::Uncertain { code, message },
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Session {
    /// A batch is refused as a whole: what the upstream takes from now on counts against its events.
    pub(super) fn note_refusal(&self, open: &mut Open) {
        open.refused_at.get_or_insert(self.acceptances);
    }

    /// Whether the upstream took other events since a batch with these was refused first, or before, as
    /// long as it does not refuse whatever it is sent since.
    fn is_convicted(&self, open: &Open) -> bool {
        open.refused_at.is_some_and(|at| at < self.acceptances)
            || (self.acceptances > 0 && self.in_a_row <= SUSPECTS_MAX)
    }

    /// The one event of a batch is refused.
    pub(super) fn refused_alone(
        &mut self,
        open: &Open,
        lsn: u64,
        why: Suspicion,
        now_ms: u64,
    ) -> Result<()> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.is_convicted(open) {
            return self.close(open, &[(lsn, why.into_answer())]);
        }
        self.close(open, &[])?;
        let first = self.first(lsn, open.first.unwrap_or(First::Before));
        let retry = self.retries.entry(lsn).or_insert_with(|| Retry::new(first));
        retry.suspicion = Some(why.clone());
        if self.in_a_row >= SUSPECTS_MAX {
            // Which forgets of what they are suspected, and not when they were attempted first.
            self.pause_misconfigured(&why, now_ms);
        }
        Ok(())
    }

    /// Nothing that is sent is taken. All stays pending, and after the longest wait one event is tried.
    fn pause_misconfigured(&mut self, why: &Suspicion, now_ms: u64) {
        let Suspicion { code, message, .. } = why;
        self.report.misconfigured = Some(format!(
            "each of {} events in a row was refused, the last with {code} ({message}), and none was \
             taken since the first of them: is the address right, and the dialect?",
            self.in_a_row
        ));
        self.forget_suspicions();
        self.in_a_row = if self.acceptances > 0 { SUSPECTS_MAX } else { SUSPECTS_MAX - 1 };
        self.not_before_ms = now_ms.saturating_add(self.options.backoff_cap_ms);
        self.finished |= self.is_once();
    }

    /// Whether only one event may be tried: the next that is refused alone pauses the session.
    pub(super) fn is_trying(&self) -> bool {
        self.in_a_row >= SUSPECTS_MAX - 1
    }

    /// The configuration may be another one: no event is suspected any more.
    pub(super) fn forget_suspicions(&mut self) {
        let suspects = self.retries.values_mut().filter(|retry| retry.suspicion.is_some());
        suspects.for_each(Retry::forgive);
    }

    /// The same, and nothing speaks against the configuration.
    pub(super) fn trust_configuration(&mut self) {
        self.forget_suspicions();
        self.in_a_row = 0;
        self.report.misconfigured = None;
    }

    /// What the upstream took with a reply.
    pub(super) fn take_up_acceptances(
        &mut self,
        open: &Open,
        answers: &[(u64, Answer)],
    ) -> Result<()> {
        let is_taken =
            |answer: &Answer| matches!(answer, Answer::Accepted { .. } | Answer::Duplicate { .. });
        let taken: Vec<u64> =
            answers.iter().filter(|(_, answer)| is_taken(answer)).map(|(lsn, _)| *lsn).collect();
        let sizes = self.sent_sizes.iter().filter(|(lsn, _)| taken.binary_search(lsn).is_ok());
        self.taken_bytes = sizes.map(|(_, size)| *size).fold(self.taken_bytes, usize::max);
        if taken.is_empty() || open.formed.envelope.settings != self.options.settings {
            return Ok(());
        }
        self.convict_suspects()
    }

    /// The upstream took events of a batch with the settings of now: those that it refused alone were
    /// at fault themselves.
    fn convict_suspects(&mut self) -> Result<()> {
        self.acceptances = self.acceptances.saturating_add(1);
        self.in_a_row = 0;
        self.report.misconfigured = None;
        let suspects: Vec<(u64, Answer)> = {
            let state = self.inner().state.lock();
            let waits = |lsn: &u64| {
                state.outbox.events().live(*lsn).is_some_and(|live| live.is_to_deliver())
            };
            let suspects = self.retries.iter().filter(|(lsn, _)| waits(lsn));
            let why = |retry: &Retry| retry.suspicion.clone().map(Suspicion::into_answer);
            suspects.filter_map(|(lsn, retry)| Some((*lsn, why(retry)?))).collect()
        };
        if suspects.is_empty() {
            return Ok(());
        }
        match self.park(&suspects) {
            // They stay suspects until something is taken again.
            Err(error) if error.kind() == ErrorKind::Full => {
                self.found_no_room(1);
                Ok(())
            }
            parked => parked,
        }
    }

    /// Tells what events wait for that were refused alone, where nothing else is to be sent.
    pub(super) fn tell_of_suspects(&mut self) {
        let mut suspicions = self.retries.values().filter_map(|retry| retry.suspicion.as_ref());
        if let Some(last) = suspicions.rfind(|it| !it.is_misfit()).cloned() {
            self.report.last_failure = Some(format!(
                "{} events that were sent alone were refused, the last with {last}; they wait until \
                 the upstream takes others, which shows that they are at fault, and not the address or the dialect",
                self.suspects()
            ));
        }
    }

    /// How many events were refused alone and wait for evidence.
    pub(super) fn suspects(&self) -> u64 {
        let suspicions = self.retries.values().filter_map(|retry| retry.suspicion.as_ref());
        let count = suspicions.filter(|suspicion| !suspicion.is_misfit()).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
