//! Where the entries of blocks in files are, in 8 bytes each: all that a hit needs to compare the
//! key, so that it waits for the entry and for little else. And, in 8 bytes more, of which frames they are.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use crate::{entry::split, files::KeyFile, fingerprint::Fingerprint};

/// Set in [`BlockLocation::key_file`] until the block's checksum was compared; and all others, where there is no
/// file.
const UNCHECKED: u32 = 1 << 31;

/// The place of a block in a key file.
#[derive(Debug)]
struct BlockLocation {
    /// Position of its file in [`BlockLocations::key_files`].
    key_file: AtomicU32,
    /// Offset of the block in the file.
    offset: u32,
    /// The lowest LSN of an entry and the highest, counted from the block's base, in half of the bits each.
    lsns: AtomicU64,
}

/// Where nobody looked yet of which frames the entries are: a lowest LSN above the highest.
const NOT_LOOKED: u64 = 1 << 32;

impl BlockLocation {
    /// A block of whose entries nothing is known.
    fn new(key_file: u32, offset: u32) -> Self {
        let lsns = AtomicU64::new(NOT_LOOKED);
        Self { key_file: AtomicU32::new(key_file), offset, lsns }
    }
}

/// Bytes of a block here.
pub(crate) const BLOCK_LOCATION_BYTES: usize = size_of::<BlockLocation>();

/// The places of all blocks in key files.
#[derive(Debug, Default)]
pub(crate) struct BlockLocations {
    all: Vec<BlockLocation>,
    /// Files are mapped, unless they cannot be.
    is_mapped: bool,
    key_files: Vec<Option<Arc<KeyFile>>>,
    /// Positions in `key_files` that are free.
    free: Vec<u32>,
    /// The position in `key_files` and the count of blocks of each file, by its number.
    known: BTreeMap<u32, (u32, u32)>,
}

impl BlockLocations {
    /// Whether the entry at a place is certainly not this key's. `false` says nothing.
    pub(crate) fn is_other(&self, place: u32, key: Fingerprint) -> bool {
        self.is_mapped && self.key_at(place).is_some_and(|found| found != key)
    }

    /// The key at a place in a file that is open and in memory, as bytes say.
    fn key_at(&self, place: u32) -> Option<Fingerprint> {
        let (number, position) = split(place);
        let location = self.get(number)?;
        let key_file =
            self.key_files.get(usize::try_from(location.key_file.load(Relaxed)).ok()?)?.as_ref()?;
        key_file.key_at(location.offset, position)
    }

    /// A block is in a file.
    pub(crate) fn put(&mut self, number: u32, key_file: &Arc<KeyFile>, offset: u32) {
        self.is_mapped = key_file.is_mapped();
        let (at, blocks) = self.known.entry(key_file.number).or_insert_with(|| {
            let at = self.free.pop().unwrap_or_else(|| {
                self.key_files.push(None);
                u32::try_from(self.key_files.len() - 1).unwrap_or(u32::MAX)
            });
            (at, 0)
        });
        *blocks += 1;
        let at = *at;
        if let Some(slot) = self.key_files.get_mut(usize::try_from(at).unwrap_or(usize::MAX)) {
            slot.get_or_insert_with(|| Arc::clone(key_file));
        }
        self.set(number, BlockLocation::new(at | UNCHECKED, offset));
    }

    /// Whether the block's checksum was compared since it came here.
    pub(crate) fn is_checked(&self, number: u32) -> bool {
        self.get(number).is_some_and(|location| location.key_file.load(Relaxed) & UNCHECKED == 0)
    }

    /// The block's checksum is right.
    pub(crate) fn note_checked(&self, number: u32) {
        if let Some(location) = self.get(number) {
            location.key_file.fetch_and(!UNCHECKED, Relaxed);
        }
    }

    /// Of which frames the entries of a block are, as offsets from the block's base, if anybody looked.
    pub(crate) fn lsns(&self, number: u32) -> Option<(u32, u32)> {
        let lsns = self.get(number)?.lsns.load(Relaxed);
        let half = |lsns: u64| u32::try_from(lsns & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Some((half(lsns >> 32), half(lsns))).filter(|(first, last)| first <= last)
    }

    /// Notes of which frames the entries of a block are, as offsets from the block's base.
    pub(crate) fn note_lsns(&self, number: u32, (first, last): (u32, u32)) {
        if let Some(location) = self.get(number) {
            location.lsns.store(u64::from(first) << 32 | u64::from(last), Relaxed);
        }
    }

    fn get(&self, number: u32) -> Option<&BlockLocation> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// A block that was in a file is no more.
    pub(crate) fn remove(&mut self, number: u32, key_file: &KeyFile) {
        self.set(number, BlockLocation::new(u32::MAX, 0));
        let Some((at, blocks)) = self.known.get_mut(&key_file.number) else { return };
        *blocks -= 1;
        if *blocks == 0 {
            let at = *at;
            self.known.remove(&key_file.number);
            if let Some(slot) = self.key_files.get_mut(usize::try_from(at).unwrap_or(usize::MAX)) {
                *slot = None;
            }
            self.free.push(at);
        }
    }

    /// Bytes of memory that the files take here; not those of blocks, see [`BLOCK_LOCATION_BYTES`].
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.key_files.capacity() * 64).unwrap_or(u64::MAX)
    }

    fn set(&mut self, number: u32, location: BlockLocation) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        while self.all.len() <= at {
            self.all.push(BlockLocation::new(u32::MAX, 0));
        }
        if let Some(old) = self.all.get_mut(at) {
            *old = location;
        }
    }
}
