//! The loop around an exchange for a host that has a tokio runtime: one task, and one more for each request on its way.
//!
//! It decides nothing, as the loop of threads does not. What the exchange does to the store waits for the disk, so
//! every step of it runs on the runtime's threads for blocking work, one at a time; the tasks themselves never block.
//!
//! ```text
//! task of the host     run: signals, answers -> step -> request or wait -> ..
//! blocking threads     step: the exchange, and with it the disk
//! tasks of requests    AsyncTransport::send
//! ```

mod errands;
mod handle;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onceward::sync::{Effort, LineOptions, Options, Report};
use onceward::{Scope, Store};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::control::{Control, Signals};
use crate::dialect::Dialect;
use crate::error::{Cause, Error};
use crate::exchange::{Exchange, Route, Work};
use errands::{Errands, Returned};

pub use handle::AsyncHandle;
pub use transport::{AsyncTransport, Blocking, Carrying};

/// How long the loop relies on signals about captures: a host may have several programs.
const LOOK: Duration = Duration::from_secs(1);
/// How long what is on its way is waited for once the loop is to end.
const END: Duration = Duration::from_millis(800);
/// Shortest wait, so that a time limit in the past cannot make the loop spin.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Drains scopes of a store to one upstream, on the tokio runtime of the host.
///
/// It is what an [`Uploader`](crate::Uploader) is to a host with threads. The runtime must have its time enabled. All
/// that waits for the disk runs on the runtime's threads for blocking work, so no worker of it is ever held up; that
/// is one such thread at a time, besides what a [`Blocking`] transport takes.
///
/// # Dropping what runs
///
/// The futures of [`AsyncUploader::run`] and [`AsyncUploader::run_once`] may be dropped at any point. What is on its
/// way is then abandoned: nobody hears the answer, and the same batch goes again, under its old number, the next time
/// one of them is called. What the store was doing at that moment comes to its end in the background, and the next
/// run waits for it. Dropping the uploader ends the transport too.
///
/// ```
/// use std::time::Duration;
///
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::{AsyncUploader, Blocking, Control, Forloy, Line, Timeouts};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Blocking::new(Line::new("http://127.0.0.1:9", None, Timeouts::default())?);
/// let options = sync::Options::new(Scope::default());
/// let mut uploader = AsyncUploader::new(store, line, Box::new(Forloy::new()), options)?;
/// let control = Control::new();
/// let handle = uploader.handle(&control);
/// let running = tokio::spawn(async move { uploader.run(&control).await });
/// // After each capture: `wake`. At the end of a shift:
/// assert!(handle.flush(Duration::from_secs(20)).await, "nothing was captured");
/// handle.stop();
/// let report = running.await??;
/// assert_eq!(report.attempted, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncUploader {
    /// The store that is drained.
    store: Store,
    /// What carries requests.
    transport: Arc<dyn AsyncTransport>,
    /// How the line is used.
    line: LineOptions,
    /// How the events of each scope go.
    routes: Vec<Route>,
    /// The moment at which the clock of the exchange is zero.
    zero: Instant,
    /// Held by whatever touches the store for a run: of several only the last one goes on.
    turn: Arc<Mutex<()>>,
    /// What was done so far.
    progress: watch::Sender<Report>,
}

/// An exchange, and the right to drain.
#[derive(Debug)]
struct Draining {
    // Dropped before the turn: the next exchange may begin when there is no other.
    exchange: Exchange,
    _turn: OwnedMutexGuard<()>,
}

impl AsyncUploader {
    /// Puts the parts together; sends nothing yet. The arguments are those of [`Uploader::new`](crate::Uploader::new).
    ///
    /// # Errors
    ///
    /// Those of [`Uploader::new`](crate::Uploader::new).
    pub fn new(
        store: Store,
        transport: impl AsyncTransport + 'static,
        dialect: Box<dyn Dialect>,
        options: Options,
    ) -> Result<Self, Error> {
        let uploader = Self {
            store,
            transport: Arc::new(transport),
            line: LineOptions::new(),
            routes: Vec::new(),
            zero: Instant::now(),
            turn: Arc::default(),
            progress: watch::Sender::new(Report::default()),
        };
        uploader.and(Route::shared(Arc::from(dialect), options))
    }

    /// Drains another scope too, over the same line.
    ///
    /// # Errors
    ///
    /// As [`AsyncUploader::new`]; and the scope is one of those that it drains already.
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

    /// What other tasks keep of it: signals for a run with this control, and what came of it.
    #[must_use]
    pub fn handle(&self, control: &Control) -> AsyncHandle {
        let scopes: Vec<Scope> = self.routes.iter().map(|route| route.scope().clone()).collect();
        let drained = (self.store.clone(), scopes);
        let progress = self.progress.subscribe();
        AsyncHandle::new(control.clone(), Arc::clone(&self.transport), drained, progress)
    }

    /// Sends whatever is captured until `control` is stopped, and does the store's [housekeeping](Store::tick) in
    /// between.
    ///
    /// A disk that is too full for what sending has to write ends nothing: the report says so, and it goes on after
    /// the backoff, when there is room again.
    ///
    /// # Errors
    ///
    /// The store's, but for a full disk: another session drains one of the scopes, or it cannot write. What was sent
    /// is then sent again by a later session.
    pub async fn run(&mut self, control: &Control) -> Result<Report, Error> {
        self.drive(Effort::Forever, control).await
    }

