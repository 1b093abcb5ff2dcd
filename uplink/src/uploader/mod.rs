//! The short loop around a session: takes what it wants sent, carries it, brings back the answer.
//!
//! It decides nothing: when, what and how often is the session's, and what an answer means is the
//! dialect's.

mod handle;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use onceward::Store;
use onceward::sync::{Batch, Effort, Failure, Form, Options, Reply, Report, Session, Step};

use crate::clock::Monotonic;
use crate::control::Control;
use crate::dialect::Dialect;
use crate::error::{Cause, Error};
use crate::line::Line;
use crate::secret::Secret;
use crate::upstream::{About, ServerTime};

pub use handle::UploaderHandle;

/// How long an idle uploader relies on signals about captures: a host may have several programs.
const IDLE_MS_MAX: u64 = 1_000;
/// The status that asks for other credentials.
const UNAUTHORIZED: u16 = 401;
/// Shortest wait, so that a time limit in the past cannot make the loop spin.
const WAIT_MS_MIN: u64 = 1;
/// Longest single wait; the loop just asks again.
const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;

/// Drains a store to one upstream, on the calling thread or on one of its own.
///
/// ```
/// use onceward::{Config, Scope, Store, sync};
/// use onceward_uplink::{Forloy, Line, Timeouts, Uploader};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let options = sync::Options::new(Scope::default());
/// let mut uploader = Uploader::new(store, line, Box::new(Forloy::new()), options)?;
/// let report = uploader.run_once(&mut |report| println!("sent {}", report.attempted))?;
/// assert_eq!(report.attempted, 0, "nothing was captured");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Uploader {
    /// The store that is drained.
    store: Store,
    /// The way to the upstream.
    line: Line,
    /// The language of the upstream.
    dialect: Arc<dyn Dialect>,
    /// How the session is to behave.
    options: Options,
    /// The clock whose time the session is given.
    clock: Monotonic,
    /// Gives a fresh key, if the host has one.
    fresh_key: Option<FreshKey>,
    /// Whether the host was asked for one since the key was good last, or since the last wait.
    has_asked: bool,
}

/// Gives a fresh key, if the host has one.
type FreshKey = Box<dyn FnMut() -> Option<Secret> + Send>;

/// Why there is nothing to send, and for how many milliseconds to believe it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pause {
    /// The session wants to be asked again then.
    Until(u64),
    /// The session has no wish: something has to happen first.
    UntilSignal(u64),
}

impl Uploader {
    /// Puts the parts together; sends nothing yet.
    ///
    /// Of `options`, the effort is set by the way it is run. A batch with more items or bytes than the dialect allows
    /// is halved before it is sent, so `items_max` should be at most [`Dialect::items_max`], and `bytes_max` at most
    /// [`Dialect::bytes_max`]. Where they name no horizon, that of the dialect counts until the upstream says its own.
    ///
    /// Where they name no upstream, it is the line's address with the dialect's name. Their settings
    /// are the dialect's.
    ///
    /// What a reply says of the upstream is applied: its clock ([`Store::confirm_time`]) from the
    /// header `Date`, and how long it remembers keys, in seconds, from the header `Onceward-Horizon`.
    ///
    /// # Errors
    ///
    /// `Invalid`: the dialect's name, or the line's address, cannot be part of an upstream's identity; or
    /// the keys' rule is [`KeyRule::Conveyed`](onceward::sync::KeyRule::Conveyed), and the dialect does not give the
    /// upstream the scope.
    pub fn new(
        store: Store,
        line: Line,
        dialect: Box<dyn Dialect>,
        options: Options,
    ) -> Result<Self, Error> {
        let options = match dialect.horizon_ms().filter(|_| !options.has_horizon()) {
            Some(horizon_ms) => options.with_horizon(Duration::from_millis(horizon_ms)),
            None => options,
        };
        let options = if options.has_upstream() {
            options
        } else {
            options.with_upstream(line.upstream(dialect.name())?)
        };
        if options.conveys_scope() && !dialect.conveys_scope() {
            let why = "the dialect does not give the upstream the scope: use another rule";
            return Err(Error::invalid("keys", why));
        }
        let options = options.with_settings(dialect.settings());
        let (dialect, clock) = (Arc::from(dialect), Monotonic::start());
        Ok(Self { store, line, dialect, options, clock, fresh_key: None, has_asked: false })
    }

    /// Asks `source` for a fresh key when somebody answers 401, be it the upstream or a stranger on the way: once
    /// for each wait that the backoff brings. With a key that differs the same batch is sent again at once;
    /// otherwise things go on as without this.
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
    /// The store's: another session drains it, or it cannot write. What was sent is then sent again
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

    /// Sends whatever is captured until `control` is stopped.
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
    pub fn spawn(mut self) -> Result<UploaderHandle, Error> {
        let (control, line) = (Control::new(), self.line.clone());
        let (sender, progress) = handle::progress();
        let theirs = control.clone();
        let thread = thread::Builder::new()
            .name("onceward-uplink".to_owned())
            .spawn(move || self.run_until(&theirs, &mut |report| sender.publish(report)))
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        Ok(UploaderHandle::new(control, line, progress, thread))
    }

    fn start(&self, effort: Effort) -> Result<Session, Error> {
        let dialect = Arc::clone(&self.dialect);
        let form: Form = Arc::new(move |event, wire_key, item| dialect.form(event, wire_key, item));
        Ok(Session::start(&self.store, self.options.clone().with_effort(effort), form)?)
    }

