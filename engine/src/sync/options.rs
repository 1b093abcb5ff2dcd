//! What a host may choose for a session.

use super::{KeyRule, Upstream};
use crate::base::{Result, whole_ms, whole_ms_down};
use crate::event::Scope;
use crate::store::Store;
use crate::upstreams::Route;
use std::time::Duration;

/// How long a session goes on.
///
/// ```
/// use onceward::sync::{Effort, Options, Session, Step, payloads};
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// # store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let options = Options::new(Scope::default()).with_effort(Effort::Once);
/// let mut session = Session::start(&store, options, payloads())?;
/// assert!(matches!(session.next(0)?, Step::Send(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// Each pending event is attempted once, splitting included; of a lane the next one once the one
    /// before it has its answer. What fails is left for another session. It ends before that with the
    /// third request in a row that brings nothing, with an upstream that wants to be left alone for
    /// more than 10 s, with refused credentials, and where the configuration is taken to be at fault.
    Once,
    /// Attempts have no limit; they are spaced by the backoff.
    Forever,
}

/// In what proportion events of now and older ones are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sync) struct Mix {
    fresh: u32,
    backlog: u32,
}

impl Mix {
    /// How many of so many events may be fresh ones, where enough of both wait.
    pub(in crate::sync) fn fresh_of(self, count: usize) -> usize {
        let (fresh, all) = (u64::from(self.fresh), u64::from(self.fresh) + u64::from(self.backlog));
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(count.saturating_mul(fresh).div_ceil(all)).unwrap_or(usize::MAX)
    }
}

/// How a session behaves; see each setter for its default.
///
/// ```
/// use std::time::Duration;
///
/// use onceward::Scope;
/// use onceward::sync::{KeyRule, Options};
///
/// let options = Options::new(Scope::new("sales")?)
///     .with_keys(KeyRule::ScopePrefix)
///     .with_items_max(100)
///     .with_backoff(Duration::from_millis(500), Duration::from_mins(1))
///     .with_seed(4_711)
///     .with_horizon(Duration::from_hours(30 * 24));
/// # let _ = options;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(in crate::sync) scope: Scope,
    pub(in crate::sync) upstream: Upstream,
    pub(in crate::sync) settings: String,
    pub(in crate::sync) keys: Option<KeyRule>,
    pub(in crate::sync) is_now: bool,
    pub(in crate::sync) items_max: usize,
    pub(in crate::sync) bytes_max: usize,
    pub(in crate::sync) window_max: Option<usize>,
    pub(in crate::sync) mix: Option<Mix>,
    pub(in crate::sync) has_history: bool,
    pub(in crate::sync) backoff_base_ms: u64,
    pub(in crate::sync) backoff_cap_ms: u64,
    pub(in crate::sync) seed: u64,
    pub(in crate::sync) effort: Effort,
    pub(in crate::sync) horizon_ms: Option<u64>,
}

