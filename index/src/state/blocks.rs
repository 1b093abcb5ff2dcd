//! The blocks of all slices: where the entry at a place is, in memory or in a file.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use super::block_locations::{BLOCK_LOCATION_BYTES, BlockLocations};
use crate::{
    entry::{BLOCK_ENTRIES, BLOCKS_MAX, Entries, Entry, place, split},
    error::Result,
    files::{KeyFile, StoredBlock},
    fingerprint::Fingerprint,
    slices::SliceId,
};

/// The state of a block, and where its entries are.
#[derive(Debug)]
enum BlockState {
    /// No block: the number is free, or its slice was dropped and slots may still name it.
    Absent,
    /// Entries in memory, and changing.
    Filling(Box<Entries>),
    /// Entries in memory, and on the way to a file.
    Writing(Arc<Entries>),
    /// Entries in a file.
    Stored(StoredBlock),
}

/// A block and its slice.
#[derive(Debug)]
struct Block {
    slice: SliceId,
    entries: BlockState,
}

/// Entries of frames that may still fail.
#[derive(Debug)]
pub(crate) struct UnconfirmedEntries {
    /// The block has no other entries.
    pub(crate) is_whole: bool,
    /// The entries, with their places.
    pub(crate) entries: Vec<(u32, Entry)>,
}

/// All blocks, by number. A place is the number of a block and 8 bits of the position in it.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    all: Vec<Block>,
    locations: BlockLocations,
    /// Numbers that no slot names.
    free: Vec<u32>,
    /// Numbers of dropped blocks, each with the count of purged shards from which on it is free.
    dropped: VecDeque<(u64, u32)>,
    /// Bytes of entries in memory.
    bytes: u64,
    /// Entries in memory.
    in_memory: u64,
}

impl Blocks {
    /// The entry at a place, if it is this key's, and its slice.
    pub(crate) fn entry_of(
        &self,
        place: u32,
        key: Fingerprint,
    ) -> Result<Option<(Entry, SliceId)>> {
        let (number, position) = split(place);
        let Some(block) = self.get(number) else { return Ok(None) };
        let entry = match &block.entries {
            BlockState::Absent => None,
            BlockState::Filling(entries) if entries.has_key(position, key) => {
                entries.entry(position)
            }
            BlockState::Writing(entries) if entries.has_key(position, key) => {
                entries.entry(position)
            }
            BlockState::Filling(_) | BlockState::Writing(_) => None,
            BlockState::Stored(_) if self.locations.is_other(place, key) => None,
            BlockState::Stored(stored) => {
                self.stored_entry(number, position, stored)?.filter(|entry| entry.key == key)
            }
        };
        Ok(entry.map(|entry| (entry, block.slice)))
    }

    /// The entry at a place; `None` if it is no more.
    pub(crate) fn entry(&self, place: u32) -> Result<Option<Entry>> {
        let (number, position) = split(place);
        match self.get(number).map(|block| &block.entries) {
            None | Some(BlockState::Absent) => Ok(None),
            Some(BlockState::Filling(entries)) => Ok(entries.entry(position)),
            Some(BlockState::Writing(entries)) => Ok(entries.entry(position)),
            Some(BlockState::Stored(stored)) => self.stored_entry(number, position, stored),
        }
    }

    /// The entry at a position of a block in a file.
    fn stored_entry(
        &self,
        number: u32,
        position: usize,
        stored: &StoredBlock,
    ) -> Result<Option<Entry>> {
        if !self.locations.is_checked(number) {
            stored.check(number)?;
            self.locations.note_checked(number);
        }
        stored.entry(position)
    }

    /// The entry at a place, if it is in memory.
    pub(crate) fn entry_in_memory(&self, place: u32) -> Option<Entry> {
        let (number, position) = split(place);
        match &self.get(number)?.entries {
            BlockState::Filling(entries) => entries.entry(position),
            BlockState::Writing(entries) => entries.entry(position),
            BlockState::Absent | BlockState::Stored(_) => None,
        }
    }

    /// The entries of a block that are not voided, with their places.
    pub(crate) fn entries(&self, number: u32) -> Result<Vec<(u32, Entry)>> {
        let mut all = Vec::new();
        self.show(number, |place, entry| all.push((place, entry)))?;
        Ok(all)
    }

    /// Shows the entries of a block that are not voided, with their places.
    pub(crate) fn show(&self, number: u32, mut show: impl FnMut(u32, Entry)) -> Result<()> {
        let mut in_memory = |entries: &Entries| {
            let all = (0..entries.len()).filter_map(|at| Some((at, entries.entry(at)?)));
            all.for_each(|(at, entry)| show(place(number, at), entry));
        };
        match self.get(number).map(|block| &block.entries) {
            None | Some(BlockState::Absent) => {}
            Some(BlockState::Filling(entries)) => in_memory(entries),
            Some(BlockState::Writing(entries)) => in_memory(entries),
            Some(BlockState::Stored(stored)) => stored.show(number, show)?,
        }
        Ok(())
    }

