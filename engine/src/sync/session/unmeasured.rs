//! Events that the upstream may have forgotten, as long as it was not heard in this session. Of some nobody knows
//! how long ago they were attempted: between two starts of the machine only the upstream's clock tells how much
//! time passed. And for how long it remembers keys, it tells itself. Until then they wait.
//!
//! What was never attempted goes first, and its reply tells the time. Where nothing else is to be sent, the
//! driver asks for it: [`Session::asks_time`].

use super::{First, Open, Session};
use crate::base::Result;
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::sync::Failure;
use crate::timekeeping::Age;

/// What is taken off a horizon, at most: requests are on their way for some time, and two clocks do not
/// run alike.
const MARGIN_MS_MAX: u64 = 60 * 60 * 1_000;
/// So long every upstream remembers keys, whatever it tells.
const REMEMBERED_MS: u64 = 60 * 60 * 1_000;
/// And at most this part of it.
const MARGIN_PART: u64 = 10;

/// What is to be done with an event that was attempted.
#[derive(Debug)]
pub(super) enum Again {
    /// The upstream knows its key still: it is sent.
    Send,
    /// The upstream's clock, or how long it remembers keys, will tell.
    Wait,
    /// A person has to decide.
    Park(Answer),
}

impl Session {
    /// Whether there are events that can only be sent once the upstream was heard, since it may have forgotten
    /// them, and nothing else is to be sent whose reply would tell its clock and for how long it remembers
    /// keys. The driver then asks the upstream for anything that changes nothing there, and tells what came:
    /// [`Session::on_horizon`] and [`Session::on_time`], [`Session::on_no_time`] or [`Session::on_no_answer`].
    ///
    /// ```
    /// use onceward::sync::{Options, Session, Step};
    /// use onceward::{Config, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
    /// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
    /// assert!(matches!(session.next(0)?, Step::Idle) && !session.asks_time(), "a new store");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn asks_time(&self) -> bool {
        let is_idle = self.sent.is_none() && self.queue.is_empty() && !self.blocked;
        let has_failed = self.report.unreachable || self.report.misconfigured.is_some();
        is_idle && !(has_failed && self.is_once()) && self.waits_for_time()
    }

    /// Whether anything waits for the upstream's clock.
    pub(super) fn waits_for_time(&self) -> bool {
        !(self.held.is_empty() && self.held_batches.is_empty())
    }

    /// The upstream answered, and does not tell what time it is there: what waits for that becomes
    /// uncertain.
    ///
    /// ```
    /// # use onceward::sync::{Options, Session};
    /// # use onceward::{Config, Scope, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
    /// # let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
    /// if session.asks_time() {
    ///     // The answer had no header `Date`.
    ///     session.on_no_time();
    /// }
    /// assert!(!session.asks_time());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_no_time(&mut self) {
        self.has_heard_time = true;
        self.has_heard_horizon = true;
        self.report.unreachable = false;
        if !self.waits_for_time() {
            return;
        }
        self.held.clear();
        for open in self.held_batches.drain(..).rev() {
            self.queue.push_front(open);
        }
        self.finished = false;
    }

    /// Nobody who could tell the time answered: it is asked for again after the backoff.
    ///
    /// ```
    /// # use onceward::sync::{Answered, Failure, Options, Session};
    /// # use onceward::{Config, Scope, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
    /// # let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
    /// let (why, answered) = ("timeout".to_owned(), Answered::Stranger);
    /// let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
    /// if session.asks_time() {
    ///     session.on_no_answer(&failure, 0)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the store, which keeps how long the upstream asked to be left alone.
    pub fn on_no_answer(&mut self, failure: &Failure, now_ms: u64) -> Result<()> {
        self.report.failures += 1;
        self.report.unreachable = true;
        let mut wait_ms = None;
        match failure {
            Failure::Blocked { why } => {
                self.blocked = true;
                self.report.blocked = true;
                self.report.last_failure = Some(why.clone());
            }
            Failure::Misdirected { why } => {
                self.report.misconfigured = Some(format!("{why};"));
                self.report.last_failure = Some(why.clone());
            }
            Failure::Unavailable { why, retry_after_ms, answered } => {
                wait_ms = *retry_after_ms;
                self.hold_line(*retry_after_ms, *answered)?;
                self.report.last_failure = Some(why.clone());
            }
            Failure::ReplyTooLarge { .. }
            | Failure::LineTooNarrow { .. }
            | Failure::InProgress { .. }
            | Failure::TooLarge
            | Failure::BatchKeyRefused { .. }
            | Failure::Refused { .. } => {
                self.report.last_failure = Some("the upstream did not tell the time".to_owned());
            }
        }
        self.pause(wait_ms, now_ms);
        Ok(())
    }

    /// Whether a batch that an earlier session left has an event that waits for the upstream's clock; it is
    /// held then.
    pub(super) fn hold_batch(&mut self, open: &Open) -> Result<bool> {
        let Some(first) = open.first.filter(|_| !self.has_heard_time) else { return Ok(false) };
        let items = self.read(&open.formed.events)?;
        let waits = items.iter().any(|it| matches!(self.again(it, first), Again::Wait));
        if waits {
            self.held_batches.push(open.clone());
        }
        Ok(waits)
    }

    /// What is to be done with an event that was attempted first then.
    pub(super) fn again(&self, event: &StoredEvent, first: First) -> Again {
        let Some(horizon_ms) = self.options.horizon_ms else { return Again::Send };
        let most_ms = horizon_ms - (horizon_ms / MARGIN_PART).min(MARGIN_MS_MAX);
        let ask = format!(
            "and the upstream remembers keys for {horizon_ms} ms: ask there whether it took effect"
        );
        let (code, message) = match self.age_of(event, first, most_ms) {
            Age::Known(ms) if ms >= REMEMBERED_MS && ms < most_ms && !self.has_heard_horizon => {
                return Again::Wait;
            }
            Age::Known(ms) if ms < most_ms => return Again::Send,
            Age::Known(ms) => {
                ("HORIZON", format!("it may have been sent first {ms} ms ago, {ask}"))
            }
            Age::AtLeast { measured_ms, .. } if measured_ms >= most_ms => {
                let ago = format!("more than {measured_ms} ms ago");
                ("HORIZON", format!("it may have been sent first {ago}, {ask}"))
            }
            Age::AtLeast { may_be_known: true, .. } if !self.has_heard_time => return Again::Wait,
            Age::AtLeast { .. } => (
                "AGE_UNKNOWN",
                format!(
                    "it may have been sent, nobody knows how long ago, since nothing measured all of \
                     the time from then to now, {ask}"
                ),
            ),
        };
        Again::Park(Answer::Uncertain { code: code.to_owned(), message })
    }

    /// How long ago an event was attempted first, at most; or since a person decided to send it again, if
    /// that was too long ago.
    fn age_of(&self, event: &StoredEvent, first: First, most_ms: u64) -> Age {
        let inner = self.inner();
        match first {
            First::Here { trusted_ms } => Age::Known(self.trusted_ms().saturating_sub(trusted_ms)),
            First::Before => match inner.timekeeping().attempt_age(event) {
                Age::Known(ms) if ms < most_ms => Age::Known(ms),
                age => inner.timekeeping().decided_age(event).unwrap_or(age),
            },
        }
    }
}
