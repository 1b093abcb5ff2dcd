//! `replace` leaves the old or the new content, whatever fails and wherever the power is cut.
//! Method: cut and fail at every operation, look at every survival; and replacements that forget
//! a step, which the same check must refuse.

use std::{collections::BTreeSet, io};

use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, SimVfs, Survival, Vfs, replace};

/// Longer than a sector, so that it can be torn.
const OLD: [u8; 1500] = [1; 1500];

/// Of another length, so that a mixture shows.
const NEW: [u8; 2500] = [2; 2500];

/// How to replace the content of `meta`.
type Replace = fn(&SimVfs) -> io::Result<()>;

/// A disk where `meta` durably holds the old content.
fn disk_with_old() -> io::Result<SimVfs> {
    let disk = SimVfs::new();
    replace(&disk, "meta", &OLD)?;
    Ok(disk.after_power_cut(&Survival::Nothing))
}

/// All survivals of a disk.
fn survivals(disk: &SimVfs) -> Vec<Survival> {
    let mut all = vec![Survival::Nothing, Survival::Everything];
    for whole in 0..disk.unsynced_count() {
        all.push(Survival::Prefix(whole));
        all.extend([1, 512, 1000].map(|bytes| Survival::Torn { whole, bytes }));
    }
    all.extend((0..60).map(|seed| Survival::Seeded { seed, sector_bytes: 512 }));
    all
}

/// What a cut after any operation of `replace` can leave besides old and new; and whether new was
/// lost after `Ok`.
fn violations(replace: Replace) -> io::Result<Vec<String>> {
    let reference = disk_with_old()?;
    replace(&reference)?;
    let mut found = Vec::new();
    for op in 0..=reference.op_count() {
        let disk = disk_with_old()?;
        disk.cut_power_at(op);
        let outcome = replace(&disk);
        for survival in survivals(&disk) {
            let bytes = disk.after_power_cut(&survival).bytes("meta");
            let old = bytes.as_deref() == Some(OLD.as_slice());
            let new = bytes.as_deref() == Some(NEW.as_slice());
            if !new && (outcome.is_ok() || !old) {
                found.push(format!("cut at {op}, {outcome:?}, {survival:?}"));
            }
        }
    }
    Ok(found)
}

#[test]
fn a_cut_anywhere_leaves_old_or_new_and_after_ok_new() {
    assert_eq!(violations(|disk| replace(disk, "meta", &NEW)).unwrap(), Vec::<String>::new());
}

#[test]
fn the_check_refuses_every_replacement_that_forgets_a_sync_or_the_temporary() {
    let without_data_sync: Replace = |disk| {
        disk.open("meta.tmp", Mode::CreateNew)?.write_all_at(0, &NEW)?;
        disk.rename("meta.tmp", "meta")?;
        disk.sync_dir("")
    };
    let without_dir_sync: Replace = |disk| {
        let file = disk.open("meta.tmp", Mode::CreateNew)?;
        file.write_all_at(0, &NEW)?;
        file.sync_data()?;
        disk.rename("meta.tmp", "meta")
    };
    let in_place: Replace = |disk| {
        let file = disk.open("meta", Mode::Write)?;
        file.write_all_at(0, &NEW)?;
        file.sync_data()
    };
    for broken in [without_data_sync, without_dir_sync, in_place] {
        assert!(!violations(broken).unwrap().is_empty());
    }
}

#[test]
fn a_failure_anywhere_is_reported_and_leaves_old_or_new() {
    let ops = [
        FaultOp::Open,
        FaultOp::Write,
        FaultOp::SyncData,
        FaultOp::Rename,
        FaultOp::SyncDir,
        FaultOp::Remove,
    ];
    for op in ops {
        for kind in [FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortWrite(700)] {
            let disk = disk_with_old().unwrap();
            let name_contains = String::new();
            disk.plan(Fault { op, name_contains, nth: 0, kind, forever: false });
            let error = replace(&disk, "meta", &NEW).unwrap_err();
            assert!(matches!(error.raw_os_error(), Some(5 | 28)), "{op:?} {kind:?}");
            let seen = disk.bytes("meta").unwrap();
            let expected = if op == FaultOp::SyncDir { &NEW[..] } else { &OLD[..] };
            assert!(seen == expected, "{op:?} {kind:?}");
            let mut left = BTreeSet::new();
            for survival in survivals(&disk) {
                left.insert(disk.after_power_cut(&survival).bytes("meta").unwrap());
            }
            assert!(left.iter().all(|it| it == &OLD || it == &NEW), "{op:?} {kind:?}");
            replace(&disk, "meta", &NEW).unwrap();
            assert_eq!(disk.list("").unwrap(), ["meta"]);
        }
    }
}

#[test]
fn a_full_disk_keeps_the_old_content_and_its_space() {
    let disk = disk_with_old().unwrap();
    disk.set_free_bytes(Some(1000));
    assert_eq!(replace(&disk, "meta", &NEW).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.bytes("meta").unwrap(), OLD);
    assert_eq!(disk.free_bytes().unwrap(), Some(1000), "the temporary is gone");
}
