//! Numbers that look random and depend on the seed alone.

/// A splitmix64 generator.
///
/// # Source
///
/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator; every seed is a good one.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..count`; 0 if there is none.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        // The bias of the remainder is below 2^-40 for the small counts used here.
        self.next().checked_rem(count).unwrap_or(0)
    }

    /// Fills `buf`.
    pub(super) fn fill(&mut self, buf: &mut [u8]) {
        for word in buf.chunks_mut(8) {
            word.iter_mut().zip(self.next().to_le_bytes()).for_each(|(byte, new)| *byte = new);
        }
    }

    /// True `eighths` times out of eight.
    pub(super) fn chance(&mut self, eighths: u64) -> bool {
        self.below(8) < eighths
    }
}
