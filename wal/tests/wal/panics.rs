//! A panic in somebody else's code costs no frame that was confirmed, and nobody waits for ever.
//! Method: a disk that panics within a write or sync; visitors that panic; then others wait, append, read.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::{ErrorKind, Log, Lsn, Options, Preparation};

use super::scenario::{
    OPTIONS, bodies, body, fill_segment, look, open_sim, open_with, put, queue, shared,
};
use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

/// Panics within the next write, or the next sync, of a segment; not in the log's thread.
#[derive(Debug, Default)]
struct Panics {
    in_write: AtomicBool,
    in_sync: AtomicBool,
}

impl Hook for Panics {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        if thread::current().name() == Some("onceward-log") {
            return Ok(());
        }
        let armed = match call.operation {
            Operation::Write(_) if call.name.starts_with("log/") => &self.in_write,
            Operation::SyncData if call.name.starts_with("log/") => &self.in_sync,
            _ => return Ok(()),
        };
        assert!(!armed.swap(false, Ordering::SeqCst), "planned");
        Ok(())
    }
}

/// What `work` returns, which must not take a minute.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let worker = thread::spawn(move || done.send(work()).unwrap_or_default());
    let result = result.recv_timeout(Duration::from_secs(60));
    let result = result.expect("somebody waits for ever, or panicked");
    worker.join().unwrap();
    result
}

/// A log on a disk that will panic.
fn log(preparation: Preparation) -> (Log, SimVfs, Arc<Panics>) {
    let disk = SimVfs::new();
    let panics = Arc::<Panics>::default();
    let vfs = hooked(shared(&disk), &panics);
    let log = open_with(&vfs, Options { preparation, ..OPTIONS }).unwrap().0;
    put(&log, b"kept").unwrap();
    (log, disk, panics)
}

/// D26.
#[test]
fn a_panic_of_who_writes_for_others_is_an_answer_to_all() {
    for in_sync in [false, true] {
        let (log, disk, panics) = log(Preparation::OnDemand);
        let mine = queue(&log, &[body(1, 50)]).unwrap().last;
        let armed = if in_sync { &panics.in_sync } else { &panics.in_write };
        armed.store(true, Ordering::SeqCst);
        catch_unwind(AssertUnwindSafe(|| log.wait(mine))).unwrap_err();
        let answers = soon(move || {
            let waited = log.wait(mine).unwrap_err();
            let put = put(&log, b"refused").unwrap_err();
            let polled = log.poll(mine).unwrap().unwrap_err();
            let marked = log.mark().unwrap_err();
            let trimmed = log.trim(1).unwrap_err();
            let closed = log.close().unwrap_err();
            assert!(waited.in_doubt() && polled.in_doubt());
            [waited, put, polled, marked, trimmed, closed].map(|error| error.kind())
        });
        assert_eq!(answers, [ErrorKind::Poisoned; 6], "in a sync: {in_sync}");
        assert_eq!(bodies(&disk.after_power_cut(&Survival::Nothing)), [b"kept".to_vec()]);
        put(&open_sim(&disk.after_kill()), b"next").unwrap();
    }
}

/// D26: many wait when one panics.
#[test]
fn nobody_waits_for_ever_for_a_writer_that_panicked() {
    let (log, disk, panics) = log(Preparation::InBackground);
    let log = Arc::new(log);
    panics.in_sync.store(true, Ordering::SeqCst);
    let threads: Vec<_> = (0..8)
        .map(|seed| {
            let log = Arc::clone(&log);
            thread::spawn(move || put(&log, &body(seed, 50)))
        })
        .collect();
    let told = soon(move || threads.into_iter().map(thread::JoinHandle::join).collect());
    let told: Vec<thread::Result<_>> = told;
    let refused = |told: &thread::Result<Result<Lsn, onceward_wal::Error>>| matches!(told, Ok(Err(error)) if error.kind() == ErrorKind::Poisoned);
    // It panicked in one of them.
    assert!(told.iter().filter(|told| !refused(told)).count() <= 1, "{told:?}");
    assert!(log.poll(Lsn::from_u64(1).unwrap()).unwrap().is_ok(), "what was confirmed still is");
    soon(move || drop(log));
    assert_eq!(bodies(&disk.after_kill())[0], b"kept");
}

/// D26.
#[test]
fn a_panic_of_a_visitor_leaves_the_log_as_it_was() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    fill_segment(&log);
    put(&log, b"last").unwrap();
    let visit = AssertUnwindSafe(|| log.read_segment(1, &mut |_| panic!("planned")));
    catch_unwind(visit).unwrap_err();
    let mut frames = 0;
    log.read_segment(1, &mut |_| frames += 1).unwrap();
    assert!(frames > 3);
    let examine = AssertUnwindSafe(|| onceward_wal::examine(&disk, &mut |_| panic!("planned")));
    catch_unwind(examine).unwrap_err();
    put(&log, b"more").unwrap();
    log.trim(1).unwrap();
    log.close().unwrap();
    assert!(look(&disk).unwrap().unwrap().0.report().clean);
}

#[test]
fn whoever_comes_to_a_poisoned_log_is_told_at_once() {
    let (log, _disk, panics) = log(Preparation::OnDemand);
    panics.in_write.store(true, Ordering::SeqCst);
    catch_unwind(AssertUnwindSafe(|| put(&log, b"lost"))).unwrap_err();
    let last = Lsn::from_u64(log.synced()).unwrap();
    soon(move || {
        log.wait(last).unwrap();
        let reader = log.read_from(last.next().unwrap()).unwrap();
        assert!(!reader.wait(Duration::from_secs(3600)), "there is nothing more");
        assert_eq!(queue(&log, &[body(1, 5)]).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    });
}
