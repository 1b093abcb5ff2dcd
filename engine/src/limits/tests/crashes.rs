//! Whatever a crash leaves of dropping, cancelling and deferred captures: the drop and the event for
//! which it makes room are both there or neither, and every count is what a count from scratch finds.
//!
//! The script runs once to count the disk's operations and again stopping at each of them.

use std::collections::BTreeMap;

use onceward_vfs::Survival;

use crate::base::Result;
use crate::limits::tests::calls::{check_counters, evictable, rig};
use crate::limits::{Cancellation, Limits, WhenFull};
use crate::testing::script::is_of_a_dead_disk;
use crate::testing::{HandClock, Rig, event, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Class, Event, State, Store};

/// Most unsettled events.
const COUNT: u64 = 6;

/// What the host was told of each event: that it is there, and its final state if it has one.
#[derive(Clone, Debug, Default)]
struct Host {
    told: BTreeMap<u64, Option<State>>,
    /// What it was doing.
    perhaps: BTreeMap<u64, Option<State>>,
}

impl Host {
    fn capture(&mut self, store: &Store, events: &[Event]) -> Result<()> {
        let numbers = events.iter().map(number);
        self.perhaps = numbers.map(|n| (n, None)).collect();
        store.capture_batch(events)?;
        self.happened();
        Ok(())
    }

    /// Queues all and waits for the last only; nothing is known of the others before that.
    fn defer(&mut self, store: &Store, events: &[Event]) -> Result<()> {
        self.perhaps = events.iter().map(|event| (number(event), None)).collect();
        let mut last = None;
        for event in events {
            last = Some(store.capture_deferred(event)?);
        }
        last.unwrap().wait()?;
        self.happened();
        Ok(())
    }

    fn cancel(&mut self, store: &Store, n: u64) -> Result<()> {
        self.perhaps = BTreeMap::from([(n, Some(State::Cancelled))]);
        assert!(matches!(store.cancel(&sales(), &key(n))?, Cancellation::Cancelled { .. }));
        self.happened();
        Ok(())
    }

    fn settle(&mut self, store: &Store, numbers: &[u64]) -> Result<()> {
        self.perhaps = numbers.iter().map(|n| (*n, Some(State::Accepted))).collect();
        let answer = |n: &u64| Settlement {
            scope: sales(),
            key: key(*n),
            answer: Answer::Accepted { receipt: Some(receipt(*n)) },
        };
        store.settle(&numbers.iter().map(answer).collect::<Vec<_>>())?;
        self.happened();
        Ok(())
    }

    fn happened(&mut self) {
        let done = std::mem::take(&mut self.perhaps);
        self.told.extend(done);
    }
}

fn number(event: &Event) -> u64 {
    event.key.as_str()[1..].parse().unwrap()
}

fn open(rig: &Rig) -> Result<Store> {
    rig.try_open()
}

/// What the host does.
fn run(rig: &Rig, host: &mut Host) -> Result<()> {
    let store = open(rig)?;
    // Fills the store, and drops one for one, then two for two.
    host.capture(&store, &[evictable(1), evictable(2), event(3), evictable(4)])?;
    host.capture(&store, &[event(5), evictable(6)])?;
    host.capture(&store, &[event(7)])?;
    host.capture(&store, &[evictable(8), evictable(9)])?;
    host.cancel(&store, 3)?;
    host.defer(&store, &[event(10), event(11)])?;
    drop(store);
    let store = open(rig)?;
    host.settle(&store, &[5, 7])?;
    host.cancel(&store, 10)?;
    host.defer(&store, &[event(12), event(13), event(14)])?;
    rig.clock.advance(500);
    store.tick()?;
    store.close()?;
    let store = open(rig)?;
    host.settle(&store, &[11, 12, 13, 14])?;
    // Segments go, and those that tell of all that with them.
    for round in 0..6 {
        let first = 100 + round * 10;
        let events: Vec<Event> =
            (first..first + 4).map(|n| sized_event(n, 50_000).with_class(Class::Keep)).collect();
        host.capture(&store, &events)?;
        host.settle(&store, &(first..first + 4).collect::<Vec<_>>())?;
    }
    host.capture(&store, &[evictable(20), evictable(21), evictable(22)])?;
    host.capture(&store, &[evictable(23), evictable(24), evictable(25), evictable(26)])?;
    host.cancel(&store, 26)?;
    Ok(())
}

