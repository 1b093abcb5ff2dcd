//! Who follows a log without its lock is shown every frame once, in order, and none that a power cut could
//! take back.
//! Method: at every operation of a writer, what is shown is held against what would survive; writers that
//! roll, trim and recycle beside a follower; what an idle look costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use onceward_vfs::{FaultKind, FaultOp, SimVfs, Survival, Vfs};
use onceward_wal::{ErrorKind, Followed, Follower, Options, Preparation};

use super::between::with_work_between;
use super::scenario::{
    OPTIONS, body, fault, fill_segment, found, host, open, open_sim, open_with, put, queue,
    segment, shared,
};
use super::stops::Stops;
use super::told::{Script, Step, Told};

/// LSNs that are new, and what else the look found.
fn look(follower: &mut Follower, vfs: &dyn Vfs) -> (Vec<u64>, Followed) {
    let mut lsns = Vec::new();
    let followed = follower.look(vfs, &mut |frame| lsns.push(frame.lsn.get())).unwrap();
    (lsns, followed.unwrap())
}

#[test]
fn where_there_is_no_log_nothing_is_shown() {
    assert_eq!(Follower::default().look(&SimVfs::new(), &mut |_| {}).unwrap(), None);
}

#[test]
fn a_frame_is_shown_once_and_only_when_it_is_proven() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    let mut follower = Follower::default();
    put(&log, b"one").unwrap();
    assert_eq!(look(&mut follower, &disk).0, [], "nothing says that it was synced");
    put(&log, b"two").unwrap();
    assert_eq!(look(&mut follower, &disk).0, [1, 2]);
    assert_eq!(look(&mut follower, &disk).0, []);
    log.mark().unwrap();
    assert_eq!(look(&mut follower, &disk).0, [3]);
    queue(&log, &[body(1, 10)]).unwrap();
    log.wait(queue(&log, &[body(2, 10)]).unwrap().last).unwrap();
    log.mark().unwrap();
    let (lsns, followed) = look(&mut follower, &disk);
    assert_eq!((lsns, followed.skipped), (vec![4, 5, 6], 0), "the mark too");
    assert_eq!(follower.shown(), 6);
}

#[test]
fn where_nothing_was_written_a_look_is_one_small_read() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    log.mark().unwrap();
    let mut follower = Follower::default();
    assert_eq!(look(&mut follower, &disk).0, [1, 2]);
    let before = disk.op_count();
    assert_eq!(look(&mut follower, &disk), (vec![], Followed::default()));
    assert!(disk.op_count() - before <= 2, "{:?}", disk.trace());
    put(&log, b"two").unwrap();
    log.mark().unwrap();
    assert_eq!(look(&mut follower, &disk).0, [3, 4], "and the mark before it");
}

#[test]
fn what_was_taken_back_for_want_of_space_is_not_waited_for() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    log.mark().unwrap();
    let mut follower = Follower::default();
    look(&mut follower, &disk);
    disk.plan(fault(FaultOp::Write, ".seg", FaultKind::Enospc));
    put(&log, &body(1, 100)).unwrap_err();
    assert_eq!(look(&mut follower, &disk).0, []);
    let lsn = put(&log, b"two").unwrap();
    log.mark().unwrap();
    let (lsns, followed) = look(&mut follower, &disk);
    assert_eq!(lsns.last(), Some(&lsn.get()));
    assert_eq!((followed.skipped, followed.damage), (2, vec![]), "the mark was taken back too");
}

/// At every operation: nothing that a power cut takes back, no hole, and no damage.
#[test]
fn nothing_is_shown_that_a_power_cut_takes_back() {
    use Step::{Append, Batch, Close, Defer, Kill, Mark, Trim};
    let script = [
        Append(100),
        Defer(50),
        Batch(&[10, 2000, 30]),
        Mark,
        Append(240_000),
        Defer(20_000),
        Append(230_000),
        Trim,
        Append(100),
        Kill,
        Append(10),
        Close,
        Defer(5),
        Append(245_000),
        Append(240_000),
        Trim,
        Append(1),
        Mark,
    ];
    let (vfs, stops) = Stops::over(SimVfs::new());
    let mut host = Script::after(vfs, Told::default(), stops.journal());
    script.iter().for_each(|step| host.step(step).unwrap());
    drop(host);
    let list = stops.take();
    assert!(list.len() > 60, "control: {}", list.len());
    let mut follower = Follower::default();
    let mut shown = 0;
    for (number, stop) in list.iter().enumerate() {
        let mut lsns = Vec::new();
        let Some(followed) = follower.look(&stop.disk, &mut |f| lsns.push(f.lsn.get())).unwrap()
        else {
            continue;
        };
        assert_eq!((followed.damage, followed.skipped), (vec![], 0), "stop {number}");
        if lsns.is_empty() {
            continue;
        }
        shown += lsns.len();
        let left = stop.disk.after_power_cut(&Survival::Nothing);
        let left: Vec<u64> = found(&left).1.iter().map(|frame| frame.lsn).collect();
        assert!(lsns.iter().all(|lsn| left.contains(lsn)), "stop {number}: {lsns:?} {left:?}");
    }
    assert!(shown > 20, "control: {shown}");
}

