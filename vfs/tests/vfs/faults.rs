//! A fault planned for the simulated disk hits the operation named, and fails as on Linux.
//! Method: plan one fault at a time; compare what is seen, and what a cut leaves, with the rules.

use std::{io, io::ErrorKind, sync::Arc};

use onceward_vfs::{Fault, FaultKind, FaultOp, File, Mode, Pace, SimVfs, Survival, Vfs};

/// One call on a disk.
type Call = fn(&SimVfs) -> io::Result<()>;

/// A disk with the durable file `log` holding `old`, and a handle on it.
fn disk_with_log() -> io::Result<(SimVfs, Arc<dyn File>)> {
    let disk = SimVfs::new();
    let file = disk.open("log", Mode::CreateNew)?;
    file.write_all_at(0, b"old")?;
    file.sync_data()?;
    disk.sync_dir("")?;
    Ok((disk, file))
}

/// A fault that hits the next such operation, once.
fn next(op: FaultOp, kind: FaultKind) -> Fault {
    Fault { op, name_contains: String::new(), nth: 0, kind, forever: false }
}

#[test]
fn a_failed_sync_drops_the_bytes_that_reads_still_serve() {
    let (disk, file) = disk_with_log().unwrap();
    file.write_all_at(0, b"new").unwrap();
    disk.plan(next(FaultOp::SyncData, FaultKind::Eio));
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    file.sync_data().unwrap();
    assert_eq!(disk.bytes("log").unwrap(), b"new", "the cache lies");
    assert_eq!(disk.after_kill().bytes("log").unwrap(), b"new", "also to the next process");
    for survival in [Survival::Nothing, Survival::Everything] {
        assert_eq!(disk.after_power_cut(&survival).bytes("log").unwrap(), b"old", "{survival:?}");
    }
    let reopened = disk.after_kill();
    let file = reopened.open("log", Mode::Write).unwrap();
    file.write_all_at(0, b"new").unwrap();
    file.sync_data().unwrap();
    assert_eq!(reopened.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), b"new");
}

#[test]
fn every_handle_that_was_open_is_told_once_of_a_failed_sync_of_any() {
    let (disk, file) = disk_with_log().unwrap();
    let other = disk.open("log", Mode::Write).unwrap();
    file.write_all_at(0, b"new").unwrap();
    disk.plan(next(FaultOp::SyncData, FaultKind::Eio));
    assert_eq!(other.sync_data().unwrap_err().raw_os_error(), Some(5));
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5), "its bytes went with them");
    file.sync_data().unwrap();
    other.sync_data().unwrap();
    disk.open("log", Mode::Write).unwrap().sync_data().unwrap();
}

#[test]
fn the_nth_matching_operation_fails_and_only_it() {
    let (disk, file) = disk_with_log().unwrap();
    let other = disk.open("other", Mode::CreateNew).unwrap();
    disk.plan(Fault {
        op: FaultOp::Write,
        name_contains: "lo".to_owned(),
        nth: 1,
        kind: FaultKind::Enospc,
        forever: false,
    });
    file.write_all_at(0, b"1").unwrap();
    other.write_all_at(0, b"1").unwrap();
    let error = file.write_all_at(0, b"2").unwrap_err();
    assert_eq!((error.raw_os_error(), error.kind()), (Some(28), ErrorKind::StorageFull));
    file.write_all_at(1, b"3").unwrap();
    assert_eq!(disk.bytes("log").unwrap(), b"13d");
    assert!(disk.trace().iter().any(|line| line.ends_with("write log 0+1 (ENOSPC)")));
}

#[test]
fn a_fault_for_ever_hits_all_that_follow() {
    let (disk, file) = disk_with_log().unwrap();
    disk.plan(Fault { nth: 1, forever: true, ..next(FaultOp::Read, FaultKind::Eio) });
    file.read_at(0, &mut [0]).unwrap();
    for _ in 0..3 {
        assert_eq!(file.read_at(0, &mut [0]).unwrap_err().raw_os_error(), Some(5));
    }
}

#[test]
fn a_short_write_leaves_its_first_bytes() {
    let (disk, file) = disk_with_log().unwrap();
    disk.plan(next(FaultOp::Write, FaultKind::ShortWrite(2)));
    assert_eq!(file.write_all_at(0, b"new").unwrap_err().raw_os_error(), Some(5));
    assert_eq!(disk.bytes("log").unwrap(), b"ned");
}

