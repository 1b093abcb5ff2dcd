//! The limits that a caller chooses for an index, and their check. No behaviour here.

use std::fmt;

/// Shortest window that can be asked for: one minute.
pub const WINDOW_MS_MIN: u64 = 60_000;
/// Longest window that can be asked for: 400 days.
pub const WINDOW_MS_MAX: u64 = 400 * 24 * 60 * 60 * 1_000;
/// Fewest slices that a window can be cut into.
pub const SLICE_COUNT_MIN: u32 = 1;
/// Most slices that a window can be cut into.
pub const SLICE_COUNT_MAX: u32 = 720;
/// Slices of a window unless told otherwise: an hour each for a window of a day.
pub const SLICE_COUNT_DEFAULT: u32 = 24;
/// Unsettled keys up to which an expired slice is carried unless told otherwise.
pub const CARRY_MAX_DEFAULT: u64 = 1_024;

const _: () = assert!(
    WINDOW_MS_MIN / SLICE_COUNT_MAX as u64 > 0,
    "the shortest slice must be at least a millisecond long"
);

/// How long keys are remembered, and in how many pieces they are forgotten.
///
/// ```
/// use onceward_index::{Index, Options};
///
/// let month = Options::for_window(30 * 24 * 60 * 60 * 1_000);
/// assert!(Index::new(month).is_ok());
/// assert!(Index::new(Options { slice_count: 0, ..month }).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Time for which a key is remembered at least, counted from its settlement:
    /// [`WINDOW_MS_MIN`]`..=`[`WINDOW_MS_MAX`].
    pub window_ms: u64,
    /// Slices that a window is cut into: [`SLICE_COUNT_MIN`]`..=`[`SLICE_COUNT_MAX`]. More slices
    /// forget closer to the window's end, and a lookup probes each of them.
    pub slice_count: u32,
    /// Unsettled keys in a slice up to which they are carried instead of keeping the slice. 0 means
    /// that a slice always waits for its unsettled keys.
    pub carry_max: u64,
}

impl Options {
    /// Options for a window, with the default number of slices and of keys to carry.
    #[must_use]
    pub const fn for_window(window_ms: u64) -> Self {
        Self { window_ms, slice_count: SLICE_COUNT_DEFAULT, carry_max: CARRY_MAX_DEFAULT }
    }

    /// Length of one slice, rounded up, so that `slice_count` slices never fall short of a window.
    ///
    /// Only for options that `Index::new` accepts; a slice count of 0 is taken for 1.
    #[must_use]
    pub fn slice_ms(&self) -> u64 {
        self.window_ms.div_ceil(u64::from(self.slice_count.max(1)))
    }

    /// Checks each value against its range.
    ///
    /// # Errors
    ///
    /// The first value that is out of its range.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        within(Limit::WindowMs, self.window_ms, WINDOW_MS_MIN, WINDOW_MS_MAX)?;
        let (min, max) = (u64::from(SLICE_COUNT_MIN), u64::from(SLICE_COUNT_MAX));
        within(Limit::SliceCount, u64::from(self.slice_count), min, max)
    }
}

/// Which option has a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// [`Options::window_ms`].
    WindowMs,
    /// [`Options::slice_count`].
    SliceCount,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WindowMs => "window_ms",
            Self::SliceCount => "slice_count",
        })
    }
}

/// An option is out of its range. Fix the option; trying again fails the same way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionsError {
    /// The option that is out of its range.
    pub limit: Limit,
    /// What was asked for.
    pub value: u64,
    /// Smallest value that is accepted.
    pub min: u64,
    /// Largest value that is accepted.
    pub max: u64,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, value, min, max } = self;
        write!(f, "{limit} is {value}, must be within {min}..={max}")
    }
}

impl std::error::Error for OptionsError {}

/// Refuses a value outside `min..=max`.
fn within(limit: Limit, value: u64, min: u64, max: u64) -> Result<(), OptionsError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(OptionsError { limit, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_every_range_are_accepted_and_the_values_beyond_are_named() {
        let good = Options::for_window(WINDOW_MS_MIN);
        for window_ms in [WINDOW_MS_MIN, WINDOW_MS_MAX] {
            assert_eq!(Options { window_ms, ..good }.check(), Ok(()));
        }
        for window_ms in [0, WINDOW_MS_MIN - 1, WINDOW_MS_MAX + 1, u64::MAX] {
            let error = Options { window_ms, ..good }.check().unwrap_err();
            assert_eq!((error.limit, error.value), (Limit::WindowMs, window_ms));
        }
        for slice_count in [SLICE_COUNT_MIN, SLICE_COUNT_MAX] {
            assert_eq!(Options { slice_count, ..good }.check(), Ok(()));
        }
        for slice_count in [0, SLICE_COUNT_MAX + 1, u32::MAX] {
            let error = Options { slice_count, ..good }.check().unwrap_err();
            assert_eq!(error.limit, Limit::SliceCount);
            assert_eq!(
                error.to_string(),
                format!("slice_count is {slice_count}, must be within 1..=720")
            );
        }
    }

    #[test]
    fn slices_together_are_never_shorter_than_the_window() {
        for slice_count in SLICE_COUNT_MIN..=SLICE_COUNT_MAX {
            let options = Options { slice_count, ..Options::for_window(WINDOW_MS_MIN + 1) };
            assert!(options.slice_ms() * u64::from(slice_count) > WINDOW_MS_MIN);
        }
    }
}
