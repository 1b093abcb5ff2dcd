//! Numbers that follow from a seed. No I/O here.

/// A small generator of numbers (SplitMix64): the same seed, the same numbers, on every machine.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The numbers of one request under a seed, whatever other requests there are.
    pub(super) fn of_request(seed: u64, number: u64) -> Self {
        let mut outer = Self(number);
        Self(seed ^ outer.next())
    }

    /// The next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..end`; the slight unevenness does not matter here.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.below_u64(u64::try_from(end).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// A number in `0..end`, and 0 where that is empty.
    pub(super) fn below_u64(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of the words, or `otherwise` if there is none.
    pub(super) fn pick<'a>(&mut self, words: &[&'a str], otherwise: &'a str) -> &'a str {
        words.get(self.below(words.len())).copied().unwrap_or(otherwise)
    }

    /// Brings the items into any order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last.saturating_add(1)));
        }
    }
}
