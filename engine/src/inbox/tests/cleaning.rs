//! Segments go, and of the inbox nothing goes with them that is needed; a full disk refuses cleanly.

use std::time::Duration;

use onceward_vfs::{Fault, FaultKind, FaultOp};

use crate::inbox::{
    Delivery, DeliveryState, DropReason, InboxStatus, Received, WindowId, WindowKey,
};
use crate::testing::{Rig, SEGMENT_BYTES, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Config, ErrorKind, Event, Lsn, Payload, Scope, Store};

const HOUR_MS: u64 = 3_600_000;

/// Captures and settles events until a few segments went.
fn churn(store: &Store, first: u64) {
    let before = oldest(store);
    for round in (first..).step_by(4) {
        let events: Vec<Event> = (round..round + 4).map(|n| sized_event(n, 50_000)).collect();
        store.capture_batch(&events).unwrap();
        let answer = |n| Answer::Accepted { receipt: Some(receipt(n)) };
        let settle = |n| Settlement { scope: sales(), key: key(n), answer: answer(n) };
        store.settle(&(round..round + 4).map(settle).collect::<Vec<_>>()).unwrap();
        if oldest(store) > before + 3 {
            return;
        }
        assert!(round < first + 400, "nothing is cleaned");
    }
}

fn oldest(store: &Store) -> u64 {
    store.inner.log.segments()[0].number
}

fn window() -> WindowId {
    WindowId::new("w").unwrap()
}

/// Delivery number `n`, by all its names.
fn delivery(n: u64) -> Delivery {
    let payload = Payload::json(&format!(r#"{{"n":{n}}}"#)).unwrap();
    let delivery = Delivery::new(&format!("e{n}"), payload).unwrap().with_steps(5).unwrap();
    let within = WindowKey::new("user", &format!("d{n}"), window()).unwrap();
    delivery.with_external_id(&format!("x{n}")).unwrap().with_window(within)
}

/// As [`delivery`], known by one of its names only.
fn by_each_name(n: u64) -> [Delivery; 3] {
    let payload = || Payload::bytes(vec![1]);
    let within = WindowKey::new("user", &format!("d{n}"), window()).unwrap();
    let external = Delivery::new(&format!("other{n}"), payload()).unwrap();
    [
        Delivery::new(&format!("e{n}"), payload()).unwrap(),
        external.with_external_id(&format!("x{n}")).unwrap(),
        Delivery::of_window(within, payload()),
    ]
}

fn fresh(store: &Store, n: u64) -> Lsn {
    match store.inbox().receive(&delivery(n)).unwrap() {
        Received::Fresh { lsn } => lsn,
        other => panic!("{n}: {other:?}"),
    }
}

fn assert_known(store: &Store, n: u64, lsn: Lsn, state: DeliveryState) {
    for delivery in by_each_name(n) {
        let told = store.inbox().receive(&delivery).unwrap();
        assert_eq!(told, Received::Duplicate { lsn, state }, "{delivery:?}");
    }
}

/// Without what is counted since the opening.
fn stored(status: InboxStatus) -> InboxStatus {
    InboxStatus { duplicates: 0, refused_window_not_open: 0, refused_full: 0, ..status }
}

/// T57 and T58 after the segments went in which everything was told.
#[test]
fn deliveries_steps_ends_and_windows_outlive_their_segments() {
    let rig = Rig::new();
    let mut store = rig.open();
    store.inbox().open_window(&window(), Duration::from_millis(9 * HOUR_MS)).unwrap();
    let gone = WindowId::new("gone").unwrap();
    store.inbox().open_window(&gone, Duration::from_millis(HOUR_MS)).unwrap();
    let within = WindowKey::new("user", "late", gone.clone()).unwrap();
    store.inbox().receive(&Delivery::of_window(within, Payload::bytes(vec![1]))).unwrap();
    assert_eq!(store.inbox().close_window(&gone).unwrap().len(), 1);
    let open = fresh(&store, 1);
    store.inbox().progress(open, 2).unwrap();
    let (acked, failed) = (fresh(&store, 2), fresh(&store, 3));
    let answer = store.inbox().ack(acked).unwrap();
    let first = oldest(&store);
    for round in 0..4 {
        churn(&store, round * 1_000);
        if round == 1 {
            store.inbox().fail(failed, "no").unwrap();
            store.inbox().progress(open, 3).unwrap();
        }
        let before = store.inbox().status();
        if round % 2 == 0 {
            drop(store);
            store = rig.open();
        }
        assert_eq!(stored(store.inbox().status()), stored(before), "round {round}");
        assert_eq!(store.inbox().status().dropped, 1);
        assert_known(&store, 1, open, DeliveryState::Open);
        assert_known(&store, 2, acked, DeliveryState::Acked);
        let end = if round == 0 { DeliveryState::Open } else { DeliveryState::Failed };
        assert_known(&store, 3, failed, end);
        assert_eq!(store.inbox().resume(open).unwrap(), Some(if round == 0 { 3 } else { 4 }));
        assert_eq!(store.inbox().ack(acked).unwrap(), answer);
        let found = store.inbox().list(None, 9).unwrap();
        assert_eq!((found[0].lsn, found[0].delivery.clone()), (open, delivery(1)));
        assert_eq!(found[0].received_at_ms, Some(crate::testing::WALL_MS));
        fresh(&store, 100 + round);
        drop(store);
        store = rig.open();
    }
    assert!(oldest(&store) > first + 12, "{} from {first}", oldest(&store));
    assert_eq!(store.inbox().get(acked).unwrap(), None, "only its keys are left");
    assert!(store.inbox().get(failed).unwrap().is_none());
    // The window is over at its own time, whatever was carried.
    rig.clock.advance(9 * HOUR_MS);
    store.tick().unwrap();
    assert_eq!(store.inbox().status().open, 0);
    assert_eq!(store.inbox().status().dropped, 6);
    let late = store.inbox().receive(&by_each_name(9)[2]).unwrap();
    assert_eq!(late, Received::Dropped { why: DropReason::WindowNotOpen });
}

#[test]
fn what_was_finished_and_is_forgotten_is_not_carried() {
    let rig = Rig::new();
    let config = rig.config.clone().with_inbox_window(Duration::from_mins(1));
    let rig = Rig { config, ..rig };
    let store = rig.open();
    for n in 0..20 {
        let plain = Delivery::new(&format!("e{n}"), Payload::bytes(vec![1])).unwrap();
        let Received::Fresh { lsn } = store.inbox().receive(&plain).unwrap() else { panic!("{n}") };
        store.inbox().ack(lsn).unwrap();
    }
    assert_eq!(store.inbox().status().finished, 20);
    rig.clock.advance(HOUR_MS);
    churn(&store, 0);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(store.inbox().status().finished, 0);
        let again = Delivery::new("e1", Payload::bytes(vec![1])).unwrap();
        assert!(matches!(store.inbox().receive(&again).unwrap(), Received::Fresh { .. }));
    }
}

/// T26 for the inbox: what was refused left nothing behind.
#[test]
fn a_write_that_found_no_room_leaves_nothing_of_a_delivery_or_its_end() {
    let rig = Rig::new();
    let store = rig.open();
    store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS)).unwrap();
    let open = fresh(&store, 1);
    let before = (store.inbox().status(), store.status().keys, store.status().pending);
    let fail_next = || {
        let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
        rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    };
    let full = |error: crate::Error| {
        assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    };
    for _ in 0..3 {
        fail_next();
        full(store.inbox().receive(&delivery(2)).unwrap_err());
        fail_next();
        full(store.inbox().progress(open, 1).unwrap_err());
        fail_next();
        full(store.inbox().ack(open).unwrap_err());
        fail_next();
        full(store.inbox().close_window(&window()).unwrap_err());
        fail_next();
        full(
            store
                .inbox()
                .open_window(&WindowId::new("other").unwrap(), Duration::from_millis(5))
                .unwrap_err(),
        );
        // Something else is synced, so that the failed numbers are below the synced one.
        store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS - 1)).unwrap();
        store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS)).unwrap();
        let now = (store.inbox().status(), store.status().keys, store.status().pending);
        assert_eq!(now, before);
        assert_eq!(store.inbox().resume(open).unwrap(), Some(1));
    }
    fresh(&store, 2);
    store.inbox().ack(open).unwrap();
    drop(store);
    let store = rig.open();
    assert_eq!((store.inbox().status().open, store.inbox().status().finished), (1, 1));
    assert_known(&store, 1, open, DeliveryState::Acked);
}

