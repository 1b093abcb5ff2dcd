//! What threads wait for that have nothing to do.

use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::waiting::{Condvar, Mutex, MutexGuard};
use crate::sync::{Stopwatch, wait_for};

/// Wakes who waits, and misses nobody who looked before it rang.
///
/// Of std's locks, which wait in the kernel. parking_lot keeps all who wait, of the whole process, in one table. A
/// child that was forked has that table with the threads of its parent in it, on whose stacks its own threads are put
/// then: a wake there may never end. An idle log must leave nothing of itself in it.
#[derive(Debug)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// A bell that never rang.
    pub(crate) fn new() -> Self {
        Self { rings: Mutex::new(0), rung: Condvar::new() }
    }

    /// How often it rang. Whoever is to wait asks this first, then looks at what it waits for.
    pub(crate) fn rings(&self) -> u64 {
        *self.lock()
    }

    /// Wakes all who wait, after what they wait for was changed.
    pub(crate) fn ring(&self) {
        *self.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits until it rang more often than `before`, or `timeout` is over; without one until it rings.
    pub(crate) fn wait(&self, before: u64, timeout: Option<Duration>) {
        let began = Stopwatch::start();
        let mut rings = self.lock();
        while *rings == before {
            rings = match timeout.map(|timeout| timeout.checked_sub(began.elapsed())) {
                None => self.rung.wait(rings).unwrap_or_else(PoisonError::into_inner),
                Some(Some(left)) if !left.is_zero() => {
                    wait_for((&self.rings, &self.rung), rings, left)
                }
                Some(_) => return,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
