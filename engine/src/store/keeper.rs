//! The thread that gives space back beside those who settle.
//!
//! It is begun with the first call, holds the store while it runs, and ends with the last handle, which waits for it:
//! so whoever opens the store then finds it free.

use std::sync::Arc;
use std::thread::JoinHandle;

use onceward_vfs::OpenedBy;
use onceward_wal::Preparation;
use parking_lot::Mutex;

use super::Shared;
use crate::base::{Error, ErrorKind, Monitor, Result};

/// The thread, as the handles know it.
#[derive(Debug)]
pub(crate) struct Keeper {
    calls: Arc<Calls>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether the store has threads of its own.
    preparation: Preparation,
    /// The process that has the thread.
    process: OpenedBy,
}

/// What the thread and the handles share.
#[derive(Debug, Default)]
struct Calls {
    wish: Monitor<KeeperWish>,
}

/// What the thread is to do, and what came of it.
#[derive(Debug, Default)]
struct KeeperWish {
    clean: bool,
    stop: bool,
    /// Why the last cleaning failed: told to the next who settles.
    trouble: Option<Error>,
}

impl Keeper {
    /// No thread yet.
    pub(super) fn new(preparation: Preparation) -> Self {
        let (calls, thread) = (Arc::default(), Mutex::new(None));
        Self { calls, thread, preparation, process: OpenedBy::this_process() }
    }

    /// Whether the store has threads of its own.
    pub(super) fn has_threads(&self) -> bool {
        self.preparation == Preparation::InBackground
    }

    /// Has the thread clean. `false`: there is none, and whoever calls cleans.
    ///
    /// # Errors
    ///
    /// As cleaning failed last.
    pub(super) fn call(&self, store: &Arc<Shared>) -> Result<bool> {
        if self.preparation == Preparation::OnDemand || !self.process.is_this_process() {
            return Ok(false);
        }
        let mut thread = self.thread.lock();
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let (calls, store) = (Arc::clone(&self.calls), Arc::clone(store));
            let named = std::thread::Builder::new().name("onceward-clean".to_owned());
            *thread = named.spawn(move || calls.run(&store)).ok();
        }
        // Without one, as on a machine that has none left, the caller does the work.
        let is_there = thread.is_some();
        drop(thread);
        let trouble = self.calls.wish.change(|wish| {
            wish.clean = is_there;
            wish.trouble.take()
        });
        trouble.map_or(Ok(is_there), Err)
    }

    /// Whether the thread has not yet taken up what it was called for.
    #[cfg(test)]
    pub(super) fn is_called(&self) -> bool {
        self.calls.wish.lock().clean
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().take();
        if !self.process.is_this_process() {
            // A fork: the thread is the parent's, and may hold the lock.
            return std::mem::forget(thread);
        }
        self.calls.wish.change(|wish| wish.stop = true);
        if onceward_vfs::planted!("last-handle-does-not-wait") {
            return;
        }
        if let Some(thread) =
            thread.filter(|thread| thread.thread().id() != std::thread::current().id())
        {
            // It ends in no other way than by returning; a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
}

impl Calls {
    fn run(&self, store: &Arc<Shared>) {
        loop {
            {
                let mut wish = self.wish.wait_while(|wish| !wish.clean && !wish.stop);
                if wish.stop {
                    return;
                }
                wish.clean = false;
            }
            if let Err(error) = store.clean_up() {
                let is_closed = error.code() == "CLOSED";
                // On a full disk what could not be cleaned now is cleaned later.
                if !is_closed && error.kind() != ErrorKind::Full {
                    self.wish.lock().trouble = Some(error);
                }
            }
        }
    }
}
