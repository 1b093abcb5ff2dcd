//! The amounts of a chunk's events, in as few bytes as they need.

use super::marks::SLOTS;

/// AmountArray, in ten-thousandths.
#[derive(Clone, Debug, Default)]
pub(super) enum AmountArray {
    /// All are 0.
    #[default]
    None,
    /// None needs more than 32 bits.
    Narrow(Box<[i32; SLOTS]>),
    /// Any.
    Wide(Box<[i64; SLOTS]>),
}

impl AmountArray {
    /// The amount at a slot.
    pub(super) fn get(&self, slot: usize) -> i64 {
        match self {
            Self::None => 0,
            Self::Narrow(all) => all.get(slot).copied().map_or(0, i64::from),
            Self::Wide(all) => all.get(slot).copied().unwrap_or(0),
        }
    }

    /// The sum of the amounts at these slots.
    pub(super) fn sum(&self, slots: impl Iterator<Item = usize>) -> i128 {
        match self {
            Self::None => 0,
            Self::Narrow(_) | Self::Wide(_) => slots.map(|slot| i128::from(self.get(slot))).sum(),
        }
    }

    /// Sets the amount at a slot.
    pub(super) fn set(&mut self, slot: usize, amount: i64) {
        if self.get(slot) == amount {
            return;
        }
        match (&mut *self, i32::try_from(amount)) {
            (Self::Wide(all), _) => put(all, slot, amount),
            (Self::Narrow(all), Ok(narrow)) => put(all, slot, narrow),
            (Self::None, Ok(narrow)) => {
                let mut all = Box::new([0; SLOTS]);
                put(&mut all, slot, narrow);
                *self = Self::Narrow(all);
            }
            (Self::None | Self::Narrow(_), Err(_too_wide)) => {
                let mut all = Box::new([0; SLOTS]);
                if let Self::Narrow(narrow) = &*self {
                    all.iter_mut().zip(narrow.iter()).for_each(|(to, from)| *to = i64::from(*from));
                }
                put(&mut all, slot, amount);
                *self = Self::Wide(all);
            }
        }
    }
}

/// Sets an item of an array.
fn put<T>(all: &mut [T; SLOTS], slot: usize, item: T) {
    if let Some(place) = all.get_mut(slot) {
        *place = item;
    }
}
