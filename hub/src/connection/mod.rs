//! Bounds what a peer can hold: how many connections, and how long one may dawdle.
//!
//! | phase of a connection     | begins with                     | may take |
//! |---------------------------|---------------------------------|----------|
//! | idle                      | accepting, or bytes of an answer | 75 s    |
//! | head                      | first byte of a request         | 15 s     |
//! | busy (body, work, answer) | blank line after the head       | 120 s    |
//!
//! The HTTP library under axum has a timer for heads, but axum does not let it be set.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// How many connections there may be; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// How many connections one address may have; more are closed at once, so that others are served.
const CONNECTIONS_PER_SOURCE_MAX: usize = 512;

/// Accepts connections within the limits.
pub(crate) struct BoundedListener {
    /// The listener that connections come from.
    listener: TcpListener,
    /// Places for connections.
    places: Arc<Semaphore>,
    /// Connections of each address.
    sources: Sources,
}

/// How many connections each address has.
type Sources = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl BoundedListener {
    /// Bounds `listener`.
    pub(crate) fn new(listener: TcpListener) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { listener, places, sources: Sources::default() }
    }
}

impl Listener for BoundedListener {
    type Io = Bounded<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                // Nobody closes the semaphore; waiting for ever is what a closed door means.
                std::future::pending::<()>().await;
                continue;
            };
            let (stream, source) = Listener::accept(&mut self.listener).await;
            let Some(seat) = Seat::take(&self.sources, source.ip(), place) else { continue };
            // Answers are small and whole: waiting to fill a packet would only delay them.
            if stream.set_nodelay(true).is_ok() {
                return (Bounded::new(stream, seat), source);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection's place and its share of its address, given back when dropped.
struct Seat {
    /// Counts of all addresses.
    sources: Sources,
    /// The connection's address.
    source: IpAddr,
    /// The connection's place among all connections.
    _place: OwnedSemaphorePermit,
}

impl Seat {
    /// A seat, unless the address has its share already.
    fn take(sources: &Sources, source: IpAddr, place: OwnedSemaphorePermit) -> Option<Self> {
        let mut counts = sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= CONNECTIONS_PER_SOURCE_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self { sources: Arc::clone(sources), source, _place: place })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts.get(&self.source).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.remove(&self.source);
        } else {
            counts.insert(self.source, left);
        }
    }
}

/// Where a connection is between two answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing of a request has come yet.
    Idle,
    /// A head is coming.
    Head {
        /// Whether nothing but a line's end has come since the last one.
        line_is_empty: bool,
    },
    /// The head is there.
    Busy,
}

impl Phase {
    /// How long the phase may take.
    const fn limit(self) -> Duration {
        match self {
            Self::Idle => Duration::from_secs(75),
            Self::Head { .. } => Duration::from_secs(15),
            Self::Busy => Duration::from_secs(120),
        }
    }

    /// The phase after `bytes` came.
    fn after_reading(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |phase, byte| match (phase, byte) {
            (Self::Busy, _) => Self::Busy,
            // Line ends before a request are allowed, and are not its blank line.
            (Self::Idle, b'\r' | b'\n') => Self::Idle,
            (Self::Head { line_is_empty: true }, b'\n') => Self::Busy,
            (Self::Head { .. }, b'\n') => Self::Head { line_is_empty: true },
            (Self::Head { .. }, b'\r') => phase,
            (Self::Idle | Self::Head { .. }, _) => Self::Head { line_is_empty: false },
        })
    }

    /// The phase after `bytes` went out.
    fn after_writing(self, bytes: &[u8]) -> Self {
        // "Go on" is no answer yet.
        if bytes.starts_with(b"HTTP/1.1 100") { self } else { Self::Idle }
    }

    /// Whether this is another phase, rather than a later moment of the same one.
    fn differs_from(self, other: Self) -> bool {
        std::mem::discriminant(&self) != std::mem::discriminant(&other)
    }
}

/// A stream that fails when its peer dawdles.
pub(crate) struct Bounded<S> {
    /// The stream.
    stream: S,
    /// The phase that the connection is in.
    phase: Phase,
    /// When the phase must be over.
    deadline: Pin<Box<Sleep>>,
    /// The connection's place, held as long as it lives.
    _seat: Option<Seat>,
}

impl<S> Bounded<S> {
    /// Bounds `stream`.
    fn new(stream: S, seat: Seat) -> Self {
        Self::with_seat(stream, Some(seat))
    }

    /// Bounds `stream`, which holds `seat`.
    fn with_seat(stream: S, seat: Option<Seat>) -> Self {
        let phase = Phase::Idle;
        Self { stream, phase, deadline: Box::pin(sleep(phase.limit())), _seat: seat }
    }

    /// Enters `phase`. `progress` starts its time anew even if it is the present one.
    fn enter(&mut self, phase: Phase, progress: bool) {
        if progress || phase.differs_from(self.phase) {
            self.deadline.as_mut().reset(Instant::now() + phase.limit());
        }
        self.phase = phase;
    }

    /// What a call that must wait returns: waiting, or the failure when the time is up.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.wait(context),
            Poll::Ready(read) => {
                let phase = self.phase.after_reading(buffer.filled().get(before..).unwrap_or(&[]));
                self.enter(phase, false);
                Poll::Ready(read)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            Poll::Ready(written) => {
                let phase = self.phase.after_writing(bytes);
                self.enter(phase, written.is_ok());
                Poll::Ready(written)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.wait(context),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