#[test]
fn a_full_disk_refuses_deliveries_and_the_end_of_a_window_makes_room() {
    let rig = Rig::new();
    let config: Config = rig.config.clone().with_inbox_bytes_max(u64::MAX);
    let rig = Rig { config, ..rig };
    let store = rig.open();
    store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS)).unwrap();
    rig.disk.set_free_bytes(Some(6 * SEGMENT_BYTES));
    let big = |n: u64| {
        let within = WindowKey::new("user", &format!("d{n}"), window()).unwrap();
        Delivery::of_window(within, Payload::bytes(vec![7; 20_000]))
    };
    let fill = |first: u64| {
        for n in first.. {
            match store.inbox().receive(&big(n)) {
                Ok(Received::Fresh { .. }) => {}
                Ok(other) => panic!("{n}: {other:?}"),
                Err(error) => {
                    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false));
                    return n - first;
                }
            }
        }
        0
    };
    let stored = fill(0);
    assert!(stored > 40, "{stored}");
    let told = store.inbox().receive(&big(0)).unwrap();
    assert!(matches!(told, Received::Duplicate { .. }), "duplicates need no room");
    rig.clock.advance(HOUR_MS);
    store.tick().unwrap();
    assert_eq!((store.inbox().status().dropped, store.inbox().status().open), (stored, 0));
    store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS)).unwrap();
    let again = fill(stored);
    assert!(again * 2 >= stored, "{again} after {stored}");
    assert_eq!(rig.after_kill().open().inbox().status().open, again);
}

/// The scope of the answers is one like any other: they settle and go.
#[test]
fn answers_that_the_upstream_took_do_not_stay() {
    let rig = Rig::new();
    let store = rig.open();
    store.inbox().open_window(&window(), Duration::from_millis(HOUR_MS)).unwrap();
    let lsn = fresh(&store, 1);
    store.inbox().ack(lsn).unwrap();
    let scope = Scope::new("inbox").unwrap();
    let key = crate::Key::new("ack:e1").unwrap();
    let answer = Answer::Accepted { receipt: None };
    store.settle(&[Settlement { scope, key, answer }]).unwrap();
    churn(&store, 0);
    drop(store);
    let store = rig.open();
    assert_eq!((store.status().pending, store.inbox().status().finished), (0, 1));
    assert_known(&store, 1, lsn, DeliveryState::Acked);
}
