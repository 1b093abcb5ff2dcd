//! Whole frames of a torn tail are in quarantine before they are written over, on a full disk too.
//! Method: a power cut that keeps the second frame of a commit and loses the first; no free byte; each
//! operation of the opening as the last one before another cut.

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::{ErrorKind, Log, NewFrame, Options, Purpose};

use super::scenario::{
    KIND, OPTIONS, bodies, body, fill_segment, found, open_sim, open_with, put, queue, segment,
    shared,
};

const RESERVED: Options = Options { reserve: 2, ..OPTIONS };

/// A log whose torn tail has a whole frame in it, and that frame's bytes.
fn torn() -> (SimVfs, Vec<u8>) {
    let disk = SimVfs::new();
    let log = open_with(&shared(&disk), RESERVED).unwrap().0;
    put(&log, b"first").unwrap();
    let commit = queue(&log, &[body(1, 50)]).unwrap();
    let doubtful = queue(&log, &[body(2, 60)]).unwrap();
    log.wait(doubtful.last).unwrap();
    drop(log);
    let disk = disk.after_kill();
    let offset = usize::try_from(doubtful.place.offset).unwrap();
    let frame = disk.bytes(&segment(1)).unwrap()[offset..offset + 96].to_vec();
    disk.overwrite(&segment(1), u64::from(commit.place.offset), &[0; 30]);
    let (report, _) = found(&disk);
    assert_eq!((report.in_doubt, report.damage.len()), (1, 0), "control");
    (disk, frame)
}

/// Appends what may use the reserve.
fn go_on(log: &Log) {
    let frame = NewFrame { kind: KIND, flags: 0, parts: &[b"goes on"] };
    log.append(frame, 0, Purpose::Settle).unwrap();
}

/// What is kept in quarantine.
fn kept(disk: &SimVfs) -> Vec<Vec<u8>> {
    let files = disk.list("quarantine").unwrap_or_default();
    let files = files.iter().filter(|file| file.ends_with(".frames"));
    files.map(|file| disk.bytes(&format!("quarantine/{file}")).unwrap()).collect()
}

#[test]
fn on_a_full_disk_a_prepared_segment_gives_its_room() {
    let (disk, frame) = torn();
    disk.set_free_bytes(Some(0));
    let log = open_with(&shared(&disk), RESERVED).unwrap().0;
    assert_eq!(kept(&disk), [frame]);
    // The reserve has one less: what gives room back goes on, new events wait until it does.
    assert_eq!(put(&log, b"new").unwrap_err().kind(), ErrorKind::Full);
    go_on(&log);
    drop(log);
    let disk = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found(&disk).0.damage, []);
    assert_eq!(bodies(&disk), [b"first".to_vec(), b"goes on".to_vec()]);
    assert_eq!(kept(&disk).len(), 1);
}

#[test]
fn without_a_prepared_segment_opening_is_refused_and_nothing_is_cut() {
    let (disk, frame) = torn();
    for number in [2, 3] {
        // The reserve is gone, as if it had been used up.
        disk.remove(&segment(number)).unwrap();
    }
    disk.set_free_bytes(Some(0));
    let error = open_with(&shared(&disk), RESERVED).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(found(&disk).0.in_doubt, 1, "as it was");
    disk.set_free_bytes(None);
    drop(open_with(&shared(&disk), RESERVED).unwrap());
    assert_eq!(kept(&disk), [frame]);
}

/// T14, T20.
#[test]
fn a_crash_on_the_way_leaves_the_frames_in_the_log_or_in_quarantine() {
    let (torn, frame) = torn();
    let ops = {
        let disk = torn.after_kill();
        disk.set_free_bytes(Some(0));
        drop(open_with(&shared(&disk), RESERVED).unwrap());
        disk.changing_ops()
    };
    assert!(ops.len() > 8, "control: {ops:?}");
    for op in ops {
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::Seeded { seed: op, sector_bytes: 512 },
        ] {
            let what = format!("cut at operation {op}, {survival:?}");
            let disk = torn.after_kill();
            disk.set_free_bytes(Some(0));
            disk.cut_power_at(op);
            drop(open_with(&shared(&disk), RESERVED).map(drop));
            let disk = disk.after_power_cut(&survival);
            let in_log = found(&disk).0.in_doubt == 1;
            let holds = |disk: &SimVfs| kept(disk).iter().any(|k| k.starts_with(&frame));
            assert!(in_log || holds(&disk), "{what}");
            disk.set_free_bytes(Some(0));
            let log = open_with(&shared(&disk), RESERVED).unwrap().0;
            assert!(holds(&disk), "{what}");
            go_on(&log);
            drop(log);
            let disk = disk.after_power_cut(&Survival::Nothing);
            assert_eq!(found(&disk).0.damage, [], "{what}");
            assert_eq!(bodies(&disk).len(), 2, "{what}");
        }
    }
}

/// A log whose reserve is used up can still be closed in order: no mark is needed for that.
#[test]
fn a_full_disk_without_room_for_a_mark_does_not_keep_a_log_from_closing() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"first").unwrap();
    fill_segment(&log);
    disk.set_free_bytes(Some(0));
    let mut count = 2;
    for bytes in [200_000, 20_000, 2_000, 200, 20, 1] {
        let body = body(1, bytes);
        let frame = NewFrame { kind: KIND, flags: 0, parts: &[&body] };
        while log.append(frame, 0, Purpose::Settle).is_ok() {
            count += 1;
        }
    }
    let ticket = queue(&log, &[vec![1]]);
    assert_eq!(ticket.unwrap_err().kind(), ErrorKind::Full, "control: no room at all");
    log.close().unwrap();
    let (report, _) = found(&disk);
    assert!(report.clean && report.damage.is_empty(), "{report:?}");
    assert!(bodies(&disk).len() >= count, "{}", bodies(&disk).len());
    drop(open_sim(&disk.after_kill()));
}
