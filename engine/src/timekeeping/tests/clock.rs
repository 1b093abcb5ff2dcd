//! Trusted time: what was measured, and what the upstream's clock proves. Nothing else.

use std::sync::Arc;
use std::time::Duration;

use crate::base::FrameKind;
use crate::testing::{HandClock, Rig, WALL_MS, WINDOW_MS, event, key, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Config, Store};

/// Length of a slice: a key is gone at the latest so long after its window.
pub(crate) const SLICE_MS: u64 = WINDOW_MS / 24;
pub(crate) const DAY_MS: u64 = 86_400_000;
/// Ten years.
pub(crate) const DECADE_MS: i64 = 10 * 365 * 86_400_000;

/// A machine whose clock says since which start it counts.
pub(crate) fn machine() -> Rig {
    let rig = Rig::new();
    rig.clock.name_boot(1);
    rig
}

/// The same machine, off for so long and started again.
pub(crate) fn rebooted(rig: &Rig, off_ms: u64) -> Rig {
    rig.clock.reboot(off_ms);
    Rig { clock: Arc::clone(&rig.clock), ..rig.after_kill() }
}

fn settle(store: &Store, n: u64) {
    let answer = Answer::Accepted { receipt: None };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

/// Captures event `n` and settles it.
pub(crate) fn pass(store: &Store, n: u64) {
    store.capture(&event(n)).unwrap();
    settle(store, n);
}

/// Whether event `n` is remembered, after forgetting what is due.
pub(crate) fn remembers(store: &Store, n: u64) -> bool {
    store.tick().unwrap();
    store.outcome(&sales(), &key(n)).unwrap().lsn.is_some()
}

pub(crate) fn trusted_ms(store: &Store) -> u64 {
    store.inner.time.moment(store.inner.time.mono_ms()).trusted_ms
}

/// The upstream's clock, right to the millisecond: it is two hours ahead of where tests begin.
pub(crate) fn server_ms(rig: &Rig, off_ms: u64) -> i64 {
    use crate::base::clock::Clock;
    WALL_MS + 7_200_000 + i64::try_from(rig.clock.mono_ms() + off_ms).unwrap()
}

fn clock_frames(rig: &Rig) -> usize {
    let mut count = 0;
    onceward_wal::examine(&rig.disk, &mut |frame| {
        count += usize::from(frame.kind == FrameKind::Clock.code());
    })
    .unwrap();
    count
}

/// A process that is started again on a running machine knows how long it was away.
#[test]
fn between_two_processes_of_one_boot_time_is_known_exactly() {
    let rig = machine();
    let store = rig.open();
    pass(&store, 1);
    let before = trusted_ms(&store);
    drop(store);
    // Whatever the wall clock does meanwhile.
    rig.clock.step_wall(-DECADE_MS);
    rig.clock.advance(WINDOW_MS - 1);
    let store = rig.open();
    assert_eq!(trusted_ms(&store), before + WINDOW_MS - 1);
    assert!(remembers(&store, 1));
    drop(store);
    rig.clock.advance(SLICE_MS + 1);
    assert!(!remembers(&rig.open(), 1));
}

/// What passed between two processes is in no frame until one is written: closing writes it.
#[test]
fn time_between_two_processes_is_kept_although_the_second_one_wrote_nothing() {
    let rig = machine();
    let store = rig.open();
    pass(&store, 1);
    drop(store);
    rig.clock.advance(DAY_MS);
    let store = rig.open();
    let before = trusted_ms(&store);
    store.close().unwrap();
    let store = rebooted(&rig, DAY_MS).open();
    assert_eq!(trusted_ms(&store), before);
    assert!(!remembers(&store, 1));
}

/// As a machine that was suspended: its clock went on, and nobody wrote anything.
#[test]
fn a_suspended_machine_has_the_time_that_its_clock_counted() {
    let rig = machine();
    let store = rig.open();
    pass(&store, 1);
    store.capture(&event(2)).unwrap();
    rig.clock.advance(30 * DAY_MS);
    assert!(!remembers(&store, 1) && remembers(&store, 2));
}

/// T37: a copy of a machine, or one whose clock fell back, proves nothing.
#[test]
fn a_clock_that_stands_before_the_last_frame_measured_nothing() {
    let rig = machine();
    rig.clock.advance(DAY_MS);
    let store = rig.open();
    pass(&store, 1);
    let before = trusted_ms(&store);
    drop(store);
    let clock = HandClock::new();
    clock.name_boot(1);
    let store = Rig { clock, ..rig.after_kill() }.open();
    assert_eq!(trusted_ms(&store), before);
    assert!(remembers(&store, 1));
}

/// T31, T37: a wall clock that starts in 1970 at each boot, and one that jumps ten years.
#[test]
fn the_wall_clock_of_a_machine_moves_nothing_across_reboots() {
    for jump_ms in [-WALL_MS, DECADE_MS, -DECADE_MS] {
        let mut rig = machine();
        for boot in 0..5 {
            let store = rig.open();
            pass(&store, boot);
            assert!((0..=boot).all(|n| remembers(&store, n)), "{jump_ms}");
            drop(store);
            rig = rebooted(&rig, 1_000);
            rig.clock.step_wall(jump_ms);
        }
        let store = rig.open();
        rig.clock.advance(WINDOW_MS + 2 * SLICE_MS);
        assert!((0..5).all(|n| !remembers(&store, n)), "never immortal: {jump_ms}");
    }
}

#[test]
fn powered_off_time_counts_as_far_as_the_upstream_proves_it_before_and_after() {
    for (before, after, is_remembered) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let rig = machine();
        let store = rig.open();
        pass(&store, 1);
        store.capture(&event(2)).unwrap();
        if before {
            store.confirm_time(server_ms(&rig, 0), Duration::from_millis(10)).unwrap();
        }
        rig.clock.advance(5_000);
        let trusted_before = trusted_ms(&store);
        store.close().unwrap();
        let on_ms = { crate::base::clock::Clock::mono_ms(&*rig.clock) };
        let off_ms = WINDOW_MS + SLICE_MS + 100;
        let rig = rebooted(&rig, off_ms);
        let store = rig.open();
        assert_eq!(trusted_ms(&store), trusted_before);
        assert_eq!(store.server_offset(), None, "not since the machine was started");
        assert!(remembers(&store, 1));
        if after {
            store
                .confirm_time(server_ms(&rig, on_ms + off_ms - 1_500), Duration::from_millis(10))
                .unwrap();
        }
        assert_eq!(remembers(&store, 1), is_remembered, "{before} {after}");
        assert!(remembers(&store, 2), "not settled");
        if before && after {
            // Not one millisecond more than is proven.
            assert_eq!(trusted_ms(&store), trusted_before + off_ms - 20);
        }
        let told = trusted_ms(&store);
        for store in [store, rig.after_kill().open()] {
            assert!(trusted_ms(&store) >= told, "it survives");
            assert_eq!(remembers(&store, 1), is_remembered, "{before} {after}");
        }
    }
}

