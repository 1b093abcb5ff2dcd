//! The log's own thread: prepares segments ahead of need, off everybody's path, and marks the log
//! when it is idle.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::error::Error;
use crate::lsn::Lsn;
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
    // The next LSN at the last look; two looks with the same one are a quiet time.
    let mut seen = 0;
    let mut timeout = Some(IDLE);
    let mut refused = false;
    while !stop.load(Ordering::Acquire) {
        let wanted = if refused { 0 } else { core.spares_wanted() };
        let missing = core.spares.wait_below(wanted, timeout, stop);
        if stop.load(Ordering::Acquire) {
            return;
        }
        if missing {
            if let Err(error) = core.prepare_ahead() {
                // Poisoned: everybody is told. Full: tried again when there is other work, and by
                // whoever needs one.
                core.commit.lock().note(&error);
                core.tailing.announce();
                refused = true;
            }
            continue;
        }
        let (next_lsn, left) = core.left_to_do();
        let quiet = next_lsn == seen;
        seen = next_lsn;
        timeout = Some(IDLE);
        match left {
            Left::Nothing if quiet => {
                core.spares.will_sleep();
                if core.left_to_do() == (next_lsn, Left::Nothing) {
                    timeout = None;
                }
            }
            Left::Sync(lsn) if quiet => {
                // Nobody waits for it. A failure poisons the log, or is told to whoever asks.
                drop(core.wait(lsn));
            }
            Left::Mark if quiet => {
                // Poisoned: everybody is told.
                if core.mark().is_err() {
                    return;
                }
            }
            Left::Sync(_) | Left::Mark | Left::Nothing => refused = false,
        }
    }
}

/// What an idle log still needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    /// What was appended and nobody waits for is to be synced.
    Sync(Lsn),
    /// What is synced is to be marked as such.
    Mark,
    Nothing,
}

impl Core {
    /// The next LSN, and what is left to do.
    fn left_to_do(&self) -> (u64, Left) {
        let commit = self.commit.lock();
        let last = commit.tail.as_ref().map_or(0, |tail| tail.last_lsn);
        let left = match Lsn::from_u64(last) {
            Some(last) if !commit.queue.is_empty() && !commit.writing => Left::Sync(last),
            _ if commit.is_worth_a_mark() => Left::Mark,
            _ => Left::Nothing,
        };
        (commit.next_lsn, left)
    }
}
