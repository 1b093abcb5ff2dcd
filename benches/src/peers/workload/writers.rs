//! Threads that each capture an event, wait until it is durable, and so on, from the first capture of a new store on.

use std::time::Duration;

use crate::pairing::{Extent, Slice};
use crate::peers::load::Load;
use crate::peers::{Peer, Result};
use crate::threads::in_threads;

/// `writers` threads for as long.
///
/// # Errors
///
/// A key was known that nobody had used.
///
/// # Panics
///
/// If the peer fails.
pub fn run(peer: &dyn Peer, load: &Load, writers: usize, lasting: Duration) -> Result<Slice> {
    let stored = std::sync::atomic::AtomicUsize::new(0);
    let slice = in_threads(writers, |writer| {
        let mut fresh = 0;
        let done = Extent::Lasting(lasting).count(|at| {
            let event = load.event(Load::number(writer, at));
            fresh += peer.capture_durable(writer, &[event]).unwrap();
        });
        stored.fetch_add(fresh, std::sync::atomic::Ordering::Relaxed);
        done
    });
    if stored.into_inner() as f64 == slice.events {
        Ok(slice)
    } else {
        Err("a new key was known".into())
    }
}
