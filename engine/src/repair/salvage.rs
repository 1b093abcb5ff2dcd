//! Reads keys from damaged bytes, where a frame has kept enough to say what it was.
//!
//! A hint for a person, nothing else rests on it: a frame is believed if its body is an event's.

use onceward_vfs::Vfs;
use onceward_wal::{Remains, Segments};

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
    segments.remains(vfs, damage, &mut |remains| {
        let event = event(remains);
        let is_one = event.is_some();
        found.extend(event);
        is_one
    });
    found
}

/// The event that a frame seems to have held.
fn event(remains: &Remains<'_>) -> Option<LostKey> {
    let (lsn, body) = match remains.kind {
        KIND_EVENT => (remains.lsn, remains.body),
        KIND_EFFECT => (remains.lsn, layout::split_effect(remains.body)?.1),
        KIND_CARRIED => {
            let (carried, body) = Carried::decode(remains.lsn, remains.body)?;
            (carried.event_lsn, body)
        }
        _ => return None,
    };
    let event = layout::View::decode(remains.flags, body)?.to_event()?;
    Some(LostKey { lsn: Lsn::from_u64(lsn)?, scope: event.scope, key: event.key })
}
