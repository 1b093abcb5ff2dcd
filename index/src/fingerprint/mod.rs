//! Fingerprints of keys and hashes of contents, keyed with the secret of a store. No tables and no time here.
//!
//! The layout of the hashed bytes is in `FORMAT.md`, section "Fingerprints and hashes".

mod content;
mod sip;

use std::fmt;

use content::ContentSecret;
use sip::Sip;

/// Identity of a key within a store: 128 bits, keyed with the store's secret.
///
/// ```
/// use onceward_index::{Fingerprint, Secret};
///
/// let secret = Secret::from_bytes([7; 16]);
/// let key = secret.fingerprint("default", b"k1");
/// assert_ne!(key, secret.fingerprint("default", b"k2"));
/// assert_ne!(key, secret.fingerprint("other", b"k1"));
/// assert_eq!(key, Fingerprint::from_bytes(key.to_bytes()));
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Wraps a number that [`Fingerprint::as_u128`] gave.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The fingerprint as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Wraps the 16 bytes that [`Fingerprint::to_bytes`] gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }

    /// The fingerprint as it is stored: the number, least significant byte first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The highest bits: which shard of the table.
    pub(crate) const fn shard(self) -> usize {
        (self.0 >> (128 - SHARD_BITS)) as usize
    }

    /// The next 16 bits: where in the shard.
    #[expect(clippy::cast_possible_truncation, reason = "these 16 bits are what is wanted")]
    pub(crate) const fn tag(self) -> u16 {
        (self.0 >> (112 - SHARD_BITS)) as u16
    }

    /// The next 7 bits: what the table looks at first.
    #[expect(clippy::cast_possible_truncation, reason = "these 7 bits are what is wanted")]
    pub(crate) const fn bits(self) -> u8 {
        (self.0 >> (105 - SHARD_BITS)) as u8 & 0x7f
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:032x})", self.0)
    }
}

/// Hash of what came with a key: 48 bits, keyed with the store's secret.
///
/// Two contents of one key share a hash with probability 2^-48; such a conflict passes as a
/// duplicate.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentHash(u64);

impl ContentHash {
    /// The hash that stands for "not known": whatever content comes, it is the same one.
    ///
    /// For keys without a content, and for those whose hash was made in a way that nobody makes hashes any more.
    pub const UNKNOWN: Self = Self(0);

    /// Wraps a number that [`ContentHash::as_u64`] gave. Only its low 48 bits count.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number & CONTENT_BITS)
    }

    /// The hash as a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Whether what had this hash and what has the other one count as the same content: they are equal, or one is
    /// [`ContentHash::UNKNOWN`].
    #[must_use]
    pub fn matches(self, other: Self) -> bool {
        self == other || self == Self::UNKNOWN || other == Self::UNKNOWN
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({:012x})", self.0)
    }
}

/// A store's secret, with which all its fingerprints and hashes are keyed.
///
/// Who does not know it can neither craft two keys with one fingerprint nor aim many keys at one
/// place of a table. `Debug` shows none of it. Losing it makes every remembered key fresh.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; 16],
    /// What contents are hashed with; follows from the bytes.
    content: ContentSecret,
}

impl Secret {
    /// Takes 16 bytes that must come from a good random source, once in a store's life.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, content: ContentSecret::of(&bytes) }
    }

    /// The secret's bytes, to be stored where only the store's owner reads.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// The identity of `key` in `scope`.
    ///
    /// Scope and key cannot run into one another: `("ab", "c")` and `("a", "bc")` differ.
    #[must_use]
    pub fn fingerprint(&self, scope: &str, key: &[u8]) -> Fingerprint {
        let hash = Sip::of_128(&self.bytes);
        let hash = match u8::try_from(scope.len()) {
            Ok(length) if length < LONG_SCOPE => hash.byte(length),
            Ok(_) | Err(_) => hash.byte(LONG_SCOPE).number(wide(scope.len())),
        };
        Fingerprint(hash.bytes(scope.as_bytes()).bytes(key).finish_128())
    }

    /// The hash of a content that consists of `parts`, in this order.
    ///
    /// Parts cannot run into one another, and an empty part is not the same as no part. Never
    /// [`ContentHash::UNKNOWN`].
    #[must_use]
    pub fn content(&self, parts: &[&[u8]]) -> ContentHash {
        self.content.hash(parts)
    }

    /// A number by which files made under another secret are known, and which reveals nothing of this
    /// one.
    pub(crate) fn check(&self) -> u64 {
        Sip::of_64(&self.bytes).bytes(b"onceward index").finish_64()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Bits of a fingerprint that say which shard of the table its key is in.
pub(crate) const SHARD_BITS: u32 = 12;
/// The bits of a content hash.
const CONTENT_BITS: u64 = (1 << 48) - 1;

/// A length, the same on every target.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Stands in the length byte of a scope too long for it; the length follows on 8 bytes.
const LONG_SCOPE: u8 = u8::MAX;

#[cfg(test)]
mod tests;
