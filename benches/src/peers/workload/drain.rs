//! Draining: what waits is read in its order, a hundred at a time, and settled durably, until nothing waits and nothing
//! is left to be cleaned up.

use std::time::Instant;

use crate::pairing::Slice;
use crate::peers::{Peer, Result, Settling};

/// Events that are settled together.
pub const TOGETHER: usize = 100;

/// Drains a peer in which `count` events wait.
///
/// # Errors
///
/// There were more or fewer events, or the peer fails.
pub fn run(peer: &dyn Peer, count: u64, settling: Settling) -> Result<Slice> {
    let mut drained = 0;
    let began = Instant::now();
    loop {
        let events = peer.drain(TOGETHER, settling)?;
        if events == 0 {
            break;
        }
        drained += events as u64;
    }
    peer.end_draining()?;
    let seconds = began.elapsed().as_secs_f64();
    if drained != count {
        return Err(format!("{drained} of {count} events were drained").into());
    }
    Ok(Slice { seconds, events: count as f64 })
}
