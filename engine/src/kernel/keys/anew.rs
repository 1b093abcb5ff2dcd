//! The index's files were damaged: the log is applied to it again, while the store is open.

use std::collections::BTreeMap;

use onceward_index::{Entry, Fingerprint, SliceId};

use super::{KeyIndex, LostKeys, failed};
use crate::base::Result;

impl KeyIndex {
    /// Begins the index anew with what `replayed` knows, which was made from the log just now, and with what the log
    /// lost. Keys that are held are in the slices that are held for them.
    ///
    /// Slices that were over by now come back with what the log still has of them, and are remembered as if
    /// they were settled now: longer, never shorter.
    ///
    /// # Errors
    ///
    /// `Full`: of more keys than an index can have. It answers nobody then, and may be begun again.
    pub(crate) fn rebuild(
        &mut self,
        replayed: &Self,
        lost: &[LostKeys],
        held: &BTreeMap<Fingerprint, SliceId>,
        trusted_ms: u64,
    ) -> Result<()> {
        let live = self.live_slices();
        // Until the end nobody is answered, whatever comes between.
        self.damaged.get_or_insert_with(|| "not all of the log is applied to it yet".to_owned());
        self.index.begin_anew();
        // No frame is noted: which ones were applied, the index knows.
        let restore = |slice: SliceId, entry: Entry| {
            let slice = held.get(&entry.key).copied().unwrap_or(slice);
            self.index.restore(slice, entry, 0).map_err(|error| failed(&error))
        };
        for info in replayed.index.slices() {
            let slice = self.index.slice(info.window, info.begin);
            let (entries, _in_memory) = replayed.index.entries(info.id);
            for entry in entries.into_iter().filter(|entry| replayed.is_current(entry)) {
                restore(slice, entry)?;
            }
            let is_live = live.contains(&(info.window, info.begin));
            let settled_ms = if is_live { info.last_settled } else { Some(trusted_ms) };
            if let Some(settled_ms) = settled_ms {
                self.index.raise_settled(info.window, info.begin, settled_ms);
            }
        }
        for LostKeys { window, begin, entries } in lost {
            let slice = self.index.slice(*window, *begin);
            entries.iter().try_for_each(|entry| restore(slice, *entry))?;
        }
        for (key, frame) in std::mem::take(&mut self.unreleased) {
            self.index.release(key, frame).map_err(|error| failed(&error))?;
        }
        self.damaged = None;
        self.index.end_anew();
        Ok(())
    }
}
