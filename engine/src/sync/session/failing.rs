//! What a batch without outcomes by item means: the same again later, halves in its place, or another
//! name for it.

use super::aside::Aside;
use super::suspicion::Suspicion;
use super::{Open, Session};
use crate::base::{Error, ErrorKind, Result};
use crate::sync::{Answered, BatchId, Failure};

impl Session {
    /// Applies that a batch as a whole has no outcome. A failure of a batch that is not waiting changes
    /// nothing.
    ///
    /// ```
    /// use onceward::sync::{Failure, Options, Session, Step, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
    /// let why = "busy".to_owned();
    /// let answered = onceward::sync::Answered::Upstream;
    /// let failure = Failure::Unavailable { why, retry_after_ms: Some(2_000), answered };
    /// session.on_failure(batch.id, &failure, 0)?;
    /// assert!(matches!(session.next(0)?, Step::Wait { until_ms } if until_ms >= 2_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// Halves that take a batch's place are durable when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// Those of the store; the batch is then sent again.
    pub fn on_failure(&mut self, batch: BatchId, failure: &Failure, now_ms: u64) -> Result<()> {
        let Some(mut open) = self.batches.take_sent(batch) else {
            return Ok(());
        };
        let sent_bytes = open.sent_bytes();
        match failure {
            Failure::Unavailable { why, retry_after_ms, answered } => {
                open.met_stranger = *answered == Answered::Stranger;
                self.line_fails(open, why, *retry_after_ms, now_ms)?;
                self.hold.begin(*retry_after_ms, *answered)?;
            }
            Failure::LineTooNarrow { why } => {
                if self.split_for_line(open, why, now_ms)? {
                    self.sizes.halve_bytes(sent_bytes);
                } else {
                    self.sizes.restore_bytes();
                }
            }
            Failure::Misdirected { why } => self.misdirected(open, why, now_ms)?,
            Failure::ReplyTooLarge { why } => {
                // The replies to the next batches would be as long.
                let items_max = open.formed.events.len().div_ceil(2);
                if self.split_for_line(open, why, now_ms)? {
                    self.sizes.limit_items(items_max);
                }
            }
            Failure::InProgress { retry_after_ms } => {
                self.pacing.line_answers();
                self.findings.note("the upstream still works on it".to_owned());
                self.pacing.pause_for(open.epoch, *retry_after_ms, now_ms);
                self.hold.begin_if_long(*retry_after_ms)?;
                // Its halves would be other batches while it is being worked on.
                self.send_after_failure(open, now_ms, false)?;
            }
            Failure::Blocked { why } => {
                self.findings.note_failure(why.clone());
                self.pacing.block();
                self.batches.send_first(open);
            }
            Failure::TooLarge if self.sizes.is_smaller_than_taken(&open) => {
                let why = "an event is refused as too large, and a larger one was taken";
                self.line_fails(open, why, None, now_ms)?;
                self.sizes.restore_bytes();
            }
            Failure::TooLarge => self.too_large(open, now_ms)?,
            Failure::BatchKeyRefused { code, message } => {
                self.findings.note_failure(format!("{code}: {message}"));
                self.pacing.line_answers();
                self.pacing.pause_for(open.epoch, None, now_ms);
                self.rename(open, now_ms)?;
            }
            Failure::Refused { code, message } => {
                self.refused(open, Suspicion::new(code, message), now_ms)?;
            }
        }
        Ok(())
    }

    /// The store found no room for what a call of this session had to write: nothing of it is lost, and what
    /// comes next waits for the backoff, as after a failure of the line. The report says why.
    ///
    /// For drivers that go on until they are stopped: others take room on a disk and give it back.
    pub fn on_full(&mut self, refused: &Error, now_ms: u64) {
        self.findings.note(refused.to_string());
        self.pacing.pause(None, now_ms);
    }

    /// The upstream refuses a batch for its size.
    fn too_large(&mut self, mut open: Open, now_ms: u64) -> Result<()> {
        self.findings.note_failure("the batch is too large".to_owned());
        self.pacing.line_works(open.epoch);
        let sent_bytes = open.sent_bytes();
        let is_single = open.is_single();
        self.evidence.note_refusal(&mut open);
        let why = Suspicion::new("TOO_LARGE", "the upstream refuses it as too large");
        self.split(open, why, now_ms)?;
        if is_single {
            self.sizes.restore_bytes();
        } else {
            self.sizes.halve_bytes(sent_bytes);
        }
        Ok(())
    }

    /// The upstream refuses a batch as a whole.
    fn refused(&mut self, mut open: Open, why: Suspicion, now_ms: u64) -> Result<()> {
        self.findings.note_failure(why.to_string());
        self.pacing.line_works(open.epoch);
        if open.formed.envelope.settings == self.events.access.settings() {
            self.evidence.note_refusal(&mut open);
            self.split(open, why, now_ms)
        } else {
            // Perhaps for what the host has mended since.
            self.rename(open, now_ms)
        }
    }

