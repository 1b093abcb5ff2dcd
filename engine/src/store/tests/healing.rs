//! Damage of the index while the store is open costs nobody more than a reading of the log: no key, no call, and no
//! reopening.

use std::time::Duration;

use onceward_vfs::Vfs;

use super::lost_keys::{assert_lost, capture, damage, frames, settle};
use crate::base::FrameKind;
use crate::inbox::tests::calls::{delivery, fresh};
use crate::inbox::{DeliveryState, Received};
use crate::limits::Cancellation;
use crate::records::fingerprint;
use crate::records::tests::calls::{acquired, begin, body};
use crate::records::{Lease, LeaseReply, RecordState};
use crate::testing::{Rig, WINDOW_MS, event, key, sales, sized_event};
use crate::{Event, State, Store, Verdict};

/// A call, and what it is called.
type Call = (&'static str, fn(&Store, &Lease));

/// The index's files of keys.
fn key_files(rig: &Rig) -> Vec<String> {
    let files = rig.disk.list("index").unwrap().into_iter();
    files.filter(|name| name.starts_with("keys-")).map(|name| format!("index/{name}")).collect()
}

/// Flips a bit of the first key of each file of keys.
fn damage_keys(rig: &Rig) {
    let files = key_files(rig);
    assert!(!files.is_empty(), "control");
    files.iter().for_each(|file| rig.disk.flip_bit(file, 48 + 24 + 1, 1));
}

/// Has the index written, while the store is open.
fn write_index(store: &Store) {
    store.inner.write_index();
}

fn state_of(store: &Store, n: u64) -> State {
    match store.capture(&event(n)).unwrap() {
        Verdict::Duplicate { state, .. } => state,
        other => panic!("{n}: {other:?}"),
    }
}

/// Two slices of keys in two files; the second event is settled, and its frame is damaged while the store is open.
#[test]
fn an_index_made_anew_knows_what_the_log_lost_since_the_store_was_opened() {
    let rig = Rig::new();
    let store = rig.open();
    capture(&store, 0);
    rig.clock.advance(WINDOW_MS / 2);
    let lsn = capture(&store, 1);
    settle(&store, 1);
    store.close().unwrap();
    let files = key_files(&rig);
    assert_eq!(files.len(), 2, "control: {files:?}");
    rig.disk.flip_bit(&files[0], 80, 1);
    let store = rig.open();
    assert_eq!(store.status().damaged_ranges, 0, "control");
    damage(&rig, lsn);
    assert_eq!(state_of(&store, 0), State::Pending);
    assert_eq!(state_of(&store, 1), State::Accepted, "the view knows it still");
    let status = store.status();
    assert_eq!(status.damaged_ranges, 1);
    let told = status.index_trouble.unwrap();
    assert!(told.contains("log/"), "the log's damage is told where it is found: {told}");
    // Killed before the index was written anew, and after.
    for is_written in [false, true] {
        if is_written {
            write_index(&store);
        }
        let rig = rig.after_kill();
        let store = rig.open();
        assert_lost(&store, 1, lsn);
        assert_eq!(state_of(&store, 0), State::Pending);
        store.close().unwrap();
        assert_eq!(rig.open().recovery().index_rebuilt, None, "{is_written}");
    }
}

/// One file of keys with two blocks of 256 keys; the first one is damaged, and the frames of two events in it and
/// behind.
#[test]
fn one_damaged_block_costs_no_key_of_the_blocks_beside_it() {
    for is_open in [true, false] {
        let rig = Rig::new();
        let store = rig.open();
        let all: Vec<Event> = (0..300).map(event).collect();
        store.capture_batch(&all).unwrap();
        store.close().unwrap();
        let lsn = frames(&rig)
            .into_iter()
            .rfind(|frame| frame.kind == FrameKind::Event.code())
            .unwrap()
            .lsn;
        damage_keys(&rig);
        let store = if is_open {
            let store = rig.open();
            damage(&rig, lsn);
            assert_eq!(state_of(&store, 0), State::Pending, "control: made anew");
            drop(store);
            rig.after_kill().open()
        } else {
            damage(&rig, lsn);
            rig.open()
        };
        assert_lost(&store, 299, lsn);
        (0..299).for_each(|n| assert_eq!(state_of(&store, n), State::Pending, "{n}"));
    }
}

/// An outage outlasts the window: keys of what is pending move on, and where they stood is damaged.
#[test]
fn damage_that_moving_keys_on_meets_is_mended_by_the_next_who_asks() {
    for ticks in [false, true] {
        let rig = Rig::new();
        let store = rig.open();
        capture(&store, 0);
        let lsn = fresh(&store, &delivery(5));
        store.close().unwrap();
        damage_keys(&rig);
        let store = rig.open();
        rig.clock.advance(3 * WINDOW_MS);
        if ticks {
            store.tick().unwrap();
        }
        assert_eq!(state_of(&store, 0), State::Pending, "{ticks}");
        let state = DeliveryState::Open;
        assert_eq!(
            store.inbox().receive(&delivery(5)).unwrap(),
            Received::Duplicate { lsn, state }
        );
        capture(&store, 1);
        store.tick().unwrap();
        assert!(store.status().index_trouble.is_some(), "it is told");
        store.close().unwrap();
        let store = rig.open();
        (0..2).for_each(|n| assert_eq!(state_of(&store, n), State::Pending));
    }
}

/// What is said of keys while the index cannot be read is not forgotten.
#[test]
fn keys_given_back_and_taken_back_over_a_damaged_index_are_free_once_it_is_mended() {
    let rig = Rig::new();
    let store = rig.open();
    let lease = acquired(&store, 1);
    capture(&store, 2);
    write_index(&store);
    damage_keys(&rig);
    {
        let mut state = store.inner.state.lock();
        let fingerprint = fingerprint(&state.kernel.secret, "sales", "k1");
        state.kernel.keys.release(fingerprint, lease.fence().get() + 1, None);
    }
    assert_eq!(state_of(&store, 2), State::Pending);
    let state = store.inner.state.lock();
    let fingerprint = fingerprint(&state.kernel.secret, "sales", "k1");
    assert!(state.kernel.keys.find(fingerprint).unwrap().is_none(), "it was given back");
}

/// Every call that asks for a key, over an index of which one block of each file is damaged.
#[test]
fn whoever_asks_over_a_damaged_index_is_answered() {
    let calls: [Call; 9] = [
        ("complete", |store, lease| drop(store.records().complete(lease, &body(1, 10)).unwrap())),
        ("release", |store, lease| store.records().release(lease).unwrap()),
        ("renew", |store, lease| {
            store.records().renew(lease, Duration::from_mins(1)).map(drop).unwrap();
        }),
        ("record", |store, _| {
            let state = store.records().get(&sales(), &key(1)).unwrap();
            assert!(matches!(state, RecordState::InProgress { .. }), "{state:?}");
        }),
        ("begin", |store, _| assert!(matches!(begin(store, 1), LeaseReply::InProgress { .. }))),
        ("ack", |store, _| {
            let lsn = store.inbox().list(None, 9).unwrap()[0].lsn;
            store.inbox().ack(lsn).map(drop).unwrap();
        }),
        ("settle", |store, _| settle(store, 2)),
        ("outcome", |store, _| {
            assert_eq!(store.outcome(&sales(), &key(2)).unwrap().state, State::Pending);
        }),
        ("cancel", |store, _| {
            let done = store.cancel(&sales(), &key(2)).unwrap();
            assert!(matches!(done, Cancellation::Cancelled { .. }), "{done:?}");
        }),
    ];
    for (name, call) in calls {
        let rig = Rig::new();
        let store = rig.open();
        let lease = acquired(&store, 1);
        fresh(&store, &delivery(5));
        capture(&store, 2);
        capture(&store, 3);
        settle(&store, 3);
        write_index(&store);
        damage_keys(&rig);
        call(&store, &lease);
        assert_eq!(state_of(&store, 3), State::Accepted, "{name}");
        assert!(store.status().index_trouble.is_some(), "{name}: control: it was met");
    }
}

/// The keys of what is cleaned stand in a damaged file.
#[test]
fn settling_and_cleaning_go_on_over_a_damaged_index() {
    let rig = Rig::new();
    let store = rig.open();
    let lsns: Vec<u64> = (0..20)
        .map(|n| {
            let lsn = capture(&store, n);
            settle(&store, n);
            lsn
        })
        .collect();
    let lease = acquired(&store, 1);
    store.records().complete(&lease, &body(1, 10)).unwrap();
    store.inbox().ack(fresh(&store, &delivery(5))).unwrap();
    write_index(&store);
    damage_keys(&rig);
    for first in (100..1_000).step_by(50) {
        let many: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
        let cleared: Vec<_> = many.iter().map(|event| event.key.clone()).collect();
        store.capture_batch(&many).unwrap();
        let answer = || crate::Answer::Accepted { receipt: None };
        let all = cleared.into_iter();
        let all = all.map(|key| crate::Settlement { scope: sales(), key, answer: answer() });
        store.settle(&all.collect::<Vec<_>>()).unwrap();
    }
    store.tick().unwrap();
    assert_eq!(store.find(&sales(), &key(3)).unwrap(), None, "cleaned");
    for store in [store, rig.after_kill().open()] {
        for (n, lsn) in (0..20).zip(&lsns) {
            let outcome = store.outcome(&sales(), &key(n)).unwrap();
            assert_eq!(outcome.lsn.map(crate::Lsn::get), Some(*lsn));
            assert_eq!(outcome.state, State::Accepted, "{n}");
        }
        assert!(matches!(begin(&store, 1), LeaseReply::Cached(_)));
    }
}
