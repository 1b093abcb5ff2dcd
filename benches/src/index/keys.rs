//! Keys as clients send them: 36 bytes of UUID text. Always the same ones, by number.

/// A key.
pub type Key = [u8; 36];

/// The first number of a key that no index was ever given.
pub const UNKNOWN: u64 = 1 << 40;

/// Lengths of the groups of digits.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The key with this number. No two numbers have the same.
///
/// Made in few steps: some figures count them.
#[must_use]
pub fn key(number: u64) -> Key {
    let mut digits = [0; 32];
    let halves = [scattered(number), scattered(!number)];
    let quarters = halves.into_iter().flat_map(|half| [half >> 32, half & u64::from(u32::MAX)]);
    for (eight, quarter) in digits.as_chunks_mut::<8>().0.iter_mut().zip(quarters) {
        *eight = hex(quarter);
    }
    let mut text = [b'-'; 36];
    let (mut from, mut to) = (0, 0);
    for length in GROUPS {
        text[to..to + length].copy_from_slice(&digits[from..from + length]);
        from += length;
        to += length + 1;
    }
    text
}

/// The eight digits of a number below 2^32, all at once.
const fn hex(number: u64) -> [u8; 8] {
    // One half byte in each byte.
    let pairs = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes << 4 | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((halves + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let to_letters = (b'a' - b'9' - 1) as u64;
    (halves + 0x3030_3030_3030_3030 + letters * to_letters).to_be_bytes()
}

/// Vigna's splitmix64: each number once, in an order that no table has.
#[must_use]
pub const fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Numbers by chance, always the same ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Picks(u64);

impl Picks {
    /// The next number of `1..=count`.
    ///
    /// # Panics
    ///
    /// Never: the product's upper half is below `count`.
    pub fn next(&mut self, count: u64) -> u64 {
        self.0 += 1;
        let scaled = (u128::from(scattered(self.0)) * u128::from(count)) >> 64;
        u64::try_from(scaled).unwrap() + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_uuid_texts_and_differ() {
        let text = String::from_utf8(key(7).to_vec()).unwrap();
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{text}");
        let keys: HashSet<Key> = (0..1_000).chain(UNKNOWN..UNKNOWN + 1_000).map(key).collect();
        assert_eq!(keys.len(), 2_000);
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 0x0123_4567, 0x89ab_cdef, 0xffff_ffff] {
            assert_eq!(hex(number), *format!("{number:08x}").as_bytes());
        }
    }

    #[test]
    fn picks_meet_both_ends_and_nothing_else() {
        let mut picks = Picks::default();
        let met: HashSet<u64> = (0..1_000).map(|_| picks.next(3)).collect();
        assert_eq!(met, HashSet::from([1, 2, 3]));
    }
}