#[test]
fn every_operation_can_be_hit_and_then_does_nothing() {
    let calls: [(FaultOp, Call); 10] = [
        (FaultOp::Open, |disk| disk.open("log", Mode::Read).map(drop)),
        (FaultOp::Open, |disk| disk.open("new", Mode::CreateNew).map(drop)),
        (FaultOp::Open, |disk| disk.create_dir("dir")),
        (FaultOp::Open, |disk| disk.lock("lock").map(drop).map_err(io::Error::other)),
        (FaultOp::Rename, |disk| disk.rename("log", "new")),
        (FaultOp::Remove, |disk| disk.remove("log")),
        (FaultOp::SyncDir, |disk| disk.sync_dir("")),
        (FaultOp::Look, |disk| disk.list("").map(drop)),
        (FaultOp::Look, |disk| disk.exists("log").map(drop)),
        (FaultOp::Look, |disk| disk.free_bytes().map(drop)),
    ];
    for (op, call) in calls {
        let (disk, _file) = disk_with_log().unwrap();
        disk.plan(next(op, FaultKind::Eio));
        assert!(call(&disk).is_err(), "{op:?}");
        assert_eq!(disk.list("").unwrap(), ["log"], "{op:?}");
        call(&disk).unwrap();
    }
}

#[test]
fn names_whose_sync_failed_are_still_pending() {
    let (disk, _file) = disk_with_log().unwrap();
    disk.rename("log", "new").unwrap();
    disk.plan(next(FaultOp::SyncDir, FaultKind::Eio));
    assert!(disk.sync_dir("").is_err());
    assert_eq!(disk.after_power_cut(&Survival::Nothing).list("").unwrap(), ["log"]);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).list("").unwrap(), ["new"]);
}

#[test]
fn a_full_disk_takes_what_fits_and_space_comes_back() {
    let (disk, file) = disk_with_log().unwrap();
    disk.set_free_bytes(Some(2));
    file.write_all_at(0, b"OLD").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), Some(2), "overwriting needs no space");
    assert_eq!(file.write_all_at(3, b"1234").unwrap_err().raw_os_error(), Some(28));
    assert_eq!(disk.bytes("log").unwrap(), b"OLD12");
    assert_eq!(disk.free_bytes().unwrap(), Some(0));
    assert_eq!(disk.open("new", Mode::CreateNew).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.create_dir("dir").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.set_len(6).unwrap_err().kind(), ErrorKind::StorageFull);
    file.set_len(1).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), Some(4));
    disk.remove("log").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), Some(5));
}

#[test]
fn a_replaced_file_gives_its_space_back() {
    let (disk, _file) = disk_with_log().unwrap();
    disk.set_free_bytes(Some(10));
    disk.open("new", Mode::CreateNew).unwrap().write_all_at(0, b"12345").unwrap();
    disk.rename("new", "log").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), Some(8));
}

#[test]
fn filling_a_file_that_does_not_fit_fails_before_it_writes() {
    let (disk, file) = disk_with_log().unwrap();
    disk.set_free_bytes(Some(1000));
    assert_eq!(file.fill_zeros(2000, &|| Pace::Gentle).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.bytes("log").unwrap(), b"old");
    file.fill_zeros(1003, &|| Pace::Gentle).unwrap();
    assert_eq!(disk.after_power_cut(&Survival::Nothing).bytes("log").unwrap(), [0; 1003]);
}

#[test]
fn space_is_counted_anew_after_a_power_cut() {
    let (disk, file) = disk_with_log().unwrap();
    disk.set_free_bytes(Some(100));
    file.write_all_at(3, &[1; 60]).unwrap();
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!((disk.free_bytes().unwrap(), found.free_bytes().unwrap()), (Some(40), Some(100)));
}

#[test]
fn offsets_beyond_what_a_file_can_have_are_refused() {
    let (_disk, file) = disk_with_log().unwrap();
    assert!(file.write_all_at(u64::MAX, b"x").is_err());
    assert!(file.write_all_at(u64::MAX >> 1, b"x").is_err());
    assert!(file.set_len(u64::MAX).is_err());
    assert_eq!(file.len().unwrap(), 3);
}

