//! Events that were there before following began, shown in pieces.

use std::collections::VecDeque;

use super::{Since, TailBatch};
use crate::inspect::{Inspection, Rereading};

/// What is left to be shown.
#[derive(Debug)]
pub(super) struct Backlog {
    inspection: Inspection,
    again: Rereading,
    /// LSNs of events, ascending.
    left: VecDeque<u64>,
}

impl Backlog {
    /// The events up to `last`.
    pub(super) fn new(inspection: Inspection, last: u64, since: Since) -> Self {
        let mut left: VecDeque<u64> = inspection.lsns().filter(|lsn| *lsn <= last).collect();
        if let Since::Last(count) = since {
            left.drain(..left.len().saturating_sub(count));
        }
        Self { inspection, again: Rereading::default(), left }
    }

    /// The next events, up to about `bytes_max` bytes.
    pub(super) fn next(&mut self, bytes_max: usize) -> TailBatch {
        let mut looked = TailBatch::default();
        let mut bytes = 0_usize;
        while let Some(lsn) = self.left.front().copied().filter(|_| bytes <= bytes_max) {
            match self.inspection.find(lsn, &mut self.again) {
                Ok(Some(event)) => {
                    bytes = bytes.saturating_add(event.event.payload.as_bytes().len());
                    looked.events.push(event);
                }
                // Settled and trimmed in the meantime.
                Ok(None) => {}
                Err(error) => looked.unreadable.push(error),
            }
            self.left.pop_front();
        }
        looked.is_behind = !self.left.is_empty();
        looked
    }
}
