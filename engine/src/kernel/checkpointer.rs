//! Keeps the index's files: writes new keys to them now and then, and forgets those of slices that
//! are over; and the summaries of the segments that these files cover. Beside captures, which never wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use onceward_index::{Index, Until};
use onceward_vfs::OpenedBy;
use onceward_wal::Preparation;
use parking_lot::Mutex;

use super::summaries::Summaries;
use crate::base::{Monitor, observe};

/// Keys that opening may have to replay; also a bound on what they take in memory.
const KEYS_MAX: u64 = 32 * 1024;
/// Shards that are purged under one lock, of what slices left behind that are over.
const SHARDS_PURGED: usize = 4;
/// Shards that are loaded before the thread looks whether it is wanted.
const SHARDS_TOGETHER: usize = 16;

/// Writes the index's files.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    shared: Arc<CheckpointerShared>,
    /// `None`: whoever calls [`Checkpointer::tick`] does the work.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Bytes of the log between two checkpoints.
    log_bytes_max: u64,
    /// The number of this opening, which the log has once a frame of it is durable.
    opening: u64,
    /// The process that has the thread.
    process: OpenedBy,
    /// Bytes of the log, and keys, since a checkpoint was asked for.
    bytes: AtomicU64,
    keys: AtomicU64,
}

/// What the thread and the others share.
#[derive(Debug)]
struct CheckpointerShared {
    index: Arc<Index>,
    /// Summaries of the segments that the index's files cover.
    summaries: Arc<Summaries>,
    /// The opening by which the index knows its log: one of which the log has a frame.
    mark: AtomicU64,
    wish: Monitor<Wish>,
    /// Why the last checkpoint failed.
    trouble: Mutex<Option<String>>,
    /// Why the index was made anew since the store was opened, if it was.
    rebuilt: Mutex<Option<String>>,
}

/// What the thread is to do.
#[derive(Debug, Default)]
struct Wish {
    checkpoint: bool,
    stop: bool,
}

impl Checkpointer {
    /// Begins to keep the files of an index, with a thread or without.
    ///
    /// `mark` is the last opening of which the log has a frame, `opening` this one.
    pub(crate) fn start(
        (index, summaries): (Arc<Index>, Arc<Summaries>),
        (mark, opening): (u64, u64),
        log_bytes_max: u64,
        preparation: Preparation,
    ) -> Self {
        let wish = Monitor::default();
        let mark = AtomicU64::new(mark);
        let shared = Arc::new(CheckpointerShared {
            index,
            summaries,
            mark,
            wish,
            trouble: Mutex::new(None),
            rebuilt: Mutex::new(None),
        });
        let thread = match preparation {
            Preparation::OnDemand => None,
            Preparation::InBackground => {
                let shared = Arc::clone(&shared);
                let named = std::thread::Builder::new().name("onceward-index".to_owned());
                // Without a thread, as on a machine that has none left, ticks do the work.
                named.spawn(move || shared.run()).ok()
            }
        };
        let (bytes, keys) = (AtomicU64::new(0), AtomicU64::new(0));
        let process = OpenedBy::this_process();
        let thread = Mutex::new(thread);
        Self { shared, thread, log_bytes_max, opening, process, bytes, keys }
    }

    /// A frame of this opening is durable.
    pub(crate) fn is_durable(&self) {
        self.shared.mark.store(self.opening, Relaxed);
    }

    /// Counts bytes and keys that came; asks for a checkpoint when there are enough.
    pub(crate) fn count(&self, bytes: u64, keys: u64) {
        let bytes = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        let keys = self.keys.fetch_add(keys, Relaxed) + keys;
        if bytes >= self.log_bytes_max || keys >= KEYS_MAX {
            self.ask();
        }
    }

    /// Keys that were counted since a checkpoint was asked for.
    #[cfg(test)]
    pub(crate) fn key_count(&self) -> u64 {
        self.keys.load(Relaxed)
    }

    /// Asks for a checkpoint.
    pub(crate) fn ask(&self) {
        self.bytes.store(0, Relaxed);
        self.keys.store(0, Relaxed);
        self.shared.wish.change(|wish| wish.checkpoint = true);
    }

    /// Does what was asked for, if there is no thread to do it.
    pub(crate) fn tick(&self) {
        let is_asked = || {
            let mut wish = self.shared.wish.lock();
            !wish.stop && std::mem::take(&mut wish.checkpoint)
        };
        if self.thread.lock().is_none() && is_asked() {
            self.shared.checkpoint(Until::Later);
            while self.shared.index.purge(SHARDS_PURGED) {}
        }
        if self.thread.lock().is_none() {
            while self.shared.summaries.write_one() {}
            self.shared.summaries.check_one();
        }
    }

    /// Why the last checkpoint failed, if it did; else why the index was made anew while the store is open, if
    /// it was. Nothing is lost then: the log has it all.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.shared.trouble.lock().clone();
        trouble.or_else(|| self.shared.rebuilt.lock().clone())
    }

    /// The index's files were damaged, and it was made anew.
    pub(crate) fn report_rebuilt(&self, why: String) {
        *self.shared.rebuilt.lock() = Some(why);
    }

    /// Writes all that is not written: the store is closed.
    pub(crate) fn close(&self) {
        self.stop();
        self.shared.checkpoint(Until::Close);
        while self.shared.summaries.write_one() {}
    }

    /// Ends the thread. A checkpoint that is under way is finished.
    fn stop(&self) {
        if !self.process.is_this_process() {
            // A fork: the thread is the parent's, and may hold the lock.
            std::mem::forget(self.thread.lock().take());
            return;
        }
        self.shared.wish.change(|wish| wish.stop = true);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It ends in no other way than by returning; a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl CheckpointerShared {
    /// The thread: first it loads what opening left on the disk, so that nobody waits for it later.
    fn run(&self) {
        let mut cold = usize::MAX;
        loop {
            {
                let mut wish = self.wish.wait_while(|wish| {
                    cold == 0 && !wish.checkpoint && !wish.stop && !self.summaries.has_work()
                });
                if wish.stop {
                    return;
                }
                if !std::mem::take(&mut wish.checkpoint) {
                    drop(wish);
                    if cold > 0 {
                        // What cannot be read is an error for whoever asks for a key there.
                        cold = self.index.warm(SHARDS_TOGETHER).unwrap_or(0);
                    } else {
                        self.summaries.work_some();
                    }
                    continue;
                }
            }
            self.checkpoint(Until::Later);
            while self.index.purge(SHARDS_PURGED) && !self.wish.lock().stop {
                // Captures come first.
                std::thread::yield_now();
            }
        }
    }

    fn checkpoint(&self, until: Until) {
        let mark = self.mark.load(Relaxed);
        let done = observe::checkpoint(|| self.index.checkpoint(mark, until));
        if let Ok(done) = &done {
            self.summaries.covered(done.covered);
        }
        *self.trouble.lock() = done.err().map(|error| error.to_string());
    }
}
