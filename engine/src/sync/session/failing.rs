//! What a batch without outcomes by item means: the same again later, halves in its place, or another
//! name for it.

use super::suspects::Suspicion;
use super::{Open, Session};
use crate::base::{Error, ErrorKind, Result};
use crate::sync::{Answered, BatchId, Failure};

impl Session {
    /// Takes up that a batch as a whole has no outcome. One for a batch that is not waiting changes
    /// nothing.
    ///
    /// ```
    /// use onceward::sync::{Failure, Options, Session, Step};
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
    /// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
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
        let Some(open) = self.sent.take_if(|open| open.formed.number == batch.get()) else {
            return Ok(());
        };
        match failure {
            Failure::Unavailable { why, retry_after_ms, answered } => {
                let open = Open { met_stranger: *answered == Answered::Stranger, ..open };
                self.line_fails(open, why, *retry_after_ms, now_ms)?;
                self.hold_line(*retry_after_ms, *answered)?;
            }
            Failure::LineTooNarrow { why } => self.line_too_narrow(open, why, now_ms)?,
            Failure::Misdirected { why } => self.misdirected(open, why, now_ms)?,
            Failure::ReplyTooLarge { why } => {
                // The replies to the next batches would be as long.
                let items_max = open.formed.events.len().div_ceil(2);
                if self.split_for_line(open, why, now_ms)? {
                    self.items_max = items_max;
                }
            }
            Failure::InProgress { retry_after_ms } => {
                self.report.unreachable = false;
                self.report.last_failure = Some("the upstream still works on it".to_owned());
                self.pause(*retry_after_ms, now_ms);
                self.hold_line_for_long(*retry_after_ms)?;
                // Its halves would be other batches while it is being worked on.
                self.send_after_failure(open, now_ms, false)?;
            }
            Failure::Blocked { why } => {
                self.report.failures += 1;
                self.report.blocked = true;
                self.report.last_failure = Some(why.clone());
                self.blocked = true;
                self.queue.push_front(open);
            }
            Failure::TooLarge if self.is_smaller_than_taken(&open) => {
                let why = "an event is refused as too large, and a larger one was taken";
                self.line_fails(open, why, None, now_ms)?;
                self.bytes_max = self.options.bytes_max;
            }
            Failure::TooLarge => self.too_large(open, now_ms)?,
            Failure::BatchKeyRefused { code, message } => {
                self.report.failures += 1;
                self.report.last_failure = Some(format!("{code}: {message}"));
                self.report.unreachable = false;
                self.pause(None, now_ms);
                self.rename(open, now_ms)?;
            }
            Failure::Refused { code, message } => {
                self.refused(open, Suspicion::new(code, message), now_ms)?;
            }
        }
        Ok(())
    }

    /// The upstream refuses a batch for its size.
    fn too_large(&mut self, mut open: Open, now_ms: u64) -> Result<()> {
        self.report.failures += 1;
        self.report.last_failure = Some("the batch is too large".to_owned());
        self.line_works();
        let is_single = open.formed.events.len() == 1;
        self.note_refusal(&mut open);
        let why = Suspicion::new("TOO_LARGE", "the upstream refuses it as too large");
        self.split(open, why, now_ms)?;
        // A single event that is too large explains why the batches around it were.
        self.bytes_max =
            if is_single { self.options.bytes_max } else { (self.sent_bytes() / 2).max(1) };
        Ok(())
    }

    /// Somebody on the way refuses a batch for its size.
    fn line_too_narrow(&mut self, open: Open, why: &str, now_ms: u64) -> Result<()> {
        let half = (self.sent_bytes() / 2).max(1);
        // A single event that is too large explains why the batches around it were.
        let is_split = self.split_for_line(open, why, now_ms)?;
        self.bytes_max = if is_split { half } else { self.options.bytes_max };
        Ok(())
    }

    /// The line is too narrow for a batch: halves take its place. A single event is sent again later, as
    /// after any other failure of the line; then this returns `false`. After an error the batch is sent again.
    fn split_for_line(&mut self, open: Open, why: &str, now_ms: u64) -> Result<bool> {
        match self.halve(&open) {
            Ok(true) => {}
            Ok(false) => return self.line_fails(open, why, None, now_ms).map(|()| false),
            Err(error) if error.kind() == ErrorKind::Full => {
                self.found_no_room(1);
                return self.line_fails(open, why, None, now_ms).map(|()| false);
            }
            Err(error) => {
                self.sent = Some(open);
                return Err(error);
            }
        }
        // It is there. Whether it is worth the next requests shows by what they bring.
        self.report.unreachable = false;
        self.report.failures += 1;
        self.report.last_failure = Some(why.to_owned());
        Ok(true)
    }

    /// The upstream refuses a batch as a whole.
    fn refused(&mut self, mut open: Open, why: Suspicion, now_ms: u64) -> Result<()> {
        self.report.failures += 1;
        self.report.last_failure = Some(why.to_string());
        self.line_works();
        if open.formed.envelope.settings == self.options.settings {
            self.note_refusal(&mut open);
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
        self.report.failures += 1;
        self.report.unreachable = true;
        self.report.last_failure = Some(why.to_owned());
        self.pause(retry_after_ms, now_ms);
        self.send_after_failure(open, now_ms, true)
    }

    /// It is not what the host meant to ask: the same batch again after the backoff, should it be mended.
    fn misdirected(&mut self, open: Open, why: &str, now_ms: u64) -> Result<()> {
        self.line_fails(open, why, None, now_ms)?;
        self.report.misconfigured = Some(format!("{why};"));
        self.finished |= self.is_once();
        Ok(())
    }

    /// Whether a batch is one event that is no larger than one that was taken.
    fn is_smaller_than_taken(&self, open: &Open) -> bool {
        open.formed.events.len() == 1 && self.sent_bytes() <= self.taken_bytes
    }

    /// The same events as another batch, which has another key. After an error the batch is sent again.
    fn rename(&mut self, open: Open, now_ms: u64) -> Result<()> {
        match self.reform(&open, open.formed.events.clone()) {
            Ok(renamed) => self.queue.push_front(renamed),
            Err(full) if full.kind() == ErrorKind::Full => {
                return self.no_room(open, &full, now_ms);
            }
            Err(error) => {
                self.queue.push_front(open);
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
            split => {
                self.sent = split.is_err().then_some(open);
                split
            }
        }
    }

    /// What is to be done about a batch finds no room on the disk: it stays as it is, comes again after the backoff,
    /// and holds up nobody for ever.
    pub(super) fn no_room(&mut self, open: Open, full: &Error, now_ms: u64) -> Result<()> {
        self.report.last_failure = Some(full.to_string());
        self.found_no_room(1);
        self.pause(None, now_ms);
        let attempts = open.attempts.saturating_add(1);
        self.send_after_failure(Open { attempts, ..open }, now_ms, false)
    }

    fn try_split(&mut self, open: &Open, why: Suspicion, now_ms: u64) -> Result<()> {
        if self.halve(open)? {
            return Ok(());
        }
        match self.read(&open.formed.events)?.first() {
            Some(single) => self.refused_alone(open, single.lsn.get(), why, now_ms),
            None => self.close(open, &[]),
        }
    }
}
