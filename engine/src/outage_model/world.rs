//! A terminal, its line and its upstream.

use std::collections::{BTreeMap, BTreeSet};

use onceward_vfs::Survival;

use super::line::{Fate, Spoilt, TIMEOUT_MS, Weather, fate};
use super::upstream::{Items, Memory, Upstream};
use crate::event::Lane;
use crate::sync::{
    Answered, Batch, Drain, Failure, ItemOutcome, LineOptions, Reply, Step, payloads,
};
use crate::testing::draw::Draw;
use crate::testing::{Rig, event, key};
use crate::{Event, Store};

/// Lanes that events may have, besides none.
const LANES: u64 = 6;
/// How long a good line may take to bring everything through: the longest backoff, and a few rounds of retries.
const GOOD_MS: u64 = 40 * 60 * 1_000;

/// What happened how often, over all worlds.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) outages: u64,
    pub(super) requests: u64,
    pub(super) resent: u64,
    pub(super) crashes: u64,
    pub(super) unanswered: u64,
    pub(super) late: u64,
    pub(super) effects: u64,
    pub(super) most_in_flight: usize,
}

/// Something that comes at a time.
#[derive(Debug)]
enum Coming {
    /// A request arrives at the upstream; its answer, if any, is given then.
    Arrives { items: Items, answer: Option<(u64, Box<Batch>, Spoilt)> },
    /// The terminal hears of a request.
    Reply { life: u64, batch: Box<Batch>, reply: Reply },
    /// The terminal hears that there is no answer, or another one.
    Failure { life: u64, batch: Box<Batch>, failure: Failure },
    /// The terminal hears of a probe.
    Probed { life: u64, is_reached: bool },
}

/// One world.
pub(super) struct World<'c> {
    rig: Rig,
    draw: Draw,
    counts: &'c mut Counts,
    upstream: Upstream,
    store: Store,
    drain: Option<Drain>,
    window: usize,
    weather: Weather,
    now_ms: u64,
    coming: BTreeMap<(u64, u64), Coming>,
    sequence: u64,
    /// Which process of the terminal this is: what an earlier one waited for is heard by nobody.
    life: u64,
    captured: u64,
    /// Times of requests since the terminal heard that it is refused.
    refused_at: Vec<u64>,
    is_refused: bool,
    /// Keys of batches that were sent.
    keys: BTreeSet<String>,
}

impl<'c> World<'c> {
    pub(super) fn new(seed: u64, memory: Memory, counts: &'c mut Counts) -> Self {
        let (rig, mut draw) = (Rig::new(), Draw(seed));
        let store = rig.open();
        let window = draw.of(&[1, 2, 4, 16]);
        Self {
            rig,
            draw,
            counts,
            upstream: Upstream::new(memory),
            store,
            drain: None,
            window,
            weather: Weather::Good,
            now_ms: 0,
            coming: BTreeMap::new(),
            sequence: 0,
            life: 0,
            captured: 0,
            refused_at: Vec::new(),
            is_refused: false,
            keys: BTreeSet::new(),
        }
    }

    /// Lets the line be bad so often, and then be good.
    pub(super) fn live(mut self, outages: u64) -> Result<(), String> {
        for _ in 0..outages {
            self.counts.outages += 1;
            let weather = [Weather::Bad, Weather::Bad, Weather::Down, Weather::Refusing];
            let weather = self.draw.of(&weather);
            let for_ms = self.draw.of(&[2_000, 20_000, 200_000]);
            self.pass(weather, for_ms)?;
            if self.draw.is_one_of(3) {
                self.crash();
            }
            let for_ms = self.draw.of(&[0, 1_000, 30_000]);
            self.pass(Weather::Good, for_ms)?;
        }
        self.come_to_the_end()
    }

    /// The line is good, and nothing new comes.
    fn come_to_the_end(&mut self) -> Result<(), String> {
        self.enter(Weather::Good);
        let end_ms = self.now_ms + GOOD_MS;
        while self.store.status().pending + self.store.status().in_flight > 0 {
            if self.now_ms > end_ms {
                let report = self.drain.as_ref().map(Drain::report);
                return Err(format!("stuck: {:?}, {report:?}", self.store.status()));
            }
            self.step(end_ms)?;
        }
        let wrong = (1..=self.captured).find(|n| self.upstream.count(key(*n).as_str()) != 1);
        self.counts.effects += self.captured;
        match (self.upstream.fault.take(), wrong) {
            (Some(fault), _) => Err(fault),
            (None, Some(n)) => {
                Err(format!("{n} took effect {} times", self.upstream.count(key(n).as_str())))
            }
            (None, None) => Ok(()),
        }
    }

