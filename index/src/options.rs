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
/// Least memory that can be allowed: an empty table and what is not on the disk yet.
pub const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Memory that is allowed unless told otherwise: about 25 million keys.
pub const MEMORY_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;

const _: () = assert!(
    WINDOW_MS_MIN / SLICE_COUNT_MAX as u64 > 0,
    "the shortest slice must be at least a millisecond long"
);

/// From when the window of a key counts.
///
/// Whichever it is: the key of an unsettled event is never forgotten.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum WindowStart {
    /// From the last settlement in the key's slice: however long the outage was, a late repetition
    /// still meets its key.
    FromSettle,
    /// From the end of the slice in which the key was captured.
    FromCapture,
}

impl WindowStart {
    /// The number in files. Never change or reuse one.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::FromSettle => 1,
            Self::FromCapture => 2,
        }
    }

    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::FromSettle),
            2 => Some(Self::FromCapture),
            _ => None,
        }
    }
}

/// The time for which the keys of a scope are remembered.
///
/// ```
/// use onceward_index::{Window, WindowStart};
///
/// let day = Window::new(24 * 60 * 60 * 1_000, WindowStart::FromSettle)?;
/// assert_eq!(day, Window::default());
/// assert!(Window::new(59_999, WindowStart::FromCapture).is_err());
/// # Ok::<(), onceward_index::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Window {
    length_ms: u64,
    start: WindowStart,
}

impl Window {
    /// A window of [`WINDOW_MS_MIN`]`..=`[`WINDOW_MS_MAX`].
    ///
    /// # Errors
    ///
    /// The length is out of its range.
    pub const fn new(length_ms: u64, start: WindowStart) -> Result<Self, OptionsError> {
        match within(OptionName::WindowMs, length_ms, WINDOW_MS_MIN, WINDOW_MS_MAX) {
            Ok(()) => Ok(Self { length_ms, start }),
            Err(error) => Err(error),
        }
    }

    /// Time for which a key is remembered at least, in milliseconds.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        self.length_ms
    }

    /// From when it counts.
    #[must_use]
    pub const fn start(self) -> WindowStart {
        self.start
    }

    /// Length of one slice, rounded up, so that `slice_count` slices never fall short of a window.
    pub(crate) const fn slice_ms(self, slice_count: u32) -> u64 {
        self.length_ms.div_ceil(if slice_count == 0 { 1 } else { slice_count as u64 })
    }
}

impl Default for Window {
    /// A day from the settlement.
    fn default() -> Self {
        Self { length_ms: 24 * 60 * 60 * 1_000, start: WindowStart::FromSettle }
    }
}

/// The way in which finished files are read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReadMode {
    /// Through maps: a hit costs no system call. A read error is then a signal, which kills a
    /// process that does not handle it. Where there are no maps, by position.
    Mapped,
    /// With positioned reads: a hit costs one, and a read error is an error.
    #[default]
    Positioned,
}

/// Settings of an index: how it forgets, how much memory it may take, and how it reads its files.
///
/// ```
/// use onceward_index::{Index, Options};
///
/// let month = Options { slice_count: 30, ..Options::default() };
/// assert!(Index::new(month).is_ok());
/// assert!(Index::new(Options { slice_count: 0, ..month }).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Slices that each window is cut into: [`SLICE_COUNT_MIN`]`..=`[`SLICE_COUNT_MAX`]. More slices
    /// forget closer to the window's end and make more files; a lookup costs the same.
    pub slice_count: u32,
    /// Unsettled keys in a slice up to which they are carried instead of keeping the slice. 0 means
    /// that a slice always waits for its unsettled keys.
    pub carry_max: u64,
    /// Bytes of memory that the index may take: at least [`MEMORY_BYTES_MIN`]. New keys beyond it
    /// are refused; none that is remembered is given up. About 12 bytes a key, and 40 for each that
    /// no checkpoint wrote yet.
    pub memory_bytes_max: u64,
    /// The way in which the index's files are read.
    pub reading: ReadMode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slice_count: SLICE_COUNT_DEFAULT,
            carry_max: CARRY_MAX_DEFAULT,
            memory_bytes_max: MEMORY_BYTES_DEFAULT,
            reading: ReadMode::default(),
        }
    }
}

