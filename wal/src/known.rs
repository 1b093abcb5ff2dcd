//! What a host knows of a finished segment, so that opening need not read it. No I/O here.
//!
//! The host keeps this beside what it needs of the segment's frames, wherever and as long as it likes: what does not
//! fit the segment that is there is not used, and the segment is read.

use crate::checksum::Digest;
use crate::fields::FieldDecoder;
use crate::frame::{Frame, KIND_SEAL};
use crate::header::SegmentHeader;
use crate::run::SealBody;
use crate::walk::{KeptPrefix, SegmentEnd, Walked};
use crate::waypoints::Waypoints;

/// What reading a finished segment said of it, when that found nothing wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownSegment {
    pub(crate) store: [u8; 16],
    pub(crate) number: u64,
    pub(crate) file_bytes: u64,
    pub(crate) first_lsn: u64,
    pub(crate) last_lsn: u64,
    /// Offset after its seal.
    pub(crate) used_bytes: u64,
    /// Running digest of the log before it, and up to its end.
    pub(crate) begins: Digest,
    pub(crate) ends: Digest,
    /// The run of its last frame.
    pub(crate) run: u32,
    pub(crate) count: u32,
    pub(crate) waypoints: Waypoints,
}

/// Who is shown a log, and knows some of its segments already.
pub trait KnowingReader {
    /// A frame that belongs to the log, the next one.
    fn frame(&mut self, frame: &Frame<'_>);

    /// What is known of a segment; `None`: it is read.
    fn known(&mut self, number: u64) -> Option<KnownSegment>;

    /// The frames of a segment that was known are next, and are not shown.
    fn pass(&mut self, number: u64);
}

impl KnownSegment {
    /// What a walk over a segment with this header found; `None`: it is not finished, or not whole.
    pub(crate) fn of(header: &SegmentHeader, file_bytes: u64, walked: &Walked) -> Option<Self> {
        let is_whole = walked.end == SegmentEnd::Sealed && walked.lost.is_empty();
        if !is_whole || walked.repaired || !walked.digest_known || walked.frames == 0 {
            return None;
        }
        Some(Self {
            store: header.identity.store,
            number: header.number,
            file_bytes,
            first_lsn: header.first_lsn,
            last_lsn: walked.last_lsn,
            used_bytes: u64::try_from(walked.offset).ok()?,
            begins: header.digest,
            ends: walked.digest,
            run: walked.run,
            count: walked.count,
            waypoints: walked.waypoints.clone(),
        })
    }

    /// The segment's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// LSN of its first frame.
    #[must_use]
    pub fn first_lsn(&self) -> u64 {
        self.first_lsn
    }

    /// LSN of its last frame.
    #[must_use]
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// Bytes of it that are in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Whether the segment with this header, in a file of this size, begins as this says.
    pub(crate) fn begins_with(&self, header: &SegmentHeader, file_bytes: u64) -> bool {
        (self.store, self.number) == (header.identity.store, header.number)
            && (self.first_lsn, self.begins) == (header.first_lsn, header.digest)
            && (self.file_bytes, self.file_bytes) == (header.segment_bytes, file_bytes)
            && self.used_bytes <= self.file_bytes
            && self.last_lsn >= self.first_lsn
            && self.run >= header.run
    }

    /// Whether the segment ends as the header of the one that follows it says; `None`: that says nothing of it.
    pub(crate) fn ends_before(&self, next: &SegmentHeader) -> Option<bool> {
        let is_next = next.before == self.number;
        is_next.then(|| (next.before_end, next.digest) == (self.used_bytes, self.ends))
    }

    /// Whether this frame, which was read at its end, is the seal that should be there.
    pub(crate) fn ends_with(&self, frame: &Frame<'_>) -> bool {
        let seal = SealBody::decode(frame.body).filter(|_| frame.kind == KIND_SEAL);
        seal.is_some_and(|seal| {
            (seal.store, seal.number, seal.first_lsn) == (self.store, self.number, self.first_lsn)
                && frame.lsn.get() == self.last_lsn
                && seal.count.checked_add(1) == Some(self.count)
                && frame.stored.digest_after(seal.digest) == self.ends
        })
    }

    /// What a walk would have found, but for which boot its last frame is of: a later segment follows.
    pub(crate) fn walked(&self) -> Walked {
        let offset = usize::try_from(self.used_bytes).unwrap_or(usize::MAX);
        let end = KeptPrefix {
            offset,
            frames: u64::from(self.count),
            count: self.count,
            digest: self.ends,
            last_lsn: self.last_lsn,
            run: self.run,
        };
        Walked {
            first_lsn: self.first_lsn,
            end: SegmentEnd::Sealed,
            offset,
            frames: end.frames,
            count: self.count,
            digest: self.ends,
            digest_known: true,
            last_lsn: self.last_lsn,
            run: self.run,
            highest_lsn: self.last_lsn,
            highest_run: self.run,
            before_end: end,
            proven: offset,
            lost: Vec::new(),
            repaired: false,
            torn_bytes: 0,
            in_doubt: Vec::new(),
            waypoints: self.waypoints.clone(),
            boot: [0; 16],
            behind: None,
        }
    }

    /// Appends its bytes: see the host's format.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.store);
        let numbers = [self.number, self.file_bytes, self.first_lsn, self.last_lsn];
        let more = [self.used_bytes, self.begins.get(), self.ends.get()];
        numbers.into_iter().chain(more).for_each(|it| out.extend_from_slice(&it.to_le_bytes()));
        out.extend_from_slice(&self.run.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        self.waypoints.encode(self.first_lsn, out);
    }

    /// Reads what [`KnownSegment::encode`] wrote at the front of `bytes`, and returns what is behind it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut fields = FieldDecoder(bytes);
        let known = Self {
            store: fields.bytes()?,
            number: fields.u64()?,
            file_bytes: fields.u64()?,
            first_lsn: fields.u64()?,
            last_lsn: fields.u64()?,
            used_bytes: fields.u64()?,
            begins: Digest::from_u64(fields.u64()?),
            ends: Digest::from_u64(fields.u64()?),
            run: fields.u32()?,
            count: fields.u32()?,
            waypoints: Waypoints::default(),
        };
        let waypoints = Waypoints::decode(known.first_lsn, &mut fields)?;
        Some((Self { waypoints, ..known }, fields.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownSegment {
        let mut waypoints = Waypoints::default();
        (0..200).for_each(|at| waypoints.pass(at, 5 + u64::from(at), 4096 + 40 * at));
        KnownSegment {
            store: [3; 16],
            number: 7,
            file_bytes: 1 << 20,
            first_lsn: 5,
            last_lsn: 204,
            used_bytes: 12_096,
            begins: Digest::from_u64(8),
            ends: Digest::from_u64(9),
            run: 2,
            count: 200,
            waypoints,
        }
    }

    #[test]
    fn it_comes_back_with_what_is_behind_it_and_not_from_fewer_bytes() {
        let mut bytes = Vec::new();
        known().encode(&mut bytes);
        let count = bytes.len();
        bytes.extend_from_slice(b"rest");
        assert_eq!(KnownSegment::decode(&bytes), Some((known(), b"rest".as_slice())));
        for cut in 0..count {
            assert_eq!(KnownSegment::decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
