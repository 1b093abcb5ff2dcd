//! Keys that moved to a later slice while nobody settled them, as the log tells of them.
//!
//! What cleaning carried says in which slice a key was then. The index's files may be older than that:
//! they have the key where it was before. So for keys that the files cover, the slice is found by the
//! key, not by its beginning, and the key moves again.

use onceward_index::Fingerprint;

use super::{Held, Remembered, Taking};

impl Remembered {
    /// As [`Remembered::replay_event`], of an item whose key moved, or may have.
    pub(crate) fn replay_moved(&mut self, taking: Taking, frame: u64, begin: u64) -> Held {
        if taking.entry.lsn <= self.covered {
            // Held by its key when it is settled, or when the log was read.
            return Held { slice: None, window: taking.window, begin };
        }
        self.replay_event(taking, frame, begin)
    }

    /// As [`Remembered::replay_key`], of a key that moved, or may have, before it was settled.
    pub(crate) fn replay_moved_key(
        &mut self,
        taking: Taking,
        frame: u64,
        begin: u64,
        settled_ms: u64,
    ) {
        let Taking { entry, window } = taking;
        if entry.lsn > self.covered {
            self.replay_key(taking, frame, begin, settled_ms);
            return;
        }
        match self.index.find(entry.key) {
            Ok(Some(found)) if found.lsn == entry.lsn => {
                let mut held = Held { slice: None, window, begin };
                self.hold_if_known(entry.key, &mut held);
                if let Some(slice) = held.slice {
                    self.index.settle(slice, settled_ms);
                }
                self.index.raise_settled(window, held.begin, settled_ms);
            }
            // Forgotten, or another's by now.
            Ok(_) => self.index.raise_settled(window, begin, settled_ms),
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    /// Holds the slice of a key while the log is read, if the index still has it.
    ///
    /// A key that moved on since the index's files were written moves on again: where it was, the keys
    /// beside it are over, and perhaps nothing else of them is left.
    pub(super) fn hold_if_known(&mut self, key: Fingerprint, held: &mut Held) {
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
