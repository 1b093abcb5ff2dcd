//! Where a frame is in the log.

use onceward_wal::{Frame, Place};

/// The place of a frame, and how long the frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) bytes: u32,
    /// The frame's own LSN.
    pub(crate) lsn: u64,
}

impl Located {
    /// The place of a frame that was read.
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        Self {
            place: frame.place,
            bytes: u32::try_from(frame.bytes()).unwrap_or(u32::MAX),
            lsn: frame.lsn.get(),
        }
    }
}
