//! A connection to the upstream: one for each request, so that no request waits for another.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::carry::BUFFER_BYTES;
use super::http::{Head, Message};
use super::link::Link;
use super::plan::Shape;
use super::shared::Shared;

/// A connection to the upstream. Dropping it waits until what was sent has arrived, and closes it.
#[derive(Debug)]
pub(super) struct Way {
    /// What is sent; dropped before the socket is closed.
    up: Link,
    /// What comes back.
    socket: Arc<TcpStream>,
}

impl Way {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The upstream cannot be reached, or the proxy ends.
    pub(super) fn connect(shared: &Shared) -> io::Result<Self> {
        let socket = Arc::new(reach(shared)?);
        socket.set_nodelay(true)?;
        shared.ending.watch(&socket);
        let up = Link::start(&shared.up, &shared.ending, &socket)?;
        Ok(Self { up, socket })
    }

    /// Sends bytes of a request.
    ///
    /// # Errors
    ///
    /// The upstream is gone, or the proxy ends.
    pub(super) fn send(&self, bytes: &[u8], shape: Shape) -> io::Result<()> {
        self.up.send(bytes, shape)
    }

    /// What the upstream says.
    pub(super) fn reader(&self) -> BufReader<&TcpStream> {
        BufReader::with_capacity(BUFFER_BYTES, &self.socket)
    }

    /// Reads the reply to a request of this method.
    ///
    /// # Errors
    ///
    /// The upstream went away, or what it says is no reply.
    pub(super) fn hear(&self, method: &str) -> io::Result<Message> {
        let mut from = self.reader();
        let head = Head::read_reply(&mut from)?;
        let framing = head.framing_of_reply(method)?;
        Message::read(head, framing, &mut from)
    }
}

/// Connects to the first address that answers. In short tries, so that the proxy can end.
fn reach(shared: &Shared) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = shared.upstream();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for _ in 0..TRIES {
        for address in &addresses {
            if shared.ending.is_ended() {
                return Err(io::Error::other("the proxy ends"));
            }
            match TcpStream::connect_timeout(address, TRY_MAX) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        if failure.kind() != io::ErrorKind::TimedOut {
            break;
        }
    }
    Err(io::Error::new(failure.kind(), format!("no way to the upstream: {failure}")))
}

/// How long one try to connect may take.
const TRY_MAX: Duration = Duration::from_millis(500);

/// How often it is tried where nobody answers: five seconds in all.
const TRIES: usize = 10;
