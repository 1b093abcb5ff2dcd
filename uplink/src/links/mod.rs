//! Hears from the system that the machine has a network again, so that nobody has to wait for a backoff to end.
//!
//! A hint, never a condition: what it misses, the next probe or the backoff finds. Linux tells it over netlink;
//! elsewhere, and where a sandbox allows no such socket, there is no watch, and everything else works as before.
//!
//! | file      | what                                             |
//! |-----------|--------------------------------------------------|
//! | `message` | what the bytes of a datagram say; no I/O         |
//! | `known`   | which links and addresses there are; no I/O      |
//! | `socket`  | the socket                                       |

#[cfg(target_os = "linux")]
mod known;
#[cfg(target_os = "linux")]
mod message;
#[cfg(target_os = "linux")]
mod socket;

use std::fmt;
use std::io;

use crate::error::{Cause, Error};

/// Calls a function when a link of this machine comes up, or gets an address, on a thread of its own.
///
/// What is up when it starts is no news; neither is the loopback, nor an address with which only a link itself can be
/// reached. Calls are a second apart at least: what comes in between is told when that is over.
///
/// Dropping it ends the thread, within 100 ms where the function is not running. It may be called a last time then.
///
/// ```
/// use onceward_uplink::{Control, LinkWatch};
///
/// let control = Control::new();
/// let theirs = control.clone();
/// match LinkWatch::start(move || theirs.online()) {
///     Ok(watch) => drop(watch), // Kept as long as the uploader runs.
///     Err(why) => println!("{why}: the line is tried now and then"),
/// }
/// ```
pub struct LinkWatch {
    /// Closed when this is dropped: then the thread ends.
    #[cfg(target_os = "linux")]
    _alive: std::os::unix::net::UnixStream,
}

impl LinkWatch {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// `Io`: the system is not Linux, or gives no such socket or no thread. Nothing is left behind.
    pub fn start(on_news: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        listen(on_news).map_err(|found| Error::from(Cause::Links(found)))
    }
}

impl fmt::Debug for LinkWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkWatch").finish_non_exhaustive()
    }
}

/// Sets up the socket, and the thread that reads it.
#[cfg(target_os = "linux")]
fn listen(on_news: impl FnMut() + Send + 'static) -> io::Result<LinkWatch> {
    let (alive, end) = std::os::unix::net::UnixStream::pair()?;
    let (socket, known) = socket::Socket::open()?;
    let watch = move || socket::watch(&socket, known, &end, on_news);
    std::thread::Builder::new().name("onceward-links".to_owned()).spawn(watch)?;
    Ok(LinkWatch { _alive: alive })
}

/// Refuses: only Linux is known.
#[cfg(not(target_os = "linux"))]
fn listen(_on_news: impl FnMut() + Send + 'static) -> io::Result<LinkWatch> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux tells of them"))
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
