//! Leases and records are kept as long as they are needed, whatever is cleaned, and no longer.

use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::Vfs;

use crate::records::tests::calls::{acquired, asks, begin, body, cached, is_lost, orphaned};
use crate::records::{LeaseReply, RecordState};
use crate::testing::{Rig, SEGMENT_BYTES, WINDOW_MS, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, Store};

/// Captures and settles events of about a segment.
fn round(store: &Store, n: u64) {
    let first = 1_000_000 + n * 100;
    let events: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 4_000)).collect();
    store.capture_batch(&events).unwrap();
    let accepted = |n| {
        let answer = Answer::Accepted { receipt: None };
        Settlement { scope: sales(), key: key(n), answer }
    };
    store.settle(&(first..first + 50).map(accepted).collect::<Vec<_>>()).unwrap();
}

fn oldest_segment(store: &Store) -> u64 {
    store.inner.log.segments()[0].number
}

/// Rounds from number `first` on, and cleaning of the oldest segment whether it is worth it or not,
/// until that is over `segment`; returns the next number.
fn turn(store: &Store, first: u64, segment: u64) -> u64 {
    for n in first..first + 200 {
        if oldest_segment(store) > segment {
            return n;
        }
        round(store, n);
        if store.inner.log.segments().len() > 2 {
            store.inner.cleaner().clean_one(oldest_segment(store)).unwrap();
        }
    }
    panic!("segment {segment} is never trimmed");
}

/// The life of records of these tests: other than the window of events.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.config = rig.config.with_record_life(Duration::from_millis(2 * WINDOW_MS));
    rig
}

#[test]
fn leases_and_records_outlive_their_segments_and_restarts() {
    let rig = rig();
    let store = rig.open();
    let records: Vec<_> = (0..5)
        .map(|n| store.records().complete(&acquired(&store, n), &body(n, 5_000)).unwrap())
        .collect();
    let held = acquired(&store, 10);
    let request = asks(11).with_request(b"a".to_vec());
    let LeaseReply::Acquired(asked) = store.records().begin(&request).unwrap() else {
        panic!("taken")
    };
    store.records().release(&acquired(&store, 12)).unwrap();
    rig.clock.advance(30_000);
    acquired(&store, 13);
    rig.clock.advance(30_000);
    let taken_over = orphaned(&store, 13);
    let mut next = 0;
    let check = |store: &Store, is_reopened: bool| {
        for (n, record) in (0..).zip(&records) {
            assert_eq!(cached(store, n), *record);
        }
        let state = |n| store.records().get(&sales(), &key(n)).unwrap();
        for (n, fence) in [(10, held.fence()), (11, asked.fence())] {
            assert_eq!(state(n), RecordState::OutcomeUnknown { fence });
        }
        assert_eq!(state(12), RecordState::Unknown);
        match state(13) {
            RecordState::InProgress { fence, .. } if !is_reopened => {
                assert_eq!(fence, taken_over.fence());
            }
            RecordState::OutcomeUnknown { fence } => assert_eq!(fence, taken_over.fence()),
            other => panic!("{other:?}"),
        }
        let other = asks(11).with_request(b"b".to_vec());
        let conflict = LeaseReply::Conflict { fence: asked.fence() };
        assert_eq!(store.records().begin(&other).unwrap(), conflict);
        assert_eq!((store.status().leases, store.status().records), (3, 5));
    };
    check(&store, false);
    let mut store = store;
    for restart in 0..4 {
        let before = oldest_segment(&store) + 4;
        next = turn(&store, next, before);
        check(&store, restart > 0);
        match restart {
            0 => store.close().unwrap(),
            2 => {
                drop(store);
                rig.disk.remove_index();
            }
            _ => drop(store),
        }
        store = rig.open();
        check(&store, true);
        assert_eq!(store.recovery().damage, []);
    }
    assert!(store.status().bytes < 20 * SEGMENT_BYTES, "{:?}", store.status());
    store.records().complete(&held, &body(10, 0)).unwrap();
    store.records().complete(&taken_over, &body(13, 0)).unwrap();
    store.records().release(&asked).unwrap();
    acquired(&store, 11);
}

