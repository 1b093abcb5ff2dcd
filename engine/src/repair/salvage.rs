//! Reads keys from damaged bytes, where a frame has kept enough to say what it was.
//!
//! Its checksums are not right, so this is a hint for a person and nothing else rests on it: a frame is
//! believed if its number is one of those that are missing there and its body is an event's. Where a
//! frame's fields stand is said in `wal/FORMAT.md`, section Frame.

use onceward_vfs::{Mode, Vfs};

use super::{LostKey, LostRange};
use crate::Lsn;
use crate::frames::event::{self as layout, Carried};
use crate::frames::{KIND_CARRIED, KIND_EFFECT, KIND_EVENT};
use crate::report::Damage;

/// Every frame begins at a multiple of this.
const ALIGNMENT: usize = 8;
/// What is read by itself where the disk refuses.
const BLOCK_BYTES: usize = 4096;
/// Offsets of fields in a frame's header, and its size.
const LEN: usize = 8;
const LSN_DELTA: usize = 12;
const KIND: usize = 28;
const FLAGS: usize = 29;
const BODY: usize = 30;
/// The flag that belongs to the log.
const MORE: u8 = 0b1000_0000;

/// The events that stood in damaged bytes of a segment that begins with `first_lsn`.
pub(super) fn keys(
    vfs: &dyn Vfs,
    damage: &Damage,
    first_lsn: u64,
    range: LostRange,
) -> Vec<LostKey> {
    let bytes = damaged_bytes(vfs, damage);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > BODY) {
        let event = frame(rest, first_lsn, range);
        let used = event.as_ref().map_or(1, |(_, bytes)| *bytes);
        found.extend(event.map(|(key, _)| key));
        at += used.max(1).next_multiple_of(ALIGNMENT);
    }
    found
}

/// What can be read of the damaged bytes; zeros for what cannot.
fn damaged_bytes(vfs: &dyn Vfs, damage: &Damage) -> Vec<u8> {
    let Ok(file) = vfs.open(&damage.file, Mode::Read) else { return Vec::new() };
    let behind = file.len().unwrap_or(0).saturating_sub(damage.offset);
    let mut bytes = vec![0; usize::try_from(damage.length.min(behind)).unwrap_or(0)];
    let mut offset = damage.offset;
    for block in bytes.chunks_mut(BLOCK_BYTES) {
        if file.read_at(offset, block).is_err() {
            block.fill(0);
        }
        offset = offset.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
    }
    bytes
}

/// The event in the frame that seems to begin here, and the size of that frame.
fn frame(bytes: &[u8], first_lsn: u64, range: LostRange) -> Option<(LostKey, usize)> {
    let len = usize::try_from(number(bytes, LEN)?).ok()?;
    let lsn = first_lsn.checked_add(u64::from(number(bytes, LSN_DELTA)?))?;
    let is_missing = lsn >= range.first.get() && range.last.is_none_or(|last| lsn <= last.get());
    let body = bytes.get(BODY..BODY.checked_add(len)?).filter(|_| is_missing)?;
    let (lsn, body) = match *bytes.get(KIND)? {
        KIND_EVENT => (lsn, body),
        KIND_EFFECT => (lsn, layout::split_effect(body)?.1),
        KIND_CARRIED => {
            let (carried, body) = Carried::decode(body)?;
            (carried.event_lsn, body)
        }
        _ => return None,
    };
    let flags = bytes.get(FLAGS)? & !MORE;
    let event = layout::View::decode(flags, body)?.to_event()?;
    let lost = LostKey { lsn: Lsn::from_u64(lsn)?, scope: event.scope, key: event.key };
    Some((lost, BODY + len))
}

/// The number of four bytes at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
