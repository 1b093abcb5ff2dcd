//! T35: whatever a crash leaves of leases and records, what the host was told still holds.
//!
//! A script runs once to count the operations of the disk, and then again with the power cut at each
//! of them; for each, several survivals of what was not synced.

use std::collections::BTreeMap;

use onceward_vfs::Survival;

use crate::records::tests::calls::{acquired, asks, body, is_lost};
use crate::records::{Lease, LeaseReply, RecordState};
use crate::testing::script::is_of_a_dead_disk;
use crate::testing::{HandClock, Rig, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Error, Lsn, Store};

/// One thing that the host does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Asks for the lease of this key, and gets it.
    Begin(u64),
    /// Completes it with a body of this many bytes.
    Complete(u64, usize),
    Release(u64),
    /// All leases expire.
    Expire,
    /// Captures and settles so many bytes in events, from this number on.
    Fill(u64, usize),
    Tick,
    Kill,
    Close,
}

use Step::{Begin, Close, Complete, Expire, Fill, Kill, Release, Tick};

/// What a key may be.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Stand {
    Free,
    /// Leased, with the fencing number if the host was told.
    Leased(Option<Lsn>),
    /// Completed with a body of this many bytes under this lease.
    Done(Lsn, usize),
}

#[derive(Clone, Debug, Default)]
struct Note {
    /// One, or two while a call is under way.
    stands: Vec<Stand>,
    /// The last lease that the host was given.
    lease: Option<Lease>,
    /// Leases that can do nothing any more.
    lost: Vec<Lease>,
}

#[derive(Clone, Debug)]
struct Host {
    rig: Rig,
    store: Option<Store>,
    notes: BTreeMap<u64, Note>,
}

impl Host {
    fn step(&mut self, step: Step) -> Result<(), Error> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.store.insert(self.rig.try_open()?).clone(),
        };
        match step {
            Begin(n) => {
                self.perhaps(n, Stand::Leased(None));
                let (LeaseReply::Acquired(lease) | LeaseReply::OutcomeUnknown(lease)) =
                    store.records().begin(&asks(n))?
                else {
                    panic!("key {n} is not to be had")
                };
                self.happened(n, Stand::Leased(Some(lease.fence())));
                let note = self.notes.get_mut(&n).unwrap();
                note.lost.extend(note.lease.replace(lease));
            }
            Complete(n, bytes) => {
                let lease = self.lease(n);
                self.perhaps(n, Stand::Done(lease.fence(), bytes));
                store.records().complete(&lease, &body(n, bytes))?;
                self.happened(n, Stand::Done(lease.fence(), bytes));
            }
            Release(n) => {
                let lease = self.lease(n);
                self.perhaps(n, Stand::Free);
                store.records().release(&lease)?;
                self.happened(n, Stand::Free);
                self.notes.get_mut(&n).unwrap().lost.push(lease);
            }
            Expire => self.rig.clock.advance(30_000),
            Fill(first, bytes) => fill(&store, first, bytes)?,
            Tick => store.tick()?,
            Kill => self.store = None,
            Close => {
                self.store = None;
                store.close()?;
            }
        }
        Ok(())
    }

    fn lease(&self, n: u64) -> Lease {
        self.notes[&n].lease.clone().unwrap()
    }

    fn perhaps(&mut self, n: u64, stand: Stand) {
        let note = self.notes.entry(n).or_default();
        if note.stands.is_empty() {
            note.stands.push(Stand::Free);
        }
        note.stands.push(stand);
    }

    fn happened(&mut self, n: u64, stand: Stand) {
        self.notes.get_mut(&n).unwrap().stands = vec![stand];
    }

    fn moved_to(&self, rig: Rig) -> Self {
        Self { rig, store: None, notes: self.notes.clone() }
    }
}

fn fill(store: &Store, first: u64, bytes: usize) -> Result<(), Error> {
    for n in first..first + 4 {
        store.capture(&sized_event(n, bytes / 4))?;
    }
    let accepted = |n| {
        let answer = Answer::Accepted { receipt: None };
        Settlement { scope: sales(), key: key(n), answer }
    };
    store.settle(&(first..first + 4).map(accepted).collect::<Vec<_>>())
}

/// Every chapter begins by opening the store.
fn script() -> Vec<Vec<Step>> {
    let fills = |first: u64| (0..3).map(move |n| Fill(first + n * 10, 200_000));
    let mut chapters = vec![
        vec![Begin(1), Complete(1, 10), Begin(2), Release(2), Begin(2), Begin(3), Kill, Begin(3)],
        vec![Begin(4), Expire, Begin(4), Complete(4, 20_000), Begin(2), Complete(2, 30), Close],
        vec![Begin(3), Release(3), Begin(5), Kill, Begin(5), Expire, Begin(5), Begin(6), Tick],
    ];
    for first in [100, 200, 300] {
        chapters.push(fills(first).collect());
    }
    chapters.push(vec![Begin(5), Release(5), Begin(7), Complete(7, 40_000), Begin(3), Close]);
    for first in [400, 500, 600] {
        chapters.push(fills(first).chain([Tick]).collect());
    }
    chapters.push(vec![Begin(3), Complete(3, 10), Begin(6), Release(6), Begin(6), Close]);
    chapters.push(fills(700).chain(fills(800)).chain([Close]).collect());
    chapters
}

fn is_fitting(stand: &Stand, found: &RecordState, n: u64) -> bool {
    match (stand, found) {
        (Stand::Free, RecordState::Unknown) => true,
        (Stand::Leased(known), RecordState::OutcomeUnknown { fence }) => {
            known.is_none_or(|known| known == *fence)
        }
        (Stand::Done(fence, bytes), RecordState::Completed(record)) => {
            record.fence == *fence && record.body == body(n, *bytes)
        }
        _ => false,
    }
}

