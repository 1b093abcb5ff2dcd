//! Where the entries of blocks in files are, in 8 bytes each: all that a hit needs to compare the
//! key, so that it waits for the entry and for little else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use crate::{disk::Part, entry::split, fingerprint::Fingerprint};

/// Set in [`Spot::part`] until the block's checksum was compared; and all others, where there is no
/// file.
const UNCHECKED: u32 = 1 << 31;

/// Where a block is.
#[derive(Debug)]
struct Spot {
    /// Position of its file in [`Spots::parts`].
    part: AtomicU32,
    /// Offset of the block in the file.
    offset: u32,
}

/// Bytes of a block here.
pub(crate) const SPOT_BYTES: usize = size_of::<Spot>();

/// Where all blocks are.
#[derive(Debug, Default)]
pub(crate) struct Spots {
    all: Vec<Spot>,
    parts: Vec<Option<Arc<Part>>>,
    /// Positions in `parts` that are free.
    free: Vec<u32>,
    /// Of each file, by its number: its position in `parts`, and its blocks.
    known: BTreeMap<u32, (u32, u32)>,
}

impl Spots {
    /// Whether the entry at a place is certainly not this key's. `false` says nothing.
    pub(crate) fn is_other(&self, place: u32, key: Fingerprint) -> bool {
        self.key_at(place).is_some_and(|found| found != key)
    }

    /// The key at a place in a file that is open and in memory, as bytes say.
    fn key_at(&self, place: u32) -> Option<Fingerprint> {
        let (number, position) = split(place);
        let spot = self.get(number)?;
        let part = self.parts.get(usize::try_from(spot.part.load(Relaxed)).ok()?)?.as_ref()?;
        part.key_at(spot.offset, position)
    }

    /// A block is in a file.
    pub(crate) fn put(&mut self, number: u32, part: &Arc<Part>, offset: u32) {
        let (at, blocks) = self.known.entry(part.number).or_insert_with(|| {
            let at = self.free.pop().unwrap_or_else(|| {
                self.parts.push(None);
                u32::try_from(self.parts.len() - 1).unwrap_or(u32::MAX)
            });
            (at, 0)
        });
        *blocks += 1;
        let at = *at;
        if let Some(slot) = self.parts.get_mut(usize::try_from(at).unwrap_or(usize::MAX)) {
            slot.get_or_insert_with(|| Arc::clone(part));
        }
        self.set(number, Spot { part: AtomicU32::new(at | UNCHECKED), offset });
    }

    /// Whether the block's checksum was compared since it came here.
    pub(crate) fn is_checked(&self, number: u32) -> bool {
        self.get(number).is_some_and(|spot| spot.part.load(Relaxed) & UNCHECKED == 0)
    }

    /// The block's checksum is right.
    pub(crate) fn note_checked(&self, number: u32) {
        if let Some(spot) = self.get(number) {
            spot.part.fetch_and(!UNCHECKED, Relaxed);
        }
    }

    fn get(&self, number: u32) -> Option<&Spot> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// A block that was in a file is no more.
    pub(crate) fn remove(&mut self, number: u32, part: &Part) {
        self.set(number, Spot { part: AtomicU32::new(u32::MAX), offset: 0 });
        let Some((at, blocks)) = self.known.get_mut(&part.number) else { return };
        *blocks -= 1;
        if *blocks == 0 {
            let at = *at;
            self.known.remove(&part.number);
            if let Some(slot) = self.parts.get_mut(usize::try_from(at).unwrap_or(usize::MAX)) {
                *slot = None;
            }
            self.free.push(at);
        }
    }

    /// Bytes of memory that the files take here; not those of blocks, see [`SPOT_BYTES`].
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.parts.capacity() * 64).unwrap_or(u64::MAX)
    }

    fn set(&mut self, number: u32, spot: Spot) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        while self.all.len() <= at {
            self.all.push(Spot { part: AtomicU32::new(u32::MAX), offset: 0 });
        }
        if let Some(old) = self.all.get_mut(at) {
            *old = spot;
        }
    }
}
