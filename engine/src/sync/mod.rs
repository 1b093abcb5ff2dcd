//! Decides what to send and what a reply means. Does not send.
//!
//! A [`Session`] drains one scope. The host asks it for the next [`Step`], sends the [`Batch`] by whatever means, and
//! reports what came back: a [`Reply`] or a [`Failure`]. `onceward-uplink` does that over HTTP.
//!
//! # Several scopes
//!
//! Scopes are drained beside each other, a session each. A [`Drain`] has the sessions of all that go over one line: it
//! shares the line by weight, notices once for all of them that it is down, probes it, and keeps what came last for
//! [`Status::sync`](crate::Status::sync). Its calls are those of a session.
//!
//! ```
//! use onceward::sync::{Drain, Effort, ItemOutcome, KeyRule, LineOptions, Options, Reply, Step, payloads};
//! use onceward::{Config, Event, Key, Payload, Scope, Store};
//!
//! # let dir = tempfile::tempdir()?;
//! # let store = Store::open(dir.path().join("store"), Config::new())?;
//! let (sales, tips) = (Scope::default(), Scope::new("tips")?);
//! for scope in [&sales, &tips] {
//!     store.capture(&Event::new(scope.clone(), Key::new("receipt-1")?, Payload::json("{}")?))?;
//! }
//! let mut drain = Drain::new(&store, LineOptions::new());
//! // Of what waits in both, sales get two parts of three.
//! drain.add(Options::new(sales).with_effort(Effort::Once), payloads(), 2)?;
//! // Every scope but `default` needs a rule for its keys.
//! let options = Options::new(tips).with_keys(KeyRule::ScopePrefix).with_effort(Effort::Once);
//! drain.add(options, payloads(), 1)?;
//! # let now_ms = 0; // By a monotonic clock of the host's.
//! loop {
//!     match drain.next(now_ms)? {
//!         Step::Send(batch) => {
//!             // Sent by whatever means; this upstream took all of it.
//!             let taken = batch.items().map(|item| (item.key.to_owned(), ItemOutcome::Accepted { receipt: None }));
//!             drain.on_reply(&batch, &Reply::of(taken.collect()), now_ms)?;
//!         }
//!         Step::Idle => break,
//!         step => panic!("nothing fails here: {step:?}"),
//!     }
//! }
//! assert_eq!((drain.report().accepted, store.status().settled), (2, 2));
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
