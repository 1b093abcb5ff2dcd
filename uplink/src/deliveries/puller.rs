//! The short loop around a pull: has carried what it wants sent, and brings back what came.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::thread;

use onceward::Store;

use super::handle::LastReport;
use super::{Pull, PullOptions, PullReport, PullStep, PullerHandle};
use crate::clock::Monotonic;
use crate::control::Control;
use crate::crew::{Came, Crew, Job};
use crate::error::{Cause, Error};
use crate::secret::Secret;
use crate::transport::Transport;

/// How long the loop relies on signals about steps: a host may have several programs.
const LOOK_MS: u64 = 1_000;
/// How long what is under way is waited for once the loop is to end.
const END_MS: u64 = 300;
/// Shortest wait, so that a time limit in the past cannot make the loop spin.
const WAIT_MS_MIN: u64 = 1;

/// Pulls what a hub queued for a device into a store's inbox, on the calling thread or on one of its own.
///
/// It has a line of its own: [`PullerHandle::stop`] breaks off whatever is under way on it. The store's
/// [housekeeping](Store::tick) and the acks are an [`Uploader`](crate::Uploader)'s.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward_uplink::deliveries::{PullOptions, Puller};
/// use onceward_uplink::{Control, Line, Timeouts};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let mut puller = Puller::new(store, line, PullOptions::new("u-17", "phone-1")?);
/// let control = Control::new();
/// # control.stop(); // From another thread.
/// let report = puller.run_until(&control, &mut |report| println!("{} came", report.received))?;
/// assert_eq!(report.received, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Puller {
    store: Store,
    transport: Arc<dyn Transport>,
    options: PullOptions,
    clock: Monotonic,
    /// Gives a fresh key, if the host has one.
    fresh_key: Option<FreshKey>,
    /// Whether the host was asked for one since the key was good last, or since the last wait.
    has_asked: bool,
}

/// Gives a fresh key, if the host has one.
type FreshKey = Box<dyn FnMut() -> Option<Secret> + Send>;

impl Puller {
    /// Puts the parts together; sends nothing yet.
    #[must_use]
    pub fn new(store: Store, line: impl Transport + 'static, options: PullOptions) -> Self {
        let (transport, clock) = (Arc::new(line), Monotonic::start());
        Self { store, transport, options, clock, fresh_key: None, has_asked: false }
    }

    /// Asks `source` for a fresh key before anything is sent, when the host says that the line is back, and when
    /// somebody answers 401: once for each wait that the backoff brings.
    #[must_use]
    pub fn fresh_key(mut self, source: impl FnMut() -> Option<Secret> + Send + 'static) -> Self {
        self.fresh_key = Some(Box::new(source));
        self
    }

    /// Pulls until `control` is stopped, which takes less than a second.
    ///
    /// An inbox or a disk that is full ends nothing: it goes on after the backoff.
    ///
    /// `observe` sees the progress after every answer.
    ///
    /// # Errors
    ///
    /// The store's, but for a full disk. The hub hands over again what was not stored.
    pub fn run_until(
        &mut self,
        control: &Control,
        observe: &mut dyn FnMut(&PullReport),
    ) -> Result<PullReport, Error> {
        let mut pull = Pull::start(&self.store, self.options.clone())?;
        let mut crew = Crew::new(Arc::clone(&self.transport), control.clone());
        self.renew_key();
        loop {
            let signals = control.take();
            if self.apply_came(&mut pull, &mut crew)? {
                observe(pull.report());
            }
            if signals.stopped {
                self.end(&mut pull, &mut crew, control)?;
                return Ok(pull.report().clone());
            }
            if signals.online {
                self.renew_key();
                pull.on_online();
            }
            if signals.has_new_key {
                pull.on_new_key();
            }
            let step =
                if signals.paused { PullStep::Await } else { pull.next(self.clock.now_ms())? };
            let wait_ms = match step {
                PullStep::Send(id, request) => {
                    crew.carry(Job::Send(id, request));
                    continue;
                }
                PullStep::Wait { until_ms } => until_ms.saturating_sub(self.clock.now_ms()),
                PullStep::Await | PullStep::Blocked => LOOK_MS,
            };
            if crew.out() == 0 {
                self.has_asked = false;
            }
            control.wait(wait_ms.clamp(WAIT_MS_MIN, LOOK_MS));
        }
    }

    /// Does the same on a thread of its own.
    ///
    /// # Errors
    ///
    /// `Io`: the operating system gives no thread.
    pub fn spawn(self) -> Result<PullerHandle, Error> {
        self.spawn_observed(|_report| {})
    }

    /// Does the same, and shows the progress after every answer: an application looks into the inbox then.
    ///
    /// # Errors
    ///
    /// As [`Puller::spawn`].
    pub fn spawn_observed(
        mut self,
        mut observe: impl FnMut(&PullReport) + Send + 'static,
    ) -> Result<PullerHandle, Error> {
        let (control, transport) = (Control::new(), Arc::clone(&self.transport));
        let (last, theirs) = (LastReport::default(), control.clone());
        let published = Arc::clone(&last);
        let mut publish = move |report: &PullReport| {
            report.clone_into(&mut published.lock().unwrap_or_else(PoisonError::into_inner));
            observe(report);
        };
        let thread = thread::Builder::new()
            .name("onceward-pull".to_owned())
            .spawn(move || self.run_until(&theirs, &mut publish))
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        Ok(PullerHandle::new(control, transport, last, thread))
    }

    /// Applies what came of requests. Returns whether anything did.
    fn apply_came(&mut self, pull: &mut Pull, crew: &mut Crew) -> Result<bool, Error> {
        let came = crew.take();
        let is_any = !came.is_empty();
        for came in came {
            let now_ms = self.clock.now_ms();
            if let Came::Answer(id, answer) = came {
                match *answer {
                    Ok(response) => pull.on_response(id, &response, now_ms)?,
                    Err(failure) => pull.on_failure(id, &failure, now_ms),
                }
            }
            match pull.take_key_refusal() {
                None => {}
                Some(false) => self.has_asked = false,
                Some(true) => {
                    if !self.has_asked && self.renew_key() {
                        pull.on_online();
                    }
                    self.has_asked = true;
                }
            }
        }
        Ok(is_any)
    }

    /// Waits for what is under way, for a moment.
    fn end(&mut self, pull: &mut Pull, crew: &mut Crew, control: &Control) -> Result<(), Error> {
        let until_ms = self.clock.now_ms().saturating_add(END_MS);
        while crew.out() > 0 && self.clock.now_ms() < until_ms {
            control.wait_for_report(until_ms.saturating_sub(self.clock.now_ms()));
            self.apply_came(pull, crew)?;
        }
        Ok(())
    }

    /// Asks the host for a fresh key. Returns whether it gave another one.
    fn renew_key(&mut self) -> bool {
        let Some(source) = self.fresh_key.as_mut() else { return false };
        source().is_some_and(|key| self.transport.set_key(Some(key)).unwrap_or(false))
    }
}

impl fmt::Debug for Puller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller")
            .field("line", &self.transport)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
