//! No frame meets a block that was never written, and only the blocks that are needed soon are filled with zeros.
//! Method: a disk that notes, of each file, which blocks were written and synced; on simulated and on real files,
//! with and without the log's thread, through crashes, openings and files that are used again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};
use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, OsVfs, SimVfs, Survival, Vfs};
use onceward_wal::{ErrorKind, Log, Options, Preparation};

use super::scenario::{
    OPTIONS, bodies, body, fault, fill_segment, found, host, look, open_with, put, queue, segment,
    shared,
};

const BLOCK_BYTES: u64 = 4096;
const BACKGROUND: Options = Options { preparation: Preparation::InBackground, ..OPTIONS };

/// The blocks of one file.
#[derive(Clone, Debug, Default)]
struct Blocks {
    /// Zeros that are not synced.
    pending: BTreeSet<u64>,
    /// Blocks that were written and synced.
    written: BTreeSet<u64>,
}

/// What was written of each segment's file.
#[derive(Debug, Default)]
struct Written {
    files: Mutex<BTreeMap<String, Blocks>>,
    /// Writes of frames that met other blocks.
    met: Mutex<Vec<String>>,
    /// Zeros.
    zeros: Mutex<u64>,
    /// The file system takes no space without writing there.
    cannot_allocate: AtomicBool,
}

fn blocks(offset: u64, bytes: u64) -> std::ops::Range<u64> {
    offset / BLOCK_BYTES..(offset + bytes).div_ceil(BLOCK_BYTES)
}

impl Hook for Written {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        if !call.name.starts_with("log/") {
            return Ok(());
        }
        let mut files = self.files.lock().unwrap();
        if matches!(call.operation, Operation::Open(Mode::Write)) && !files.contains_key(call.name)
        {
            // One that was used before, under its new name.
            let moved = files.remove("moved").unwrap_or_default();
            files.insert(call.name.to_owned(), moved);
        }
        let file = files.entry(call.name.to_owned()).or_default();
        match call.operation {
            Operation::Allocate(_) if self.cannot_allocate.load(Ordering::SeqCst) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Operation::FillZeros(bytes) => file.written.extend(blocks(0, bytes)),
            Operation::Write(bytes) => {
                let bytes = u64::try_from(bytes.len()).unwrap();
                let mut touched = blocks(call.offset, bytes);
                if touched.any(|block| !file.written.contains(&block)) {
                    let met = format!("{} at {}, {bytes} bytes", call.name, call.offset);
                    self.met.lock().unwrap().push(met);
                }
            }
            Operation::Rename => {
                let moved = std::mem::take(file);
                files.insert("moved".to_owned(), moved);
            }
            _ => {}
        }
        Ok(())
    }

    fn after(&self, call: &DiskCall<'_>) {
        let mut files = self.files.lock().unwrap();
        let Some(file) = files.get_mut(call.name) else { return };
        match call.operation {
            Operation::WriteZeros(bytes) => {
                file.pending.extend(blocks(call.offset, bytes));
                *self.zeros.lock().unwrap() += bytes;
            }
            Operation::SyncData => {
                let pending = std::mem::take(&mut file.pending);
                file.written.extend(pending);
            }
            _ => {}
        }
    }
}

impl Written {
    fn over(inner: Arc<dyn Vfs>) -> (Arc<dyn Vfs>, Arc<Self>) {
        let written = Arc::default();
        (hooked(inner, &written), written)
    }

    fn zeros(&self) -> u64 {
        *self.zeros.lock().unwrap()
    }

    fn none_met(&self, context: &str) {
        assert_eq!(*self.met.lock().unwrap(), Vec::<String>::new(), "{context}");
    }
}

/// Writes of all sizes through several segments, some of which are used again.
fn work(log: &Log) {
    for seed in 0..40 {
        let bytes = [10, 3000, 70_000, 200, 130_000][usize::try_from(seed % 5).unwrap()];
        put(log, &body(seed, bytes)).unwrap();
        queue(log, &[body(seed, 20), body(seed, 5000)]).unwrap();
        if seed % 4 == 0 {
            log.mark().unwrap();
        }
        let infos = log.segments();
        if seed > 15 && infos.len() > 2 {
            log.trim(infos[0].number).unwrap();
        }
    }
}

