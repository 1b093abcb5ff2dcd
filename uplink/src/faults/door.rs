//! The port that clients connect to, and the times at which nobody is there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, getsockname, shutdown, socket_with,
    sockopt,
};

use super::ending::{Ending, lock};
use crate::clock;

/// The proxy's own port.
#[derive(Debug)]
pub(super) struct Door {
    /// Where it is.
    address: SocketAddr,
    /// Has the port as long as the door is there, so that nobody else gets it while connections are refused. Where the
    /// system lets no two sockets have one, only the listener does.
    _held: Option<OwnedFd>,
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
        let (held, found) = hold(address)?;
        let (held, listener) = match TcpListener::bind(found) {
            Ok(listener) => (Some(held), listener),
            Err(_no_two_sockets) => {
                drop(held);
                (None, TcpListener::bind(found)?)
            }
        };
        let state = State { listener: Some(Arc::new(listener)), shut_until: None };
        Ok(Self { address: found, _held: held, state: Mutex::new(state) })
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

/// Takes a port without listening at it, in a way that lets a listener have it besides.
fn hold(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let held = socket_with(family, SocketType::STREAM, CLOSED_IN_CHILDREN, None)?;
    sockopt::set_socket_reuseaddr(&held, true)?;
    bind(&held, &address)?;
    let found = SocketAddr::try_from(getsockname(&held)?)?;
    Ok((held, found))
}

/// What keeps a socket from processes that are started later, where that can be said at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSED_IN_CHILDREN: SocketFlags = SocketFlags::CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOSED_IN_CHILDREN: SocketFlags = SocketFlags::empty();

/// Between two tries to have the port again.
const RETRY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use rustix::net::socket;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn nobody_else_gets_the_port_while_connections_are_refused() {
        let door = Door::open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        // One that shares with nobody, as the system's choice of a free port does not.
        let other = || {
            let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&other, &door.address())
        };
        assert!(other().is_err(), "control: it is open");
        door.shut(super::super::ending::far(clock::instant()));
        assert_eq!(other().unwrap_err(), rustix::io::Errno::ADDRINUSE);
        drop(TcpListener::bind(door.address()).unwrap());
    }
}
