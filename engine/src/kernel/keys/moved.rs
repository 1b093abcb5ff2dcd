//! Keys that moved to a later slice while nobody settled them, as the log has them.
//!
//! What cleaning carried says in which slice a key was then. The index's files may be older than that:
//! they have the key where it was before. So for keys that the files cover, the slice is found by the
//! key, not by its beginning, and the key moves again.

use onceward_index::Fingerprint;

use super::{KeyIndex, SliceHold};

impl KeyIndex {
    /// Holds the slice of a key while the log is read, if the index still has it.
    ///
    /// A key that moved on since the index's files were written moves on again: where it was, the keys
    /// beside it are over, and perhaps nothing else of them is left.
    pub(super) fn hold_if_known(&mut self, key: Fingerprint, held: &mut SliceHold) {
        let slice = match self.index.hold(key) {
            Ok(Some(slice)) => slice,
            Ok(None) => return,
            Err(error) => return self.give_up(&error.to_string()),
        };
        let begin_of = |slice| self.index.slice_info(slice).map(|info| info.begin);
        let is_behind = begin_of(slice).is_some_and(|begin| begin < held.begin);
        let moved = if is_behind { self.index.carry(key, slice, held.begin) } else { Ok(None) };
        match moved {
            Ok(moved) => {
                let slice = moved.unwrap_or(slice);
                held.begin = begin_of(slice).unwrap_or(held.begin);
                held.slice = Some(slice);
            }
            Err(error) => self.give_up(&error.to_string()),
        }
    }
}
