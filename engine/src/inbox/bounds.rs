//! What a host may choose of the inbox.

use std::ops::RangeInclusive;

use crate::base::bounds::DELIVERIES_MAX;
use crate::base::{Error, Result};
use crate::event::Scope;

/// Bounds of the inbox, and where its answers go.
#[derive(Clone, Debug)]
pub(crate) struct InboxBounds {
    /// How long the keys of finished deliveries are remembered.
    pub(crate) window_ms: u64,
    /// Most unfinished deliveries.
    pub(crate) deliveries_max: usize,
    /// Most bytes of unfinished deliveries.
    pub(crate) bytes_max: u64,
    /// The scope of the events that report to the upstream how a delivery ended; `None`: `inbox`.
    pub(crate) scope: Option<Scope>,
}

impl InboxBounds {
    /// The scope of the events that report to the upstream how a delivery ended.
    pub(crate) fn scope(&self) -> Result<Scope> {
        self.scope.clone().map_or_else(|| Scope::new("inbox"), Ok)
    }

    /// Refuses values outside the documented ranges.
    pub(crate) fn check(&self, window_ms: &RangeInclusive<u64>) -> Result<()> {
        let counts = 1..=u64::try_from(DELIVERIES_MAX).unwrap_or(u64::MAX);
        let count = u64::try_from(self.deliveries_max).unwrap_or(u64::MAX);
        let checked = [
            ("inbox_window_ms", self.window_ms, window_ms),
            ("inbox_deliveries_max", count, &counts),
            ("inbox_bytes_max", self.bytes_max, &(1..=u64::MAX)),
        ];
        for (name, value, range) in checked {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                let message = format!("{name}: {value} must be {least} to {most}");
                return Err(Error::invalid("CONFIG_INVALID", message));
            }
        }
        Ok(())
    }
}

impl Default for InboxBounds {
    fn default() -> Self {
        Self {
            window_ms: 24 * 60 * 60 * 1000,
            deliveries_max: 1_000,
            bytes_max: 16 * 1024 * 1024,
            scope: None,
        }
    }
}
