//! The flow of a record: begin, complete, release, renew.

use std::time::Duration;

use crate::base::bounds::{LEASE_MS_DEFAULT, LEASE_MS_MAX, LEASE_MS_MIN};
use crate::records::{Lease, LeaseReply, LeaseRequest, OpenLease, Record, RecordState};
use crate::testing::{Rig, WALL_MS, event, key, sales};
use crate::{Error, ErrorKind, Lsn, Payload, Store, Verdict};

/// Begins record `n`, with a lease of the default length.
pub(crate) fn begin(store: &Store, n: u64) -> LeaseReply {
    store.records().begin(&asks(n)).unwrap()
}

pub(crate) fn asks(n: u64) -> LeaseRequest {
    LeaseRequest::new(sales(), key(n))
}

/// Begins record `n`, which must be free.
pub(crate) fn acquired(store: &Store, n: u64) -> Lease {
    match begin(store, n) {
        LeaseReply::Acquired(lease) => lease,
        other => panic!("record {n}: {other:?}"),
    }
}

/// Begins record `n`, of which nobody knows how it ended.
pub(crate) fn orphaned(store: &Store, n: u64) -> Lease {
    match begin(store, n) {
        LeaseReply::OutcomeUnknown(lease) => lease,
        other => panic!("record {n}: {other:?}"),
    }
}

/// Begins record `n`, which was completed.
pub(crate) fn cached(store: &Store, n: u64) -> Record {
    match begin(store, n) {
        LeaseReply::Cached(record) => record,
        other => panic!("record {n}: {other:?}"),
    }
}

/// The body of record `n`, of at least `bytes` bytes.
pub(crate) fn body(n: u64, bytes: usize) -> Payload {
    Payload::json(&format!(r#"{{"n":{n},"x":"{}"}}"#, "x".repeat(bytes))).unwrap()
}

pub(crate) fn is_lost<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Fenced, "LEASE_LOST"), "{error}");
}

fn look(store: &Store, n: u64) -> RecordState {
    store.records().get(&sales(), &key(n)).unwrap()
}

#[test]
fn work_is_begun_once_and_what_came_of_it_is_told_from_then_on() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(look(&store, 1), RecordState::Unknown);
    let lease = acquired(&store, 1);
    assert_eq!((lease.scope(), lease.key()), (&sales(), &key(1)));
    assert_eq!(lease.expires_at_ms(), WALL_MS + i64::try_from(LEASE_MS_DEFAULT).unwrap());
    assert_eq!(begin(&store, 1), LeaseReply::InProgress { retry_after_ms: 1_500 });
    let fence = lease.fence();
    assert_eq!(look(&store, 1), RecordState::InProgress { fence, retry_after_ms: 1_500 });
    assert_eq!((store.status().leases, store.status().records), (1, 0));
    rig.clock.advance(700);
    let record = store.records().complete(&lease, &body(1, 0)).unwrap();
    assert_eq!((&record.body, record.completed_at_ms), (&body(1, 0), WALL_MS + 700));
    assert_eq!(record.fence, fence);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(cached(&store, 1), record);
        assert_eq!(look(&store, 1), RecordState::Completed(record.clone()));
        let status = store.status();
        assert_eq!((status.leases, status.records, status.keys, status.settled), (0, 1, 1, 0));
    }
}

#[test]
fn a_record_and_an_event_share_a_key_and_other_scopes_are_other_records() {
    let store = Rig::new().open();
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Fresh { .. }));
    let lease = acquired(&store, 1);
    let other = LeaseRequest::new(crate::Scope::new("payouts").unwrap(), key(1));
    assert!(matches!(store.records().begin(&other).unwrap(), LeaseReply::Acquired(_)));
    store.records().complete(&lease, &body(1, 0)).unwrap();
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
    assert_eq!(cached(&store, 1).body, body(1, 0));
    assert_eq!(store.status().pending, 1);
}

