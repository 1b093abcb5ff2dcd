//! The log's own thread: prepares segments and fills them ahead of need, off everybody's path, and marks the log
//! when it is idle.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::filling::Filler;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::sync::Stopwatch;
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
    let mut before = Look { next_lsn: 0, synced: 0, left: Left::Nothing };
    let mut timeout = Some(IDLE);
    let mut refused = false;
    let mut filler = Filler::default();
    let mut looked = Stopwatch::start();
    while !stop.load(Ordering::Acquire) {
        let wanted = if refused { 0 } else { core.spares_wanted() };
        let missing = core.spares.wait_below(wanted, timeout, stop);
        if stop.load(Ordering::Acquire) {
            return;
        }
        if core.spares.take_sync_wanted()
            && let Some(last) = Lsn::from_u64(core.look().next_lsn.saturating_sub(1))
        {
            // How that ends is reported to whoever waits for it.
            drop(core.wait(last));
        }
        if missing && let Err(error) = core.prepare_ahead(stop) {
            if stop.load(Ordering::Acquire) {
                // Given up for that: it says nothing of the disk.
                return;
            }
            // Poisoned: everybody gets that error. Full: tried again when there is other work, and by whoever
            // needs one.
            core.commit.lock().note(&error);
            core.tailing.announce();
            refused = true;
        }
        match core.fill_ahead(&mut filler) {
            Ok(false) => {}
            Ok(true) => {
                core.spares.ask_fill();
                // Looks are apart by what a quiet log waits between them.
                if looked.elapsed() < IDLE {
                    continue;
                }
            }
            Err(poisoned) => {
                core.commit.lock().note(&poisoned);
                core.tailing.announce();
            }
        }
        looked = Stopwatch::start();
        let look = core.look();
        // Two looks with the same next LSN are a quiet time, unless there was something to do in between.
        let quiet = look.next_lsn == before.next_lsn && !missing;
        timeout = Some(IDLE);
        match look.left {
            Left::Nothing if quiet => {
                core.spares.will_sleep();
                if core.look() == look {
                    timeout = None;
                }
            }
            Left::Sync(lsn) if before.left.is_sync() && look.synced == before.synced => {
                // Nobody waits for it. A failure poisons the log, or is reported to whoever asks.
                drop(core.wait(lsn));
            }
            Left::Mark if quiet => {
                // Poisoned: everybody gets that error.
                if core.mark().is_err() {
                    return;
                }
            }
            // Tried again when there was other work, not in this very turn.
            Left::Sync(_) | Left::Mark | Left::Busy | Left::Nothing => refused &= missing,
        }
        before = look;
    }
}

/// The log at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Look {
    next_lsn: u64,
    synced: u64,
    left: Left,
}

/// The work that a log still needs if nobody else does something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    /// A sync of what was appended and nobody waits for.
    Sync(Lsn),
    /// A mark behind what is synced.
    Mark,
    /// Somebody writes: what is left is seen later.
    Busy,
    Nothing,
}

impl Left {
    fn is_sync(self) -> bool {
        matches!(self, Self::Sync(_))
    }
}

impl Core {
    /// How far the log is, and what is left to do.
    fn look(&self) -> Look {
        let commit = self.commit.lock();
        let last = commit.tail.as_ref().map_or(0, |tail| tail.last_lsn);
        let left = match Lsn::from_u64(last) {
            _ if commit.poison.is_some() => Left::Nothing,
            _ if commit.writing => Left::Busy,
            Some(last) if !commit.queue.is_empty() => Left::Sync(last),
            _ if commit.is_worth_a_mark() => Left::Mark,
            _ => Left::Nothing,
        };
        Look { next_lsn: commit.next_lsn, synced: commit.synced, left }
    }
}
