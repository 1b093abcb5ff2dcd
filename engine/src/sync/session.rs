//! One drain of a store: what to send next, and what a reply means.
//!
//! Sans-IO: it is told the time and what came back; it never sleeps, reads a clock or opens a
//! socket. What it decides that must outlive a crash (a batch's content, an answer) is a frame of
//! the store's log before it returns.
//!
//! ```text
//!              next                    on_reply: settled, or pending again
//!   pending ---------> batch (durable) ---------------------------------> closed
//!                        |    ^  on_failure: unavailable, in progress, blocked
//!                        |    +--------- the same batch again, later
//!                        +---> on_failure: too large, refused: halves in its place (durable);
//!                              a half of one event goes to review
//! ```

mod forming;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use onceward_wal::Lsn;

use super::backoff::{Backoff, RETRY_AFTER_MS_MAX};
use super::matching::{answer, match_by_key};
use super::{Batch, BatchId, Effort, Failure, Fit, Options, Reply, Report, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Answer, Formed, Inner, Store};

/// How long to wait for an upstream that still works on a batch and does not say how long.
const IN_PROGRESS_MS: u64 = 1_500;

/// One drain of a store.
///
/// A store has one session at a time; a second one is refused until the first is dropped.
pub struct Session {
    store: Store,
    options: Options,
    fit: Fit,
    /// Batches that were formed and are not answered, in the order in which they are to be sent.
    queue: VecDeque<Open>,
    /// The batch that the driver was told to send.
    sent: Option<Open>,
    /// With [`Effort::Once`]: events up to here were attempted.
    attempted_to: u64,
    /// Events that failed for now.
    retries: BTreeMap<u64, Retry>,
    backoff: Backoff,
    not_before_ms: u64,
    bytes_max: usize,
    /// Size of the batch that was sent last.
    sent_bytes: usize,
    blocked: bool,
    finished: bool,
    report: Report,
}

/// A batch that is not answered.
#[derive(Clone, Debug)]
struct Open {
    formed: Formed,
    attempts: u32,
}

/// An event that failed for now.
#[derive(Debug)]
struct Retry {
    backoff: Backoff,
    not_before_ms: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner().draining.store(false, Ordering::Release);
    }
}

impl Session {
    /// Starts to drain one scope of a store. Batches that an earlier session left unanswered are
    /// sent first, as they were.
    ///
    /// # Errors
    ///
    /// `Fenced`: another session drains this store; with the code `STORE_FENCED` the store is left, see
    /// [`Store::unfence`](crate::Store::unfence).
    pub fn start(store: &Store, options: Options, fit: Fit) -> Result<Self> {
        store.inner.refuse_if_fenced()?;
        if store.inner.draining.swap(true, Ordering::AcqRel) {
            let message = "another session drains this store";
            return Err(Error::new(ErrorKind::Fenced, "DRAINING", message));
        }
        let queue = store.inner.open_batches(&options.scope);
        Ok(Self {
            queue: queue.into_iter().map(|formed| Open { formed, attempts: 0 }).collect(),
            sent: None,
            attempted_to: 0,
            retries: BTreeMap::new(),
            backoff: Backoff::new(options.backoff_base_ms, options.backoff_cap_ms, options.seed),
            not_before_ms: 0,
            bytes_max: options.bytes_max,
            sent_bytes: 0,
            blocked: false,
            finished: false,
            report: Report::default(),
            store: store.clone(),
            options,
            fit,
        })
    }

    /// What the driver is to do next. A batch that was sent and never reported on is sent again.
    ///
    /// # Durability
    ///
    /// A batch is durable before it is returned the first time, and only durable events are in it.
    ///
    /// # Errors
    ///
    /// Those of the store; nothing is lost, and asking again is allowed. `Fenced`, code
    /// `STORE_FENCED`: the store is left meanwhile, and nothing more is sent.
    pub fn next(&mut self, now_ms: u64) -> Result<Step> {
        self.inner().refuse_if_fenced()?;
        if let Some(unreported) = self.sent.take() {
            self.queue.push_front(unreported);
        }
        if self.blocked {
            return Ok(Step::Blocked);
        }
        if self.finished {
            return Ok(Step::Idle);
        }
        if now_ms < self.not_before_ms {
            return Ok(Step::Wait { until_ms: self.not_before_ms });
        }
        while let Some(open) = self.queue.pop_front() {
            if let Some(step) = self.send(open)? {
                return Ok(step);
            }
        }
        match self.form(now_ms)? {
            Some(open) => Ok(self.send(open)?.unwrap_or(Step::Idle)),
            None => Ok(self.nothing_to_send(now_ms)),
        }
    }

