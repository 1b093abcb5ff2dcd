//! After a failed write or sync nothing is confirmed and nothing written; a full disk is no such failure.
//! Method: every operation of a script fails in turn; then the process ends, or the power.

use std::sync::atomic::Ordering;

use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival};
use onceward_wal::{Appended, ErrorKind, NewFrame, Purpose};

use super::scenario::{
    KIND, bodies, body, fault, fill_segment, found, host, open, open_sim, put, queue, segment,
    shared,
};
use super::told::{Script, Step};
use super::watched::Watch;

const SCRIPT: &[Step] = &[
    Step::Append(100),
    Step::Batch(&[40, 700, 5]),
    Step::Append(180_000),
    Step::Append(100_000),
    Step::Defer(5),
    Step::Append(5),
    Step::Trim,
    Step::Kill,
    Step::Append(70_000),
    Step::Append(100_000),
    Step::Close,
];

/// T2.
#[test]
fn after_a_failed_sync_nothing_is_confirmed_until_the_log_is_reopened() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let kept = put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::SyncData, "log/", FaultKind::Eio));
    let doubtful = queue(&log, &[b"doubtful".to_vec()]).unwrap().last;
    let steps = disk.changing_ops().len();
    let error = log.wait(doubtful).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{error}");
    assert!(error.to_string().contains("sync"), "{error}");
    assert_eq!(disk.changing_ops().len(), steps + 2, "one write, one sync, never again");

    // The disk would take a further sync.
    let error = log.wait(doubtful).unwrap_err();
    assert!(error.in_doubt(), "{error}");
    let error = put(&log, b"refused").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    assert_eq!(log.trim(1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.synced(), kept.get());
    log.wait(kept).unwrap();
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(disk.changing_ops().len(), steps + 2, "nothing was written");

    let lost = disk.after_power_cut(&Survival::Everything);
    assert_eq!(bodies(&lost), [b"kept".to_vec()], "control: the sync lost it");
    let disk = disk.after_kill();
    let found = bodies(&disk);
    assert_eq!(found, [b"kept".to_vec(), b"doubtful".to_vec()], "memory serves it");
    drop(open_sim(&disk));
    let cut = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(bodies(&cut), found, "what the opening showed is durable");
}

/// As above, where the commit whose sync failed ended its segment.
#[test]
fn a_sealed_segment_whose_sync_failed_is_written_again_too() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 200_000)).unwrap();
    queue(&log, &[body(2, 1000)]).unwrap();
    let last = queue(&log, &[body(3, 200_000)]).unwrap().last;
    // Before that the rest of the segment is filled with zeros.
    disk.plan(Fault { nth: 1, ..fault(FaultOp::SyncData, "log/", FaultKind::Eio) });
    log.wait(last).unwrap_err();
    let disk = disk.after_kill();
    assert_eq!(found(&disk).1.last().unwrap().kind, 3, "control: it ends with the seal");
    let log = open_sim(&disk);
    put(&log, b"next").unwrap();
    let (report, seen) = found(&disk.after_power_cut(&Survival::Nothing));
    assert_eq!((report.damage.len(), host(&seen).len()), (0, 3), "{:?}", report.damage);
}

/// Runs the script with a fault at the `nth` operation of a sort; whether it was hit.
fn fail_at(op: FaultOp, kind: FaultKind, nth: u64, forever: bool) -> bool {
    let context = format!("{op:?} {nth} {kind:?}");
    let disk = SimVfs::new();
    disk.plan(Fault { op, name_contains: String::new(), nth, kind, forever });
    let mut script = Script::new(disk.clone());
    let ended = SCRIPT.iter().try_for_each(|step| script.step(step));
    if !disk.trace().iter().any(|step| step.ends_with(')')) {
        ended.unwrap();
        return false;
    }
    for seed in 0..3 {
        let seeded = Survival::Seeded { seed, sector_bytes: 512 };
        script.told.check(&disk.after_power_cut(&seeded), &format!("{context}, power cut"));
    }
    script.told.check(&disk.after_power_cut(&Survival::Nothing), &format!("{context}, nothing"));
    script.told.check(&disk.after_kill(), &format!("{context}, killed"));
    true
}

