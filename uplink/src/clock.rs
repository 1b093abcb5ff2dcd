//! The clock of this crate. Everything else takes it as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time since the clock was made, in milliseconds: what a session is asked with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonic {
    /// When the clock was made.
    zero: Instant,
}

impl Monotonic {
    /// A clock that starts at zero.
    pub(crate) fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the driver is the host here: it feeds monotonic time to the session"
        )]
        let zero = Instant::now();
        Self { zero }
    }

    /// Milliseconds since the clock was made.
    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The present moment, for the fault proxy: it delays real bytes between real sockets.
#[cfg(feature = "faults")]
pub(crate) fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "what is on a real line takes real time")]
    let now = Instant::now();
    now
}

/// Wall time in Unix milliseconds, for one purpose: to read a date in `Retry-After` when the reply
/// has no `Date` of its own. A wrong clock can only change how long we wait, within the cap.
pub(crate) fn wall_ms() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a date in Retry-After has no other reference when the reply carries none"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
