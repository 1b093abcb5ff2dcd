//! What a host may choose of the inbox.

use std::time::Duration;

use super::Config;
use crate::base::Result;
use crate::event::Scope;
use crate::inbox::InboxBounds;

/// Most unfinished deliveries, unless the host chooses.
pub(super) const DELIVERIES_MAX_DEFAULT: usize = 1_000;
/// Most bytes of unfinished deliveries, unless the host chooses.
pub(super) const BYTES_MAX_DEFAULT: u64 = 16 * 1024 * 1024;

impl Config {
    /// How long a delivery is remembered at least after it is finished: one minute to
    /// 400 days; 24 hours by default. One of a server window is remembered at least until that
    /// window is over, too.
    pub fn with_inbox_window(mut self, window: Duration) -> Self {
        self.inbox_window = window;
        self
    }

    /// Most unfinished deliveries: 1 to 10,000; 1,000 by default. What comes when there are so many
    /// is [`Dropped`](crate::inbox::Received::Dropped).
    pub fn with_inbox_deliveries_max(mut self, count: usize) -> Self {
        self.inbox_deliveries_max = count;
        self
    }

    /// Most bytes of unfinished deliveries in the log: 16 MiB by default.
    pub fn with_inbox_bytes_max(mut self, bytes: u64) -> Self {
        self.inbox_bytes_max = bytes;
        self
    }

    /// The scope in which the events are captured that report to the upstream how a delivery ended:
    /// `inbox` by default.
    pub fn with_inbox_scope(mut self, scope: Scope) -> Self {
        self.inbox_scope = Some(scope);
        self
    }

    /// How much the inbox holds.
    pub(crate) fn inbox_bounds(&self) -> InboxBounds {
        let (deliveries_max, bytes_max) = (self.inbox_deliveries_max, self.inbox_bytes_max);
        InboxBounds { deliveries_max, bytes_max }
    }

    /// The scope of the events that report how a delivery ended.
    pub(crate) fn inbox_answer_scope(&self) -> Result<Scope> {
        self.inbox_scope.clone().map_or_else(|| Scope::new("inbox"), Ok)
    }
}
