//! The only place that reads clocks, the boot id and random numbers.

use std::fmt::Debug;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, Result};

/// Where a store gets its time from.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Milliseconds from any zero that never run backward while this process lives.
    fn mono_ms(&self) -> u64;
    /// Wall clock, Unix milliseconds. May be wrong and may step.
    fn wall_ms(&self) -> i64;
}

/// The machine's clocks.
#[derive(Debug)]
pub(crate) struct OsClock {
    started: Instant,
}

impl OsClock {
    /// A clock whose monotonic zero is now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told to ask")]
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for OsClock {
    fn mono_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told to ask")]
    fn wall_ms(&self) -> i64 {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A machine whose clock stands before 1970.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// The machine's boot id; zeros where it has none.
#[expect(clippy::disallowed_methods, reason = "the kernel's file, not one of the store's")]
pub(crate) fn boot_id() -> [u8; 16] {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| uuid::Uuid::parse_str(text.trim()).ok())
        .map_or([0; 16], |id| *id.as_bytes())
}

/// A new UUID of version 7, as text: later ones of this process sort behind earlier ones.
pub(crate) fn uuid_v7() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Random bytes of the operating system.
///
/// # Errors
///
/// `Io`: the system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|found| {
        Error::new(ErrorKind::Io, "NO_RANDOM", format!("no random numbers: {found}"))
    })?;
    Ok(bytes)
}
