//! What passes between a store's inbox and a hub, request by request. No socket, no clock, no thread.

mod apply;

use std::collections::BTreeMap;

use onceward::inbox::WindowId;
use onceward::sync::Failure;
use onceward::{ErrorKind, Result, Store};

use super::offer;
use super::pacing::Pacing;
use super::session;
use super::steps::{DueStep, OpenSteps};
use super::{PullOptions, PullReport};
use crate::dialect::{Ending, Request, Response};
use crate::exchange::RequestId;

/// Shortest time between two questions for a session, and between one that brought nothing and the next.
const ASK_EVERY_MS: u64 = 1_000;
/// The status that asks for other credentials.
const UNAUTHORIZED: u16 = 401;

/// What a driver is to do next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PullStep {
    /// Send this, and report with [`Pull::on_response`] or [`Pull::on_failure`].
    Send(RequestId, Request),
    /// Ask again then, or earlier after a report or a step that is done.
    Wait {
        /// By the clock whose time [`Pull::next`] gets, milliseconds.
        until_ms: u64,
    },
    /// Ask again after the next report, or after a step that is done.
    Await,
    /// The hub refuses the credentials.
    Blocked,
}

/// A request that is on its way.
#[derive(Debug)]
enum Asked {
    Session,
    Next { window: WindowId, asked_ms: u64 },
    Step(DueStep),
    AckAgain(Ending),
}

impl Asked {
    /// Whether it is told, and not asked for.
    fn is_told(&self) -> bool {
        matches!(self, Self::Step(_) | Self::AckAgain(_))
    }
}

/// What passes between a store's inbox and a hub.
///
/// At most two requests are on their way: the question for a delivery, which the hub may hold back, and beside it
/// what is told of steps.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward_uplink::Response;
/// use onceward_uplink::deliveries::{Pull, PullOptions, PullStep};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let mut pull = Pull::start(&store, PullOptions::new("u-17", "phone-1")?)?;
/// # let now_ms = 0; // By a monotonic clock of the host's.
/// let PullStep::Send(id, request) = pull.next(now_ms)? else { panic!("a session is asked for") };
/// assert_eq!(request.path, "/v1/engage/sessions");
/// let body = r#"{"window":"w_8f2c","remainingMs":86400000,"resumed":false}"#;
/// pull.on_response(id, &Response::new(200, body), now_ms)?;
///
/// let PullStep::Send(id, request) = pull.next(now_ms)? else { panic!("a delivery is asked for") };
/// assert!(request.path.starts_with("/v1/engage/next?window=w_8f2c&device=phone-1&"));
/// let body = r#"{"delivery_id":"d-1","engagement_id":"survey-4","window":"w_8f2c",
///     "payload":{"pages":5},"steps":5,"resume_at":3,"lease_ms":30000}"#;
/// pull.on_response(id, &Response::new(200, body), now_ms)?;
///
/// // It is durable now. The application finds it, and begins where another device stopped.
/// let open = &store.inbox().list(None, 1)?[0];
/// assert_eq!(open.next_step, Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pull {
    store: Store,
    options: PullOptions,
    steps: OpenSteps,
    pacing: Pacing,
    window: Option<WindowId>,
    /// The last window that the hub ended.
    ended: Option<WindowId>,
    ack_again: Option<Ending>,
    sent: BTreeMap<RequestId, Asked>,
    last: u64,
    ask_after_ms: u64,
    is_key_refused: Option<bool>,
    report: PullReport,
}

impl Pull {
    /// Begins: what is open in the store and was told or not is found out anew.
    ///
    /// # Errors
    ///
    /// The store's: a delivery cannot be read.
    pub fn start(store: &Store, options: PullOptions) -> Result<Self> {
        let seed = match options.seed {
            0 => seed_of(&format!("{}/{}", store.id(), options.device())),
            seed => seed,
        };
        Ok(Self {
            store: store.clone(),
            steps: OpenSteps::of_store(store, options.user())?,
            pacing: Pacing::new(&options, seed),
            options,
            window: None,
            ended: None,
            ack_again: None,
            sent: BTreeMap::new(),
            last: 0,
            ask_after_ms: 0,
            is_key_refused: None,
            report: PullReport::default(),
        })
    }

