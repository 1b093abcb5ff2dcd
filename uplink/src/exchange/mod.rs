//! What passes between a store and its upstream, request by request: which request is next, and what an answer means
//! for the store. No socket, no clock, no thread: each driver is a short loop around it.
//!
//! ```text
//! Drain   -- Batch --> Dialect -- Request --> driver --> upstream
//! Drain <-- Reply or Failure -- Dialect <-- Response -- driver
//! ```

mod route;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use onceward::sync::{
    Answered, Batch, Drain, Effort, Failure, Form, LineOptions, Report, Step, Upstream,
};
use onceward::{Scope, Store};

use crate::dialect::{Dialect, Request, Response};
use crate::error::Error;
use crate::upstream::{About, ServerTime};

pub use route::Route;

/// The status that asks for other credentials.
const UNAUTHORIZED: u16 = 401;

/// The number of a request that is on its way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u64);

impl RequestId {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The request of that number, for drivers that keep numbers.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// What a driver is to do next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Work {
    /// Send this, and report with [`Exchange::on_response`] or [`Exchange::on_failure`].
    Send(RequestId, Request),
    /// Open a connection, send nothing, and report with [`Exchange::on_probe`].
    Probe,
    /// Ask again then, or earlier after a report or a capture.
    Wait {
        /// By the clock whose time [`Exchange::next`] gets, milliseconds.
        until_ms: u64,
    },
    /// Ask again after the next report.
    Await,
    /// Nothing to send: ask again after a capture. With [`Effort::Once`] it is over.
    Idle,
    /// The upstream refuses the credentials or the version.
    Blocked,
}

/// A request that is on its way.
#[derive(Debug)]
enum Sent {
    /// A batch.
    Batch(Box<Batch>),
    /// The question for the time, for the events of this scope.
    Time(Scope),
}

/// What passes between a store and its upstream.
///
/// ```
/// use onceward::sync::{Effort, LineOptions, Options};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward_uplink::{Exchange, Response, Route, Wede, Work};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let route = Route::new(Wede::new("till-7"), Options::new(Scope::default()));
/// let upstream = onceward::sync::Upstream::new("https://hub.example", "wede")?;
/// let mut exchange = Exchange::start(&store, LineOptions::new(), Effort::Forever, [route.to(upstream)])?;
/// # let now_ms = 0; // By a monotonic clock of the host's.
/// let Work::Send(id, request) = exchange.next(now_ms)? else { panic!("an event waits") };
/// assert_eq!(request.path, "/v1/sync/batch");
/// // Sent by the host's own client; this came back.
/// let body = r#"{"data":{"batch_id":"b","status":"completed","accepted":1,"rejected":0,
///     "events":[{"idempotency_key":"sale-1","status":"accepted"}]}}"#;
/// exchange.on_response(id, &Response::new(200, body), now_ms)?;
/// assert_eq!((exchange.report().accepted, store.status().settled), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exchange {
    drain: Drain,
    dialects: BTreeMap<Scope, Arc<dyn Dialect>>,
    sent: BTreeMap<RequestId, Sent>,
    last: u64,
    is_key_refused: Option<bool>,
}