#[test]
fn begin_and_complete_are_two_appends_and_a_cached_answer_none() {
    let rig = Rig::new();
    let store = rig.open();
    let lease = acquired(&store, 1);
    store.records().complete(&lease, &body(1, 10)).unwrap();
    let (ops, changes) = (rig.disk.op_count(), rig.disk.changing_ops().len());
    let lease = acquired(&store, 2);
    let record = store.records().complete(&lease, &body(2, 10)).unwrap();
    // A write and a sync each.
    assert_eq!((rig.disk.op_count() - ops, rig.disk.changing_ops().len() - changes), (4, 4));
    let held = acquired(&store, 3);
    assert_eq!(held.fence().get(), lease.fence().get() + 2, "one frame each");
    let ops = rig.disk.op_count();
    assert_eq!(cached(&store, 2), record);
    assert_eq!(begin(&store, 3), LeaseReply::InProgress { retry_after_ms: 1_500 });
    store.records().renew(&held, Duration::from_mins(1)).unwrap();
    assert_eq!(look(&store, 2), RecordState::Completed(record));
    assert_eq!(rig.disk.op_count(), ops, "none of these reaches the disk");
}

#[test]
fn bodies_beyond_the_cache_are_read_from_the_log() {
    let mut rig = Rig::new();
    rig.config = rig.config.with_record_cache_bytes_max(4_000);
    let store = rig.open();
    for n in 0..10 {
        store.records().complete(&acquired(&store, n), &body(n, 1_000)).unwrap();
    }
    let ops = rig.disk.op_count();
    assert_eq!(cached(&store, 9).body, body(9, 1_000));
    assert_eq!(rig.disk.op_count(), ops, "control: the last one is in memory");
    assert_eq!(cached(&store, 0).body, body(0, 1_000));
    assert!(rig.disk.op_count() > ops);
    let ops = rig.disk.op_count();
    assert_eq!(cached(&store, 0).body, body(0, 1_000));
    assert_eq!(rig.disk.op_count(), ops, "now it was used lately");
}

/// Only where both sides gave a request, also while it is in progress.
#[test]
fn another_request_under_the_key_is_a_conflict() {
    let rig = Rig::new();
    let store = rig.open();
    let with = |n, request: &str| asks(n).with_request(request.as_bytes().to_vec());
    let LeaseReply::Acquired(lease) = store.records().begin(&with(1, "a")).unwrap() else {
        panic!("taken")
    };
    acquired(&store, 2);
    let conflict = LeaseReply::Conflict { fence: lease.fence() };
    assert_eq!(store.records().begin(&with(1, "b")).unwrap(), conflict);
    assert_eq!(
        store.records().begin(&with(1, "a")).unwrap(),
        LeaseReply::InProgress { retry_after_ms: 1_500 }
    );
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }), "it gave none");
    assert!(
        matches!(store.records().begin(&with(2, "b")).unwrap(), LeaseReply::InProgress { .. }),
        "no first one"
    );
    // Not even of a lease that nobody holds does another request learn anything.
    rig.clock.advance(LEASE_MS_DEFAULT);
    assert_eq!(store.records().begin(&with(1, "b")).unwrap(), conflict);
    let LeaseReply::OutcomeUnknown(lease) = store.records().begin(&with(1, "a")).unwrap() else {
        panic!("held")
    };
    store.records().complete(&lease, &body(1, 0)).unwrap();
    let conflict = LeaseReply::Conflict { fence: lease.fence() };
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.records().begin(&with(1, "b")).unwrap(), conflict);
        assert!(matches!(store.records().begin(&with(1, "a")).unwrap(), LeaseReply::Cached(_)));
        assert!(matches!(begin(&store, 1), LeaseReply::Cached(_)));
    }
}

/// T34: the holder outlives its lease, and the next one has it.
#[test]
fn a_late_holder_can_do_nothing_and_the_next_one_is_not_disturbed() {
    let rig = Rig::new();
    let store = rig.open();
    let first = acquired(&store, 1);
    rig.clock.advance(LEASE_MS_DEFAULT);
    let second = orphaned(&store, 1);
    assert!(second.fence() > first.fence());
    for _ in 0..2 {
        is_lost(store.records().complete(&first, &body(1, 0)));
        is_lost(store.records().release(&first));
        is_lost(store.records().renew(&first, Duration::from_mins(1)));
        assert!(
            matches!(begin(&store, 1), LeaseReply::InProgress { .. }),
            "the second one's is intact"
        );
    }
    // The fencing number alone opens nothing.
    let forged = Lease { fence: second.fence(), ..first.clone() };
    is_lost(store.records().complete(&forged, &body(1, 0)));
    let record = store.records().complete(&second, &body(2, 0)).unwrap();
    assert_eq!(record.fence, second.fence());
    is_lost(store.records().complete(&first, &body(1, 0)));
    for store in [store, rig.after_kill().open()] {
        assert_eq!(cached(&store, 1), record);
        is_lost(store.records().complete(&first, &body(2, 0)));
    }
}

