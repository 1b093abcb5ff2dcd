//! Hashes of contents: XXH3 with a secret of the store's own.
//!
//! Several times as fast as SipHash, and no less good for this: a hash tells a repeated content from another one of
//! the same key, and leads to no place in a table.

use twox_hash::xxhash3_64;

use super::{
    ContentHash,
    sip::{Sip, number},
};

/// Bytes of the secret of XXH3, as many as its own has.
const SECRET_BYTES: usize = 192;
/// What the words of the secret are told apart by from all else that is hashed with the store's secret.
const SECRET_NAME: [u64; 2] = [u64::from_le_bytes(*b"onceward"), u64::from_le_bytes(*b" content")];
/// The longest part that stands for itself; of a longer one stands its hash.
const SHORT_BYTES: usize = 8;
/// Bytes of what stands for a part, with its length.
const PART_BYTES: usize = 16;
/// Parts for which no memory is asked for.
const PARTS_FEW: usize = 8;

/// What contents are hashed with.
#[derive(Clone)]
pub(super) struct ContentSecret([u8; SECRET_BYTES]);

impl ContentSecret {
    /// The one that follows from a store's secret.
    pub(super) const fn of(secret: &[u8; 16]) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        let (words, _) = bytes.as_chunks_mut::<8>();
        let [one, two] = SECRET_NAME;
        let named = Sip::of_64(secret).number(one).number(two);
        let mut number = 0;
        let mut left = words;
        while let Some((word, others)) = left.split_first_mut() {
            *word = named.number(number).finish_64().to_le_bytes();
            number += 1;
            left = others;
        }
        Self(bytes)
    }

    /// The hash of a content of these parts.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> ContentHash {
        let mut few = [[0; PART_BYTES]; PARTS_FEW];
        match few.get_mut(..parts.len()) {
            Some(list) => self.hash_list(parts, list),
            None => self.hash_many(parts),
        }
    }

    #[cold]
    fn hash_many(&self, parts: &[&[u8]]) -> ContentHash {
        self.hash_list(parts, &mut vec![[0; PART_BYTES]; parts.len()])
    }

    /// The hash of parts, for which there is room in a list.
    #[inline(always)]
    fn hash_list(&self, parts: &[&[u8]], list: &mut [[u8; PART_BYTES]]) -> ContentHash {
        for (item, part) in list.iter_mut().zip(parts) {
            let stands = if part.len() <= SHORT_BYTES { number(part) } else { self.xxh3(part) };
            *item = (u128::from(stands) << 64 | u128::from(super::wide(part.len()))).to_le_bytes();
        }
        told_apart(self.xxh3(list.as_flattened()))
    }

    /// XXH3, 64 bits of it.
    fn xxh3(&self, bytes: &[u8]) -> u64 {
        // It refuses nothing but a secret that is too short.
        xxhash3_64::Hasher::oneshot_with_secret(&self.0, bytes).unwrap_or(0)
    }
}

/// The hash of a known content: never the number that means another thing.
pub(super) fn told_apart(hash: u64) -> ContentHash {
    match ContentHash::from_u64(hash) {
        ContentHash::UNKNOWN => ContentHash(1),
        known => known,
    }
}
