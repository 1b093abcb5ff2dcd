//! A store, its disk and its upstream, and what happens to them.

use std::collections::BTreeSet;

use onceward_vfs::Survival;

use super::upstream::{MOODS, Mood, Upstream};
use crate::base::{Error, ErrorKind};
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Effort, Session, Step};
use crate::testing::draw::Draw;
use crate::testing::{Rig, SEGMENT_BYTES, key, sales};
use crate::{Event, Payload, Store};

/// Exchanges of one session at most.
const EXCHANGES_MAX: u64 = 24;
/// Rounds in which a well upstream has to drain a store.
const ROUNDS_MAX: usize = 60;
/// Time between two sessions: longer than any backoff.
const LATER_MS: u64 = 4_000_000;

/// What happened how often, over all histories.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) refused_captures: u64,
    pub(super) full: u64,
    pub(super) cuts: u64,
    pub(super) drained: u64,
}

/// One history.
pub(super) struct Run<'c> {
    rig: Rig,
    draw: Draw,
    upstream: Upstream,
    /// Keys of events that were captured, without those that were resolved or cancelled.
    captured: BTreeSet<u64>,
    /// Keys that a person or the host finished, or may have.
    finished: BTreeSet<u64>,
    next: u64,
    payload_bytes: usize,
    together: u64,
    items_max: usize,
    now_ms: u64,
    counts: &'c mut Counts,
    steps: Vec<String>,
}

impl<'c> Run<'c> {
    /// A store on a disk of a few segments.
    pub(super) fn new(seed: u64, counts: &'c mut Counts) -> Self {
        let mut draw = Draw(seed);
        let mut rig = Rig::new();
        rig.config = rig.config.with_segment_bytes(segment_bytes(&mut draw));
        let segments = 3 + draw.below(3);
        if draw.below(2) == 0 {
            rig.config.cleaning_slack_segments = 4;
        }
        let free = segments * rig.config.segment_bytes + draw.below(SEGMENT_BYTES);
        rig.disk.set_free_bytes(Some(free));
        let (payload_bytes, together) = match draw.below(121) {
            0 => (usize::try_from(1 + draw.below(100)).unwrap(), 200),
            120 => (200, 500),
            1..=3 => (900, 60),
            4 | 5 => (3_000, 20),
            6..=40 => (12_000, 5),
            _ => (40_000, 2),
        };
        let items_max = draw.of(&[1, 6, 50, 100, 500]);
        let items_max = if payload_bytes < 1_000 { items_max.max(50) } else { items_max };
        Self {
            rig,
            draw,
            upstream: Upstream::default(),
            captured: BTreeSet::new(),
            finished: BTreeSet::new(),
            next: 0,
            payload_bytes,
            together,
            items_max,
            now_ms: 0,
            counts,
            steps: Vec::new(),
        }
    }

    /// A store of such segments on a disk of 3 MiB, with events of `payload_bytes`.
    pub(super) fn of(
        (segment_bytes, payload_bytes, items_max): (u64, usize, usize),
        counts: &'c mut Counts,
    ) -> Self {
        let mut run = Self::new(0, counts);
        run.rig.config = run.rig.config.with_segment_bytes(segment_bytes);
        run.rig.disk.set_free_bytes(Some(3 * 1_024 * 1_024));
        Self { payload_bytes, items_max, together: 20, ..run }
    }

    /// Captures until that is refused, and has a well upstream drain the store, which another program
    /// opened with segments of `segment_bytes`.
    pub(super) fn fill_and_drain(mut self, segment_bytes: u64) -> Result<(), String> {
        let store = self.rig.open();
        self.fill(&store, u64::MAX);
        self.told(store.close());
        self.rig.config = self.rig.config.clone().with_segment_bytes(segment_bytes);
        let store = self.rig.open();
        self.drain(store)
    }

    /// The same on a disk of so many bytes.
    pub(super) fn on_disk_of(self, bytes: u64) -> Self {
        self.rig.disk.set_free_bytes(Some(bytes));
        self
    }

    /// The disk is full of events, and of each segment some are settled: not so many that cleaning it gives room.
    pub(super) fn settled_here_and_there(mut self) -> Result<(), String> {
        let store = self.rig.open();
        self.fill(&store, u64::MAX);
        for _ in 0..2 {
            self.now_ms += LATER_MS;
            let done = self.exchange(&store, Mood::Slow, Effort::Once, u64::MAX);
            self.told(done);
        }
        self.drain(store)
    }

