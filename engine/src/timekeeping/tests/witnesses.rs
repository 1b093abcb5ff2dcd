//! Time while the machine was off counts as far as two clocks prove it: the upstream's, and the machine's own.

use std::time::Duration;

use crate::base::clock::Clock;
use crate::testing::{Rig, WALL_MS, WINDOW_MS};
use crate::timekeeping::tests::clock::{
    DAY_MS, DECADE_MS, SLICE_MS, machine, pass, rebooted, remembers, server_ms, trusted_ms,
};

/// Five years.
const AHEAD_MS: i64 = DECADE_MS / 2;

/// The machine is off for so long, and tells how long it ran in all.
fn off(rig: &Rig, ran_ms: &mut u64, off_ms: u64) -> Rig {
    *ran_ms += rig.clock.mono_ms() + off_ms;
    let rig = rebooted(rig, off_ms);
    *ran_ms -= rig.clock.mono_ms();
    rig
}

/// An upstream's clock that is years ahead, once or for long, ends no window, and once it is right again it
/// proves time as before.
#[test]
fn a_reading_that_is_years_ahead_ends_no_window_and_the_next_right_one_heals() {
    for is_while_open in [true, false] {
        let rig = machine();
        let mut ran_ms = 0;
        let store = rig.open();
        pass(&store, 1);
        store.confirm_time(server_ms(&rig, 0), Duration::from_millis(10)).unwrap();
        if is_while_open {
            store.confirm_time(server_ms(&rig, 0) + AHEAD_MS, Duration::from_millis(10)).unwrap();
        }
        store.close().unwrap();
        let rig = off(&rig, &mut ran_ms, 60_000);
        let store = rig.open();
        let before = trusted_ms(&store);
        if !is_while_open {
            store
                .confirm_time(server_ms(&rig, ran_ms) + AHEAD_MS, Duration::from_millis(10))
                .unwrap();
        }
        let more = trusted_ms(&store) - before;
        assert!(more <= 60_000 && remembers(&store, 1), "{is_while_open}: {more}");
        // Right again: what the machine was off before nobody knows, or is counted already.
        store.confirm_time(server_ms(&rig, ran_ms), Duration::from_millis(10)).unwrap();
        let more = trusted_ms(&store) - before;
        assert!(more <= 60_000 && remembers(&store, 1), "{is_while_open}: {more}");
        store.close().unwrap();
        let off_ms = WINDOW_MS + SLICE_MS + 100;
        let rig = off(&rig, &mut ran_ms, off_ms);
        let store = rig.open();
        assert!(remembers(&store, 1), "control");
        let before = trusted_ms(&store);
        store.confirm_time(server_ms(&rig, ran_ms), Duration::from_millis(10)).unwrap();
        assert_eq!(trusted_ms(&store) - before, off_ms - 20, "{is_while_open}");
        assert!(!remembers(&store, 1), "{is_while_open}");
    }
}

/// Neither clock alone ends a window: not the upstream's where this machine's stands in 1970 or was set back, and not
/// this machine's.
#[test]
fn of_two_clocks_that_differ_the_one_counts_that_shows_less() {
    for (step_ms, counted_ms) in [
        (0, DAY_MS - 20),
        (AHEAD_MS, DAY_MS - 20),
        // As far as clocks drift apart.
        (-9_000, DAY_MS - 20),
        (-3_600_000, DAY_MS - 3_600_000),
        (-2 * 86_400_000, 0),
        (-WALL_MS, 0),
    ] {
        let rig = machine();
        let store = rig.open();
        pass(&store, 1);
        store.confirm_time(server_ms(&rig, 0), Duration::from_millis(10)).unwrap();
        store.close().unwrap();
        let mut ran_ms = 0;
        let rig = off(&rig, &mut ran_ms, DAY_MS);
        rig.clock.step_wall(step_ms);
        let store = rig.open();
        let before = trusted_ms(&store);
        store.confirm_time(server_ms(&rig, ran_ms), Duration::from_millis(10)).unwrap();
        assert_eq!(trusted_ms(&store) - before, counted_ms, "{step_ms}");
        // It survives, and is counted once.
        store.confirm_time(server_ms(&rig, ran_ms), Duration::from_millis(10)).unwrap();
        drop(store);
        assert_eq!(trusted_ms(&rig.after_kill().open()) - before, counted_ms, "{step_ms}");
    }
}