#[test]
fn an_interrupted_write_goes_on_and_a_cut_may_come_in_between() {
    for count in [0, 1, 2] {
        let (disk, file) = disk_with_log().unwrap();
        disk.plan(next(FaultOp::Write, FaultKind::Interrupted(count)));
        let before = disk.op_count();
        file.write_all_at(0, b"new").unwrap();
        assert_eq!(disk.bytes("log").unwrap(), b"new");
        assert_eq!(disk.op_count(), before + 2);
        assert_eq!(
            disk.trace().last().unwrap(),
            &format!("{} write log {count}+{}", before + 1, 3 - count)
        );

        let (disk, file) = disk_with_log().unwrap();
        disk.plan(next(FaultOp::Write, FaultKind::Interrupted(count)));
        disk.cut_power_at(before + 1);
        assert!(file.write_all_at(0, b"new").is_err());
        let written = usize::try_from(count).unwrap();
        let found = disk.after_power_cut(&Survival::Everything).bytes("log").unwrap();
        assert_eq!(found, [&b"new"[..written], &b"old"[written..]].concat());
    }
}

#[test]
fn an_interrupted_write_that_then_fails_is_a_failed_write() {
    let (disk, file) = disk_with_log().unwrap();
    disk.plan(next(FaultOp::Write, FaultKind::Interrupted(1)));
    disk.plan(Fault { nth: 1, ..next(FaultOp::Write, FaultKind::Eio) });
    assert_eq!(file.write_all_at(0, b"new").unwrap_err().raw_os_error(), Some(5));
    assert_eq!(disk.bytes("log").unwrap(), b"nld");
}

#[test]
fn interruptions_for_ever_only_make_it_slow() {
    let (disk, file) = disk_with_log().unwrap();
    for op in [FaultOp::Read, FaultOp::Write] {
        disk.plan(Fault { forever: true, ..next(op, FaultKind::Interrupted(0)) });
    }
    let before = disk.op_count();
    file.write_all_at(1, b"new").unwrap();
    let mut seen = [0; 6];
    assert_eq!(file.read_at(0, &mut seen).unwrap(), 4);
    assert_eq!(&seen[..4], b"onew");
    assert_eq!(disk.op_count() - before, (1 + 3) + (1 + 5));
    file.write_all_at(0, b"").unwrap();
    assert_eq!(file.read_at(0, &mut []).unwrap(), 0);
}

#[test]
fn an_interrupted_read_goes_on_to_the_end_of_the_file() {
    let (disk, file) = disk_with_log().unwrap();
    for (count, read_bytes) in [(0, 3), (1, 3), (3, 3), (7, 3)] {
        disk.plan(next(FaultOp::Read, FaultKind::Interrupted(count)));
        let mut seen = [b'x'; 5];
        assert_eq!(file.read_at(0, &mut seen).unwrap(), read_bytes, "after {count}");
        assert_eq!(&seen, b"oldxx", "after {count}");
    }
    assert_eq!(disk.trace().iter().filter(|line| line.contains("interrupted")).count(), 4);
}

#[test]
fn a_short_read_that_fails_has_filled_only_its_first_bytes() {
    let (disk, file) = disk_with_log().unwrap();
    disk.plan(next(FaultOp::Read, FaultKind::ShortRead(2)));
    let mut seen = [b'x'; 3];
    assert_eq!(file.read_at(0, &mut seen).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(&seen, b"olx");
    file.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"old");
    disk.plan(next(FaultOp::Write, FaultKind::ShortRead(2)));
    assert!(file.write_all_at(0, b"new").is_err());
    assert_eq!(disk.bytes("log").unwrap(), b"old", "no read: nothing is done");
}

#[test]
fn an_interrupted_sync_fails_as_any_other_and_other_calls_do_not() {
    let (disk, file) = disk_with_log().unwrap();
    file.write_all_at(0, b"new").unwrap();
    disk.rename("log", "renamed").unwrap();
    for op in [FaultOp::SyncData, FaultOp::SyncDir, FaultOp::Rename, FaultOp::Open] {
        disk.plan(next(op, FaultKind::Interrupted(0)));
    }
    assert_eq!(file.sync_data().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(disk.sync_dir("").unwrap_err().kind(), ErrorKind::Interrupted);
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found.list("").unwrap(), ["log"]);
    assert_eq!(disk.after_power_cut(&Survival::Everything).bytes("renamed").unwrap(), b"old");
    disk.rename("renamed", "log").unwrap();
    disk.open("log", Mode::Read).unwrap();
}
