//! A disk that counts syncs, and can run full in the middle of a write.
//! Method: passes everything on to another disk.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, Vfs};

/// What was seen and what is planned; shared with all open files.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Syncs of files in `log/`.
    pub(crate) syncs: AtomicU64,
    /// This write in `log/` from now on, counting from 1, stores all but its last byte, then finds the
    /// disk full.
    pub(crate) full_at: AtomicU64,
    /// Names of the threads that filled files with zeros.
    pub(crate) filled_by: Mutex<Vec<String>>,
    /// Syncs in `log/` do not return while somebody holds this.
    pub(crate) gate: Mutex<()>,
    /// Syncs in `log/` that have begun.
    pub(crate) began: AtomicU64,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The disk behind it.
    pub(crate) inner: Arc<dyn Vfs>,
    /// What was seen.
    pub(crate) watch: Arc<Watch>,
}

#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn File>,
    watch: Option<Arc<Watch>>,
}

impl Watched {
    /// Watches `inner`.
    pub(crate) fn new(inner: Arc<dyn Vfs>) -> Self {
        Self { inner, watch: Arc::default() }
    }
}

impl Vfs for Watched {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(name, mode)?;
        let watch = name.starts_with("log/").then(|| Arc::clone(&self.watch));
        Ok(Arc::new(WatchedFile { inner, watch }))
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
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.inner.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.inner.free_bytes()
    }
}

impl File for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let full = |watch: &Arc<Watch>| {
            let left = watch.full_at.load(Ordering::SeqCst);
            watch.full_at.store(left.saturating_sub(1), Ordering::SeqCst);
            left == 1
        };
        if !self.watch.as_ref().is_some_and(full) {
            return self.inner.write_all_at(offset, bytes);
        }
        let most = bytes.get(..bytes.len() - 1).unwrap_or_default();
        self.inner.write_all_at(offset, most)?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(watch) = &self.watch {
            watch.began.fetch_add(1, Ordering::SeqCst);
            drop(watch.gate.lock().unwrap());
            watch.syncs.fetch_add(1, Ordering::SeqCst);
            // Gives others a chance to queue behind this sync, as a slow disk does.
            (0..50).for_each(|_| std::thread::yield_now());
        }
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        if let Some(watch) = &self.watch {
            let thread = std::thread::current().name().unwrap_or("?").to_owned();
            watch.filled_by.lock().unwrap().push(thread);
        }
        self.inner.fill_zeros(len, pace)
    }
}
