//! So many commits of one event each, for who counts their system calls.

use crate::peers::load::Load;
use crate::peers::{Mode, Peer, Result};

/// Commits `count` events, each by itself.
///
/// # Errors
///
/// What the peer says.
pub fn run(peer: &dyn Peer, load: &Load, mode: Mode, count: usize) -> Result<()> {
    for at in 0..count {
        let event = [load.event(Load::number(0, at))];
        match mode {
            Mode::Durable => peer.capture_durable(0, &event)?,
            Mode::Unsynced => peer.capture_unsynced(&event)?,
        };
    }
    Ok(())
}
