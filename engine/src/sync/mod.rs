//! Decides what to send and what a reply means. Does not send.
//!
//! A [`Session`] drains one scope. The host asks it for the next [`Step`], sends the [`Batch`] by whatever means, and
//! reports what came back: a [`Reply`] or a [`Failure`]. `onceward-uplink` does that over HTTP.
//!
//! # Several scopes
//!
//! A store has one session at a time, so several scopes are drained in turn. A session that is new does not know the
//! wait of the one before it: the host keeps the wait of each scope.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use onceward::sync::{Batch, Failure, KeyRule, Options, Reply, Session, Step, payloads};
//! use onceward::{Result, Scope, Store};
//!
//! /// Sends what one scope has, and returns what its session wants then.
//! fn drain(
//!     store: &Store,
//!     scope: &Scope,
//!     now_ms: impl Fn() -> u64,
//!     send: impl Fn(&Batch) -> std::result::Result<Reply, Failure>,
//! ) -> Result<Step> {
//!     // Every scope but `default` needs a rule for its keys.
//!     let options = Options::new(scope.clone()).with_keys(KeyRule::ScopePrefix);
//!     let mut session = Session::start(store, options, payloads())?;
//!     loop {
//!         match session.next(now_ms())? {
//!             Step::Send(batch) => match send(&batch) {
//!                 Ok(reply) => session.on_reply(batch.id, &reply, now_ms())?,
//!                 Err(failure) => session.on_failure(batch.id, &failure, now_ms())?,
//!             },
//!             step => return Ok(step),
//!         }
//!     }
//! }
//!
//! # use onceward::{Config, Event, Key, Payload};
//! # let dir = tempfile::tempdir()?;
//! # let store = Store::open(dir.path().join("store"), Config::new())?;
//! # store.capture(&Event::new(Scope::new("sales")?, Key::new("sale-1")?, Payload::json("{}")?))?;
//! # let now_ms = || 0;
//! # let why = || "no line".to_owned();
//! # let nobody = onceward::sync::Answered::Nobody;
//! # let away = || Failure::Unavailable { why: why(), retry_after_ms: None, answered: nobody };
//! # let send = |_: &Batch| Err(away());
//! // `inbox` has the acknowledgements of deliveries.
//! let scopes = [Scope::new("sales")?, Scope::new("inbox")?];
//! let mut not_before_ms = BTreeMap::new();
//! // Each turn, from a timer or after a capture:
//! for scope in &scopes {
//!     if not_before_ms.get(scope).is_some_and(|until_ms| now_ms() < *until_ms) {
//!         continue;
//!     }
//!     match drain(&store, scope, now_ms, send)? {
//!         Step::Wait { until_ms } => drop(not_before_ms.insert(scope.clone(), until_ms)),
//!         // Other credentials are needed: no more turns until there are.
//!         Step::Blocked => break,
//!         _ => {}
//!     }
//! }
//! # assert!(not_before_ms[&scopes[0]] >= 1_000 && !not_before_ms.contains_key(&scopes[1]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answered;
mod backoff;
mod batch;
mod drain;
mod matching;
mod options;
mod protocol;
mod report;
mod session;

pub use crate::upstreams::{KeyRule, Misfit, SyncResult, SyncState, Upstream};
pub use answered::Answered;
pub use batch::{Batch, BatchId, Form, Item, payloads};
pub use drain::{Drain, LineOptions};
pub use options::{Effort, Options};
pub use protocol::{Failure, ItemOutcome, Reply, Step};
pub use report::Report;
pub use session::Session;
