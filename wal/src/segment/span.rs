//! Frames that stand in one stretch of a segment, read with one call.

use std::ops::Range;

use super::Source;
use crate::error::{Error, ErrorKind};
use crate::frame::{self, Frame, Place};
use crate::header::Identity;
use crate::lsn::Lsn;
use crate::name;

/// Bytes of a segment, in which whoever knows where frames stand finds them.
#[derive(Debug)]
pub struct Span {
    bytes: Vec<u8>,
    /// Offset of the first byte.
    offset: u32,
    source: Source,
    identity: Identity,
}

/// Reads the bytes at these offsets.
pub(crate) fn read(
    identity: &Identity,
    source: Option<Source>,
    segment: u64,
    offsets: Range<u32>,
) -> Result<Span, Error> {
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
    Ok(Span { bytes, offset: offsets.start, source, identity: *identity })
}

impl Span {
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
        let (header, body) = frame::decode(found, self.source.salt).map_err(|found| {
            if self.source.is_used_again() {
                let gone = Error::new(ErrorKind::Trimmed, "the segment was trimmed");
                return gone.at(&path(), u64::from(place.offset));
            }
            wrong(&format!("not a frame: {found:?}"))
        })?;
        if self.source.first_lsn.checked_add(u64::from(header.lsn_delta)) != Some(lsn.get()) {
            return Err(wrong(&format!("not the frame with LSN {lsn}")));
        }
        Ok(header.frame(lsn, body, place))
    }
}
