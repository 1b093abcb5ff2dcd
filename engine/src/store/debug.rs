//! A store as it is printed: its directory and counts, whether it was left, and damage if there is any; not the state,
//! which has a part for each event.

use std::fmt;

use super::{Shared, Store};

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Store");
        match &self.dir {
            Some(dir) => shown.field("dir", dir),
            None => shown.field("dir", &"in memory"),
        };
        // Whoever holds the state may be the one who prints.
        if let Some(state) = self.state.try_lock() {
            let status = state.status(self.time.trusted_ms());
            shown
                .field("pending", &status.pending)
                .field("in_flight", &status.in_flight)
                .field("in_review", &status.in_review)
                .field("uncertain", &status.uncertain)
                .field("settled", &status.settled)
                .field("keys", &status.keys)
                .field("is_left", &status.fence.is_some());
        }
        let damaged_ranges = self.damaged_ranges();
        if damaged_ranges > 0 {
            shown.field("damaged_ranges", &damaged_ranges);
        }
        shown.field("bytes", &self.log.file_bytes()).field("is_closed", &self.is_closed()).finish()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
