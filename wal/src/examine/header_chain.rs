//! Judges what a segment's header says of itself and of the segment before it.

use super::judge::Examination;
use super::repairs::{Fix, PlannedRepair};
use super::scanned_segment::ScannedSegment;
use crate::header::{READ_COMPAT_KNOWN, SegmentHeader};
use crate::limits::{HEADER_BLOCK_BYTES, HEADER_BYTES};
use crate::sealing::KeyEnvelope;
use crate::walk::{SegmentEnd, Walked};

impl Examination<'_> {
    /// Rows `header-damaged`, `header-torn` and `file-short`, and what the header says of the segment
    /// before.
    pub(super) fn judge_head(&mut self, found: &ScannedSegment) {
        let number = found.file.number;
        match found.head.header {
            Some(header) => {
                self.read_only_for |= header.read_compat & !READ_COMPAT_KNOWN;
                self.judge_size(&header, found);
                self.judge_before(&header);
            }
            None => {
                let first = found.head.first.filter(|_| found.walked.proven <= HEADER_BLOCK_BYTES);
                if let (Some((run, _)), true) = (first, found.walked.end != SegmentEnd::Lost) {
                    self.torn_header = Some(self.header(run, found));
                    return;
                }
                let bytes = u64::try_from(HEADER_BYTES).unwrap_or(0);
                self.damage(number, 0, bytes, "the header is not what was written");
                self.mend_header(found);
            }
        }
    }

    /// Notes how a damaged header is mended.
    fn mend_header(&mut self, found: &ScannedSegment) {
        let run = found.head.first.map_or(found.context.run, |(run, _)| run).max(1);
        self.repairs.push(PlannedRepair::of_header(self.header(run, found)));
        if found.context.digest.is_none() && found.walked.end == SegmentEnd::Sealed {
            // The new header cannot say what its seal was computed from.
            self.mend_seal(found.file.number, found.context.first_lsn, &found.walked);
        }
    }

    /// Notes that a segment is sealed anew, as it is.
    fn mend_seal(&mut self, number: u64, first_lsn: u64, walked: &Walked) {
        let offset = walked.before_end.offset;
        let bytes = walked.offset - offset;
        let fix = Fix::Seal(walked.before_end);
        self.repairs.push(PlannedRepair { number, first_lsn, offset, bytes, fix });
    }

    /// Row `file-short`.
    fn judge_size(&mut self, header: &SegmentHeader, found: &ScannedSegment) {
        let bytes = u64::try_from(found.bytes).unwrap_or(u64::MAX);
        let Some(missing) = header.segment_bytes.checked_sub(bytes).filter(|bytes| *bytes > 0)
        else {
            return;
        };
        let number = header.number;
        let what = format!("the file ends here, it had {} bytes", header.segment_bytes);
        self.damage(number, bytes, missing, &what);
        self.repairs.push(PlannedRepair {
            number,
            first_lsn: header.first_lsn,
            offset: found.bytes,
            bytes: usize::try_from(missing).unwrap_or(0),
            fix: Fix::Zeros,
        });
    }

    /// The segment before must end as this one's header says.
    pub(super) fn judge_before(&mut self, header: &SegmentHeader) {
        let Some((before, walked)) = self.previous.take() else { return };
        let whole = walked.lost.is_empty() && walked.end == SegmentEnd::Sealed && !walked.repaired;
        let offset = u64::try_from(walked.offset).unwrap_or(u64::MAX);
        let wrong = if header.before != before || !whole {
            None
        } else if header.before_end != offset {
            Some(format!("ends here, the next segment says at {}", header.before_end))
        } else if walked.digest_known && header.digest != walked.digest {
            Some("its frames are not those that the next segment follows".to_owned())
        } else {
            None
        };
        if let Some(what) = wrong {
            self.damage(before, offset, 0, &what);
            self.mend_seal(before, walked.first_lsn, &walked);
        }
        self.previous = Some((before, walked));
    }

    /// The header that a torn first commit should have left.
    fn header(&self, run: u32, found: &ScannedSegment) -> SegmentHeader {
        // Where it is not known what came before, nothing is said of it.
        let previous = self.previous.as_ref().filter(|_| found.context.digest.is_some());
        let (before, before_end) =
            previous.map_or((0, 0), |(before, walked)| (*before, walked.offset));
        SegmentHeader {
            identity: self.identity,
            envelope: self
                .meta
                .envelope
                .map(|_| found.head.envelope().unwrap_or(KeyEnvelope::LOST)),
            number: found.file.number,
            first_lsn: found.context.first_lsn,
            run,
            segment_bytes: u64::try_from(found.bytes).unwrap_or(u64::MAX),
            before,
            before_end: u64::try_from(before_end).unwrap_or(u64::MAX),
            digest: found.context.digest.unwrap_or_default(),
            read_compat: 0,
            // Not known: then what is behind its frames counts as torn, and is overwritten.
            recycled: false,
        }
    }
}
