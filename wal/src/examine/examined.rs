//! A log as it was found, and where it goes on.

use std::sync::Arc;

use super::repairs::PlannedRepair;
use super::resurrected::Resurrected;
use crate::checksum::Digest;
use crate::error::Position;
use crate::header::SegmentHeader;
use crate::identity::Identity;
use crate::limits::{FRAME_HEADER_BYTES, LSN_MAX};
use crate::meta::Meta;
use crate::report::ExaminationReport;
use crate::sealing::Sealing;
use crate::segment::Segments;

/// A log as it was found.
#[derive(Debug)]
pub struct Examined {
    /// With the secret, unless that is sealed and no key was given.
    pub(crate) identity: Identity,
    /// The sealing that opens the bodies; `None`: they are clear, or no key was given.
    pub(crate) sealing: Option<Arc<dyn Sealing>>,
    pub(crate) meta: Meta,
    /// Where the log goes on; `None`: in a new segment.
    pub(crate) tail: Option<FoundTail>,
    /// Segments that are listed and not begun.
    pub(crate) prepared: Vec<u64>,
    /// Prepared segments in which the disk cannot read something.
    pub(crate) spoiled: Vec<u64>,
    /// Files of segments that were trimmed before.
    pub(crate) resurrected: Vec<Resurrected>,
    pub(crate) segments: Segments,
    pub(crate) last_lsn: u64,
    /// LSN of the last frame; below `last_lsn` if the last segment begins behind numbers that were cut.
    pub(crate) last_frame: u64,
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
    pub(crate) digest: Digest,
    /// Whole frames of the torn tail: offset and size in the tail's segment.
    pub(crate) in_doubt: Vec<(usize, usize)>,
    /// Features that forbid this program to write; 0 for none.
    pub(crate) read_only_for: u32,
    /// Listed segments without a file whose frames are lost.
    pub(crate) missing: Vec<u64>,
    /// The repairs that would mend the damage.
    pub(crate) repairs: Vec<PlannedRepair>,
    /// The first place that the disk could not read and where the log may end.
    pub(crate) unreadable: Option<Position>,
    pub(crate) report: ExaminationReport,
}

/// The segment in which the log ends.
#[derive(Clone, Debug)]
pub(crate) struct FoundTail {
    pub(crate) number: u64,
    pub(crate) offset: usize,
    pub(crate) count: u32,
    /// Offset after the last frame that is proven synced.
    pub(crate) proven: usize,
    /// The segment ends with a seal: the log goes on in the next one.
    pub(crate) sealed: bool,
    /// The disk could not read all of it.
    pub(crate) unread: bool,
    pub(crate) torn_bytes: usize,
    /// The header, if a crash left the first commit without it.
    pub(crate) torn_header: Option<SegmentHeader>,
    /// The boot of the machine in which the last frame was written; zeros: not known.
    pub(crate) boot: [u8; 16],
    /// The bytes behind the last frame when it was judged.
    pub(crate) behind: Option<[u8; FRAME_HEADER_BYTES]>,
}

impl Examined {
    /// The identity of the store.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether the bodies of the host's frames are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.meta.envelope.is_some()
    }

    /// The highest number that was given out, as far as the log shows.
    #[must_use]
    pub fn highest_lsn(&self) -> u64 {
        self.highest_lsn
    }

    /// Numbers up to this one were given out, as something shows that outlived their frames: the log goes on
    /// behind it.
    pub fn raise(&mut self, lsn: u64) {
        self.highest_lsn = self.highest_lsn.max(lsn.min(LSN_MAX));
    }

    /// The report of what was found.
    #[must_use]
    pub fn report(&self) -> &ExaminationReport {
        &self.report
    }

    /// Reads single frames of the log as it was found.
    #[must_use]
    pub fn into_segments(self) -> Segments {
        self.segments
    }
}
