//! How long a demo may take, and whether it was asked to end: every wait of the demo asks here.

use std::time::{Duration, Instant};

use crate::{command::stop::Stop, exit::Failure};

/// The demo's clock.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the demo began.
    began: Instant,
    /// Whether a signal came.
    stop: Stop,
}

impl Watch {
    /// Starts the clock.
    ///
    /// # Errors
    ///
    /// Signals cannot be handled.
    pub(super) fn start() -> Result<Self, Failure> {
        Ok(Self { began: Instant::now(), stop: Stop::listen(|| {})? })
    }

    /// Time since the start.
    #[must_use]
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Goes on, unless the time is up or a signal came.
    ///
    /// # Errors
    ///
    /// It is time to end; `doing` says what was under way.
    pub(super) fn check(&self, doing: &str) -> Result<(), Failure> {
        if self.stop.is_asked() {
            return Err(Failure::failed(format!("stopped while {doing}")));
        }
        if self.began.elapsed() > LONGEST {
            let seconds = LONGEST.as_secs();
            return Err(Failure::failed(format!("not done after {seconds} s, while {doing}")));
        }
        Ok(())
    }
}

/// The demo ends within 120 s; the rest is for ending in order.
const LONGEST: Duration = Duration::from_secs(110);

/// Between two looks at something that does not call.
pub(super) const GLANCE: Duration = Duration::from_millis(5);
