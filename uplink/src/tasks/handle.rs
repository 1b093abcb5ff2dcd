//! What other tasks keep of an uploader that runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onceward::sync::Report;
use onceward::{Lsn, Scope, Store};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::transport::AsyncTransport;
use crate::control::Control;
use crate::error::Error;
use crate::secret::Secret;

/// Signals for a run of an [`AsyncUploader`](super::AsyncUploader), from any task or thread, and what came of it.
/// Clones are the same.
///
/// Dropping it ends nothing. None of its calls blocks.
#[derive(Clone)]
pub struct AsyncHandle {
    control: Control,
    transport: Arc<dyn AsyncTransport>,
    drained: (Store, Vec<Scope>),
    progress: watch::Receiver<Report>,
}

impl AsyncHandle {
    pub(super) fn new(
        control: Control,
        transport: Arc<dyn AsyncTransport>,
        drained: (Store, Vec<Scope>),
        progress: watch::Receiver<Report>,
    ) -> Self {
        Self { control, transport, drained, progress }
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
    /// `Invalid`: the transport takes no such key. The old one stays.
    pub fn set_key(&self, key: Option<Secret>) -> Result<(), Error> {
        self.transport.set_key(key)?;
        self.control.new_key();
        Ok(())
    }

    /// Sends nothing new until [`AsyncHandle::resume`]; what is on its way comes to its end.
    pub fn pause(&self) {
        self.control.pause();
    }

    /// Goes on after [`AsyncHandle::pause`].
    pub fn resume(&self) {
        self.control.resume();
    }

    /// Ends the run, after what is on its way if that takes less than a second; the rest is abandoned and sent again
    /// by a later run. Cannot be taken back.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.progress.borrow().clone()
    }

    /// Waits until whatever is pending now is answered, and for so long at most. Resolves with whether it is: an event
    /// that waits for a person, in review or behind one that is in its lane, is not waited for. A run that was stopped
    /// is not waited for either. While it is paused nothing new is sent: then this waits its time out and resolves with
    /// `false`, unless nothing is pending or what is on its way answers it all.
    pub async fn flush(&self, at_most: Duration) -> bool {
        let Some(until_now) = self.drained.0.synced() else { return true };
        self.control.wake();
        // Where the time is up, a last look.
        timeout(at_most, self.wait_for(until_now)).await.is_ok_and(|is_answered| is_answered)
            || self.is_answered(until_now)
    }

    /// Resolves when nothing up to there waits for the upstream, or nobody sends any more.
    async fn wait_for(&self, until_now: Lsn) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let mut progress = self.progress.clone();
        loop {
            let is_answered = self.is_answered(until_now);
            if is_answered || self.control.is_stopped() {
                return is_answered;
            }
            tokio::select! {
                changed = progress.changed() => {
                    if changed.is_err() {
                        return self.is_answered(until_now);
                    }
                }
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn is_answered(&self, until_now: Lsn) -> bool {
        let (store, scopes) = &self.drained;
        !scopes.iter().any(|scope| store.waits_for_upstream(scope, until_now))
    }
}

impl fmt::Debug for AsyncHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncHandle")
            .field("transport", &self.transport)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}
