//! The index's files were damaged: the log is told to it again, while the store is open.

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

use super::Remembered;
use crate::error::Result;

impl Remembered {
    /// Begins the index anew with what `told` knows, which was made from the log just now. Keys that are held are
    /// in the slices that are held for them.
    ///
    /// Slices that were over by now come back with what the log still has of them, and are remembered as if
    /// they were settled now: longer, never shorter.
    ///
    /// # Errors
    ///
    /// `Io`: the files cannot be given up.
    pub(crate) fn tell_anew(
        &self,
        told: &Self,
        held: &BTreeMap<Fingerprint, SliceId>,
        trusted_ms: u64,
    ) -> Result<()> {
        let failed = |error| self.failed(error);
        let live = self.live_slices();
        self.index.begin_anew().map_err(failed)?;
        for info in told.index.slices() {
            let slice = self.index.slice(info.window, info.begin);
            for entry in told.index.entries(info.id).map_err(failed)? {
                if told.is_current(&entry) {
                    let slice = held.get(&entry.key).copied().unwrap_or(slice);
                    // No frame is told: which ones were, the index knows.
                    self.index.restore(slice, entry, 0).map_err(failed)?;
                }
            }
            let is_live = live.contains(&(info.window, info.begin));
            let settled_ms = if is_live { info.last_settled } else { Some(trusted_ms) };
            if let Some(settled_ms) = settled_ms {
                self.index.raise_settled(info.window, info.begin, settled_ms);
            }
        }
        self.index.end_anew();
        Ok(())
    }
}
