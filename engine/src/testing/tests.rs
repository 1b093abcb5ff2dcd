//! What a host's test relies on: a machine does what its test says, and nothing else.

use std::time::Duration;

use super::{
    DiskError, DiskOperation, Machine, Mood, ScriptedUpstream, Unsynced, event, key, options, sales,
};
use crate::sync::{Session, Step, payloads};
use crate::{Config, ErrorKind, State, Store, Verdict};

fn open(machine: &Machine) -> Store {
    machine.open(Config::new()).unwrap()
}

fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

/// A machine with event 1 captured, and event 2 captured and in doubt.
fn in_doubt() -> (Machine, Store) {
    let machine = Machine::new();
    let store = open(&machine);
    store.capture(&event(1)).unwrap();
    machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
    let error = store.capture(&event(2)).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{error}");
    (machine, store)
}

#[test]
fn a_machine_that_was_cut_or_killed_serves_nobody_and_what_is_left_serves_the_next() {
    for is_killed in [false, true] {
        let machine = Machine::new();
        let store = open(&machine);
        store.capture(&event(1)).unwrap();
        let left = if is_killed { machine.kill() } else { machine.cut_power(Unsynced::Kept) };
        assert!(store.capture(&event(2)).is_err());
        assert!(machine.disk().is_cut() && !left.disk().is_cut());
        let next = open(&left);
        assert!(matches!(next.capture(&event(1)).unwrap(), Verdict::Duplicate { .. }));
        assert!(matches!(next.capture(&event(2)).unwrap(), Verdict::Fresh { .. }));
    }
}

#[test]
fn what_is_in_doubt_is_lost_or_kept_as_the_test_says_and_the_same_cut_can_be_tried_again() {
    let (machine, _store) = in_doubt();
    let unsynced = machine.disk().unsynced_count();
    let found = |unsynced| state(&open(&machine.cut_power(unsynced)), 2);
    assert_eq!(found(Unsynced::Lost), State::Unknown);
    assert_eq!(found(Unsynced::Oldest(0)), State::Unknown);
    assert_eq!(found(Unsynced::Kept), found(Unsynced::Oldest(unsynced)));
    let drawn: Vec<State> = (0..40).map(|seed| found(Unsynced::Drawn { seed })).collect();
    let again: Vec<State> = (0..40).map(|seed| found(Unsynced::Drawn { seed })).collect();
    assert_eq!(drawn, again);
    for seed in 0..40 {
        assert_eq!(state(&open(&machine.cut_power(Unsynced::Drawn { seed })), 1), State::Pending);
    }
    assert_eq!(state(&open(&machine.kill()), 2), State::Pending, "it was written");
}

#[test]
fn a_machine_that_was_cut_is_of_another_start_and_one_that_was_killed_is_not() {
    let machine = Machine::new();
    open(&machine).capture(&event(1)).unwrap();
    machine.clock().advance(Duration::from_secs(1_000));
    let killed = machine.kill();
    assert_eq!(killed.clock().mono_ms(), machine.clock().mono_ms());
    assert_eq!(open(&killed).recovery().unmeasured, None);
    let cut = machine.cut_power(Unsynced::Kept);
    assert!(cut.clock().mono_ms() < machine.clock().mono_ms());
    assert_eq!(cut.clock().wall_ms(), machine.clock().wall_ms());
    cut.clock().reboot(Duration::from_secs(60));
    assert_eq!(cut.clock().wall_ms(), machine.clock().wall_ms() + 60_000);
    assert!(open(&cut).recovery().unmeasured.is_some());
}

#[test]
fn a_failure_comes_as_often_as_was_said() {
    let machine = Machine::new();
    machine.disk().fail_next(DiskOperation::Open, DiskError::Failed);
    assert_eq!(machine.open(Config::new()).unwrap_err().kind(), ErrorKind::Io);
    let store = open(&machine);
    machine.disk().fail_every(DiskOperation::Read, DiskError::Failed);
    store.capture(&event(1)).unwrap();
    for _ in 0..3 {
        assert_eq!(store.find(&sales(), &key(1)).unwrap_err().kind(), ErrorKind::Io);
    }
    machine.disk().heal();
    assert!(store.find(&sales(), &key(1)).unwrap().is_some());
}

#[test]
fn a_delay_passes_on_the_clock_of_the_machine_until_it_is_healed() {
    let machine = Machine::new();
    let store = open(&machine);
    // The first one makes room for more.
    store.capture(&event(1)).unwrap();
    machine.disk().delay_every(DiskOperation::Sync, Duration::from_secs(700));
    machine.disk().delay_every(DiskOperation::Sync, Duration::from_secs(7));
    let began_ms = machine.clock().mono_ms();
    store.capture(&event(2)).unwrap();
    assert_eq!(machine.clock().mono_ms() - began_ms, 7_000);
    machine.disk().heal();
    store.capture(&event(3)).unwrap();
    assert_eq!(machine.clock().mono_ms() - began_ms, 7_000);
}

#[test]
fn whoever_comes_to_a_closed_gate_waits_until_it_is_opened_or_dropped() {
    let machine = Machine::new();
    let store = open(&machine);
    for (n, is_dropped) in [(1, false), (2, true)] {
        let gate = machine.disk().close_gate(DiskOperation::Sync);
        let beside = machine.disk().close_gate(DiskOperation::Rename);
        std::thread::scope(|scope| {
            let captured = scope.spawn(|| store.capture(&event(n)));
            gate.wait_until_reached();
            assert!(!captured.is_finished());
            if is_dropped {
                drop(gate);
            } else {
                gate.open();
            }
            captured.join().unwrap().unwrap();
        });
        drop(beside);
    }
    store.capture(&event(3)).unwrap();
}

#[test]
fn an_upstream_answers_as_its_script_says_and_then_well() {
    let machine = Machine::new();
    let store = open(&machine);
    store.capture(&event(1)).unwrap();
    let mut upstream = ScriptedUpstream::new();
    let busy = Mood::Busy { retry_after_ms: Some(5_000) };
    upstream.script([Mood::Away, busy, Mood::InProgress, Mood::LosesReply]);
    let mut session = Session::start(&store, options(), payloads()).unwrap();
    let mut seen = Vec::new();
    while let Step::Wait { until_ms } = upstream.serve(&mut session, machine.clock()).unwrap() {
        seen.push((upstream.request_count(), upstream.effects().len()));
        let wait_ms = until_ms - machine.clock().mono_ms();
        machine.clock().advance(Duration::from_millis(wait_ms));
        assert!(seen.len() < 20, "{seen:?}");
    }
    seen.dedup();
    assert_eq!(seen, [(0, 0), (1, 0), (2, 1), (3, 1)]);
    assert_eq!((upstream.request_count(), upstream.effects()["k1"]), (4, 1));
    assert_eq!(state(&store, 1), State::Duplicate, "the first time counts");

    store.capture(&event(2)).unwrap();
    upstream.script([Mood::Blocked]);
    assert!(matches!(upstream.serve(&mut session, machine.clock()).unwrap(), Step::Blocked));
    session.on_online();
    upstream.serve(&mut session, machine.clock()).unwrap();
    assert_eq!(state(&store, 2), State::Accepted);
}
