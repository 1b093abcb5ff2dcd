//! How long keys are remembered: by trusted time, never shorter than the window.

use std::time::Duration;

use super::lost_keys::{assert_lost, capture, closed, damage};
use crate::config::WindowStart;
use crate::testing::{Rig, WINDOW_MS, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, Scope, Store, Verdict};

/// Length of a slice: a key is gone at the latest so long after its window.
const SLICE_MS: u64 = WINDOW_MS / 24;
/// Ten years.
const DECADE_MS: i64 = 10 * 365 * 86_400_000;

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: None };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

/// Whether event `n` is remembered, after forgetting what is due.
fn remembers(store: &Store, n: u64) -> bool {
    store.tick().unwrap();
    store.outcome(&sales(), &key(n)).unwrap().lsn.is_some()
}

/// T37.
#[test]
fn a_key_is_remembered_for_its_window_after_the_settlement_and_gone_one_slice_later() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    rig.clock.advance(WINDOW_MS / 2);
    settle(&store, 1);
    rig.clock.advance(WINDOW_MS - 1);
    assert!(remembers(&store, 1));
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
    rig.clock.advance(SLICE_MS + 1);
    assert!(!remembers(&store, 1));
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Fresh { .. }));
    drop(store);
    let store = rig.open();
    assert!(matches!(store.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
    assert_eq!(store.status().pending, 1);
}

#[test]
fn an_unsettled_key_is_remembered_however_long_the_outage_and_then_for_a_window() {
    let rig = Rig::new();
    let store = rig.open();
    let many: Vec<Event> = (1..=1_000).map(event).collect();
    // Fewer than are carried, and in another slice more than are carried.
    store.capture_batch(&many[..5]).unwrap();
    rig.clock.advance(SLICE_MS);
    store.capture_batch(&many[5..]).unwrap();
    store.capture_batch(&(2_001..=2_500).map(event).collect::<Vec<_>>()).unwrap();
    for _ in 0..40 {
        rig.clock.advance(10 * 86_400_000);
        for n in [1, 5, 6, 1_000, 2_500] {
            assert!(remembers(&store, n), "{n}");
        }
    }
    settle(&store, 1);
    rig.clock.advance(WINDOW_MS - 1);
    assert!(remembers(&store, 1), "the window starts with the settlement");
    rig.clock.advance(SLICE_MS + 1);
    assert!(remembers(&store, 2));
    drop(store);
    let store = rig.open();
    assert!(remembers(&store, 2) && remembers(&store, 2_500));
    assert_eq!(store.status().pending, 1_499);
}

/// T31, T37.
#[test]
fn a_wall_clock_that_jumps_forgets_nothing_and_keeps_nothing_for_ever() {
    let rig = Rig::new();
    let mut store = rig.open();
    store.capture(&event(1)).unwrap();
    settle(&store, 1);
    for jump in [DECADE_MS, -2 * DECADE_MS, DECADE_MS] {
        rig.clock.step_wall(jump);
        assert!(remembers(&store, 1), "{jump}");
        drop(store);
        store = rig.open();
        assert!(remembers(&store, 1), "{jump}, reopened");
        store.capture(&event(100)).unwrap();
    }
    rig.clock.advance(WINDOW_MS + SLICE_MS);
    assert!(!remembers(&store, 1));
}

/// A machine without a number of its starts measures nothing while the store is closed.
#[test]
fn closed_time_that_nobody_measured_does_not_count_and_is_told() {
    let rig = Rig::new();
    let store = rig.open();
    assert_eq!(store.recovery().unmeasured, None, "a new store");
    store.capture(&event(1)).unwrap();
    settle(&store, 1);
    store.close().unwrap();
    rig.clock.advance(WINDOW_MS + SLICE_MS);
    let by_wall_clock_ms = Some(i64::try_from(WINDOW_MS + SLICE_MS).unwrap());
    assert_eq!(rig.look().recovery().unmeasured.unwrap().by_wall_clock_ms, by_wall_clock_ms);
    let store = rig.open();
    assert_eq!(store.recovery().unmeasured.unwrap().by_wall_clock_ms, by_wall_clock_ms);
    assert!(remembers(&store, 1));
    drop(store);
    rig.clock.step_wall(-DECADE_MS);
    let store = rig.open();
    assert!(store.recovery().unmeasured.unwrap().by_wall_clock_ms.unwrap() < 0, "it was set back");
    assert!(remembers(&store, 1));
}

#[test]
fn another_window_at_the_next_opening_forgets_no_unsettled_key() {
    let mut rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&(1..=10).map(event).collect::<Vec<_>>()).unwrap();
    rig.clock.advance(SLICE_MS + 17);
    settle(&store, 1);
    drop(store);
    for window_ms in [60_000, 400 * 86_400_000, 61_003, WINDOW_MS] {
        rig.config = rig.config.with_window(Duration::from_millis(window_ms));
        let store = rig.open();
        rig.clock.advance(window_ms - 1);
        let n = 20 + window_ms;
        store.capture(&event(n)).unwrap();
        settle(&store, n);
        (2..=10).for_each(|n| assert!(remembers(&store, n), "{window_ms}: {n}"));
        assert!(remembers(&store, n));
        assert_eq!(store.status().pending, 9);
        rig.clock.advance(window_ms - 1);
        assert!(remembers(&store, n), "{window_ms}");
    }
}

