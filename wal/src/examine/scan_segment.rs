//! Looks at one segment, twice where something seems damaged: a writer may be at work.

use super::head::SegmentHead;
use super::judge::Examination;
use super::scanned_segment::{ScannedSegment, Shows};
use super::segment_file::PIECE_BYTES;
use super::segment_file::SegmentFile;
use crate::checksum::salt;
use crate::error::Error;
use crate::frame::{Frame, KIND_MARK};
use crate::meta;
use crate::resync;
use crate::sealing::BodyOpener;
use crate::walk::{Piece, SegmentWalk};

impl Examination<'_> {
    /// Reads the frames of a segment into `buffer`; `None` if a writer at work trimmed it.
    pub(super) fn scan_segment(
        &self,
        file: &SegmentFile,
        buffer: &mut Vec<u8>,
        last_lsn: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<ScannedSegment>, Error> {
        let mut shown = 0;
        let mut each_once = |frame: &Frame<'_>| {
            if frame.lsn.get() > shown {
                shown = frame.lsn.get();
                visit(frame);
            }
        };
        let mut at_once = |frame: &Frame<'_>| {
            if self.shows == Shows::All {
                each_once(frame);
            }
        };
        let mut found = self.scan_once(file, buffer, last_lsn, &mut at_once)?;
        if found.as_ref().is_some_and(|found| !found.is_whole()) {
            // A writer at work may have changed the bytes while they were read.
            found = self.scan_once(file, buffer, last_lsn, &mut at_once)?;
        }
        let Some(mut found) = found else { return Ok(None) };
        if !found.is_whole() && self.was_trimmed(file.number)? {
            return Ok(None);
        }
        if found.walked.frames == 0 && found.walked.lost.is_empty() {
            // What its header says of the log before it holds, also if that was trimmed.
            found.walked.last_lsn = found.context.last_lsn;
        }
        if self.shows == Shows::Proven {
            let proven = found.walked.proven;
            let mut hidden = 0;
            self.scan_once(file, buffer, last_lsn, &mut |frame| {
                if usize::try_from(frame.place.offset).is_ok_and(|offset| offset < proven) {
                    each_once(frame);
                } else if frame.kind != KIND_MARK {
                    hidden += 1;
                }
            })?;
            found.hidden = hidden;
        }
        Ok(Some(found))
    }

    /// Reads a segment from its head to its end, or to its seal.
    fn scan_once(
        &self,
        file: &SegmentFile,
        buffer: &mut Vec<u8>,
        last_lsn: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<ScannedSegment>, Error> {
        let mut unreadable = Vec::new();
        let piece = file.piece(buffer, 0, PIECE_BYTES, &mut unreadable)?;
        let mut head = SegmentHead::of(piece.bytes, file.number, &file.store)?;
        // Another segment's header: the file is used again, and must not be read as this one.
        if head.header.is_none() && self.was_trimmed(file.number)? {
            return Ok(None);
        }
        let says_something = head.first_lsn().is_some();
        head.forget_below(last_lsn);
        if head.first_lsn().is_none() {
            unreadable.clear();
            let image = file.piece(buffer, 0, usize::MAX, &mut unreadable)?;
            head.told = resync::first_lsn_by_frames(image.bytes, salt(&file.store, file.number));
            head.forget_below(last_lsn);
        }
        let bodies = self.bodies(file.number, &head)?;
        let mut opener = BodyOpener::new(&bodies);
        let visit: &mut dyn FnMut(&Frame<'_>) = &mut |frame| opener.show(frame, visit);
        let mut context = self.context(file.number, &head, last_lsn);
        let mut next = Some(0);
        let may_follow = !says_something && self.follows_the_one_before(file.number);
        if head.first_lsn().is_none() && !may_follow {
            // Nothing says the numbers of its frames: they are not shown under others.
            context.later_in_use = true;
            next = None;
        }
        let mut walk = SegmentWalk::new(&context);
        if next.is_none() {
            walk.go_on(Piece::missing(file.len()?), visit);
        }
        let mut at = 0;
        while let Some(from) = next {
            // No way on in a piece: what is there can only be told with all that is behind it.
            let bytes = if from == at && from > 0 { usize::MAX } else { PIECE_BYTES };
            at = from;
            next = walk.go_on(file.piece(buffer, from, bytes, &mut unreadable)?, visit);
        }
        let walked = walk.finish();
        let BodyOpener { forged, without_key, .. } = opener;
        let (file, bytes) = (file.clone(), file.len()?);
        Ok(Some(ScannedSegment {
            file,
            bytes,
            head,
            context,
            walked,
            unreadable,
            hidden: 0,
            bodies,
            forged,
            without_key,
        }))
    }

    /// Whether a writer at work took a segment off the list since it was read, which it does before
    /// it touches the file.
    pub(super) fn was_trimmed(&self, number: u64) -> Result<bool, Error> {
        let now = meta::read(self.vfs)?.flatten();
        Ok(now.is_some_and(|meta| meta.has_trimmed(number)))
    }

    /// Whether a writer at work changed `meta` since it was read.
    pub(super) fn has_moved_on(&self) -> bool {
        let now = meta::read(self.vfs).ok().flatten().flatten();
        now.is_some_and(|now| now.generation != self.meta.generation)
    }
}