    /// The line failed: the same batch again, after the backoff.
    fn line_fails(
        &mut self,
        open: Open,
        why: &str,
        retry_after_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<()> {
        self.findings.note_failure(why.to_owned());
        self.pacing.line_fails();
        self.events.note_backlog();
        self.pacing.pause_for(open.epoch, retry_after_ms, now_ms);
        self.send_after_failure(open, now_ms, true)
    }

    /// Handles an upstream that is not the one the host meant: the same batch goes again after the backoff, should the
    /// configuration be mended.
    fn misdirected(&mut self, open: Open, why: &str, now_ms: u64) -> Result<()> {
        self.line_fails(open, why, None, now_ms)?;
        self.evidence.blame(why.to_owned());
        self.pacing.finish_if_once();
        Ok(())
    }

    /// What is to be done about a batch finds no room on the disk: it stays as it is, comes again after the backoff,
    /// and holds up nobody for ever.
    pub(super) fn no_room(&mut self, open: Open, full: &Error, now_ms: u64) -> Result<()> {
        self.findings.note(full.to_string());
        self.findings.found_no_room();
        self.pacing.pause(None, now_ms);
        let attempts = open.attempts.saturating_add(1);
        self.send_after_failure(Open { attempts, ..open }, now_ms, false)
    }

    /// A batch brought nothing, and the line waits already. After an error the batch is sent again.
    fn send_after_failure(&mut self, mut open: Open, now_ms: u64, may_halve: bool) -> Result<()> {
        let is_at_fault = self.evidence.note_failure(&mut open);
        if self.pacing.is_once() {
            if may_halve {
                self.batches.aside.push(Aside { open, until_ms: u64::MAX, is_at_fault: true });
            }
            return Ok(());
        }
        if self.batches.aside.has_patience_with(&open, is_at_fault) {
            self.batches.send_first(open);
            return Ok(());
        }
        if is_at_fault && may_halve {
            match self.halve(&open) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // It waits as it is: what the line does is no reason to end a run.
                Err(error) if error.kind() == ErrorKind::Full => self.findings.found_no_room(),
                Err(error) => {
                    self.batches.send_first(open);
                    return Err(error);
                }
            }
        }
        let until_ms = self.pacing.aside_until_ms(open.attempts, now_ms);
        self.batches.aside.push(Aside { open, until_ms, is_at_fault });
        Ok(())
    }

    /// The line is too narrow for a batch: halves take its place. A single event is sent again later, as
    /// after any other failure of the line; then this returns `false`. After an error the batch is sent again.
    fn split_for_line(&mut self, open: Open, why: &str, now_ms: u64) -> Result<bool> {
        match self.halve(&open) {
            Ok(true) => {}
            Ok(false) => return self.line_fails(open, why, None, now_ms).map(|()| false),
            Err(error) if error.kind() == ErrorKind::Full => {
                self.findings.found_no_room();
                return self.line_fails(open, why, None, now_ms).map(|()| false);
            }
            Err(error) => {
                self.batches.send_first(open);
                return Err(error);
            }
        }
        // It is there. Whether it is worth the next requests shows by what they bring.
        self.pacing.line_answers();
        self.findings.note_failure(why.to_owned());
        Ok(true)
    }

    /// Forms another batch of the same events, which has another key. After an error the batch is sent again.
    fn rename(&mut self, open: Open, now_ms: u64) -> Result<()> {
        match self.events.access.reform(&open, open.formed.events.clone()) {
            Ok(renamed) => self.batches.send_first(renamed),
            Err(full) if full.kind() == ErrorKind::Full => {
                return self.no_room(open, &full, now_ms);
            }
            Err(error) => {
                self.batches.send_first(open);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Halves take the place of a batch; a single event was refused alone. After an error the batch is
    /// sent again.
    fn split(&mut self, open: Open, why: Suspicion, now_ms: u64) -> Result<()> {
        match self.try_split(&open, why, now_ms) {
            Err(full) if full.kind() == ErrorKind::Full => self.no_room(open, &full, now_ms),
            split => split.inspect_err(|_| self.batches.send_first(open)),
        }
    }

    fn try_split(&mut self, open: &Open, why: Suspicion, now_ms: u64) -> Result<()> {
        if self.halve(open)? {
            return Ok(());
        }
        let read = self.events.access.read(&open.formed.events, &mut self.findings)?;
        match read.first() {
            Some(single) => self.refused_alone(open, single.lsn.get(), why, now_ms),
            None => self.events.close_unanswered(open, &mut self.findings),
        }
    }

    /// The one event of a batch is refused.
    fn refused_alone(&mut self, open: &Open, lsn: u64, why: Suspicion, now_ms: u64) -> Result<()> {
        if self.evidence.convicts(open) {
            let answers = [(lsn, why.into_answer())];
            return self.events.close(open, &answers, &mut self.findings);
        }
        self.events.close_unanswered(open, &mut self.findings)?;
        self.events.attempts.suspect((lsn, open.first()), why.clone());
        if self.evidence.is_against_configuration() {
            // Nothing that is sent is taken. All stays pending, and after the longest wait one event is tried. This
            // forgets of what they are suspected, and not when they were attempted first.
            self.evidence.blame_configuration(&why);
            self.events.attempts.forget_suspicions();
            self.pacing.pause_longest(now_ms);
        }
        Ok(())
    }

    /// Halves take the place of a batch; `false`: it has no two events that can be read.
    fn halve(&mut self, open: &Open) -> Result<bool> {
        let Some(halves) = self.events.halves(open, &mut self.findings)? else { return Ok(false) };
        self.batches.send_all_first(halves);
        Ok(true)
    }

    /// With [`Effort::Once`](crate::sync::Effort::Once), puts halves of a batch that failed in the queue; after an
    /// error it is as it was.
    pub(super) fn halve_one_aside(&mut self) -> Result<()> {
        if !self.pacing.is_once() {
            return Ok(());
        }
        while let Some(aside) = self.batches.aside.take_one_to_halve(&self.evidence) {
            match self.halve(&aside.open) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // It stays whole, for another run.
                Err(error) if error.kind() == ErrorKind::Full => self.findings.found_no_room(),
                Err(error) => {
                    self.batches.aside.push(aside);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