/// T37: the upstream's own clock is set while the store is open.
#[test]
fn an_upstream_whose_clock_jumps_moves_no_time_that_was_measured() {
    let rig = machine();
    let store = rig.open();
    pass(&store, 1);
    let begun = trusted_ms(&store);
    for jump in [0, DECADE_MS, -DECADE_MS, 2 * DECADE_MS] {
        store.confirm_time(server_ms(&rig, 0) + jump, Duration::from_millis(10)).unwrap();
        assert_eq!(trusted_ms(&store), begun, "{jump}");
        assert!(remembers(&store, 1));
    }
    // Also a process later, in the same boot.
    store.close().unwrap();
    let store = rig.open();
    store.confirm_time(server_ms(&rig, 0) + 3 * DECADE_MS, Duration::from_millis(10)).unwrap();
    assert_eq!(trusted_ms(&store), begun);
    // And backwards over a time without power: it proves nothing.
    drop(store);
    let store = rebooted(&rig, DAY_MS).open();
    store.confirm_time(server_ms(&rig, 0), Duration::from_millis(10)).unwrap();
    assert_eq!(trusted_ms(&store), begun);
}

/// An upstream that starts in 1970 itself, or whose clock was set back for a while, proves nothing by being
/// right again.
#[test]
fn a_reading_that_cannot_be_right_proves_nothing_also_once_the_clock_is_right_again() {
    for wrong_ms in [0, WALL_MS - 40 * 86_400_000] {
        for is_before_the_gap in [true, false] {
            let rig = machine();
            let store = rig.open();
            pass(&store, 1);
            if wrong_ms != 0 {
                store.confirm_time(server_ms(&rig, 0), Duration::from_millis(10)).unwrap();
            }
            if is_before_the_gap {
                store.confirm_time(wrong_ms, Duration::from_millis(10)).unwrap();
            }
            store.close().unwrap();
            let on_ms = crate::base::clock::Clock::mono_ms(&*rig.clock);
            let rig = rebooted(&rig, 60_000);
            let store = rig.open();
            if !is_before_the_gap {
                store.confirm_time(wrong_ms, Duration::from_millis(10)).unwrap();
            }
            let before = trusted_ms(&store);
            store
                .confirm_time(server_ms(&rig, on_ms + 60_000 - 1_500), Duration::from_millis(10))
                .unwrap();
            let more = trusted_ms(&store) - before;
            assert!(more <= 60_000, "{wrong_ms} {is_before_the_gap}: {more}");
            assert!(remembers(&store, 1));
        }
    }
}

