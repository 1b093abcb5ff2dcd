//! Signals a running uploader that something changed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Wakes, revives or stops an uploader from any thread. Clones are the same control.
///
/// Nothing is lost between two looks: what happened while the uploader was busy is found when it
/// looks next.
///
/// ```
/// use onceward_uplink::Control;
///
/// let control = Control::new();
/// let theirs = control.clone(); // For the thread that runs the uploader.
/// control.stop();
/// assert!(theirs.is_stopped());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Flags and the condition to wait on.
    shared: Arc<Shared>,
}

/// The state that clones share.
#[derive(Debug, Default)]
struct Shared {
    /// The signals since the last look.
    signals: Mutex<Signals>,
    /// Notified at every change.
    changed: Condvar,
    /// The same for tasks.
    #[cfg(feature = "tokio")]
    changed_for_tasks: tokio::sync::Notify,
}

/// The signals since the last look. `stopped` and `paused` stay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals {
    /// Something was captured.
    pub(crate) woken: bool,
    /// The line is back.
    pub(crate) online: bool,
    /// The credentials changed.
    pub(crate) has_new_key: bool,
    /// Something came of a request.
    pub(crate) reported: bool,
    /// Nothing new is to be sent.
    pub(crate) paused: bool,
    /// The uploader is to end.
    pub(crate) stopped: bool,
}

impl Signals {
    /// Whether there is a reason not to wait.
    fn any(self) -> bool {
        self.woken || self.online || self.has_new_key || self.reported || self.stopped
    }
}

impl Control {
    /// A control that nothing happened to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something was captured: look for work now. A wait that the backoff or the upstream asked for
    /// goes on.
    pub fn wake(&self) {
        self.signal(|signals| signals.woken = true);
    }

    /// The line is back: forget the backoff and what the upstream asked for, and go on after a refusal.
    pub fn online(&self) {
        self.signal(|signals| signals.online = true);
    }

    /// The line has another key: go on after a refusal of the last one. A wait that the upstream asked for
    /// goes on.
    pub fn new_key(&self) {
        self.signal(|signals| signals.has_new_key = true);
    }

    /// Send nothing new until [`Control::resume`]; what is on its way comes to its end.
    pub fn pause(&self) {
        self.signal(|signals| signals.paused = true);
    }

    /// Go on after [`Control::pause`].
    pub fn resume(&self) {
        self.signal(|signals| (signals.paused, signals.woken) = (false, true));
    }

    /// Something came of a request.
    pub(crate) fn report(&self) {
        self.signal(|signals| signals.reported = true);
    }

    /// End, after what is under way if that takes less than a third of a second. Cannot be taken back.
    pub fn stop(&self) {
        self.signal(|signals| signals.stopped = true);
    }

    /// Whether [`Control::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.signals().stopped
    }

    /// Returns the signals since the last call.
    pub(crate) fn take(&self) -> Signals {
        let mut signals = self.signals();
        let taken = *signals;
        let Signals { stopped, paused, .. } = taken;
        *signals = Signals { stopped, paused, ..Signals::default() };
        taken
    }

    /// Waits until something happens, or for `wait_ms` at most.
    pub(crate) fn wait(&self, wait_ms: u64) {
        let signals = self.signals();
        let waited = self.shared.changed.wait_timeout_while(
            signals,
            Duration::from_millis(wait_ms),
            |signals| !signals.any(),
        );
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until something came of a request, or for `wait_ms` at most.
    pub(crate) fn wait_for_report(&self, wait_ms: u64) {
        let signals = self.signals();
        let waited = self.shared.changed.wait_timeout_while(
            signals,
            Duration::from_millis(wait_ms),
            |signals| !std::mem::take(&mut signals.reported),
        );
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Resolves when something happens. Dropped, it has taken nothing.
    #[cfg(feature = "tokio")]
    pub(crate) async fn changed(&self) {
        self.until(Signals::any).await;
    }

    /// Resolves once [`Control::stop`] was called.
    #[cfg(feature = "nats")]
    pub(crate) async fn stopped(&self) {
        self.until(|signals| signals.stopped).await;
    }

    #[cfg(feature = "tokio")]
    async fn until(&self, is_so: impl Fn(Signals) -> bool) {
        loop {
            let mut news = std::pin::pin!(self.shared.changed_for_tasks.notified());
            // Before the look, so that what happens after it wakes the task.
            news.as_mut().enable();
            let signals = *self.signals();
            if is_so(signals) {
                return;
            }
            news.await;
        }
    }

    /// Changes a flag and wakes whoever waits.
    fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals());
        self.shared.changed.notify_all();
        #[cfg(feature = "tokio")]
        self.shared.changed_for_tasks.notify_waiters();
    }

    /// The flags. They are plain values, so a panic elsewhere cannot have left them half done.
    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.shared.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough that a test which has to wait for it fails by its runner's time limit.
    const FOR_EVER_MS: u64 = 3_600_000;

    #[test]
    fn what_happened_before_the_wait_ends_it_at_once() {
        let control = Control::new();
        for signal in [Control::wake, Control::online, Control::new_key] {
            signal(&control);
            control.wait(FOR_EVER_MS);
            let taken = control.take();
            assert!(taken.woken || taken.online || taken.has_new_key);
            assert!(!control.take().any(), "a signal is taken once");
        }
    }

    #[test]
    fn a_pause_stays_until_it_is_taken_back_and_ends_no_wait_before_its_time() {
        let control = Control::new();
        control.pause();
        control.wait(1);
        assert!(control.take().paused && control.take().paused);
        control.resume();
        control.wait(FOR_EVER_MS);
        let taken = control.take();
        assert!(taken.woken && !taken.paused);
    }

    #[test]
    fn a_stop_stays_and_ends_every_wait() {
        let control = Control::new();
        let clone = control.clone();
        control.stop();
        for control in [&control, &clone, &control] {
            control.wait(FOR_EVER_MS);
            assert!(control.take().stopped && control.is_stopped());
        }
    }

    #[test]
    fn another_thread_ends_a_wait() {
        let control = Control::new();
        let other = control.clone();
        let waker = std::thread::spawn(move || other.wake());
        control.wait(FOR_EVER_MS);
        waker.join().unwrap();
        assert!(control.take().woken);
    }
}
