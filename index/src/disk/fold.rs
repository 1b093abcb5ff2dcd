//! Table files: written for key files that have none, and merged, so that there are few of them.
//!
//! All that is read here never changes: nothing is locked, and captures go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::checkpoint::{Checkpointed, IndexFiles, VOIDS_MAX};
use crate::{
    entry::BLOCK_BITS,
    error::Result,
    files::{FileKind, ListedBlock, StoredBlock, TableFile, TableFileWriter},
    slices::{SliceId, SliceInfo},
    state::IndexState,
    sync::RwLock,
    table::{SHARDS, Slot},
};

/// Slots that are gathered in memory at a time.
const GATHERED_MAX: u64 = 1024 * 1024;

/// The slices and removed keys of one moment, by which slots are left out while table files are written.
struct Sieve<'a> {
    live: &'a BTreeMap<SliceId, SliceInfo>,
    /// Places whose key was removed.
    voids: BTreeSet<u32>,
    /// Removed places that were left out.
    folded: BTreeSet<u32>,
    /// Keys that are remembered.
    keys: u64,
}

/// Slots and blocks of some key files.
struct Gathered {
    /// The slots, each with its shard, sorted. One list: many small ones would leave holes in memory.
    slots: Vec<(usize, Slot)>,
    blocks: Vec<ListedBlock>,
    /// Blocks of keys that were left out, once for each key.
    left_out: Vec<u32>,
}

