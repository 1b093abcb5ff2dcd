//! Final answers: the slices that held the events' keys are held by fewer, and remembered for a window.

use onceward_index::Fingerprint;

use super::{KeyIndex, SliceHold};

impl KeyIndex {
    /// Events have their final answers.
    pub(crate) fn settle(&mut self, settled: &[(Fingerprint, SliceHold)], trusted_ms: u64) {
        if self.is_replaying {
            settled.iter().for_each(|(key, held)| self.settle_replayed(*key, *held, trusted_ms));
            return;
        }
        for same in settled.chunk_by(|(_, one), (_, next)| one.slice == next.slice) {
            if let Some(slice) = same.first().and_then(|(_, held)| held.slice) {
                let count = u64::try_from(same.len()).unwrap_or(u64::MAX);
                self.index.settle_many(slice, count, trusted_ms);
            }
        }
    }

    fn settle_replayed(&mut self, key: Fingerprint, mut held: SliceHold, trusted_ms: u64) {
        if held.slice.is_none() {
            self.hold_if_known(key, &mut held);
        }
        if let Some(slice) = held.slice {
            self.index.settle(slice, trusted_ms);
        }
        self.index.raise_settled(held.window, held.begin, trusted_ms);
    }
}
