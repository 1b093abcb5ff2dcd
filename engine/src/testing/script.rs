//! A host at work, and what it was told: what no crash may take back.

use std::collections::{BTreeMap, BTreeSet};

use super::upstream::{Mood, ScriptedUpstream};
use crate::sync::payloads;
use onceward_vfs::Survival;

use super::{Rig, WINDOW_MS, key, other_event, receipt, sales, sized_event};
use crate::base::clock::Clock;
use crate::base::{Error, ErrorKind};
use crate::capture::Effect;
use crate::sync::{ItemOutcome, Session, Step as Next};
use crate::{Answer, Settlement};
use crate::{Event, Receipt, State, Store, Verdict};

/// One thing that a host does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Captures these events as one batch, each of this many bytes.
    Capture(Vec<u64>, usize),
    /// Applies this effect.
    Apply(u64),
    /// Lets a session send one batch.
    Sync(Mood),
    /// Accepts these events without a session.
    Settle(Vec<u64>),
    /// Refuses this event.
    Reject(u64),
    /// Sends it again.
    Retry(u64),
    /// Finishes it.
    Resolve(u64),
    /// Forgets and trims.
    Tick,
    /// Lets time pass.
    Advance(u64),
    /// Closes and opens.
    Close,
    /// Ends without closing, and opens.
    Kill,
    /// Offers other content under this event's key.
    Conflict(u64),
    /// Cuts the power so many operations into a step; what was not synced survives by this seed.
    Cut(u64, u64, Box<Self>),
}

/// How far an event is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Not settled.
    Open,
    /// In review.
    Review,
    /// Settled.
    Final(State, Option<Receipt>),
}

/// What the host knows of an event.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) event: Event,
    /// The event's number, once the capture was confirmed.
    pub(crate) lsn: Option<u64>,
    pub(crate) end: End,
    /// How far it may be, if what the host was doing took effect.
    pub(crate) perhaps: Option<End>,
    /// Events that were captured in one call have the same number.
    pub(crate) call: u64,
    /// When it was settled, by the host's monotonic clock.
    pub(crate) settled_ms: Option<u64>,
}

impl Note {
    fn new(event: Event, end: End, call: u64, settled_ms: Option<u64>) -> Self {
        Self { event, lsn: None, end, perhaps: None, call, settled_ms }
    }

    /// Sets how far the event is now.
    fn set(&mut self, end: End, rig: &Rig) {
        if matches!(end, End::Final(..)) {
            self.settled_ms = Some(rig.clock.mono_ms());
        }
        self.end = end;
    }

    /// Whether its key's window may be over.
    pub(crate) fn may_be_forgotten(&self, rig: &Rig) -> bool {
        let since = |settled_ms| rig.clock.mono_ms().saturating_sub(settled_ms);
        self.settled_ms.is_some_and(|settled_ms| since(settled_ms) >= WINDOW_MS)
    }
}

/// A host at work.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) rig: Rig,
    pub(crate) store: Option<Store>,
    pub(crate) upstream: ScriptedUpstream,
    pub(crate) notes: BTreeMap<u64, Note>,
    /// Batches that were sent and not answered: idempotency key and numbers.
    pub(crate) out: Option<(String, BTreeSet<u64>)>,
    /// Notes of keys that the store forgot.
    forgotten: BTreeMap<u64, Note>,
    call: u64,
}

impl Host {
    /// A host that has not opened its store yet.
    pub(crate) fn new(rig: Rig) -> Self {
        let (upstream, notes) = (ScriptedUpstream::default(), BTreeMap::new());
        let forgotten = BTreeMap::new();
        Self { rig, store: None, upstream, notes, out: None, forgotten, call: 0 }
    }

    /// The same host with another disk, its process gone.
    pub(crate) fn moved_to(&self, rig: Rig) -> Self {
        Self { rig, store: None, ..self.clone() }
    }

