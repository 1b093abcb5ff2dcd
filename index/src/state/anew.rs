//! Forgets what is in files, because they are of no use any more.

use std::sync::Arc;

use super::{IndexState, SliceId};
use crate::{entry::Entry, table::Table};

impl IndexState {
    /// Keeps the entries that are in memory; slices keep their numbers, and what holds them.
    pub(crate) fn forget_files(&mut self) {
        let slices: Vec<SliceId> = self.slices.iter().map(|(id, _)| id).collect();
        let mut kept = Vec::new();
        for id in slices {
            let Some(slice) = self.slices.get_mut(id) else { continue };
            let blocks = std::mem::take(&mut slice.blocks);
            slice.in_memory.clear();
            (slice.filling, slice.keys) = (None, 0);
            for block in blocks {
                if self.blocks.key_file_of(block).is_none() {
                    // What is in memory can be read.
                    let entries = self.blocks.entries(block).unwrap_or_default();
                    kept.extend(entries.into_iter().map(|(_, entry)| (id, entry)));
                }
                // Closing a file takes a while; nobody is served before the log was replayed.
                drop(self.blocks.drop_block(block, 0));
            }
        }
        self.table = Table::new();
        self.voids.clear();
        self.table_files = Arc::new([]);
        // No slot names any of them.
        self.blocks.free_up_to(u64::MAX);
        kept.into_iter().for_each(|(slice, entry)| self.keep(slice, entry));
    }

    /// Puts an entry back. Of a key that was carried the one in the later slice counts, which comes later.
    fn keep(&mut self, slice: SliceId, entry: Entry) {
        if let Ok(Some(known)) = self.find(entry.key) {
            if known.entry.lsn > entry.lsn {
                return;
            }
            self.remove(known);
        }
        // There were as many blocks before.
        if let Ok(place) = self.push(slice, entry) {
            self.insert(entry.key, place);
        }
    }
}
