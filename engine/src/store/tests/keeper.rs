//! Cleaning beside those who settle: nobody is kept from opening the store again, and nothing lags without a bound.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use onceward_vfs::{Fault, FaultKind, FaultOp};
use onceward_wal::Preparation;

use crate::kernel::CleaningTurn;
use crate::review::KeptCatalog;
use crate::testing::{Rig, SEGMENT_BYTES, event, key, sales, sized_event};
use crate::{Answer, Config, Event, Lsn, State, Store, Verdict};

const ACCEPTED: Answer = Answer::Accepted { receipt: None };
/// Bytes of a payload.
const BYTES: usize = 4_000;
/// How many events of so many bytes are in a commit.
const TOGETHER: u64 = 40;

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, Config::new().with_segment_bytes(SEGMENT_BYTES)).unwrap()
}

/// Captures events `first..first + count`; returns the first number and the last.
fn capture(store: &Store, first: u64, count: u64) -> (Lsn, Lsn) {
    let events: Vec<Event> = (first..first + count).map(|n| sized_event(n, BYTES)).collect();
    let mut lsns = Vec::new();
    for some in events.chunks(usize::try_from(TOGETHER).unwrap()) {
        for verdict in store.capture_batch(some).unwrap() {
            let Verdict::Fresh { lsn } = verdict else { panic!("{verdict:?}") };
            lsns.push(lsn);
        }
    }
    (lsns[0], *lsns.last().unwrap())
}

/// A store on a simulated disk that has threads of its own.
fn with_threads(rig: &Rig) -> Store {
    let (vfs, clock) = (Arc::new(rig.disk.clone()), Arc::clone(&rig.clock));
    let machine = (Preparation::InBackground, KeptCatalog::new(None), None);
    Store::open_with(vfs, clock, rig.config.clone(), machine).unwrap()
}

#[test]
fn the_last_handle_waits_for_the_thread_so_whoever_opens_finds_the_store_free() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let store = open(dir.path());
        let (first, last) = capture(&store, round * 2_000, 1_000);
        store.settle_range(&sales(), first, last, &ACCEPTED).unwrap();
        // The thread is at it, or about to be.
        drop(store);
    }
    let store = open(dir.path());
    for n in [0, 999, 10_999] {
        assert_eq!(store.outcome(&sales(), &key(n)).unwrap().state, State::Accepted, "{n}");
    }
}

#[test]
fn the_last_handle_ends_after_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let inner = Arc::clone(&store.inner);
    // Cleaning needs the state: so the thread is at it until this is given back.
    let state = inner.state.lock();
    assert!(store.keeper.call(&inner).unwrap());
    while store.keeper.is_called() {
        std::thread::yield_now();
    }
    let (ended, end) = std::sync::mpsc::channel();
    let dropping = std::thread::spawn(move || {
        drop(store);
        ended.send(()).unwrap();
    });
    let early = end.recv_timeout(Duration::from_millis(500));
    assert_eq!(early, Err(RecvTimeoutError::Timeout), "it ended before the thread");
    drop(state);
    assert_eq!(end.recv(), Ok(()));
    dropping.join().unwrap();
    assert_eq!(Arc::strong_count(&inner), 1, "nobody else holds the store");
}

#[test]
fn who_settles_far_ahead_of_the_thread_lends_a_hand() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (first, last) = capture(&store, 0, 4_000);
    let bytes = store.status().bytes;
    {
        // As a thread that never gets to run.
        let _one_at_a_time = store.inner.control.lock();
        let lsns: Vec<u64> = (first.get()..=last.get()).collect();
        let answers: Vec<(u64, &Answer)> = lsns.iter().map(|lsn| (*lsn, &ACCEPTED)).collect();
        store.inner.events().settle_events(0, &answers).unwrap();
    }
    assert_eq!(store.inner.cleaner().turn(), CleaningTurn::Help);
    store.clean_up().unwrap();
    assert!(store.status().bytes < bytes, "{} of {bytes} bytes are left", store.status().bytes);
    assert_ne!(store.inner.cleaner().turn(), CleaningTurn::Help, "it was looked at");
}

#[test]
fn little_that_is_settled_calls_nobody() {
    let rig = Rig::new();
    let store = with_threads(&rig);
    store.capture(&event(1)).unwrap();
    // The first time a thread may be called, whatever there is.
    let _first = store.inner.cleaner().turn();
    let lsn = store.outcome(&sales(), &key(1)).unwrap().lsn.unwrap();
    store.settle_range(&sales(), lsn, lsn, &ACCEPTED).unwrap();
    assert_eq!(store.inner.cleaner().turn(), CleaningTurn::NotYet);
}

#[test]
fn why_cleaning_failed_is_told_to_the_next_who_settles() {
    let rig = Rig::new();
    let store = with_threads(&rig);
    let name_contains = "log".to_owned();
    let mut told = None;
    for round in 0..200 {
        let (first, last) = capture(&store, round * 1_000, 200);
        if round == 4 {
            let (op, kind) = (FaultOp::Remove, FaultKind::Eio);
            let name_contains = name_contains.clone();
            rig.disk.plan(Fault { op, name_contains, nth: 0, kind, forever: true });
        }
        told = store.settle_range(&sales(), first, last, &ACCEPTED).err();
        if told.is_some() {
            break;
        }
    }
    let told = told.unwrap();
    assert_eq!(told.kind(), crate::ErrorKind::Io, "{told}");
    assert_eq!(store.outcome(&sales(), &key(1)).unwrap().state, State::Accepted);
}
