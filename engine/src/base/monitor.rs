//! A value that threads with nothing to do wait for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value under a lock, and who waits until it is as they need it.
///
/// Of std's locks, which wait in the kernel. parking_lot keeps all who wait, of the whole process, in one table. A
/// child that was forked has that table with the threads of its parent in it, on whose stacks its own threads are put
/// then: a wake there may never end. The threads of an idle store must leave nothing of themselves in it.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// The value, to look at it or to change what nobody waits for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // A panic of who changed it was reported when it happened: each change is one step.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value, and wakes one of those who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let changed = change(&mut self.lock());
        self.changed.notify_one();
        changed
    }

    /// The value, once it is not any more as `is_idle` says.
    pub(crate) fn wait_while(&self, is_idle: impl FnMut(&mut T) -> bool) -> MutexGuard<'_, T> {
        self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner)
    }
}
