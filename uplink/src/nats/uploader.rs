//! Connects, drains over the connection, and connects again.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use onceward::sync::{Drain, Effort, KeyRule, LineOptions, Options, Report};
use onceward::{Scope, Store};
use tokio::runtime;

use super::credentials::NatsCredentials;
use super::driver::{Driver, Ended, Observe};
use super::handle::{NatsHandle, Published};
use super::link::Link;
use super::message;
use super::options::NatsOptions;
use super::trouble::Trouble;
use crate::clock::Monotonic;
use crate::control::{Control, Signals};
use crate::error::{Cause, Error};

/// How often an uploader that makes one attempt tries to connect.
const ATTEMPTS_ONCE: u32 = 3;
/// Between two looks for something to send without a connection.
const IDLE_MS: u64 = 1_000;
/// Between two attempts where only a person can mend it.
const LASTING_MS: u64 = 60_000;
/// Longest wait of an uploader whose credentials are refused, which relies on being told.
const BLOCKED_MS: u64 = 60 * 60 * 1_000;

/// The credentials of now, which a handle can change.
pub(super) type Shown = Arc<RwLock<Option<NatsCredentials>>>;

/// Drains scopes of a store into a stream, on a thread of its own: see [the module](crate::nats).
///
/// ```
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::nats::{NatsOptions, NatsUploader};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let options = NatsOptions::new(&["nats://127.0.0.1:9"], "SALES")?;
/// let mut uploader = NatsUploader::new(store, options)?
///     .draining(sync::Options::new(Scope::default()), 1);
/// let report = uploader.run_once(&mut |report| println!("sent {}", report.attempted))?;
/// assert_eq!(report.attempted, 0, "nothing was captured");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NatsUploader {
    store: Store,
    options: NatsOptions,
    shown: Shown,
    scopes: Vec<(Options, u32)>,
    line: LineOptions,
    clock: Monotonic,
}

/// What an uploader keeps from one connection to the next.
struct Course {
    drain: Drain,
    scopes: Vec<Scope>,
    /// Why it is not connected.
    trouble: Option<Trouble>,
    /// How often it could not be since it was.
    failures: u32,
}

impl Course {
    fn report(&self) -> Report {
        let mut report = self.drain.report();
        if let Some(trouble) = &self.trouble {
            trouble.tell(&mut report);
        }
        report
    }

    /// Connected or not, the host says that things have changed.
    fn take(&mut self, signals: Signals) {
        if signals.online {
            self.drain.on_online();
        }
        if signals.has_new_key {
            self.drain.on_new_key();
        }
        if signals.online || signals.has_new_key {
            (self.trouble, self.failures) = (None, 0);
        }
    }
}

impl NatsUploader {
    /// Puts the parts together, without a scope yet; connects to nothing.
    ///
    /// # Errors
    ///
    /// `Invalid`: the servers and the stream are too long for an upstream's identity.
    pub fn new(store: Store, options: NatsOptions) -> Result<Self, Error> {
        options.upstream()?;
        let shown = Arc::new(RwLock::new(options.credentials.clone()));
        let (scopes, clock) = (Vec::new(), Monotonic::start());
        Ok(Self { store, options, shown, scopes, line: LineOptions::new(), clock })
    }

    /// Drains a scope too. Where several have something to send, each gets its part by `weight`.
    ///
    /// Of `options`, the effort is set by the way it is run, the rule for keys is [`KeyRule::Conveyed`], for a
    /// message's id has the scope in it, and the horizon is the stream's. Where they name no upstream, it is
    /// [`NatsOptions::upstream`]. All events of a batch are on their way at once: 200 of them and a window of 4 keep a
    /// stream busy.
    #[must_use]
    pub fn draining(mut self, options: Options, weight: u32) -> Self {
        self.scopes.push((options, weight));
        self
    }

