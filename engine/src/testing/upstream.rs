//! An upstream in memory: applies each key once, counts, and answers as the test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::clock::MachineClock;
use crate::Receipt;
use crate::base::Result;
use crate::sync::{Answered, Batch, Failure, Item, ItemOutcome, Reply, Session, Step};

/// How an upstream answers a batch.
///
/// ```
/// use onceward::testing::{Machine, Mood, ScriptedUpstream};
/// use onceward::sync::{Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope};
///
/// let machine = Machine::new();
/// let store = machine.open(Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut upstream = ScriptedUpstream::new();
/// upstream.script([Mood::Away, Mood::Well]);
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// // It is away, so the session wants to wait.
/// let step = upstream.serve(&mut session, machine.clock())?;
/// let Step::Wait { until_ms } = step else { panic!("{step:?}") };
/// let wait_ms = until_ms - machine.clock().mono_ms();
/// machine.clock().advance(std::time::Duration::from_millis(wait_ms));
/// assert!(matches!(upstream.serve(&mut session, machine.clock())?, Step::Idle));
/// assert_eq!(upstream.effects()["sale-1"], 1);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Mood {
    /// The upstream answers as it should.
    Well,
    /// The upstream applies the batch, and the reply is lost.
    LosesReply,
    /// The upstream cannot be reached.
    Away,
    /// The upstream says of every item that it failed for now.
    Busy {
        /// The wait that the upstream asks for, milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// The upstream says that it still works on the batch, and applies it.
    InProgress,
    /// The upstream refuses the credentials.
    Blocked,
}

/// An upstream in memory: applies each key once, and counts.
///
/// ```
/// use onceward::testing::{Machine, ScriptedUpstream};
/// use onceward::sync::{Options, Session, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, State};
///
/// let machine = Machine::new();
/// let store = machine.open(Config::new())?;
/// let (good, bad) = (Key::new("sale-1")?, Key::new("sale-2")?);
/// for key in [&good, &bad] {
///     store.capture(&Event::new(Scope::default(), key.clone(), Payload::json("{}")?))?;
/// }
/// let mut upstream = ScriptedUpstream::new();
/// upstream.refuse("sale-2", "CARD_NOT_FOUND");
/// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
/// upstream.serve(&mut session, machine.clock())?;
/// assert_eq!(store.outcome(&Scope::default(), &good)?.state, State::Accepted);
/// assert_eq!(store.outcome(&Scope::default(), &bad)?.state, State::InReview);
/// assert_eq!(store.reviews().get(&Scope::default(), &bad)?.code, "CARD_NOT_FOUND");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptedUpstream {
    /// Effects by key.
    effects: BTreeMap<String, u64>,
    /// Keys that it refuses for good, with the code.
    refused: BTreeMap<String, String>,
    /// Keys for which it refuses every batch that holds one.
    poison: BTreeSet<String>,
    /// What was sent under each idempotency key: numbers and payloads.
    batches: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
    /// Requests that reached it.
    request_count: u64,
    /// How it answers the next requests.
    script: VecDeque<Mood>,
    /// How long it says that it remembers keys.
    horizon: Option<Duration>,
}

impl ScriptedUpstream {
    /// An upstream that is well, has seen nothing, and remembers all keys without saying so.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds how the next requests are answered, one each; after these it is [well](Mood::Well).
    pub fn script(&mut self, moods: impl IntoIterator<Item = Mood>) {
        self.script.extend(moods);
    }

    /// From now on the event under this key is refused for good, with this code, unless it was applied before.
    ///
    /// `key` is the key as it is sent ([`Item::key`]), as in [`ScriptedUpstream::effects`]: with
    /// [`KeyRule::ScopePrefix`](crate::sync::KeyRule::ScopePrefix) `~sales/t-1` for the event `t-1` of scope `sales`.
    pub fn refuse(&mut self, key: &str, code: &str) {
        self.refused.insert(key.to_owned(), code.to_owned());
    }

