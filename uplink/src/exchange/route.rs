//! How the events of one scope go to the upstream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onceward::sync::{KeyRule, Options, Upstream};
use onceward::{Scope, Store};

use super::Names;
use crate::dialect::Dialect;
use crate::error::Error;

/// Requests that a scope may have on their way at once, unless the host says otherwise.
const WINDOW: usize = 16;

/// How the events of one scope go to the upstream: in which dialect, and how its session behaves.
///
/// ```
/// use onceward::Scope;
/// use onceward::sync::{KeyRule, Options};
/// use onceward_uplink::{Route, Wede};
///
/// // Tips are sent too, and sales go twice as fast.
/// let sales = Route::new(Wede::new("till-7"), Options::new(Scope::default())).with_weight(2);
/// let tips = Options::new(Scope::new("tips")?).with_keys(KeyRule::ScopePrefix);
/// let tips = Route::new(Wede::new("till-7"), tips);
/// # let _ = (sales, tips);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Route {
    dialect: Arc<dyn Dialect>,
    options: Options,
    weight: u32,
}

impl Route {
    /// The events of the options' scope, in this dialect.
    ///
    /// A batch with more items or bytes than the dialect allows is halved before it is sent, so `items_max` should be
    /// at most [`Dialect::items_max`], and `bytes_max` at most [`Dialect::bytes_max`]. Where the options name no
    /// horizon, that of the dialect counts until the upstream says its own; where they leave the window at 1, 16
    /// requests may be on their way, or as many as the dialect allows. Their settings are the dialect's, and of one
    /// that [takes acks](Dialect::takes_acks) also the rule for keys and the count of items.
    pub fn new(dialect: impl Dialect + 'static, options: Options) -> Self {
        Self::shared(Arc::new(dialect), options)
    }

    /// The same of a dialect that others have too.
    pub fn shared(dialect: Arc<dyn Dialect>, options: Options) -> Self {
        let options = match dialect.horizon_ms().filter(|_| !options.has_horizon()) {
            Some(horizon_ms) => options.with_horizon(Duration::from_millis(horizon_ms)),
            None => options,
        };
        let options = if dialect.keeps_history() { options.with_history() } else { options };
        // The upstream knows an ack by what it is of, and not by a key.
        let options = match dialect.takes_acks() {
            true => options.with_keys(KeyRule::Conveyed).with_items_max(dialect.items_max()),
            false => options,
        };
        let settings = dialect.settings();
        let options = options.with_settings(settings).with_window_if_unset(WINDOW);
        Self { dialect, options, weight: 1 }
    }

    /// Its part of the line, counted in events, where other scopes have something to send too: 1 by default.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Names the upstream that the events go to.
    pub fn to(mut self, upstream: Upstream) -> Self {
        self.options = self.options.with_upstream(upstream);
        self
    }

    /// The same, to the upstream of that line, unless the options name one.
    pub(crate) fn named(self, names: Names<'_>) -> Result<Self, Error> {
        if self.options.has_upstream() {
            return Ok(self);
        }
        let upstream = names(self.dialect.name())?;
        Ok(self.to(upstream))
    }

    /// The scope of the events.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.options.scope()
    }

    /// Checks that the dialect can do what the options want of it, with the events of `store`.
    ///
    /// # Errors
    ///
    /// `Invalid`: the keys' rule is [`KeyRule::Conveyed`](onceward::sync::KeyRule::Conveyed), and the dialect does not
    /// give the upstream the scope; or the scope is that of the inbox and the dialect takes no acks, or the other way
    /// round.
    pub(crate) fn check(&self, store: &Store) -> Result<(), Error> {
        let (scope, dialect, acks) = (self.scope(), self.dialect.name(), store.inbox().scope()?);
        match (*scope == acks, self.dialect.takes_acks()) {
            (true, false) => {
                let why = format!(
                    "the events of {scope} tell how deliveries ended, and dialect {dialect} takes no acks"
                );
                return Err(Error::invalid("scope", why));
            }
            (false, true) => {
                let why = format!(
                    "dialect {dialect} takes acks, which are the events of {acks}, and not those of {scope}"
                );
                return Err(Error::invalid("scope", why));
            }
            (true, true) | (false, false) => {}
        }
        if self.options.conveys_scope() && !self.dialect.conveys_scope() {
            let why = "the dialect does not give the upstream the scope: use another rule";
            return Err(Error::invalid("keys", why));
        }
        Ok(())
    }

    /// Puts it beside the others.
    ///
    /// # Errors
    ///
    /// `Invalid`: one of them has its scope.
    pub(crate) fn add_to(self, routes: &mut Vec<Self>) -> Result<(), Error> {
        if routes.iter().any(|other| other.scope() == self.scope()) {
            let why = format!("{} has a route already", self.scope());
            return Err(Error::invalid("scope", why));
        }
        routes.push(self);
        Ok(())
    }

    pub(super) fn into_parts(self) -> Result<(Arc<dyn Dialect>, Options, u32), Error> {
        if !self.options.has_upstream() {
            let why = format!("the upstream of scope {} has no name", self.options.scope());
            return Err(Error::invalid("upstream", why));
        }
        Ok((self.dialect, self.options, self.weight))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("dialect", &self.dialect.name())
            .field("options", &self.options)
            .field("weight", &self.weight)
            .finish()
    }
}
