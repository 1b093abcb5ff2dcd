//! Records while many ask at once, and when something is full or broken.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use onceward_vfs::{Fault, FaultKind, FaultOp, Survival};
use onceward_wal::{NewFrame, Purpose};

use crate::base::{FrameKind, codec};
use crate::kernel::{Queueing, Waiter};
use crate::records::fingerprint;
use crate::records::frames::{LeaseEndFrame, RecordHead};
use crate::records::table::{ChangeKind, LeaseChange};
use crate::records::tests::calls::{acquired, asks, begin, body, cached, orphaned};
use crate::records::{Lease, LeaseReply, RecordState};
use crate::testing::{Rig, SEGMENT_BYTES, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Payload, Store};

const THREADS: usize = 8;

/// T33: two who check and then set.
#[test]
fn of_many_who_ask_at_once_exactly_one_gets_the_lease() {
    let rig = Rig::new();
    let store = rig.open();
    for round in 0..3 {
        for n in 0..30 {
            let barrier = Barrier::new(THREADS);
            let begun: Vec<LeaseReply> = std::thread::scope(|scope| {
                let ask = || {
                    barrier.wait();
                    begin(&store, n)
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let is_one = |begun: &&LeaseReply| match (begun, round) {
                (LeaseReply::InProgress { .. }, _) => false,
                (LeaseReply::Acquired(_), 0) | (LeaseReply::OutcomeUnknown(_), 1 | 2) => true,
                _ => panic!("round {round}, key {n}: {begun:?}"),
            };
            assert_eq!(begun.iter().filter(is_one).count(), 1, "round {round}, key {n}: {begun:?}");
        }
        rig.clock.advance(30_000);
    }
    drop(store);
    assert_eq!(rig.open().status().leases, 30);
}

/// T33, T34: the ends of a lease race with those who ask for it.
#[test]
fn a_lease_ends_once_however_many_try() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..30 {
        let lease = acquired(&store, n);
        let barrier = Barrier::new(4);
        let end = |way: usize| {
            barrier.wait();
            match way {
                0 => store.records().complete(&lease, &body(n, 100)).is_ok(),
                1 => matches!(begin(&store, n), LeaseReply::OutcomeUnknown(_)),
                _ => store.records().release(&lease).is_ok(),
            }
        };
        let done: Vec<bool> = std::thread::scope(|scope| {
            let end = &end;
            let threads: Vec<_> = (0..4).map(|way| scope.spawn(move || end(way))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(!done[1], "nobody lost it");
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "key {n}: {done:?}");
    }
}

#[test]
fn no_more_leases_are_open_than_the_configuration_allows() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_leases_max(3);
    let store = rig.open();
    let leases: Vec<_> = (0..3).map(|n| acquired(&store, n)).collect();
    let refused = || {
        let error = store.records().begin(&asks(9)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "LEASES_FULL"), "{error}");
    };
    refused();
    rig.clock.advance(30_000);
    refused();
    let over = orphaned(&store, 0);
    refused();
    store.records().release(&over).unwrap();
    let next = acquired(&store, 9);
    store.records().complete(&next, &body(9, 0)).unwrap();
    store.records().complete(&leases[1], &body(1, 0)).unwrap();
    acquired(&store, 10);
    drop(store);
    let store = rig.open();
    assert_eq!(store.status().leases, 2);
    acquired(&store, 11);
    assert!(store.records().begin(&asks(12)).is_err());
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_lease_stays() {
    let store = Rig::new().open();
    let lease = acquired(&store, 1);
    let error = store.records().complete(&lease, &Payload::bytes(vec![0; 60_001])).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "PAYLOAD_TOO_LONG"), "{error}");
    let largest = Payload::bytes(vec![0; 60_000]);
    assert_eq!(store.records().complete(&lease, &largest).unwrap().body, largest, "control");
    let empty = Payload::bytes(Vec::new());
    store.records().complete(&acquired(&store, 2), &empty).unwrap();
    assert_eq!(cached(&store, 2).body, empty);
}

/// T22: new work is refused on a full disk, and what was begun can be ended.
#[test]
fn a_full_disk_refuses_new_leases_and_lets_the_open_ones_end() {
    let rig = Rig::new();
    let store = rig.open();
    let leases: Vec<_> = (0..4).map(|n| acquired(&store, n)).collect();
    rig.disk.set_free_bytes(Some(2 * SEGMENT_BYTES));
    let mut n = 0;
    while store.capture(&sized_event(n, 20_000)).is_ok() {
        n += 1;
    }
    while store.capture(&sized_event(10_000 + n, 10)).is_ok() {
        n += 1;
    }
    for _ in 0..3 {
        let error = store.records().begin(&asks(9)).unwrap_err();
        assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    }
    assert_eq!(store.records().get(&sales(), &key(9)).unwrap(), RecordState::Unknown);
    store.records().complete(&leases[0], &body(0, 1_000)).unwrap();
    store.records().release(&leases[1]).unwrap();
    rig.clock.advance(30_000);
    let over = orphaned(&store, 2);
    store.records().complete(&over, &body(2, 1_000)).unwrap();
    drop(store);
    let store = rig.open();
    assert_eq!(cached(&store, 0).body, body(0, 1_000));
    assert_eq!((store.status().leases, store.status().records), (1, 2));
    rig.disk.set_free_bytes(None);
    acquired(&store, 9);
}

/// P3: bodies do not use up what settling needs.
#[test]
fn records_on_a_full_disk_leave_the_reserve_to_settling() {
    let rig = Rig::new();
    let store = rig.open();
    let leases: Vec<_> = (0..60).map(|n| acquired(&store, n)).collect();
    rig.disk.set_free_bytes(Some(3 * SEGMENT_BYTES));
    let mut n = 0;
    while store.capture(&sized_event(n, 20_000)).is_ok() {
        n += 1;
    }
    let ended = leases
        .iter()
        .zip(0..)
        .filter(|(lease, n)| store.records().complete(lease, &body(*n, 10_000)).is_ok());
    let ended = ended.count();
    assert!((1..30).contains(&ended), "{ended}");
    for n in 0..n {
        let answer = Answer::Accepted { receipt: None };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
    assert_eq!(store.status().pending, 0);
    // With the room that came back the others end.
    let rest = leases.iter().zip(0..).skip(ended);
    assert!(rest.take(10).all(|(lease, n)| store.records().complete(lease, &body(n, 100)).is_ok()));
}

/// T26: the write itself finds no room.
#[test]
fn what_was_not_stored_leaves_key_and_lease_as_they_were() {
    let rig = Rig::new();
    let store = rig.open();
    let no_room = || {
        let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
        rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    };
    let is_full = |error: crate::Error| {
        assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    };
    no_room();
    is_full(store.records().begin(&asks(1)).unwrap_err());
    assert_eq!((store.status().leases, store.status().keys), (0, 0));
    let lease = acquired(&store, 1);
    no_room();
    is_full(store.records().complete(&lease, &body(1, 0)).unwrap_err());
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }), "the lease is still held");
    no_room();
    is_full(store.records().release(&lease).unwrap_err());
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }));
    rig.clock.advance(30_000);
    no_room();
    is_full(store.records().begin(&asks(1)).unwrap_err());
    let record = store.records().complete(&lease, &body(1, 0)).unwrap();
    assert_eq!(record.fence, lease.fence(), "nobody took it over");
    for store in [store, rig.after_kill().open()] {
        assert_eq!(cached(&store, 1), record);
        assert_eq!((store.status().leases, store.status().keys), (0, 1));
    }
}

