//! A number for each event of a chunk, in as few bytes as the numbers need.

use super::marks::SLOTS;

/// A number for each slot, 0 at first: none takes memory while all are 0, and all are as wide as the widest.
#[derive(Clone, Debug, Default)]
pub(super) enum SlotNumbers<N, W> {
    /// All are 0.
    #[default]
    Zeros,
    /// None needs more than the narrow type.
    Narrow(Box<[N; SLOTS]>),
    /// Any.
    Wide(Box<[W; SLOTS]>),
}

impl<N, W> SlotNumbers<N, W>
where
    N: Copy + Default + TryFrom<W>,
    W: Copy + Default + Eq + From<N>,
{
    /// The number at a slot.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> W {
        match self {
            Self::Zeros => W::default(),
            Self::Narrow(all) => all.get(slot).copied().map_or_else(W::default, W::from),
            Self::Wide(all) => all.get(slot).copied().unwrap_or_default(),
        }
    }

    /// Sets the number at a slot.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, number: W) {
        match self {
            Self::Zeros if number == W::default() => return,
            Self::Narrow(all) => {
                if let Ok(narrow) = N::try_from(number) {
                    return put(all, slot, narrow);
                }
            }
            Self::Wide(all) => return put(all, slot, number),
            Self::Zeros => {}
        }
        self.widen(slot, number);
    }

    /// Bytes of the allocation, if there is one.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> Option<usize> {
        match self {
            Self::Zeros => None,
            Self::Narrow(all) => Some(size_of_val(&**all)),
            Self::Wide(all) => Some(size_of_val(&**all)),
        }
    }

    /// Sets a number for which there is no room.
    #[cold]
    fn widen(&mut self, slot: usize, number: W) {
        *self = match (&*self, N::try_from(number)) {
            (Self::Zeros, Ok(narrow)) => {
                let mut all = Box::new([N::default(); SLOTS]);
                put(&mut all, slot, narrow);
                Self::Narrow(all)
            }
            // Too wide a number. Where it fits, and where all are wide, there is room.
            _ => {
                let mut all = Box::new([W::default(); SLOTS]);
                let before = (0..SLOTS).map(|slot| self.get(slot));
                all.iter_mut().zip(before).for_each(|(to, from)| *to = from);
                put(&mut all, slot, number);
                Self::Wide(all)
            }
        };
    }
}

/// Sets an item of an array.
fn put<T>(all: &mut [T; SLOTS], slot: usize, item: T) {
    if let Some(place) = all.get_mut(slot) {
        *place = item;
    }
}

/// A number of bytes so that a multiple of eight, as the log has them, is a small number: nothing of it is lost.
#[inline]
pub(super) const fn in_eights(bytes: u32) -> u32 {
    bytes.rotate_right(3)
}

/// The number of bytes that [`in_eights`] made small.
#[inline]
pub(super) const fn from_eights(eights: u32) -> u32 {
    eights.rotate_left(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_number_and_keeps_all_of_them() {
        let mut column = SlotNumbers::<u16, u32>::default();
        column.set(3, 0);
        assert!(matches!(column, SlotNumbers::Zeros));
        column.set(SLOTS - 2, 7);
        column.set(SLOTS - 1, 65_535);
        assert!(matches!(column, SlotNumbers::Narrow(_)));
        column.set(0, 65_536);
        assert!(matches!(column, SlotNumbers::Wide(_)));
        column.set(SLOTS, 9);
        let all: Vec<u32> = (0..SLOTS).map(|slot| column.get(slot)).collect();
        let mut expected = vec![0; SLOTS];
        (expected[0], expected[SLOTS - 2], expected[SLOTS - 1]) = (65_536, 7, 65_535);
        assert_eq!(all, expected);
        assert_eq!(column.get(SLOTS), 0);
    }

    #[test]
    fn every_number_of_bytes_is_kept_and_multiples_of_eight_are_small() {
        for bytes in [0, 1, 7, 8, 4_096, 524_280, 524_281, u32::MAX - 7, u32::MAX] {
            assert_eq!(from_eights(in_eights(bytes)), bytes);
        }
        assert_eq!(in_eights(524_280), 65_535);
    }
}
