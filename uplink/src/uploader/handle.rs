//! What the host keeps of an uploader that runs on a thread of its own.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use onceward::sync::Report;
use onceward::{Scope, Store};

use crate::clock::Monotonic;
use crate::control::Control;
use crate::error::{Cause, Error};
use crate::secret::Secret;
use crate::transport::Transport;

/// The last report, written by the thread and read by the host, with a condition to wait for the next one.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<(Mutex<Report>, Condvar)>);

/// The two ends of a progress.
pub(super) fn progress() -> (Progress, Progress) {
    let progress = Progress::default();
    (progress.clone(), progress)
}

impl Progress {
    /// Replaces the last report.
    pub(super) fn publish(&self, report: &Report) {
        let (last, changed) = &*self.0;
        report.clone_into(&mut last.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// Waits for the next report, and for so long at most.
    fn wait(&self, at_most: Duration) {
        let (last, changed) = &*self.0;
        let last = last.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout(last, at_most).unwrap_or_else(PoisonError::into_inner));
    }

    /// The last report.
    fn last(&self) -> Report {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An uploader on a thread of its own. Dropping it stops the thread and waits for its end.
///
/// ```
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::{Forloy, Line, Timeouts, Uploader};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let options = sync::Options::new(Scope::default());
/// let uploader = Uploader::new(store, line, Box::new(Forloy::new()), options)?.spawn()?;
/// // After each capture; when the line comes back: `online`.
/// uploader.wake();
/// let report = uploader.stop()?;
/// assert!(!report.blocked);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UploaderHandle {
    /// Signals to the thread.
    control: Control,
    /// What carries the thread's requests.
    transport: Arc<dyn Transport>,
    /// The store that is drained, and the scopes of it.
    drained: (Store, Vec<Scope>),
    /// What the thread has done.
    progress: Progress,
    /// The process that has the thread.
    process: u32,
    /// The thread, until it is joined.
    thread: Option<JoinHandle<Result<Report, Error>>>,
}

impl UploaderHandle {
    /// Keeps a thread that was started.
    pub(super) fn new(
        control: Control,
        (transport, drained): (Arc<dyn Transport>, (Store, Vec<Scope>)),
        progress: Progress,
        thread: JoinHandle<Result<Report, Error>>,
    ) -> Self {
        let process = std::process::id();
        Self { control, transport, drained, progress, process, thread: Some(thread) }
    }

    /// Something was captured: look for work now. A wait for the upstream's sake goes on.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// The line is back: forget the backoff and what the upstream asked for, and go on after a refusal of the
    /// credentials.
    pub fn online(&self) {
        self.control.online();
    }

    /// Uses another key from the next request on, and goes on after a refusal of the old one. A wait that the
    /// upstream asked for goes on.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key has a character that a header cannot hold. The old one stays.
    pub fn set_key(&self, key: Option<Secret>) -> Result<(), Error> {
        self.transport.set_key(key)?;
        self.control.new_key();
        Ok(())
    }

    /// Sends nothing new until [`UploaderHandle::resume`]; what is on its way comes to its end. That is also what is
    /// being formed in this moment: an event that is captured right behind this call may go with it.
    pub fn pause(&self) {
        self.control.pause();
    }

    /// Goes on after [`UploaderHandle::pause`].
    pub fn resume(&self) {
        self.control.resume();
    }

    /// Waits until whatever is pending now is answered, and for so long at most. Returns whether it is: an event that
    /// waits for a person, in review or behind one that is in its lane, is not waited for.
    ///
    /// While it is paused nothing new is sent: then this waits its time out and returns `false`, unless nothing is
    /// pending or what is on its way answers it all.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use onceward::{Config, Scope, Store, sync};
    /// # use onceward_uplink::{Forloy, Line, Timeouts, Uploader};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
    /// # let options = sync::Options::new(Scope::default());
    /// # let uploader = Uploader::new(store, line, Box::new(Forloy::new()), options)?.spawn()?;
    /// // At the end of a shift.
    /// let is_sent = uploader.flush(Duration::from_secs(20));
    /// assert!(is_sent, "nothing was captured");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self, timeout: Duration) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let clock = Monotonic::start();
        let (store, scopes) = &self.drained;
        let Some(until_now) = store.synced() else { return true };
        self.control.wake();
        loop {
            let is_answered =
                !scopes.iter().any(|scope| store.waits_for_upstream(scope, until_now));
            let left = timeout.saturating_sub(Duration::from_millis(clock.now_ms()));
            if is_answered || left.is_zero() || self.is_finished() {
                return is_answered;
            }
            self.progress.wait(left.min(LOOK_EVERY));
        }
    }

    /// What the thread has done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.progress.last()
    }

    /// Whether the thread has ended by itself, which it does only when the store refuses for
    /// another reason than a full disk; [`UploaderHandle::stop`] then says why.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the thread, breaking off what is under way, and says what it has done.
    ///
    /// Nothing is lost: a batch without an answer is sent again by the next session, under its old
    /// number.
    ///
    /// # Errors
    ///
    /// Why the thread had ended before: the store's error.
    pub fn stop(mut self) -> Result<Report, Error> {
        self.end()
    }

    /// Ends the thread and takes its result.
    fn end(&mut self) -> Result<Report, Error> {
        let Some(thread) = self.thread.take() else { return Ok(self.progress.last()) };
        if self.process != std::process::id() {
            // A fork: the thread and its connection are the parent's.
            std::mem::forget(thread);
            return Ok(self.progress.last());
        }
        self.control.stop();
        self.transport.shut_down();
        thread.join().unwrap_or_else(|_panic| Err(Error::from(Cause::Panic)))
    }
}

impl Drop for UploaderHandle {
    fn drop(&mut self) {
        // The error of a store that refused is in the store too, and this is no place to show it.
        drop(self.end());
    }
}

impl fmt::Debug for UploaderHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploaderHandle")
            .field("line", &self.transport)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}