/// Appends a frame that ends the lease of record 1 in one of two ways, without waiting for it.
fn queue_an_end(store: &Store, lease: &Lease, way: u64) {
    let inner = &store.inner;
    let mut state = inner.state.lock();
    let fingerprint = fingerprint(&state.kernel.secret, "sales", "k1");
    let item = lease.fence().get();
    let head = RecordHead {
        item,
        fence: item,
        scope: "sales".to_owned(),
        key: "k1".to_owned(),
        content_hash: 0,
        slice_begin: 0,
        settled_ms: 0,
        completed_at_ms: 0,
        form: 1,
    };
    let record = [head.encode().as_slice(), body(1, 0).as_bytes()].concat();
    let end =
        codec::encode(&LeaseEndFrame { item, fence: item, fingerprint: fingerprint.as_u128() });
    let (kind, what, bytes) = match way {
        0 => (FrameKind::Record, ChangeKind::Completed { fence: item, settled_ms: 0 }, record),
        _ => (FrameKind::LeaseEnd, ChangeKind::Released, end),
    };
    let new = [NewFrame { kind: kind.code(), flags: 0, parts: &[&bytes] }];
    let (mono_ms, purpose) = (inner.time.mono_ms(), Purpose::Settle);
    let how = Queueing { kind, keys: 0, mono_ms, purpose, waiter: Waiter::Call };
    let at = inner.queue(&mut state, &new, how).unwrap()[0];
    state.records.queue(item, LeaseChange { at, what });
}