/// D8, D9, D11.
#[test]
fn every_failing_operation_of_a_script_loses_nothing_that_was_confirmed() {
    let sorts = [
        (FaultOp::SyncData, FaultKind::Eio, 15),
        (FaultOp::SyncDir, FaultKind::Eio, 5),
        (FaultOp::Write, FaultKind::Eio, 15),
        (FaultOp::Write, FaultKind::ShortWrite(40), 15),
        (FaultOp::Write, FaultKind::ShortWrite(5000), 15),
        (FaultOp::SyncData, FaultKind::Enospc, 15),
        (FaultOp::Open, FaultKind::Eio, 5),
        (FaultOp::Remove, FaultKind::Eio, 1),
        (FaultOp::Rename, FaultKind::Eio, 1),
    ];
    for (op, kind, least) in sorts {
        let hit = (0..).take_while(|nth| {
            let hit = fail_at(op, kind, *nth, false);
            // What never works again, for a sync at each of them.
            hit && (op != FaultOp::SyncData && nth % 2 == 1 || fail_at(op, kind, *nth, true))
        });
        let hit = hit.count();
        assert!(hit >= least, "{op:?} {kind:?}: only {hit} were hit");
    }
}

#[test]
fn a_failed_write_poisons() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::Write, "log/", FaultKind::ShortWrite(20)));
    let error = put(&log, &body(1, 100)).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true));
    assert_eq!(put(&log, b"refused").unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    assert_eq!(bodies(&disk.after_kill()), [b"kept".to_vec()]);
}

#[test]
fn a_failed_sync_of_meta_poisons() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    fill_segment(&log);
    put(&log, b"kept").unwrap();
    disk.plan(fault(FaultOp::SyncData, "meta", FaultKind::Eio));
    assert_eq!(log.trim(1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(put(&log, b"refused").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(bodies(&disk.after_kill()).last().unwrap(), b"kept");
}

/// Three frames in one write that finds the disk full at its last byte, so that the first ones are
/// whole on the disk. Behind `before` bytes in the segment; that is the `nth` write.
fn full_in_a_write(before: usize, bytes: usize, nth: u64) -> SimVfs {
    let disk = SimVfs::new();
    let (vfs, watch) = Watch::over(shared(&disk));
    let log = open(&vfs).unwrap().0;
    put(&log, &body(1, before)).unwrap();
    let before = bodies(&disk);
    watch.full_at.store(nth, Ordering::SeqCst);
    let first = queue(&log, &[body(2, bytes)]).unwrap().first;
    queue(&log, &[body(3, bytes)]).unwrap();
    let place = Appended { first, ..queue(&log, &[body(4, bytes)]).unwrap() };
    let error = log.wait(place.last).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false), "{error}");
    for seed in 0..10 {
        let survival = Survival::Seeded { seed, sector_bytes: 512 };
        let cut = disk.after_power_cut(&survival);
        assert_eq!(bodies(&cut), before, "surely absent: {survival:?}");
    }
    assert_eq!(bodies(&disk.after_kill()), before, "surely absent");
    for lsn in [place.first, place.last] {
        assert_eq!(log.wait(lsn).unwrap_err().kind(), ErrorKind::Full, "asked again");
    }

    let next = put(&log, b"next").unwrap();
    assert!(next > place.last);
    assert_eq!(log.wait(place.last).unwrap_err().kind(), ErrorKind::Full, "and later");
    let mut after = before;
    after.push(b"next".to_vec());
    let cut = disk.after_power_cut(&Survival::Nothing);
    let (report, seen) = found(&cut);
    assert_eq!(report.damage, []);
    assert_eq!(host(&seen).into_iter().map(|frame| frame.body).collect::<Vec<_>>(), after);
    let log = open_sim(&cut);
    put(&log, b"after reopening").unwrap();
    assert_eq!(bodies(&cut).len(), after.len() + 1);
    disk
}

