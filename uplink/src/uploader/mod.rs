//! The short loop around an exchange: has carried what it wants sent, and brings back what came.
//!
//! It decides nothing: when, what and how often is the session's, and what an answer means is the
//! dialect's.

mod crew;
mod handle;

use std::fmt;
use std::sync::Arc;
use std::thread;

use onceward::sync::{Effort, LineOptions, Options, Report};
use onceward::{Scope, Store};

use crate::clock::Monotonic;
use crate::control::{Control, Signals};
use crate::dialect::Dialect;
use crate::error::{Cause, Error};
use crate::exchange::{Exchange, Route, Work};
use crate::secret::Secret;
use crate::transport::Transport;
use crew::{Came, Crew, Job};

pub use handle::UploaderHandle;

/// How long the loop relies on signals about captures: a host may have several programs.
const LOOK_MS: u64 = 1_000;
/// How long what is under way is waited for once the loop is to end.
const END_MS: u64 = 300;
/// Shortest wait, so that a time limit in the past cannot make the loop spin.
const WAIT_MS_MIN: u64 = 1;

/// Drains scopes of a store to one upstream, on the calling thread or on one of its own.
///
/// Requests go on threads of their own, as many as are on their way.
///
/// ```
/// use onceward::sync::KeyRule;
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::{Line, Route, Timeouts, Uploader, Wede};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let sales = sync::Options::new(Scope::default());
/// let tips = sync::Options::new(Scope::new("tips")?).with_keys(KeyRule::ScopePrefix);
/// let mut uploader = Uploader::new(store, line, Box::new(Wede::new("till-7")), sales)?
///     .and(Route::new(Wede::new("till-7"), tips))?;
/// let report = uploader.run_once(&mut |report| println!("sent {}", report.attempted))?;
/// assert_eq!(report.attempted, 0, "nothing was captured");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Uploader {
    /// The store that is drained.
    store: Store,
    /// What carries requests.
    transport: Arc<dyn Transport>,
    /// How the line is used.
    line: LineOptions,
    /// How the events of each scope go.
    routes: Vec<Route>,
    /// The clock whose time the exchange is given.
    clock: Monotonic,
    /// Gives a fresh key, if the host has one.
    fresh_key: Option<FreshKey>,
    /// Whether the host was asked for one since the key was good last, or since the last wait.
    has_asked: bool,
}

/// Gives a fresh key, if the host has one.
type FreshKey = Box<dyn FnMut() -> Option<Secret> + Send>;

impl Uploader {
    /// Puts the parts together; sends nothing yet.
    ///
    /// Of `options`, the effort is set by the way it is run; the rest is as for [`Route::new`]. Where they name no
    /// upstream, it is that of the line, in the dialect of that name.
    ///
    /// What a reply says of the upstream is applied: its clock ([`Store::confirm_time`]) from the
    /// header `Date`, and how long it remembers keys, in seconds, from the header `Onceward-Horizon`.
    ///
    /// # Errors
    ///
    /// `Invalid`: the dialect's name, or the line's address, cannot be part of an upstream's identity; or
    /// the keys' rule is [`KeyRule::Conveyed`](onceward::sync::KeyRule::Conveyed), and the dialect does not give the
    /// upstream the scope; or the scope is that of the inbox and the dialect [takes no acks](Dialect::takes_acks), or
    /// the other way round.
    pub fn new(
        store: Store,
        line: impl Transport + 'static,
        dialect: Box<dyn Dialect>,
        options: Options,
    ) -> Result<Self, Error> {
        Self::draining(store, line, [Route::shared(Arc::from(dialect), options)])
    }

    /// The same for several scopes, each by its route, over one line.
    ///
    /// # Errors
    ///
    /// As [`Uploader::and`].
    pub fn draining(
        store: Store,
        line: impl Transport + 'static,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, Error> {
        let uploader = Self {
            store,
            transport: Arc::new(line),
            line: LineOptions::new(),
            routes: Vec::new(),
            clock: Monotonic::start(),
            fresh_key: None,
            has_asked: false,
        };
        routes.into_iter().try_fold(uploader, Self::and)
    }

