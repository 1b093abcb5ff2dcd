//! Reads keys from damaged bytes, where a frame has kept enough to say what it was.
//!
//! A hint for a person, nothing else rests on it: a frame is believed if its body is an event's.

use onceward_vfs::Vfs;
use onceward_wal::{SalvagedFrame, Segments};

use super::LostKey;
use crate::Lsn;
use crate::base::FrameKind;
use crate::event::layout;

/// The events that were in damaged bytes.
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
    let kind = FrameKind::from_code(frame.kind)?;
    let (lsn, _, body) = layout::event_in(kind, frame.lsn, frame.body)?;
    let event = layout::View::decode(frame.flags, body)?.to_event()?;
    Some(LostKey { lsn: Lsn::from_u64(lsn)?, scope: event.scope, key: event.key })
}