    /// What a shop saw: the disk is full of events, the upstream fails every item for now, for a while; a third
    /// is refused, as far as there is room for the reasons; somebody decides on all of that; and then the
    /// upstream is well. Returns how many were refused.
    pub(super) fn busy_then_picky_then_well(mut self) -> Result<u64, String> {
        let store = self.rig.open();
        self.fill(&store, u64::MAX);
        let pending = |store: &Store| store.status().pending + store.status().in_flight;
        let captured = pending(&store);
        for _ in 0..12 {
            self.sync(&store, Mood::Busy);
        }
        if pending(&store) != captured {
            return Err(format!("{captured} were captured: {:?}", store.status()));
        }
        for _ in 0..4 {
            self.sync(&store, Mood::Picky);
        }
        let refused = store.status().in_review;
        // A page of them at a time.
        for _ in 0..refused.div_ceil(100) {
            self.decide(&store, 2);
            self.told(store.tick());
        }
        let left = store.status().in_review;
        if left > 0 {
            return Err(format!("{left} of {refused} reviews cannot be decided"));
        }
        self.drain(store).map(|()| refused)
    }

    /// Lets things happen, and then has a well upstream drain the store.
    pub(super) fn history(mut self) -> Result<(), String> {
        let mut store = self.rig.open();
        self.fill(&store, u64::MAX);
        for _ in 0..2 + self.draw.below(7) {
            store = self.step(store);
        }
        self.drain(store).map_err(|why| format!("{why}\n{}", self.steps.join("\n")))
    }

    /// One thing that happens. Whatever is refused for want of room is refused.
    fn step(&mut self, store: Store) -> Store {
        let which = self.draw.below(16);
        self.steps.push(format!("{which}: room {:?}", store.inner.log.room(0, 0)));
        match which {
            0 | 1 => self.fill(&store, u64::MAX),
            2 => {
                let most = 1 + self.draw.below(20);
                self.fill(&store, most);
            }
            3..=6 => {
                let mood = self.draw.of(&MOODS);
                self.sync(&store, mood);
            }
            7 | 8 => self.churn(&store),
            9 => self.decide(&store, 2),
            10 => self.cancel(&store),
            11 => self.space(),
            12 => {
                self.rig.clock.advance(self.now_ms % 100_000);
                self.told(store.tick());
            }
            13 => {
                self.told(store.close());
                return self.open_otherwise();
            }
            14 => {
                drop(store);
                self.rig = self.rig.after_kill();
                return self.open_otherwise();
            }
            _ => return self.cut(store),
        }
        store
    }

    /// Opens the store, as a program does that was told nothing of how large its segments are.
    fn open_otherwise(&mut self) -> Store {
        let bytes = segment_bytes(&mut self.draw);
        self.steps.push(format!("  segments of {bytes} from now on"));
        self.rig.config = self.rig.config.clone().with_segment_bytes(bytes);
        self.rig.open()
    }

    /// Captures until the disk is full, or so many calls.
    fn fill(&mut self, store: &Store, calls: u64) {
        for _ in 0..calls.min(2_000) {
            let numbers = self.next..self.next + self.together;
            let bytes = self.payload_bytes;
            let events: Vec<Event> = numbers.clone().map(|n| event(n, bytes)).collect();
            match store.capture_batch(&events) {
                Ok(_) => self.captured.extend(numbers),
                Err(error) => {
                    self.counts.refused_captures += 1;
                    if error.in_doubt() {
                        self.finished.extend(numbers);
                        self.next += self.together;
                    }
                    return self.told(Err(error));
                }
            }
            self.next += self.together;
        }
    }

    /// One session, in which the upstream has one mood.
    fn sync(&mut self, store: &Store, mood: Mood) {
        self.steps.push(format!("  {mood:?}"));
        self.now_ms += LATER_MS;
        let most = 1 + self.draw.below(EXCHANGES_MAX);
        let done = self.exchange(store, mood, Effort::Forever, most);
        self.told(done);
    }

    fn exchange(
        &mut self,
        store: &Store,
        mood: Mood,
        effort: Effort,
        most: u64,
    ) -> Result<(), Error> {
        let options = crate::testing::options().with_items_max(self.items_max).with_effort(effort);
        let mut session = Session::start(store, options, payloads())?;
        for _ in 0..most {
            match session.next(self.now_ms)? {
                Step::Send(batch) => match self.upstream.take(&batch, mood, &mut self.draw) {
                    Ok(reply) => session.on_reply(batch.id, &reply, self.now_ms)?,
                    Err(failure) => session.on_failure(batch.id, &failure, self.now_ms)?,
                },
                Step::Wait { until_ms } => self.now_ms = until_ms,
                _ => break,
            }
        }
        Ok(())
    }

