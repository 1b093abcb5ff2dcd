//! The table in memory: from 35 bits of a fingerprint to the places where its entry may be.
//!
//! 4,096 shards by the highest bits. Each grows alone, so no insert waits for more than one of them
//! to be copied. After opening, a shard is *cold*: its slots are still in the table files, and what
//! came since waits in a list until the shard is first asked for.

mod bodies;
mod control;
mod shard;

pub(crate) use shard::{Shard, Slot, SlotPosition};

use crate::fingerprint::{Fingerprint, SHARD_BITS};

/// Shards of the table.
pub(crate) const SHARDS: usize = 1 << SHARD_BITS;

/// The table was asked for a shard whose slots are still on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ColdShard {
    /// The shard.
    pub(crate) shard: usize,
}

/// One shard, there or not yet.
#[derive(Debug)]
enum ShardState {
    /// The slots are in the table files; those that are in none of them wait here.
    Cold {
        waiting: Vec<Slot>,
        /// Slots in the files: the memory that they will take is counted already.
        in_files: u32,
    },
    /// The slots are in memory.
    Warm(Shard),
}

/// All shards.
#[derive(Debug)]
pub(crate) struct Table {
    shards: Box<[ShardState]>,
    /// Bytes that all shards and lists take.
    bytes: u64,
    /// Shards that are cold.
    cold: usize,
    /// Bytes of the largest shard or list so far.
    largest: u64,
}

impl Table {
    /// A table without keys, all of it in memory.
    pub(crate) fn new() -> Self {
        Self::of(|_| ShardState::Warm(Shard::default()), 0)
    }

    /// A table whose slots are in files: so many of each shard.
    pub(crate) fn cold(in_files: impl Fn(usize) -> u32) -> Self {
        Self::of(
            |shard| ShardState::Cold { waiting: Vec::new(), in_files: in_files(shard) },
            SHARDS,
        )
    }

    fn of(state: impl Fn(usize) -> ShardState, cold: usize) -> Self {
        let shards: Box<[ShardState]> = (0..SHARDS).map(state).collect();
        let sizes = || shards.iter().map(ShardState::bytes);
        let bytes = sizes().sum::<u64>() + (SHARDS * size_of::<ShardState>()) as u64;
        let largest = sizes().max().unwrap_or(0);
        Self { shards, bytes, cold, largest }
    }

    /// Bytes of memory that the table takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Shards that are not in memory yet.
    pub(crate) fn cold_count(&self) -> usize {
        self.cold
    }

    /// Bytes that one more key may add at most: the largest that its shard grows to.
    pub(crate) fn growth_max(&self, key: Fingerprint) -> u64 {
        match self.shards.get(key.shard()) {
            Some(ShardState::Warm(shard)) if shard.is_loaded() => {
                shard.bytes_grown().saturating_sub(shard.bytes())
            }
            Some(ShardState::Warm(_)) | None => 0,
            // The caller loads the shard first, for which the memory is counted.
            Some(ShardState::Cold { .. }) => 0,
        }
    }

    /// Bytes that one more key may add at most, whichever it is.
    pub(crate) fn growth_most(&self) -> u64 {
        // A shard grows by a half and what its last group leaves unused; a list doubles.
        self.largest.max(2 * shard::GROUP_BYTES)
    }

    /// Whether the group that a search for this key sees first says that the key is in no slot: a batch asks that of
    /// all its keys before it judges any, so that the memory answers them together. `false` says nothing.
    #[inline]
    pub(crate) fn is_absent(&self, key: Fingerprint) -> bool {
        match self.shards.get(key.shard()) {
            Some(ShardState::Warm(shard)) => shard.is_absent(key.tag(), key.bits()),
            Some(ShardState::Cold { .. }) | None => false,
        }
    }

    /// The place in the slot that the key is mostly put into; read ahead as for [`Table::is_absent`].
    pub(crate) fn first_free(&self, key: Fingerprint) -> u32 {
        match self.shards.get(key.shard()) {
            Some(ShardState::Warm(shard)) => shard.first_free(key.tag()),
            Some(ShardState::Cold { .. }) | None => 0,
        }
    }

    /// The shard of a key, to be searched.
    ///
    /// # Errors
    ///
    /// The key's shard is cold.
    #[inline]
    pub(crate) fn shard_of(&self, key: Fingerprint) -> Result<&Shard, ColdShard> {
        match self.shards.get(key.shard()) {
            Some(ShardState::Warm(shard)) => Ok(shard),
            Some(ShardState::Cold { .. }) | None => Err(ColdShard { shard: key.shard() }),
        }
    }

    /// The slot of a key's that leads to a place; `None` if there is none, or the shard is cold.
    pub(crate) fn slot_at(&self, key: Fingerprint, place: u32) -> Option<SlotPosition> {
        let shard = self.shard_of(key).ok()?;
        shard.find(key.tag(), key.bits(), |found| found == place)
    }

