//! An open file of the simulated disk.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    disk::{DiskState, raw},
    fault::{FaultKind, FaultOp, errno},
    image::bytes_of,
    names::FileId,
    operations::Detail,
};
use crate::{File, GroundMoved, Mode, Pace, file::fill};

/// Bytes that every interruption but the first of a call lets pass: a signal for ever must not keep it for
/// ever.
const MOVED_MIN: u64 = 1;

/// An open file.
pub(super) struct SimFile {
    /// The disk it is on.
    disk: Arc<Mutex<DiskState>>,
    /// Which file.
    file: FileId,
    /// The name by which it was opened; for the trace and for faults.
    name: String,
    /// How it was opened.
    mode: Mode,
    /// Failed syncs of the file that this handle was told of, or that were before it.
    told: AtomicU64,
}

impl SimFile {
    /// A handle, counted already, of a file with so many failed syncs.
    pub(super) fn new(
        disk: Arc<Mutex<DiskState>>,
        file: FileId,
        name: String,
        mode: Mode,
        failed_syncs: u64,
    ) -> Self {
        Self { disk, file, name, mode, told: AtomicU64::new(failed_syncs) }
    }

    /// Refuses on a handle that only reads.
    fn writable(&self) -> io::Result<()> {
        match self.mode {
            Mode::Read => Err(raw(errno::BAD_HANDLE)),
            Mode::Write | Mode::CreateNew => Ok(()),
        }
    }

    /// Refuses on a handle that only reads, and panics if the file is mapped: on a real disk the
    /// bytes would change behind a reference.
    fn changing(&self, disk: &mut DiskState) -> io::Result<()> {
        self.writable()?;
        let maps = disk.inode(self.file)?.maps;
        assert!(maps == 0, "{} is changed while it is mapped ({maps} maps)", self.name);
        self.named(disk)
    }

    /// Refuses once the name is not this file's any more.
    fn named(&self, disk: &DiskState) -> io::Result<()> {
        match disk.find_file(&self.name) {
            Ok((_, file)) if file == self.file => Ok(()),
            Ok(_) | Err(_) => Err(GroundMoved::File(self.name.clone()).into()),
        }
    }

    /// Writes all of `bytes`, traced under `label`.
    fn write_as(&self, label: &'static str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut at, mut rest) = (offset, bytes);
        let mut count_min = 0;
        loop {
            let mut disk = self.disk.lock();
            let detail = Detail::Range { offset: at, count: bytes_of(rest) };
            let fault = disk.operations.start((label, FaultOp::Write), &self.name, detail)?;
            self.changing(&mut disk)?;
            disk.inode(self.file)?.mend(at, bytes_of(rest))?;
            let Some(kind) = fault else { return disk.write(self.file, at, rest) };
            let count = kind.moved(FaultOp::Write, count_min);
            let (piece, after) = rest.split_at(first(rest, count));
            disk.write(self.file, at, piece)?;
            if !kind.is_continued() {
                return Err(kind.error());
            }
            if after.is_empty() {
                return Ok(());
            }
            at += bytes_of(piece);
            rest = after;
            count_min = MOVED_MIN;
        }
    }

    /// Sets the length, traced under `label`.
    fn set_len_as(&self, label: &'static str, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operations.pass((label, FaultOp::Write), &self.name, Detail::Len(len))?;
        self.changing(&mut disk)?;
        disk.set_len(self.file, len)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let (mut at, mut rest, mut done) = (offset, buf, 0);
        let mut count_min = 0;
        loop {
            let mut disk = self.disk.lock();
            let detail = Detail::Range { offset: at, count: bytes_of(rest) };
            let fault = disk.operations.start(("read", FaultOp::Read), &self.name, detail)?;
            let count = fault.map_or(u64::MAX, |kind| kind.moved(FaultOp::Read, count_min));
            let (piece, after) = rest.split_at_mut(first(rest, count));
            let inode = disk.inode(self.file)?;
            inode.readable(at, bytes_of(piece))?;
            let read = inode.live.read(at, piece);
            done += read;
            match fault {
                Some(kind) if !kind.is_continued() => return Err(kind.error()),
                Some(_) if read == piece.len() && !after.is_empty() => {}
                Some(_) | None => return Ok(done),
            }
            at += bytes_of(piece);
            rest = after;
            count_min = MOVED_MIN;
        }
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_as("write", offset, bytes)
    }

    /// One operation: many small ones would be many places for a crash that leave the same.
    fn write_zeros(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.write_as("zeros", offset, &vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)])
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let len_now = self.disk.lock().inode(self.file)?.live.len();
        self.set_len_as("allocate", len.max(len_now))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let fault =
            disk.operations.start(("sync_data", FaultOp::SyncData), &self.name, Detail::None)?;
        let lies = disk.medium.lying_syncs;
        let inode = disk.inode(self.file)?;
        match fault {
            None | Some(FaultKind::Moved) if lies => {}
            None | Some(FaultKind::Moved) => inode.sync(),
            // As Linux: the pages are now clean, and not on the disk.
            Some(_) => {
                inode.pending.clear();
                inode.failed_syncs += 1;
            }
        }
        // As Linux: of a failure each handle that was open then is told once, whoever's sync it was.
        let failed = inode.failed_syncs;
        let was_told = self.told.swap(failed, Ordering::Relaxed) == failed;
        match fault {
            Some(kind) => Err(kind.error()),
            None if !was_told => Err(raw(errno::IO)),
            None => self.named(&disk),
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.operations.pass(("len", FaultOp::Look), &self.name, Detail::None)?;
        Ok(disk.inode(self.file)?.live.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_len_as("set_len", len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        let len_now = self.disk.lock().inode(self.file)?.live.len();
        if len > len_now {
            self.allocate(len)?;
        }
        fill(self, len, pace)
    }
}

/// How many of the bytes of `buf` are the first `count`.
fn first(buf: &[u8], count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(buf.len())
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Ok(inode) = self.disk.lock().inode(self.file) {
            inode.handles = inode.handles.saturating_sub(1);
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("name", &self.name).field("mode", &self.mode).finish()
    }
}