    /// Drains another scope too, over the same line.
    ///
    /// # Errors
    ///
    /// As [`Uploader::new`]; and the scope is one of those that it drains already.
    pub fn and(mut self, route: Route) -> Result<Self, Error> {
        route.check(&self.store)?;
        let route = route.named(&|dialect| self.transport.upstream(dialect))?;
        route.add_to(&mut self.routes)?;
        Ok(self)
    }

    /// Sets how the line is used: how many requests may be on their way, how many bytes a second may go.
    #[must_use]
    pub fn with_line(mut self, options: LineOptions) -> Self {
        self.line = options;
        self
    }

    /// Asks `source` for a fresh key before anything is sent, when the line is back, and when somebody answers 401,
    /// be it the upstream or a stranger on the way: once for each wait that the backoff brings. With a key that
    /// differs the same batch is sent again at once; otherwise things go on as without this.
    #[must_use]
    pub fn fresh_key(mut self, source: impl FnMut() -> Option<Secret> + Send + 'static) -> Self {
        self.fresh_key = Some(Box::new(source));
        self
    }

    /// Attempts every pending event once, and returns when that is done.
    ///
    /// A batch that fails is left for another run and the others go on, after the backoff; what ends it
    /// earlier says [`Effort::Once`].
    ///
    /// `observe` sees the progress after every exchange and before every wait.
    ///
    /// # Errors
    ///
    /// The store's: another session drains one of the scopes, or it cannot write. What was sent is then sent again
    /// by a later session.
    pub fn run_once(&mut self, observe: &mut dyn FnMut(&Report)) -> Result<Report, Error> {
        self.run_once_until(&Control::new(), observe)
    }

    /// Runs as [`Uploader::run_once`] does, until `control` is stopped.
    ///
    /// # Errors
    ///
    /// As [`Uploader::run_once`].
    pub fn run_once_until(
        &mut self,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        self.run(Effort::Once, control, observe)
    }

    /// Sends whatever is captured until `control` is stopped, and does the store's [housekeeping](Store::tick) in
    /// between.
    ///
    /// A disk that is too full for what sending has to write ends nothing: the report says so, and it goes
    /// on after the backoff, when there is room again.
    ///
    /// `observe` sees the progress after every exchange and before every wait.
    ///
    /// # Errors
    ///
    /// As [`Uploader::run_once`], but for a full disk.
    pub fn run_until(
        &mut self,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        self.run(Effort::Forever, control, observe)
    }

    /// Does the same on a thread of its own.
    ///
    /// # Errors
    ///
    /// `Io`: the operating system gives no thread.
    pub fn spawn(self) -> Result<UploaderHandle, Error> {
        self.spawn_observed(|_report| {})
    }

    /// Does the same, and shows the progress after every exchange and before every wait.
    ///
    /// # Errors
    ///
    /// As [`Uploader::spawn`].
    pub fn spawn_observed(
        mut self,
        mut observe: impl FnMut(&Report) + Send + 'static,
    ) -> Result<UploaderHandle, Error> {
        let (control, transport) = (Control::new(), Arc::clone(&self.transport));
        let scopes: Vec<Scope> = self.routes.iter().map(|route| route.scope().clone()).collect();
        let drained = (self.store.clone(), scopes);
        let (sender, progress) = handle::progress();
        let theirs = control.clone();
        let mut publish = move |report: &Report| {
            sender.publish(report);
            observe(report);
        };
        let thread = thread::Builder::new()
            .name("onceward-uplink".to_owned())
            .spawn(move || self.run_until(&theirs, &mut publish))
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        Ok(UploaderHandle::new(control, (transport, drained), progress, thread))
    }