/// T25: whatever is written between two reads of a look, a later look shows it.
#[test]
fn what_is_written_during_a_look_is_shown_by_a_later_one() {
    for nth in 0.. {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        put(&log, b"one").unwrap();
        log.mark().unwrap();
        let mut follower = Follower::default();
        let work = || {
            put(&log, b"two").unwrap();
            log.mark().unwrap();
        };
        let during = |vfs: Arc<dyn Vfs>| look(&mut follower, &*vfs).0;
        let (_, reached) = with_work_between(shared(&disk), nth, during, work);
        if !reached {
            assert!(nth > 10, "control: {nth} calls");
            return;
        }
        for _ in 0..3 {
            look(&mut follower, &disk);
        }
        // The mark behind it is proven by what comes next.
        let last = host(&found(&disk).1).last().unwrap().lsn;
        assert_eq!(follower.shown(), last, "call {nth}");
    }
}

#[test]
fn a_follower_beside_a_writer_is_shown_everything_once() {
    const FRAMES: u64 = 1_000;
    let disk = SimVfs::new();
    let options = Options { preparation: Preparation::InBackground, ..OPTIONS };
    let log = open_with(&shared(&disk), options).unwrap().0;
    let (seen, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for seed in 0..FRAMES {
                put(&log, &body(seed, 3_000)).unwrap();
                // Only what was shown, so that nothing is skipped; and not too far ahead of it.
                loop {
                    let shown = seen.load(Ordering::Acquire);
                    let old = log.segments().into_iter().find(|s| s.last_lsn < shown);
                    old.into_iter().for_each(|old| log.trim(old.number).unwrap());
                    if log.segments().len() < 4 {
                        break;
                    }
                    thread::yield_now();
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut follower = Follower::default();
        let (mut last, mut looks_left) = (0, 1_000);
        while last < log.synced() || !done.load(Ordering::Acquire) {
            let (lsns, followed) = look(&mut follower, &disk);
            assert_eq!(followed.damage, [], "after LSN {last}");
            for lsn in lsns {
                assert_eq!(lsn, last + 1, "each once, in order");
                last = lsn;
            }
            seen.store(last, Ordering::Release);
            if done.load(Ordering::Acquire) {
                // The last frame is proven by the mark of an idle writer.
                log.mark().unwrap();
                looks_left -= 1;
                assert!(looks_left > 0, "nothing more is shown after LSN {last}");
            }
            thread::yield_now();
        }
        writer.join().unwrap();
    });
    assert!(log.segments()[0].number > 3, "control: it trimmed");
}

#[test]
fn damage_is_reported_and_what_is_behind_it_is_shown() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    (0..10).for_each(|seed| drop(put(&log, &body(seed, 50))));
    fill_segment(&log);
    log.mark().unwrap();
    let victim = found(&disk).1[4].clone();
    disk.flip_bit(&segment(1), u64::from(victim.place.offset) + 33, 1);
    let mut follower = Follower::after(2);
    let (lsns, followed) = look(&mut follower, &disk);
    assert_eq!(lsns[..4], [3, 4, 6, 7]);
    assert_eq!((followed.damage.len(), followed.skipped), (1, 1));
}

/// D18, T17.
#[test]
fn an_older_state_of_the_store_is_refused() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"one").unwrap();
    log.close().unwrap();
    let backup = disk.after_kill();
    let log = open_sim(&disk);
    (0..20).for_each(|seed| drop(put(&log, &body(seed, 50))));
    let mut follower = Follower::default();
    assert!(look(&mut follower, &disk).0.len() > 15);
    let error = follower.look(&backup, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // Opened again, it goes on with numbers that the follower has seen as others.
    drop(open(&shared(&backup)).unwrap());
}
