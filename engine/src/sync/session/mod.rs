//! One drain of a store: what to send next, and what a reply means.
//!
//! Sans-IO: the caller gives it the time and what came back; it never sleeps, reads a clock or opens a
//! socket. What it decides that must outlive a crash (a batch's content, an answer) is a frame of
//! the store's log before it returns.
//!
//! A batch:
//!
//! ```text
//!              next                        on_reply: settled, or pending again
//!   pending ---------> sent (durable) ---------------------------------------> closed
//!                       |  ^                     (some failed for now: each waits by itself)
//!                       |  | next
//!                       v  |
//!                     queued <--- on_failure: unavailable, in progress, blocked: the same batch again, later
//!                       |    <--- on_abandoned: nobody knows what became of the request
//!                       |
//!                       +-------> on_failure: too large, refused: halves in its place (durable);
//!                       |         a half of one event is suspected, and goes to review
//!                       |         when the upstream takes others
//!                       +-------> on_failure: its key is refused: the same events under another (durable)
//! ```
//!
//! Several are sent at once, up to the [window](window), and answered in any order: [the way of all of them](pacing).
//!
//! Of each lane only the first event that has no final answer is ever in a batch; to an upstream that keeps the order
//! of lanes itself ([`Options::with_history`](super::Options::with_history)), all of them may be.
//!
//! [`Session`] has the calls of a driver and leads from one part to the next; each part knows one thing:
//!
//! | part | what it knows |
//! |---|---|
//! | [`Candidates`] | which events the next batch takes, by the four below |
//! | [`StoreAccess`] | events, batches and answers in the store |
//! | [`ItemForm`] | what an event is on the wire |
//! | [`Attempts`] | what was tried of each event, and of what it is suspected |
//! | [`Horizon`] | what the upstream may have forgotten, and what waits for its clock |
//! | [`Lookups`] | whom the upstream is asked about, because it may have forgotten |
//! | [`OpenBatches`] | where each batch is: queued, sent, kept as it is, or [aside](aside) |
//! | [`BatchSizes`] | how much a batch may take |
//! | [`Pacing`] | when the next request may go, how many may be on their [way](window), and the state of the line |
//! | [`UpstreamHold`] | until when the upstream asked to be left alone |
//! | [`Evidence`] | whether refused events are at fault, or the configuration |
//! | [`Findings`] | counts and reasons for the report, and the [shortage](shortage) of room |

mod aside;
mod attempts;
mod batch_sizes;
mod candidates;
mod evidence;
mod explaining;
mod failing;
mod findings;
mod hearing;
mod horizon;
mod item_form;
mod lookups;
mod open;
mod open_batches;
mod pacing;
mod replying;
mod sending;
mod shortage;
mod store_access;
mod suspicion;
mod upstream_hold;
mod window;

use std::sync::Arc;

pub(in crate::sync) use explaining::sends_nothing;

use super::{Form, Options, Report, Step};
use crate::base::bounds::SETTINGS_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::event::Scope;
use crate::store::Store;
use attempts::Attempts;
use batch_sizes::BatchSizes;
use candidates::Candidates;
use evidence::Evidence;
use findings::Findings;
use horizon::Horizon;
use item_form::ItemForm;
use lookups::Lookups;
use open::Open;
use open_batches::OpenBatches;
use pacing::Pacing;
use store_access::StoreAccess;
use upstream_hold::UpstreamHold;

/// One drain of a store.
///
/// A scope has one session at a time; a second one is refused until the first is dropped.
///
/// ```
/// use onceward::sync::{ItemOutcome, Options, Reply, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// # let now_ms = 0; // By a monotonic clock of the host's.
/// while let Step::Send(batch) = session.next(now_ms)? {
///     // Sent by whatever means; this upstream took all of it.
///     let taken = batch.items().map(|item| (item.key.to_owned(), ItemOutcome::Accepted { receipt: None }));
///     let reply = Reply::of(taken.collect());
///     session.on_reply(batch.id, &reply, now_ms)?;
/// }
/// assert_eq!((session.report().accepted, store.status().settled), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    /// The scope is this session's.
    claim: Arc<Claim>,
    /// The events, and what was tried of each.
    events: Candidates,
    /// The batches that are not answered.
    batches: OpenBatches,
    /// When anything is sent again.
    pacing: Pacing,
    /// The wait that the upstream asked for.
    hold: UpstreamHold,
    /// How much a batch takes.
    sizes: BatchSizes,
    /// Whether events or the configuration are at fault.
    evidence: Evidence,
    /// What is reported.
    findings: Findings,
    /// The count of sendings, and of the last one that found nothing on its way.
    sendings: (u64, u64),
}