impl Options {
    /// Checks each value against its range.
    ///
    /// # Errors
    ///
    /// The first value that is out of its range.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let (min, max) = (u64::from(SLICE_COUNT_MIN), u64::from(SLICE_COUNT_MAX));
        within(OptionName::SliceCount, u64::from(self.slice_count), min, max)?;
        within(OptionName::MemoryBytes, self.memory_bytes_max, MEMORY_BYTES_MIN, u64::MAX)
    }
}

/// Which option has a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OptionName {
    /// Length of a [`Window`].
    WindowMs,
    /// [`Options::slice_count`].
    SliceCount,
    /// [`Options::memory_bytes_max`].
    MemoryBytes,
}

impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WindowMs => "window_ms",
            Self::SliceCount => "slice_count",
            Self::MemoryBytes => "memory_bytes_max",
        })
    }
}

/// An option is out of its range. Fix the option; trying again fails the same way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionsError {
    /// The option that is out of its range.
    pub option: OptionName,
    /// The value that was asked for.
    pub value: u64,
    /// Smallest value that is accepted.
    pub min: u64,
    /// Largest value that is accepted.
    pub max: u64,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, value, min, max } = self;
        write!(f, "{option} is {value}, must be within {min}..={max}")
    }
}

impl std::error::Error for OptionsError {}

/// Refuses a value outside `min..=max`.
const fn within(option: OptionName, value: u64, min: u64, max: u64) -> Result<(), OptionsError> {
    if min <= value && value <= max {
        Ok(())
    } else {
        Err(OptionsError { option, value, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_every_range_are_accepted_and_the_values_beyond_are_named() {
        let settle = WindowStart::FromSettle;
        for length_ms in [WINDOW_MS_MIN, WINDOW_MS_MAX] {
            assert_eq!(Window::new(length_ms, settle).unwrap().length_ms(), length_ms);
        }
        for length_ms in [0, WINDOW_MS_MIN - 1, WINDOW_MS_MAX + 1, u64::MAX] {
            let error = Window::new(length_ms, settle).unwrap_err();
            assert_eq!((error.option, error.value), (OptionName::WindowMs, length_ms));
        }
        let good = Options::default();
        for slice_count in [SLICE_COUNT_MIN, SLICE_COUNT_MAX] {
            assert_eq!(Options { slice_count, ..good }.check(), Ok(()));
        }
        for slice_count in [0, SLICE_COUNT_MAX + 1, u32::MAX] {
            let error = Options { slice_count, ..good }.check().unwrap_err();
            assert_eq!(error.option, OptionName::SliceCount);
            assert_eq!(
                error.to_string(),
                format!("slice_count is {slice_count}, must be within 1..=720")
            );
        }
        let memory_bytes_max = MEMORY_BYTES_MIN - 1;
        let error = Options { memory_bytes_max, ..good }.check().unwrap_err();
        assert_eq!((error.option, error.value), (OptionName::MemoryBytes, memory_bytes_max));
    }

    #[test]
    fn slices_together_are_never_shorter_than_the_window() {
        let window = Window::new(WINDOW_MS_MIN + 1, WindowStart::FromSettle).unwrap();
        for slice_count in SLICE_COUNT_MIN..=SLICE_COUNT_MAX {
            assert!(window.slice_ms(slice_count) * u64::from(slice_count) > WINDOW_MS_MIN);
        }
    }

    #[test]
    fn the_numbers_of_window_starts_lead_back_to_them() {
        for start in [WindowStart::FromSettle, WindowStart::FromCapture] {
            assert_eq!(WindowStart::from_code(start.code()), Some(start));
        }
        assert_eq!((WindowStart::from_code(0), WindowStart::from_code(3)), (None, None));
    }
}