#[test]
fn the_offset_follows_the_upstream_and_the_wall_clock() {
    let rig = machine();
    let store = rig.open();
    assert_eq!((store.server_offset(), store.status().server_offset_ms), (None, None));
    store.confirm_time(WALL_MS + 500, Duration::from_millis(30)).unwrap();
    rig.clock.advance(60_000);
    let offset = store.server_offset().unwrap();
    assert_eq!((offset.offset_ms, offset.uncertainty), (500, Duration::from_millis(30)));
    rig.clock.step_wall(-2_000);
    assert_eq!(store.status().server_offset_ms, Some(2_500));
    drop(store);
    assert_eq!(rig.open().server_offset().unwrap().offset_ms, 2_500, "in the same boot");
}

#[test]
fn time_that_passed_without_a_frame_is_noted_and_not_lost_by_a_reboot() {
    let rig = machine();
    let store = rig.open();
    pass(&store, 1);
    let frames = || clock_frames(&rig);
    for _ in 0..60 {
        rig.clock.advance(30_000);
        store.tick().unwrap();
    }
    assert_eq!(frames(), 30, "one in a minute: a sixth of a slice is less");
    let before = trusted_ms(&store);
    drop(store);
    let rig = rebooted(&rig, DAY_MS);
    let store = rig.open();
    assert_eq!(trusted_ms(&store), before);
    rig.clock.advance(30_000);
    store.close().unwrap();
    let rig = rebooted(&rig, DAY_MS);
    assert_eq!(trusted_ms(&rig.open()), before + 30_000, "closing notes the rest");
}

/// T22: the note is carried, and what it proves with it.
#[test]
fn what_the_upstream_said_outlives_its_segment() {
    let rig = machine();
    let store = rig.open();
    store.confirm_time(server_ms(&rig, 0), Duration::from_millis(0)).unwrap();
    let first = store.inner.state.lock().server_clock.noted().unwrap().0.place.segment;
    for n in 0..40 {
        store.capture(&sized_event(n, 50_000)).unwrap();
        settle(&store, n);
    }
    let segments = store.inner.log.segments();
    assert!(segments.iter().all(|it| it.number != first), "control: {segments:?}");
    let before = trusted_ms(&store);
    let on_ms = crate::base::clock::Clock::mono_ms(&*rig.clock);
    drop(store);
    let rig = rebooted(&rig, DAY_MS);
    let store = rig.open();
    store.confirm_time(server_ms(&rig, on_ms + DAY_MS - 1_500), Duration::from_millis(0)).unwrap();
    assert_eq!(trusted_ms(&store), before + DAY_MS);
}