    /// How the line is used, such as how many bytes a second may go. Probes are the uploader's business.
    #[must_use]
    pub fn with_line(mut self, line: LineOptions) -> Self {
        self.line = line;
        self
    }

    /// Attempts every pending event once, and returns when that is done. With no server within reach, three attempts
    /// to connect are made.
    ///
    /// `observe` sees the progress after every answer and before every wait.
    ///
    /// # Errors
    ///
    /// `Invalid`: no scope was named, or that of the inbox. The store's: another session drains one of them, or it
    /// cannot write. What was sent is then sent again by a later session.
    pub fn run_once(&mut self, observe: Observe<'_>) -> Result<Report, Error> {
        self.run_once_until(&Control::new(), observe)
    }

    /// Runs as [`NatsUploader::run_once`] does, until `control` is stopped, which takes less than a second.
    ///
    /// # Errors
    ///
    /// As [`NatsUploader::run_once`].
    pub fn run_once_until(
        &mut self,
        control: &Control,
        observe: Observe<'_>,
    ) -> Result<Report, Error> {
        self.run_beside(Effort::Once, control, observe)
    }

    /// Sends whatever is captured until `control` is stopped, which takes less than a second.
    ///
    /// # Errors
    ///
    /// As [`NatsUploader::run_once`], but for a full disk.
    pub fn run_until(&mut self, control: &Control, observe: Observe<'_>) -> Result<Report, Error> {
        self.run_beside(Effort::Forever, control, observe)
    }

    /// Does the same beside the caller.
    ///
    /// # Errors
    ///
    /// `Io`: the operating system gives no thread.
    pub fn spawn(self) -> Result<NatsHandle, Error> {
        let (control, published) = (Control::new(), Arc::new(Published::default()));
        let (theirs, news) = (control.clone(), Arc::clone(&published));
        let (store, shown) = (self.store.clone(), Arc::clone(&self.shown));
        let thread = thread::Builder::new()
            .name("onceward-nats".to_owned())
            .spawn(move || {
                let ended = self.start(Effort::Forever).and_then(|course| {
                    news.begin(course.scopes.clone());
                    self.run(course, Effort::Forever, &theirs, &mut |report| news.publish(report))
                });
                news.end();
                ended
            })
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        Ok(NatsHandle::new(control, published, (store, shown), thread))
    }