#[test]
fn no_frame_meets_a_block_that_was_never_written() {
    for cannot_allocate in [false, true] {
        for options in [OPTIONS, BACKGROUND] {
            let context = format!("{options:?}, cannot allocate: {cannot_allocate}");
            let dir = tempfile::tempdir().unwrap();
            let (vfs, written) = Written::over(Arc::new(OsVfs::open(dir.path()).unwrap()));
            written.cannot_allocate.store(cannot_allocate, Ordering::SeqCst);
            for segment_bytes in [OPTIONS.segment_bytes, 4 * OPTIONS.segment_bytes] {
                let (log, report, _) =
                    open_with(&vfs, Options { segment_bytes, ..options }).unwrap();
                assert_eq!(report.damage, [], "{context}");
                work(&log);
                log.close().unwrap();
                written.none_met(&context);
            }
            assert!(written.zeros() > 0 || cannot_allocate, "control: {context}");
            assert_eq!(found(&*vfs).0.damage, [], "{context}");
        }
    }
}

#[test]
fn after_a_power_cut_the_rest_of_the_segment_is_filled_anew() {
    for survival in
        [Survival::Nothing, Survival::Everything, Survival::Seeded { seed: 5, sector_bytes: 512 }]
    {
        let mut disk = SimVfs::new();
        let mut stored = 0;
        for round in 0..6 {
            // What was written before is forgotten, but for the frames: as if a file system had lost all other blocks.
            let (vfs, written) = Written::over(shared(&disk));
            for frame in look(&disk).unwrap().map(|(_, seen)| seen).into_iter().flatten() {
                let end = u64::from(frame.place.offset) + u64::try_from(frame.bytes).unwrap();
                let mut files = written.files.lock().unwrap();
                let file = files.entry(segment(frame.place.segment)).or_default();
                file.written.extend(blocks(0, end));
            }
            let (log, report, seen) = open_with(&vfs, OPTIONS).unwrap();
            assert_eq!((report.damage.len(), host(&seen).len()), (0, stored), "{survival:?}");
            for seed in 0..=round {
                put(&log, &body(seed, 30_000)).unwrap();
                stored += 1;
            }
            written.none_met(&format!("{survival:?}, {round}"));
            drop(log);
            disk = disk.after_power_cut(&survival);
        }
    }
}

#[test]
fn a_new_log_takes_its_space_and_writes_little_of_it() {
    const LARGE: u64 = 64 << 20;
    for preparation in [Preparation::OnDemand, Preparation::InBackground] {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, written) = Written::over(Arc::new(OsVfs::open(dir.path()).unwrap()));
        let options = Options { segment_bytes: LARGE, reserve: 2, preparation, ..OPTIONS };
        let (log, ..) = open_with(&vfs, options).unwrap();
        put(&log, b"one").unwrap();
        let files = if preparation == Preparation::OnDemand { 3 } else { 4 };
        while log.file_bytes() < files * LARGE {
            thread::yield_now();
        }
        log.close().unwrap();
        let zeros = written.zeros();
        assert!((BLOCK_BYTES..=6 << 20).contains(&zeros), "{zeros} with {preparation:?}");
        written.none_met("one");
    }
}

/// Whether zeros are written, or synced.
fn fails_in_zeros(nth: u64, op: FaultOp, kind: FaultKind) -> (SimVfs, Log) {
    let disk = SimVfs::new();
    let (log, ..) = open_with(&shared(&disk), OPTIONS).unwrap();
    put(&log, &body(1, 1000)).unwrap();
    disk.plan(Fault { nth, ..fault(op, "log/", kind) });
    (disk, log)
}

#[test]
fn zeros_that_find_the_disk_full_leave_the_commit_absent_and_the_log_goes_on() {
    let (disk, log) = fails_in_zeros(0, FaultOp::Write, FaultKind::Enospc);
    let refused = put(&log, &body(2, 90_000)).unwrap_err();
    assert_eq!((refused.kind(), refused.in_doubt()), (ErrorKind::Full, false), "{refused}");
    assert!(disk.trace().iter().any(|it| it.contains("zeros log/") && it.ends_with("(ENOSPC)")));
    assert_eq!(bodies(&disk).len(), 1);
    put(&log, &body(3, 90_000)).unwrap();
    assert_eq!(bodies(&disk.after_power_cut(&Survival::Nothing)), [body(1, 1000), body(3, 90_000)]);
}

