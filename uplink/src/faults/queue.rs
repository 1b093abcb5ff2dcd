//! What is on its way in one direction of one connection: so many bytes, and not more. No I/O here.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::ending::lock;

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Piece {
    /// When they arrive.
    pub(super) due: Instant,
    /// What arrives.
    pub(super) bytes: Vec<u8>,
}

/// Pieces between one thread that sends and one that delivers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The pieces.
    state: Mutex<State>,
    /// Says that it changed.
    changed: Condvar,
}

/// The pieces, and whether there will be more.
#[derive(Debug, Default)]
struct State {
    /// The pieces, the next one first.
    pieces: VecDeque<Piece>,
    /// Their bytes.
    byte_count: usize,
    /// Whether the sender sends no more.
    is_finished: bool,
    /// Whether nobody delivers any more.
    is_abandoned: bool,
}

impl Queue {
    /// Appends a piece, as soon as there is room; false if nobody delivers any more.
    pub(super) fn push(&self, piece: Piece) -> bool {
        let mut state = lock(&self.state);
        while state.byte_count >= BYTES_MAX && !state.is_abandoned {
            state = self.wait(state);
        }
        if state.is_abandoned {
            return false;
        }
        state.byte_count = state.byte_count.saturating_add(piece.bytes.len());
        state.pieces.push_back(piece);
        self.changed.notify_all();
        true
    }

    /// The next piece, as soon as there is one; `None` if there will be none.
    pub(super) fn pop(&self) -> Option<Piece> {
        let mut state = lock(&self.state);
        while state.pieces.is_empty() && !state.is_finished {
            state = self.wait(state);
        }
        let piece = state.pieces.pop_front()?;
        state.byte_count = state.byte_count.saturating_sub(piece.bytes.len());
        self.changed.notify_all();
        Some(piece)
    }

    /// Says that nothing more is sent.
    pub(super) fn finish(&self) {
        lock(&self.state).is_finished = true;
        self.changed.notify_all();
    }

    /// Says that nothing more is delivered.
    pub(super) fn abandon(&self) {
        {
            let mut state = lock(&self.state);
            state.is_abandoned = true;
            state.pieces.clear();
        }
        self.changed.notify_all();
    }

    /// Waits for a change.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes on their way at most, and one piece more: two and a half seconds of delay at 100 Mbit/s.
const BYTES_MAX: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::clock;

    /// A piece of so many bytes.
    fn piece(byte_count: usize) -> Piece {
        Piece { due: clock::instant(), bytes: vec![0; byte_count] }
    }

    #[test]
    fn a_sender_waits_for_room_and_no_longer_than_somebody_delivers() {
        let queue = Queue::default();
        assert!(queue.push(piece(BYTES_MAX)));
        thread::scope(|scope| {
            let sender = scope.spawn(|| (queue.push(piece(BYTES_MAX)), queue.push(piece(1))));
            assert_eq!(queue.pop().unwrap().bytes.len(), BYTES_MAX);
            while lock(&queue.state).pieces.is_empty() {
                thread::yield_now();
            }
            queue.abandon();
            assert_eq!(sender.join().unwrap(), (true, false));
        });
    }

    #[test]
    fn what_was_sent_before_the_end_is_delivered() {
        let queue = Queue::default();
        assert!(queue.push(piece(1)) && queue.push(piece(2)));
        queue.finish();
        let lengths: Vec<_> = std::iter::from_fn(|| queue.pop().map(|p| p.bytes.len())).collect();
        assert_eq!(lengths, [1, 2]);
    }
}