    /// Runs on a thread of its own, so that it can be called from whatever runtime the host has.
    fn run_beside(
        &self,
        effort: Effort,
        control: &Control,
        observe: Observe<'_>,
    ) -> Result<Report, Error> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name("onceward-nats".to_owned())
                .spawn_scoped(scope, || self.run(self.start(effort)?, effort, control, observe))
                .map_err(|found| Error::from(Cause::Thread(found)))?
                .join()
                .unwrap_or_else(|_panic| Err(Error::from(Cause::Panic)))
        })
    }

    /// The loop over connections.
    fn run(
        &self,
        mut course: Course,
        effort: Effort,
        control: &Control,
        observe: Observe<'_>,
    ) -> Result<Report, Error> {
        loop {
            let signals = control.take();
            if signals.stopped {
                return Ok(course.report());
            }
            course.take(signals);
            if !self.has_work(&course) {
                observe(&course.report());
                if effort == Effort::Once {
                    return Ok(course.report());
                }
                control.wait(IDLE_MS);
                continue;
            }
            match self.connect_and_drain(&mut course, effort, (control, observe))? {
                Some(Ended::Done | Ended::Stopped) => return Ok(course.report()),
                Some(Ended::Renewed) => {}
                // A server that takes connections and drops them is not called without end.
                Some(Ended::Lost) => self.pause(&mut course, control),
                None => {
                    observe(&course.report());
                    let is_over = course.failures >= ATTEMPTS_ONCE
                        || course.trouble.as_ref().is_some_and(Trouble::is_lasting);
                    if effort == Effort::Once && is_over {
                        return Ok(course.report());
                    }
                    self.pause(&mut course, control);
                }
            }
        }
    }

    /// Drains over one connection, with a runtime that ends with it. `None`: there is none, and why is noted.
    fn connect_and_drain(
        &self,
        course: &mut Course,
        effort: Effort,
        (control, observe): (&Control, Observe<'_>),
    ) -> Result<Option<Ended>, Error> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        let ended = runtime.block_on(async {
            let credentials = self.shown.read().unwrap_or_else(PoisonError::into_inner).clone();
            let opened = tokio::select! {
                opened = Link::open(&self.options, credentials.as_ref(), &course.scopes) => opened,
                () = control.stopped() => return Ok(Some(Ended::Stopped)),
            };
            let link = match opened {
                Ok(link) => link,
                Err(trouble) => {
                    course.failures = course.failures.saturating_add(1);
                    course.trouble = Some(trouble);
                    return Ok(None);
                }
            };
            (course.trouble, course.failures) = (None, 0);
            let (drain, clock) = (&mut course.drain, self.clock);
            Driver { drain, effort, control, clock, observe }.run(link).await.map(Some)
        });
        // Looking up a name may take long, and what waits in buffers must never be sent.
        runtime.shutdown_background();
        ended
    }

    fn start(&self, effort: Effort) -> Result<Course, Error> {
        if self.scopes.is_empty() {
            return Err(Error::invalid("scopes", "there is none to drain"));
        }
        let mut drain = Drain::new(&self.store, self.line.with_probes(true));
        let acks = self.store.inbox().scope()?;
        for (options, weight) in &self.scopes {
            if *options.scope() == acks {
                let why = format!(
                    "the events of {acks} tell how deliveries ended, and a stream takes no acks"
                );
                return Err(Error::invalid("scope", why));
            }
            // Until the stream says its window nothing is sent again: it is always heard before.
            let options = options
                .clone()
                .with_effort(effort)
                .with_keys(KeyRule::Conveyed)
                .with_horizon(Duration::ZERO);
            let options = match options.has_upstream() {
                true => options,
                false => options.with_upstream(self.options.upstream()?),
            };
            let form = message::form(self.store.id(), self.options.subject.clone());
            drain.add(options, form, *weight)?;
        }
        let scopes = drain.reports().into_iter().map(|(scope, _)| scope).collect();
        Ok(Course { drain, scopes, trouble: None, failures: 0 })
    }

    /// Whether there is anything to send. With nothing, nobody is called.
    fn has_work(&self, course: &Course) -> bool {
        course.scopes.iter().any(|scope| {
            let status = self.store.status_of(scope);
            status.pending > 0 || status.in_flight > 0
        })
    }

    /// Waits before it is connected again. A capture does not end that.
    fn pause(&self, course: &mut Course, control: &Control) {
        let (clock, wait_ms) = (Monotonic::start(), self.wait_ms(course));
        loop {
            let left_ms = wait_ms.saturating_sub(clock.now_ms());
            control.wait(left_ms);
            let signals = control.take();
            course.take(signals);
            if left_ms == 0 || signals.stopped || signals.online || signals.has_new_key {
                return;
            }
        }
    }

    /// How long to wait before it is connected again.
    fn wait_ms(&self, course: &Course) -> u64 {
        match &course.trouble {
            Some(Trouble::Blocked(_)) => BLOCKED_MS,
            Some(Trouble::Misdirected(_)) => LASTING_MS,
            _ => {
                let ms =
                    |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
                let doublings = course.failures.saturating_sub(1).min(32);
                let most = ms(self.options.backoff_base).saturating_mul(1 << doublings);
                let most = most.min(ms(self.options.backoff_cap));
                // Terminals that lost the same server do not all return at once.
                most / 2 + RandomState::new().hash_one(most) % (most / 2 + 1)
            }
        }
    }
}

impl fmt::Debug for NatsUploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsUploader")
            .field("options", &self.options)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
