//! The state of the index, under one lock: table, blocks and slices, and how far the log was applied.
//!
//! Nothing here writes; reading an entry may read a file. A shard that is not in memory yet stops
//! an operation before it changed anything: the caller loads the shard, without the lock, and
//! begins again.

mod anew;
mod between;
mod block_locations;
mod blocks;
mod checkpoint_plan;
mod load;
mod pending;
mod taking;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) use between::entries_between;
pub(crate) use blocks::Blocks;
pub(crate) use checkpoint_plan::{CheckpointPlan, DirtyBlocks};
pub(crate) use taking::Taking;

use self::pending::PendingFrames;
use crate::{
    entry::{BLOCK_BYTES_FIRST, BLOCK_ENTRIES, ENTRY_BYTES, Entry},
    error::{Error, ErrorKind},
    files::{KeyFile, TableFile},
    fingerprint::Fingerprint,
    options::Options,
    slices::{Expired, SliceId, Slices},
    table::{ColdShard, SHARDS, SlotPosition, Table},
};

/// Shards that are purged for a key that finds no room.
pub(crate) const PURGED_FOR_ROOM: usize = 128;

/// An obstacle because of which an operation cannot go on. Nothing was changed.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// A shard must be loaded first.
    Cold(ColdShard),
    /// An entry cannot be read, or there is no room.
    Failed(Error),
}

/// Whether the memory for a key is still to be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RoomCheck {
    /// There is room for all keys of the call.
    Done,
    /// Each key is to be asked for alone.
    Needed,
}

/// A key that is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocatedEntry {
    pub(crate) at: SlotPosition,
    pub(crate) place: u32,
    pub(crate) entry: Entry,
    pub(crate) slice: SliceId,
}

/// All that the index knows.
#[derive(Debug)]
pub(crate) struct IndexState {
    options: Options,
    pub(crate) table: Table,
    pub(crate) blocks: Blocks,
    pub(crate) slices: Slices,
    /// LSNs of frames that hold keys and may still fail.
    reserved: PendingFrames,
    /// The highest frame that was applied.
    pub(crate) applied: u64,
    /// Places in files whose key was removed.
    pub(crate) voids: BTreeSet<u32>,
    /// The table files, for shards that are not in memory.
    pub(crate) table_files: Arc<[Arc<TableFile>]>,
    /// Shards that were purged of dropped blocks since the index was opened.
    purged: u64,
}

