//! What is to be sent, what is on its way, and what the upstream said.

use std::ops::Bound;

use onceward_wal::Lsn;

use super::frames::{BatchFrame, Envelope};
use super::table::EventSet;
use super::{Answer, Settlement, Standing};
use crate::base::{Error, ErrorKind, FrameKind, Result, codec, observe};
use crate::event::{Scope, StoredEvent};
use crate::kernel::{FrameBody, Share, answer_bytes};
use crate::store::{Shared, Store, StoreState};
use crate::upstreams::Route;

/// What a frame takes besides its body.
const FRAME_BYTES: usize = 64;

/// Events of an open store: what is pending, what is on its way, what the upstream said, and reading them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events<'s> {
    pub(super) inner: &'s Shared,
}

/// A batch that was formed and is not answered.
#[derive(Clone, Debug)]
pub(crate) struct Formed {
    pub(crate) number: u64,
    /// LSNs of its events, ascending.
    pub(crate) events: Vec<u64>,
    pub(crate) envelope: Envelope,
}

impl Store {
    /// The events of a scope that wait to be sent or are on their way, in the order of their numbers,
    /// at most `max` of them from behind `after` on. Those in review are not among them.
    ///
    /// One that was damaged since the store was opened fails the call, which names its number: those behind it come
    /// with `after` that number. The next opening takes it out, and reports it as lost.
    ///
    /// Events that are read together share memory: who keeps one of them keeps the keys and the payloads up to 1 KiB
    /// of up to 64.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: an event cannot be read.
    pub fn pending(
        &self,
        scope: &Scope,
        after: Option<Lsn>,
        max: usize,
    ) -> Result<Vec<StoredEvent>> {
        let synced = self.inner.log.synced();
        let from = after.map_or(Bound::Unbounded, |lsn| Bound::Excluded(lsn.get()));
        let found: Vec<Standing> = {
            let state = self.inner.state.lock();
            let Some(number) = state.outbox.scopes().number(scope.as_str()) else {
                return Ok(Vec::new());
            };
            let waiting = (from, Bound::Included(synced));
            state.outbox.events().packed().standings(waiting, (number, max))
        };
        self.inner.events().read_events(&found)
    }

    /// The number up to which everything is durable; `None`: nothing was written.
    #[must_use]
    pub fn synced(&self) -> Option<Lsn> {
        Lsn::from_u64(self.inner.log.synced())
    }

