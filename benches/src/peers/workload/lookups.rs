//! Lookups by key, of which every second one is known. The making of each key counts.

use std::hint::black_box;
use std::time::Instant;

use crate::index::keys::{Picks, UNKNOWN, key};
use crate::pairing::Slice;
use crate::peers::{Peer, Result};

/// `count` lookups in a peer that has the keys `1..=known`.
///
/// # Errors
///
/// An answer was wrong, or the peer fails.
pub fn run(peer: &dyn Peer, known: u64, count: u64) -> Result<Slice> {
    let mut picks = Picks::default();
    let mut draw = |turn: u64| {
        if turn.is_multiple_of(2) { picks.next(known) } else { UNKNOWN + picks.next(UNKNOWN) }
    };
    let numbers: Vec<u64> = (0..count).map(&mut draw).collect();
    let mut found = 0;
    let began = Instant::now();
    for number in &numbers {
        found += u64::from(peer.seen(&key(black_box(*number)))? > 0);
    }
    let seconds = began.elapsed().as_secs_f64();
    if found != count.div_ceil(2) {
        return Err(format!("{found} of {count} keys were found").into());
    }
    Ok(Slice { seconds, events: count as f64 })
}