impl IndexState {
    /// Without keys.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            table: Table::new(),
            blocks: Blocks::default(),
            slices: Slices::new(options.slice_count, options.carry_max),
            reserved: PendingFrames::default(),
            applied: 0,
            voids: BTreeSet::new(),
            table_files: Arc::new([]),
            purged: 0,
        }
    }

    /// The entry of a key.
    #[inline]
    pub(crate) fn find(&self, key: Fingerprint) -> Result<Option<LocatedEntry>, Obstacle> {
        // As most searches end.
        if self.table.is_absent(key) { Ok(None) } else { self.find_entry(key) }
    }

    /// The entry of a key, for who knows that the first look at the table does not say that there is none.
    pub(crate) fn find_entry(&self, key: Fingerprint) -> Result<Option<LocatedEntry>, Obstacle> {
        let shard = self.table.shard_of(key).map_err(Obstacle::Cold)?;
        let mut search = shard.search(key.tag(), key.bits());
        while let Some((at, place)) = shard.next(&mut search) {
            // What cannot be read may be the entry: neither "new" nor "duplicate" would be exact.
            let found = self.blocks.entry_of(place, key).map_err(Obstacle::Failed)?;
            if let Some((entry, slice)) = found {
                return Ok(Some(LocatedEntry { at, place, entry, slice }));
            }
        }
        Ok(None)
    }

    /// Notes that a frame was applied.
    pub(crate) fn note_applied(&mut self, frame: u64) {
        self.applied = self.applied.max(frame);
    }

    /// The frames from `first` to `last` are durable. Only now they count as applied: one that failed must not
    /// count as covered, because another frame may get its number.
    pub(crate) fn confirm(&mut self, first: u64, last: u64) {
        if let Some(highest) = self.reserved.remove(first, last) {
            self.note_applied(highest);
        }
    }

    /// Forgets a key that was reserved for the frame `lsn`, which is not stored. Such a key is in memory: files,
    /// which may be damaged, are not asked.
    pub(crate) fn withdraw(&mut self, key: Fingerprint, lsn: u64) -> Result<bool, Obstacle> {
        let shard = self.table.shard_of(key).map_err(Obstacle::Cold)?;
        let mut found = None;
        let at = shard.find(key.tag(), key.bits(), |place| {
            found = self.blocks.entry_in_memory(place).map(|entry| (place, entry));
            found.is_some_and(|(_, entry)| entry.key == key && entry.lsn == lsn)
        });
        let known = at.zip(found).and_then(|(at, (place, entry))| {
            Some(LocatedEntry { at, place, entry, slice: self.blocks.slice(place)? })
        });
        let Some(known) = known else { return Ok(false) };
        if self.reserved.remove(lsn, lsn).is_none() {
            return Ok(false);
        }
        if onceward_vfs::planted!("withdrawn-entry-stays") {
            self.table.remove(key, known.at);
        } else {
            self.remove(known);
        }
        self.slices.unhold(known.slice, 1);
        Ok(true)
    }

    /// Forgets every entry of a key that is older than the frame `frame`.
    pub(crate) fn release(&mut self, key: Fingerprint, frame: u64) -> Result<bool, Obstacle> {
        let mut is_released = false;
        // A key that was carried may have an entry in its old slice too.
        while let Some(known) = self.find(key)?.filter(|known| known.entry.lsn < frame) {
            self.remove(known);
            is_released = true;
        }
        self.note_applied(frame);
        Ok(is_released)
    }

    /// Puts in an entry of the log. The newest of a key's entries counts.
    pub(crate) fn restore(
        &mut self,
        slice: SliceId,
        entry: Entry,
        frame: u64,
    ) -> Result<(), Obstacle> {
        self.note_applied(frame);
        loop {
            match self.find(entry.key) {
                Ok(Some(known)) if known.entry.lsn >= entry.lsn => return Ok(()),
                // One that was carried by a run that crashed has more than one entry.
                Ok(Some(known)) => self.remove(known),
                Ok(None) => break,
                // The shard's slots are compared when it is loaded; those that wait for that, now.
                Err(Obstacle::Cold(_)) if self.is_waiting(entry)? => return Ok(()),
                Err(Obstacle::Cold(_)) => break,
                Err(failed) => return Err(failed),
            }
        }
        let place = self.push(slice, entry).map_err(Obstacle::Failed)?;
        self.insert(entry.key, place);
        Ok(())
    }

    /// Moves a key into the slice that is current at `now`; `None` if it is not remembered. One whose
    /// frame may still fail stays where it is.
    ///
    /// Its old entry stays valid until its slice is dropped: a crash may undo the new one.
    pub(crate) fn carry(
        &mut self,
        key: Fingerprint,
        now: u64,
    ) -> Result<Option<SliceId>, Obstacle> {
        let Some(known) = self.find(key)? else { return Ok(None) };
        let Some(window) = self.slices.get(known.slice).map(|slice| slice.window) else {
            return Ok(None);
        };
        let settled = self.slices.get(known.slice).and_then(|slice| slice.last_settled);
        let begin = self.slices.begin_of(window, now);
        let target = self.slices.open(window, begin);
        if target == known.slice || self.reserved.contains(known.entry.lsn) {
            return Ok(Some(known.slice));
        }
        let place = self.push(target, known.entry).map_err(Obstacle::Failed)?;
        self.table.set_place(key, known.at, place);
        if let Some(old) = self.slices.get_mut(known.slice) {
            old.keys = old.keys.saturating_sub(1);
        }
        if let Some((slice, settled)) = self.slices.get_mut(target).zip(settled) {
            slice.raise_settled(settled);
        }
        Ok(Some(target))
    }

    /// Forgets the slices that are over. Returns files that nobody needs any more, too.
    pub(crate) fn expire(&mut self, now: u64) -> (Expired, Vec<Arc<KeyFile>>) {
        let (dropped, to_carry) = self.slices.expire(now);
        let free_from = self.purged + SHARDS as u64;
        let mut unused = Vec::new();
        let mut numbers = Vec::new();
        for (id, slice) in dropped {
            numbers.push(id);
            for block in slice.blocks {
                unused.extend(self.blocks.drop_block(block, free_from));
            }
        }
        if !numbers.is_empty() {
            self.voids.retain(|place| self.blocks.is_live(*place));
        }
        (Expired { dropped: numbers, to_carry }, unused)
    }

    /// Bytes of memory that the index takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let lists =
            u64::try_from(self.voids.len() + self.reserved.ranges()).unwrap_or(u64::MAX) * 32;
        let table_files: u64 = self.table_files.iter().map(|file| file.memory_bytes()).sum();
        self.table.bytes() + self.blocks.bytes() + table_files + lists
    }

    /// Refuses what would take more memory than the caller allows.
    fn check_room(&self, key: Fingerprint) -> Result<(), Obstacle> {
        let block = (BLOCK_ENTRIES * ENTRY_BYTES) as u64 + self.blocks.growth_max(1);
        let needed = self.memory_bytes() + self.table.growth_max(key) + block;
        if needed <= self.options.memory_bytes_max {
            return Ok(());
        }
        Err(Obstacle::Failed(self.full(needed)))
    }

    /// Refuses if `count` keys, whichever, may not find room.
    pub(crate) fn check_room_for(&self, count: usize) -> Result<(), Error> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        // Each may go into a slice, and so a block, of its own.
        let per_key = self.table.growth_most() + BLOCK_BYTES_FIRST;
        let blocks = 2 * (BLOCK_ENTRIES * ENTRY_BYTES) as u64;
        let needed = self
            .memory_bytes()
            .saturating_add(count.saturating_mul(per_key))
            .saturating_add(blocks)
            .saturating_add(self.blocks.growth_max(count));
        if needed <= self.options.memory_bytes_max { Ok(()) } else { Err(self.full(needed)) }
    }

    fn full(&self, needed: u64) -> Error {
        let most = self.options.memory_bytes_max;
        let what = format!("the index would take {needed} bytes of memory, at most {most} allowed");
        Error::new(ErrorKind::Full, what)
    }

    /// Adds an entry to a slice; returns its place.
    fn push(&mut self, id: SliceId, entry: Entry) -> Result<u32, Error> {
        let mut filling = self.slices.get(id).and_then(|slice| slice.filling);
        let place = self.push_into(&mut filling, id, entry)?;
        if let Some(slice) = self.slices.get_mut(id) {
            slice.keys += 1;
        }
        Ok(place)
    }

    /// Adds an entry to the block that its slice fills, or to a new one, which is noted; returns its place. The caller
    /// counts the key.
    fn push_into(
        &mut self,
        filling: &mut Option<u32>,
        id: SliceId,
        entry: Entry,
    ) -> Result<u32, Error> {
        if let Some(place) = filling.and_then(|block| self.blocks.push(block, entry)) {
            return Ok(place);
        }
        let block = self.begin_block(id, entry.lsn)?;
        *filling = Some(block);
        let pushed = self.blocks.push(block, entry);
        debug_assert!(pushed.is_some(), "a new block takes the entry that it was begun for");
        Ok(pushed.unwrap_or(u32::MAX))
    }

    fn begin_block(&mut self, id: SliceId, lsn: u64) -> Result<u32, Error> {
        // Who filled one block fills the next: all of one size leave no holes in memory.
        let filled = self.slices.get(id).and_then(|slice| slice.filling);
        let is_busy = filled.is_some_and(|block| self.blocks.is_full(block));
        let block = self
            .blocks
            .begin(id, lsn, is_busy)
            .ok_or_else(|| Error::new(ErrorKind::Full, "every block of the index is taken"))?;
        if let Some(slice) = self.slices.get_mut(id) {
            slice.filling = Some(block);
            slice.in_memory.push(block);
            slice.blocks.push(block);
        }
        Ok(block)
    }

    /// Takes back what dropped slices left behind: their slots in this many more shards, and the
    /// numbers of their blocks once no slot names one. Returns whether more is left.
    pub(crate) fn purge(&mut self, shards: usize) -> bool {
        for _ in 0..shards {
            if !self.blocks.has_dropped() {
                return false;
            }
            let next = usize::try_from(self.purged % SHARDS as u64).unwrap_or(0);
            let blocks = &self.blocks;
            self.table.purge(next, &|place| blocks.is_live(place));
            self.purged += 1;
            self.blocks.free_up_to(self.purged);
        }
        self.blocks.has_dropped()
    }

    fn insert(&mut self, key: Fingerprint, place: u32) {
        let blocks = &self.blocks;
        let is_live = |place| blocks.is_live(place);
        // Where no slot names a block that is no more, a shard that grows need not ask for each.
        self.table.insert(key, place, blocks.has_dropped().then_some(&is_live));
    }

    /// Forgets a key.
    fn remove(&mut self, known: LocatedEntry) {
        self.table.remove(known.entry.key, known.at);
        self.void(known.place);
    }

    /// Makes an entry none, here and in the files.
    fn void(&mut self, place: u32) {
        if let Some(slice) = self.blocks.slice(place).and_then(|id| self.slices.get_mut(id)) {
            slice.keys = slice.keys.saturating_sub(1);
        }
        if !self.blocks.void(place) && !onceward_vfs::planted!("removed-place-not-noted") {
            self.voids.insert(place);
        }
    }
}