/// T35: a crash between begin and complete.
#[test]
fn a_lease_of_an_earlier_opening_is_told_as_unknown_at_once() {
    let rig = Rig::new();
    let store = rig.open();
    let first = acquired(&store, 1);
    drop(store);
    for rig in [rig.after_kill(), rig] {
        let store = rig.open();
        assert_eq!(look(&store, 1), RecordState::OutcomeUnknown { fence: first.fence() });
        let second = orphaned(&store, 1);
        assert!(second.fence() > first.fence());
        is_lost(store.records().complete(&first, &body(1, 0)));
        assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }));
        store.records().complete(&second, &body(1, 0)).unwrap();
        assert_eq!(cached(&store, 1).fence, second.fence());
    }
}

/// A worker that outlives the process with the store finishes its work, if nobody came before.
#[test]
fn a_lease_that_nobody_took_over_can_be_renewed_and_completed_after_its_end() {
    let rig = Rig::new();
    let store = rig.open();
    let leases = [acquired(&store, 1), acquired(&store, 2), acquired(&store, 3)];
    rig.clock.advance(LEASE_MS_DEFAULT + 1);
    let renewed = store.records().renew(&leases[0], Duration::from_mins(1)).unwrap();
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }));
    rig.clock.advance(59_999);
    assert_eq!(begin(&store, 1), LeaseReply::InProgress { retry_after_ms: 1 });
    store.records().complete(&leases[1], &body(2, 0)).unwrap();
    drop(store);
    let store = rig.open();
    let carried = Lease::from_bytes(&renewed.to_bytes()).unwrap();
    let again = store.records().renew(&carried, Duration::from_secs(5)).unwrap();
    assert!(matches!(begin(&store, 1), LeaseReply::InProgress { .. }), "its holder is there");
    assert!(again.expires_at_ms() > carried.expires_at_ms());
    store.records().complete(&again, &body(1, 0)).unwrap();
    store.records().complete(&leases[2], &body(3, 0)).unwrap();
    assert_eq!([1, 2, 3].map(|n| cached(&store, n).body), [1, 2, 3].map(|n| body(n, 0)));
}

/// T38: work that failed gives its key back, and the same key succeeds later.
#[test]
fn a_released_key_is_free_at_once() {
    let rig = Rig::new();
    let store = rig.open();
    let first = acquired(&store, 1);
    store.records().release(&first).unwrap();
    assert_eq!(look(&store, 1), RecordState::Unknown);
    assert_eq!((store.status().leases, store.status().keys), (0, 0));
    is_lost(store.records().release(&first));
    is_lost(store.records().renew(&first, Duration::from_mins(1)));
    drop(store);
    let store = rig.open();
    assert_eq!((store.status().leases, store.status().keys), (0, 0));
    is_lost(store.records().complete(&first, &body(1, 0)));
    let second = acquired(&store, 1);
    assert!(second.fence() > first.fence());
    is_lost(store.records().complete(&first, &body(1, 0)));
    store.records().complete(&second, &body(1, 0)).unwrap();
    is_lost(store.records().release(&second));
    for store in [store, rig.after_kill().open()] {
        assert_eq!(cached(&store, 1).fence, second.fence());
    }
}

#[test]
fn completing_twice_with_one_lease_gives_the_same_record_or_is_refused() {
    let rig = Rig::new();
    let store = rig.open();
    let lease = acquired(&store, 1);
    let record = store.records().complete(&lease, &body(1, 0)).unwrap();
    rig.clock.advance(5_000);
    for store in [store, rig.after_kill().open()] {
        let ops = rig.disk.changing_ops().len();
        assert_eq!(store.records().complete(&lease, &body(1, 0)).unwrap(), record);
        let error = store.records().complete(&lease, &body(2, 0)).unwrap_err();
        let expected = (ErrorKind::Invalid, "COMPLETED_OTHERWISE");
        assert_eq!((error.kind(), error.code()), expected, "{error}");
        assert_eq!(cached(&store, 1), record);
        assert_eq!(rig.disk.changing_ops().len(), ops, "nothing is written");
    }
}

