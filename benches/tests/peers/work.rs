//! Every peer does the work that it is measured with, and stores no key twice.
//!
//! Method: small amounts of all work, by the same functions as the figures; keys that come again, in a batch and later.

use onceward_benches::peers::job::Job;
use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::load::Load;
use onceward_benches::peers::workload::{Work, Workload};

#[test]
fn everybody_does_what_is_said_of_them_and_nothing_else() {
    for kind in Kind::ALL {
        for work in Work::ALL {
            let expected: Vec<Workload> =
                work.workloads().filter(|workload| kind.does(*workload)).collect();
            if expected.is_empty() {
                continue;
            }
            let job = Job { kind, work, seconds: 0.01, events: 2_000 };
            let dir = tempfile::tempdir().unwrap();
            let costs = job.run(dir.path()).unwrap_or_else(|error| panic!("{job:?}: {error}"));
            let found: Vec<Workload> = costs.keys().copied().collect();
            assert_eq!(found, expected, "{job:?}");
            assert!(costs.values().all(|cost| *cost >= 0.0), "{job:?}: {costs:?}");
        }
    }
}

#[test]
fn a_key_that_came_before_is_stored_by_nobody() {
    let load = Load::default();
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_limit()) {
        let dir = tempfile::tempdir().unwrap();
        let peer = kind.open(dir.path(), Work::Writers(1)).unwrap();
        let events = [load.event(1), load.event(2), load.event(1)];
        assert_eq!(peer.capture_durable(0, &events).unwrap(), 2, "{kind:?}");
        assert_eq!(peer.capture_durable(0, &events[..1]).unwrap(), 0, "{kind:?}");
        if kind.does(Workload::Lookup) {
            assert!(peer.seen(&load.event(2).key).unwrap() > 0, "{kind:?}");
            assert_eq!(peer.seen(&load.event(3).key).unwrap(), 0, "{kind:?}");
        }
    }
}