    /// Takes up a reply. One for a batch that is not waiting changes nothing.
    ///
    /// # Durability
    ///
    /// The outcomes survive a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// Those of the store; the batch is then sent again.
    pub fn on_reply(&mut self, batch: BatchId, reply: &Reply, now_ms: u64) -> Result<()> {
        let Some(open) = self.sent.take_if(|open| open.formed.number == batch.get()) else {
            return Ok(());
        };
        let events = match self.read(&open.formed.events) {
            Ok(events) => events,
            Err(error) => {
                self.sent = Some(open);
                return Err(error);
            }
        };
        let said = match_by_key(&events, reply);
        self.report.strangers += said.strangers;
        let mut answers: Vec<(u64, Answer)> = Vec::with_capacity(events.len());
        let mut later = Vec::new();
        for event in &events {
            let lsn = event.lsn.get();
            match said.outcomes.get(event.event.key.as_str()) {
                Some(Some(outcome)) => match answer(outcome) {
                    Ok(answer) => answers.push((lsn, answer)),
                    Err(retry_after_ms) => later.push((lsn, retry_after_ms)),
                },
                // Left out, or told in two ways: nothing is known.
                Some(None) | None => {
                    self.report.missing += 1;
                    later.push((lsn, None));
                }
            }
        }
        if let Err(error) = self.close(&open, &answers) {
            self.sent = Some(open);
            return Err(error);
        }
        for (lsn, retry_after_ms) in later {
            self.retry_later(lsn, retry_after_ms, now_ms);
        }
        self.line_works();
        // What other processes decided; what the disk refuses now is tried again.
        drop(self.inner().take_up_decisions());
        match self.store.clean_up() {
            // What could not be cleaned now is cleaned later; the answers are kept.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            other => other,
        }
    }