/// T36, T37: the end of a lease is exact, and the wall clock has no say in it.
#[test]
fn a_lease_ends_after_its_length_whatever_the_wall_clock_says() {
    const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 3_600_000;
    for lease_ms in [LEASE_MS_MIN, 10_000, LEASE_MS_MAX] {
        let rig = Rig::new();
        let store = rig.open();
        let ask = asks(1).with_lease(Duration::from_millis(lease_ms));
        let LeaseReply::Acquired(first) = store.records().begin(&ask).unwrap() else {
            panic!("taken")
        };
        rig.clock.advance(lease_ms - 1);
        rig.clock.step_wall(TEN_YEARS_MS);
        assert_eq!(
            store.records().begin(&ask).unwrap(),
            LeaseReply::InProgress { retry_after_ms: 1 }
        );
        rig.clock.step_wall(-2 * TEN_YEARS_MS);
        assert_eq!(
            store.records().begin(&ask).unwrap(),
            LeaseReply::InProgress { retry_after_ms: 1 }
        );
        rig.clock.advance(1);
        let LeaseReply::OutcomeUnknown(second) = store.records().begin(&ask).unwrap() else {
            panic!("held")
        };
        assert!(second.fence() > first.fence());
        assert!(matches!(store.records().begin(&ask).unwrap(), LeaseReply::InProgress { .. }));
    }
}

/// T36: seconds for milliseconds, none, and more than a day.
#[test]
fn lengths_that_nobody_can_mean_are_refused() {
    let store = Rig::new().open();
    let lease = acquired(&store, 1);
    for lease_ms in [0, 1, 30, LEASE_MS_MIN - 1, LEASE_MS_MAX + 1, u64::MAX] {
        for result in [
            store.records().begin(&asks(2).with_lease(Duration::from_millis(lease_ms))).map(drop),
            store.records().renew(&lease, Duration::from_millis(lease_ms)).map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "LEASE_LENGTH"));
            assert!(error.to_string().contains("ms, must be 1000 to 86400000"), "{error}");
        }
    }
    assert_eq!((look(&store, 2), store.status().leases), (RecordState::Unknown, 1));
    assert!(
        store.records().begin(&asks(2).with_lease(Duration::from_millis(LEASE_MS_MAX))).is_ok(),
        "control"
    );
}

#[test]
fn open_leases_are_listed_for_a_person_without_their_tokens() {
    let rig = Rig::new();
    let store = rig.open();
    let leases: Vec<Lease> = (0..5).map(|n| acquired(&store, n)).collect();
    store.records().complete(&leases[1], &body(1, 0)).unwrap();
    store.records().release(&leases[2]).unwrap();
    rig.clock.advance(LEASE_MS_DEFAULT);
    let taken_over = orphaned(&store, 3);
    let open = store.records().leases(None, 9).unwrap();
    let told = |open: &[OpenLease]| -> Vec<(String, Lsn, bool)> {
        open.iter().map(|open| (open.key.to_string(), open.fence, open.is_held)).collect()
    };
    let expected = |is_held| {
        let named = |n: u64, lease: &Lease, is_held| (format!("k{n}"), lease.fence(), is_held);
        vec![
            named(0, &leases[0], false),
            named(3, &taken_over, is_held),
            named(4, &leases[4], false),
        ]
    };
    assert_eq!(told(&open), expected(true));
    assert_eq!((open[0].since_ms, open[0].item), (WALL_MS, leases[0].fence()));
    assert_eq!(store.records().leases(Some(open[0].item), 1).unwrap(), open[1..2]);
    assert!(store.records().leases(None, 0).unwrap().is_empty());
    drop(store);
    assert_eq!(told(&rig.open().records().leases(None, 9).unwrap()), expected(false));
}

#[test]
fn fencing_numbers_rise_with_every_lease_of_a_key() {
    let rig = Rig::new();
    let mut fences: Vec<Lsn> = Vec::new();
    let mut store = rig.open();
    for round in 0..4 {
        let lease = match begin(&store, 1) {
            LeaseReply::Acquired(lease) | LeaseReply::OutcomeUnknown(lease) => lease,
            other => panic!("{other:?}"),
        };
        fences.push(lease.fence());
        match round % 2 {
            0 => store.records().release(&lease).unwrap(),
            _ => {
                drop(store);
                store = rig.open();
            }
        }
    }
    assert!(fences.is_sorted_by(|one, two| one < two), "{fences:?}");
}
