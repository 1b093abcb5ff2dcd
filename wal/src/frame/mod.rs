//! One frame: header and body, checksummed apart. No I/O and no policy here.

mod headers;

pub(crate) use self::headers::HeaderChecksums;
use crate::checksum::{ChecksumStart, Digest, Salted};
use crate::fields::FieldDecoder;
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, TAG_BYTES, frame_bytes};
use crate::lsn::Lsn;

const CRC_BYTES: usize = 4;
/// Where a header has the size of the body.
const LEN_OFFSET: usize = 2 * CRC_BYTES;
const _: () = assert!(
    FRAME_HEADER_BYTES == CRC_BYTES + CRC_BYTES + 4 + 4 + 4 + 4 + 4 + 1 + 1,
    "FORMAT.md says 30"
);

/// The next frame belongs to the same atomic batch.
pub(crate) const MORE: u8 = 0b1000_0000;
/// First frame of a run, and of a segment.
pub(crate) const KIND_RUN: u8 = 1;
/// Carries the `synced` watermark when nothing else does.
pub(crate) const KIND_MARK: u8 = 2;
/// Last frame of a finished segment.
pub(crate) const KIND_SEAL: u8 = 3;
/// Stands in for frames that were lost: its LSN is the last one of them.
pub(crate) const KIND_LOST: u8 = 4;
/// Lowest kind that belongs to the host; those below belong to the log.
pub const KIND_HOST_MIN: u8 = 16;

/// The header of a frame, as it is in the bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct FrameHeader {
    pub(crate) header_crc: u32,
    pub(crate) body_crc: u32,
    pub(crate) len: u32,
    pub(crate) lsn_delta: u32,
    pub(crate) run: u32,
    pub(crate) synced_lag: u32,
    pub(crate) time: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
}

/// The fields of a frame's header that an encoder is given; the others follow from the body.
#[derive(Clone, Copy, Debug)]
pub struct FrameFields {
    /// LSN less the segment's first one.
    pub lsn_delta: u32,
    /// The run in which it was written.
    pub run: u32,
    /// LSN less the highest synced one.
    pub synced_lag: u32,
    /// Milliseconds; of a lost frame how many numbers it stands for.
    pub time: u32,
    /// The kind; below [`KIND_HOST_MIN`] the frame belongs to the log.
    pub kind: u8,
    /// The kind's own bits, and bit 7: more of the batch follows.
    pub flags: u8,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FrameError {
    /// The bytes end before the frame does.
    Short,
    /// A frame never has an empty body.
    Empty,
    /// The header is not what was written.
    HeaderChecksum,
    /// The body is not what was written.
    BodyChecksum,
}

/// The place of a frame in the log.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The segment's number.
    pub segment: u64,
    /// Offset of the frame's first byte in the segment.
    pub offset: u32,
}

/// A frame of the log, borrowed from its segment.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The frame's number.
    pub lsn: Lsn,
    /// The run in which it was written.
    pub run: u32,
    /// Milliseconds since the run's first frame was made.
    pub time_ms: u32,
    /// The kind; below [`KIND_HOST_MIN`] the frame belongs to the log.
    pub kind: u8,
    /// The kind's own bits, without the batch bit.
    pub flags: u8,
    /// The frame's content.
    pub body: &'a [u8],
    /// The frame's place.
    pub place: Place,
    /// The frame's header as it is there.
    pub(crate) stored: FrameHeader,
}

impl Frame<'_> {
    /// The bytes that it takes in its segment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.stored.frame_bytes()
    }

    /// Returns this frame without its body, to be kept longer than the segment's bytes.
    #[must_use]
    pub fn without_body(&self) -> Frame<'static> {
        self.with_body(&[])
    }

    /// The bytes of its header, from which [`Frame::known`] makes it again.
    #[must_use]
    pub fn header(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[..CRC_BYTES].copy_from_slice(&self.stored.header_crc.to_le_bytes());
        out[CRC_BYTES..LEN_OFFSET].copy_from_slice(&self.stored.body_crc.to_le_bytes());
        out[LEN_OFFSET..].copy_from_slice(&self.stored.fields());
        out
    }

    /// The frame at `place`, whose header has these bytes, in a segment that begins with this LSN. Nothing is checked
    /// again, and the body is what the caller kept of it.
    #[must_use]
    pub fn known<'b>(
        header: &[u8; FRAME_HEADER_BYTES],
        first_lsn: u64,
        place: Place,
        body: &'b [u8],
    ) -> Option<Frame<'b>> {
        let header = fields(header)?;
        let lsn = Lsn::from_u64(first_lsn.checked_add(u64::from(header.lsn_delta))?)?;
        Some(header.frame(lsn, body, place))
    }

    /// Returns this frame with another copy of its body.
    #[must_use]
    pub fn with_body<'b>(&self, body: &'b [u8]) -> Frame<'b> {
        let Self { lsn, run, time_ms, kind, flags, body: _, place, stored } = *self;
        Frame { lsn, run, time_ms, kind, flags, body, place, stored }
    }
}

