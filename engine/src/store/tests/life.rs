//! A simulated month: what cleaning writes, what it leaves standing, and how often it moves a thing.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::Duration;

use onceward_vfs::{SimVfs, Survival};

use crate::base::FrameKind;
use crate::event::layout::Carried;
use crate::testing::{Rig, SEGMENT_BYTES, key, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, Store};

const DAY_MS: u64 = 86_400_000;

/// Captures events and settles them, so many bytes each.
fn round(store: &Store, first: u64, count: u64, bytes: usize) {
    let events: Vec<Event> = (first..first + count).map(|n| sized_event(n, bytes)).collect();
    store.capture_batch(&events).unwrap();
    let accepted = |n| {
        let answer = Answer::Accepted { receipt: Some(receipt(n)) };
        Settlement { scope: sales(), key: key(n), answer }
    };
    store.settle(&(first..first + count).map(accepted).collect::<Vec<_>>()).unwrap();
}

/// The slack of an ordinary store.
fn ordinary(window_days: u64) -> Rig {
    let mut rig = Rig::new();
    rig.config = rig.config.with_window(Duration::from_millis(window_days * DAY_MS));
    rig.config.cleaning_slack_segments = 4;
    rig
}

/// The places of a carried event in a log.
fn carried(disk: &SimVfs, lsn: u64) -> Vec<u64> {
    let mut found = Vec::new();
    onceward_wal::examine(disk, &mut |frame| {
        if frame.kind == FrameKind::Carried.code()
            && Carried::decode(frame.lsn.get(), frame.body).unwrap().0.event_lsn == lsn
        {
            found.push(frame.lsn.get());
        }
    })
    .unwrap();
    found
}

/// T16, T22.
#[test]
fn an_event_that_waits_for_a_month_is_carried_a_few_times_and_pins_nothing() {
    let rig = ordinary(1);
    let store = rig.open();
    let lsn = store.capture(&sized_event(0, 1_000)).unwrap().lsn();
    let (mut moves, mut at, mut most) = (0, None, 0);
    for hour in 0..30 * 24 {
        round(&store, 1_000 + hour * 100, 40, 2_000);
        rig.clock.advance(3_600_000);
        let now = store.inner.state.lock().outbox.events().live(lsn.get()).unwrap().at.lsn;
        moves += u64::from(at.is_some_and(|at| at != now));
        at = Some(now);
        most = most.max(store.status().bytes);
    }
    println!("a month: carried {moves} times, at most {} segments", most / SEGMENT_BYTES);
    assert!((1..=16).contains(&moves), "{moves}");
    // 24 hours of keys are 82 KB; the slack is four segments, and three are prepared.
    assert!(most <= 12 * SEGMENT_BYTES, "{} segments", most / SEGMENT_BYTES);
    assert!(carried(&rig.disk, lsn.get()).len() <= 1);
    let store = rig.after_power_cut(&Survival::Nothing).open();
    assert_eq!(store.pending(&sales(), None, 9).unwrap()[0].lsn, lsn);
}

/// What cleaning writes for each byte captured and settled, at 400 events a day.
#[test]
fn cleaning_writes_at_most_a_third_more_whatever_the_window() {
    println!("window  payload  written MB  carried for each byte  most segments");
    for (window_days, days) in [(1, 21), (7, 28), (30, 60)] {
        // Keys are nearly a quarter of the first, which is the worst; the second is ordinary.
        for bytes in [260, 2_000] {
            let rig = ordinary(window_days);
            let store = rig.open();
            let (mut written, mut carried, mut most) = (0, 0, 0);
            for half_day in 0..days * 2 {
                let before = store.inner.cleaner().carried_bytes();
                for part in 0..4 {
                    round(&store, half_day * 10_000 + part * 100, 50, bytes);
                }
                rig.clock.advance(DAY_MS / 2);
                most = most.max(store.status().bytes);
                // The first window fills the store, what follows goes on for ever.
                if half_day >= window_days * 2 {
                    carried += store.inner.cleaner().carried_bytes() - before;
                    // The event's frame and its part of the settle frame.
                    written += 200 * (u64::try_from(bytes).unwrap() + 50 + 31 + 53);
                }
            }
            let share = carried as f64 / written as f64;
            println!(
                "{window_days:>4} d  {bytes:>7}  {:>10.1}  {share:>21.3}  {:>13}",
                written as f64 / 1e6,
                most / SEGMENT_BYTES
            );
            assert!(share <= 0.34, "{window_days} days, {bytes} bytes: {share}");
        }
    }
}

/// T22: settled events give room at once, also where nobody settles or ticks any more.
#[test]
fn a_full_disk_takes_captures_again_as_soon_as_enough_is_settled() {
    let rig = ordinary(1);
    let store = rig.open();
    rig.disk.set_free_bytes(Some(6 * SEGMENT_BYTES));
    let mut stored = 0;
    while store.capture(&sized_event(stored, 20_000)).is_ok() {
        stored += 1;
    }
    let accepted = |n| {
        let answer = Answer::Accepted { receipt: Some(receipt(n)) };
        Settlement { scope: sales(), key: key(n), answer }
    };
    store.settle(&(0..stored - 1).map(accepted).collect::<Vec<_>>()).unwrap();
    for n in stored..2 * stored - 8 {
        store.capture(&sized_event(n, 20_000)).unwrap_or_else(|error| panic!("{n}: {error}"));
    }
}