    /// The loop.
    fn run(
        &mut self,
        effort: Effort,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        let line =
            if self.transport.can_probe() { self.line } else { self.line.with_probes(false) };
        let mut exchange = Exchange::start(&self.store, line, effort, self.routes.iter().cloned())?;
        let mut crew = Crew::new(Arc::clone(&self.transport), control.clone());
        self.renew_key();
        loop {
            let signals = control.take();
            if self.apply_came(&mut exchange, &mut crew)? {
                observe(&exchange.report());
            }
            if signals.stopped {
                self.end(&mut exchange, &mut crew, control)?;
                return Ok(exchange.report());
            }
            self.apply_signals(&mut exchange, signals);
            let work =
                if signals.paused { Work::Await } else { exchange.next(self.clock.now_ms())? };
            let wait_ms = match work {
                Work::Send(id, request) => {
                    crew.carry(Job::Send(id, request));
                    continue;
                }
                Work::Probe => {
                    crew.carry(Job::Probe);
                    continue;
                }
                Work::Wait { until_ms } => until_ms.saturating_sub(self.clock.now_ms()),
                Work::Await => LOOK_MS,
                // Only with one effort there is somebody who will do something about it.
                Work::Idle | Work::Blocked if effort == Effort::Once => {
                    return Ok(exchange.report());
                }
                Work::Idle | Work::Blocked => LOOK_MS,
            };
            if crew.out() == 0 {
                observe(&exchange.report());
                self.has_asked = false;
                self.keep_house(effort)?;
            }
            control.wait(wait_ms.clamp(WAIT_MS_MIN, LOOK_MS));
        }
    }

    /// Applies what came of requests. Returns whether anything did.
    fn apply_came(&mut self, exchange: &mut Exchange, crew: &mut Crew) -> Result<bool, Error> {
        let came = crew.take();
        let is_any = !came.is_empty();
        for came in came {
            let now_ms = self.clock.now_ms();
            match came {
                Came::Answer(id, answer) => match *answer {
                    Ok(response) => exchange.on_response(id, &response, now_ms)?,
                    Err(failure) => exchange.on_failure(id, &failure, now_ms)?,
                },
                Came::Probed(is_reached) => {
                    if exchange.on_probe(is_reached, now_ms) {
                        self.renew_key();
                    }
                }
            }
            match exchange.take_key_refusal() {
                None => {}
                Some(false) => self.has_asked = false,
                Some(true) => {
                    if !self.has_asked && self.renew_key() {
                        exchange.on_new_key();
                    }
                    self.has_asked = true;
                }
            }
        }
        Ok(is_any)
    }

    fn apply_signals(&mut self, exchange: &mut Exchange, signals: Signals) {
        if signals.online {
            self.renew_key();
            exchange.on_online();
        }
        if signals.has_new_key {
            exchange.on_new_key();
        }
    }

    /// Waits for what is under way, for a moment.
    fn end(
        &mut self,
        exchange: &mut Exchange,
        crew: &mut Crew,
        control: &Control,
    ) -> Result<(), Error> {
        let until_ms = self.clock.now_ms().saturating_add(END_MS);
        while crew.out() > 0 && self.clock.now_ms() < until_ms {
            control.wait_for_report(until_ms.saturating_sub(self.clock.now_ms()));
            self.apply_came(exchange, crew)?;
        }
        Ok(())
    }

    /// Asks the host for a fresh key. Returns whether it gave another one.
    fn renew_key(&mut self) -> bool {
        let Some(source) = self.fresh_key.as_mut() else { return false };
        source().is_some_and(|key| self.transport.set_key(Some(key)).unwrap_or(false))
    }

    /// Does what the store wants done now and then.
    fn keep_house(&self, effort: Effort) -> Result<(), Error> {
        match self.store.tick() {
            Err(full) if full.kind() == onceward::ErrorKind::Full => Ok(()),
            // One run is no keeper of the house.
            Err(_) if effort == Effort::Once => Ok(()),
            kept => Ok(kept?),
        }
    }
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader")
            .field("line", &self.transport)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