    /// Whether any event of a scope, up to this number, waits for an answer of the upstream: to be sent, or for the
    /// answer to a request. One that waits for a person, in review or behind one that is in its lane, is none of
    /// them.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let scope = Scope::default();
    /// store.capture(&Event::new(scope.clone(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let until_now = store.synced().ok_or("an event was captured")?;
    /// assert!(store.waits_for_upstream(&scope, until_now));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn waits_for_upstream(&self, scope: &Scope, up_to: Lsn) -> bool {
        let state = self.inner.state.lock();
        let Some(number) = state.outbox.scopes().number(scope.as_str()) else { return false };
        let in_flight = state.outbox.batches().values().filter(|batch| batch.scope == *scope);
        let mut events = in_flight.flat_map(|batch| batch.events.iter().copied());
        let waits = |lsn: u64| {
            lsn <= up_to.get()
                && state.outbox.events().live(lsn).is_some_and(|live| live.is_to_deliver())
        };
        events.any(waits)
            || state.outbox.events().next().front(number, 0, up_to.get()).next().is_some()
    }

    /// Gives events their final answers: for hosts that deliver by themselves.
    ///
    /// Events that are unknown, not durable yet, in review, or have a final answer are left as they are: a late answer
    /// changes nothing, and of those in review a person decides.
    ///
    /// # Durability
    ///
    /// The answers survive a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Full`, and `Poisoned` and `Io` as for [`Store::capture`]: as after a crash, some answers may be kept. On a full
    /// disk those that settle find room longer than those that put an event into review: give them in calls of their
    /// own.
    pub fn settle(&self, answers: &[Settlement]) -> Result<()> {
        let settled = self.inner.reserve().with_room(|| {
            self.inner.refuse_if_closed()?;
            let _one_at_a_time = self.inner.control.lock();
            let mut known: Vec<(u64, &Answer)> = {
                let mut state = self.inner.state.lock();
                let mut known = Vec::with_capacity(answers.len());
                for Settlement { scope, key, answer } in answers {
                    let key = key.as_str().as_bytes();
                    let key = self.inner.secret().fingerprint(scope.as_str(), key);
                    let found = self.inner.asking(&mut state, |_, keys| keys.find(key))?;
                    known.extend(found.map(|found| (found.lsn, answer)));
                }
                known
            };
            first_of_each(&mut known);
            self.inner.events().settle_events(0, &known)
        });
        self.end_settling(settled)
    }

    /// Gives events of a scope their final answers by their numbers: for hosts that deliver what [`Store::pending`]
    /// gave them, which has the numbers.
    ///
    /// As [`Store::settle`], but no key is looked up. Numbers of other scopes are left as they are, too. Of two answers
    /// for one number the first one counts.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Receipt, Scope, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let (scope, key) = (Scope::new("sales")?, Key::new("till-7-000042")?);
    /// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// for sent in store.pending(&scope, None, 100)? {
    ///     // Sent by other means; the upstream answered each.
    ///     let answer = Answer::Accepted { receipt: Some(Receipt::new(b"txn_1")?) };
    ///     store.settle_each(&scope, &[(sent.lsn, answer)])?;
    /// }
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Accepted);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// As [`Store::settle`].
    ///
    /// # Errors
    ///
    /// As [`Store::settle`].
    pub fn settle_each(&self, scope: &Scope, answers: &[(Lsn, Answer)]) -> Result<()> {
        let settled = self.inner.reserve().with_room(|| {
            self.inner.refuse_if_closed()?;
            let _one_at_a_time = self.inner.control.lock();
            let Some(number) = self.inner.state.lock().outbox.scopes().number(scope.as_str())
            else {
                return Ok(());
            };
            let mut known: Vec<(u64, &Answer)> =
                answers.iter().map(|(lsn, answer)| (lsn.get(), answer)).collect();
            first_of_each(&mut known);
            self.inner.events().settle_open((0, Some(number)), &known)
        });
        self.end_settling(settled)
    }

    /// Gives all events of a scope that wait to be sent or are on their way, and whose numbers are from
    /// `first` to `last`, the same final answer: for hosts whose upstream confirms up to a point.
    ///
    /// Events in review, of other scopes, and those that have a final answer are left as they are.
    ///
    /// ```
    /// use onceward::{Answer, Config, Event, Key, Payload, Scope, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let scope = Scope::new("scans")?;
    /// for n in 1..=3 {
    ///     let key = Key::new(&format!("gate-2-{n}"))?;
    ///     store.capture(&Event::new(scope.clone(), key, Payload::json("{}")?))?;
    /// }
    /// // Sent by other means; the upstream has the first two.
    /// let sent = store.pending(&scope, None, 10)?;
    /// let answer = Answer::Accepted { receipt: None };
    /// store.settle_range(&scope, sent[0].lsn, sent[1].lsn, &answer)?;
    /// assert_eq!(store.outcome(&scope, &Key::new("gate-2-2")?)?.state, State::Accepted);
    /// assert_eq!(store.pending(&scope, None, 10)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// As [`Store::settle`].
    ///
    /// # Errors
    ///
    /// As [`Store::settle`].
    ///
    /// # Cost
    ///
    /// One frame for all of up to 1,024 events whose numbers follow each other, and no key is looked up.
    pub fn settle_range(
        &self,
        scope: &Scope,
        first: Lsn,
        last: Lsn,
        answer: &Answer,
    ) -> Result<()> {
        let settled = self.inner.reserve().with_room(|| {
            self.inner.refuse_if_closed()?;
            let _one_at_a_time = self.inner.control.lock();
            let last = last.get().min(self.inner.log.synced());
            let found: Vec<EventSet> = {
                let state = self.inner.state.lock();
                let Some(number) = state.outbox.scopes().number(scope.as_str()) else {
                    return Ok(());
                };
                let events = state.outbox.events().packed();
                events.to_deliver(first.get()..=last, number).collect()
            };
            self.inner.events().settle_alike(&found, answer)
        });
        self.end_settling(settled)
    }

    /// What is done after answers were applied, or some of them before something failed.
    fn end_settling(&self, settled: Result<()>) -> Result<()> {
        self.inner.reviews().call_watchers();
        settled?;
        match self.clean_up() {
            // What could not be cleaned now is cleaned later; the answers are kept.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            other => other,
        }
    }
}

