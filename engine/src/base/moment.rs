//! Moments: trusted time, wall clock, and by which clock something was captured. No clock here.

use super::BootId;

/// When something was captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Trusted time, milliseconds: decides expiry.
    pub(crate) trusted_ms: u64,
    /// Wall clock: data for people.
    pub(crate) wall: Wall,
}

/// Since when something is so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WrittenAt {
    /// The frame that says so.
    pub(crate) lsn: u64,
    /// Trusted time, milliseconds.
    pub(crate) trusted_ms: u64,
}

/// What a wall clock showed, if that is known.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Wall(i64);

impl Wall {
    /// The wall clock of a moment that nobody knows.
    pub(crate) const UNKNOWN: Self = Self(i64::MIN);

    /// What it showed, Unix milliseconds.
    pub(crate) fn at(unix_ms: i64) -> Self {
        Self(unix_ms)
    }

    /// Unix milliseconds; `None`: nobody knows.
    pub(crate) fn get(self) -> Option<i64> {
        (self != Self::UNKNOWN).then_some(self.0)
    }

    /// The number in frames: Unix milliseconds, or the lowest number if the wall clock is not known.
    pub(crate) fn code(self) -> i64 {
        self.0
    }

    /// The wall clock that many milliseconds later; earlier if below 0.
    pub(crate) fn moved(self, ms: i64) -> Self {
        self.get().map_or(self, |unix_ms| Self(unix_ms.saturating_add(ms)))
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// The monotonic clock by which something was captured, and what it showed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The machine's boot; zeros if it is not known.
    pub(crate) boot: BootId,
    /// What the boot's monotonic clock showed, milliseconds.
    pub(crate) mono_ms: u64,
}

impl Origin {
    /// The same clock, so many milliseconds later.
    pub(crate) fn after(self, ms: u32) -> Self {
        Self { mono_ms: self.mono_ms.saturating_add(u64::from(ms)), ..self }
    }
}