/// The right to drain a scope, which one session has.
#[derive(Debug)]
struct Claim {
    store: Store,
    scope: Scope,
}

impl Claim {
    /// Takes a scope that no session drains.
    fn take(store: &Store, scope: &Scope) -> Result<Self> {
        if !store.inner.draining.lock().insert(scope.clone()) {
            let message = format!("another session drains scope {scope}");
            return Err(Error::new(ErrorKind::Fenced, "DRAINING", message));
        }
        Ok(Self { store: store.clone(), scope: scope.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.inner.draining.lock().remove(&self.scope);
    }
}

impl Session {
    /// Starts to drain one scope of a store. Batches that an earlier session left unanswered are
    /// sent first, as they were.
    ///
    /// A session has one scope, and a scope one session at a time; those of other scopes may drain beside it. A session
    /// that is new has no backoff: it does not know the [wait](Step::Wait) of the one
    /// before it, how often that failed, or that its credentials were refused. A host that starts sessions often keeps
    /// that itself. What the upstream asked for by itself is kept by the store.
    ///
    /// # Errors
    ///
    /// `Fenced`: another session drains this scope; with the code `STORE_FENCED` the store is left, see
    /// [`Rescue::unfence`](crate::rescue::Rescue::unfence). `Invalid`: the options' settings are too long, or their
    /// rule for [keys](Options::with_keys) is missing (`WIRE_KEYS_MISSING`), not for this scope (`WIRE_KEYS_BARE`), or
    /// another one than before (`WIRE_KEYS_CHANGED`).
    pub fn start(store: &Store, options: Options, form: Form) -> Result<Self> {
        store.inner.state.lock().rescue.refuse_if_fenced()?;
        if options.settings.len() > SETTINGS_BYTES_MAX {
            let message = format!("settings have more than {SETTINGS_BYTES_MAX} bytes");
            return Err(Error::invalid("SETTINGS_TOO_LONG", message));
        }
        let claim = Claim::take(store, &options.scope)?;
        begin(store, options, (form, Arc::new(claim)))
    }

    /// Begins anew in the place of this session, as another one would.
    pub(in crate::sync) fn restart(
        &mut self,
        store: &Store,
        options: Options,
        form: Form,
    ) -> Result<()> {
        *self = begin(store, options, (form, Arc::clone(&self.claim)))?;
        Ok(())
    }

    /// What the driver is to do next.
    ///
    /// Each batch that it returns is to be reported on, with [`Session::on_reply`] or [`Session::on_failure`], also
    /// where nothing is known of what became of it. Up to [`Options::with_window`] of them may be on their way, and
    /// are reported on in any order; what comes back late, twice or for an older batch changes nothing.
    ///
    /// `now_ms` are milliseconds of any clock of the host that never goes back, such as one that began at 0 with the
    /// program. Each session has one clock: [`Session::on_reply`] and [`Session::on_failure`] get the time of the same
    /// one, and [`Step::Wait`] is by it.
    ///
    /// # Durability
    ///
    /// A batch is durable before it is returned the first time, and only durable events are in it.
    ///
    /// # Errors
    ///
    /// Those of the store; nothing is lost, and asking again is allowed. `Fenced`, code
    /// `STORE_FENCED`: the store is left meanwhile, and nothing more is sent. `Invalid`, code
    /// `WIRE_KEYS_CHANGED`: a bundle that was imported meanwhile brought another rule for keys, by which a new
    /// session sends.
    pub fn next(&mut self, now_ms: u64) -> Result<Step> {
        self.events.access.inner().state.lock().rescue.refuse_if_fenced()?;
        let is_over = self.pacing.is_blocked() || self.pacing.is_finished();
        if is_over && self.batches.in_flight() > 0 {
            return Ok(Step::Await);
        }
        if self.pacing.is_blocked() {
            return Ok(Step::Blocked);
        }
        if self.pacing.is_finished() {
            return Ok(Step::Idle);
        }
        if let Some(step) = self.paused_line(now_ms).or_else(|| self.held_line(now_ms)) {
            return Ok(step);
        }
        let in_flight = self.batches.in_flight();
        // One that is tried alone shows whether the others are worth sending.
        if !self.pacing.has_room(in_flight) || (in_flight > 0 && self.evidence.is_trying()) {
            return Ok(Step::Await);
        }
        self.batches.queue_due(now_ms, !self.pacing.is_once());
        while let Some(open) = self.next_batch(now_ms)? {
            match self.events.hold_batch(&open, &mut self.findings) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => {
                    self.batches.send_first(open);
                    return Err(error);
                }
            }
            if let Some(step) = self.send(open, now_ms)? {
                return Ok(step);
            }
            if let Some(step) = self.paused_line(now_ms) {
                return Ok(step);
            }
        }
        Ok(self.nothing_to_send(now_ms))
    }

    /// The line is back, and the host says now: forget the backoff, what waits for evidence, and what the
    /// upstream asked for. Not for a fresh key: that is [`Session::on_new_key`].
    ///
    /// ```
    /// use onceward::sync::{Failure, Options, Session, Step, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
    /// let failure = Failure::Blocked { why: "the key is expired".to_owned() };
    /// session.on_failure(batch.id, &failure, 0)?;
    /// assert!(matches!(session.next(0)?, Step::Blocked));
    /// // Somebody mended it there.
    /// session.on_online();
    /// assert!(matches!(session.next(0)?, Step::Send(again) if again.id == batch.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_online(&mut self) {
        self.pacing.forget_line();
        self.events.note_backlog();
        self.sizes.restore_items();
        // What the disk refuses now is kept in memory.
        drop(self.hold.end());
        self.batches.recall();
        self.evidence.trust();
        self.events.attempts.forgive();
        self.events.lookups.recall();
    }

