//! Puts the slots of a cold shard into memory; lists entries wherever they are.

use std::sync::Arc;

use super::{IndexState, Obstacle};
use crate::{
    entry::{BLOCK_BITS, Entry},
    error::Error,
    files::{StoredBlock, StoredShard, TableFile},
    slices::SliceId,
    table::{Slot, Table},
};

/// The content that a cold shard will have: slots of the table files and of the list that waits.
#[derive(Debug)]
pub(crate) struct PreparedShard {
    slots: Vec<Slot>,
    /// Places whose key has a newer entry.
    older: Vec<u32>,
    /// The list as it was.
    waiting: Vec<Slot>,
}

impl IndexState {
    /// Prepares the content of a cold shard. Of several entries of a key, the newest counts. `None`
    /// if the shard is warm.
    ///
    /// # Errors
    ///
    /// An entry cannot be read.
    pub(crate) fn prepare_shard(
        &self,
        shard: usize,
        stored: &StoredShard,
    ) -> Result<Option<PreparedShard>, Obstacle> {
        let Some(waiting) = self.table.waiting(shard) else { return Ok(None) };
        // The number of a dropped block may be another block's by now.
        let is_current = |(slot, key_file): &(Slot, u32)| {
            self.blocks.key_file_of(slot.place >> BLOCK_BITS) == Some(*key_file)
        };
        let on_disk = stored.slots().filter(is_current).map(|(slot, _)| slot);
        let mut slots: Vec<Slot> = on_disk.chain(waiting.iter().copied()).collect();
        slots.retain(|slot| self.is_valid(slot.place));
        slots.sort_unstable_by_key(|slot| (slot.tag, slot.bits, slot.place));
        let mut older = Vec::new();
        // Only slots that share their 23 bits may be of one key: hardly any.
        for same in slots.chunk_by(|one, two| (one.tag, one.bits) == (two.tag, two.bits)) {
            if same.len() > 1 {
                self.find_older(same, &mut older)?;
            }
        }
        older.sort_unstable();
        slots.retain(|slot| older.binary_search(&slot.place).is_err());
        Ok(Some(PreparedShard { slots, older, waiting: waiting.to_vec() }))
    }

    /// Adds the places whose key has a newer entry among these.
    fn find_older(&self, slots: &[Slot], older: &mut Vec<u32>) -> Result<(), Obstacle> {
        let mut entries = Vec::with_capacity(slots.len());
        for slot in slots {
            let entry = self.blocks.entry(slot.place).map_err(Obstacle::Failed)?;
            entries.extend(entry.map(|entry| (entry.key, entry.lsn, slot.place)));
        }
        entries.sort_unstable();
        for of_key in entries.chunk_by(|(one, ..), (two, ..)| one == two) {
            let newest = of_key.last().map_or(0, |(_, lsn, _)| *lsn);
            // A key that was carried has two entries of one number, and each counts while its slice
            // lives.
            let is_older = |(_, lsn, _): &&(_, u64, u32)| *lsn < newest;
            older.extend(of_key.iter().filter(is_older).map(|(.., place)| *place));
        }
        Ok(())
    }

    /// Makes a shard warm. `false`: files, or the list, are not what they were when it was prepared.
    pub(crate) fn install_shard(
        &mut self,
        shard: usize,
        stored: &StoredShard,
        mut prepared: PreparedShard,
    ) -> bool {
        let Some(waiting) = self.table.waiting(shard) else { return true };
        let is_current = onceward_vfs::planted!("shard-of-replaced-table-files")
            || stored.is_of(&self.table_files);
        if !is_current || waiting != prepared.waiting {
            return false;
        }
        prepared.older.retain(|place| self.is_valid(*place));
        prepared.slots.retain(|slot| self.is_valid(slot.place));
        for place in prepared.older {
            self.void(place);
        }
        self.table.warm(shard, &prepared.slots);
        true
    }

    /// Whether a place is one of a live slice, and its key was not removed.
    fn is_valid(&self, place: u32) -> bool {
        self.blocks.is_live(place) && !self.voids.contains(&place)
    }

    /// Whether a key of a cold shard waits with this LSN.
    pub(crate) fn is_waiting(&self, entry: Entry) -> Result<bool, Obstacle> {
        let waiting = self.table.waiting(entry.key.shard()).unwrap_or_default();
        let (tag, bits) = (entry.key.tag(), entry.key.bits());
        for slot in waiting.iter().filter(|slot| slot.tag == tag && slot.bits == bits) {
            let found = self.blocks.entry(slot.place).map_err(Obstacle::Failed)?;
            if found.is_some_and(|found| found.key == entry.key && found.lsn == entry.lsn) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The entries of a slice that were not removed, and why blocks of it cannot be read. A key that was
    /// carried, or taken anew, may have an older one among them.
    pub(crate) fn entries(&self, slice: SliceId) -> (Vec<Entry>, Vec<Error>) {
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        let blocks = self.slices.get(slice).map_or(&[][..], |slice| &slice.blocks);
        for block in blocks {
            match self.blocks.entries(*block) {
                Ok(found) => {
                    let stays = found.into_iter().filter(|(place, _)| !self.voids.contains(place));
                    entries.extend(stays.map(|(_, entry)| entry));
                }
                Err(error) => unreadable.push(error),
            }
        }
        (entries, unreadable)
    }

    /// A table whose slots are in these files.
    pub(crate) fn cool(&mut self) {
        let count =
            |shard| self.table_files.iter().map(|file: &Arc<TableFile>| file.count(shard)).sum();
        self.table = Table::cold(count);
    }

    /// Puts in a block that is in a file since before the index was opened; `removed` of its keys
    /// were removed since it was written. `false`: it cannot be.
    pub(crate) fn put_block(
        &mut self,
        number: u32,
        slice: SliceId,
        stored: StoredBlock,
        removed: u16,
    ) -> bool {
        let gone = stored.voided.saturating_add(removed);
        let keys = u64::from(stored.count.saturating_sub(gone));
        let Some(live) = self.slices.get_mut(slice) else { return false };
        if self.blocks.is_known(number) {
            return false;
        }
        live.blocks.push(number);
        live.keys += keys;
        self.blocks.restore(number, slice, stored);
        true
    }

    /// Puts in an entry in a file, of which no table file has the slot.
    pub(crate) fn put_unlisted(&mut self, place: u32, entry: Entry) {
        if !self.voids.contains(&place) {
            self.insert(entry.key, place);
        }
    }

    /// Takes the removed places off the counts of keys of the blocks that are known: their blocks still
    /// count them.
    pub(crate) fn count_voids(&mut self) {
        for place in &self.voids {
            if let Some(slice) = self.blocks.slice(*place).and_then(|id| self.slices.get_mut(id)) {
                slice.keys = slice.keys.saturating_sub(1);
            }
        }
    }
}
