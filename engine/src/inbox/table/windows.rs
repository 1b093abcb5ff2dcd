//! Windows that the upstream issues: which are open, and what their end drops.

use super::{DeliveryTable, OpenDelivery};
use crate::base::Located;

/// A window that the upstream issued and that is not known to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerWindow {
    /// LSN of the frame that opened it first.
    pub(in crate::inbox) number: u64,
    /// Trusted time at which it was opened first.
    pub(in crate::inbox) opened_ms: u64,
    /// Trusted time at which it is over.
    pub(in crate::inbox) ends_ms: u64,
    pub(in crate::inbox) at: Located,
}

/// A window that is over, and its unfinished deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WindowEnding {
    /// 0: it was not open.
    pub(in crate::inbox) number: u64,
    pub(in crate::inbox) id: String,
    pub(in crate::inbox) dropped: Vec<u64>,
}

impl DeliveryTable {
    /// Whether a window is open at `trusted_ms`.
    pub(crate) fn is_open(&self, window: &str, trusted_ms: u64) -> bool {
        self.windows.get(window).is_some_and(|window| trusted_ms < window.ends_ms)
    }

    /// Whether work on a delivery is still wanted.
    pub(crate) fn is_wanted(&self, open: &OpenDelivery, trusted_ms: u64) -> bool {
        open.window.as_deref().is_none_or(|window| self.is_open(window, trusted_ms))
    }

    /// The windows that are over at `trusted_ms` and not known to be, with what they drop. What is for
    /// a window that is not known, because the frame that opened it was lost, is dropped too.
    pub(crate) fn endings(&self, trusted_ms: u64) -> Vec<WindowEnding> {
        let over = self.windows.iter().filter(|(_, window)| trusted_ms >= window.ends_ms);
        let mut ids: Vec<&str> = over.map(|(id, _)| &**id).collect();
        // Every call of the inbox asks: only where there may be some, all are looked at.
        if self.has_orphans {
            let unknown = self.open.values().filter_map(|open| open.window.as_deref());
            ids.extend(unknown.filter(|window| !self.windows.contains_key(*window)));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.ending(id)).collect()
    }

    /// What the end of a window drops.
    pub(crate) fn ending(&self, id: &str) -> WindowEnding {
        let of_it = self.open.iter().filter(|(_, open)| open.window.as_deref() == Some(id));
        WindowEnding {
            number: self.windows.get(id).map_or(0, |window| window.number),
            id: id.to_owned(),
            dropped: of_it.map(|(lsn, _)| *lsn).collect(),
        }
    }
}