/// A box without a battery: it starts in 1970, and hours later a time server sets its clock right.
#[test]
fn each_capture_has_the_wall_clock_of_its_own_moment() {
    let rig = machine();
    rig.clock.step_wall(-WALL_MS);
    let store = rig.open();
    let mut expected = Vec::new();
    // The last one is within what clocks drift: an event is dated so well, and no better.
    for (n, step_ms) in [0, WALL_MS, DECADE_MS, -DECADE_MS, 900].into_iter().enumerate() {
        rig.clock.step_wall(step_ms);
        rig.clock.advance(1_500);
        let mono_ms = crate::base::clock::Clock::mono_ms(&*rig.clock);
        let wall_ms = crate::base::clock::Clock::wall_ms(&*rig.clock);
        let n = u64::try_from(n).unwrap();
        match n {
            2 => _ = store.capture_deferred(&event(n)).unwrap().wait().unwrap(),
            3 => {
                let effect =
                    crate::capture::Effect { event: event(n), receipt: crate::testing::receipt(n) };
                store.apply_batch(&[effect]).unwrap();
            }
            _ => _ = store.capture(&event(n)).unwrap(),
        }
        expected.push((mono_ms, wall_ms));
    }
    let times = |store: &Store| -> Vec<(u64, i64)> {
        let found = (0..5).map(|n| store.find(&sales(), &key(n)).unwrap().unwrap());
        found.map(|it| (it.mono_ms, it.captured_at_ms.unwrap())).collect()
    };
    let live = times(&store);
    for (n, (seen, expected)) in live.iter().zip(&expected).enumerate() {
        assert_eq!(seen.0, expected.0, "{n}");
        assert!(seen.1.abs_diff(expected.1) <= 1_000, "{n}: {seen:?} {expected:?}");
    }
    assert_eq!(live[..4], expected[..4]);
    // What was sent with one time is sent again with the same.
    let looked: Vec<_> = rig.look().events().map(Result::unwrap).collect();
    let looked: Vec<_> = looked.iter().map(|it| (it.mono_ms, it.wall_ms.unwrap())).collect();
    assert_eq!(looked, live);
    drop(store);
    let store = rig.open();
    assert_eq!(times(&store), live);
    // Also where cleaning carried it.
    let first = store.inner.log.segments()[0].number;
    for n in 10..40 {
        store.capture(&sized_event(n, 50_000)).unwrap();
        settle(&store, n);
    }
    assert!(store.inner.log.segments().iter().all(|it| it.number != first), "control");
    let pending = [0, 1, 2, 4];
    let found = |store: &Store, n| store.find(&sales(), &key(n)).unwrap().unwrap();
    for store in [store, rig.after_kill().open()] {
        for n in pending {
            let seen = found(&store, n as u64);
            assert_eq!((seen.mono_ms, seen.wall_ms.unwrap()), live[n], "{n}");
        }
    }
}

/// On the real clocks.
#[test]
fn a_store_on_the_machines_clocks_goes_on_after_a_restart_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path().join("store"), Config::new()).unwrap();
    let store = open();
    pass(&store, 1);
    let before = trusted_ms(&store);
    store.close().unwrap();
    let store = open();
    assert!(trusted_ms(&store) >= before);
    let stamp = store.inner.time.stamp();
    assert!(cfg!(not(target_os = "linux")) || stamp.boot != [0; 16], "{stamp:?}");
}