    /// The line is back, as a connection shows that could be opened: what waits for it goes now. What the upstream
    /// asked for counts, and so does all that an answer said.
    pub(in crate::sync) fn on_line_back(&mut self) {
        self.pacing.forget_failures();
        self.events.note_backlog();
        self.batches.recall();
    }

    /// The driver gave up whatever is on its way, for a reason of its own and none of the line's: all of it is sent
    /// again, as it was.
    ///
    /// ```
    /// use onceward::sync::{Options, Session, Step, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
    /// // Until it is reported on, nothing else is sent.
    /// assert!(matches!(session.next(0)?, Step::Await));
    /// session.on_abandoned();
    /// assert!(matches!(session.next(0)?, Step::Send(again) if again.id == batch.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_abandoned(&mut self) {
        self.batches.requeue_sent();
        self.events.lookups.forget_asked();
    }

    /// The credentials are others: what was refused for them is sent once more at once. Whatever else is waited
    /// for goes on, so that keys that are no better make no stream of requests.
    ///
    /// ```
    /// use onceward::sync::{Failure, Options, Session, Step, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
    /// let failure = Failure::Blocked { why: "the key is expired".to_owned() };
    /// session.on_failure(batch.id, &failure, 0)?;
    /// // The host has another key.
    /// session.on_new_key();
    /// assert!(matches!(session.next(0)?, Step::Send(again) if again.id == batch.id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_new_key(&mut self) {
        self.pacing.unblock();
        self.pacing.send_at_once();
        self.pacing.line_answers();
        self.batches.aside.recall_last();
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            suspects: self.events.attempts.suspects(),
            misfits: self.events.attempts.misfits(),
            is_full: self.findings.is_full(),
            ..self.known()
        }
    }

    /// The report, but for what is counted or asked when it is wanted.
    fn known(&self) -> Report {
        Report {
            unreachable: self.pacing.is_unreachable(),
            blocked: self.pacing.is_blocked(),
            held_until_ms: self.hold.until_wall_ms(),
            misconfigured: self.evidence.misconfigured().map(str::to_owned),
            ..self.findings.counts.clone()
        }
    }
}

/// Begins a session that has its scope.
fn begin(store: &Store, options: Options, (form, claim): (Form, Arc<Claim>)) -> Result<Session> {
    // Only now: before it was claimed another session could write one.
    let keys = store.inner.upstreams().rule_for(options.route())?;
    let options = Options { keys: Some(keys), ..options };
    let session = Session {
        claim,
        batches: OpenBatches::new(store.inner.events().open_batches(&options.scope)),
        pacing: Pacing::new(&options),
        hold: UpstreamHold::new(store, &options.upstream),
        sizes: BatchSizes::new(&options),
        evidence: Evidence::default(),
        findings: Findings::new(store),
        sendings: (0, 0),
        events: Candidates {
            form: ItemForm::new(&options, form),
            attempts: Attempts::new(&options),
            horizon: Horizon::new(options.horizon_ms),
            lookups: Lookups::new(&options),
            mix: options.mix,
            backlog_to: store.inner.log.synced(),
            seen: 0,
            access: StoreAccess::new(store, options.clone()),
        },
    };
    if options.is_now {
        session.hold.end()?;
    }
    Ok(session)
}

#[cfg(test)]
mod tests;
