//! A store with many events that wait: the memory that they take, lookups by key, and draining.

use super::{Costs, Workload, drain, lookups};
use crate::idle::wait_until_idle;
use crate::index::process::anonymous_bytes;
use crate::peers::kind::Kind;
use crate::peers::load::Load;
use crate::peers::{Peer, Result, Settling};

/// Events that are captured together while the store is filled.
const FILLING: u64 = 1_000;
/// Of so many keys one is looked up.
const LOOKUPS_SHARE: u64 = 4;

/// Fills a peer with `count` events, and measures what it does.
///
/// # Errors
///
/// What the peer says, or that it did something else than was asked.
pub fn run(kind: Kind, peer: &dyn Peer, load: &Load, (count, before): (u64, u64)) -> Result<Costs> {
    let mut costs = Costs::new();
    for first in (1..=count).step_by(usize::try_from(FILLING)?) {
        let events = load.events(first..(first + FILLING).min(count + 1));
        if peer.capture_durable(0, &events)? != events.len() {
            return Err("a new key was known".into());
        }
    }
    // What the peer does beside its callers is not what is asked. One that never rests is measured as it is.
    wait_until_idle().unwrap_or_default();
    if kind.does(Workload::Memory) {
        let bytes = anonymous_bytes()?.saturating_sub(before);
        costs.insert(Workload::Memory, bytes as f64 / count as f64);
    }
    if kind.does(Workload::Lookup) {
        let slice = lookups::run(peer, count, count / LOOKUPS_SHARE)?;
        costs.insert(Workload::Lookup, slice.seconds / slice.events);
    }
    if kind.always_removes() {
        let slice = drain::run(peer, count, Settling::Remove)?;
        costs.insert(Workload::Drain, slice.seconds / slice.events);
        costs.insert(Workload::DrainRemoving, slice.seconds / slice.events);
        return Ok(costs);
    }
    if kind.does(Workload::Drain) {
        let slice = drain::run(peer, count, Settling::Mark)?;
        costs.insert(Workload::Drain, slice.seconds / slice.events);
    }
    if kind.does(Workload::DrainRemoving) {
        peer.rewind()?;
        let slice = drain::run(peer, count, Settling::Remove)?;
        costs.insert(Workload::DrainRemoving, slice.seconds / slice.events);
    }
    Ok(costs)
}