    /// Does one step; what may have taken effect when it fails is in the notes.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Error> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.store.insert(self.rig.try_open()?).clone(),
        };
        match step {
            Step::Capture(numbers, bytes) => self.capture(&store, numbers, *bytes)?,
            Step::Apply(n) => self.apply(&store, *n)?,
            Step::Sync(mood) => self.sync(&store, *mood)?,
            Step::Settle(numbers) => {
                let accepted = |n: &u64| Answer::Accepted { receipt: Some(receipt(*n)) };
                let end = |n: u64| End::Final(State::Accepted, Some(receipt(n)));
                self.settle(&store, numbers, accepted, end)?;
            }
            Step::Reject(n) => {
                let (code, message) = ("NO".to_owned(), "no".to_owned());
                let answer = Answer::Rejected { code, message, reply: b"reply".to_vec() };
                self.settle(&store, &[*n], |_| answer.clone(), |_| End::Review)?;
            }
            Step::Retry(n) => {
                self.perhaps(&[*n], End::Review, |_| End::Open);
                decided(store.reviews().retry(&sales(), &key(*n)))?;
                self.happened(&[*n]);
            }
            Step::Resolve(n) => {
                self.perhaps(&[*n], End::Review, |_| End::Final(State::Rejected, None));
                decided(store.reviews().resolve(&sales(), &key(*n), "note"))?;
                self.happened(&[*n]);
            }
            Step::Tick => store.tick()?,
            Step::Advance(ms) => self.rig.clock.advance(*ms),
            Step::Close => {
                self.store = None;
                store.close()?;
            }
            Step::Kill => self.store = None,
            Step::Conflict(n) => self.conflict(&store, *n)?,
            Step::Cut(ops, seed, step) => {
                drop(store);
                self.cut(*ops, *seed, step);
            }
        }
        Ok(())
    }

    fn capture(&mut self, store: &Store, numbers: &[u64], bytes: usize) -> Result<(), Error> {
        self.call += 1;
        let events: Vec<Event> = numbers.iter().map(|n| sized_event(*n, bytes)).collect();
        self.forget_what_is_gone(store);
        for (n, event) in numbers.iter().zip(&events) {
            let note = Note::new(event.clone(), End::Open, self.call, None);
            self.notes.entry(*n).or_insert(note);
        }
        let verdicts = store.capture_batch(&events)?;
        for (n, verdict) in numbers.iter().zip(verdicts) {
            let note = self.notes.get_mut(n).unwrap();
            let lsn = verdict.lsn().get();
            let expected = note.lsn.is_none();
            assert_eq!(matches!(verdict, Verdict::Fresh { .. }), expected, "{n}: {verdict:?}");
            assert_eq!(*note.lsn.get_or_insert(lsn), lsn, "{n}");
        }
        Ok(())
    }

    /// Puts the notes of keys aside that are forgotten after their window, which the store may do at
    /// any time from then on: once asked for here, so that the verdict that follows can be foretold.
    ///
    /// A restart may bring one back: which slice an unsettled key was carried into is not in the log.
    fn forget_what_is_gone(&mut self, store: &Store) {
        store.tick().ok();
        let rig = self.rig.clone();
        // Without power the receipt of a known key cannot be read.
        let is_known =
            |n: &u64| store.outcome(&sales(), &key(*n)).map_or(true, |it| it.lsn.is_some());
        let is_gone = |n: &u64, note: &mut Note| note.may_be_forgotten(&rig) && !is_known(n);
        self.forgotten.extend(self.notes.extract_if(.., is_gone));
        for (n, note) in self.forgotten.extract_if(.., |n, _| is_known(n)) {
            self.notes.entry(n).or_insert(note);
        }
    }

    /// A capture of a forgotten key that a crash took back may leave the forerunner remembered again:
    /// the time that passed without a frame is not in the log.
    fn remember_again(&mut self, store: &Store) {
        let is_back = |n: &u64, note: &mut Note| {
            note.lsn == store.outcome(&sales(), &key(*n)).unwrap().lsn.map(|lsn| lsn.get())
        };
        self.notes.extend(self.forgotten.extract_if(.., is_back));
    }

    fn conflict(&mut self, store: &Store, n: u64) -> Result<(), Error> {
        self.forget_what_is_gone(store);
        let Some(lsn) = self.notes.get(&n).and_then(|note| note.lsn) else { return Ok(()) };
        let verdict = store.capture(&other_event(n))?;
        assert!(matches!(verdict, Verdict::Conflict { lsn: l } if l.get() == lsn), "{verdict:?}");
        Ok(())
    }

    /// Does a step, and the power goes.
    fn cut(&mut self, ops: u64, seed: u64, step: &Step) {
        self.rig.disk.cut_power_at(self.rig.disk.op_count() + ops);
        if let Err(error) = self.step(step) {
            assert!(is_of_a_dead_disk(&error), "{step:?}: {error}");
        }
        self.store = None;
        let sector_bytes = if seed.is_multiple_of(2) { 512 } else { 4096 };
        self.rig.disk = self.rig.disk.after_power_cut(&Survival::Seeded { seed, sector_bytes });
        let store = self.rig.open();
        self.remember_again(&store);
        super::held::check_events(self, &store, &format!("cut at {ops} with {seed} in {step:?}"));
        self.asks_again(&store);
        self.store = Some(store);
    }

    fn apply(&mut self, store: &Store, n: u64) -> Result<(), Error> {
        self.call += 1;
        let event = sized_event(n, 10);
        let end = End::Final(State::Accepted, Some(receipt(n)));
        self.forget_what_is_gone(store);
        if self.notes.contains_key(&n) {
            return Ok(());
        }
        let now_ms = self.rig.clock.mono_ms();
        self.notes.insert(n, Note::new(event.clone(), end, self.call, Some(now_ms)));
        let applied = store.apply_batch(&[Effect { event, receipt: receipt(n) }])?;
        let crate::capture::Applied::Fresh { lsn } = applied[0] else { panic!("{n}: {applied:?}") };
        self.notes.get_mut(&n).unwrap().lsn = Some(lsn.get());
        Ok(())
    }

    fn settle(
        &mut self,
        store: &Store,
        numbers: &[u64],
        answer: impl Fn(&u64) -> Answer,
        end: impl Fn(u64) -> End,
    ) -> Result<(), Error> {
        self.perhaps(numbers, End::Open, end);
        let settlement = |n: &u64| Settlement { scope: sales(), key: key(*n), answer: answer(n) };
        // What is left of a batch that is out is sent under another number.
        self.out.take_if(|(_, out)| numbers.iter().any(|n| out.contains(n)));
        store.settle(&numbers.iter().map(settlement).collect::<Vec<_>>())?;
        self.happened(numbers);
        Ok(())
    }

    fn sync(&mut self, store: &Store, mood: Mood) -> Result<(), Error> {
        let mut session =
            Session::start(store, crate::testing::options().with_items_max(6), payloads())?;
        let Next::Send(batch) = session.next(0)? else { return Ok(()) };
        let numbers: Vec<u64> = batch.items().map(|i| number(i.key)).collect();
        let sent = (batch.idempotency_key.clone(), numbers.iter().copied().collect());
        if let Some(out) = &self.out {
            assert_eq!(*out, sent, "what was out is sent again");
        }
        self.out = Some(sent);
        let reply = match self.upstream.take(&batch, mood) {
            Ok(reply) => reply,
            Err(failure) => return session.on_failure(batch.id, &failure, 0),
        };
        for (key, outcome) in &reply.items {
            let end = match outcome {
                ItemOutcome::Accepted { receipt } => End::Final(State::Accepted, receipt.clone()),
                ItemOutcome::Duplicate { receipt } => End::Final(State::Duplicate, receipt.clone()),
                ItemOutcome::Rejected { .. } | ItemOutcome::Uncertain { .. } => End::Review,
                ItemOutcome::Transient { .. } => End::Open,
            };
            self.perhaps(&[number(key)], End::Open, |_| end.clone());
        }
        session.on_reply(batch.id, &reply, 0)?;
        self.happened(&numbers);
        self.out = None;
        Ok(())
    }

    /// What the host is about to do may change these events.
    fn perhaps(&mut self, numbers: &[u64], from: End, end: impl Fn(u64) -> End) {
        for n in numbers {
            // A late answer changes nothing, and a decision only what is in review.
            if let Some(note) = self.notes.get_mut(n).filter(|note| note.end == from) {
                note.perhaps = Some(end(*n));
            }
        }
    }

    /// Notes that what the host was doing is done.
    fn happened(&mut self, numbers: &[u64]) {
        for n in numbers {
            if let Some(note) = self.notes.get_mut(n)
                && let Some(end) = note.perhaps.take()
            {
                note.set(end, &self.rig);
            }
        }
    }

    /// Gives back what the host knows: a call that failed is asked about by key, as a host does.
    pub(crate) fn asks_again(&mut self, store: &Store) {
        for (n, note) in &mut self.notes {
            let outcome = store.outcome(&sales(), &key(*n)).unwrap();
            if note.lsn.is_none() {
                note.lsn = outcome.lsn.map(|lsn| lsn.get());
            }
            if let Some(end) = note.perhaps.take()
                && is(&outcome.state, &end)
            {
                note.set(end, &self.rig);
            }
        }
        self.notes.retain(|_, note| note.lsn.is_some());
        let in_flight =
            |n: &u64| store.outcome(&sales(), &key(*n)).unwrap().state == State::InFlight;
        self.out.take_if(|(_, out)| !out.iter().all(in_flight));
    }
}

/// A decision; that nothing waits for one is no failure.
fn decided(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The number in a key.
pub(crate) fn number(key: &str) -> u64 {
    key[1..].parse().unwrap()
}

/// Whether a state is what the host knows.
pub(crate) fn is(state: &State, end: &End) -> bool {
    match end {
        End::Open => matches!(state, State::Pending | State::InFlight),
        End::Review => *state == State::InReview,
        End::Final(known, _) => state == known,
    }
}

/// Whether an error is what a host may see on a healthy disk that lost its power.
pub(crate) fn is_of_a_dead_disk(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned)
}