#[test]
fn a_segment_with_a_lease_goes_only_as_the_oldest() {
    let rig = rig();
    let store = rig.open();
    // Never settled, so that nothing goes by itself.
    let fill = |first: u64| {
        for n in first..first + 8 {
            store.capture(&sized_event(n, 50_000)).unwrap();
        }
    };
    fill(100);
    let held = acquired(&store, 1);
    let segments = store.inner.log.segments();
    let (first, second) = (segments[0].number, segments.last().unwrap().number);
    fill(200);
    assert!(first < second && second < store.inner.log.segments().last().unwrap().number);
    let goes = |number| store.inner.cleaner().clean_one(number).unwrap();
    assert!(!goes(second), "an older one stands");
    while oldest_segment(&store) < second {
        assert!(goes(oldest_segment(&store)), "control");
    }
    assert!(goes(second), "it is the oldest");
    store.records().complete(&held, &body(1, 0)).unwrap();
}

/// What makes the next opening build the index from the log.
trait RemoveIndex {
    fn remove_index(&self);
}

impl RemoveIndex for onceward_vfs::SimVfs {
    fn remove_index(&self) {
        let vfs: Arc<dyn Vfs> = Arc::new(self.clone());
        onceward_index::discard(&*vfs, "index").unwrap();
    }
}

/// What if the same key is begun, released, begun, expired, taken over, carried and reopened?
#[test]
fn a_key_with_a_long_history_is_what_its_last_lease_says() {
    for (close, discard) in [(false, false), (true, false), (false, true)] {
        let rig = rig();
        let mut store = rig.open();
        let mut next = 0;
        let mut leases = Vec::new();
        for step in 0..14 {
            let lease = match begin(&store, 1) {
                LeaseReply::Acquired(lease) | LeaseReply::OutcomeUnknown(lease) => lease,
                other => panic!("step {step}: {other:?}"),
            };
            for late in &leases {
                is_lost(store.records().complete(late, &body(9, 0)));
            }
            leases.push(lease.clone());
            match step % 7 {
                0 | 5 => store.records().release(&lease).unwrap(),
                1 | 4 => rig.clock.advance(30_000),
                2 => next = turn(&store, next, oldest_segment(&store)),
                _ => {}
            }
            if [2, 3, 5, 6].contains(&(step % 7)) {
                if close {
                    store.close().unwrap();
                } else {
                    drop(store);
                }
                if discard {
                    rig.disk.remove_index();
                }
                store = rig.open();
                assert_eq!(store.recovery().damage, [], "step {step}");
            }
        }
        let last = orphaned(&store, 1);
        let record = store.records().complete(&last, &body(1, 100)).unwrap();
        turn(&store, next, oldest_segment(&store) + 3);
        drop(store);
        let store = rig.open();
        assert_eq!(cached(&store, 1), record);
        assert_eq!((store.status().leases, store.status().records), (0, 1));
    }
}

/// A release whose frame is trimmed before a checkpoint of the index: the files still have the key.
#[test]
fn a_key_that_only_the_files_of_the_index_know_is_free() {
    let rig = rig();
    let store = rig.open();
    let lease = acquired(&store, 1);
    let item = lease.fence().get();
    // As after a crash: the index has the key, and the log has nothing of it.
    store.inner.state.lock().records.forget_for_test(item);
    assert_eq!(store.records().get(&sales(), &key(1)).unwrap(), RecordState::Unknown);
    is_lost(store.records().complete(&lease, &body(1, 0)));
    let next = acquired(&store, 1);
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }));
    store.records().complete(&next, &body(1, 0)).unwrap();
    assert_eq!((cached(&store, 1).body, store.status().keys), (body(1, 0), 1));
}

