//! Frames that are in one stretch of a segment, read with one call.

use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use crate::checksum::Salted;
use crate::error::{Error, ErrorKind};
use crate::frame::{self, Frame, FrameError, FrameHeader, Place};
use crate::identity::Identity;
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES};
use crate::lsn::Lsn;
use crate::name;
use crate::sealing::{BodyRefusal, SegmentBodies};
use crate::sync::Mutex;

/// Memory of stretches that were read, to be used again: new memory would be filled with zeros first.
#[derive(Debug, Default)]
pub(crate) struct SpareBytes(Mutex<Vec<u8>>);

/// Most bytes that are kept for the next stretch.
const SPARE_BYTES_MAX: usize = 256 * 1024;

impl SpareBytes {
    /// At least so many bytes, whatever is in them.
    fn take(&self, count: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut *self.0.lock());
        if bytes.len() < count {
            bytes = vec![0; count];
        }
        bytes
    }

    /// Keeps bytes for the next one who asks.
    fn give_back(&self, bytes: Vec<u8>) {
        if bytes.len() <= SPARE_BYTES_MAX {
            *self.0.lock() = bytes;
        }
    }
}

/// Bytes of a segment, in which whoever knows where frames are finds them.
#[derive(Debug)]
pub struct FrameSpan {
    /// What was read, and behind it whatever was in this memory.
    bytes: Vec<u8>,
    /// How many bytes were read.
    count: usize,
    /// Of a sealed segment: where whole frames begin in `bytes`, and how much of each body, which is opened
    /// in place, is the host's.
    opened: Option<Vec<(usize, Result<usize, BodyRefusal>)>>,
    /// Offset of the first byte.
    offset: u32,
    source: Source,
    salted: Salted,
    identity: Identity,
    /// Where the memory goes, if it may hold nothing that the file does not show.
    spare: Option<Arc<SpareBytes>>,
}

impl Drop for FrameSpan {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            spare.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// Header and body of a frame, or why the body cannot be shown.
type Decoded<'s> = (FrameHeader, Result<&'s [u8], BodyRefusal>);

/// Reads the bytes at these offsets, into spare memory if there is any.
pub(crate) fn read(
    identity: &Identity,
    source: Option<Source>,
    (segment, offsets): (u64, Range<u32>),
    spare: Option<&Arc<SpareBytes>>,
) -> Result<FrameSpan, Error> {
    let path = name::segment(&identity.store, segment);
    let at = u64::from(offsets.start);
    let source =
        source.ok_or_else(|| Error::corrupt("the segment is no longer there").at(&path, at))?;
    let asked = usize::try_from(offsets.end.saturating_sub(offsets.start)).unwrap_or(0);
    let sealed = !matches!(source.bodies, SegmentBodies::Clear);
    let spare = spare.filter(|_| !sealed);
    let mut bytes = spare.map_or_else(|| vec![0; asked], |spare| spare.take(asked));
    let read = bytes.get_mut(..asked).unwrap_or_default();
    let count = source
        .file
        .read_at(at, read)
        .map_err(|source| Error::io(source, "read", &path).at(&path, at))?;
    let opened = sealed.then(|| open_all(bytes.get_mut(..count).unwrap_or_default(), &source));
    Ok(FrameSpan {
        bytes,
        count,
        opened,
        offset: offsets.start,
        salted: Salted::new(source.salt),
        source,
        identity: *identity,
        spare: spare.cloned(),
    })
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
    #[inline]
    pub fn frame(&self, place: Place, bytes: u32, lsn: Lsn) -> Result<Frame<'_>, Error> {
        let path = || name::segment(&self.identity.store, place.segment);
        let wrong = |what: &str| Error::corrupt(what).at(&path(), u64::from(place.offset));
        let first = place.offset.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        let count = usize::try_from(bytes).unwrap_or(usize::MAX);
        let range = first.filter(|_| place.segment == self.source.number);
        let range = range.map(|first| first..first.saturating_add(count));
        let read = self.bytes.get(..self.count).unwrap_or_default();
        let found = range.and_then(|range| read.get(range));
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
            let (header, body) = frame::decode(found, &self.salted)?;
            return Ok((header, Ok(body)));
        };
        let index = opened.binary_search_by_key(&at, |(at, _)| *at);
        let Some((_, host)) = index.ok().and_then(|index| opened.get(index)) else {
            // Whatever is wrong with it, it was not whole when it was read.
            return Err(frame::decode(found, &self.salted).err().unwrap_or(FrameError::Short));
        };
        // Its checksums were right before it was opened.
        let (header, body) = frame::known(found).ok_or(FrameError::Short)?;
        let host = host.clone().map(|bytes| body.get(..bytes).unwrap_or_default());
        Ok((header, host))
    }
}
