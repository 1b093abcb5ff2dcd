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
//!                              a half of one event is suspected, and goes to review
//!                              when the upstream takes others
//! ```
//!
//! Of each lane only the first event that has no final answer is ever in a batch.

mod aside;
mod failing;
mod forming;
mod full;
mod holding;
mod horizon;
mod misfits;
mod open;
mod pacing;
mod replying;
mod suspects;
mod unmeasured;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use onceward_wal::Lsn;

use super::backoff::Backoff;
use super::{Batch, BatchId, Fit, Options, Report, Step};
use crate::base::bounds::SETTINGS_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::event::StoredEvent;
use crate::outbox::Answer;
use crate::store::{Shared, Store};
use aside::Aside;
use full::Held;
use horizon::First;
use open::Open;
use pacing::Retry;

/// One drain of a store.
///
/// A store has one session at a time; a second one is refused until the first is dropped.
///
/// ```
/// use onceward::sync::{ItemOutcome, Options, Reply, Session, Step};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let fit = |event: &onceward::StoredEvent, _key: &str| Ok(event.event.payload.as_bytes().len());
/// let mut session = Session::start(&store, Options::new(Scope::default()), Box::new(fit))?;
/// # let now_ms = 0; // By a monotonic clock of the host's.
/// while let Step::Send(batch) = session.next(now_ms)? {
///     // Sent by whatever means; this upstream took all of it.
///     let taken = |item: &onceward::StoredEvent| {
///         (item.event.key.to_string(), ItemOutcome::Accepted { receipt: None })
///     };
///     let reply = Reply { items: batch.items.iter().map(taken).collect() };
///     session.on_reply(batch.id, &reply, now_ms)?;
/// }
/// assert_eq!((session.report().accepted, store.status().settled), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    store: Store,
    options: Options,
    fit: Fit,
    /// Batches that were formed and are not answered, in the order in which they are to be sent.
    queue: VecDeque<Open>,
    /// Batches that failed again and again, which others go before.
    aside: Vec<Aside>,
    /// Batches that failed for now and are sent again as they are.
    as_is: Vec<Held>,
    /// The batch that the driver was told to send.
    sent: Option<Open>,
    /// Events that failed for now, or are suspected.
    retries: BTreeMap<u64, Retry>,
    /// Events of this session's batches that an earlier one attempted, and that did not fail here.
    attempted_before: BTreeSet<u64>,
    backoff: Backoff,
    not_before_ms: u64,
    /// Requests in a row that brought nothing.
    fruitless: u32,
    /// Replies with which the upstream took events that were sent with the settings of now.
    acceptances: u64,
    /// Events refused alone since the last of them.
    in_a_row: u32,
    bytes_max: usize,
    /// Fewer than the options allow, where replies were too long.
    items_max: usize,
    /// Numbers and sizes of the items that were sent last.
    sent_sizes: Vec<(u64, usize)>,
    /// Size of the largest item that the upstream took.
    taken_bytes: usize,
    blocked: bool,
    finished: bool,
    /// The upstream answered, so its clock told what it can.
    has_heard_time: bool,
    /// It told for how long it remembers keys, or answered and did not.
    has_heard_horizon: bool,
    /// Events that wait for that.
    held: BTreeSet<u64>,
    /// Batches with such events.
    held_batches: Vec<Open>,
    report: Report,
    /// Bytes that found no room when they were asked for last; 0: none.
    short_of_bytes: u64,
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
    /// [`Rescue::unfence`](crate::rescue::Rescue::unfence). `Invalid`: the options' settings are too long, or their
    /// rule for [keys](Options::keys) is missing (`WIRE_KEYS_MISSING`), not for this scope (`WIRE_KEYS_BARE`), or
    /// another one than before (`WIRE_KEYS_CHANGED`).
    pub fn start(store: &Store, options: Options, fit: Fit) -> Result<Self> {
        store.inner.state.lock().rescue.refuse_if_fenced()?;
        if options.settings.len() > SETTINGS_BYTES_MAX {
            let message = format!("settings have more than {SETTINGS_BYTES_MAX} bytes");
            return Err(Error::invalid("SETTINGS_TOO_LONG", message));
        }
        if store.inner.draining.swap(true, Ordering::AcqRel) {
            let message = "another session drains this store";
            return Err(Error::new(ErrorKind::Fenced, "DRAINING", message));
        }
        // Only now: until here another session could write one.
        let keys = store.inner.upstreams().rule_for(options.route()).inspect_err(|_| {
            store.inner.draining.store(false, Ordering::Release);
        })?;
        let options = Options { keys: Some(keys), ..options };
        let queue = store.inner.events().open_batches(&options.scope);
        let is_now = options.is_now;
        let session = Self {
            queue: queue.into_iter().map(Open::left).collect(),
            aside: Vec::new(),
            as_is: Vec::new(),
            sent: None,
            retries: BTreeMap::new(),
            attempted_before: BTreeSet::new(),
            backoff: Backoff::new(options.backoff_base_ms, options.backoff_cap_ms, options.seed),
            not_before_ms: 0,
            bytes_max: options.bytes_max,
            items_max: options.items_max,
            fruitless: 0,
            acceptances: 0,
            in_a_row: 0,
            sent_sizes: Vec::new(),
            taken_bytes: 0,
            blocked: false,
            finished: false,
            has_heard_time: false,
            has_heard_horizon: false,
            held: BTreeSet::new(),
            held_batches: Vec::new(),
            report: Report::default(),
            short_of_bytes: 0,
            store: store.clone(),
            options,
            fit,
        };
        if is_now {
            session.end_hold()?;
        }
        Ok(session)
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
    /// `STORE_FENCED`: the store is left meanwhile, and nothing more is sent. `Invalid`, code
    /// `WIRE_KEYS_CHANGED`: a bundle that was imported meanwhile brought another rule for keys, by which a new
    /// session sends.
    pub fn next(&mut self, now_ms: u64) -> Result<Step> {
        self.inner().state.lock().rescue.refuse_if_fenced()?;
        if let Some(unreported) = self.sent.take() {
            self.queue.push_front(unreported);
        }
        if self.blocked {
            return Ok(Step::Blocked);
        }
        if self.finished {
            return Ok(Step::Idle);
        }
        if now_ms < self.not_before_ms && self.has_more(now_ms) {
            return Ok(Step::Wait { until_ms: self.not_before_ms });
        }
        if let Some(step) = self.held_line(now_ms) {
            return Ok(step);
        }
        self.take_held(now_ms);
        self.take_aside(now_ms);
        while let Some(open) = self.next_batch(now_ms)? {
            if self.hold_batch(&open).inspect_err(|_| self.queue.push_front(open.clone()))? {
                continue;
            }
            if let Some(step) = self.send(open, now_ms)? {
                return Ok(step);
            }
            if now_ms < self.not_before_ms && self.has_more(now_ms) {
                return Ok(Step::Wait { until_ms: self.not_before_ms });
            }
        }
        Ok(self.nothing_to_send(now_ms))
    }

    /// The line is back, and the host says now: forget the backoff, what waits for evidence, and what the
    /// upstream asked for. Not for a fresh key: that is [`Session::on_new_key`].
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
    /// let failure = Failure::Blocked { why: "the key is expired".to_owned() };
    /// session.on_failure(batch.id, &failure, 0)?;
    /// assert!(matches!(session.next(0)?, Step::Blocked));
    /// // Somebody mended it there.
    /// session.on_online();
    /// assert!(matches!(session.next(0)?, Step::Send(again) if again.id == batch.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_online(&mut self) {
        self.backoff.reset();
        self.not_before_ms = 0;
        self.fruitless = 0;
        self.items_max = self.options.items_max;
        self.unblock();
        // What the disk refuses now is kept in memory.
        drop(self.end_hold());
        self.release_held();
        self.trust_configuration();
        self.recall_aside();
        self.retries.values_mut().for_each(Retry::forgive);
    }

    /// The credentials are others: what was refused for them is sent once more at once. Whatever else is waited
    /// for goes on, so that keys that are no better make no stream of requests.
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
    /// let failure = Failure::Blocked { why: "the key is expired".to_owned() };
    /// session.on_failure(batch.id, &failure, 0)?;
    /// // The host has another key.
    /// session.on_new_key();
    /// assert!(matches!(session.next(0)?, Step::Send(again) if again.id == batch.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_new_key(&mut self) {
        self.unblock();
        self.not_before_ms = 0;
        self.report.unreachable = false;
        self.recall_last_aside();
    }

    fn unblock(&mut self) {
        self.blocked = false;
        self.report.blocked = false;
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            suspects: self.suspects(),
            misfits: self.misfits(),
            is_full: self.is_full(),
            ..self.report.clone()
        }
    }

    fn inner(&self) -> &Arc<Shared> {
        &self.store.inner
    }

    /// Hands a batch to the driver; `None` if nothing in it waits for an answer any more.
    fn send(&mut self, mut open: Open, now_ms: u64) -> Result<Option<Step>> {
        if open.formed.envelope.upstream != self.options.upstream.as_str() {
            // Whom it was formed for may have it, which is told. Its events form batches for this one.
            let events = u64::try_from(open.formed.events.len()).unwrap_or(u64::MAX);
            self.report.readdressed = self.report.readdressed.saturating_add(events);
            let closed = self.close(&open, &[]);
            return closed.map(|()| None).inspect_err(|_| self.queue.push_front(open));
        }
        let items = match self.items_to_send(&mut open) {
            Ok(items) => items,
            Err(full) if full.kind() == ErrorKind::Full => {
                return self.no_room(open, &full, now_ms).map(|()| None);
            }
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
        open.first.get_or_insert_with(|| First::Here { trusted_ms: self.trusted_ms() });
        let size = |item: &StoredEvent| Some((item.lsn.get(), self.fit_with_key(item).ok()?));
        self.sent_sizes = items.iter().filter_map(size).collect();
        let bytes = self.sent_bytes();
        self.report.batches += 1;
        self.report.attempted += u64::try_from(items.len()).unwrap_or(u64::MAX);
        self.report.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let envelope = &open.formed.envelope;
        let batch = Batch {
            id: BatchId(id),
            scope: self.options.scope.clone(),
            attempt: open.attempts,
            idempotency_key: format!("{}-{:016x}-{id}", self.store.id(), envelope.opening),
            upstream: self.options.upstream.clone(),
            keys: self.rule(),
            settings: envelope.settings.clone(),
            items,
        };
        self.sent = Some(open);
        Ok(Some(Step::Send(batch)))
    }

    /// Size of what was sent last.
    fn sent_bytes(&self) -> usize {
        self.sent_sizes.iter().map(|(_, size)| size).sum()
    }

    /// Settles what was answered and closes the batch.
    fn close(&mut self, open: &Open, answers: &[(u64, Answer)]) -> Result<()> {
        self.settle(open.formed.number, answers)?;
        self.forget(answers);
        for (_, answer) in answers {
            match answer {
                Answer::Accepted { .. } => self.report.accepted += 1,
                Answer::Duplicate { .. } => self.report.duplicate += 1,
                Answer::Rejected { .. } | Answer::Uncertain { .. } => self.report.rejected += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
