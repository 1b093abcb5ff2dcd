//! The entry of a key, and how 256 of them lie together: in memory and in the files alike.
//!
//! The layout is in `FORMAT.md`, section "Entries".

use std::ops::RangeInclusive;

use crate::fingerprint::{ContentHash, Fingerprint};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 26;
/// Entries of a block.
pub(crate) const BLOCK_ENTRIES: usize = 256;
/// Entries that a new block has room for.
const ENTRIES_FIRST: usize = 8;
/// Bytes of memory of a block with its first entry.
pub(crate) const BLOCK_BYTES_FIRST: u64 =
    (ENTRIES_FIRST * ENTRY_BYTES + size_of::<Entries>()) as u64;
/// The LSN difference of an entry that is not one any more.
const VOID: u32 = u32::MAX;

/// A key with its content and its event: all that the index remembers of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Fingerprint,
    /// Hash of the content that came with it; another content is a conflict.
    pub content: ContentHash,
    /// LSN of the event's first frame: the event's number for ever.
    pub lsn: u64,
}

/// The entries of one block, encoded, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    /// The LSN from which the entries' differences count.
    base: u64,
    bytes: Vec<u8>,
    /// Entries that were made none.
    voided: u16,
    /// The lowest LSN that was put in, and the highest.
    lsn_min: u64,
    lsn_max: u64,
}

impl Entries {
    /// A block whose first entry has this LSN.
    pub(crate) fn new(first_lsn: u64) -> Self {
        // Half the range to each side: what is restored comes in any order.
        let base = first_lsn.saturating_sub(u64::from(VOID) / 2);
        Self { base, bytes: Vec::new(), voided: 0, lsn_min: u64::MAX, lsn_max: 0 }
    }

    /// Takes the memory for all entries at once.
    pub(crate) fn reserve_all(&mut self) {
        self.bytes.reserve_exact(BLOCK_ENTRIES * ENTRY_BYTES);
    }

    /// The LSN from which the entries' differences count.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The entries, encoded.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Entries, voided ones included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    /// The highest LSN of an entry; 0 without one.
    pub(crate) fn lsn_max(&self) -> u64 {
        self.lsn_max
    }

    /// The lowest LSN of an entry and the highest, of those that were made none too; `None`: it has no entry.
    pub(crate) fn lsns(&self) -> Option<RangeInclusive<u64>> {
        (self.lsn_min <= self.lsn_max).then_some(self.lsn_min..=self.lsn_max)
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        u64::try_from(self.bytes.capacity() + size_of::<Self>()).unwrap_or(u64::MAX)
    }

    /// Entries that were made none.
    pub(crate) fn voided(&self) -> u16 {
        self.voided
    }

    /// Whether an entry of this LSN can be added.
    pub(crate) fn takes(&self, lsn: u64) -> bool {
        self.len() < BLOCK_ENTRIES && self.delta(lsn).is_some()
    }

    /// Adds an entry that [`Entries::takes`]; returns its position.
    pub(crate) fn push(&mut self, entry: Entry) -> usize {
        let position = self.len();
        self.lsn_min = self.lsn_min.min(entry.lsn);
        self.lsn_max = self.lsn_max.max(entry.lsn);
        let delta = self.delta(entry.lsn).unwrap_or(VOID);
        debug_assert!(delta != VOID, "the caller asked whether the block takes it");
        if self.bytes.capacity() == self.bytes.len() {
            // Small stores have small blocks; a block never holds more than its 256 entries.
            let left = BLOCK_ENTRIES.saturating_sub(self.len()).max(1);
            let more = self.len().max(ENTRIES_FIRST).min(left);
            self.bytes.reserve_exact(more * ENTRY_BYTES);
        }
        self.bytes.extend_from_slice(&encode(entry, delta));
        position
    }

    /// Makes an entry none.
    pub(crate) fn void(&mut self, position: usize) {
        let at = position * ENTRY_BYTES + 16;
        if let Some(delta) = self.bytes.get_mut(at..at + 4) {
            delta.copy_from_slice(&VOID.to_le_bytes());
            self.voided = self.voided.saturating_add(1);
        }
    }

    /// The entry at a position; `None` if it is voided or beyond the last.
    pub(crate) fn entry(&self, position: usize) -> Option<Entry> {
        entry_in(&self.bytes, self.base, position)
    }

    /// Whether the bytes at a position begin with this key. One that is voided may have it too.
    pub(crate) fn has_key(&self, position: usize, key: Fingerprint) -> bool {
        let at = position * ENTRY_BYTES;
        self.bytes.get(at..at + 16).is_some_and(|found| found == key.to_bytes())
    }

