//! Checksums, the salt of a segment, and the running digest of the log. No I/O here.

use std::fmt;

/// CRC-32 (IEEE) of `bytes`, continued from the checksum `from`.
pub(crate) fn crc_from(from: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(from);
    hasher.update(bytes);
    hasher.finalize()
}

/// What checksums begin with: a number, or that number with the answer to what the processor can do.
pub(crate) trait ChecksumStart: Copy {
    /// CRC-32 (IEEE) of `bytes` from here.
    fn crc(self, bytes: &[u8]) -> u32;
}

impl ChecksumStart for u32 {
    fn crc(self, bytes: &[u8]) -> u32 {
        crc_from(self, bytes)
    }
}

/// The salt of a segment, for many checksums that begin with it: the processor is asked once.
#[derive(Clone)]
pub(crate) struct Salted(crc32fast::Hasher);

impl Salted {
    /// For checksums from `salt`.
    pub(crate) fn new(salt: u32) -> Self {
        Self(crc32fast::Hasher::new_with_initial(salt))
    }
}

impl ChecksumStart for &Salted {
    #[inline]
    fn crc(self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}

impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Salted").field(&self.0.clone().finalize()).finish()
    }
}

/// The salt that starts every checksum of a segment's frames.
pub(crate) fn salt(store: &[u8; 16], number: u64) -> u32 {
    crc_from(crc_from(0, store), &number.to_le_bytes())
}

/// The running digest of the log: two logs that differ in any frame have different ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Digest(u64);

impl Digest {
    /// Wraps a digest that was read.
    #[must_use]
    pub fn from_u64(digest: u64) -> Self {
        Self(digest)
    }

    /// The digest as a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The digest after one more frame.
    pub(crate) fn after(self, header_crc: u32, body_crc: u32) -> Self {
        let word = (u64::from(header_crc) << 32) | u64::from(body_crc);
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mixed ^ (mixed >> 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value_holds() {
        assert_eq!(crc_from(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc_from(crc_from(0, b"1234"), b"56789"), 0xcbf4_3926, "continues");
        assert_eq!(Salted::new(crc_from(0, b"1234")).crc(b"56789"), 0xcbf4_3926, "asked once");
    }

    #[test]
    fn segments_of_a_store_have_different_salts() {
        let store = [7; 16];
        let mut salts: Vec<u32> = (1..=10_000).map(|number| salt(&store, number)).collect();
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 10_000);
    }

    #[test]
    fn the_digest_depends_on_every_frame_and_their_order() {
        let start = Digest::default();
        let one_two = start.after(1, 1).after(2, 2);
        assert_eq!(one_two, start.after(1, 1).after(2, 2), "control");
        assert_ne!(one_two, start.after(2, 2).after(1, 1));
        assert_ne!(one_two, start.after(1, 1));
        assert_ne!(one_two, start.after(1, 0).after(2, 2));
    }
}
