//! Reads keys from damaged bytes, where a frame has kept enough to say what it was.
//!
//! A hint for a person, nothing else rests on it: a frame is believed if its body is an event's.

use onceward_vfs::Vfs;
use onceward_wal::{SalvagedFrame, Segments};

use super::LostKey;
use crate::Lsn;
use crate::frames::event::{self as layout, Carried};
use crate::frames::{KIND_CARRIED, KIND_EFFECT, KIND_EVENT};

/// The events that stood in damaged bytes.
pub(super) fn keys(
    vfs: &dyn Vfs,
    segments: &Segments,
    damage: &onceward_wal::Damage,
) -> Vec<LostKey> {
    let mut found = Vec::new();
    segments.salvage(vfs, damage, &mut |frame| {
        let event = event(frame);
        let is_one = event.is_some();
        found.extend(event);
        is_one
    });
    found
}

/// The event that a frame seems to have held.
fn event(frame: &SalvagedFrame<'_>) -> Option<LostKey> {
    let (lsn, body) = match frame.kind {
        KIND_EVENT => (frame.lsn, frame.body),
        KIND_EFFECT => (frame.lsn, layout::split_effect(frame.body)?.1),
        KIND_CARRIED => {
            let (carried, body) = Carried::decode(frame.lsn, frame.body)?;
            (carried.event_lsn, body)
        }
        _ => return None,
    };
    let event = layout::View::decode(frame.flags, body)?.to_event()?;
    Some(LostKey { lsn: Lsn::from_u64(lsn)?, scope: event.scope, key: event.key })
}