/// An event of scope `gates`.
fn ticket(n: u64) -> Event {
    Event { scope: Scope::new("gates").unwrap(), ..event(n) }
}

fn settle_ticket(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: None };
    store.settle(&[Settlement { scope: ticket(n).scope, key: key(n), answer }]).unwrap();
}

fn is_fresh(store: &Store, event: &Event) -> bool {
    matches!(store.capture(event).unwrap(), Verdict::Fresh { .. })
}

#[test]
fn each_scope_has_its_own_window_also_after_cleaning_and_a_restart() {
    let mut rig = Rig::new();
    let gates = Scope::new("gates").unwrap();
    rig.config = rig.config.with_scope_window(
        gates.clone(),
        Duration::from_mins(2),
        WindowStart::FromSettle,
    );
    let store = rig.open();
    for n in 1..=8 {
        store.capture_batch(&[sized_event(n, 50_000), ticket(n)]).unwrap();
        settle(&store, n);
        settle_ticket(&store, n);
    }
    // Enough that the segments of the first ones are trimmed and their keys carried.
    for n in 100..=130 {
        store.capture(&sized_event(n, 50_000)).unwrap();
        settle(&store, n);
    }
    assert!(store.inner.log.segments()[0].number > 3, "control: keys were carried");
    rig.clock.advance(119_999);
    assert!(!is_fresh(&store, &ticket(1)) && !is_fresh(&store, &ticket(8)));
    drop(store);
    let store = rig.open();
    assert!(!is_fresh(&store, &ticket(1)), "time goes on from the last frame");
    rig.clock.advance(120_000 + 2 * 5_000);
    store.tick().unwrap();
    assert!(is_fresh(&store, &ticket(1)) && is_fresh(&store, &ticket(8)));
    assert!((1..=8).all(|n| remembers(&store, n)), "the others have an hour");
    assert_eq!(store.outcome(&gates, &key(2)).unwrap().lsn, None);
}

#[test]
fn a_window_from_the_capture_does_not_wait_for_the_settlement_but_for_an_unsettled_event() {
    let mut rig = Rig::new();
    let gates = Scope::new("gates").unwrap();
    rig.config =
        rig.config.with_scope_window(gates, Duration::from_mins(2), WindowStart::FromCapture);
    let store = rig.open();
    store.capture_batch(&[ticket(1), ticket(2)]).unwrap();
    rig.clock.advance(115_000);
    settle_ticket(&store, 1);
    rig.clock.advance(3 * 5_000);
    store.tick().unwrap();
    assert!(!is_fresh(&store, &ticket(2)), "it is not settled");
    assert!(is_fresh(&store, &ticket(1)), "captured longer ago than the window");
    rig.clock.advance(10 * 120_000);
    store.tick().unwrap();
    assert!(!is_fresh(&store, &ticket(2)));
}

/// Also a key that only the index knows.
#[test]
fn lost_keys_are_remembered_for_a_window_and_no_longer() {
    let (rig, lsns) = closed();
    damage(&rig, lsns[2]);
    let store = rig.open();
    rig.clock.advance(WINDOW_MS - 1);
    assert_lost(&store, 2, lsns[2]);
    rig.clock.advance(WINDOW_MS / 2);
    capture(&store, 2);
}
