//! Captures that are waited for later, or by nobody.
//!
//! They are queued like any other. Whoever comes next, or ticks, applies what became of those whose
//! ticket was dropped, so that their keys do not stay in doubt.

use onceward_wal::{ErrorKind as Log, Lsn};

use super::Verdict;
use super::call::Call;
use super::calls::{Captures, Evicting, Originals};
use super::judging::{Judged, lost_verdict, verdict_counts};
use super::waking::Seat;
use crate::base::{Result, observe};
use crate::event::{AnyEvent, Event};
use crate::store::{Shared, Store};

/// What becomes of a frame, if that is known.
type Told = Option<std::result::Result<(), onceward_wal::Error>>;

/// A capture that is queued; its verdict comes with durability.
///
/// Dropping it takes nothing back: the event becomes durable with the next capture that somebody waits for, or when the
/// store is closed; without either, within about a fifth of a second, by the store's own thread, or at a
/// [`Store::tick`] if that comes first. A ticket is a handle of the store, and a future: awaiting it is waiting without
/// keeping the thread.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// let reading = |n: u32| -> Result<Event, onceward::Error> {
///     let key = Key::new(&format!("meter-3-{n}"))?;
///     Ok(Event::new(Scope::default(), key, Payload::json("{}")?))
/// };
/// let first = store.capture_deferred(&reading(1)?)?;
/// let second = store.capture_deferred(&reading(2)?)?;
/// // One sync for both.
/// assert!(matches!(second.wait()?, Verdict::Fresh { .. }));
/// assert!(matches!(first.wait()?, Verdict::Fresh { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is durable before the ticket says so; drop it if nobody needs to know"]
pub struct Ticket {
    pub(super) batch: BatchTicket,
}

/// A [`Ticket`] of a batch: see [`Store::capture_batch_deferred`].
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// let event = Event::new(Scope::default(), Key::new("k1")?, Payload::json("{}")?);
/// let verdicts = store.capture_batch_deferred(&[event.clone(), event])?.wait()?;
/// assert!(matches!(verdicts[..], [Verdict::Fresh { .. }, Verdict::Duplicate { .. }]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is durable before the ticket says so; drop it if nobody needs to know"]
pub struct BatchTicket {
    pub(super) store: Store,
    judged: JudgedList,
    /// The events, if a key among them was taken by one that was not durable yet.
    events: Vec<Event>,
    /// Where it waits to be woken, if it was polled.
    pub(super) seat: Option<Seat>,
}

/// What was found of the keys of a call, in place where it is one.
#[derive(Debug)]
enum JudgedList {
    One([Judged; 1]),
    Many(Vec<Judged>),
}

impl JudgedList {
    fn as_slice(&self) -> &[Judged] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Judged] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl Store {
    /// Captures as [`Store::capture`], but returns as soon as the event is queued.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// let ticket = store.capture_deferred(&sale)?;
    /// // Whatever else is to be done while the disk writes.
    /// assert!(matches!(ticket.wait()?, Verdict::Fresh { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// None until the [`Ticket`] says so: a crash before that may lose the event.
    ///
    /// # Errors
    ///
    /// As [`Store::capture`]; an error of the disk is mostly returned by the ticket.
    ///
    /// # Cost
    ///
    /// Microseconds. It waits for the disk only where 6 MiB are queued already, where a segment is full and the next
    /// one not prepared yet, where a limit is kept by dropping events, or where the disk is so full that space must be
    /// given back first.
    pub fn capture_deferred(&self, event: &impl AnyEvent) -> Result<Ticket> {
        let batch = self.defer(std::slice::from_ref(event))?;
        Ok(Ticket { batch })
    }

    /// Captures as [`Store::capture_batch`], but returns as soon as the events are queued.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let line = |number: u32| -> onceward::Result<Event> {
    ///     let key = Key::new(&format!("receipt-1-line-{number}"))?;
    ///     Ok(Event::new(Scope::default(), key, Payload::json("{}")?))
    /// };
    /// let ticket = store.capture_batch_deferred(&[line(1)?, line(2)?])?;
    /// assert_eq!(ticket.wait()?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// None until the [`BatchTicket`] says so. After a crash before that, all events of the batch that
    /// were fresh are there or none.
    ///
    /// # Errors
    ///
    /// As [`Store::capture_batch`]; an error of the disk is mostly returned by the ticket.
    pub fn capture_batch_deferred<E: AnyEvent>(&self, events: &[E]) -> Result<BatchTicket> {
        self.defer(events)
    }

    fn defer<E: AnyEvent>(&self, events: &[E]) -> Result<BatchTicket> {
        let captures = self.inner.captures();
        let mut has_open = false;
        let counts = |judged: &JudgedList| {
            verdict_counts(judged.as_slice().iter().map(|judged| judged.verdict()))
        };
        let judged = observe::capture(events.len(), counts, || {
            captures.with_events(events, |call| captures.defer(call, &mut has_open))
        })?;
        let owned = |event: &E| event.event().into_owned();
        let events = if has_open { events.iter().map(owned).collect() } else { Vec::new() };
        Ok(BatchTicket { store: self.clone(), judged, events, seat: None })
    }
}

