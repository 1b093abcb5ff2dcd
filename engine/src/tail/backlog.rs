//! Events that were there before following began, shown in pieces.

use std::collections::VecDeque;

use super::{Disk, Looked, Since};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::inspect::{Inspection, READINGS_MAX};

/// What is left to be shown.
#[derive(Debug)]
pub(super) struct Backlog {
    inspection: Inspection,
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
        Self { inspection, left }
    }

    /// The next events, up to about `bytes_max` bytes.
    pub(super) fn next(
        &mut self,
        disk: &Disk,
        clock: &dyn Clock,
        bytes_max: usize,
    ) -> Result<Looked> {
        let mut looked = Looked::default();
        let mut bytes = 0_usize;
        let mut tries = 1;
        while let Some(lsn) = self.left.front().copied().filter(|_| bytes <= bytes_max) {
            match self.inspection.find(lsn) {
                Ok(Some(event)) => {
                    bytes = bytes.saturating_add(event.event.payload.as_bytes().len());
                    looked.events.push(event);
                }
                // Settled and trimmed in the meantime.
                Ok(None) => {}
                Err(error) if was_trimmed(&error) && tries < READINGS_MAX => {
                    // If it is still wanted it stands elsewhere now.
                    tries += 1;
                    self.inspection = Inspection::open_on(&*disk()?, clock)?;
                    continue;
                }
                Err(error) => looked.unreadable.push(error),
            }
            tries = 1;
            self.left.pop_front();
        }
        looked.is_behind = !self.left.is_empty();
        Ok(looked)
    }
}

/// Whether a writer uses the file again that was to be read.
fn was_trimmed(error: &Error) -> bool {
    error.code() == "TRIMMED"
}