/// T33: nobody is told of what a crash could still take back, nor of what is about to end.
#[test]
fn who_finds_a_frame_under_way_waits_for_it_and_judges_then() {
    for (way, is_stored) in [(0, true), (0, false), (1, true), (1, false)] {
        let rig = Rig::new();
        let store = rig.open();
        let lease = acquired(&store, 1);
        queue_an_end(&store, &lease, way);
        let look = store.records().get(&sales(), &key(1)).unwrap();
        assert!(matches!(look, RecordState::InProgress { .. }), "not durable: {look:?}");
        if !is_stored {
            let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
            rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
        }
        let begun = begin(&store, 1);
        let is_right = match (way, is_stored) {
            (_, false) => matches!(begun, LeaseReply::InProgress { .. }),
            (0, true) => matches!(begun, LeaseReply::Cached(_)),
            (_, true) => matches!(begun, LeaseReply::Acquired(_)),
        };
        assert!(is_right, "way {way}, stored {is_stored}: {begun:?}");
        let rig = rig.after_power_cut(&Survival::Nothing);
        let found = rig.open().records().get(&sales(), &key(1)).unwrap();
        let is_kept = match begun {
            LeaseReply::Cached(record) => found == RecordState::Completed(record),
            _ => matches!(found, RecordState::OutcomeUnknown { .. }),
        };
        assert!(is_kept, "way {way}, stored {is_stored}: {found:?}");
    }
}

/// The segment of a lease that is about to end stays: its carried copy would come after the end.
#[test]
fn a_lease_that_is_about_to_end_is_not_carried() {
    let rig = Rig::new();
    let store = rig.open();
    let lease = acquired(&store, 1);
    let oldest = || store.inner.log.segments()[0].number;
    let first = oldest();
    for n in 0..20 {
        store.capture(&sized_event(n, 50_000)).unwrap();
    }
    // The end stands in another segment than the lease, and nobody heard yet that it is durable.
    queue_an_end(&store, &lease, 1);
    assert!(!store.inner.cleaner().clean_one(first).unwrap());
    assert_eq!(oldest(), first);
    acquired(&store, 1);
    assert!(store.inner.cleaner().clean_one(first).unwrap(), "control: now it goes");
    assert!(oldest() > first);
}

/// T17: after a failed sync nobody knows, so it is said so, and the next opening tells.
#[test]
fn a_failed_sync_leaves_the_call_in_doubt_and_the_store_poisoned() {
    for step in 0..3 {
        let rig = Rig::new();
        let store = rig.open();
        let lease = acquired(&store, 1);
        let (op, kind) = (FaultOp::SyncData, FaultKind::Eio);
        rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
        let error = match step {
            0 => store.records().begin(&asks(2)).unwrap_err(),
            1 => store.records().complete(&lease, &body(1, 0)).unwrap_err(),
            _ => store.records().release(&lease).unwrap_err(),
        };
        assert!(error.in_doubt(), "step {step}: {error}");
        let after = store.records().begin(&asks(3)).unwrap_err();
        assert_eq!(after.kind(), ErrorKind::Poisoned, "step {step}: {after}");
        assert!(store.records().complete(&lease, &body(1, 0)).is_err(), "step {step}");
        drop(store);
        let store = rig.after_kill().open();
        let state = |n| store.records().get(&sales(), &key(n)).unwrap();
        match step {
            0 => assert!(!matches!(state(2), RecordState::Completed(_))),
            1 => assert!(matches!(
                state(1),
                RecordState::Completed(_) | RecordState::OutcomeUnknown { .. }
            )),
            _ => assert!(!matches!(state(1), RecordState::Completed(_))),
        }
    }
}

#[test]
fn a_closed_store_gives_no_lease() {
    let store = Rig::new().open();
    let lease = acquired(&store, 1);
    let other = store.clone();
    store.close().unwrap();
    let codes: BTreeSet<&str> = [
        other.records().begin(&asks(2)).unwrap_err().code(),
        other.records().complete(&lease, &body(1, 0)).unwrap_err().code(),
        other.records().release(&lease).unwrap_err().code(),
        other.records().renew(&lease, Duration::from_mins(1)).unwrap_err().code(),
    ]
    .into();
    assert_eq!(codes, BTreeSet::from(["CLOSED"]));
}
