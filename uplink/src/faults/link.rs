//! One direction of one connection: bytes are queued with the moment at which they arrive, so that time on the way
//! costs no throughput.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ending::{Ending, far, lock};
use super::plan::Shape;
use super::queue::{Piece, Queue};
use crate::clock;

/// What all connections share in one direction: the rate, and the count.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// When the last byte that was queued has left; `None` before the first.
    busy_until: Mutex<Option<Instant>>,
    /// Bytes that went this way.
    bytes: AtomicU64,
}

impl Lane {
    /// Bytes that went this way so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// When a piece arrives that is sent now.
    fn arrival(&self, byte_count: u64, shape: Shape) -> Instant {
        self.bytes.fetch_add(byte_count, Ordering::AcqRel);
        let now = clock::instant();
        let mut busy_until = lock(&self.busy_until);
        let begin = busy_until.map_or(now, |busy| busy.max(now));
        let left = match shape.bytes_per_s {
            Some(rate) => {
                let takes_ns = u128::from(byte_count) * NS_PER_S / u128::from(rate.get());
                let takes = Duration::from_nanos(u64::try_from(takes_ns).unwrap_or(u64::MAX));
                let end = begin.checked_add(takes).unwrap_or_else(|| far(now));
                *busy_until = Some(end);
                end
            }
            None => now,
        };
        left.checked_add(shape.delay).unwrap_or_else(|| far(now))
    }
}

/// One direction of one connection. Dropping it waits until what was sent has arrived.
#[derive(Debug)]
pub(super) struct Link {
    /// The way of its direction.
    lane: Arc<Lane>,
    /// What is on its way.
    queue: Arc<Queue>,
    /// Delivers them.
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// A link whose bytes arrive at `socket`.
    ///
    /// # Errors
    ///
    /// There is no thread for it.
    pub(super) fn start(
        lane: &Arc<Lane>,
        ending: &Arc<Ending>,
        socket: &Arc<TcpStream>,
    ) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let pieces = Arc::clone(&queue);
        let (ending, socket) = (Arc::clone(ending), Arc::clone(socket));
        let thread = thread::Builder::new().name("fault-link".to_owned()).spawn(move || {
            if deliver(&pieces, &ending, &socket).is_err() {
                // The other side is gone, or the proxy ends; whoever sends hears of it now.
            }
            pieces.abandon();
        })?;
        Ok(Self { lane: Arc::clone(lane), queue, thread: Some(thread) })
    }

    /// Puts bytes on their way. Waits only where very much is on its way already.
    ///
    /// # Errors
    ///
    /// The other side is gone, or the proxy ends.
    pub(super) fn send(&self, bytes: &[u8], shape: Shape) -> io::Result<()> {
        for bytes in bytes.chunks(piece_bytes(shape)) {
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let due = self.lane.arrival(count, shape);
            if !self.queue.push(Piece { due, bytes: bytes.to_vec() }) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.queue.finish();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // It panicked; the connection is closed all the same.
        }
    }
}

/// The thread: each piece at its time.
fn deliver(pieces: &Queue, ending: &Ending, mut socket: &TcpStream) -> io::Result<()> {
    while let Some(piece) = pieces.pop() {
        ending.wait_until(piece.due)?;
        socket.write_all(&piece.bytes)?;
    }
    Ok(())
}

/// How long a piece may be: what leaves in ten milliseconds, so that a slow line is slow evenly.
fn piece_bytes(shape: Shape) -> usize {
    let even = shape.bytes_per_s.map_or(u64::MAX, |rate| rate.get() / 100);
    usize::try_from(even).unwrap_or(usize::MAX).clamp(1, PIECE_BYTES_MAX)
}

/// The longest piece.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Nanoseconds in a second.
const NS_PER_S: u128 = 1_000_000_000;