    /// Everything is refused and sent again, over and over.
    fn churn(&mut self, store: &Store) {
        for _ in 0..1 + self.draw.below(4) {
            self.sync(store, Mood::Refuses);
            self.decide(store, 0);
        }
    }

    /// Decides on what waits for a person: one in `of` is resolved (none for 0), the others are retried.
    fn decide(&mut self, store: &Store, of: u64) {
        let note = "n".repeat(usize::try_from(self.draw.below(1_024)).unwrap());
        for item in store.reviews().list(&ReviewFilter::new()).unwrap_or_default() {
            let done = if of > 0 && self.draw.below(of) == 0 {
                self.finished.insert(number(item.key.as_str()));
                store.reviews().resolve(&item.scope, &item.key, &note)
            } else {
                store.reviews().retry(&item.scope, &item.key)
            };
            if let Err(error) = done {
                return self.told(Err(error));
            }
        }
    }

    fn cancel(&mut self, store: &Store) {
        for n in self.captured.clone() {
            if self.draw.below(4) == 0 {
                self.finished.insert(n);
                if let Err(error) = store.cancel(&sales(), &key(n)) {
                    return self.told(Err(error));
                }
            }
        }
    }

    /// Others take or give room on the disk.
    fn space(&mut self) {
        let free = match self.draw.below(3) {
            0 => 0,
            1 => self.draw.below(SEGMENT_BYTES),
            _ => self.draw.below(3 * SEGMENT_BYTES),
        };
        self.rig.disk.set_free_bytes(Some(free));
    }

    /// The power goes in the middle of something.
    fn cut(&mut self, store: Store) -> Store {
        self.counts.cuts += 1;
        let ops = self.draw.below(60);
        self.rig.disk.cut_power_at(self.rig.disk.op_count() + ops);
        let before: BTreeSet<u64> = self.captured.clone();
        match self.draw.below(4) {
            0 => self.fill(&store, 5),
            1 => self.churn(&store),
            2 => self.decide(&store, 3),
            _ => {
                let mood = self.draw.of(&MOODS);
                self.sync(&store, mood);
            }
        }
        assert!(before.is_subset(&self.captured));
        drop(store);
        let sector_bytes = if self.draw.below(2) == 0 { 512 } else { 4_096 };
        let seed = self.draw.next();
        self.rig = self.rig.after_power_cut(&Survival::Seeded { seed, sector_bytes });
        self.rig.open()
    }

    /// The upstream is well, and nobody makes room.
    fn drain(&mut self, mut store: Store) -> Result<(), String> {
        for round in 0..ROUNDS_MAX {
            self.now_ms += LATER_MS;
            if round % 7 == 3 {
                drop(store);
                self.rig = self.rig.after_kill();
                store = self.rig.open();
            }
            self.decide(&store, 0);
            let done = self.exchange(&store, Mood::Well, Effort::Once, u64::MAX);
            self.told(done);
            self.told(store.tick());
            let status = store.status();
            if (status.pending, status.in_flight, status.in_review) == (0, 0, 0) {
                self.counts.drained += 1;
                return self.check(&store);
            }
        }
        let room = store.inner.log.room(0, 0);
        Err(format!("is not drained: room {room:?}, {:?}", store.status()))
    }

    /// Every captured event took effect once.
    fn check(&self, store: &Store) -> Result<(), String> {
        for n in self.captured.difference(&self.finished) {
            let effects = self.upstream.effects.get(key(*n).as_str());
            if effects != Some(&1) {
                let outcome = store.outcome(&sales(), &key(*n));
                return Err(format!("{n} took effect {effects:?} times: {outcome:?}"));
            }
        }
        Ok(())
    }

    /// What may be refused: for want of room, or of power.
    fn told(&mut self, done: Result<(), Error>) {
        let Err(error) = done else { return };
        let is_full = error.kind() == ErrorKind::Full;
        self.counts.full += u64::from(is_full);
        let is_dead = self.rig.disk.is_cut();
        assert!(is_full || is_dead, "{error}\n{}", self.steps.join("\n"));
        self.steps.push(format!("  {error}"));
    }
}

/// How large the segments of an opening are: mostly as small as may be.
fn segment_bytes(draw: &mut Draw) -> u64 {
    draw.of(&[1, 1, 1, 1, 1, 2, 4]) * SEGMENT_BYTES
}

/// An event whose payload nobody has to parse.
fn event(n: u64, bytes: usize) -> Event {
    Event::new(sales(), key(n), Payload::bytes(vec![b'x'; bytes]))
}

/// The number of a key.
fn number(key: &str) -> u64 {
    key.trim_start_matches('k').parse().unwrap()
}