#[test]
fn a_commit_that_finds_the_disk_full_is_absent_and_the_log_goes_on() {
    full_in_a_write(1000, 50, 1);
}

#[test]
fn a_first_commit_of_a_segment_that_finds_the_disk_full_is_absent_too() {
    // The seal of the segment before is the first write.
    let disk = full_in_a_write(220_000, 60_000, 2);
    let (_, seen) = found(&disk);
    let run = seen.iter().rfind(|frame| frame.kind == 1).unwrap();
    assert_eq!((run.place.segment, run.run), (2, 2), "control: it was used after all");
    // Behind a torn first frame only this run's frame is in doubt, none of the failed run.
    disk.overwrite(&segment(2), u64::from(run.place.offset), &[0; 8]);
    let (report, _) = found(&disk);
    assert_eq!((report.damage.len(), report.in_doubt), (0, 1), "{:?}", report.damage);
}

#[test]
fn every_write_of_a_segment_may_find_the_disk_full() {
    // Zeros and the end of one segment, zeros and the beginning of the next.
    for (nth, kept) in (0..).zip([1, 1, 2, 2]) {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        put(&log, &body(1, 200_000)).unwrap();
        queue(&log, &[body(2, 1000)]).unwrap();
        let last = queue(&log, &[body(3, 200_000)]).unwrap().last;
        let op = FaultOp::Write;
        let kind = FaultKind::Enospc;
        disk.plan(Fault { op, name_contains: "log/".into(), nth, kind, forever: false });
        assert_eq!(log.wait(last).unwrap_err().kind(), ErrorKind::Full);
        assert_eq!(bodies(&disk).len(), kept);
        put(&log, &body(4, 200_000)).unwrap();
        put(&log, &body(5, 200_000)).unwrap();
        log.close().unwrap();
        let (report, seen) = found(&disk);
        assert_eq!((report.damage, report.clean, report.torn_bytes), (vec![], true, 0), "{nth}");
        assert_eq!(host(&seen).len(), kept + 2);
        assert_eq!(host(&seen).last().unwrap().body, body(5, 200_000));
    }
}

/// T20.
#[test]
fn on_a_full_disk_captures_are_refused_and_settling_uses_the_reserve() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, &body(1, 200_000)).unwrap();
    disk.set_free_bytes(Some(0));
    let refused = put(&log, &body(2, 200_000)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    let large = body(3, 200_000);
    let frame = NewFrame { kind: KIND, flags: 0, parts: &[&large] };
    log.append(frame, 0, Purpose::Settle).unwrap();
    let error = log.append(frame, 0, Purpose::Settle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "the reserve is used up");
    // What is left of the reserve is not for new events, however small.
    assert_eq!(put(&log, b"small").unwrap_err().kind(), ErrorKind::Full);
    let small = NewFrame { kind: KIND, flags: 0, parts: &[b"small"] };
    log.append(small, 0, Purpose::Settle).unwrap();
    // An old store opens on a full disk, too.
    drop(log);
    let disk = disk.after_kill();
    let log = open_sim(&disk);
    log.trim(1).unwrap();
    assert_eq!(put(&log, &large).unwrap_err().kind(), ErrorKind::Full, "of one, one is reserved");
    disk.set_free_bytes(None);
    put(&log, &large).unwrap();
    disk.set_free_bytes(Some(0));
    assert_eq!(put(&log, &large).unwrap_err().kind(), ErrorKind::Full);
    drop(log.append_deferred(&[frame], 0, Purpose::Settle).unwrap());
    log.close().unwrap();
    assert_eq!(bodies(&disk).len(), 4);
}