impl FrameHeader {
    /// The bytes of the whole frame in its segment.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(usize::try_from(self.len).unwrap_or(usize::MAX - FRAME_HEADER_BYTES - 8))
    }

    /// The frame of this header, with what the header alone does not have.
    pub(crate) fn frame<'a>(&self, lsn: Lsn, body: &'a [u8], place: Place) -> Frame<'a> {
        let Self { run, time, kind, flags, .. } = *self;
        let flags = flags & !MORE;
        Frame { lsn, run, time_ms: time, kind, flags, body, place, stored: *self }
    }

    /// Whether the next frame belongs to the same batch.
    pub(crate) fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }

    /// The highest LSN that was synced when the frame with the number `lsn` was written; 0: not known.
    pub(crate) fn synced(&self, lsn: u64) -> u64 {
        if self.synced_lag == 0 { 0 } else { lsn.saturating_sub(u64::from(self.synced_lag)) }
    }

    /// The digest after this frame.
    pub(crate) fn digest_after(&self, before: Digest) -> Digest {
        before.after(self.header_crc, self.body_crc)
    }
}

/// Seals the body of the frame with this header in place, and returns the tag that goes behind it.
pub(crate) type BodySeal<'s> = &'s dyn Fn(&FrameHeader, &mut [u8]) -> [u8; TAG_BYTES];

/// Appends a frame to `out` and returns its header. The body is the concatenation of `parts`, not empty.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    salt: u32,
    fields: FrameFields,
    parts: &[&[u8]],
) -> FrameHeader {
    let (start, body_bytes) = (out.len(), parts.iter().map(|part| part.len()).sum());
    out.resize(start + frame_bytes(body_bytes), 0);
    let write = |body: &mut [u8]| write_parts(parts, body);
    let area = out.get_mut(start..).unwrap_or_default();
    let salted = Salted::new(salt);
    let checksums = &mut HeaderChecksums::new(&salted, 1);
    encode_in(area, (&salted, checksums), (fields, body_bytes), write, None).unwrap_or_default()
}

/// Writes the parts one behind the other.
pub(crate) fn write_parts(parts: &[&[u8]], body: &mut [u8]) {
    let mut rest = body;
    for part in parts {
        let Some((to, behind)) = rest.split_at_mut_checked(part.len()) else { return };
        to.copy_from_slice(part);
        rest = behind;
    }
}

/// Makes a frame in `area`, just as many bytes as the frame has; `None`: they are fewer. `write` gets the place of the
/// body, which is not empty, with whatever was there before.
#[inline]
pub(crate) fn encode_in(
    area: &mut [u8],
    (salted, of_headers): (&Salted, &mut HeaderChecksums<'_>),
    (fields, body_bytes): (FrameFields, usize),
    write: impl FnOnce(&mut [u8]),
    seal: Option<BodySeal<'_>>,
) -> Option<FrameHeader> {
    debug_assert!(body_bytes > 0, "a frame never has an empty body");
    let tag_bytes = if seal.is_some() { TAG_BYTES } else { 0 };
    // The padding is within these.
    *area.last_chunk_mut()? = [0; FRAME_ALIGN_BYTES];
    let (head, padded) = area.split_first_chunk_mut::<FRAME_HEADER_BYTES>()?;
    let (body, behind) = padded.split_at_mut_checked(body_bytes)?;
    let len = u32::try_from(body_bytes + tag_bytes).unwrap_or(u32::MAX);
    let mut header = FrameHeader::new(len, fields);
    write(body);
    if let Some(seal) = seal {
        *behind.first_chunk_mut()? = seal(&header, body);
    }
    header.body_crc = salted.crc(padded);
    header.write(of_headers, head);
    Some(header)
}

impl FrameHeader {
    /// A header whose checksums are not known yet.
    fn new(len: u32, fields: FrameFields) -> Self {
        let FrameFields { lsn_delta, run, synced_lag, time, kind, flags } = fields;
        Self { header_crc: 0, body_crc: 0, len, lsn_delta, run, synced_lag, time, kind, flags }
    }

    /// The bytes of its fields behind the checksums.
    #[inline]
    pub(crate) fn fields(&self) -> [u8; FRAME_HEADER_BYTES - LEN_OFFSET] {
        let mut out = [0; FRAME_HEADER_BYTES - LEN_OFFSET];
        out[..4].copy_from_slice(&self.len.to_le_bytes());
        out[4..8].copy_from_slice(&self.lsn_delta.to_le_bytes());
        out[8..12].copy_from_slice(&self.run.to_le_bytes());
        out[12..16].copy_from_slice(&self.synced_lag.to_le_bytes());
        out[16..20].copy_from_slice(&self.time.to_le_bytes());
        out[20..].copy_from_slice(&[self.kind, self.flags]);
        out
    }

    /// Writes the header's bytes and its checksum.
    #[inline]
    fn write(&mut self, checksums: &mut HeaderChecksums<'_>, bytes: &mut [u8; FRAME_HEADER_BYTES]) {
        bytes[CRC_BYTES..LEN_OFFSET].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[LEN_OFFSET..].copy_from_slice(&self.fields());
        self.header_crc = checksums.of(self, bytes);
        bytes[..CRC_BYTES].copy_from_slice(&self.header_crc.to_le_bytes());
    }
}

/// The checksum of a header's bytes behind it.
#[inline]
fn header_crc<S: ChecksumStart>(salt: S, covered: &[u8]) -> u32 {
    if onceward_vfs::planted!("length-outside-the-checksum") {
        let (before, rest) = covered.split_at(covered.len().min(4));
        return salt.crc(before).crc(rest.get(4..).unwrap_or_default());
    }
    salt.crc(covered)
}

/// Whether a frame could begin here, as far as its length shows: most bytes that are no frame fail.
#[inline]
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    let len = bytes.get(LEN_OFFSET..).and_then(<[u8]>::first_chunk).copied();
    let len = usize::try_from(u32::from_le_bytes(len.unwrap_or_default())).unwrap_or(usize::MAX);
    len != 0 && len <= bytes.len().saturating_sub(FRAME_HEADER_BYTES)
}

