//! Drains several scopes of a store over one line: whose turn it is, whether the line is there, and how much may go.
//!
//! Sans-IO, as a [`Session`] is, of which each scope has one. The host adds the scopes, asks for the next [`Step`], and
//! reports what came back.
//!
//! ```text
//! Line     nobody answers: probes, until one reaches the upstream     -- Step::Probe, Step::Wait
//! Budget   bytes a second, on a line that costs by the byte           -- Step::Wait
//! Turns    scopes that have something to send, by their weight
//! Session  what is sent, and what a reply means                       -- Step::Send, Step::AskTime
//! ```

mod budget;
mod line;
mod options;
mod reporting;
mod results;
mod turns;

use super::session::sends_nothing;
use super::{Effort, Form, Options, Report, Session, Step};
use crate::base::{Error, ErrorKind, Result};
use crate::event::Scope;
use crate::store::Store;
use budget::Budget;
use line::{LineState, LineStep};
pub use options::LineOptions;
use results::Results;
use turns::Turns;

/// A scope that is drained.
struct Drained {
    scope: Scope,
    options: Options,
    form: Form,
    session: Session,
    /// The driver asks what time it is at the upstream.
    is_asking: bool,
    /// A question for an outcome is on its way.
    is_looking_up: bool,
    /// What it wanted when it was asked last.
    wish: SessionWish,
}

/// When a session wants to be asked again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SessionWish {
    Until(u64),
    Report,
    Event,
    Key,
}

/// Drains several scopes of a store over one line.
///
/// ```
/// use onceward::sync::{Drain, ItemOutcome, KeyRule, LineOptions, Options, Reply, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (sales, tips) = (Scope::default(), Scope::new("tips")?);
/// for scope in [&sales, &tips] {
///     store.capture(&Event::new(scope.clone(), Key::new("receipt-1")?, Payload::json("{}")?))?;
/// }
/// let mut drain = Drain::new(&store, LineOptions::new());
/// drain.add(Options::new(sales), payloads(), 2)?;
/// // The upstream gets the event as `~tips/receipt-1`.
/// drain.add(Options::new(tips).with_keys(KeyRule::ScopePrefix), payloads(), 1)?;
/// # let now_ms = 0; // By a monotonic clock of the host's.
/// loop {
///     match drain.next(now_ms)? {
///         Step::Send(batch) => {
///             // Sent by whatever means; this upstream takes all of it.
///             let taken = |key: &str| (key.to_owned(), ItemOutcome::Accepted { receipt: None });
///             let reply = Reply::of(batch.items().map(|item| taken(item.key)).collect());
///             drain.on_reply(&batch, &reply, now_ms)?;
///         }
///         Step::Idle => break,
///         step => unreachable!("{step:?}: this line is always there"),
///     }
/// }
/// assert_eq!((drain.report().accepted, store.status().settled), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Drain {
    store: Store,
    options: LineOptions,
    scopes: Vec<Drained>,
    line: LineState,
    budget: Budget,
    turns: Turns,
    results: Results,
    in_flight: usize,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").field("reports", &self.reports()).finish_non_exhaustive()
    }
}

impl Drain {
    /// Over this line, nothing yet.
    pub fn new(store: &Store, options: LineOptions) -> Self {
        Self {
            store: store.clone(),
            options,
            scopes: Vec::new(),
            line: LineState::new(options.is_probed, options.seed),
            budget: Budget::new(options.bytes_per_second),
            turns: Turns::default(),
            results: Results::default(),
            in_flight: 0,
        }
    }

    /// Drains a scope too. Where several have something to send, each gets its part by `weight`, counted in events; 0
    /// counts as 1.
    ///
    /// # Errors
    ///
    /// Those of [`Session::start`].
    pub fn add(&mut self, options: Options, form: Form, weight: u32) -> Result<()> {
        let options = match self.options.bytes_per_second {
            Some(rate) => options.with_bytes_at_most(rate.saturating_mul(5)),
            None => options,
        };
        if options.effort == Effort::Once {
            self.line = LineState::new(false, 0);
        }
        let session = Session::start(&self.store, options.clone(), form.clone())?;
        let (scope, wish) = (options.scope.clone(), SessionWish::Event);
        self.scopes.push(Drained {
            scope,
            options,
            form,
            session,
            is_asking: false,
            is_looking_up: false,
            wish,
        });
        self.turns.add(weight);
        Ok(())
    }

    /// What the driver is to do next. See [`Session::next`], also for the time; of [`Step::Probe`],
    /// [`Step::AskTime`] and [`Step::AskOutcome`] it reports with [`Drain::on_probe`], [`Drain::on_time_answer`] and
    /// [`Drain::on_outcome`].
    ///
    /// A full disk ends nothing: what finds no room comes again after the backoff, and the report says so. With
    /// [`Effort::Once`] it is an error.
    ///
    /// # Errors
    ///
    /// Those of [`Session::next`], of any of the scopes.
    pub fn next(&mut self, now_ms: u64) -> Result<Step> {
        let step = self.choose(now_ms)?;
        match &step {
            Step::Send(batch) => {
                self.in_flight += 1;
                self.budget.take(batch.bytes(), now_ms);
            }
            Step::Probe => self.line.note_probe(),
            _ => {}
        }
        self.results.keep(&self.store, &step, now_ms);
        Ok(step)
    }

