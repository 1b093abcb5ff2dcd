//! A read or write that a signal interrupts is continued; a sync that a signal interrupts has failed.
//! Method: each operation of a script is interrupted after some bytes, once or again and again; the disk
//! must end as it does without.

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs};
use onceward_wal::ErrorKind;

use super::scenario::{fault, found, open_sim, put};
use super::told::{Script, Step};

const SCRIPT: &[Step] = &[
    Step::Append(100),
    Step::Batch(&[40, 700, 5]),
    Step::Mark,
    Step::Append(240_000),
    Step::Defer(100),
    Step::Append(100_000),
    Step::Kill,
    Step::Append(190_000),
    Step::Trim,
    Step::Close,
    Step::Append(5),
    Step::Close,
];

/// Runs the script, and returns the disk with how often it was interrupted.
fn run(interruption: Option<Fault>) -> (SimVfs, usize) {
    let disk = SimVfs::new();
    let context = format!("{interruption:?}");
    interruption.into_iter().for_each(|fault| disk.plan(fault));
    let mut host = Script::new(disk.clone());
    for step in SCRIPT {
        host.step(step).unwrap_or_else(|error| panic!("{error}: {step:?}, {context}"));
    }
    let hits = disk.trace().iter().filter(|line| line.ends_with("(interrupted)")).count();
    // The check goes on with the log.
    let left = disk.after_kill();
    host.told.check(&left.after_kill(), &context);
    (left, hits)
}

/// D9.
#[test]
fn each_interrupted_read_or_write_is_continued() {
    let (whole, _) = run(None);
    for op in [FaultOp::Write, FaultOp::Read] {
        for moved in [0, 9, 4100] {
            let at = |nth| {
                let kind = FaultKind::Interrupted(moved);
                run(Some(Fault { nth, ..fault(op, "", kind) }))
            };
            let hit = (0..).map(at).take_while(|(_, hits)| *hits > 0).inspect(|(disk, _)| {
                assert_eq!(disk.fingerprint(), whole.fingerprint(), "{op:?} {moved}");
            });
            let count = hit.count();
            assert!(count > 20, "control: {count} of {op:?}");
        }
    }
}

/// D9.
#[test]
fn interruptions_again_and_again_only_make_it_slower() {
    let (whole, _) = run(None);
    for op in [FaultOp::Write, FaultOp::Read] {
        let kind = FaultKind::Interrupted(3000);
        let (disk, hits) = run(Some(Fault { forever: true, ..fault(op, "", kind) }));
        assert!(hits > 200, "control: {hits} of {op:?}");
        assert_eq!(disk.fingerprint(), whole.fingerprint(), "{op:?}");
    }
}

/// D9, T2.
#[test]
fn an_interrupted_sync_is_not_tried_again() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Interrupted(0)));
    let steps = disk.trace().len();
    let error = put(&log, b"doubtful").unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{error}");
    let syncs = disk.trace().split_off(steps);
    assert_eq!(syncs.iter().filter(|step| step.contains("sync_data")).count(), 1, "{syncs:?}");
    drop(log);
    assert_eq!(found(&disk.after_kill()).0.damage, []);
}
