//! What damaged bytes seem to have held. A hint for a person: the checksums are not right.

use onceward_vfs::Vfs;

use super::Segments;
use crate::blocks::read_around;
use crate::frame::{self, FrameHeader, MORE};
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, frame_bytes};
use crate::report::{Damage, LostLsns};

/// A frame of which a checksum is wrong.
#[derive(Clone, Copy, Debug)]
pub struct SalvagedFrame<'a> {
    /// The frame's number, one of those that are lost there.
    pub lsn: u64,
    /// The frame's kind.
    pub kind: u8,
    /// The kind's own bits.
    pub flags: u8,
    /// The frame's content.
    pub body: &'a [u8],
}

impl Segments {
    /// Shows what seems to be frames in damaged bytes. `visit` says whether it is one: then the bytes
    /// within it are not searched for others.
    ///
    /// Any part of it may itself be damaged, and frames may be missing: of a sealed log all whose body is. What the
    /// disk cannot read is passed over. `vfs`: where the log was examined.
    pub fn salvage(
        &self,
        vfs: &dyn Vfs,
        damage: &Damage,
        visit: &mut dyn FnMut(&SalvagedFrame<'_>) -> bool,
    ) {
        let Some(lost) = damage.lost else { return };
        let Some(number) = damage.segment else { return };
        let Ok(Some(source)) = self.source_on(vfs, number) else { return };
        let behind = source.file.len().unwrap_or(0).saturating_sub(damage.offset);
        let in_memory = |number: u64| usize::try_from(number).unwrap_or(0);
        let bytes = read_around(
            &*source.file,
            in_memory(damage.offset),
            in_memory(damage.bytes.min(behind)),
        );
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > FRAME_HEADER_BYTES) {
            let taken = seeming(rest, source.first_lsn, lost).and_then(|(header, mut salvaged)| {
                let stored = frame_bytes(salvaged.body.len());
                let mut body = salvaged.body.to_vec();
                let host = source.bodies.open_in_place(&header, salvaged.lsn, &mut body).ok()?;
                salvaged.body = body.get(..host)?;
                visit(&salvaged).then_some(stored)
            });
            at += taken.unwrap_or(FRAME_ALIGN_BYTES);
        }
    }
}

/// The frame at the start of `bytes`, if they seem to be one that is missing here.
fn seeming(
    bytes: &[u8],
    first_lsn: u64,
    lost: LostLsns,
) -> Option<(FrameHeader, SalvagedFrame<'_>)> {
    let (header, body) = frame::known(bytes)?;
    let lsn = first_lsn.checked_add(u64::from(header.lsn_delta))?;
    let is_missing = lsn >= lost.first && lost.last.is_none_or(|last| lsn <= last);
    let (kind, flags) = (header.kind, header.flags & !MORE);
    (is_missing && !body.is_empty()).then_some((header, SalvagedFrame { lsn, kind, flags, body }))
}
