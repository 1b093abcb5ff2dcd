//! How everything ends at once: waits are cut short, and sockets shut down under whoever reads them.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::clock;

/// Whether the proxy is to end, for all its threads.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Set once, never cleared.
    ended: Mutex<bool>,
    /// Says that it was set.
    changed: Condvar,
    /// What to shut down then.
    sockets: Mutex<Vec<Weak<TcpStream>>>,
}

impl Ending {
    /// Whether the proxy is to end.
    pub(super) fn is_ended(&self) -> bool {
        *lock(&self.ended)
    }

    /// Has a socket shut down at the end.
    pub(super) fn watch(&self, socket: &Arc<TcpStream>) {
        {
            let mut sockets = lock(&self.sockets);
            sockets.retain(|socket| socket.strong_count() > 0);
            sockets.push(Arc::downgrade(socket));
        }
        if self.is_ended() {
            shut(socket);
        }
    }

    /// Waits until `due`.
    ///
    /// # Errors
    ///
    /// The proxy is to end, and whoever waits with it.
    pub(super) fn wait_until(&self, due: Instant) -> io::Result<()> {
        let mut ended = lock(&self.ended);
        while !*ended {
            let left = due.saturating_duration_since(clock::instant());
            if left.is_zero() {
                return Ok(());
            }
            let woken = self.changed.wait_timeout(ended, left);
            ended = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(io::Error::other("the proxy ends"))
    }

    /// Waits for so long.
    ///
    /// # Errors
    ///
    /// The proxy is to end, and whoever waits with it.
    pub(super) fn wait(&self, time: Duration) -> io::Result<()> {
        let now = clock::instant();
        // So long that no clock shows it: until the end.
        self.wait_until(now.checked_add(time).unwrap_or_else(|| far(now)))
    }

    /// Ends everything.
    pub(super) fn end(&self) {
        *lock(&self.ended) = true;
        self.changed.notify_all();
        lock(&self.sockets).iter().filter_map(Weak::upgrade).for_each(|socket| shut(&socket));
    }
}

/// A moment that nobody lives to see.
pub(super) fn far(now: Instant) -> Instant {
    now.checked_add(FAR).unwrap_or(now)
}

/// Ends both directions of a socket.
fn shut(socket: &TcpStream) {
    if socket.shutdown(Shutdown::Both).is_err() {
        // The other side was faster.
    }
}

/// Locks; a thread that panicked while it held the lock left nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
