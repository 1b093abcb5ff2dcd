//! What the host keeps of an uploader to a stream that runs beside it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use onceward::sync::Report;
use onceward::{Scope, Store};

use super::credentials::NatsCredentials;
use super::uploader::Shown;
use crate::clock::Monotonic;
use crate::control::Control;
use crate::error::{Cause, Error};

/// Between two looks at what is pending.
const LOOK: Duration = Duration::from_millis(100);

/// The last report, written by the thread and read by the host.
#[derive(Default)]
pub(super) struct Published {
    report: Mutex<Report>,
    changed: Condvar,
    has_ended: AtomicBool,
    /// The scopes that are drained, once it is known.
    scopes: OnceLock<Vec<Scope>>,
}

impl Published {
    /// Replaces the last report.
    pub(super) fn publish(&self, report: &Report) {
        report.clone_into(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// These scopes are drained.
    pub(super) fn begin(&self, scopes: Vec<Scope>) {
        self.scopes.get_or_init(|| scopes);
    }

    /// There are no more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn last(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for another one, for `most` at most.
    fn wait(&self, most: Duration) {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout(report, most).unwrap_or_else(PoisonError::into_inner));
    }
}

/// An uploader on a thread of its own. Dropping it stops the thread and waits for its end.
///
/// ```
/// use std::time::Duration;
///
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::nats::{NatsOptions, NatsUploader};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let options = NatsOptions::new(&["nats://127.0.0.1:9"], "SALES")?;
/// let uploader = NatsUploader::new(store, options)?
///     .draining(sync::Options::new(Scope::default()), 1)
///     .spawn()?;
/// // After each capture; when the line comes back: `online`.
/// uploader.wake();
/// assert!(uploader.flush(Duration::from_secs(1)), "nothing is pending");
/// let report = uploader.stop()?;
/// assert!(!report.blocked);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NatsHandle {
    control: Control,
    published: Arc<Published>,
    store: Store,
    shown: Shown,
    /// The process that has the thread.
    process: u32,
    /// The thread, until it is joined.
    thread: Option<JoinHandle<Result<Report, Error>>>,
}

impl NatsHandle {
    /// Keeps a thread that was started.
    pub(super) fn new(
        control: Control,
        published: Arc<Published>,
        (store, shown): (Store, Shown),
        thread: JoinHandle<Result<Report, Error>>,
    ) -> Self {
        let process = std::process::id();
        Self { control, published, store, shown, process, thread: Some(thread) }
    }

    /// Something was captured: look for work now. A wait for the upstream's sake goes on.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// The line is back, or something was mended at the servers: forget the backoff, and go on after a refusal.
    pub fn online(&self) {
        self.control.online();
    }

    /// Shows these credentials over a new connection, at once, and goes on after a refusal of the old ones.
    pub fn set_credentials(&self, credentials: Option<NatsCredentials>) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = credentials;
        self.control.new_key();
    }

    /// Waits until nothing is pending in any scope that is drained, for `timeout` at most. Returns
    /// whether that is so: everything has its final answer, or waits for a person.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        let clock = Monotonic::start();
        self.control.wake();
        loop {
            if self.is_all_answered() {
                return true;
            }
            let left = timeout.saturating_sub(Duration::from_millis(clock.now_ms()));
            if left.is_zero() || self.is_finished() {
                return false;
            }
            self.published.wait(left.min(LOOK));
        }
    }

    fn is_all_answered(&self) -> bool {
        let Some(scopes) = self.published.scopes.get() else { return false };
        scopes.iter().all(|scope| {
            let status = self.store.status_of(scope);
            status.pending == 0 && status.in_flight == 0
        })
    }

    /// What the thread has done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.published.last()
    }

    /// Whether the thread has ended by itself, which it does only when the store refuses for another reason than a
    /// full disk; [`NatsHandle::stop`] then says why.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.published.has_ended.load(Ordering::SeqCst)
            || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the thread within a second, and says what it has done. Answers to what is on its way are waited for half
    /// of that; what has none then is sent again by the next session.
    ///
    /// # Errors
    ///
    /// Why the thread had ended before: the store's error.
    pub fn stop(mut self) -> Result<Report, Error> {
        self.end()
    }

    /// Ends the thread and takes its result.
    fn end(&mut self) -> Result<Report, Error> {
        let Some(thread) = self.thread.take() else { return Ok(self.published.last()) };
        if self.process != std::process::id() {
            // A fork: the thread and its connection are the parent's.
            std::mem::forget(thread);
            return Ok(self.published.last());
        }
        self.control.stop();
        thread.join().unwrap_or_else(|_panic| Err(Error::from(Cause::Panic)))
    }
}

impl Drop for NatsHandle {
    fn drop(&mut self) {
        // The error of a store that refused is in the store too, and this is no place to show it.
        drop(self.end());
    }
}

impl fmt::Debug for NatsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsHandle").field("report", &self.report()).finish_non_exhaustive()
    }
}
