//! SipHash with one compression and three finalization rounds, as its authors describe it.
//!
//! Of our own because keys come in pieces, short ones: a hasher that takes them as they come needs no copy of them,
//! and a `const` one makes the content's secret where the store's is named. Tests hold it to another implementation.

/// A hash that is being made. The state is the four words of the description.
#[derive(Clone, Copy)]
pub(super) struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    /// Bytes that wait for more to be a whole word; the others are zero.
    tail: u64,
    /// Bytes that came, modulo what fits.
    length: usize,
}

impl Sip {
    /// Begins a hash of 64 bits.
    #[inline]
    pub(super) const fn of_64(key: &[u8; 16]) -> Self {
        let key = u128::from_le_bytes(*key);
        let (k0, k1) = (low(key), low(key >> 64));
        Self {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
            tail: 0,
            length: 0,
        }
    }

    /// Begins a hash of 128 bits.
    #[inline]
    pub(super) const fn of_128(key: &[u8; 16]) -> Self {
        let mut hash = Self::of_64(key);
        hash.v1 ^= 0xee;
        hash
    }

    /// Takes a byte, as [`Sip::bytes`] does.
    #[inline(always)]
    pub(super) const fn byte(mut self, byte: u8) -> Self {
        let waiting = self.length % 8;
        self.tail |= (byte as u64) << (8 * waiting);
        if waiting == 7 {
            self = self.compressed(self.tail);
            self.tail = 0;
        }
        self.length = self.length.wrapping_add(1);
        self
    }

    /// Takes the eight bytes of a number, the lowest first, as [`Sip::bytes`] does.
    #[inline(always)]
    pub(super) const fn number(mut self, number: u64) -> Self {
        let bits = 8 * (self.length % 8);
        self = self.compressed(self.tail | number << bits);
        // In two steps: if none waited, none waits now.
        self.tail = number >> 1 >> (63 - bits);
        self.length = self.length.wrapping_add(8);
        self
    }

    /// Takes the next bytes.
    #[inline(always)]
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let waiting = self.length % 8;
        self.length = self.length.wrapping_add(bytes.len());
        let mut left = bytes;
        if waiting > 0 {
            // What makes a whole word of those that wait.
            let whole = self.tail | number(bytes) << (8 * waiting);
            let Some(behind) = bytes.get(8 - waiting..) else {
                self.tail = whole;
                return self;
            };
            self = self.compressed(whole);
            left = behind;
        }
        let (words, rest) = left.as_chunks::<8>();
        for bytes in words {
            self = self.compressed(word(*bytes));
        }
        self.tail = match bytes.last_chunk::<8>() {
            // In two steps: of no bytes at all, nothing is left.
            Some(last) => word(*last) >> 1 >> (63 - 8 * rest.len()),
            None => few(rest),
        };
        self
    }

    /// The hash, 64 bits of it.
    #[inline]
    pub(super) const fn finish_64(self) -> u64 {
        let mut hash = self.last();
        hash.v2 ^= 0xff;
        hash.finalized().folded()
    }

    /// The hash, 128 bits of it.
    #[inline(always)]
    pub(super) const fn finish_128(self) -> u128 {
        let mut hash = self.last();
        hash.v2 ^= 0xee;
        hash = hash.finalized();
        let first = hash.folded();
        hash.v1 ^= 0xdd;
        (hash.finalized().folded() as u128) << 64 | first as u128
    }

    /// The state after the last word: what waits, and the count of all bytes.
    #[inline(always)]
    const fn last(self) -> Self {
        self.compressed(self.tail | (self.length as u64) << 56)
    }

    #[inline(always)]
    const fn compressed(mut self, word: u64) -> Self {
        self.v3 ^= word;
        self = self.round();
        self.v0 ^= word;
        self
    }

    #[inline(always)]
    const fn finalized(self) -> Self {
        self.round().round().round()
    }

    #[inline(always)]
    const fn folded(self) -> u64 {
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    #[inline(always)]
    const fn round(self) -> Self {
        let Self { mut v0, mut v1, mut v2, mut v3, .. } = self;
        v0 = v0.wrapping_add(v1);
        v2 = v2.wrapping_add(v3);
        v1 = v1.rotate_left(13) ^ v0;
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v1);
        v0 = v0.wrapping_add(v3);
        v1 = v1.rotate_left(17) ^ v2;
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.rotate_left(32);
        Self { v0, v1, v2, v3, ..self }
    }
}

/// The first eight bytes as a number, the first one lowest; zeros where there are fewer.
#[inline(always)]
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or_else(|| few(bytes), |all| word(*all))
}

/// The lower half of a number.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low(number: u128) -> u64 {
    number as u64
}

/// Eight bytes as a number, the first one lowest.
#[inline(always)]
const fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Up to seven bytes as a number, the first one lowest.
#[inline(always)]
fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let above = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
        return u64::from(u32::from_le_bytes(*first)) | above;
    }
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::prelude::*;
    use siphasher::{sip, sip128, sip128::Hasher128};

    use super::*;

    /// Sixty-four bytes, no two alike.
    fn sample() -> [u8; 64] {
        std::array::from_fn(|at| u8::try_from(200 - at * 3).unwrap())
    }

    fn both(key: [u8; 16], pieces: &[&[u8]]) -> [(u64, u128); 2] {
        let (mut one, mut two) =
            (sip::SipHasher13::new_with_key(&key), sip128::SipHasher13::new_with_key(&key));
        let (mut our_one, mut our_two) = (Sip::of_64(&key), Sip::of_128(&key));
        for piece in pieces {
            one.write(piece);
            two.write(piece);
            our_one = our_one.bytes(piece);
            our_two = our_two.bytes(piece);
        }
        [(one.finish(), two.finish128().as_u128()), (our_one.finish_64(), our_two.finish_128())]
    }

    #[test]
    fn two_pieces_of_every_length_have_the_hash_that_others_say() {
        let sample = sample();
        for first in 0..=17 {
            for second in 0..=40 {
                let [theirs, ours] = both([7; 16], &[&sample[..first], &sample[20..20 + second]]);
                assert_eq!(ours, theirs, "{first} bytes and {second}");
            }
        }
    }

    #[test]
    fn bytes_and_numbers_are_taken_like_pieces() {
        let key = [0xa5; 16];
        for before in 0..=9 {
            let sample = &sample()[..before];
            let begun = || Sip::of_64(&key).bytes(sample);
            let number = 0x0102_0304_0506_0708_u64;
            let (byte, bytes) = (begun().byte(9).finish_64(), begun().bytes(&[9]).finish_64());
            assert_eq!(byte, bytes, "a byte behind {before}");
            let (whole, bytes) = (begun().number(number), begun().bytes(&number.to_le_bytes()));
            let (whole, bytes) = (whole.byte(1).finish_64(), bytes.byte(1).finish_64());
            assert_eq!(whole, bytes, "a number behind {before}");
        }
    }

    proptest! {
        #[test]
        fn any_pieces_have_the_hash_that_others_say(
            key: [u8; 16],
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let [theirs, ours] = both(key, &pieces);
            prop_assert_eq!(ours, theirs);
        }
    }
}
