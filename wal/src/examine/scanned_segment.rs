//! What a scan of one segment found.

use super::head::SegmentHead;
use super::segment_file::{SegmentFile, Unreadable};
use crate::sealing::{ForgedFrame, SegmentBodies};
use crate::walk::{Context, Walked};

/// One segment in use.
pub(super) struct ScannedSegment {
    pub(super) file: SegmentFile,
    pub(super) bytes: usize,
    pub(super) head: SegmentHead,
    pub(super) context: Context,
    pub(super) walked: Walked,
    pub(super) unreadable: Vec<Unreadable>,
    /// Frames that were not shown, marks apart.
    pub(super) hidden: u64,
    /// How the host's bodies are stored in it.
    pub(super) bodies: SegmentBodies,
    /// Whole frames that were not sealed with the segment's key.
    pub(super) forged: Vec<ForgedFrame>,
    /// First and last frame that cannot be shown because the segment's key is of no use.
    pub(super) without_key: Option<(ForgedFrame, ForgedFrame)>,
}

/// Which frames are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shows {
    /// All that belong to the log.
    All,
    /// Frames that are proven to have been synced.
    Proven,
}

impl ScannedSegment {
    /// Whether everything is as it was written.
    pub(super) fn is_whole(&self) -> bool {
        self.walked.lost.is_empty()
            && self.head.header.is_some()
            && self.unreadable.is_empty()
            && self.forged.is_empty()
            && self.without_key.is_none()
    }
}
