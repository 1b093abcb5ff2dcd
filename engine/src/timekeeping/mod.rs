//! How time goes on in the log: frames that say so where nothing else was written, and what the
//! upstream's clock showed.
//!
//! Expiry goes by trusted time: what was measured while the store was open, or between two processes of
//! one start of the machine, and what the upstream's clock and this machine's both say of the time between.
//! The wall clock alone is data for people: whoever sets it moves nothing here. When in doubt, less time
//! has passed and keys are remembered longer.

mod calls;
pub(crate) mod frames;
mod server_clock;

use std::time::Duration;

pub(crate) use calls::{Age, Note, Timekeeping};
pub(crate) use server_clock::ServerClock;

/// How far the upstream's clock is ahead of this machine's wall clock.
///
/// ```
/// use std::time::Duration;
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.confirm_time(1_800_000_000_000, Duration::from_millis(1_100))?;
/// let offset = store.server_offset().ok_or("it was told")?;
/// println!("the upstream is {} ms ahead, +-{:?}", offset.offset_ms, offset.uncertainty);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerOffset {
    /// Milliseconds to be added to the wall clock; below 0 if the upstream is behind.
    pub offset_ms: i64,
    /// How far that may be off, besides what the machine's clock drifted since.
    pub uncertainty: Duration,
}

#[cfg(test)]
pub(crate) mod tests;
