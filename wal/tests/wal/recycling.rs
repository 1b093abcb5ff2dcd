//! The file of a trimmed segment serves again, and nothing of what it held before is ever found.
//! Method: small logs whose frames stand at the same places in both lives of a file; cuts at every
//! byte; a reader between whose reads the writer trims, recycles and overwrites.

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::Log;

use super::between::with_work_between;
use super::scenario::{
    Seen, body, fill_segment, found, host, look, open_sim, put, queue, segment, shared,
};

/// A log whose third segment is in use, and whose first one was full of frames of one size.
fn three(disk: &SimVfs) -> Log {
    let log = open_sim(disk);
    while log.segments().len() < 2 {
        put(&log, &body(1, 20_000)).unwrap();
    }
    fill_segment(&log);
    assert_eq!(log.segments().len(), 3, "control");
    log
}

/// The same, its first file recycled and begun as the fifth segment.
fn recycled(disk: &SimVfs) -> Log {
    let log = three(disk);
    log.trim(1).unwrap();
    while log.segments().last().unwrap().number < 5 {
        put(&log, &body(1, 20_000)).unwrap();
    }
    log
}

fn crc(from: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(from);
    hasher.update(bytes);
    hasher.finalize()
}

/// Whether a right header of a frame of segment `number` stands at `offset`.
fn has_frame(bytes: &[u8], number: u64, offset: usize) -> bool {
    let salt = crc(crc(0, &super::scenario::STORE), &number.to_le_bytes());
    crc(salt, &bytes[offset + 4..offset + 30]).to_le_bytes() == bytes[offset..offset + 4]
}

#[test]
fn trimming_unlists_renames_syncs_and_lists_again_without_filling() {
    let disk = SimVfs::new();
    let log = three(&disk);
    let from = disk.trace().len();
    log.trim(1).unwrap();
    let steps = disk.trace().split_off(from);
    let calls: Vec<&str> = steps
        .iter()
        .map(|step| step.split(' ').nth(1).unwrap())
        .filter(|call| !["open", "len", "read"].contains(call))
        .collect();
    let expected = ["write", "sync_data", "rename", "sync_dir", "write", "sync_data"];
    assert_eq!(calls, expected, "{steps:?}");
    assert!(!disk.exists(&segment(1)).unwrap());
    assert!(disk.exists(&segment(5)).unwrap());
    assert!(has_frame(&disk.bytes(&segment(5)).unwrap(), 1, 4096), "control: not filled");
}

/// T6, T7.
#[test]
fn a_frame_of_the_files_earlier_life_right_behind_the_tail_is_not_adopted() {
    let disk = SimVfs::new();
    let log = recycled(&disk);
    let mut controls = 0;
    for seed in 0..5 {
        put(&log, &body(seed, 20_000)).unwrap();
        let (report, seen) = found(&disk);
        let last = seen.last().unwrap();
        let end = usize::try_from(last.place.offset).unwrap() + last.bytes;
        let bytes = disk.bytes(&segment(5)).unwrap();
        controls += usize::from(has_frame(&bytes, 1, end));
        assert_eq!((report.damage, report.torn_bytes), (vec![], 0), "{seed}");
        assert_eq!(last.body, body(seed, 20_000));
    }
    assert!(controls > 0, "control: old frames stand at the same places");
    drop(log);
    let before = found(&disk).1;
    let disk = disk.after_kill();
    drop(open_sim(&disk));
    assert_eq!(found(&disk).1, before);
}

#[test]
fn at_every_cut_of_a_commit_over_old_frames_it_is_whole_or_absent() {
    let disk = SimVfs::new();
    let log = recycled(&disk);
    put(&log, b"kept").unwrap();
    let (_, before) = found(&disk);
    let last = queue(&log, &[body(7, 300), body(8, 900), body(9, 20)]).unwrap().last;
    // The power goes between the write and the sync.
    disk.cut_power_at(disk.op_count() + 1);
    log.wait(last).unwrap_err();
    let (count, size) = disk.unsynced_writes()[0];
    let check = |survival: &Survival| {
        let cut = disk.after_power_cut(survival);
        let (report, seen) = found(&cut);
        assert_eq!(report.damage, [], "{survival:?}");
        assert_eq!(seen[..before.len()], before, "{survival:?}");
        let more = seen.len() - before.len();
        assert!(more == 0 || more == 3, "{survival:?}: {more}");
        let log = open_sim(&cut);
        put(&log, b"next").unwrap();
        let (report, after) = found(&cut.after_power_cut(&Survival::Nothing));
        assert_eq!((report.damage, after.len()), (vec![], seen.len() + 2), "{survival:?}");
        more
    };
    let mut outcomes = BTreeSet::new();
    for bytes in (0..size).step_by(3).chain([size - 1, size]) {
        outcomes.insert(check(&Survival::Torn { whole: count, bytes }));
    }
    for kept in 0..16 {
        outcomes.insert(check(&Survival::Pieces { kept, sector_bytes: 512 }));
    }
    assert_eq!(outcomes, BTreeSet::from([0, 3]), "control: both happened");
}

/// T5: also where an older segment stays, so that a missing one would be damage.
#[test]
fn a_crash_at_any_step_of_recycling_leaves_a_log_that_goes_on_and_recycles() {
    for number in [1, 2] {
        let whole = SimVfs::new();
        let log = three(&whole);
        let first = whole.op_count();
        log.trim(number).unwrap();
        for step in 0..=whole.op_count() - first {
            cut_in_trimming(number, step);
        }
    }
}

