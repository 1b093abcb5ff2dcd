//! What is kept by upstream: under which keys it gets a scope's events, and until when it is not asked.

mod calls;
pub(crate) mod frames;
mod identity;
mod key_rule;
mod misfit;
mod results;
mod table;

pub(crate) use calls::Upstreams;
pub use identity::Upstream;
pub use key_rule::KeyRule;
pub use misfit::Misfit;
pub use results::{SyncResult, SyncState};
pub(crate) use table::UpstreamTable;

use crate::event::Scope;

/// What is sent to whom, and under which keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) upstream: &'a Upstream,
    /// What shapes a request of the dialect besides the events.
    pub(crate) settings: &'a str,
    /// The rule that the host gave.
    pub(crate) keys: Option<KeyRule>,
}
