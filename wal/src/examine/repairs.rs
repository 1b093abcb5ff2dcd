//! What a repair has to write so that damage is not found again. Decides; writes nothing.

use crate::header::SegmentHeader;
use crate::limits::{HEADER_BLOCK_BYTES, frame_bytes};
use crate::walk::{KeptPrefix, UnusableRange};

/// One place that a repair writes.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRepair {
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    /// The bytes that are kept in quarantine before they are written over.
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) fix: Fix,
}

/// The bytes that a repair writes.
#[derive(Clone, Debug)]
pub(crate) enum Fix {
    /// Row `lost`: a frame that stands in for the `numbers` that were there, the last of which was `lsn`.
    StandIn { run: u32, lsn: u64, numbers: u32 },
    /// The segment ends here: a seal behind what is kept.
    Seal(KeptPrefix),
    /// As `Seal`, because what is behind it cannot be read.
    SealUnread(KeptPrefix),
    /// Row `header-damaged`.
    Header(Box<SegmentHeader>),
    /// Row `file-short`, and what cannot be read: zeros.
    Zeros,
}

impl PlannedRepair {
    /// The repair of a range that a walk found lost; `None` if no frame fits between those that are kept,
    /// which only happens where bytes were put between frames.
    pub(super) fn of(number: u64, first_lsn: u64, lost: &UnusableRange) -> Option<Self> {
        let fix = match lost.last_lsn {
            Some(_) if lost.bytes < frame_bytes(1) => return None,
            Some(last) => {
                let lsn = last.max(lost.before.last_lsn);
                let numbers = u32::try_from(lsn - lost.before.last_lsn).unwrap_or(u32::MAX);
                Fix::StandIn { run: lost.before.run.max(1), lsn, numbers }
            }
            None => Fix::Seal(lost.before),
        };
        Some(Self { number, first_lsn, offset: lost.offset, bytes: lost.bytes, fix })
    }

    /// The repair of a header.
    pub(super) fn of_header(header: SegmentHeader) -> Self {
        Self {
            number: header.number,
            first_lsn: header.first_lsn,
            offset: 0,
            bytes: HEADER_BLOCK_BYTES,
            fix: Fix::Header(Box::new(header)),
        }
    }
}
