//! What the host keeps of an uploader that runs on a thread of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use onceward::sync::Report;

use crate::control::Control;
use crate::error::{Cause, Error};
use crate::line::Line;
use crate::secret::Secret;

/// The last report, written by the thread and read by the host.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Report>>);

/// The two ends of a progress.
pub(super) fn progress() -> (Progress, Progress) {
    let progress = Progress::default();
    (progress.clone(), progress)
}

impl Progress {
    /// Replaces the last report.
    pub(super) fn publish(&self, report: &Report) {
        report.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The last report.
    fn last(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// The thread's line.
    line: Line,
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
        line: Line,
        progress: Progress,
        thread: JoinHandle<Result<Report, Error>>,
    ) -> Self {
        Self { control, line, progress, process: std::process::id(), thread: Some(thread) }
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
        self.line.set_key(key)?;
        self.control.new_key();
        Ok(())
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
        self.line.shut_down();
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
            .field("line", &self.line)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}