fn check(rig: &Rig, host: &Host, context: &str) {
    let store = rig.try_open().unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(store.recovery().damage, [], "{context}");
    check_counters(rig, &store, context);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let all: Vec<u64> = host.told.keys().chain(host.perhaps.keys()).copied().collect();
    let mut seen = BTreeMap::new();
    for n in all {
        let state = store.outcome(&sales(), &key(n)).unwrap().state;
        let told = host.told.get(&n);
        let what = || format!("event {n}: {state}, told {told:?}, {:?}: {context}", host.perhaps);
        let fits = |known: &Option<State>| match known {
            // It may have been dropped for one that came later.
            None => matches!(state, State::Pending | State::Expired),
            Some(known) => state == *known,
        };
        let is_known = told.is_some_and(fits) || host.perhaps.get(&n).is_some_and(fits);
        let may_be_absent = told.is_none();
        assert!(is_known || (may_be_absent && state == State::Unknown), "{}", what());
        if seen.insert(n, state).is_none() {
            *counts.entry(state.as_str()).or_default() += 1;
        }
    }
    let count = |state: State| counts.get(state.as_str()).copied().unwrap_or(0);
    let status = store.status();
    assert_eq!(status.evicted, count(State::Expired), "{seen:?}: {context}");
    assert_eq!(status.cancelled, count(State::Cancelled), "{seen:?}: {context}");
    assert_eq!(status.pending, count(State::Pending), "{seen:?}: {context}");
    assert!(status.pending <= COUNT, "{seen:?}: {context}");
    let losses = store.losses(None, 99).unwrap();
    assert_eq!(losses.len() as u64, status.evicted, "{context}");
    // Full since event 6: what was dropped since is as much as came, up to the first that was taken back.
    let is_full = host.told.contains_key(&6) && !host.told.contains_key(&10);
    if is_full && count(State::Cancelled) == 0 && !seen.contains_key(&10) {
        assert_eq!(status.pending, COUNT, "dropped for nothing: {seen:?}: {context}");
    }
    // What was shown is durable.
    let again = rig.after_power_cut(&Survival::Nothing).open();
    let now = again.status();
    assert_eq!(
        (now.evicted, now.cancelled, now.pending, now.unsettled_bytes),
        (status.evicted, status.cancelled, status.pending, status.unsettled_bytes),
        "{context}"
    );
    drop(again);
    store.capture(&sized_event(999, 10)).map(drop).or_else(limit).unwrap();
    check_counters(rig, &store, context);
}

/// A full store is no failure.
fn limit(error: crate::Error) -> Result<()> {
    if error.code() == "LIMIT_COUNT" { Ok(()) } else { Err(error) }
}

fn new_rig() -> Rig {
    rig(Limits::new().with_count(COUNT).with_when_full(WhenFull::EvictOldest))
}

fn cut_everywhere(first: usize, of: usize) {
    let whole = new_rig();
    let mut host = Host::default();
    run(&whole, &mut host).unwrap();
    let ops: Vec<u64> = whole.disk.changing_ops();
    check(&whole, &host, "control");
    let status = whole.open().status();
    assert_eq!((status.evicted, status.cancelled), (7, 3), "control: {:?}", host.told);
    assert!(whole.open().inner.log.segments()[0].number > 2, "control: segments went");
    assert!(ops.len() > 60, "{}", ops.len());
    for op in ops.into_iter().skip(first).step_by(of) {
        let rig = Rig { clock: HandClock::new(), ..new_rig() };
        rig.disk.cut_power_at(op);
        let mut host = Host::default();
        if let Err(error) = run(&rig, &mut host) {
            assert!(is_of_a_dead_disk(&error), "op {op}: {error}");
        }
        assert!(rig.disk.is_cut(), "op {op} was reached");
        let sector_bytes = if op.is_multiple_of(2) { 512 } else { 4_096 };
        let another = match op % 3 {
            0 => rig.after_power_cut(&Survival::Everything),
            1 => rig.after_power_cut(&Survival::Seeded { seed: op, sector_bytes }),
            _ => rig.after_kill(),
        };
        let nothing = rig.after_power_cut(&Survival::Nothing);
        for (rig, what) in [(nothing, "nothing survives"), (another, "something survives")] {
            check(&rig, &host, &format!("op {op}, {what}"));
        }
    }
}

/// T21.
#[test]
fn every_crash_of_dropping_cancelling_and_deferring_leaves_true_counts_first_half() {
    cut_everywhere(0, 2);
}

#[test]
fn every_crash_of_dropping_cancelling_and_deferring_leaves_true_counts_second_half() {
    cut_everywhere(1, 2);
}
