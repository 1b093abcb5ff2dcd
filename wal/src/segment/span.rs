//! Frames that are in one stretch of a segment, read with one call.

use std::ops::Range;

use super::source::Source;
use crate::error::{Error, ErrorKind};
use crate::frame::{self, Frame, FrameError, FrameHeader, Place};
use crate::identity::Identity;
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES};
use crate::lsn::Lsn;
use crate::name;
use crate::sealing::{BodyRefusal, SegmentBodies};

/// Bytes of a segment, in which whoever knows where frames are finds them.
#[derive(Debug)]
pub struct FrameSpan {
    bytes: Vec<u8>,
    /// Of a sealed segment: where whole frames begin in `bytes`, and how much of each body, which is opened
    /// in place, is the host's.
    opened: Option<Vec<(usize, Result<usize, BodyRefusal>)>>,
    /// Offset of the first byte.
    offset: u32,
    source: Source,
    identity: Identity,
}

/// Header and body of a frame, or why the body cannot be shown.
type Decoded<'s> = (FrameHeader, Result<&'s [u8], BodyRefusal>);

/// Reads the bytes at these offsets.
pub(crate) fn read(
    identity: &Identity,
    source: Option<Source>,
    segment: u64,
    offsets: Range<u32>,
) -> Result<FrameSpan, Error> {
    let path = name::segment(&identity.store, segment);
    let at = u64::from(offsets.start);
    let source =
        source.ok_or_else(|| Error::corrupt("the segment is no longer there").at(&path, at))?;
    let mut bytes =
        vec![0; usize::try_from(offsets.end.saturating_sub(offsets.start)).unwrap_or(0)];
    let count = source
        .file
        .read_at(at, &mut bytes)
        .map_err(|source| Error::io(source, "read", &path).at(&path, at))?;
    bytes.truncate(count);
    let sealed = !matches!(source.bodies, SegmentBodies::Clear);
    let opened = sealed.then(|| open_all(&mut bytes, &source));
    Ok(FrameSpan { bytes, opened, offset: offsets.start, source, identity: *identity })
}

/// Opens every whole frame in place.
fn open_all(bytes: &mut [u8], source: &Source) -> Vec<(usize, Result<usize, BodyRefusal>)> {
    let mut opened = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
        let Ok((header, body)) = frame::decode(rest, source.salt) else {
            at += FRAME_ALIGN_BYTES;
            continue;
        };
        let stored = body.len();
        let body = rest.get_mut(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + stored);
        let lsn = source.first_lsn.saturating_add(u64::from(header.lsn_delta));
        let host = source.bodies.open_in_place(&header, lsn, body.unwrap_or_default());
        opened.push((at, host));
        at += header.frame_bytes();
    }
    opened
}

impl FrameSpan {
    /// The frame `lsn` of `bytes` bytes at `place`, checked.
    ///
    /// # Errors
    ///
    /// `Corrupt`: the bytes there are not that frame, or were not read. `Trimmed`: its segment was.
    pub fn frame(&self, place: Place, bytes: u32, lsn: Lsn) -> Result<Frame<'_>, Error> {
        let path = || name::segment(&self.identity.store, place.segment);
        let wrong = |what: &str| Error::corrupt(what).at(&path(), u64::from(place.offset));
        let first = place.offset.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        let count = usize::try_from(bytes).unwrap_or(usize::MAX);
        let range = first.filter(|_| place.segment == self.source.number);
        let range = range.map(|first| first..first.saturating_add(count));
        let found = range.and_then(|range| self.bytes.get(range));
        let found = found.ok_or_else(|| wrong("not within what was read"))?;
        let (header, body) = self.decode(first.unwrap_or(0), found).map_err(|found| {
            if self.source.is_used_again() {
                let gone = Error::new(ErrorKind::Trimmed, "the segment was trimmed");
                return gone.at(&path(), u64::from(place.offset));
            }
            wrong(&format!("not a frame: {found:?}"))
        })?;
        if self.source.first_lsn.checked_add(u64::from(header.lsn_delta)) != Some(lsn.get()) {
            return Err(wrong(&format!("not the frame with LSN {lsn}")));
        }
        let body =
            body.map_err(|refusal| refusal.error(lsn.get()).at(&path(), u64::from(place.offset)))?;
        Ok(header.frame(lsn, body, place))
    }

    /// Header and body of the frame at the start of `found`, which begins at `at`.
    fn decode<'s>(&self, at: usize, found: &'s [u8]) -> Result<Decoded<'s>, FrameError> {
        let Some(opened) = &self.opened else {
            let (header, body) = frame::decode(found, self.source.salt)?;
            return Ok((header, Ok(body)));
        };
        let index = opened.binary_search_by_key(&at, |(at, _)| *at);
        let Some((_, host)) = index.ok().and_then(|index| opened.get(index)) else {
            // Whatever is wrong with it, it was not whole when it was read.
            return Err(frame::decode(found, self.source.salt).err().unwrap_or(FrameError::Short));
        };
        // Its checksums were right before it was opened.
        let (header, body) = frame::known(found).ok_or(FrameError::Short)?;
        let host = host.clone().map(|bytes| body.get(..bytes).unwrap_or_default());
        Ok((header, host))
    }
}