impl Options {
    /// What is sent to whom, and under which keys.
    pub(crate) fn route(&self) -> Route<'_> {
        let (scope, upstream) = (&self.scope, &self.upstream);
        Route { scope, upstream, settings: &self.settings, keys: self.keys }
    }

    /// The defaults, for the events of one scope. Every scope but `default` needs [`Options::with_keys`] too.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            upstream: Upstream::default(),
            settings: String::new(),
            keys: None,
            is_now: false,
            items_max: 50,
            bytes_max: 475_000,
            window_max: None,
            mix: None,
            has_history: false,
            backoff_base_ms: 1_000,
            backoff_cap_ms: 300_000,
            seed: 0,
            effort: Effort::Forever,
            horizon_ms: None,
        }
    }

    /// The upstream that is asked: [`Upstream::default`] by default, which is one without a name.
    ///
    /// A batch that was formed for another one and is not answered is not sent to this one: its
    /// events form new batches.
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = upstream;
        self
    }

    /// Sets under which keys the upstream gets the events of this scope: [`KeyRule::Bare`] by default for scope
    /// `default`. A session of any other scope needs a rule, and is refused with the code `WIRE_KEYS_MISSING` without
    /// one, because the upstream would take the same key of two scopes for one event. The rule is written down with the
    /// first batch, and another one is refused from then on at this [upstream](Options::with_upstream).
    ///
    /// ```
    /// use onceward::Scope;
    /// use onceward::sync::{KeyRule, Options};
    ///
    /// // The event `t-1` of scope `sales` is sent under the key `~sales/t-1`.
    /// let options = Options::new(Scope::new("sales")?).with_keys(KeyRule::ScopePrefix);
    /// # let _ = options;
    /// # Ok::<(), onceward::Error>(())
    /// ```
    pub fn with_keys(mut self, rule: KeyRule) -> Self {
        self.keys = Some(rule);
        self
    }

    /// Ask now, also where the upstream asked to be left alone for a while: as
    /// [`Session::on_online`](super::Session::on_online) at the beginning.
    pub fn with_hold_ignored(mut self) -> Self {
        self.is_now = true;
        self
    }

    /// Whatever shapes a request besides a batch's events, such as the name of this device: none by
    /// default. It is fixed in each batch as it is formed and comes back with it
    /// ([`Batch::settings`](super::Batch)), so that a resend is the same request also when this has
    /// changed meanwhile. At most 1,024 bytes.
    pub fn with_settings(mut self, settings: impl Into<String>) -> Self {
        self.settings = settings.into();
        self
    }

    /// Most items in a batch: 50 by default; at least 1.
    pub fn with_items_max(mut self, count: usize) -> Self {
        self.items_max = count.max(1);
        self
    }

    /// Most bytes in a batch, counted as the dialect's items: 475,000 by default. A single item that
    /// is larger is sent alone.
    pub fn with_bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// The same, with at most so many bytes in a batch.
    pub(in crate::sync) fn with_bytes_at_most(mut self, bytes: u64) -> Self {
        self.bytes_max = self.bytes_max.min(usize::try_from(bytes).unwrap_or(usize::MAX));
        self
    }

    /// Most batches that may be on their way at once: 1 by default; at least 1.
    ///
    /// A session begins with one, lets one more go with each answer, and after a failure of the line begins anew. Of a
    /// lane at most one event is on its way, however many batches are.
    pub fn with_window(mut self, count: usize) -> Self {
        self.window_max = Some(count.max(1));
        self
    }

    /// Sends what is captured while a backlog drains beside it, and not behind it: of each batch at most `fresh` of
    /// `fresh + backlog` parts are events that were captured since the line came back, and the rest are older ones.
    /// What one side leaves the other takes. Off by default: the oldest go first. 2 to 1 is a good mix where people
    /// wait for what they do now.
    ///
    /// Lanes keep their order. 0 counts as 1.
    pub fn with_fresh_first(mut self, fresh: u32, backlog: u32) -> Self {
        self.mix = Some(Mix { fresh: fresh.max(1), backlog: backlog.max(1) });
        self
    }

    /// Sends to an upstream that keeps the history of this scope, and the order of its lanes: off by default.
    ///
    /// Of a lane several events may be on their way then, and each that waits for one in another batch says for which
    /// ([`Item::behind`](super::Item::behind)); the upstream must not let it take effect before that. Each batch has
    /// the upstream's last [mark](super::Batch::mark) and names the batches that are [this store's
    /// own](super::Batch::own), by which the upstream finds out that another store has gone on with its history: a
    /// copy of an image, or what was there before a backup was put back.
    pub fn with_history(mut self) -> Self {
        self.has_history = true;
        self
    }

    /// Shortest and longest wait before anything is sent again: 1 s, doubling to 300 s by default, with
    /// jitter. An upstream may ask for more, and never for less.
    pub fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        // Rounded up: nothing is sent again sooner than was chosen.
        self.backoff_base_ms = whole_ms(base).max(1);
        self.backoff_cap_ms = whole_ms(cap).max(self.backoff_base_ms);
        self
    }

    /// Seed of the jitter: give each terminal its own, so that they do not return all at once.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long the session goes on: [`Effort::Forever`] by default.
    pub fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// How long the upstream remembers keys at least, until it states one: none by default,
    /// and then everything is sent again however long ago it was first attempted. What becomes of
    /// older ones: [`Session::on_horizon`](super::Session::on_horizon).
    pub fn with_horizon(mut self, horizon: Duration) -> Self {
        // Rounded down: the upstream is not taken to remember keys longer than it does.
        self.horizon_ms = Some(whole_ms_down(horizon));
        self
    }

    /// The same, with so many batches on their way at most where no number was chosen.
    pub fn with_window_if_unset(self, count: usize) -> Self {
        if self.window_max.is_some() { self } else { self.with_window(count) }
    }

    /// The scope whose events are sent.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether an upstream is set.
    #[must_use]
    pub fn has_upstream(&self) -> bool {
        !self.upstream.is_unnamed()
    }

    /// The rule under which the upstream gets the keys of this scope: what was written down, or else what is set.
    ///
    /// ```
    /// use onceward::sync::{KeyRule, Options};
    /// use onceward::{Config, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let store = Store::open(dir.path().join("store"), Config::new())?;
    /// assert_eq!(Options::new(Scope::default()).key_rule(&store)?, KeyRule::Bare);
    /// let tips = Options::new(Scope::new("tips")?);
    /// assert_eq!(tips.key_rule(&store).unwrap_err().code(), "WIRE_KEYS_MISSING");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`, `Unsupported`: a session with these options would not [start](super::Session::start).
    pub fn key_rule(&self, store: &Store) -> Result<KeyRule> {
        store.inner.upstreams().rule_for(self.route())
    }

    /// Whether [`KeyRule::Conveyed`] was chosen.
    #[must_use]
    pub fn conveys_scope(&self) -> bool {
        self.keys == Some(KeyRule::Conveyed)
    }

    /// Whether a horizon is set.
    #[must_use]
    pub fn has_horizon(&self) -> bool {
        self.horizon_ms.is_some()
    }
}
