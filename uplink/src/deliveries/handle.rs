//! What the host keeps of a puller that runs on a thread of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::PullReport;
use crate::control::Control;
use crate::error::{Cause, Error};
use crate::secret::Secret;
use crate::transport::Transport;

/// The last report, written by the thread and read by the host.
pub(super) type LastReport = Arc<Mutex<PullReport>>;

/// A puller on a thread of its own. Dropping it stops the thread and waits for its end.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward_uplink::deliveries::{PullOptions, Puller};
/// use onceward_uplink::{Line, Timeouts};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let puller = Puller::new(store, line, PullOptions::new("u-17", "phone-1")?).spawn()?;
/// // After each step that was noted:
/// puller.wake();
/// let report = puller.stop()?;
/// assert_eq!(report.received, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PullerHandle {
    control: Control,
    transport: Arc<dyn Transport>,
    last: LastReport,
    /// The process that has the thread.
    process: u32,
    /// The thread, until it is joined.
    thread: Option<JoinHandle<Result<PullReport, Error>>>,
}

impl PullerHandle {
    /// Keeps a thread that was started.
    pub(super) fn new(
        control: Control,
        transport: Arc<dyn Transport>,
        last: LastReport,
        thread: JoinHandle<Result<PullReport, Error>>,
    ) -> Self {
        Self { control, transport, last, process: std::process::id(), thread: Some(thread) }
    }

    /// A step was noted: tell the hub now. Without this it is told within a second.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// The line is back, or there is room in the inbox again: forget the backoff, and go on after a refusal of the
    /// credentials.
    pub fn online(&self) {
        self.control.online();
    }

    /// Uses another key from the next request on, and goes on after a refusal of the old one.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key has a character that a header cannot hold. The old one stays.
    pub fn set_key(&self, key: Option<Secret>) -> Result<(), Error> {
        self.transport.set_key(key)?;
        self.control.new_key();
        Ok(())
    }

    /// Sends nothing new until [`PullerHandle::resume`]; what is on its way comes to its end.
    pub fn pause(&self) {
        self.control.pause();
    }

    /// Goes on after [`PullerHandle::pause`].
    pub fn resume(&self) {
        self.control.resume();
    }

    /// What the thread has done so far.
    #[must_use]
    pub fn report(&self) -> PullReport {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the thread has ended by itself, which it does only when the store refuses for another reason than a full
    /// disk; [`PullerHandle::stop`] then says why.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the thread within a second, breaking off what is under way, and says what it has done.
    ///
    /// Nothing is lost: what the hub handed over and was not stored it hands over again.
    ///
    /// # Errors
    ///
    /// Why the thread had ended before: the store's error.
    pub fn stop(mut self) -> Result<PullReport, Error> {
        self.end()
    }

    fn end(&mut self) -> Result<PullReport, Error> {
        let Some(thread) = self.thread.take() else { return Ok(self.report()) };
        if self.process != std::process::id() {
            // A fork: the thread and its connection are the parent's.
            std::mem::forget(thread);
            return Ok(self.report());
        }
        self.control.stop();
        self.transport.shut_down();
        thread.join().unwrap_or_else(|_panic| Err(Error::from(Cause::Panic)))
    }
}

impl Drop for PullerHandle {
    fn drop(&mut self) {
        // The error of a store that refused is in the store too, and this is no place to show it.
        drop(self.end());
    }
}

impl fmt::Debug for PullerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullerHandle")
            .field("line", &self.transport)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}