    fn delta(&self, lsn: u64) -> Option<u32> {
        lsn.checked_sub(self.base).and_then(|d| u32::try_from(d).ok()).filter(|d| *d != VOID)
    }
}

/// Bits of a place that are the position in the block.
pub(crate) const BLOCK_BITS: u32 = BLOCK_ENTRIES.trailing_zeros();

/// Numbers of blocks.
pub(crate) const BLOCKS_MAX: u32 = u32::MAX >> BLOCK_BITS;

/// The place at a position in a block.
pub(crate) fn place(block: u32, position: usize) -> u32 {
    block << BLOCK_BITS | u32::try_from(position).unwrap_or(u32::MAX)
}

/// The number of the block of a place, and the position in it.
pub(crate) fn split(place: u32) -> (u32, usize) {
    let position = usize::try_from(place).unwrap_or(usize::MAX) % BLOCK_ENTRIES;
    (place >> BLOCK_BITS, position)
}

/// The entry at a position of encoded entries; `None` if it is voided or beyond the last.
pub(crate) fn entry_in(bytes: &[u8], base: u64, position: usize) -> Option<Entry> {
    let at = position.checked_mul(ENTRY_BYTES)?;
    decode(bytes.get(at..at.checked_add(ENTRY_BYTES)?)?.first_chunk()?, base)
}

/// The bytes of an entry.
fn encode(entry: Entry, delta: u32) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    let (key, rest) = bytes.split_at_mut(16);
    let (number, content) = rest.split_at_mut(4);
    key.copy_from_slice(&entry.key.to_bytes());
    number.copy_from_slice(&delta.to_le_bytes());
    let [a, b, c, d, e, f, ..] = entry.content.as_u64().to_le_bytes();
    content.copy_from_slice(&[a, b, c, d, e, f]);
    bytes
}

/// An entry from its bytes; `None` if it is voided.
pub(crate) fn decode(bytes: &[u8; ENTRY_BYTES], base: u64) -> Option<Entry> {
    let (key, rest) = bytes.split_first_chunk::<16>()?;
    let (delta, rest) = rest.split_first_chunk::<4>()?;
    let content = rest.first_chunk::<6>()?;
    let delta = u32::from_le_bytes(*delta);
    let [a, b, c, d, e, f] = *content;
    (delta != VOID).then(|| Entry {
        key: Fingerprint::from_bytes(*key),
        lsn: base.saturating_add(u64::from(delta)),
        content: ContentHash::from_u64(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])),
    })
}

#[cfg(test)]
mod tests {
    use onceward_vfs::testing::hex;

    use super::*;

    fn entry(n: u64) -> Entry {
        let key = Fingerprint::from_u128(u128::from(n) << 64 | 7);
        Entry { key, lsn: n, content: ContentHash::from_u64(n * 3) }
    }

    #[test]
    fn entries_come_back_as_they_were_put_in_until_the_block_is_full() {
        let first = 1 << 40;
        let mut block = Entries::new(first);
        for position in 0..BLOCK_ENTRIES {
            let entry = entry(first + position as u64);
            assert!(block.takes(entry.lsn));
            assert_eq!(block.push(entry), position);
            assert_eq!(block.entry(position), Some(entry));
        }
        assert!(!block.takes(first + 1), "full");
        assert_eq!(block.entry(BLOCK_ENTRIES), None);
        assert_eq!(block.bytes.capacity(), BLOCK_ENTRIES * ENTRY_BYTES);
        block.void(3);
        assert_eq!(block.entry(3), None);
        assert_eq!(block.entry(4), Some(entry(first + 4)));
    }

    #[test]
    fn an_lsn_too_far_from_the_first_needs_another_block() {
        let first = 1 << 40;
        let block = Entries::new(first);
        let half = u64::from(u32::MAX / 2);
        for near in [first, first - half, first + half] {
            assert!(block.takes(near), "{near}");
        }
        for far in [0, 1, first - half - 1, first + half + 2, u64::MAX] {
            assert!(!block.takes(far), "{far}");
        }
        assert!(Entries::new(u64::MAX).takes(u64::MAX));
        assert!(Entries::new(1).takes(0));
    }

    #[test]
    fn an_entry_has_these_bytes() {
        let mut block = Entries::new(0x1_0000_0000);
        let key = Fingerprint::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let content = ContentHash::from_u64(0xffff_a5a4_a3a2_a1a0);
        block.push(Entry { key, lsn: 0x1_0000_0002, content });
        assert_eq!(hex(block.bytes()), "000102030405060708090a0b0c0d0e0f01000080a0a1a2a3a4a5");
        assert_eq!(block.base(), 0x8000_0001);
    }
}