/// Whether `bytes` begin with a header whose checksum is right, however long its frame is.
pub(crate) fn has_header<S: ChecksumStart>(bytes: &[u8], salt: S) -> bool {
    bytes.first_chunk::<FRAME_HEADER_BYTES>().is_some_and(|raw| {
        let (crc, covered) = raw.split_at(CRC_BYTES);
        *crc == header_crc(salt, covered).to_le_bytes()
    })
}

/// Decodes the header at the start of `bytes`, where a frame that fits into `bytes` should be.
///
/// Never panics and never allocates, whatever `bytes` holds.
#[inline]
pub(crate) fn decode_header<S: ChecksumStart>(
    bytes: &[u8],
    salt: S,
) -> Result<FrameHeader, FrameError> {
    let raw = bytes.first_chunk::<FRAME_HEADER_BYTES>().ok_or(FrameError::Short)?;
    // Before anything else: it is cheap, and most bytes that are no frame fail here.
    let len =
        raw.get(LEN_OFFSET..).and_then(|rest| FieldDecoder(rest).u32()).ok_or(FrameError::Short)?;
    if len == 0 {
        return Err(FrameError::Empty);
    }
    if usize::try_from(len).map_or(true, |len| len > bytes.len()) {
        return Err(FrameError::Short);
    }
    let header = fields(raw).ok_or(FrameError::Short)?;
    if header.frame_bytes() > bytes.len() {
        return Err(FrameError::Short);
    }
    let covered = raw.get(CRC_BYTES..).unwrap_or_default();
    if header_crc(salt, covered) != header.header_crc {
        return Err(FrameError::HeaderChecksum);
    }
    Ok(header)
}

/// Decodes the frame at the start of `bytes`: header and body.
#[inline]
pub(crate) fn decode<S: ChecksumStart>(
    bytes: &[u8],
    salt: S,
) -> Result<(FrameHeader, &[u8]), FrameError> {
    let header = decode_header(bytes, salt)?;
    let padded = bytes.get(FRAME_HEADER_BYTES..header.frame_bytes()).ok_or(FrameError::Short)?;
    if salt.crc(padded) != header.body_crc {
        return Err(FrameError::BodyChecksum);
    }
    let len = usize::try_from(header.len).map_err(|_beyond| FrameError::Short)?;
    let body = padded.get(..len).ok_or(FrameError::Short)?;
    Ok((header, body))
}

/// The frame at the start of `bytes` that [`decode`] took before: nothing is checked again.
pub(crate) fn known(bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let header = fields(bytes.first_chunk()?)?;
    let len = usize::try_from(header.len).ok()?;
    let body = bytes.get(FRAME_HEADER_BYTES..)?.get(..len)?;
    Some((header, body))
}

/// The header's fields, unchecked.
fn fields(raw: &[u8; FRAME_HEADER_BYTES]) -> Option<FrameHeader> {
    let mut fields = FieldDecoder(raw);
    Some(FrameHeader {
        header_crc: fields.u32()?,
        body_crc: fields.u32()?,
        len: fields.u32()?,
        lsn_delta: fields.u32()?,
        run: fields.u32()?,
        synced_lag: fields.u32()?,
        time: fields.u32()?,
        kind: fields.u8()?,
        flags: fields.u8()?,
    })
}

#[cfg(test)]
mod tests;
