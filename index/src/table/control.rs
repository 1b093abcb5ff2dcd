//! The control bytes of one group: 7 bits of each fingerprint, looked at 16 at a time.
//!
//! Two words of 8 bytes and plain arithmetic: the same on every target, and no slower here than the
//! vector instructions of one of them.

/// Slots in a group.
pub(crate) const GROUP_SLOTS: usize = 16;
/// A slot that was never used since the group was made.
const EMPTY: u8 = 0xff;
/// A slot whose key was removed. A search goes on past it.
const REMOVED: u8 = 0x80;

/// Every byte's lowest bit.
const LOW: u64 = 0x0101_0101_0101_0101;
/// Every byte's highest bit.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The control bytes of a group. A byte below 0x80 is 7 bits of the key in that slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ControlBytes([u64; 2]);

impl ControlBytes {
    /// A group without keys.
    pub(crate) const EMPTY: Self = Self([u64::MAX; 2]);

    /// The slots that hold these 7 bits.
    pub(crate) fn matches(self, bits: u8) -> SlotSet {
        let wanted = LOW.wrapping_mul(u64::from(bits));
        SlotSet(self.0.map(|word| zero_bytes(word ^ wanted)))
    }

    /// Whether a search for these 7 bits ends here, and finds nothing.
    pub(crate) fn is_without(self, bits: u8) -> bool {
        self.matches(bits).is_empty() && self.has_empty()
    }

    /// The slots that hold a key.
    pub(crate) fn full(self) -> SlotSet {
        SlotSet(self.0.map(|word| !word & HIGH))
    }

    /// The slots that a key may be put into.
    pub(crate) fn free(self) -> SlotSet {
        SlotSet(self.0.map(|word| word & HIGH))
    }

    /// Whether no search ever went past this group.
    pub(crate) fn has_empty(self) -> bool {
        // Of the two values with the highest bit only EMPTY has the next one.
        let [low, high] = self.0;
        (low & (low << 1) | high & (high << 1)) & HIGH != 0
    }

    /// Whether the slot was emptied and a search goes on past it.
    pub(crate) fn is_removed(self, slot: usize) -> bool {
        self.byte(slot) == REMOVED
    }

    /// The 7 bits in a slot; more than 7 bits if it holds no key.
    pub(crate) fn byte(self, slot: usize) -> u8 {
        let word = self.0.get(slot / 8).map(|word| word.to_le_bytes());
        word.and_then(|bytes| bytes.get(slot % 8).copied()).unwrap_or(EMPTY)
    }

    /// Puts 7 bits into a slot.
    pub(crate) fn fill(&mut self, slot: usize, bits: u8) {
        self.set(slot, bits & 0x7f);
    }

    /// Puts 7 bits into a slot that was never used.
    pub(crate) fn fill_empty(&mut self, slot: usize, bits: u8) {
        if let Some(word) = self.0.get_mut(slot / 8) {
            *word ^= u64::from(EMPTY ^ bits & 0x7f) << ((slot % 8) * 8);
        }
    }

    /// Empties a slot; returns whether it differs from one that was never used.
    ///
    /// While a group has an unused slot nobody searched past it, so another one changes nothing.
    pub(crate) fn clear(&mut self, slot: usize) -> bool {
        let leaves_mark = !self.has_empty();
        self.set(slot, if leaves_mark { REMOVED } else { EMPTY });
        leaves_mark
    }

    fn set(&mut self, slot: usize, byte: u8) {
        let shift = (slot % 8) * 8;
        if let Some(word) = self.0.get_mut(slot / 8) {
            *word = (*word & !(0xff << shift)) | (u64::from(byte) << shift);
        }
    }
}

/// A set of slots of a group, which are returned lowest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotSet([u64; 2]);

impl SlotSet {
    /// Whether no slot is in it.
    pub(crate) fn is_empty(self) -> bool {
        let [low, high] = self.0;
        low | high == 0
    }
}

impl Iterator for SlotSet {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let [low, high] = &mut self.0;
        let (word, first) = if *low != 0 { (low, 0) } else { (high, 8) };
        if *word == 0 {
            return None;
        }
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Some(first + usize::try_from(bit / 8).unwrap_or_default())
    }
}

/// The highest bit of every byte that is zero, exactly: no byte is taken for its neighbour.
const fn zero_bytes(word: u64) -> u64 {
    !(((word & !HIGH).wrapping_add(!HIGH)) | word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(bytes: [u8; 16]) -> ControlBytes {
        let (low, high) = bytes.split_at(8);
        ControlBytes([
            u64::from_le_bytes(low.try_into().unwrap()),
            u64::from_le_bytes(high.try_into().unwrap()),
        ])
    }

    #[test]
    fn a_match_is_exactly_the_slots_with_these_bits() {
        let mut bytes = [EMPTY; 16];
        for (slot, byte) in bytes.iter_mut().enumerate().take(13) {
            *byte = [0x00, 0x01, 0x7f][slot % 3];
        }
        bytes[13] = REMOVED;
        for bits in 0..0x80 {
            let expected: Vec<usize> = (0..16).filter(|slot| bytes[*slot] == bits).collect();
            assert_eq!(group(bytes).matches(bits).is_empty(), expected.is_empty(), "{bits:02x}");
            assert_eq!(group(bytes).is_without(bits), expected.is_empty(), "{bits:02x}");
            assert_eq!(group(bytes).matches(bits).collect::<Vec<_>>(), expected, "{bits:02x}");
        }
        assert_eq!(group(bytes).full().collect::<Vec<_>>(), (0..13).collect::<Vec<_>>());
        assert_eq!(group(bytes).free().collect::<Vec<_>>(), vec![13, 14, 15]);
    }

    #[test]
    fn only_an_unused_slot_ends_a_search() {
        assert!(ControlBytes::EMPTY.has_empty());
        assert!(!group([REMOVED; 16]).has_empty());
        assert!(!group([REMOVED; 16]).is_without(0), "a search goes on");
        assert!(!group([0x7f; 16]).has_empty());
        for slot in 0..16 {
            let mut bytes = [REMOVED; 16];
            bytes[slot] = EMPTY;
            assert!(group(bytes).has_empty(), "slot {slot}");
        }
    }

    #[test]
    fn a_slot_emptied_in_a_full_group_is_marked_and_in_any_other_it_is_not() {
        let mut full = group([5; 16]);
        assert!(full.clear(9));
        assert!(full.is_removed(9) && !full.has_empty());
        full.fill(9, 0x41);
        assert_eq!(full.matches(0x41).collect::<Vec<_>>(), vec![9]);

        let mut part = ControlBytes::EMPTY;
        part.fill(0, 3);
        part.fill(15, 4);
        assert!(!part.clear(15));
        assert_eq!(part.full().collect::<Vec<_>>(), vec![0]);
        assert_eq!((part.byte(0), part.byte(15)), (3, EMPTY));
    }
}