    /// Attempts every pending event once, and returns when that is done, or `control` is stopped: see
    /// [`Uploader::run_once`](crate::Uploader::run_once).
    ///
    /// # Errors
    ///
    /// As [`AsyncUploader::run`], and a full disk.
    pub async fn run_once(&mut self, control: &Control) -> Result<Report, Error> {
        self.drive(Effort::Once, control).await
    }

    /// The loop.
    async fn drive(&mut self, effort: Effort, control: &Control) -> Result<Report, Error> {
        let mut draining = self.start(effort).await?;
        // Dropped with this future, and all that is on its way with it.
        let mut errands = Errands::new(Arc::clone(&self.transport));
        let mut returned = Vec::new();
        loop {
            let signals = control.take();
            if signals.stopped {
                self.end(&mut errands, &mut returned).await;
            }
            let (came, now_ms) = (std::mem::take(&mut returned), self.now_ms());
            let step;
            (draining, step) =
                on_disk(draining, move |exchange| next(exchange, came, signals, now_ms)).await?;
            let report = draining.exchange.report();
            self.progress.send_replace(report.clone());
            if signals.stopped {
                return Ok(report);
            }
            let wait = match step {
                Work::Send(id, request) => {
                    errands.send(id, request);
                    continue;
                }
                Work::Probe => {
                    errands.probe();
                    continue;
                }
                Work::Wait { until_ms } => {
                    Duration::from_millis(until_ms.saturating_sub(self.now_ms()))
                }
                Work::Await => LOOK,
                // Only with one effort there is somebody who will do something about it.
                Work::Idle | Work::Blocked if effort == Effort::Once => return Ok(report),
                Work::Idle | Work::Blocked => LOOK,
            };
            if errands.is_empty() {
                self.keep_house(effort).await?;
            }
            tokio::select! {
                () = control.changed() => {}
                came = errands.next() => returned.push(came),
                () = sleep(wait.clamp(WAIT_MIN, LOOK)) => {}
            }
            returned.extend(errands.take_ready());
        }
    }

    /// Begins a session, once that of a run that was dropped has ended.
    async fn start(&self, effort: Effort) -> Result<Draining, Error> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (store, routes) = (self.store.clone(), self.routes.clone());
        let line = self.line;
        let line = if self.transport.can_probe() { line } else { line.with_probes(false) };
        let started = spawn_blocking(move || {
            let exchange = Exchange::start(&store, line, effort, routes)?;
            Ok(Draining { exchange, _turn: turn })
        });
        started.await.map_err(|_panic| Error::from(Cause::Panic))?
    }

    /// Waits for what is on its way, for a moment.
    async fn end(&self, errands: &mut Errands, returned: &mut Vec<Returned>) {
        let until = Instant::now() + END;
        while !errands.is_empty() {
            match timeout_at(until, errands.next()).await {
                Ok(came) => returned.push(came),
                Err(_elapsed) => return,
            }
        }
    }

    /// Does what the store wants done now and then.
    async fn keep_house(&self, effort: Effort) -> Result<(), Error> {
        let store = self.store.clone();
        let kept = spawn_blocking(move || store.tick());
        match kept.await.map_err(|_panic| Error::from(Cause::Panic))? {
            Err(full) if full.kind() == onceward::ErrorKind::Full => Ok(()),
            // One run is no keeper of the house.
            Err(_) if effort == Effort::Once => Ok(()),
            kept => Ok(kept?),
        }
    }

    /// The time of the exchange's clock.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for AsyncUploader {
    fn drop(&mut self) {
        self.transport.shut_down();
    }
}

impl fmt::Debug for AsyncUploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncUploader")
            .field("transport", &self.transport)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// Runs a step on a thread that may wait for the disk. Where the future is dropped meanwhile, the exchange and its
/// turn go when the step has come to its end.
async fn on_disk<T: Send + 'static>(
    mut draining: Draining,
    step: impl FnOnce(&mut Exchange) -> onceward::Result<T> + Send + 'static,
) -> Result<(Draining, T), Error> {
    let stepped = spawn_blocking(move || {
        let done = step(&mut draining.exchange);
        done.map(|done| (draining, done))
    });
    Ok(stepped.await.map_err(|_panic| Error::from(Cause::Panic))??)
}

/// A step: applies what came and what was signalled, and asks what is next.
fn next(
    exchange: &mut Exchange,
    returned: Vec<Returned>,
    signals: Signals,
    now_ms: u64,
) -> onceward::Result<Work> {
    for came in returned {
        match came {
            Returned::Answer(id, answer) => match *answer {
                Ok(response) => exchange.on_response(id, &response, now_ms)?,
                Err(failure) => exchange.on_failure(id, &failure, now_ms)?,
            },
            Returned::Probed(is_reached) => {
                exchange.on_probe(is_reached, now_ms);
            }
        }
    }
    if signals.online {
        exchange.on_online();
    }
    if signals.has_new_key {
        exchange.on_new_key();
    }
    if signals.stopped || signals.paused { Ok(Work::Await) } else { exchange.next(now_ms) }
}

#[cfg(test)]
mod tests;
