//! Fences and imports of a segment that is to go.

use super::frames::{FenceFrame, ImportFrame};
use super::table::RescueTable;
use crate::base::{FrameKind, Located, codec};
use crate::kernel::LiveFrames;

impl RescueTable {
    /// Keeps the newest fence.
    pub(crate) fn relocate_fence(&self, fence: FenceFrame, at: Located, live: &mut LiveFrames) {
        if self.has(&at) {
            let number = if fence.number == 0 { at.lsn } else { fence.number };
            live.push(FrameKind::Fence, codec::encode(&FenceFrame { number, ..fence }));
        }
    }

    /// Keeps that a bundle was imported, if it is one of the newest.
    pub(crate) fn relocate_import(&self, import: ImportFrame, at: Located, live: &mut LiveFrames) {
        if self.has(&at) {
            let number = if import.number == 0 { at.lsn } else { import.number };
            live.push(FrameKind::Import, codec::encode(&ImportFrame { number, ..import }));
        }
    }
}
