//! Keys that are free before their time: failed work may be tried again under the same key.

use onceward_index::Fingerprint;

use super::{KeyIndex, SliceHold};

impl KeyIndex {
    /// The frame `frame`, which is durable, says that the key of an item is free again. Ends the hold
    /// on the slice of the item, if it is known.
    ///
    /// Applied at every replay, also of frames that the index's files cover: a checkpoint may have been
    /// written between this frame and the moment at which the index heard of it.
    pub(crate) fn release(&mut self, key: Fingerprint, frame: u64, held: Option<SliceHold>) {
        if let Some(slice) = held.and_then(|held| held.slice) {
            self.index.unhold(slice);
        }
        if let Err(error) = self.index.release(key, frame) {
            self.missed(&error);
            self.unreleased.push((key, frame));
        }
    }

    /// Forgets the entry of an item of which the log has nothing left: it was released, and a crash
    /// came before a checkpoint of the index said so.
    pub(crate) fn forget_released(&mut self, key: Fingerprint, item: u64) {
        self.release(key, item.saturating_add(1), None);
    }
}