    /// The loop.
    fn run(
        &mut self,
        effort: Effort,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        let mut session = self.start(effort)?;
        loop {
            let signals = control.take();
            if signals.stopped {
                return Ok(session.report());
            }
            if signals.online {
                session.on_online();
            }
            if signals.has_new_key {
                session.on_new_key();
            }
            let pause = match self.go_on(&mut session) {
                Ok(pause) => pause,
                // A bundle brought the rule for its keys. Another session sends by that, unless the host wants
                // another one.
                Err(found) if found.code() == "WIRE_KEYS_CHANGED" => {
                    drop(session);
                    session = self.start(effort)?;
                    continue;
                }
                // Others give room back. Until then nothing is lost: the backoff says when to look.
                Err(full) if effort == Effort::Forever && is_full(&full) => {
                    session.on_full(&full, self.clock.now_ms());
                    Some(Pause::Until(WAIT_MS_MIN))
                }
                Err(other) => return Err(other.into()),
            };
            match (effort, pause) {
                (_, None) => observe(&session.report()),
                (_, Some(Pause::Until(wait_ms)))
                | (Effort::Forever, Some(Pause::UntilSignal(wait_ms))) => {
                    observe(&session.report());
                    control.wait(wait_ms.clamp(WAIT_MS_MIN, WAIT_MS_MAX));
                    self.has_asked = false;
                }
                (_, Some(Pause::UntilSignal(_))) => return Ok(session.report()),
            }
        }
    }

    /// Does what the session wants next; how long to pause if that is nothing.
    fn go_on(&mut self, session: &mut Session) -> onceward::Result<Option<Pause>> {
        let step = session.next(self.clock.now_ms())?;
        if let Step::Send(batch) = &step {
            self.exchange(session, batch)?;
            return Ok(None);
        }
        if matches!(step, Step::Idle) && session.asks_time() {
            self.ask_time(session)?;
            return Ok(None);
        }
        Ok(Some(self.pause(&step)))
    }

    /// How long to pause when there is nothing to send.
    fn pause(&self, step: &Step) -> Pause {
        match step {
            Step::Wait { until_ms } => Pause::Until(until_ms.saturating_sub(self.clock.now_ms())),
            // Only the host can change that, and then it says so.
            Step::Blocked => Pause::UntilSignal(WAIT_MS_MAX),
            // A step that this version does not know asks for nothing that it could do.
            _ => Pause::UntilSignal(IDLE_MS_MAX),
        }
    }

    /// Carries one batch and reports to the session what came of it.
    fn exchange(&mut self, session: &mut Session, batch: &Batch) -> onceward::Result<()> {
        let (carried, is_key_refused) = self.carry(batch);
        match carried {
            Ok((reply, about)) => {
                // First: what the reply settles is remembered from that time on.
                apply(session, about)?;
                session.on_reply(batch.id, &reply, self.clock.now_ms())?;
            }
            Err(failure) => session.on_failure(batch.id, &failure, self.clock.now_ms())?,
        }
        self.look_at_key(session, is_key_refused);
        Ok(())
    }

    /// Asks what time it is by the upstream's clock, and for nothing else.
    fn ask_time(&mut self, session: &mut Session) -> onceward::Result<()> {
        let Some(request) = self.dialect.time_request() else {
            session.on_no_time();
            return Ok(());
        };
        let (answered, is_key_refused) = match self.line.send(request) {
            Err(failure) => (Err(failure), false),
            Ok(response) => {
                let answer = self.dialect.time_answer(&response);
                (answer.map(|()| response.about()), response.status == UNAUTHORIZED)
            }
        };
        match answered {
            Ok(about) => {
                apply(session, about)?;
                session.on_no_time();
            }
            Err(failure) => session.on_no_answer(&failure, self.clock.now_ms())?,
        }
        self.look_at_key(session, is_key_refused);
        Ok(())
    }

    /// Goes on with a fresh key, if the host has one for an answer that refuses the last.
    fn look_at_key(&mut self, session: &mut Session, is_refused: bool) {
        if !is_refused {
            self.has_asked = false;
        } else if self.renews_key() {
            session.on_new_key();
        }
    }

    /// Asks the host for a fresh key, unless it was asked just now. Returns whether it gave another one.
    fn renews_key(&mut self) -> bool {
        let Some(source) = self.fresh_key.as_mut().filter(|_| !self.has_asked) else {
            return false;
        };
        self.has_asked = true;
        source().is_some_and(|key| !self.line.has_key(&key) && self.line.set_key(Some(key)).is_ok())
    }

    /// Carries one batch: what came of it, also of the upstream, and whether the answer's status refuses the key.
    fn carry(&self, batch: &Batch) -> (Result<(Reply, About), Failure>, bool) {
        let has_many_bytes = self.dialect.bytes_max().is_some_and(|max| batch.bytes() > max);
        let count = batch.items().len();
        if count > self.dialect.items_max() || (count > 1 && has_many_bytes) {
            return (Err(Failure::TooLarge), false);
        }
        match self.line.send(self.dialect.request(batch)) {
            Err(failure) => (Err(failure), false),
            Ok(response) => {
                let reply = self.dialect.decode(batch, &response);
                (reply.map(|reply| (reply, response.about())), response.status == UNAUTHORIZED)
            }
        }
    }
}

/// Applies what an answer says of the upstream: how long it remembers keys first, since what its time shows
/// is judged by that.
fn apply(session: &mut Session, about: About) -> onceward::Result<()> {
    if let Some(horizon) = about.horizon {
        session.on_horizon(horizon);
    }
    if let Some(ServerTime { unix_ms, uncertainty }) = about.time {
        session.on_time(unix_ms, uncertainty)?;
    }
    Ok(())
}

/// Whether the store found no room, and nothing of what was to be written is there.
fn is_full(error: &onceward::Error) -> bool {
    error.kind() == onceward::ErrorKind::Full && !error.in_doubt()
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader")
            .field("line", &self.line)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