    /// Lets time pass in this weather, while people buy.
    fn pass(&mut self, weather: Weather, for_ms: u64) -> Result<(), String> {
        self.enter(weather);
        let end_ms = self.now_ms + for_ms;
        while self.now_ms < end_ms {
            if self.captured < 400 && self.draw.is_one_of(2) {
                self.capture();
            }
            self.step(end_ms)?;
        }
        Ok(())
    }

    fn enter(&mut self, weather: Weather) {
        self.weather = weather;
        self.refused_at.clear();
        self.is_refused = false;
    }

    fn capture(&mut self) {
        let count = 1 + self.draw.below(12);
        let numbers = self.captured + 1..=self.captured + count;
        let events: Vec<Event> = numbers.map(laned).collect();
        self.store.capture_batch(&events).unwrap();
        self.captured += count;
    }

    /// The terminal's process ends, or its power does.
    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.life += 1;
        self.drain = None;
        self.rig = if self.draw.is_one_of(2) {
            self.rig.after_kill()
        } else {
            let seed = self.draw.next();
            self.rig.after_power_cut(&Survival::Seeded { seed, sector_bytes: 512 })
        };
        self.store = self.rig.open();
    }

    /// Does what the terminal wants next, or lets what comes next come; not later than `end_ms`.
    fn step(&mut self, end_ms: u64) -> Result<(), String> {
        if self.drain.is_none() {
            let seed = self.draw.next();
            let mut drain = Drain::new(&self.store, LineOptions::new().with_seed(seed));
            let options = crate::testing::options().with_items_max(8).with_seed(seed);
            drain.add(options.with_window(self.window), payloads(), 1).map_err(told)?;
            self.drain = Some(drain);
        }
        let drain = self.drain.as_mut().ok_or("no drain")?;
        match drain.next(self.now_ms).map_err(told)? {
            Step::Send(batch) => self.send(batch),
            Step::Probe => {
                let is_reached = self.weather != Weather::Down;
                let life = self.life;
                self.come(20, Coming::Probed { life, is_reached });
                Ok(())
            }
            Step::Wait { until_ms } => self.let_come(until_ms.min(end_ms)),
            Step::Await | Step::Idle => self.let_come(end_ms),
            step => Err(format!("{step:?}")),
        }
    }

    fn send(&mut self, batch: Batch) -> Result<(), String> {
        self.counts.requests += 1;
        if !self.keys.insert(batch.idempotency_key.clone()) {
            self.counts.resent += 1;
        }
        self.note_refused()?;
        let items: Items =
            batch.items().map(|item| (item.key.to_owned(), number(item.key))).collect();
        let (life, batch) = (self.life, Box::new(batch));
        let in_flight = self.coming.values().filter(|coming| {
            matches!(
                coming,
                Coming::Reply { .. }
                    | Coming::Failure { .. }
                    | Coming::Arrives { answer: Some(_), .. }
            )
        });
        self.counts.most_in_flight = self.counts.most_in_flight.max(in_flight.count() + 1);
        let away = |batch| Coming::Failure { life, batch, failure: nobody() };
        match fate(&mut self.draw, self.weather) {
            Fate::Lost { after_ms } => self.come(after_ms, away(batch)),
            Fate::Answered { after_ms, spoilt } => {
                self.come(after_ms, Coming::Arrives { items, answer: Some((life, batch, spoilt)) });
            }
            Fate::Unanswered { arrives_ms } => {
                self.counts.unanswered += 1;
                self.come(arrives_ms, Coming::Arrives { items, answer: None });
                self.come(TIMEOUT_MS, away(batch));
            }
            Fate::Twice { after_ms, again_ms } => {
                self.come(again_ms, Coming::Arrives { items: items.clone(), answer: None });
                let answer = Some((life, batch, Spoilt::Not));
                self.come(after_ms, Coming::Arrives { items, answer });
            }
            Fate::Late { arrives_ms } => {
                self.counts.late += 1;
                self.come(TIMEOUT_MS, away(batch));
                self.come(arrives_ms, Coming::Arrives { items, answer: None });
            }
            Fate::Refused { after_ms, failure } => {
                self.come(after_ms, Coming::Failure { life, batch, failure });
            }
        }
        Ok(())
    }

    /// Who refuses is asked once a second at most: one request, and then after each wait one.
    fn note_refused(&mut self) -> Result<(), String> {
        if !self.is_refused {
            return Ok(());
        }
        self.refused_at.push(self.now_ms);
        let from = self.refused_at.len().saturating_sub(11);
        match self.refused_at.get(from..) {
            Some(last) if last.len() == 11 && last[10] - last[0] < 10_000 => {
                Err(format!("eleven requests in ten seconds: {last:?}"))
            }
            _ => Ok(()),
        }
    }

    fn come(&mut self, after_ms: u64, coming: Coming) {
        self.sequence += 1;
        self.coming.insert((self.now_ms + after_ms, self.sequence), coming);
    }

    /// Lets the next thing come, if it comes by then; otherwise it is then.
    fn let_come(&mut self, by_ms: u64) -> Result<(), String> {
        match self.coming.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= by_ms) {
            None => self.go_to(by_ms),
            Some(at) => {
                self.go_to(at);
                if let Some((_, coming)) = self.coming.pop_first() {
                    return self.happen(coming);
                }
            }
        }
        Ok(())
    }

    fn go_to(&mut self, ms: u64) {
        let passed_ms = ms.saturating_sub(self.now_ms);
        self.rig.clock.advance(passed_ms);
        self.now_ms += passed_ms;
    }

    fn happen(&mut self, coming: Coming) -> Result<(), String> {
        let now_ms = self.now_ms;
        match coming {
            Coming::Arrives { items, answer } => {
                let is_picky = answer.as_ref().is_some_and(|(_, _, it)| *it == Spoilt::Picky);
                let at = (&mut self.draw, now_ms);
                let mut reply = self.upstream.apply(&items, at, lane_of, is_picky);
                if let Some((life, batch, spoilt)) = answer {
                    self.spoil(&mut reply, spoilt);
                    let after_ms = 1 + self.draw.below(300);
                    self.come(after_ms, Coming::Reply { life, batch, reply });
                }
            }
            Coming::Reply { life, batch, reply } => {
                if let Some(drain) = self.drain.as_mut().filter(|_| life == self.life) {
                    drain.on_reply(&batch, &reply, now_ms).map_err(told)?;
                }
            }
            Coming::Failure { life, batch, failure } => {
                self.is_refused |= self.weather == Weather::Refusing;
                if let Some(drain) = self.drain.as_mut().filter(|_| life == self.life) {
                    drain.on_failure(&batch, &failure, now_ms).map_err(told)?;
                }
            }
            Coming::Probed { life, is_reached } => {
                if let Some(drain) = self.drain.as_mut().filter(|_| life == self.life) {
                    drain.on_probe(is_reached, now_ms);
                }
            }
        }
        match self.upstream.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn spoil(&mut self, reply: &mut Reply, spoilt: Spoilt) {
        let items = &mut reply.items;
        match spoilt {
            Spoilt::Not | Spoilt::Picky => {}
            Spoilt::Shuffled => items.reverse(),
            Spoilt::Short => drop(items.pop()),
            Spoilt::Stranger => {
                items.insert(0, ("nobody".to_owned(), ItemOutcome::Accepted { receipt: None }));
            }
            Spoilt::Contradiction => {
                if let Some((key, _)) = items.first() {
                    let code = "OTHERWISE".to_owned();
                    let other = ItemOutcome::Transient { code, retry_after_ms: None };
                    items.push((key.clone(), other));
                }
            }
        }
    }
}

fn told(error: crate::Error) -> String {
    error.to_string()
}

fn nobody() -> Failure {
    let (why, answered) = ("timeout".to_owned(), Answered::Nobody);
    Failure::Unavailable { why, retry_after_ms: None, answered }
}

/// The number of an event's key.
fn number(key: &str) -> u64 {
    key.trim_start_matches('k').parse().unwrap_or(0)
}

/// The lane of an event, which two of three have.
fn lane_of(number: u64) -> Option<u64> {
    (!number.is_multiple_of(3)).then_some(number % LANES)
}

fn laned(number: u64) -> Event {
    match lane_of(number) {
        Some(lane) => event(number).with_lane(Lane::new(&format!("card-{lane}")).unwrap()),
        None => event(number),
    }
}