    /// The lowest LSN and the highest of the entries of a block; `None`: it has none. Of a block in a file of which
    /// nobody asked yet, its entries are read.
    pub(crate) fn lsns(&self, number: u32) -> Result<Option<RangeInclusive<u64>>> {
        let stored = match self.get(number).map(|block| &block.entries) {
            None | Some(BlockState::Absent) => return Ok(None),
            Some(BlockState::Filling(entries)) => return Ok(entries.lsns()),
            Some(BlockState::Writing(entries)) => return Ok(entries.lsns()),
            Some(BlockState::Stored(stored)) => stored,
        };
        let found = match self.locations.lsns(number) {
            Some(known) => Some(known),
            None => self.look_for_lsns(number, stored)?,
        };
        let lsn = |offset: u32| stored.base.saturating_add(u64::from(offset));
        Ok(found.map(|(first, last)| lsn(first)..=lsn(last)))
    }

    /// Looks of which frames the entries of a block in a file are, and notes it.
    fn look_for_lsns(&self, number: u32, stored: &StoredBlock) -> Result<Option<(u32, u32)>> {
        let mut found: Option<(u32, u32)> = None;
        stored.show(number, |_, entry| {
            let offset = u32::try_from(entry.lsn.saturating_sub(stored.base)).unwrap_or(u32::MAX);
            let (first, last) = found.unwrap_or((offset, offset));
            found = Some((first.min(offset), last.max(offset)));
        })?;
        if let Some(found) = found {
            self.locations.note_lsns(number, found);
        }
        Ok(found)
    }

    /// The slice of a place.
    pub(crate) fn slice(&self, place: u32) -> Option<SliceId> {
        let block = self.get(split(place).0)?;
        (!matches!(block.entries, BlockState::Absent)).then_some(block.slice)
    }

    /// Whether the slice of a place lives.
    pub(crate) fn is_live(&self, place: u32) -> bool {
        self.slice(place).is_some()
    }

    /// The number of the file that a block is in.
    pub(crate) fn key_file_of(&self, number: u32) -> Option<u32> {
        match &self.get(number)?.entries {
            BlockState::Stored(stored) => Some(stored.key_file.number),
            BlockState::Absent | BlockState::Filling(_) | BlockState::Writing(_) => None,
        }
    }

    /// A new block of a slice; `None` if every number is taken.
    pub(crate) fn begin(&mut self, slice: SliceId, first_lsn: u64, is_busy: bool) -> Option<u32> {
        let mut entries = Box::new(Entries::new(first_lsn));
        if is_busy {
            entries.reserve_all();
        }
        self.bytes += entries.memory_bytes();
        self.put(slice, BlockState::Filling(entries))
    }