/// T37, P5: from the completion on, and no longer than a slice more.
#[test]
fn a_record_is_forgotten_after_its_life_and_its_bytes_are_given_back() {
    let rig = rig();
    let store = rig.open();
    for n in 0..100 {
        store.records().complete(&acquired(&store, n), &body(n, 20_000)).unwrap();
    }
    // A lease that nobody ends holds up none of its neighbours.
    let held = acquired(&store, 1_000);
    let full = store.status().bytes;
    assert!(full > 7 * SEGMENT_BYTES, "control: {full}");
    let life_ms = 2 * WINDOW_MS;
    rig.clock.advance(life_ms - 1);
    store.tick().unwrap();
    assert_eq!((store.status().records, cached(&store, 7).body), (100, body(7, 20_000)));
    rig.clock.advance(1 + life_ms / 24 + 1);
    store.tick().unwrap();
    assert_eq!((store.status().records, store.status().keys), (0, 1));
    for n in 0..100 {
        assert_eq!(store.records().get(&sales(), &key(n)).unwrap(), RecordState::Unknown);
    }
    (0..20).for_each(|n| round(&store, n));
    assert!(store.status().bytes < full, "{:?} after {full}", store.status());
    let lease = acquired(&store, 7);
    drop(store);
    let store = rig.open();
    assert_eq!((store.status().leases, store.status().records), (2, 0));
    store.records().complete(&lease, &body(8, 10)).unwrap();
    store.records().complete(&held, &body(9, 10)).unwrap();
    assert_eq!(cached(&store, 7).body, body(8, 10));
}

/// T37: slices go while a lease is held; its key does not, and the life counts from the completion.
#[test]
fn a_lease_that_outlives_its_slice_keeps_its_key() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_record_life(Duration::from_mins(1));
    let mut store = rig.open();
    let lease = acquired(&store, 1);
    for hour in 0..5 {
        rig.clock.advance(3_600_000);
        store.capture(&event(hour)).unwrap();
        store.tick().unwrap();
        let fence = lease.fence();
        let state = store.records().get(&sales(), &key(1)).unwrap();
        assert_eq!(state, RecordState::OutcomeUnknown { fence }, "hour {hour}");
        if hour == 2 {
            drop(store);
            store = rig.open();
        }
    }
    store.records().complete(&lease, &body(1, 0)).unwrap();
    for store in [store, rig.after_kill().open()] {
        rig.clock.advance(59_999 / 2);
        store.tick().unwrap();
        assert_eq!(cached(&store, 1).body, body(1, 0));
    }
    let store = rig.after_kill().open();
    rig.clock.advance(65_000);
    store.tick().unwrap();
    assert_eq!(store.records().get(&sales(), &key(1)).unwrap(), RecordState::Unknown);
}

/// P5: a hub that gives many leases and keeps every record for its life only.
#[test]
fn the_log_is_bounded_by_what_is_remembered() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_record_life(Duration::from_mins(1));
    let store = rig.open();
    let mut most = 0;
    for n in 0..600 {
        store.records().complete(&acquired(&store, n), &body(n, 10_000)).unwrap();
        rig.clock.advance(1_000);
        store.tick().unwrap();
        most = most.max(store.status().bytes);
    }
    // About 65 records of 10 KB live at a time.
    assert!(most < 16 * SEGMENT_BYTES, "{most}");
    assert!((60..=66).contains(&store.status().records), "{:?}", store.status());
}

/// Another life holds from the next opening on, for the records that are there too.
#[test]
fn a_life_that_changes_between_openings_loses_no_record() {
    let mut rig = rig();
    let store = rig.open();
    store.records().complete(&acquired(&store, 1), &body(1, 0)).unwrap();
    let held = acquired(&store, 2);
    store.close().unwrap();
    rig.config = rig.config.with_record_life(Duration::from_mins(1));
    let store = rig.open();
    assert_eq!((cached(&store, 1).body, store.status().leases), (body(1, 0), 1));
    store.records().complete(&held, &body(2, 0)).unwrap();
    rig.clock.advance(65_000);
    store.tick().unwrap();
    assert_eq!(store.records().get(&sales(), &key(1)).unwrap(), RecordState::Unknown);
}
