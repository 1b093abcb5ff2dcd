//! One thread that captures one event after the other and waits for the disk once, at the end.

use std::time::{Duration, Instant};

use crate::pairing::{Extent, Slice};
use crate::peers::load::Load;
use crate::peers::{Peer, Result};

/// Events between two looks at the clock.
const TOGETHER: usize = 100;

/// Captures for as long; what the last sync takes counts too.
///
/// # Errors
///
/// A key was known that nobody had used, or the peer fails.
///
/// # Panics
///
/// If the peer fails.
pub fn run(peer: &dyn Peer, load: &Load, lasting: Duration) -> Result<Slice> {
    let mut stored = 0;
    let mut slice = Extent::Lasting(lasting).of(TOGETHER, |turn| {
        for at in 0..TOGETHER {
            let event = load.event(Load::number(0, turn * TOGETHER + at));
            stored += peer.capture_unsynced(&[event]).unwrap();
        }
    });
    let began = Instant::now();
    peer.sync()?;
    slice.seconds += began.elapsed().as_secs_f64();
    if stored as f64 == slice.events { Ok(slice) } else { Err("a new key was known".into()) }
}
