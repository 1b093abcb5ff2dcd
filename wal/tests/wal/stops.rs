//! A disk that keeps its state before each operation that changes something: a crash could stop there.
//! Method: a hook that copies the simulated disk.

use std::io;
use std::sync::{Arc, Mutex};

use onceward_vfs::{Mode, Pace, SimVfs, Vfs};

use super::scenario::shared;
use super::told::{Journal, Told};
use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};

/// A place where a crash could stop.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The disk, unsynced changes included.
    pub(crate) disk: SimVfs,
    /// What the host was told by then.
    pub(crate) told: Arc<Told>,
}

/// The stops so far.
#[derive(Debug)]
pub(crate) struct Stops {
    disk: SimVfs,
    journal: Journal,
    list: Mutex<Vec<Stop>>,
}

impl Stops {
    /// Watches `disk`.
    pub(crate) fn over(disk: SimVfs) -> (Arc<dyn Vfs>, Arc<Self>) {
        let inner = shared(&disk);
        let stops = Arc::new(Self { disk, journal: Journal::default(), list: Mutex::default() });
        (hooked(inner, &stops), stops)
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

impl Hook for Stops {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        match (call.operation, call.file) {
            (Operation::FillZeros(len), Some(file)) => {
                // One stop on the way: many would be the same zeros again and again.
                self.stop();
                file.fill_zeros(len / 2, &|| Pace::Gentle)?;
                self.stop();
            }
            (
                Operation::Open(Mode::Read | Mode::Write)
                | Operation::Map
                | Operation::List
                | Operation::Exists
                | Operation::Lock
                | Operation::CheckGround
                | Operation::Usurper
                | Operation::FreeBytes
                | Operation::Read(_)
                | Operation::Len,
                _,
            ) => {}
            _ => self.stop(),
        }
        Ok(())
    }
}