    fn put(&mut self, slice: SliceId, entries: BlockState) -> Option<u32> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.all.len()).ok().filter(|next| *next < BLOCKS_MAX)?,
        };
        self.set(number, Block { slice, entries });
        Some(number)
    }

    fn set(&mut self, number: u32, block: Block) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        while self.all.len() <= at {
            self.all.push(Block { slice: SliceId(0), entries: BlockState::Absent });
        }
        if let Some(old) = self.all.get_mut(at) {
            *old = block;
        }
    }

    /// Whether a block in memory has all its entries.
    pub(crate) fn is_full(&self, number: u32) -> bool {
        match self.get(number).map(|block| &block.entries) {
            Some(BlockState::Filling(entries)) => entries.len() == BLOCK_ENTRIES,
            _ => false,
        }
    }

    /// Adds an entry to a block; returns its place, or `None` if the block does not take it.
    pub(crate) fn push(&mut self, number: u32, entry: Entry) -> Option<u32> {
        let BlockState::Filling(entries) = self.entries_mut(number)? else { return None };
        if !entries.takes(entry.lsn) {
            return None;
        }
        let before = entries.memory_bytes();
        let position = entries.push(entry);
        let grown = entries.memory_bytes() - before;
        self.bytes += grown;
        self.in_memory += 1;
        Some(place(number, position))
    }

    /// Makes the entry at a place none. `false`: it is in a file, or on the way to one.
    pub(crate) fn void(&mut self, place: u32) -> bool {
        let (number, position) = split(place);
        match self.entries_mut(number) {
            Some(BlockState::Filling(entries)) => {
                entries.void(position);
                true
            }
            _ => false,
        }
    }

    /// The entries of a block in memory whose LSN is above `lsn`.
    pub(crate) fn unconfirmed(&self, number: u32, lsn: u64) -> UnconfirmedEntries {
        let mut unconfirmed = UnconfirmedEntries { is_whole: false, entries: Vec::new() };
        if let Some(BlockState::Filling(entries)) = self.get(number).map(|block| &block.entries)
            && entries.lsn_max() > lsn
        {
            let all = (0..entries.len()).filter_map(|at| Some((at, entries.entry(at)?)));
            let (over, others): (Vec<_>, Vec<_>) = all.partition(|(_, entry)| entry.lsn > lsn);
            unconfirmed.is_whole = others.is_empty();
            unconfirmed.entries =
                over.into_iter().map(|(at, it)| (place(number, at), it)).collect();
        }
        unconfirmed
    }

    /// Takes the entries of a block in memory, which gets no more, to be written to a file.
    pub(crate) fn begin_write(&mut self, number: u32) -> Option<Arc<Entries>> {
        let entries = self.entries_mut(number)?;
        let writing = match std::mem::replace(entries, BlockState::Absent) {
            BlockState::Filling(changing) => Arc::from(changing),
            // The checkpoint before failed.
            BlockState::Writing(writing) => writing,
            other @ (BlockState::Absent | BlockState::Stored(_)) => {
                *entries = other;
                return None;
            }
        };
        *entries = BlockState::Writing(Arc::clone(&writing));
        Some(writing)
    }

    /// Notes that a block is in a file now. Nothing happens if its slice was dropped meanwhile.
    pub(crate) fn note_written(&mut self, number: u32, stored: StoredBlock) {
        let Some(entries) = self.entries_mut(number) else { return };
        if let BlockState::Writing(written) = entries {
            let (bytes, count, lsns) = (written.memory_bytes(), written.len(), written.lsns());
            self.bytes -= bytes;
            self.in_memory -= u64::try_from(count).unwrap_or(0);
            self.locations.put(number, &stored.key_file, stored.offset);
            if let Some((first, last)) = lsns.map(RangeInclusive::into_inner) {
                let offset =
                    |lsn: u64| u32::try_from(lsn.saturating_sub(stored.base)).unwrap_or(u32::MAX);
                self.locations.note_lsns(number, (offset(first), offset(last)));
            }
            if let Some(entries) = self.entries_mut(number) {
                *entries = BlockState::Stored(stored);
            }
        }
    }

    /// A block that is in a file since before the index was opened.
    pub(crate) fn restore(&mut self, number: u32, slice: SliceId, stored: StoredBlock) {
        self.locations.put(number, &stored.key_file, stored.offset);
        self.set(number, Block { slice, entries: BlockState::Stored(stored) });
    }

    /// Forgets a block. Its number is free once `free_from` shards were purged.
    ///
    /// Returns the file that it was in: closing it takes a while, and need not be done here.
    pub(crate) fn drop_block(&mut self, number: u32, free_from: u64) -> Option<Arc<KeyFile>> {
        let entries = self.entries_mut(number)?;
        let (bytes, count, key_file) = match std::mem::replace(entries, BlockState::Absent) {
            BlockState::Absent => (0, 0, None),
            BlockState::Filling(entries) => (entries.memory_bytes(), entries.len(), None),
            BlockState::Writing(entries) => (entries.memory_bytes(), entries.len(), None),
            BlockState::Stored(stored) => (0, 0, Some(stored.key_file)),
        };
        self.bytes -= bytes;
        self.in_memory -= u64::try_from(count).unwrap_or(0);
        if let Some(key_file) = &key_file {
            self.locations.remove(number, key_file);
        }
        self.dropped.push_back((free_from, number));
        key_file
    }

    /// Whether slots may name blocks that are no more.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Gives free the numbers of blocks whose slots were all purged.
    pub(crate) fn free_up_to(&mut self, purged: u64) {
        while let Some((_, number)) = self.dropped.pop_front_if(|(from, _)| *from <= purged) {
            self.free.push(number);
        }
    }

    /// Whether a number has a block.
    pub(crate) fn is_known(&self, number: u32) -> bool {
        self.get(number).is_some_and(|block| !matches!(block.entries, BlockState::Absent))
    }

    /// Gives free every number that has no block, because nothing names any: after opening.
    pub(crate) fn free_all_unused(&mut self) {
        let unused = |block: &Block| matches!(block.entries, BlockState::Absent);
        let numbers = self.all.iter().enumerate().filter(|(_, block)| unused(block));
        self.free = numbers.filter_map(|(number, _)| u32::try_from(number).ok()).rev().collect();
    }

    /// Bytes of entries in memory and of the list of blocks.
    pub(crate) fn bytes(&self) -> u64 {
        let list = self.all.capacity() * LISTED_BYTES;
        self.bytes + self.locations.bytes() + u64::try_from(list).unwrap_or(u64::MAX)
    }

    /// Bytes that this many more blocks may add to the lists.
    pub(crate) fn growth_max(&self, blocks: u64) -> u64 {
        let blocks = usize::try_from(blocks).unwrap_or(usize::MAX);
        let is_room = self.free.len() >= blocks || self.all.capacity() - self.all.len() >= blocks;
        let doubled = self.all.capacity().max(blocks).saturating_mul(LISTED_BYTES);
        if is_room { 0 } else { u64::try_from(doubled).unwrap_or(u64::MAX) }
    }

    /// Entries that are in memory only.
    pub(crate) fn in_memory(&self) -> u64 {
        self.in_memory
    }

    fn get(&self, number: u32) -> Option<&Block> {
        self.all.get(usize::try_from(number).ok()?)
    }

    fn entries_mut(&mut self, number: u32) -> Option<&mut BlockState> {
        Some(&mut self.all.get_mut(usize::try_from(number).ok()?)?.entries)
    }
}

/// Bytes of a block in the lists, once it is in a file.
const LISTED_BYTES: usize = size_of::<Block>() + BLOCK_LOCATION_BYTES;
