//! A disk that takes its time, so that other threads come between, and that fails when told.

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, SimVfs, Vfs};

use crate::sync::atomic::AtomicBool;

/// What was seen of the segments' files, and what is to happen to them.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Syncs that were begun.
    pub(super) syncs: AtomicU64,
    /// This write from now on, counting from 1, stores all but its last byte, then finds the disk
    /// full.
    pub(super) full_at: AtomicU64,
    /// This write or sync from now on, counting from 1, panics.
    pub(super) panic_at: AtomicU64,
    /// Reading it is what lets others go on.
    turn: AtomicBool,
}

/// The disk.
#[derive(Debug)]
pub(super) struct SlowDisk {
    inner: SimVfs,
    control: Arc<Control>,
}

/// A file on it.
#[derive(Debug)]
struct SlowFile {
    inner: Arc<dyn File>,
    control: Arc<Control>,
    is_segment: bool,
}

impl Control {
    /// Another thread may go on here. Not a yield, which would be a reason to choose another one.
    fn pause(&self) {
        self.turn.load(Ordering::SeqCst);
    }
}

/// Counts down; whether this was the one.
pub(super) fn is_due(left: &AtomicU64) -> bool {
    let now = left.load(Ordering::SeqCst);
    left.store(now.saturating_sub(1), Ordering::SeqCst);
    now == 1
}

impl SlowDisk {
    /// Stands before `inner`.
    pub(super) fn new(inner: SimVfs) -> Self {
        Self { inner, control: Arc::default() }
    }

    /// What is to happen.
    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Does `work` between two places where others may go on.
    fn slowly<T>(&self, work: impl FnOnce(&SimVfs) -> T) -> T {
        self.control.pause();
        let done = work(&self.inner);
        self.control.pause();
        done
    }
}

impl Vfs for SlowDisk {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(name, mode)?;
        let is_segment = name.starts_with("log/");
        Ok(Arc::new(SlowFile { inner, control: Arc::clone(&self.control), is_segment }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.slowly(|disk| disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.slowly(|disk| disk.remove(name))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.slowly(|disk| disk.sync_dir(dir))
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.inner.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.inner.free_bytes()
    }
}

impl SlowFile {
    /// Panics if this operation is to. Without the hook for panics, which would take it for the end of
    /// the model.
    fn panic_if_due(&self) {
        if self.is_segment && is_due(&self.control.panic_at) {
            panic::resume_unwind(Box::new("planned"));
        }
    }
}

impl File for SlowFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.control.pause();
        self.panic_if_due();
        if self.is_segment && is_due(&self.control.full_at) {
            let most = bytes.split_last().map_or(bytes, |(_last, most)| most);
            self.inner.write_all_at(offset, most)?;
            self.control.pause();
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.inner.write_all_at(offset, bytes)?;
        self.control.pause();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_segment {
            self.control.syncs.fetch_add(1, Ordering::SeqCst);
        }
        self.control.pause();
        self.panic_if_due();
        let synced = self.inner.sync_data();
        self.control.pause();
        synced
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        self.control.pause();
        let filled = self.inner.fill_zeros(len, pace);
        self.control.pause();
        filled
    }
}