    /// Takes up that a batch as a whole has no outcome. One for a batch that is not waiting changes
    /// nothing.
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
            Failure::Unavailable { why, retry_after_ms } => {
                self.report.failures += 1;
                self.report.unreachable = true;
                self.report.last_failure = Some(why.clone());
                self.not_before_ms = now_ms.saturating_add(self.backoff.wait_ms(*retry_after_ms));
                self.send_again(open);
            }
            Failure::InProgress { retry_after_ms } => {
                self.line_works();
                self.report.last_failure = Some("the upstream still works on it".to_owned());
                let wait_ms = retry_after_ms.unwrap_or(IN_PROGRESS_MS).min(RETRY_AFTER_MS_MAX);
                self.not_before_ms = now_ms.saturating_add(wait_ms);
                self.send_again(open);
            }
            Failure::Blocked { why } => {
                self.report.failures += 1;
                self.report.blocked = true;
                self.report.last_failure = Some(why.clone());
                self.blocked = true;
                self.queue.push_front(open);
            }
            Failure::TooLarge => {
                self.report.failures += 1;
                self.report.last_failure = Some("the batch is too large".to_owned());
                self.line_works();
                let is_single = open.formed.events.len() == 1;
                self.split(open, "TOO_LARGE", "the upstream refuses it as too large")?;
                // A single event that is too large explains why the batches around it were.
                self.bytes_max =
                    if is_single { self.options.bytes_max } else { (self.sent_bytes / 2).max(1) };
            }
            Failure::Refused { code, message } => {
                self.report.failures += 1;
                self.report.last_failure = Some(format!("{code}: {message}"));
                self.line_works();
                self.split(open, code, message)?;
            }
        }
        Ok(())
    }

    /// The line is back, or the credentials changed: forget the backoff.
    pub fn on_online(&mut self) {
        self.backoff.reset();
        self.not_before_ms = 0;
        self.blocked = false;
        self.report.blocked = false;
        self.retries.clear();
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.store.inner
    }

    /// Hands a batch to the driver; `None` if nothing in it waits for an answer any more.
    fn send(&mut self, mut open: Open) -> Result<Option<Step>> {
        let items = match self.items(&mut open) {
            Ok(items) => items,
            Err(error) => {
                self.queue.push_front(open);
                return Err(error);
            }
        };
        let Some(id) = Lsn::from_u64(open.formed.number).filter(|_| !items.is_empty()) else {
            let closed = self.close(&open, &[]);
            return closed.map(|()| None).inspect_err(|_| self.queue.push_front(open));
        };
        open.attempts = open.attempts.saturating_add(1);
        let bytes: usize = items.iter().filter_map(|item| (self.fit)(item).ok()).sum();
        self.report.batches += 1;
        self.report.attempted += u64::try_from(items.len()).unwrap_or(u64::MAX);
        self.report.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.sent_bytes = bytes;
        let batch = Batch {
            id: BatchId(id),
            scope: self.options.scope.clone(),
            attempt: open.attempts,
            idempotency_key: format!("{}-{id}", self.store.id()),
            items,
        };
        self.sent = Some(open);
        Ok(Some(Step::Send(batch)))
    }

    /// Sends a batch again, as it is; with [`Effort::Once`] in another session.
    fn send_again(&mut self, open: Open) {
        self.queue.push_front(open);
        self.finished |= self.options.effort == Effort::Once;
    }

    /// Halves take the place of a batch; a single event goes to review. After an error the batch is
    /// sent again.
    fn split(&mut self, open: Open, code: &str, message: &str) -> Result<()> {
        let split = self.try_split(&open, code, message);
        if split.is_err() {
            self.sent = Some(open);
        }
        split
    }

    fn try_split(&mut self, open: &Open, code: &str, message: &str) -> Result<()> {
        let events = self.read(&open.formed.events)?;
        let events: Vec<u64> = events.into_iter().map(|event| event.lsn.get()).collect();
        let (first, second) = events.split_at(events.len().div_ceil(2));
        if second.is_empty() {
            let rejected = Answer::Rejected {
                code: code.to_owned(),
                message: message.to_owned(),
                reply: Vec::new(),
            };
            let answers: Vec<_> = first.iter().map(|lsn| (*lsn, rejected.clone())).collect();
            return self.close(open, &answers);
        }
        let parts = [first.to_vec(), second.to_vec()];
        let halves = self.inner().form_batches(&self.options.scope, open.formed.number, &parts)?;
        for formed in halves.into_iter().rev() {
            self.queue.push_front(Open { formed, attempts: 0 });
        }
        Ok(())
    }

    /// Settles what was answered and closes the batch.
    fn close(&mut self, open: &Open, answers: &[(u64, Answer)]) -> Result<()> {
        self.settle(open.formed.number, answers)?;
        for (lsn, answer) in answers {
            self.retries.remove(lsn);
            match answer {
                Answer::Accepted { .. } => self.report.accepted += 1,
                Answer::Duplicate { .. } => self.report.duplicate += 1,
                Answer::Rejected { .. } | Answer::Uncertain { .. } => self.report.rejected += 1,
            }
        }
        Ok(())
    }

    fn settle(&self, batch: u64, answers: &[(u64, Answer)]) -> Result<()> {
        let answers: Vec<(u64, &Answer)> = answers.iter().map(|(lsn, a)| (*lsn, a)).collect();
        let settled = {
            let _one_at_a_time = self.inner().control.lock();
            self.inner().settle_events(batch, &answers)
        };
        // Also of what came before something failed.
        self.inner().tell_of_reviews();
        settled
    }

    fn retry_later(&mut self, lsn: u64, retry_after_ms: Option<u64>, now_ms: u64) {
        let Options { backoff_base_ms, backoff_cap_ms, seed, .. } = self.options;
        let retry = self.retries.entry(lsn).or_insert_with(|| Retry {
            backoff: Backoff::new(backoff_base_ms, backoff_cap_ms, seed ^ lsn),
            not_before_ms: 0,
        });
        retry.not_before_ms = now_ms.saturating_add(retry.backoff.wait_ms(retry_after_ms));
    }

    /// Something came back.
    fn line_works(&mut self) {
        self.backoff.reset();
        self.not_before_ms = 0;
        self.report.unreachable = false;
    }
}

#[cfg(test)]
mod tests;
