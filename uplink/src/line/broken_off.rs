//! Requests that can be broken off at any time. A name that is looked up, and a connection that does not come about,
//! cannot be: whoever waits for them is let go.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often whoever waits looks whether that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether requests are broken off from now on. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenOff(Arc<AtomicBool>);

impl BrokenOff {
    /// Breaks them off.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Does `work` and gives what came of it; `None` once it is broken off. Then it goes on unheard, on a thread that
    /// has nothing but what `work` has. Where there is no thread it is done on this one, and waited for.
    pub(super) fn unless<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Clone + Send + 'static,
    ) -> Option<T> {
        if self.0.load(Ordering::Acquire) {
            return None;
        }
        let (sender, done) = mpsc::sync_channel(1);
        let theirs = work.clone();
        // Nobody listens any more where it is broken off.
        let carry = move || sender.send(theirs()).unwrap_or_default();
        let Ok(thread) = thread::Builder::new().name("onceward-line".to_owned()).spawn(carry)
        else {
            return Some(work());
        };
        loop {
            match done.recv_timeout(LOOK_EVERY) {
                Ok(came) => return Some(came),
                Err(RecvTimeoutError::Timeout) if !self.0.load(Ordering::Acquire) => {}
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // It sends whatever comes, unless it panics.
        thread.join().map_or_else(|panic| resume_unwind(panic), |()| None)
    }
}
