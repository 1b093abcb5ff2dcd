//! Deliveries that were stored and dropped: how many since the store was made, and the last ones by name.

use std::collections::VecDeque;

use crate::base::Located;
use crate::base::bounds::DROPPED_LISTED_MAX;
use crate::inbox::DroppedDelivery;

/// Deliveries that were dropped.
#[derive(Debug, Default)]
pub(crate) struct DroppedDeliveries {
    total: u64,
    /// The frame that says so.
    counted_at: Option<Located>,
    /// The last ones.
    listed: VecDeque<DroppedDelivery>,
}

impl DroppedDeliveries {
    /// How many were, since the store was made.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The last ones, oldest first.
    pub(crate) fn listed(&self) -> Vec<DroppedDelivery> {
        self.listed.iter().cloned().collect()
    }

    /// Whether this frame says how many were.
    pub(super) fn is_counted_by(&self, at: &Located) -> bool {
        self.counted_at == Some(*at)
    }

    /// A frame says that so many were. Returns whether it is the newest that does, and where the one before it is.
    pub(super) fn count(&mut self, total: u64, at: Located) -> Option<Option<Located>> {
        if total < self.total {
            return None;
        }
        self.total = total;
        Some(self.counted_at.replace(at))
    }

    /// Notes one for those who ask.
    pub(super) fn list(&mut self, dropped: DroppedDelivery) {
        if self.listed.len() >= DROPPED_LISTED_MAX {
            self.listed.pop_front();
        }
        self.listed.push_back(dropped);
    }
}