    /// The slot that a key goes into, if that and that it is in no slot can be said at one look, as of most new keys;
    /// see [`Table::put`].
    #[inline]
    pub(crate) fn vacancy(&self, key: Fingerprint) -> Option<SlotPosition> {
        match self.shards.get(key.shard()) {
            Some(ShardState::Warm(shard)) => shard.vacancy(key.tag(), key.bits()),
            Some(ShardState::Cold { .. }) | None => None,
        }
    }

    /// Puts in a key that is in no slot, where [`Table::vacancy`] says if that is known: nothing was changed since.
    ///
    /// A shard that is copied to grow leaves out what `is_kept` refuses, if anybody is to be asked.
    pub(crate) fn put(
        &mut self,
        key: Fingerprint,
        (place, at): (u32, Option<SlotPosition>),
        is_kept: Option<&dyn Fn(u32) -> bool>,
    ) {
        match (self.shards.get_mut(key.shard()), at) {
            (Some(ShardState::Warm(shard)), Some(at)) if !shard.is_loaded() => {
                shard.put(at, Slot { place, tag: key.tag(), bits: key.bits() });
            }
            _ => self.insert(key, place, is_kept),
        }
    }

    /// Puts in a key that the caller knows to be in no slot. A cold shard keeps it in its list.
    ///
    /// A shard that is copied to grow leaves out what `is_kept` refuses, if anybody is to be asked.
    pub(crate) fn insert(
        &mut self,
        key: Fingerprint,
        place: u32,
        is_kept: Option<&dyn Fn(u32) -> bool>,
    ) {
        let slot = Slot { place, tag: key.tag(), bits: key.bits() };
        let Some(state) = self.shards.get_mut(key.shard()) else { return };
        match state {
            ShardState::Warm(shard) if !shard.is_loaded() => return shard.insert(slot),
            ShardState::Warm(_) | ShardState::Cold { .. } => {}
        }
        let before = state.bytes();
        match state {
            ShardState::Warm(shard) => {
                *shard = shard.rebuilt(1, is_kept);
                shard.insert(slot);
            }
            ShardState::Cold { waiting, .. } => waiting.push(slot),
        }
        let after = state.bytes();
        self.bytes = self.bytes + after - before;
        self.largest = self.largest.max(after);
    }

    /// Removes the key in a slot of its shard.
    pub(crate) fn remove(&mut self, key: Fingerprint, at: SlotPosition) {
        if let Some(ShardState::Warm(shard)) = self.shards.get_mut(key.shard()) {
            shard.remove(at);
        }
    }

    /// Changes the place in a slot of a key's shard.
    pub(crate) fn set_place(&mut self, key: Fingerprint, at: SlotPosition, place: u32) {
        if let Some(ShardState::Warm(shard)) = self.shards.get_mut(key.shard()) {
            shard.set_place(at, place);
        }
    }

    /// Makes a cold shard warm, with these slots.
    pub(crate) fn warm(&mut self, number: usize, slots: &[Slot]) {
        let Some(state) = self.shards.get_mut(number) else { return };
        let before = state.bytes();
        let mut shard =
            if slots.is_empty() { Shard::default() } else { Shard::for_files(slots.len()) };
        slots.iter().for_each(|slot| shard.insert(*slot));
        self.cold -= usize::from(matches!(state, ShardState::Cold { .. }));
        *state = ShardState::Warm(shard);
        let after = state.bytes();
        self.bytes = self.bytes + after - before;
        self.largest = self.largest.max(after);
    }

    /// The list of a cold shard.
    pub(crate) fn waiting(&self, number: usize) -> Option<&[Slot]> {
        match self.shards.get(number)? {
            ShardState::Cold { waiting, .. } => Some(waiting),
            ShardState::Warm(_) => None,
        }
    }

    /// Whether a shard's slots are still in files.
    pub(crate) fn is_cold(&self, number: usize) -> bool {
        matches!(self.shards.get(number), Some(ShardState::Cold { .. }))
    }

    /// Drops from one shard the slots that `is_kept` refuses, and the marks of removed keys.
    pub(crate) fn purge(&mut self, number: usize, is_kept: &dyn Fn(u32) -> bool) {
        let Some(state) = self.shards.get_mut(number) else { return };
        let before = state.bytes();
        match state {
            ShardState::Cold { waiting, .. } => {
                waiting.retain(|slot| is_kept(slot.place));
                waiting.shrink_to_fit();
            }
            ShardState::Warm(shard) => {
                if shard.is_worth_copying(is_kept) {
                    *shard = shard.rebuilt(0, Some(is_kept));
                }
            }
        }
        let after = state.bytes();
        self.bytes = self.bytes + after - before;
        self.largest = self.largest.max(after);
    }
}

impl ShardState {
    fn bytes(&self) -> u64 {
        match self {
            Self::Cold { waiting, in_files } => {
                let count = waiting.len() + usize::try_from(*in_files).unwrap_or(0);
                let list =
                    u64::try_from(waiting.capacity() * size_of::<Slot>()).unwrap_or(u64::MAX);
                list + if count > 0 { shard::bytes_for(count) } else { 0 }
            }
            Self::Warm(shard) => shard.bytes(),
        }
    }
}