    fn choose(&mut self, now_ms: u64) -> Result<Step> {
        match self.line.next(now_ms) {
            LineStep::Open => {}
            // With nothing to send, nobody is called.
            _ if !self.has_work() => return Ok(Step::Idle),
            LineStep::Probe => return Ok(Step::Probe),
            LineStep::Await => return Ok(Step::Await),
            LineStep::Wait { until_ms } => return Ok(Step::Wait { until_ms }),
        }
        if self.in_flight >= self.options.in_flight_max {
            return Ok(Step::Await);
        }
        if let Some(until_ms) = self.budget.until_ms(now_ms).filter(|_| self.has_work()) {
            return Ok(Step::Wait { until_ms });
        }
        for at in self.turns.order() {
            let Some(step) = self.ask(at, now_ms)? else { continue };
            if let Step::Send(batch) = &step {
                self.turns.take(at, batch.items().len());
            }
            return Ok(step);
        }
        Ok(self.nothing_to_send())
    }

    /// Asks a session; `None`: it has nothing to do now, and its wish is noted.
    fn ask(&mut self, at: usize, now_ms: u64) -> Result<Option<Step>> {
        let Some(drained) = self.scopes.get_mut(at).filter(|drained| !drained.is_asking) else {
            return Ok(None);
        };
        let step = match drained.session.next(now_ms) {
            // A bundle brought the rule for its keys. Another session sends by that, unless the host wants another one.
            Err(changed) if changed.code() == "WIRE_KEYS_CHANGED" => {
                drained.restart(&self.store)?.next(now_ms)?
            }
            // Others give room back.
            Err(full) if is_full(&full) && drained.options.effort == Effort::Forever => {
                drained.session.on_full(&full, now_ms);
                drained.session.next(now_ms)?
            }
            step => step?,
        };
        if !matches!(step, Step::Send(_))
            && let Some(question) = drained.session.question(now_ms)
        {
            (drained.is_looking_up, drained.wish) = (true, SessionWish::Report);
            return Ok(Some(Step::AskOutcome(question)));
        }
        drained.wish = match step {
            Step::Idle if drained.session.asks_time() => {
                // Nobody asks it before that: what it wanted last is over.
                (drained.is_asking, drained.wish) = (true, SessionWish::Report);
                return Ok(Some(Step::AskTime(drained.scope.clone())));
            }
            Step::Send(_) => return Ok(Some(step)),
            Step::Wait { until_ms } => SessionWish::Until(until_ms),
            Step::Blocked => SessionWish::Key,
            Step::Await => SessionWish::Report,
            _ => SessionWish::Event,
        };
        if sends_nothing(&drained.session) && !self.results.has(&drained.scope) {
            self.results.note(&self.store, &drained.options, &drained.session.report());
        }
        Ok(None)
    }

    /// What all of them want together.
    fn nothing_to_send(&self) -> Step {
        let wishes = || self.scopes.iter().map(|drained| drained.wish);
        let first = wishes().filter_map(|wish| match wish {
            SessionWish::Until(until_ms) => Some(until_ms),
            SessionWish::Report | SessionWish::Event | SessionWish::Key => None,
        });
        if let Some(until_ms) = first.min() {
            return Step::Wait { until_ms };
        }
        if self.in_flight > 0 || self.scopes.iter().any(|it| it.is_asking || it.is_looking_up) {
            return Step::Await;
        }
        // As long as one of them can send without another key, there may be an event for it.
        let are_blocked = !self.scopes.is_empty() && wishes().all(|wish| wish == SessionWish::Key);
        if are_blocked { Step::Blocked } else { Step::Idle }
    }

    /// Whether any of the scopes has something to send.
    fn has_work(&self) -> bool {
        self.scopes.iter().any(|drained| {
            let status = self.store.status_of(&drained.scope);
            status.pending > 0 || status.in_flight > 0
        })
    }

    /// The session of a scope, to give it what an answer says of the upstream; `None`: the scope is not drained.
    pub fn session_of(&mut self, scope: &Scope) -> Option<&mut Session> {
        self.find(scope).map(|drained| &mut drained.session)
    }

    /// What was done so far, of all scopes together.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut sum = Report::default();
        self.scopes.iter().for_each(|drained| sum.add(&drained.session.report()));
        sum
    }

    /// What was done so far, by scope.
    #[must_use]
    pub fn reports(&self) -> Vec<(Scope, Report)> {
        let report = |drained: &Drained| (drained.scope.clone(), drained.session.report());
        self.scopes.iter().map(report).collect()
    }

    fn find(&mut self, scope: &Scope) -> Option<&mut Drained> {
        self.scopes.iter_mut().find(|drained| drained.scope == *scope)
    }
}

impl Drained {
    /// Another session in the place of this one.
    fn restart(&mut self, store: &Store) -> Result<&mut Session> {
        self.session.restart(store, self.options.clone(), self.form.clone())?;
        Ok(&mut self.session)
    }
}

/// Whether the store found no room, and nothing of what was to be written is there.
fn is_full(error: &Error) -> bool {
    error.kind() == ErrorKind::Full && !error.in_doubt()
}

#[cfg(test)]
mod tests;
