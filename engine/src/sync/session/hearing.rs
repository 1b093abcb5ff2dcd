//! What a driver hears of the upstream besides outcomes: its clock, and how long it remembers keys.

use std::time::Duration;

use super::Session;
use crate::base::{ErrorKind, Result, whole_ms_down};
use crate::sync::Failure;

impl Session {
    /// Applies what time it is by the upstream's clock, as a reply said: see
    /// [`Store::confirm_time`](crate::Store::confirm_time). To be called before
    /// [`Session::on_reply`]: what the reply settles is then remembered from that time on.
    ///
    /// A full disk is no reason to drop a reply: then it is applied in memory only.
    ///
    /// # Errors
    ///
    /// `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture); nothing is lost.
    pub fn on_time(&mut self, server_unix_ms: i64, uncertainty: Duration) -> Result<()> {
        match self.events.access.store().confirm_time(server_unix_ms, uncertainty) {
            Err(error) if error.kind() == ErrorKind::Full => {}
            done => done?,
        }
        // What waited for it is looked at again.
        self.on_no_time();
        Ok(())
    }

    /// Applies how long the upstream remembers keys at least, as a reply said. It takes
    /// the place of [`Options::with_horizon`](crate::sync::Options::with_horizon) in this session.
    ///
    /// An event whose first attempt is longer ago (less a tenth of that time, an hour at most) is not
    /// sent again: the upstream might take it for new. It becomes uncertain, code `HORIZON`, and waits
    /// for a person, who asks there and [retries](crate::review::Reviews::retry) or
    /// [resolves](crate::review::Reviews::resolve) it. One that was never attempted is sent however old it is. Until
    /// the upstream said that, or answered without it, nothing is sent again that was attempted an hour ago or
    /// longer, if any horizon is set: see [`Session::asks_time`].
    ///
    /// Attempts of an earlier session count as made when the first batch with the event was formed, or
    /// when it was captured if the log does not say that any more, or when a person decided to send it
    /// again. Where nobody knows how long ago that was, because the machine was off
    /// meanwhile, the event waits until the upstream's clock shows it; where it cannot, the event becomes
    /// uncertain too, code `AGE_UNKNOWN`.
    pub fn on_horizon(&mut self, horizon: Duration) {
        // Rounded down: it is not taken to remember them longer than it said.
        self.events.horizon.set(whole_ms_down(horizon));
    }

    /// Whether there are events that can only be sent once the upstream was heard, since it may have forgotten
    /// them, and nothing else is to be sent whose reply would say its time and for how long it remembers
    /// keys. The driver then asks the upstream for anything that changes nothing there, and reports what came:
    /// [`Session::on_horizon`] and [`Session::on_time`], [`Session::on_no_time`] or [`Session::on_no_answer`].
    ///
    /// ```
    /// use onceward::sync::{Options, Session, Step, payloads};
    /// use onceward::{Config, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// assert!(matches!(session.next(0)?, Step::Idle) && !session.asks_time(), "a new store");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn asks_time(&self) -> bool {
        let is_idle = self.batches.is_idle() && !self.pacing.is_blocked();
        let has_failed = self.pacing.is_unreachable() || self.evidence.misconfigured().is_some();
        is_idle && !(has_failed && self.pacing.is_once()) && self.events.horizon.is_waited_for()
    }

    /// The upstream answered, and does not say what time it is there: what waits for that becomes
    /// uncertain.
    ///
    /// ```
    /// # use onceward::sync::{Options, Session, payloads};
    /// # use onceward::{Config, Scope, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// if session.asks_time() {
    ///     // The answer had no header `Date`.
    ///     session.on_no_time();
    /// }
    /// assert!(!session.asks_time());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_no_time(&mut self) {
        self.pacing.line_answers();
        if self.events.horizon.is_waited_for() {
            self.pacing.resume();
        }
        self.batches.send_all_first(self.events.horizon.hear());
    }

    /// Reports that nobody answered who could say the time: the session asks for it again after the backoff.
    ///
    /// ```
    /// # use onceward::sync::{Answered, Failure, Options, Session, payloads};
    /// # use onceward::{Config, Scope, Store};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
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
        self.findings.counts.failures += 1;
        self.pacing.line_fails();
        let mut wait_ms = None;
        match failure {
            Failure::Blocked { why } => {
                self.pacing.block();
                self.findings.note(why.clone());
            }
            Failure::Misdirected { why } => {
                self.evidence.blame(format!("{why};"));
                self.findings.note(why.clone());
            }
            Failure::Unavailable { why, retry_after_ms, answered } => {
                wait_ms = *retry_after_ms;
                self.hold.begin(*retry_after_ms, *answered)?;
                self.findings.note(why.clone());
            }
            Failure::ReplyTooLarge { .. }
            | Failure::LineTooNarrow { .. }
            | Failure::InProgress { .. }
            | Failure::TooLarge
            | Failure::BatchKeyRefused { .. }
            | Failure::Refused { .. } => {
                self.findings.note("the upstream did not send the time".to_owned());
            }
        }
        self.pacing.pause(wait_ms, now_ms);
        Ok(())
    }
}
