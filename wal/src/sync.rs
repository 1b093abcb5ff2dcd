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
    use std::time::{Duration, Instant};

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;

    /// std's locks, for the gates.
    pub(crate) mod waiting {
        pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
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

    /// std's locks, for the gates.
    pub(crate) mod waiting {
        pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    }

    /// A condition variable whose timed waits may end at any time, woken or not; the others end when somebody wakes.
    #[derive(Debug)]
    pub(crate) struct Condvar {
        wakes: waiting::Mutex<u64>,
        changed: waiting::Condvar,
    }

    impl Condvar {
        /// A condition variable that nobody waits for.
        pub(crate) fn new() -> Self {
            Self { wakes: waiting::Mutex::new(0), changed: waiting::Condvar::new() }
        }

        /// Lets others go on for a while.
        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _timeout: Duration) {
            MutexGuard::unlocked(guard, thread::yield_now);
        }

        /// Waits until somebody wakes.
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            let before = *wakes;
            MutexGuard::unlocked(guard, || {
                while *wakes == before {
                    wakes = self.changed.wait(wakes).unwrap_or_else(PoisonError::into_inner);
                }
            });
        }

        /// Wakes everybody: who has nothing to do waits again.
        pub(crate) fn notify_one(&self) {
            self.notify_all();
        }

        /// Wakes everybody.
        pub(crate) fn notify_all(&self) {
            *self.wakes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.changed.notify_all();
        }
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