/// Trims a segment until the power goes at a step of that.
fn cut_in_trimming(number: u64, step: u64) {
    let disk = SimVfs::new();
    let log = three(&disk);
    let (_, before) = found(&disk);
    disk.cut_power_at(disk.op_count() + step);
    drop(log.trim(number));
    drop(log);
    let mut survivals = vec![Survival::Nothing, Survival::Everything];
    survivals.extend((0..6).map(|seed| Survival::Seeded { seed, sector_bytes: 512 }));
    for survival in survivals {
        let context = format!("segment {number}, step {step}, {survival:?}");
        let cut = disk.after_power_cut(&survival);
        let log = open_sim(&cut);
        let (report, seen) = found(&cut);
        assert_eq!(report.damage, [], "{context}");
        let others = |seen: &[Seen]| -> Vec<Seen> {
            seen.iter().filter(|frame| frame.place.segment != number).cloned().collect()
        };
        assert_eq!(others(&seen), others(&before), "{context}");
        fill_segment(&log);
        let oldest = log.segments()[0].number;
        log.trim(oldest).unwrap();
        (0..3).for_each(|_| fill_segment(&log));
        log.close().unwrap();
        let (report, _) = found(&cut);
        assert_eq!((report.damage, report.clean), (vec![], true), "{context}");
        assert!(cut.list("quarantine").unwrap().is_empty(), "{context}");
    }
}

#[test]
fn a_segment_that_is_being_read_is_not_used_again() {
    let disk = SimVfs::new();
    let log = three(&disk);
    let mut lsns = Vec::new();
    log.read_segment(1, &mut |frame| {
        if lsns.is_empty() {
            log.trim(1).unwrap();
        }
        lsns.push(frame.lsn.get());
    })
    .unwrap();
    assert!(lsns.len() > 5, "control");
    assert!(!disk.exists(&segment(1)).unwrap() && !disk.exists(&segment(5)).unwrap());
    assert!(!disk.trace().iter().any(|step| step.contains("rename log/")));
    log.trim(2).unwrap();
    assert!(disk.trace().iter().any(|step| step.contains("rename log/")), "control");
}

/// What a writer does between two reads of somebody else.
type Work = fn(&Log);

/// A reader without the lock, with the writer's work before its `nth` call of the disk. `false` once
/// it makes fewer.
fn read_with(work: Work, nth: u64) -> bool {
    let disk = SimVfs::new();
    let log = three(&disk);
    let (_, before) = found(&disk);
    let (result, done) = with_work_between(shared(&disk), nth, |vfs| look(&*vfs), || work(&log));
    let (examined, seen) = result.unwrap().unwrap();
    assert_eq!(examined.report().damage, [], "call {nth}");
    let all = host(&found(&disk).1);
    let known: Vec<Seen> = host(&before).into_iter().chain(all).collect();
    let shown = host(&seen);
    for frame in &shown {
        assert!(known.contains(frame), "call {nth}: LSN {} is another frame", frame.lsn);
    }
    // As of some moment: no hole, and nothing missing that was there all the time.
    let lsns: Vec<u64> = seen.iter().map(|frame| frame.lsn).collect();
    assert!(lsns.windows(2).all(|w| w[0] + 1 == w[1]), "call {nth}: {lsns:?}");
    let last = before.last().unwrap().lsn;
    assert!(lsns.contains(&last), "call {nth}: {last} is missing");
    log.close().unwrap();
    done
}

#[test]
fn a_reader_without_the_lock_never_takes_recycling_for_damage() {
    let works: [Work; 4] = [
        |log| log.trim(1).unwrap(),
        |log| {
            log.trim(1).unwrap();
            fill_segment(log);
            fill_segment(log);
            put(log, &body(5, 30_000)).unwrap();
        },
        |log| {
            log.trim(1).unwrap();
            log.trim(2).unwrap();
            (0..5).for_each(|_| fill_segment(log));
            (0..3).for_each(|seed| drop(put(log, &body(seed, 70_000))));
        },
        |log| {
            fill_segment(log);
            fill_segment(log);
            put(log, b"more").unwrap();
        },
    ];
    for (which, work) in works.into_iter().enumerate() {
        let calls = (0..).take_while(|nth| read_with(work, *nth)).count();
        assert!(calls > 15, "control: {calls} calls with work {which}");
    }
}

#[test]
fn a_reader_through_many_recyclings_sees_no_damage() {
    let disk = SimVfs::new();
    let log = three(&disk);
    let reader: Arc<dyn Vfs> = shared(&disk);
    std::thread::scope(|scope| {
        let log = &log;
        let writer = scope.spawn(move || {
            for seed in 0..150 {
                put(log, &body(seed, 60_000)).unwrap();
                let infos = log.segments();
                if infos.len() > 2 {
                    log.trim(infos[0].number).unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let (report, seen) = found(&*reader);
            assert_eq!(report.damage, []);
            assert!(seen.windows(2).all(|w| w[0].lsn < w[1].lsn));
        }
    });
    let renames = disk.trace().iter().filter(|step| step.contains("rename log/")).count();
    assert!(renames > 20, "control: {renames}");
}
