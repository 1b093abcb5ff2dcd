//! Where a power cut may damage the whole block around a write, commits with blocks of their own lose nothing,
//! also not while the log is opened.
//! Method: each operation of an opening as the last one before a cut, on a sound disk and on one that damages
//! every block it was writing.

use onceward_vfs::{Medium, Overwrite, SimVfs, Survival};
use onceward_wal::{Alignment, Log, Options};

use super::scenario::{OPTIONS, body, found, host, open_in_boot, put, shared};

const BLOCK: Options = Options { alignment: Alignment::Block, ..OPTIONS };

/// Opens the log; where the power was cut, the machine is in another boot.
fn open_block(disk: &SimVfs, boot: u8) -> Log {
    open_in_boot(&shared(disk), BLOCK, boot).unwrap().0
}

/// A log of blocks of their own with three frames, on such a disk, and everything on it durable.
fn three(overwrite: Overwrite) -> SimVfs {
    let disk = SimVfs::new();
    disk.set_medium(Medium { overwrite, ..Medium::default() });
    let log = open_block(&disk, 1);
    for seed in 1..=3 {
        put(&log, &body(seed, 50)).unwrap();
    }
    drop(log);
    disk.after_power_cut(&Survival::Nothing)
}

/// The disks that a cut at each operation of an opening leaves.
fn cut_while_opened(disk: &SimVfs, boot: u8) -> Vec<SimVfs> {
    let whole = disk.after_kill();
    drop(open_block(&whole, boot));
    let cut_at = |op: &u64| {
        let cut = disk.after_kill();
        cut.cut_power_at(op + 1);
        drop(open_in_boot(&shared(&cut), BLOCK, boot));
        cut.after_power_cut(&Survival::Nothing)
    };
    let ops = whole.changing_ops();
    assert!(ops.len() > 5, "control: {ops:?}");
    ops.iter().map(cut_at).collect()
}

/// Three frames and no damage.
fn check(disk: &SimVfs, what: &str) {
    let (report, seen) = found(disk);
    assert_eq!((report.damage, host(&seen).len()), (vec![], 3), "{what}");
    drop(open_block(&disk.after_kill(), 9));
}

/// One cut while the log is opened.
fn check_after_cuts(overwrite: Overwrite) {
    for (number, disk) in cut_while_opened(&three(overwrite), 2).iter().enumerate() {
        check(disk, &format!("cut {number}"));
    }
}

/// Every state of `meta` after one cut, then another.
fn check_after_two_cuts(overwrite: Overwrite) {
    for (number, disk) in cut_while_opened(&three(overwrite), 2).iter().enumerate() {
        if found(disk).1.len() < 4 {
            continue;
        }
        for (again, disk) in cut_while_opened(disk, 3).iter().enumerate() {
            let (report, _) = found(disk);
            let of_meta = report.damage.iter().any(|damage| damage.file == "meta");
            assert!(!of_meta, "cut {number}, then {again}: {:?}", report.damage);
        }
    }
}

/// A log that was closed in order, then opened and written.
fn check_after_closing(overwrite: Overwrite) {
    let disk = three(overwrite);
    open_block(&disk, 2).close().unwrap();
    let log = open_block(&disk, 2);
    put(&log, b"more").unwrap();
    log.mark().unwrap();
    drop(log);
    let disk = disk.after_power_cut(&Survival::Everything);
    assert_eq!(found(&disk).0.damage, [], "control");
    for (number, cut) in cut_while_opened(&disk, 3).iter().enumerate() {
        let (report, _) = found(cut);
        assert_eq!(report.damage, [], "cut {number}");
    }
}

#[test]
fn on_a_sound_disk_a_cut_while_the_log_is_opened_costs_nothing() {
    check_after_cuts(Overwrite::Safe);
    check_after_two_cuts(Overwrite::Safe);
    check_after_closing(Overwrite::Safe);
}

/// D7.
#[test]
fn a_cut_while_the_log_is_opened_costs_no_confirmed_frame() {
    check_after_cuts(Overwrite::DamagesEveryBlock);
}

/// D7.
#[test]
fn two_cuts_while_the_log_is_opened_leave_a_valid_meta() {
    check_after_two_cuts(Overwrite::DamagesEveryBlock);
}

/// D7.
#[test]
fn a_cut_while_a_log_that_was_closed_once_is_opened_is_not_taken_for_damage() {
    check_after_closing(Overwrite::DamagesEveryBlock);
}
