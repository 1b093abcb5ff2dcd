//! Fingerprints of keys and hashes of contents, keyed with the secret of a store. No tables and no time here.
//!
//! The layout of the hashed bytes is in `FORMAT.md`, section "Fingerprints and hashes".

use std::{fmt, hash::Hasher};

use siphasher::{sip, sip128, sip128::Hasher128};

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
pub struct Secret([u8; 16]);

impl Secret {
    /// Takes 16 bytes that must come from a good random source, once in a store's life.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret's bytes, to be stored where only the store's owner reads.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The identity of `key` in `scope`.
    ///
    /// Scope and key cannot run into one another: `("ab", "c")` and `("a", "bc")` differ.
    #[must_use]
    pub fn fingerprint(&self, scope: &str, key: &[u8]) -> Fingerprint {
        let hasher = sip128::SipHasher13::new_with_key(&self.0);
        let write = |put: &mut dyn FnMut(&[u8])| {
            match u8::try_from(scope.len()) {
                Ok(length) if length < LONG_SCOPE => put(&[length]),
                Ok(_) | Err(_) => {
                    put(&[LONG_SCOPE]);
                    put(&wide(scope.len()));
                }
            }
            put(scope.as_bytes());
            put(key);
        };
        let hash = match gathered(scope.len() + key.len() + LENGTH_BYTES, &mut [0; GATHERED], write)
        {
            Some(bytes) => hasher.hash(bytes),
            None => {
                let mut hasher = hasher;
                write(&mut |bytes| hasher.write(bytes));
                hasher.finish128()
            }
        };
        Fingerprint(hash.as_u128())
    }

    /// The hash of a content that consists of `parts`, in this order.
    ///
    /// Parts cannot run into one another, and an empty part is not the same as no part.
    #[must_use]
    pub fn content(&self, parts: &[&[u8]]) -> ContentHash {
        let hasher = sip::SipHasher13::new_with_key(&self.0);
        let write = |put: &mut dyn FnMut(&[u8])| {
            for part in parts {
                match u32::try_from(part.len()) {
                    Ok(length) if length < LONG_PART => put(&length.to_le_bytes()),
                    Ok(_) | Err(_) => {
                        put(&LONG_PART.to_le_bytes());
                        put(&wide(part.len()));
                    }
                }
                put(part);
            }
        };
        let most: usize = parts.iter().map(|part| part.len() + LENGTH_BYTES).sum();
        ContentHash::from_u64(match gathered(most, &mut [0; GATHERED], write) {
            Some(bytes) => hasher.hash(bytes),
            None => {
                let mut hasher = hasher;
                write(&mut |bytes| hasher.write(bytes));
                hasher.finish()
            }
        })
    }
}

/// Bytes that are copied together to be hashed at once: a hasher that is given small pieces spends more
/// on their edges than on their bytes.
const GATHERED: usize = 512;
/// The most that a length takes before its part.
const LENGTH_BYTES: usize = 12;

/// The bytes that `write` puts, one behind the other; `None` if `most` bytes do not fit.
fn gathered(
    most: usize,
    into: &mut [u8; GATHERED],
    write: impl Fn(&mut dyn FnMut(&[u8])),
) -> Option<&[u8]> {
    if most > GATHERED {
        return None;
    }
    let mut count = 0;
    write(&mut |bytes| {
        if let Some(room) = into.get_mut(count..count + bytes.len()) {
            room.copy_from_slice(bytes);
            count += bytes.len();
        }
    });
    into.get(..count)
}

impl Secret {
    /// A number by which files made under another secret are known, and which reveals nothing of this
    /// one.
    pub(crate) fn check(&self) -> u64 {
        let mut hasher = sip::SipHasher13::new_with_key(&self.0);
        hasher.write(b"onceward index");
        hasher.finish()
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

/// A length on 8 bytes, the same on every target.
fn wide(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes()
}

/// Stands in the length byte of a scope too long for it; the length follows on 8 bytes.
const LONG_SCOPE: u8 = u8::MAX;
/// Stands in the length of a part too long for it; the length follows on 8 bytes.
const LONG_PART: u32 = u32::MAX;

#[cfg(test)]
mod tests;
