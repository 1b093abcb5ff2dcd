//! Which failure of a disk is reported by which name.
//!
//! Method: a simulated disk fails once, and further calls are made; what was reported by then is compared with what
//! OBSERVING.md says. Needs the feature `testing`.

use metrics::with_local_recorder;
use onceward::testing::{DiskError, DiskOperation, Machine};
use onceward::{Config, ErrorKind, Event, Key, Payload, Scope, Store};

use super::collected::{Collected, Everything};

/// What is reported while `work` is done, a line each.
fn reported(work: impl FnOnce()) -> String {
    let collected = Collected::default();
    tracing::subscriber::with_default(Everything::new(collected.clone()), || {
        with_local_recorder(&collected, work);
    });
    collected.all().0
}

/// How often each of these was reported: an event, and the counter that goes with it.
fn counts(text: &str) -> [(usize, usize); 3] {
    let count =
        |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name} "))).count();
    [
        (count("disk_failed"), count("onceward_disk_failures_total")),
        (count("disk_full"), count("onceward_disk_full_total")),
        (count("poisoned"), count("onceward_poisoned_total")),
    ]
}

fn sale(number: u64) -> Event {
    let key = Key::new(&format!("sale-{number}")).unwrap();
    Event::new(Scope::default(), key, Payload::json("24.50").unwrap())
}

fn refused(store: &Store, number: u64, kind: ErrorKind) {
    assert_eq!(store.capture(&sale(number)).unwrap_err().kind(), kind);
}

#[test]
fn the_failure_after_which_nothing_is_written_is_one_of_the_disk_and_the_calls_after_it_are_not() {
    let failures = [
        (DiskOperation::Sync, DiskError::Failed),
        (DiskOperation::Sync, DiskError::Full),
        (DiskOperation::Write, DiskError::Failed),
    ];
    for (operation, error) in failures {
        let machine = Machine::new();
        let store = machine.open(Config::new()).unwrap();
        store.capture(&sale(0)).unwrap();
        let text = reported(|| {
            machine.disk().fail_next(operation, error);
            refused(&store, 1, ErrorKind::Poisoned);
        });
        assert_eq!(counts(&text), [(1, 1), (0, 0), (1, 1)], "{operation:?} {error:?}: {text}");
        assert!(text.contains("disk_failed code=\"POISONED\" in_doubt="), "{text}");
        let text = reported(|| {
            refused(&store, 2, ErrorKind::Poisoned);
            store.capture_deferred(&sale(3)).unwrap_err();
        });
        assert_eq!(counts(&text), [(0, 0), (0, 0), (2, 2)], "{operation:?} {error:?}: {text}");
    }
}

#[test]
fn a_failure_that_nobody_waited_for_is_told_by_the_first_call_that_hears_of_it() {
    let machine = Machine::new();
    let store = machine.open(Config::new()).unwrap();
    let text = reported(|| {
        let ticket = store.capture_deferred(&sale(1)).unwrap();
        machine.disk().fail_next(DiskOperation::Sync, DiskError::Failed);
        refused(&store, 2, ErrorKind::Poisoned);
        ticket.wait().unwrap_err();
    });
    assert_eq!(counts(&text), [(1, 1), (0, 0), (2, 2)], "{text}");
}

#[test]
fn a_full_disk_and_a_closed_store_are_no_failures_of_the_disk() {
    let machine = Machine::new();
    let store = machine.open(Config::new()).unwrap();
    let text = reported(|| {
        machine.disk().fail_next(DiskOperation::Write, DiskError::Full);
        refused(&store, 1, ErrorKind::Full);
    });
    assert_eq!(counts(&text)[0], (0, 0), "{text}");
    assert!(counts(&text)[1].0 > 0 && counts(&text)[2] == (0, 0), "{text}");
    let text = reported(|| {
        let ticket = store.capture_deferred(&sale(2)).unwrap();
        store.close().unwrap();
        ticket.wait().unwrap();
        assert_eq!(store.capture(&sale(3)).unwrap_err().code(), "CLOSED");
    });
    assert_eq!(counts(&text), [(0, 0); 3], "{text}");
}

#[test]
fn a_disk_that_cannot_read_fails_as_often_as_it_is_asked() {
    let machine = Machine::new();
    let store = machine.open(Config::new()).unwrap();
    store.capture(&sale(1)).unwrap();
    let text = reported(|| {
        machine.disk().fail_every(DiskOperation::Read, DiskError::Failed);
        for _ in 0..2 {
            store.find(&Scope::default(), &sale(1).key).unwrap_err();
        }
        machine.disk().heal();
        store.find(&Scope::default(), &sale(1).key).unwrap();
    });
    assert_eq!(counts(&text), [(2, 2), (0, 0), (0, 0)], "{text}");
}

#[test]
fn a_disk_that_fails_at_opening_is_reported_too() {
    let machine = Machine::new();
    machine.open(Config::new()).unwrap().close().unwrap();
    // What it cannot read is damage then.
    for operation in [DiskOperation::Sync, DiskOperation::Open] {
        let mut failed = None;
        let text = reported(|| {
            machine.disk().fail_every(operation, DiskError::Failed);
            failed = machine.open(Config::new()).err();
        });
        machine.disk().heal();
        assert!(counts(&text)[0].0 > 0, "{operation:?}: {failed:?}: {text}");
    }
}