    /// What the driver is to do next, `now_ms` being the time of any clock that never goes back.
    ///
    /// # Errors
    ///
    /// The store's; nothing is lost, and asking again is allowed.
    pub fn next(&mut self, now_ms: u64) -> Result<PullStep> {
        if self.report.blocked {
            return Ok(PullStep::Blocked);
        }
        if let Some(until_ms) = self.pacing.wait_until_ms(now_ms) {
            return Ok(PullStep::Wait { until_ms });
        }
        if self.window.is_some() && !self.sent.values().any(Asked::is_told) {
            if let Some(ending) = self.ack_again.take() {
                let request = ending.request(self.options.device());
                return Ok(self.send(Asked::AckAgain(ending), request));
            }
            if let Some(due) = self.steps.due(&self.store)? {
                let request = due.request(self.options.device());
                return Ok(self.send(Asked::Step(due), request));
            }
        }
        if self.sent.values().any(|asked| !asked.is_told()) {
            return Ok(PullStep::Await);
        }
        if self.ask_after_ms > now_ms {
            return Ok(PullStep::Wait { until_ms: self.ask_after_ms });
        }
        let Some(window) = self.window.clone() else {
            self.ask_after_ms = now_ms.saturating_add(ASK_EVERY_MS);
            let request = session::request(&self.options);
            return Ok(self.send(Asked::Session, request));
        };
        let request = offer::request(&self.options, &window);
        Ok(self.send(Asked::Next { window, asked_ms: now_ms }, request))
    }

    /// Applies the answer to a request. One to a request that is not on its way changes nothing.
    ///
    /// # Durability
    ///
    /// A delivery that was handed over survives a crash when this returned `Ok`, or the hub keeps it. Nothing is told
    /// of it before.
    ///
    /// # Errors
    ///
    /// The store's, but for a full disk: then nothing is asked for until the backoff is over. The hub hands over again
    /// what was not stored.
    pub fn on_response(&mut self, id: RequestId, response: &Response, now_ms: u64) -> Result<()> {
        let Some(asked) = self.sent.remove(&id) else { return Ok(()) };
        let applied = match asked {
            Asked::Session => match session::read(response) {
                Ok(issued) => self.on_session(&issued, now_ms).map(Ok),
                Err(failure) => Ok(Err(failure)),
            },
            Asked::Next { window, asked_ms } => match offer::read(response, &window) {
                Ok(next) => self.on_next(next, &window, (asked_ms, now_ms)).map(Ok),
                Err(failure) => Ok(Err(failure)),
            },
            Asked::Step(due) => match due.read(response) {
                Ok(said) => self.on_step(&due, &said).map(Ok),
                Err(failure) => Ok(Err(failure)),
            },
            // Whatever it says: the delivery is final here, and if it comes again it is told again.
            Asked::AckAgain(ending) => Ok(ending.judge(response).map(drop)),
        };
        match applied {
            Ok(Ok(())) => self.is_key_refused = Some(false),
            Ok(Err(failure)) => {
                self.is_key_refused = Some(response.status == UNAUTHORIZED);
                self.fail(&failure, now_ms);
            }
            Err(full) if full.kind() == ErrorKind::Full => self.shortage(&full.to_string(), now_ms),
            Err(found) => return Err(found),
        }
        Ok(())
    }

    /// Applies that a request has no answer. Whether it arrived is unknown.
    pub fn on_failure(&mut self, id: RequestId, failure: &Failure, now_ms: u64) {
        if self.sent.remove(&id).is_some() {
            self.fail(failure, now_ms);
        }
    }

    /// Applies that nothing came back for a request, for a reason in words: see [`Pull::on_failure`].
    pub fn on_no_answer(&mut self, id: RequestId, why: &str, now_ms: u64) {
        self.on_failure(id, &crate::transport::no_answer(why), now_ms);
    }

    /// The line is back, or there is room again, and the host says now: forget the backoff and what the hub asked
    /// for, and go on after a refusal of the credentials.
    pub fn on_online(&mut self) {
        self.pacing.reset();
        self.on_new_key();
    }

    /// The credentials are others: go on after a refusal of the last ones.
    pub fn on_new_key(&mut self) {
        self.report.blocked = false;
        self.ask_after_ms = 0;
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

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> &PullReport {
        &self.report
    }

    fn send(&mut self, asked: Asked, request: Request) -> PullStep {
        self.last = self.last.saturating_add(1);
        let id = RequestId::from_u64(self.last);
        self.sent.insert(id, asked);
        PullStep::Send(id, request)
    }
}

/// A number that follows from a text: FNV-1a.
fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
