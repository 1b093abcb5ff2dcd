//! Where the log's locks, atomics and threads come from: the real ones, or, in unit tests that are
//! built with `--cfg shuttle`, those of a scheduler that tries interleavings.
//!
//! The scheduler runs one thread at a time and sees every access as sequentially consistent: it
//! finds what goes wrong in the order of steps, not what a weaker memory order would allow.

#[cfg(not(all(test, shuttle)))]
pub(crate) use real::*;
#[cfg(all(test, shuttle))]
pub(crate) use scheduled::*;

/// The real locks, atomics and threads, which a program runs with.
#[cfg(not(all(test, shuttle)))]
mod real {
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;

    /// std's locks, for those who wait for long.
    pub(crate) mod waiting {
        pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    }

    /// Waits until somebody wakes, or `timeout` is over.
    pub(crate) fn wait_for<'l, T>(
        (_, changed): (&'l waiting::Mutex<T>, &waiting::Condvar),
        guard: waiting::MutexGuard<'l, T>,
        timeout: Duration,
    ) -> waiting::MutexGuard<'l, T> {
        changed.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// How long something takes.
    #[derive(Debug)]
    pub(crate) struct Stopwatch(Instant);

    impl Stopwatch {
        /// Starts one.
        #[expect(
            clippy::disallowed_methods,
            reason = "bounds how long a leader yields; decides nothing that is kept"
        )]
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        /// The time since it was started.
        pub(crate) fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
    }
}

/// The scheduled ones, which a model runs with. Time has no place in a schedule.
#[cfg(all(test, shuttle))]
mod scheduled {
    use std::cell::Cell;
    use std::sync::PoisonError;
    use std::time::Duration;

    use shuttle::rand::{Rng, thread_rng};

    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::thread;
    pub(crate) use shuttle_parking_lot_impl::{Mutex, MutexGuard, RwLock};

    /// std's locks, for those who wait for long.
    pub(crate) mod waiting {
        pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    }

    /// Lets others go on for a while: a timed wait may end at any time, woken or not.
    pub(crate) fn wait_for<'l, T>(
        (lock, _): (&'l waiting::Mutex<T>, &waiting::Condvar),
        guard: waiting::MutexGuard<'l, T>,
        _timeout: Duration,
    ) -> waiting::MutexGuard<'l, T> {
        drop(guard);
        thread::yield_now();
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows no time for the first few looks, and a long one after: how many is part of the schedule.
    #[derive(Debug)]
    pub(crate) struct Stopwatch(Cell<u32>);

    impl Stopwatch {
        /// Starts one.
        pub(crate) fn start() -> Self {
            Self(Cell::new(thread_rng().gen_range(0..4)))
        }

        /// The time since it was started.
        pub(crate) fn elapsed(&self) -> Duration {
            let left = self.0.get();
            self.0.set(left.saturating_sub(1));
            if left > 0 { Duration::ZERO } else { Duration::from_secs(1) }
        }
    }
}
