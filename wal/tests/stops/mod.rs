//! A disk that keeps its state before each operation that changes something: a crash could stop there.
//! Method: passes everything on to a simulated disk, and copies that one first.

#![allow(dead_code, clippy::unwrap_used, clippy::allow_attributes, reason = "a failure is a panic")]

use std::io;
use std::sync::{Arc, Mutex};

use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, SimVfs, Vfs};

use super::told::{Journal, Told};

/// A place where a crash could stop.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The disk, unsynced changes included.
    pub(crate) disk: SimVfs,
    /// What the host was told by then.
    pub(crate) told: Arc<Told>,
}

/// The disk that a host works on.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    disk: SimVfs,
    journal: Journal,
    list: Arc<Mutex<Vec<Stop>>>,
}

#[derive(Debug)]
struct StopsFile {
    inner: Arc<dyn File>,
    stops: Stops,
}

impl Stops {
    /// Watches `disk`.
    pub(crate) fn new(disk: SimVfs) -> Self {
        Self { disk, journal: Journal::default(), list: Arc::default() }
    }

    /// Where the host notes what it was told.
    pub(crate) fn journal(&self) -> Journal {
        Arc::clone(&self.journal)
    }

    /// All stops, with the one after the last operation.
    pub(crate) fn take(&self) -> Vec<Stop> {
        self.stop();
        std::mem::take(&mut self.list.lock().unwrap())
    }

    fn stop(&self) {
        let told = Arc::clone(&self.journal.lock().unwrap());
        self.list.lock().unwrap().push(Stop { disk: self.disk.after_kill(), told });
    }
}

impl Vfs for Stops {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        if mode == Mode::CreateNew {
            self.stop();
        }
        let inner = self.disk.open(name, mode)?;
        Ok(Arc::new(StopsFile { inner, stops: self.clone() }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.disk.exists(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.stop();
        self.disk.create_dir(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.stop();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.stop();
        self.disk.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.stop();
        self.disk.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.disk.lock(name)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk.free_bytes()
    }
}

impl File for StopsFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.stops.stop();
        self.inner.write_all_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.stops.stop();
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.stops.stop();
        self.inner.set_len(len)
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        // One stop on the way: many would be the same zeros again and again.
        self.stops.stop();
        self.inner.fill_zeros(len / 2, pace)?;
        self.stops.stop();
        self.inner.fill_zeros(len, pace)
    }
}
