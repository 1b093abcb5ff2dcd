//! The port that clients connect to, and the times at which nobody is there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::ending::{Ending, lock};
use crate::clock;

/// The proxy's own port.
#[derive(Debug)]
pub(super) struct Door {
    /// Where it is.
    address: SocketAddr,
    /// Whether somebody is there.
    state: Mutex<State>,
}

/// Whether the port is open.
#[derive(Debug)]
struct State {
    /// Takes connections; `None` while they are refused.
    listener: Option<Arc<TcpListener>>,
    /// Until when they are refused.
    shut_until: Option<Instant>,
}

impl Door {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let state = State { listener: Some(Arc::new(listener)), shut_until: None };
        Ok(Self { address, state: Mutex::new(state) })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, as soon as there is one; `None` at the end.
    ///
    /// The caller gives the last one back before it asks again, or the port stays taken.
    pub(super) fn listener(&self, ending: &Ending) -> Option<Arc<TcpListener>> {
        loop {
            let now = clock::instant();
            let wait_until = {
                let mut state = lock(&self.state);
                match state.shut_until {
                    Some(until) if until > now => until,
                    _ => {
                        if state.listener.is_none() {
                            // The port may be slow to come free; until then connections are still refused.
                            state.listener = TcpListener::bind(self.address).ok().map(Arc::new);
                        }
                        match &state.listener {
                            Some(listener) if !ending.is_ended() => {
                                return Some(Arc::clone(listener));
                            }
                            _ => now.checked_add(RETRY).unwrap_or(now),
                        }
                    }
                }
            };
            ending.wait_until(wait_until).ok()?;
        }
    }

    /// Refuses connections until then: those that wait to be taken too, and from now on.
    pub(super) fn shut(&self, until: Instant) {
        let mut state = lock(&self.state);
        state.shut_until = state.shut_until.max(Some(until));
        if let Some(listener) = state.listener.take()
            && shutdown(&listener, Shutdown::Both).is_err()
        {
            // Then it is closed as soon as the thread that waits at it comes by.
        }
    }
}

/// Between two tries to have the port again.
const RETRY: Duration = Duration::from_millis(5);