    /// From now on every batch that holds this key is refused as a whole. `key` is the key as it is sent, see
    /// [`ScriptedUpstream::refuse`].
    ///
    /// ```
    /// use onceward::testing::{Machine, ScriptedUpstream};
    /// use onceward::sync::{Options, Session, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, State};
    ///
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// for n in 1..=3 {
    ///     let key = Key::new(&format!("sale-{n}"))?;
    ///     store.capture(&Event::new(Scope::default(), key, Payload::json("{}")?))?;
    /// }
    /// let mut upstream = ScriptedUpstream::new();
    /// upstream.refuse_batches_with("sale-2");
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// upstream.serve(&mut session, machine.clock())?;
    /// // The batch is split until the one that is at fault is alone.
    /// let suspect = store.outcome(&Scope::default(), &Key::new("sale-2")?)?;
    /// assert_eq!(suspect.state, State::InReview);
    /// assert_eq!(upstream.effects().len(), 2);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn refuse_batches_with(&mut self, key: &str) {
        self.poison.insert(key.to_owned());
    }

    /// Refuses no key and no batch any more.
    pub fn refuse_nothing(&mut self) {
        self.refused.clear();
        self.poison.clear();
    }

    /// From now on each reply says that keys are remembered for so long, which
    /// [`ScriptedUpstream::serve`] tells the session: see [`Session::on_horizon`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use onceward::testing::{Machine, Mood, ScriptedUpstream};
    /// use onceward::sync::{Options, Session, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, State};
    ///
    /// const DAY: Duration = Duration::from_secs(86_400);
    /// let machine = Machine::new();
    /// let store = machine.open(Config::new())?;
    /// let sale = |key| -> onceward::Result<Event> {
    ///     Ok(Event::new(Scope::default(), Key::new(key)?, Payload::json("{}")?))
    /// };
    /// let mut upstream = ScriptedUpstream::new();
    /// upstream.remember_keys_for(30 * DAY);
    /// upstream.script([Mood::Well, Mood::LosesReply]);
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// for key in ["sale-0", "sale-1"] {
    ///     store.capture(&sale(key)?)?;
    ///     upstream.serve(&mut session, machine.clock())?;
    /// }
    /// // Of the second no reply came. It may have taken effect, and after so long nobody there knows.
    /// machine.clock().advance(31 * DAY);
    /// store.capture(&sale("sale-2")?)?;
    /// session.on_online();
    /// upstream.serve(&mut session, machine.clock())?;
    /// for (key, state) in [("sale-1", State::Uncertain), ("sale-2", State::Accepted)] {
    ///     assert_eq!(store.outcome(&Scope::default(), &Key::new(key)?)?.state, state);
    /// }
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn remember_keys_for(&mut self, time: Duration) {
        self.horizon = Some(time);
    }

    /// How often each key took effect, by the key as it was sent ([`Item::key`]): once, or something is wrong.
    #[must_use]
    pub fn effects(&self) -> &BTreeMap<String, u64> {
        &self.effects
    }

    /// Number of requests that reached it.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.request_count
    }

    /// The batches that reached it, each by its idempotency key with the number of its items; a resend is the same
    /// batch.
    pub fn batches(&self) -> impl Iterator<Item = (&str, usize)> {
        self.batches.iter().map(|(key, content)| (key.as_str(), content.len()))
    }

    /// Sends what the session has, and hands it the answers, until it has nothing to send now; returns what it wants
    /// instead.
    ///
    /// # Errors
    ///
    /// Those of [`Session::next`], [`Session::on_reply`] and [`Session::on_failure`].
    ///
    /// # Panics
    ///
    /// As [`ScriptedUpstream::take`].
    pub fn serve(&mut self, session: &mut Session, clock: &MachineClock) -> Result<Step> {
        loop {
            let batch = match session.next(clock.mono_ms())? {
                Step::Send(batch) => batch,
                step => return Ok(step),
            };
            let mood = self.script.pop_front().unwrap_or(Mood::Well);
            match self.take(&batch, mood) {
                Ok(reply) => {
                    if let Some(horizon) = self.horizon {
                        session.on_horizon(horizon);
                    }
                    session.on_reply(batch.id, &reply, clock.mono_ms())?;
                }
                Err(failure) => session.on_failure(batch.id, &failure, clock.mono_ms())?,
            }
        }
    }

    /// Takes one batch in this mood, whatever the script says: for hosts with a loop of their own.
    ///
    /// ```
    /// use onceward::testing::{Machine, Mood, ScriptedUpstream};
    /// use onceward::sync::{Options, Session, Step, payloads};
    /// use onceward::{Config, Event, Key, Payload, Scope, State};
    ///
    /// let store = Machine::new().open(Config::new())?;
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// store.capture(&sale)?;
    /// let mut upstream = ScriptedUpstream::new();
    /// let mut session = Session::start(&store, Options::new(Scope::default()), payloads())?;
    /// let Step::Send(batch) = session.next(0)? else { panic!("an event waits") };
    /// match upstream.take(&batch, Mood::Well) {
    ///     Ok(reply) => session.on_reply(batch.id, &reply, 0)?,
    ///     Err(failure) => session.on_failure(batch.id, &failure, 0)?,
    /// }
    /// assert_eq!(store.outcome(&sale.scope, &sale.key)?.state, State::Accepted);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the session is to be told with [`Session::on_failure`].
    ///
    /// # Panics
    ///
    /// If the same idempotency key came with other content before, which no store does.
    pub fn take(&mut self, batch: &Batch, mood: Mood) -> Result<Reply, Failure> {
        if mood == Mood::Away {
            return Err(unreachable_now());
        }
        self.request_count += 1;
        let content: Vec<(u64, Vec<u8>)> =
            batch.items().map(|item| (item.lsn.get(), item.body.to_vec())).collect();
        let seen =
            self.batches.entry(batch.idempotency_key.clone()).or_insert_with(|| content.clone());
        assert!(*seen == content, "{} was sent with other content", batch.idempotency_key);
        if batch.items().any(|item| self.poison.contains(item.key)) {
            let code = "VALIDATION".to_owned();
            return Err(Failure::Refused { code, message: "an item breaks a rule".to_owned() });
        }
        match mood {
            Mood::Blocked => Err(Failure::Blocked { why: "the key is refused".to_owned() }),
            Mood::Busy { retry_after_ms } => {
                let busy = ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms };
                let items = batch.items().map(|item| (item.key.to_owned(), busy.clone()));
                Ok(Reply::of(items.collect()))
            }
            Mood::Well | Mood::LosesReply | Mood::InProgress | Mood::Away => {
                let items = batch.items().map(|item| self.apply(item));
                let reply = Reply::of(items.collect());
                match mood {
                    Mood::LosesReply => Err(unreachable_now()),
                    Mood::InProgress => Err(Failure::InProgress { retry_after_ms: None }),
                    _ => Ok(reply),
                }
            }
        }
    }

    fn apply(&mut self, item: Item<'_>) -> (String, ItemOutcome) {
        let key = item.key.to_owned();
        if let Some(code) = self.refused.get(&key) {
            return (key, rejected(code));
        }
        let receipt = Receipt::new(format!("txn_{:032x}", item.lsn.get()).as_bytes()).ok();
        let effects = self.effects.entry(key.clone()).or_default();
        let outcome = if *effects == 0 {
            *effects = 1;
            ItemOutcome::Accepted { receipt }
        } else {
            ItemOutcome::Duplicate { receipt }
        };
        (key, outcome)
    }
}

/// What a line says on which nobody answers.
fn unreachable_now() -> Failure {
    let why = "timeout".to_owned();
    Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody }
}

/// A refusal for good.
pub(crate) fn rejected(code: &str) -> ItemOutcome {
    let (code, message, reply) = (code.to_owned(), "no such card".to_owned(), b"{}".to_vec());
    ItemOutcome::Rejected { code, message, reply }
}

/// Every event has a form but those with these keys.
#[cfg(test)]
pub(crate) fn payloads_but(keys: &'static [&'static str]) -> crate::sync::Form {
    let payloads = crate::sync::payloads();
    std::sync::Arc::new(move |event, key, item| {
        if keys.contains(&event.event.key.as_str()) {
            let (code, message) = ("INVALID_ITEM".to_owned(), "payload: no object".to_owned());
            return Err(crate::sync::Misfit { code, message });
        }
        payloads(event, key, item)
    })
}