impl<'s> Events<'s> {
    /// Events of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Fixes batches of events, durably, by what a session's options say and as of this opening; and
    /// retires `parent` (0 for none) whose parts they are. Takes `control`.
    pub(crate) fn form_batches(
        &self,
        route: Route<'_>,
        parent: u64,
        parts: &[Vec<u64>],
    ) -> Result<Vec<Formed>> {
        self.inner.reserve().with_room(|| self.try_form_batches(route, parent, parts))
    }

    fn try_form_batches(
        &self,
        route: Route<'_>,
        parent: u64,
        parts: &[Vec<u64>],
    ) -> Result<Vec<Formed>> {
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        self.inner.state.lock().rescue.refuse_if_fenced()?;
        // Since the session got it, a bundle may have brought another one.
        self.inner.upstreams().rule_for(route)?;
        let envelope = Envelope {
            opening: self.inner.time.stamp().opening,
            upstream: route.upstream.as_str().to_owned(),
            settings: route.settings.to_owned(),
        };
        let batch = |events: &Vec<u64>| BatchFrame {
            number: 0,
            scope: route.scope.as_str().to_owned(),
            parent,
            events: events.clone(),
            envelope: envelope.clone(),
        };
        let batches: Vec<BatchFrame> = parts.iter().map(batch).collect();
        let frame = |batch| FrameBody::new(FrameKind::Batch, codec::encode(batch));
        let mut frames: Vec<FrameBody> = batches.iter().map(frame).collect();
        let rule = self.inner.upstreams().unwritten_rule(route);
        // Behind the batches, and in one commit with them: before any attempt.
        let frame = |rule| FrameBody::new(FrameKind::Upstream, codec::encode(rule));
        frames.extend(rule.iter().map(frame));
        let bytes: usize = frames.iter().map(|frame| frame.body.len() + FRAME_BYTES).sum();
        let answers = parts.iter().map(|events| answer_bytes(events.len()));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let need = answers.fold(bytes, u64::saturating_add);
        self.inner.reserve().refuse_if_no_room((Share::Batches, parent), need)?;
        let written = self.inner.write_retiring(&frames, (Share::Batches, parent))?;
        let mut state = self.inner.state.lock();
        let StoreState { kernel, outbox, upstreams, .. } = &mut *state;
        let mut formed = Vec::with_capacity(batches.len());
        if let (Some(rule), Some(at)) = (&rule, written.placed.last()) {
            upstreams.apply_rule(kernel, rule, *at);
        }
        for (batch, at) in batches.into_iter().zip(written.placed) {
            outbox.apply_batch(kernel, &batch, (route.scope.clone(), at, written.moment));
            let BatchFrame { events, envelope, .. } = batch;
            formed.push(Formed { number: at.lsn, events, envelope });
        }
        let events: usize = formed.iter().map(|formed| formed.events.len()).sum();
        observe::batches_formed(formed.len(), u64::try_from(events).unwrap_or(u64::MAX));
        Ok(formed)
    }

    /// The batches of a scope that are not answered, oldest first.
    pub(crate) fn open_batches(&self, scope: &Scope) -> Vec<Formed> {
        let state = self.inner.state.lock();
        state
            .outbox
            .batches()
            .iter()
            .filter(|(_, batch)| batch.scope == *scope)
            .map(|(number, batch)| Formed {
                number: *number,
                events: batch.events.clone(),
                envelope: batch.envelope.clone(),
            })
            .collect()
    }

    /// Reads those of the events that wait for the upstream. One whose bytes are damaged is left
    /// out, and given to `damaged`: it must not hold up its neighbours.
    pub(crate) fn read_live(
        &self,
        lsns: &[u64],
        damaged: &mut dyn FnMut(&Error),
    ) -> Result<Vec<StoredEvent>> {
        let found: Vec<Standing> = {
            let state = self.inner.state.lock();
            let is_live = |lsn: &u64| {
                state.outbox.events().live(*lsn).is_some_and(|live| live.is_to_deliver())
            };
            let live = lsns.iter().filter(|lsn| is_live(lsn));
            live.filter_map(|lsn| state.outbox.events().standing(&state.kernel, *lsn)).collect()
        };
        self.read_each(&found, |error| {
            if error.kind() != ErrorKind::Corrupt {
                return Err(error);
            }
            damaged(&error);
            Ok(())
        })
    }
}

/// Puts answers in the order of their events, and leaves the first one to each.
fn first_of_each(answers: &mut Vec<(u64, &Answer)>) {
    answers.sort_by_key(|(lsn, _)| *lsn);
    answers.dedup_by_key(|(lsn, _)| *lsn);
}