#[test]
fn a_commit_whose_zeros_fail_is_surely_absent() {
    for (op, kind) in [(FaultOp::Write, FaultKind::Eio), (FaultOp::SyncData, FaultKind::Eio)] {
        let (disk, log) = fails_in_zeros(0, op, kind);
        let refused = put(&log, &body(2, 90_000)).unwrap_err();
        assert_eq!((refused.kind(), refused.in_doubt()), (ErrorKind::Poisoned, false), "{refused}");
        assert_eq!(put(&log, b"more").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(bodies(&disk.after_power_cut(&Survival::Everything)), [body(1, 1000)]);
        let (log, report, _) = open_with(&shared(&disk.after_kill()), OPTIONS).unwrap();
        assert_eq!((report.damage, report.torn_bytes), (vec![], 0));
        put(&log, &body(3, 90_000)).unwrap();
    }
}

/// Fails each sync of the log's thread.
#[derive(Debug)]
struct Failing;

impl Hook for Failing {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let of_thread = thread::current().name() == Some("onceward-log");
        match call.operation {
            Operation::SyncData if of_thread => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_failed_sync_of_the_thread_s_zeros_poisons() {
    let disk = SimVfs::new();
    let (log, ..) = open_with(&shared(&disk), OPTIONS).unwrap();
    put(&log, b"kept").unwrap();
    log.close().unwrap();
    let (log, ..) = open_with(&hooked(shared(&disk), &Arc::new(Failing)), BACKGROUND).unwrap();
    let poisoned = loop {
        if let Some(poisoned) = log.poisoned() {
            break poisoned;
        }
        thread::yield_now();
    };
    assert!(poisoned.to_string().contains("sync zeros"), "{poisoned}");
    assert_eq!(put(&log, b"refused").unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    assert_eq!(bodies(&disk.after_kill()), [b"kept".to_vec()]);
}

/// Refuses all that the log's thread wants to make or fill, until it is armed: then the thread is held at the next
/// zeros of a file, until it may go on.
#[derive(Debug, Default)]
struct Held {
    file: String,
    is_armed: AtomicBool,
    is_there: AtomicBool,
    goes_on: AtomicBool,
    ended: AtomicBool,
    renamed_meanwhile: AtomicBool,
}

impl Hook for Held {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let of_thread = thread::current().name() == Some("onceward-log");
        match call.operation {
            Operation::Open(Mode::CreateNew) if of_thread => {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Operation::WriteZeros(_) if of_thread && !self.ended.load(Ordering::SeqCst) => {
                if call.name != self.file || !self.is_armed.load(Ordering::SeqCst) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.is_there.store(true, Ordering::SeqCst);
                while !self.goes_on.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                self.ended.store(true, Ordering::SeqCst);
            }
            Operation::Rename if call.name == self.file => {
                let meanwhile = !self.ended.load(Ordering::SeqCst);
                self.renamed_meanwhile.store(meanwhile, Ordering::SeqCst);
                self.goes_on.store(true, Ordering::SeqCst);
            }
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn a_segment_is_not_used_again_while_zeros_are_written_in_it() {
    let disk = SimVfs::new();
    let (log, ..) = open_with(&shared(&disk), Options { reserve: 0, ..OPTIONS }).unwrap();
    fill_segment(&log);
    put(&log, &body(5, 100_000)).unwrap();
    let [first, tail] = [0, 1].map(|at| log.segments()[at].number);
    log.close().unwrap();
    let held = Arc::new(Held { file: segment(tail), ..Held::default() });
    let options = Options { reserve: 0, ..BACKGROUND };
    let (log, ..) = open_with(&hooked(shared(&disk), &held), options).unwrap();
    // The only one that is prepared: it was used before, and written to its end.
    log.trim(first).unwrap();
    held.is_armed.store(true, Ordering::SeqCst);
    while !held.is_there.load(Ordering::SeqCst) {
        // The thread takes a turn, and looks again whether zeros are due.
        log.sync_soon();
        thread::yield_now();
    }
    let log = &log;
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            // Does not fit into what is left.
            put(log, &body(7, 200_000)).unwrap();
            log.trim(tail).unwrap();
        });
        while log.segments().iter().any(|it| it.number == tail) {
            thread::yield_now();
        }
        writer.join().unwrap();
        held.goes_on.store(true, Ordering::SeqCst);
    });
    assert!(!held.renamed_meanwhile.load(Ordering::SeqCst), "zeros were on their way");
    assert_eq!(bodies(&disk).last(), Some(&body(7, 200_000)));
}
