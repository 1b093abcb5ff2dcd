//! The loops of a host whose instructions are counted. Each is a function that is found by its name, so it is never
//! inlined; events are made beforehand, and what becomes of them waits.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;

use onceward::{Config, Event, Store};
use serde::{Deserialize, Serialize};

use super::till::{Settling, Till, config};

/// Events of a turn that are captured in batches, in batches of another size, and deferred: as many each.
const A_TURN: usize = 500;
/// Events that are captured one by one: few, because each takes a sync.
const SINGLES: usize = 500;
/// Captures before those, which find the memory that batches left.
const BEFORE_SINGLES: usize = 50;

/// How many events the loops had.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Captured {
    /// In batches of 500, of 100, and deferred: so many each.
    pub events: usize,
    /// Those that were captured one by one.
    pub singles: usize,
}

/// Captures with all loops in turn, in a new store, while what it remembers doubles from `keys` on: so every loop meets
/// the tables at all stages of their growth. One by one at the end: in turn with batches, half of what a single capture
/// takes would be the allocator's, which puts together what a batch freed.
///
/// # Errors
///
/// What the store says.
pub fn capture_in_turn(dir: &Path, keys: usize) -> Result<Captured, Box<dyn Error>> {
    let till = Till::open(dir, config(), 0)?;
    till.fill(keys)?;
    let turns = keys / (3 * A_TURN);
    for _ in 0..turns {
        batches_of_500(&till.store, &till.events(A_TURN));
        batches_of_100(&till.store, &till.events(A_TURN));
        deferred(&till.store, &till.events(A_TURN));
    }
    let events = till.events(SINGLES);
    (0..BEFORE_SINGLES).for_each(|_| till.capture_one());
    singles(&till.store, &events);
    Ok(Captured { events: turns * A_TURN, singles: SINGLES })
}

/// Opens the store in `dir`, waits until its threads rest, and drains it.
///
/// # Errors
///
/// What the store says.
pub fn drain_all(dir: &Path, events: usize, how: Settling<'_>) -> Result<usize, Box<dyn Error>> {
    let till = Till::open(dir, Config::new(), events as u64)?;
    crate::idle::wait_until_idle()?;
    drained(&till, how)
}

/// Batches of 500, durable.
#[inline(never)]
fn batches_of_500(store: &Store, events: &[Event]) {
    for batch in events.chunks(500) {
        store.capture_batch(black_box(batch)).unwrap();
    }
}

/// Batches of 100, durable.
#[inline(never)]
fn batches_of_100(store: &Store, events: &[Event]) {
    for batch in events.chunks(100) {
        store.capture_batch(black_box(batch)).unwrap();
    }
}

/// One by one, each durable.
#[inline(never)]
fn singles(store: &Store, events: &[Event]) {
    for event in events {
        store.capture(black_box(event)).unwrap();
    }
}

/// One by one, queued; durable at the end, and applied.
#[inline(never)]
fn deferred(store: &Store, events: &[Event]) {
    let mut last = None;
    for event in events {
        last = Some(store.capture_deferred(black_box(event)).unwrap());
    }
    last.map(|ticket| ticket.wait().unwrap()).unwrap();
}

/// Everything that waits, until all cleaning is done. What the store's threads do meanwhile counts too.
#[inline(never)]
fn drained(till: &Till, how: Settling<'_>) -> Result<usize, Box<dyn Error>> {
    let events = till.drain(how, usize::MAX)?;
    till.clean_up()?;
    Ok(events)
}
