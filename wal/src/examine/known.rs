//! Segments of which the host knows what reading them would show: they are not read.
//!
//! Of such a segment the header block is read all the same, and its end is held against what the next segment's header
//! says of it, or against its seal: what is known of it is of this segment, and of all its frames as they were written.
//! Whether the bytes between are still those, [`FinishedSegments::check`](crate::FinishedSegments::check) finds out.

use super::judge::Examination;
use super::scanned_segment::Shows;
use super::segment_file::SegmentFile;
use crate::checksum::salt;
use crate::error::Error;
use crate::frame::{self, Place};
use crate::header::{READ_COMPAT_KNOWN, SegmentHeader};
use crate::known::KnownSegment;
use crate::limits::{SEAL_BODY_BYTES, frame_bytes};
use crate::lsn::Lsn;
use crate::sealing::SegmentBodies;
use crate::segment::Segment;

/// Size of a seal frame.
const SEAL_FRAME_BYTES: usize = frame_bytes(SEAL_BODY_BYTES);

impl Examination<'_> {
    /// Takes what is known of a segment for what reading it would find, if that fits. Returns whether it does.
    pub(super) fn take_known(&mut self, known: &KnownSegment) -> Result<bool, Error> {
        let Some(header) = self.fitting(known)? else { return Ok(false) };
        let number = known.number;
        self.read_only_for |= header.read_compat & !READ_COMPAT_KNOWN;
        self.judge_before(&header);
        self.forget_file(number);
        let walked = known.walked();
        self.report.frames += walked.frames;
        self.report.unchecked.push(number);
        self.last_frame = walked.last_lsn;
        self.highest_lsn = self.highest_lsn.max(walked.highest_lsn);
        self.highest_run = self.highest_run.max(walked.highest_run);
        self.segments.insert(Segment {
            number,
            salt: salt(&known.store, number),
            first_lsn: known.first_lsn,
            last_lsn: known.last_lsn,
            used_bytes: known.used_bytes,
            written_bytes: known.used_bytes,
            file_bytes: known.file_bytes,
            damaged: false,
            unread: false,
            unchecked: Some(known.ends),
            waypoints: known.waypoints.clone(),
            bodies: SegmentBodies::Clear,
            envelope: None,
        });
        self.previous = Some((number, walked));
        Ok(true)
    }

    /// The header of the segment that this fits; `None`: it has to be read.
    fn fitting(&self, known: &KnownSegment) -> Result<Option<SegmentHeader>, Error> {
        let number = known.number;
        // Only with a segment behind it a segment is surely finished. Bodies that are sealed have to be opened.
        let is_apt = number < self.last_in_use
            && self.shows == Shows::All
            && self.meta.envelope.is_none()
            && known.store == self.meta.identity.store;
        let Some((header, bytes)) = self.headers.get(&number).filter(|_| is_apt) else {
            return Ok(None);
        };
        let (last_lsn, run) =
            self.previous.as_ref().map_or((0, 0), |(_, walked)| (walked.last_lsn, walked.run));
        let goes_on = header.first_lsn > last_lsn && header.run >= run;
        if onceward_vfs::planted!("summary-of-another-log-is-believed") {
            return Ok(Some(*header));
        }
        if !goes_on || !known.begins_with(header, *bytes) {
            return Ok(None);
        }
        let next = self.headers.range(number.saturating_add(1)..).next();
        let is_ended = match next.and_then(|(_, (next, _))| known.ends_before(next)) {
            Some(is_ended) => is_ended,
            None => self.has_seal(known)?,
        };
        Ok(Some(*header).filter(|_| is_ended))
    }

    /// Whether the segment ends with the seal that is known of it.
    fn has_seal(&self, known: &KnownSegment) -> Result<bool, Error> {
        let used = usize::try_from(known.used_bytes).unwrap_or(usize::MAX);
        let Some(offset) = used.checked_sub(SEAL_FRAME_BYTES) else { return Ok(false) };
        let Some(file) = SegmentFile::open(self.vfs, known.number, known.store)? else {
            return Ok(false);
        };
        let (mut buffer, mut unreadable) = (Vec::new(), Vec::new());
        let piece = file.piece(&mut buffer, offset, SEAL_FRAME_BYTES, &mut unreadable)?;
        let salt = salt(&known.store, known.number);
        let Ok((header, body)) = frame::decode(piece.bytes, salt) else { return Ok(false) };
        let lsn = known.first_lsn.checked_add(u64::from(header.lsn_delta)).and_then(Lsn::from_u64);
        let place = Place { segment: known.number, offset: 0 };
        Ok(lsn.is_some_and(|lsn| known.ends_with(&header.frame(lsn, body, place))))
    }
}