/// Holds what is found against what the host was told; then goes on with the store.
fn check(host: &Host, rig: &Rig, context: &str) {
    let store = rig.try_open().unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(store.recovery().damage, [], "{context}");
    let states = |store: &Store| -> BTreeMap<u64, RecordState> {
        let state = |n: &u64| (*n, store.records().get(&sales(), &key(*n)).unwrap());
        host.notes.keys().map(state).collect()
    };
    let found = states(&store);
    for (n, state) in &found {
        let stands = &host.notes[n].stands;
        let is_one = stands.iter().any(|stand| is_fitting(stand, state, *n));
        assert!(is_one, "key {n}: {state:?}, told {stands:?}: {context}");
    }
    let count = |wanted: fn(&RecordState) -> bool| {
        u64::try_from(found.values().filter(|state| wanted(state)).count()).unwrap()
    };
    let status = store.status();
    let leases = count(|state| matches!(state, RecordState::OutcomeUnknown { .. }));
    let records = count(|state| matches!(state, RecordState::Completed(_)));
    assert_eq!((status.leases, status.records), (leases, records), "{context}");
    // What was shown is durable: another cut right now changes nothing.
    let again = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(states(&again), found, "{context}");
    drop(again);
    for (n, note) in &host.notes {
        for late in &note.lost {
            is_lost(store.records().complete(late, &body(*n, 1)));
        }
        let lease = match (store.records().begin(&asks(*n)).unwrap(), &found[n]) {
            (LeaseReply::Acquired(lease), RecordState::Unknown) => lease,
            (LeaseReply::OutcomeUnknown(lease), RecordState::OutcomeUnknown { fence }) => {
                assert!(lease.fence() > *fence, "key {n}: {context}");
                lease
            }
            (LeaseReply::Cached(record), RecordState::Completed(told)) if record == *told => {
                continue;
            }
            (begun, state) => panic!("key {n}: {begun:?} of {state:?}: {context}"),
        };
        store.records().complete(&lease, &body(*n, 7)).unwrap();
    }
    acquired(&store, 99);
    store.capture(&event(99)).unwrap();
    drop(store);
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(store.recovery().damage, [], "{context}");
    let found = states(&store);
    let is_done = |state: &RecordState| matches!(state, RecordState::Completed(_));
    assert!(found.values().all(is_done), "{found:?}: {context}");
    assert_eq!(store.status().leases, 1, "{context}");
}

/// The host before each chapter, its steps, and the operations of the chapter that change the disk.
fn chapters() -> Vec<(Host, Vec<Step>, Vec<u64>)> {
    let mut host = Host { rig: Rig::new(), store: None, notes: BTreeMap::new() };
    let mut found = Vec::new();
    for steps in script() {
        let before = host.moved_to(host.rig.after_kill());
        steps.iter().for_each(|step| host.step(*step).unwrap());
        let ops = host.rig.disk.changing_ops();
        host = host.moved_to(host.rig.after_kill());
        found.push((before, steps, ops));
    }
    found
}

fn cut_everywhere(first: usize, of: usize) {
    let (mut states, part) = (0, of);
    for (chapter, (before, steps, cuts)) in chapters().into_iter().enumerate() {
        // Chapters that only fill the log are long and much alike.
        let is_filling = steps.iter().all(|step| matches!(step, Fill(..) | Tick | Close));
        let of = if is_filling { 7 * part } else { part };
        for op in cuts.into_iter().skip(first).step_by(of) {
            let mut host = before.moved_to(before.rig.after_kill());
            host.rig.clock = HandClock::new();
            host.rig.disk.cut_power_at(op);
            let ended = steps.iter().try_for_each(|step| host.step(*step));
            assert!(host.rig.disk.is_cut(), "the operation was reached");
            if let Err(error) = ended {
                assert!(is_of_a_dead_disk(&error), "chapter {chapter}, op {op}: {error}");
            }
            host.store = None;
            let sector_bytes = if op % 2 == 0 { 512 } else { 4096 };
            let mut survivals =
                vec![Survival::Nothing, Survival::Seeded { seed: op, sector_bytes }];
            if op % 3 == 0 {
                survivals.push(Survival::Everything);
            }
            for survival in survivals {
                let context = format!("chapter {chapter}, op {op}, {survival:?}");
                check(&host, &host.rig.after_power_cut(&survival), &context);
                states += 1;
            }
        }
    }
    assert!(states > 100, "{states} states");
}

#[test]
fn the_script_reaches_what_it_is_for() {
    let chapters = chapters();
    let (host, ..) = chapters.last().unwrap();
    let store = host.rig.after_kill().open();
    assert!(store.inner.log.segments()[0].number > 5, "segments were trimmed");
    assert_eq!((store.status().leases, store.status().records), (1, 5));
    for (before, steps, _) in &chapters {
        let rig = Rig { clock: HandClock::new(), ..before.rig.after_kill() };
        check(before, &rig, &format!("before {steps:?}"));
    }
}

#[test]
fn every_crash_state_of_records_keeps_what_was_told_first_part() {
    cut_everywhere(0, 3);
}

#[test]
fn every_crash_state_of_records_keeps_what_was_told_second_part() {
    cut_everywhere(1, 3);
}

#[test]
fn every_crash_state_of_records_keeps_what_was_told_third_part() {
    cut_everywhere(2, 3);
}
