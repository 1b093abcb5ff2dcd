//! One thread, many events in one commit, from the first capture of a new store on; nobody settles them.

use std::time::Duration;

use crate::pairing::{Extent, Slice};
use crate::peers::load::Load;
use crate::peers::{Peer, Result};

/// Batches of `count` events for as long.
///
/// # Errors
///
/// A key was known that nobody had used.
///
/// # Panics
///
/// If the peer fails.
pub fn run(peer: &dyn Peer, load: &Load, count: usize, lasting: Duration) -> Result<Slice> {
    let mut stored = 0;
    let slice = Extent::Lasting(lasting).of(count, |batch| {
        let first = Load::number(0, batch * count);
        let events = load.events(first..first + count as u64);
        stored += peer.capture_durable(0, &events).unwrap();
    });
    if stored as f64 == slice.events { Ok(slice) } else { Err("a new key was known".into()) }
}
