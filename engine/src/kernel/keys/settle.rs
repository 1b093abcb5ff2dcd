//! Final answers: the slices that held the events' keys are held by fewer, and remembered for a window.

use onceward_index::Fingerprint;

use super::{KeyIndex, SliceHold};

impl KeyIndex {
    /// An event has its final answer. The key of one whose slice is not known finds it, while the log is read.
    pub(crate) fn settle(
        &mut self,
        key: Option<Fingerprint>,
        mut held: SliceHold,
        trusted_ms: u64,
    ) {
        if held.slice.is_none()
            && let Some(key) = key.filter(|_| self.is_replaying)
        {
            self.hold_if_known(key, &mut held);
        }
        self.settle_many(held, 1, trusted_ms);
    }

    /// So many events that hold the same slice have their final answers.
    pub(crate) fn settle_many(&self, held: SliceHold, count: u64, trusted_ms: u64) {
        if let Some(slice) = held.slice {
            self.index.settle_many(slice, count, trusted_ms);
        }
        if self.is_replaying {
            self.index.raise_settled(held.window, held.begin, trusted_ms);
        }
    }
}
