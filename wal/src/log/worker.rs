//! The log's own thread: prepares segments ahead of need, off everybody's path, and marks the log
//! when it is idle.

use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::Pace;

use super::Core;
use crate::error::Error;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, JoinHandle};

/// How long the log must have been quiet before it is marked.
const IDLE: Duration = Duration::from_millis(100);

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct Worker {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// `Io`: the system has no thread to give.
    pub(super) fn start(core: &Arc<Core>) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let (core, told) = (Arc::clone(core), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("onceward-log".to_owned())
            .spawn(move || work(&core, &told))
            .map_err(|source| Error::io(source, "start", "the log's thread"))?;
        Ok(Self { thread, stop })
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self, core: &Core) {
        self.stop.store(true, Ordering::Release);
        core.spares.wake();
        // A panic of that thread has poisoned nothing: it only prepares. There is nobody to tell.
        self.thread.join().unwrap_or_default();
    }
}

fn work(core: &Core, stop: &AtomicBool) {
    // Synced LSN at the last look; two looks with the same one are a quiet time.
    let mut seen = 0;
    let mut marked = 0;
    let mut refused = false;
    while !stop.load(Ordering::Acquire) {
        let wanted = if refused { 0 } else { core.spares_wanted() };
        let missing = core.spares.wait_below(wanted, IDLE, stop);
        if stop.load(Ordering::Acquire) {
            return;
        }
        if missing {
            if let Err(error) = core.prepare(core.spares_wanted(), Pace::Gentle) {
                // Full: another look after the next quiet time. Poisoned: everybody is told.
                core.commit.lock().note(&error);
                refused = true;
            }
            continue;
        }
        refused = false;
        let synced = core.commit.lock().synced;
        if synced == seen && synced != marked {
            marked = synced;
            // Poisoned: everybody is told.
            if core.mark().is_err() {
                return;
            }
        }
        seen = synced;
    }
}