impl Exchange {
    /// Begins to drain the scopes of these routes over one line.
    ///
    /// # Errors
    ///
    /// `Invalid`: a route does not name its upstream, has a rule for keys that its dialect cannot keep, or has the
    /// scope of the inbox without [a dialect that takes acks](Dialect::takes_acks), or such a dialect without that
    /// scope. The store's: another session drains one of the scopes, or the rule for its keys is missing or another
    /// one than before.
    pub fn start(
        store: &Store,
        line: LineOptions,
        effort: Effort,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, Error> {
        let mut drain = Drain::new(store, line);
        let mut dialects = BTreeMap::new();
        for route in routes {
            route.check(store)?;
            let (dialect, options, weight) = route.into_parts()?;
            let theirs = Arc::clone(&dialect);
            let form: Form = Arc::new(move |event, key, item| theirs.form(event, key, item));
            dialects.insert(options.scope().clone(), dialect);
            drain.add(options.with_effort(effort), form, weight)?;
        }
        Ok(Self { drain, dialects, sent: BTreeMap::new(), last: 0, is_key_refused: None })
    }

    /// What the driver is to do next, `now_ms` being the time of any clock that never goes back.
    ///
    /// # Errors
    ///
    /// The store's; nothing is lost, and asking again is allowed.
    pub fn next(&mut self, now_ms: u64) -> onceward::Result<Work> {
        loop {
            return Ok(match self.drain.next(now_ms)? {
                Step::Send(batch) => {
                    let Some(dialect) = self.dialects.get(&batch.scope) else { continue };
                    let is_too_long = dialect.bytes_max().is_some_and(|most| batch.bytes() > most);
                    // A single one is as it is.
                    let is_many = batch.items().len() > 1;
                    if batch.items().len() > dialect.items_max() || (is_too_long && is_many) {
                        self.drain.on_failure(&batch, &Failure::TooLarge, now_ms)?;
                        continue;
                    }
                    let request = dialect.request(&batch);
                    Work::Send(self.note(Sent::Batch(Box::new(batch))), request)
                }
                Step::AskTime(scope) => {
                    let dialect = self.dialects.get(&scope);
                    let Some(request) = dialect.and_then(|dialect| dialect.time_request()) else {
                        self.drain.on_time_answer(&scope, None, now_ms)?;
                        continue;
                    };
                    Work::Send(self.note(Sent::Time(scope)), request)
                }
                Step::Probe => Work::Probe,
                Step::Wait { until_ms } => Work::Wait { until_ms },
                Step::Await => Work::Await,
                Step::Blocked => Work::Blocked,
                // A step that this version does not know asks for nothing that it could do.
                _ => Work::Idle,
            });
        }
    }

    /// Applies the answer to a request. One to a request that is not on its way changes nothing.
    ///
    /// # Errors
    ///
    /// The store's; what was sent is then sent again.
    pub fn on_response(
        &mut self,
        id: RequestId,
        response: &Response,
        now_ms: u64,
    ) -> onceward::Result<()> {
        let Some(sent) = self.sent.remove(&id) else { return Ok(()) };
        let about = response.about();
        match sent {
            Sent::Batch(batch) => {
                let Some(dialect) = self.dialects.get(&batch.scope) else { return Ok(()) };
                let decoded = dialect.decode(&batch, response);
                self.note_key(response, decoded.as_ref().err());
                match decoded {
                    Ok(reply) => {
                        // First: what the reply settles is remembered from that time on.
                        self.hear(&batch.scope, about)?;
                        self.drain.on_reply(&batch, &reply, now_ms)
                    }
                    Err(failure) => self.drain.on_failure(&batch, &failure, now_ms),
                }
            }
            Sent::Time(scope) => {
                let Some(dialect) = self.dialects.get(&scope) else { return Ok(()) };
                let answer = dialect.time_answer(response);
                self.note_key(response, answer.as_ref().err());
                if answer.is_ok() {
                    self.hear(&scope, about)?;
                }
                self.drain.on_time_answer(&scope, answer.as_ref().err(), now_ms)
            }
        }
    }

    /// Applies that a request has no answer, or none that could be taken. Whether it arrived is unknown.
    ///
    /// # Errors
    ///
    /// The store's; what was sent is then sent again.
    pub fn on_failure(
        &mut self,
        id: RequestId,
        failure: &Failure,
        now_ms: u64,
    ) -> onceward::Result<()> {
        match self.sent.remove(&id) {
            None => Ok(()),
            Some(Sent::Batch(batch)) => self.drain.on_failure(&batch, failure, now_ms),
            Some(Sent::Time(scope)) => self.drain.on_time_answer(&scope, Some(failure), now_ms),
        }
    }

    /// Applies that nothing came back for a request, for a reason in words: see [`Exchange::on_failure`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn on_no_answer(&mut self, id: RequestId, why: &str, now_ms: u64) -> onceward::Result<()> {
        let (why, answered) = (why.to_owned(), Answered::Nobody);
        let failure = Failure::Unavailable { why, retry_after_ms: None, answered };
        self.on_failure(id, &failure, now_ms)
    }

    /// A probe reached the upstream, or did not.
    ///
    /// Returns whether the line is back: what waits for it goes now.
    pub fn on_probe(&mut self, is_reached: bool, now_ms: u64) -> bool {
        self.drain.on_probe(is_reached, now_ms)
    }

    /// The line is back, and the host says now: see [`Drain::on_online`].
    pub fn on_online(&mut self) {
        self.drain.on_online();
    }

    /// The credentials are others: see [`Drain::on_new_key`].
    pub fn on_new_key(&mut self) {
        self.drain.on_new_key();
    }

    /// The driver gave up whatever is on its way: see [`Drain::on_abandoned`].
    pub fn on_abandoned(&mut self) {
        self.sent.clear();
        self.drain.on_abandoned();
    }

    /// Whether the last answer refused the credentials; `None`: none came since this was asked last.
    pub fn take_key_refusal(&mut self) -> Option<bool> {
        self.is_key_refused.take()
    }

    /// How many requests are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// What was done so far, of all scopes together.
    #[must_use]
    pub fn report(&self) -> Report {
        self.drain.report()
    }

    /// What was done so far, by scope.
    #[must_use]
    pub fn reports(&self) -> Vec<(Scope, Report)> {
        self.drain.reports()
    }

    fn note(&mut self, sent: Sent) -> RequestId {
        self.last = self.last.saturating_add(1);
        self.sent.insert(RequestId(self.last), sent);
        RequestId(self.last)
    }

    fn note_key(&mut self, response: &Response, failure: Option<&Failure>) {
        self.is_key_refused = Some(failure.is_some() && response.status == UNAUTHORIZED);
    }

    /// Applies what an answer says of the upstream: how long it remembers keys first, since what its time shows is
    /// judged by that.
    fn hear(&mut self, scope: &Scope, about: About) -> onceward::Result<()> {
        let Some(session) = self.drain.session_of(scope) else { return Ok(()) };
        if let Some(horizon) = about.horizon {
            session.on_horizon(horizon);
        }
        if let Some(ServerTime { unix_ms, uncertainty }) = about.time {
            session.on_time(unix_ms, uncertainty)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("in_flight", &self.sent.len())
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

/// Of what upstream a driver's line is, in a dialect.
pub(crate) type Names<'a> = &'a dyn Fn(&str) -> Result<Upstream, Error>;

#[cfg(test)]
mod tests;