impl IndexFiles {
    /// Gives every key file of a slice in `live` a table file.
    ///
    /// A new file takes in the ones before it that are no more than twice as large: so they are few,
    /// and each slot is written a few times in its life. It takes in all of them when over a fifth of
    /// what they hold is forgotten, or when too many keys were removed.
    pub(super) fn fold(
        &mut self,
        state: &RwLock<IndexState>,
        live: &BTreeMap<SliceId, SliceInfo>,
        done: &mut Checkpointed,
    ) -> Result<()> {
        let mut sieve = {
            let state = state.read();
            let keys: u64 = state.slices.iter().map(|(_, slice)| slice.keys).sum();
            Sieve { live, voids: state.voids.clone(), folded: BTreeSet::new(), keys }
        };
        loop {
            let chosen = self.choose();
            let is_last = chosen.is_empty();
            let many = sieve.voids.len() as u64 > sieve.keys / 16 + VOIDS_MAX;
            let all =
                many && sieve.folded.len() < sieve.voids.len() && !self.table_files.is_empty();
            if is_last && !all {
                return Ok(());
            }
            self.fold_some(&chosen, is_last, &mut sieve, done)?;
            self.folded.extend(&sieve.folded);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The next key files without a table file, as many as fit into memory together.
    fn choose(&self) -> Vec<u32> {
        let mut slots = 0;
        let mut chosen = Vec::new();
        for (number, kept) in &self.key_files {
            let Some(listed) = &kept.unlisted else { continue };
            slots += listed.iter().map(|at| u64::from(at.header.count)).sum::<u64>();
            if chosen.is_empty() || slots <= GATHERED_MAX {
                chosen.push(*number);
            }
        }
        chosen
    }

    fn fold_some(
        &mut self,
        chosen: &[u32],
        all: bool,
        sieve: &mut Sieve<'_>,
        done: &mut Checkpointed,
    ) -> Result<()> {
        let mut gathered = self.gather(chosen, sieve)?;
        let fresh = gathered.slots.len();
        let first = if all {
            0
        } else {
            self.first_to_merge(u64::try_from(fresh).unwrap_or(0), sieve.keys)
        };
        let merged: Vec<Arc<TableFile>> = self.table_files.iter().skip(first).cloned().collect();
        for table_file in &merged {
            let is_kept = |listed: &&ListedBlock| self.is_live(listed.header.key_file, sieve.live);
            gathered.blocks.extend(table_file.blocks().iter().filter(is_kept));
        }
        let number = self.take_number();
        let name = self.folder.path(FileKind::Table, number);
        let written = self.write_table_file(number, &mut gathered, &merged, sieve);
        let table_file = self.folder.or_remove(&name, written)?;
        done.bytes += table_file.bytes;
        self.table_files.truncate(first);
        self.table_files.push(Arc::new(table_file));
        self.unused.extend(merged.iter().map(|file| file.name().to_owned()));
        for number in chosen {
            if let Some(kept) = self.key_files.get_mut(number) {
                kept.unlisted = None;
            }
        }
        Ok(())
    }

    fn write_table_file(
        &self,
        number: u32,
        gathered: &mut Gathered,
        merged: &[Arc<TableFile>],
        sieve: &mut Sieve<'_>,
    ) -> Result<TableFile> {
        let blocks = std::mem::take(&mut gathered.blocks);
        let mut writer = TableFileWriter::create(&self.folder, number, blocks)?;
        gathered.left_out.iter().for_each(|block| writer.leave_out(*block));
        let mut fresh = gathered.slots.iter().peekable();
        let mut slots = Vec::new();
        for shard in 0..SHARDS {
            slots.clear();
            while let Some((_, slot)) = fresh.next_if(|(of, _)| *of == shard) {
                slots.push(*slot);
            }
            for table_file in merged {
                for (slot, key_file) in table_file.shard(shard)? {
                    if !self.is_live(key_file, sieve.live) {
                        continue;
                    }
                    if sieve.leaves_out(slot.place) {
                        writer.leave_out(slot.place >> BLOCK_BITS);
                    } else {
                        slots.push(slot);
                    }
                }
            }
            writer.push_shard(slots.iter().copied())?;
        }
        writer.finish()
    }

    /// Reads key files.
    fn gather(&self, chosen: &[u32], sieve: &mut Sieve<'_>) -> Result<Gathered> {
        let (blocks, left_out) = (Vec::new(), Vec::new());
        let mut gathered = Gathered { slots: Vec::new(), blocks, left_out };
        for kept in chosen.iter().filter_map(|number| self.key_files.get(number)) {
            if !sieve.live.contains_key(&kept.slice) {
                continue;
            }
            for listed in kept.unlisted.iter().flatten() {
                let block = listed.header.block;
                let stored =
                    StoredBlock::new(Arc::clone(&kept.key_file), listed.offset, listed.header);
                for (place, entry) in stored.entries(block)? {
                    if sieve.leaves_out(place) {
                        gathered.left_out.push(block);
                        continue;
                    }
                    let slot = Slot { place, tag: entry.key.tag(), bits: entry.key.bits() };
                    gathered.slots.push((entry.key.shard(), slot));
                }
                gathered.blocks.push(*listed);
            }
        }
        gathered.slots.sort_unstable_by_key(|(shard, _)| *shard);
        Ok(gathered)
    }

    /// The first table file that is merged with `fresh` new slots, with all behind it.
    fn first_to_merge(&self, fresh: u64, keys: u64) -> usize {
        let held: u64 = self.table_files.iter().map(|file| file.slot_count()).sum();
        if held + fresh > keys + keys / 4 + GATHERED_MAX / 8 {
            return 0;
        }
        let mut total = fresh;
        let mut first = self.table_files.len();
        for table_file in self.table_files.iter().rev() {
            if table_file.slot_count() > 2 * total {
                break;
            }
            total += table_file.slot_count();
            first -= 1;
        }
        first
    }

    fn is_live(&self, key_file: u32, live: &BTreeMap<SliceId, SliceInfo>) -> bool {
        self.key_files.get(&key_file).is_some_and(|kept| live.contains_key(&kept.slice))
    }
}

impl Sieve<'_> {
    /// Whether the key at a place was removed; notes that it was left out.
    fn leaves_out(&mut self, place: u32) -> bool {
        let is_void = self.voids.contains(&place);
        if is_void {
            self.folded.insert(place);
        }
        is_void
    }
}
