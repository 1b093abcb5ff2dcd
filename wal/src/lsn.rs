//! Log sequence numbers. No I/O here.

use std::fmt;

/// Log sequence number: counts frames, not bytes. The first frame of a log has number 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lsn(u64);

impl Lsn {
    /// The number of the first frame.
    pub const FIRST: Self = Self(1);

    /// Wraps a number that was read or given. Zero is no frame's number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number itself, at least 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number after this one, or `None` at the end of the number space.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