impl Captures<'_> {
    /// Queues the events of a call that are new; `has_open`: events that hold keys of others may not be durable.
    fn defer(&self, call: &mut Call<'_, '_>, has_open: &mut bool) -> Result<JudgedList> {
        if self.queue(call, &mut Originals::Later(has_open), Evicting::No)?.is_none() {
            *has_open = false;
            self.store_evicting(call)?;
        }
        Ok(match call.events.len() {
            1 => JudgedList::One([call.judged_one()?]),
            _ => JudgedList::Many(call.judged(|judged| judged)?),
        })
    }
}

impl Ticket {
    /// Waits until the event, or the one that holds its key, is durable, and returns the verdict.
    ///
    /// If the one that holds its key turns out to be absent, the event is judged and captured again.
    ///
    /// # Errors
    ///
    /// `Full`: the disk had no room; the event is surely absent, and its key is free. `Poisoned`: a write or
    /// a sync failed, or the store was moved; where the error is [`in_doubt`](crate::Error::in_doubt), ask
    /// again by key after reopening. As [`Store::capture_deferred`] where the event is captured again.
    pub fn wait(mut self) -> Result<Verdict> {
        self.batch.wait_until_ended()?;
        self.batch.verdict()
    }

    /// The verdict, if it is known; does not wait for the disk.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// let mut ticket = store.capture_deferred(&sale)?;
    /// match ticket.try_get()? {
    ///     Some(verdict) => println!("{verdict:?}"),
    ///     None => println!("not yet"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Ticket::wait`].
    pub fn try_get(&mut self) -> Result<Option<Verdict>> {
        let ended = self.batch.resolve(|inner, lsn| inner.log.poll(lsn))?;
        ended.then(|| self.batch.verdict()).transpose()
    }
}

impl BatchTicket {
    /// Waits until all events, or those that hold their keys, are durable, and returns the verdicts.
    ///
    /// # Errors
    ///
    /// As [`Ticket::wait`], for all events of the batch.
    pub fn wait(mut self) -> Result<Vec<Verdict>> {
        self.wait_until_ended()?;
        Ok(self.verdicts())
    }

    /// The verdicts, if they are known; does not wait for the disk.
    ///
    /// # Errors
    ///
    /// As [`BatchTicket::wait`].
    pub fn try_get(&mut self) -> Result<Option<Vec<Verdict>>> {
        let ended = self.resolve(|inner, lsn| inner.log.poll(lsn))?;
        Ok(ended.then(|| self.verdicts()))
    }

    fn wait_until_ended(&mut self) -> Result<()> {
        while !self.resolve(|inner, lsn| Some(inner.log.wait(lsn)))? {}
        Ok(())
    }

    /// The verdicts on events of which is known how they ended.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let mut state = None;
        let verdict = |judged: &Judged| match *judged {
            Judged::Duplicate { lsn, .. } => {
                // How far the original is by now.
                let state = state.get_or_insert_with(|| self.store.inner.state.lock());
                let state = state.outbox.events().state_of(lsn.get());
                Verdict::Duplicate { lsn, state }
            }
            Judged::Fresh { .. } | Judged::Conflict { .. } => judged.verdict(),
        };
        self.judged.as_slice().iter().map(verdict).collect()
    }

    /// The verdict on the only event.
    pub(super) fn verdict(&self) -> Result<Verdict> {
        match self.judged.as_slice() {
            [judged] if judged.fresh().is_some() => Ok(judged.verdict()),
            _ => self.verdicts().into_iter().next().ok_or_else(lost_verdict),
        }
    }

    /// Whether it is known how all ended. If not: not yet, or some are captured again because the event that held their
    /// key is absent.
    pub(super) fn resolve(&mut self, mut ask: impl FnMut(&Shared, Lsn) -> Told) -> Result<bool> {
        let inner = &self.store.inner;
        let mut fresh = self.judged.as_slice().iter().filter_map(|judged| judged.fresh());
        let first = fresh.next();
        if let Some(last) = fresh.next_back().or(first) {
            let Some(ended) = ask(inner, last) else { return Ok(false) };
            inner.apply_events(last, ended.is_ok());
            ended.map_err(|error| inner.log_error(error))?;
        }
        let is_within = |lsn: Lsn| first.is_some_and(|first| first <= lsn);
        let mut is_absent = false;
        for judged in self.judged.as_slice() {
            let original = judged.lsn();
            if is_within(original) {
                // Within the batch, which is durable.
                continue;
            }
            if inner.state.lock().outbox.events().outcomes().is_lost(original.get()) {
                // Of what damage took nobody hears any more.
                continue;
            }
            match ask(inner, original) {
                None => return Ok(false),
                Some(Ok(())) => {}
                Some(Err(error)) if error.kind() == Log::Full => is_absent = true,
                Some(Err(error)) => return Err(inner.log_error(error)),
            }
        }
        if !is_absent {
            return Ok(true);
        }
        let again = self.store.capture_batch_deferred(&self.events)?;
        for (judged, again) in self.judged.as_mut_slice().iter_mut().zip(again.judged.as_slice()) {
            // Those of this batch that are durable stay what they were.
            if judged.fresh().is_none() {
                *judged = *again;
            }
        }
        Ok(false)
    }
}
