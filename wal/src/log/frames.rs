//! Queues frames behind the tail, in memory. There must be room.

use std::sync::Arc;

use super::buffer::ChunkBytes;
use super::new_frame::{AppendFrame, NewFrame, Placed};
use super::{ActiveSegment, Commit, QueuedChunk};
use crate::checksum::Digest;
use crate::error::{Error, ErrorKind};
use crate::frame::{
    self, BodySeal, FrameFields, FrameHeader, HeaderChecksums, KIND_HOST_MIN, KIND_MARK, KIND_RUN,
    KIND_SEAL, MORE, Place,
};
use crate::limits::{FRAME_HEADER_BYTES, LSN_MAX, SEAL_BODY_BYTES, TAG_BYTES, frame_bytes};
use crate::lsn::Lsn;
use crate::run::{REPAIRED, RunBody, SealBody};
use crate::sealing::KeyEnvelope;
use crate::waypoints::Waypoints;

/// Room that must stay for the seal of a segment.
pub(super) const SEAL_FRAME_BYTES: usize = frame_bytes(SEAL_BODY_BYTES);
/// Size of the smallest mark.
pub(super) const MARK_FRAME_BYTES: usize = frame_bytes(8);
/// Bytes of a mark frame that are padding.
const MARK_PADDING_BYTES: usize = MARK_FRAME_BYTES - FRAME_HEADER_BYTES - 8;

impl Commit {
    /// Queues a run frame.
    pub(super) fn push_run(&mut self, flags: u8) -> Result<(), Error> {
        let after = self.tail.as_ref().map_or(self.last_lsn, |tail| tail.last_lsn);
        let body = RunBody { stamp: self.stamp, lsn: self.next_lsn, after }.encode();
        let key = self.tail.as_ref().and_then(|tail| tail.key.clone());
        let key = key.filter(|_| !onceward_vfs::planted!("key-in-the-header-alone"));
        let pushed = match key.map(|key| key.envelope()) {
            None => self.push(KIND_RUN, flags, 0, &[&body]),
            Some(KeyEnvelope { key, secret }) => {
                self.push(KIND_RUN, flags, 0, &[&body, &key, &secret])
            }
        };
        pushed.map(|_| ())
    }

    /// Queues a mark of `bytes` bytes: the digest and zeros.
    pub(super) fn push_mark(&mut self, bytes: u64) -> Result<Lsn, Error> {
        const ZEROS: [u8; 2 * 4096] = [0; 2 * 4096];
        let digest = self.tail.as_ref().map_or(self.digest, |tail| tail.digest);
        let digest = digest.get().to_le_bytes();
        let zeros = usize::try_from(bytes).unwrap_or(0).saturating_sub(MARK_FRAME_BYTES);
        // The smallest one has two bytes of padding; a larger one has none, being longer by eights.
        let zeros = if zeros == 0 { 0 } else { zeros + MARK_PADDING_BYTES };
        let zeros = ZEROS.get(..zeros).unwrap_or_default();
        self.push(KIND_MARK, 0, 0, &[&digest, zeros]).map(|(lsn, _)| lsn)
    }

    /// Queues a mark that is a commit by itself.
    pub(super) fn push_mark_alone(&mut self) -> Result<Lsn, Error> {
        let offset = self.tail.as_ref().map_or(0, |tail| tail.offset);
        let lsn = self.push_mark(self.alignment.mark_bytes(offset))?;
        self.marked = true;
        Ok(lsn)
    }

    /// Whether a mark fits behind the tail.
    pub(super) fn has_room_for_mark(&self) -> bool {
        let seal = u64::try_from(SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        self.tail.as_ref().is_some_and(|tail| {
            let end = tail.offset + self.alignment.mark_bytes(tail.offset);
            !tail.sealed && !tail.closed && end + seal <= tail.space.bytes
        })
    }

    /// Queues the seal of the tail.
    pub(super) fn push_seal(&mut self, store: [u8; 16]) -> Result<(), Error> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let seal = SealBody {
            store,
            number: tail.space.number,
            first_lsn: tail.first_lsn,
            digest: tail.digest,
            count: tail.count,
            after: tail.last_lsn,
        };
        let flags = if tail.unread { REPAIRED } else { 0 };
        self.push(KIND_SEAL, flags, 0, &[&seal.encode()])?;
        if let Some(tail) = &mut self.tail {
            tail.sealed = true;
        }
        let end = self.tail.clone();
        if let Some(chunk) = self.queue.last_mut() {
            chunk.end = end;
        }
        Ok(())
    }

    /// Queues one frame behind the tail; there must be room.
    pub(super) fn push(
        &mut self,
        kind: u8,
        flags: u8,
        time: u32,
        parts: &[&[u8]],
    ) -> Result<(Lsn, Place), Error> {
        let frame = NewFrame { kind, flags, parts };
        let tail = self.tail.as_ref();
        let is_sealed = kind >= KIND_HOST_MIN && tail.is_some_and(|tail| tail.key.is_some());
        let bytes = frame_bytes(frame.body_bytes() + if is_sealed { TAG_BYTES } else { 0 });
        let batch = FrameBatch { count: 1, bytes, time, is_seal: kind == KIND_SEAL };
        let queued = self.push_all(std::iter::once(&frame), batch, &mut |_| {})?;
        Ok((queued.first, queued.place))
    }

    /// Queues frames behind the tail, all or none; there must be room. Says of each where it is.
    pub(super) fn push_all<F: AppendFrame>(
        &mut self,
        frames: impl Iterator<Item = F>,
        batch: FrameBatch,
        placed: &mut impl FnMut(Placed),
    ) -> Result<QueuedBatch, Error> {
        let count = u64::try_from(batch.count).unwrap_or(u64::MAX);
        let first = Lsn::from_u64(self.next_lsn).ok_or_else(exhausted)?;
        let next_lsn = self
            .next_lsn
            .checked_add(count)
            .filter(|next| *next < LSN_MAX)
            .ok_or_else(exhausted)?;
        let last = Lsn::from_u64(next_lsn - 1).ok_or_else(exhausted)?;
        let Some(tail) = &mut self.tail else {
            return Err(Error::corrupt("a frame was queued without a segment"));
        };
        if tail.closed && !batch.is_seal {
            return Err(Error::corrupt("a frame was queued behind those of an earlier opening"));
        }
        let is_begun = |c: &QueuedChunk| c.space.number == tail.space.number && c.end.is_none();
        if !self.queue.last().is_some_and(is_begun) {
            self.queue.push(QueuedChunk {
                space: Arc::clone(&tail.space),
                offset: tail.offset,
                bytes: self.spare_bytes.pop().unwrap_or_default(),
                end: None,
            });
        }
        let Some(chunk) = self.queue.last_mut() else { return Err(exhausted()) };
        let making = Making {
            start: chunk.bytes.len(),
            bytes: &mut chunk.bytes,
            passed: (self.passed.len(), &mut self.passed),
            tail,
            run: self.run,
            synced: self.synced,
        };
        let numbers = (first.get(), last.get());
        let (place, digest) = making.all(frames, batch, numbers, placed)?;
        tail.offset += u64::try_from(batch.bytes).unwrap_or(u64::MAX);
        tail.count = tail.count.saturating_add(u32::try_from(batch.count).unwrap_or(u32::MAX));
        tail.digest = digest;
        tail.last_lsn = last.get();
        self.queued_bytes += batch.bytes;
        self.next_lsn = next_lsn;
        self.marked = false;
        Ok(QueuedBatch { first, last, place })
    }
}

/// What frames that are queued together have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBatch {
    /// How many they are.
    pub(super) count: usize,
    /// What they take in all.
    pub(super) bytes: usize,
    pub(super) time: u32,
    /// It is the seal of the segment.
    pub(super) is_seal: bool,
}

/// Where a batch was queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuedBatch {
    pub(super) first: Lsn,
    pub(super) last: Lsn,
    pub(super) place: Place,
}

/// Makes the frames of a batch. Takes them back unless all were made: they write themselves, and may panic.
struct Making<'a> {
    bytes: &'a mut ChunkBytes,
    /// What is kept of `bytes` otherwise.
    start: usize,
    /// The same of the frames that can be found by their LSN, and these.
    passed: (usize, &'a mut Vec<(u32, u64, Place)>),
    tail: &'a ActiveSegment,
    run: u32,
    synced: u64,
}

impl Making<'_> {
    /// Makes all, with numbers from the first to the last. Returns the place of the first, and the digest after the
    /// last.
    fn all<F: AppendFrame>(
        mut self,
        frames: impl Iterator<Item = F>,
        batch: FrameBatch,
        (first, last): (u64, u64),
        placed: &mut impl FnMut(Placed),
    ) -> Result<(Place, Digest), Error> {
        let Self { bytes, passed, tail, run, synced, .. } = &mut self;
        let mut rest = bytes.grow(batch.bytes);
        let offset = u32::try_from(tail.offset).map_err(|_beyond| changed_size())?;
        let mut place = Place { segment: tail.space.number, offset };
        let (mut number, mut count, mut digest) = (first, tail.count, tail.digest);
        let mut checksums = HeaderChecksums::new(&tail.salted, batch.count);
        for frame in frames {
            let (kind, body_bytes) = (frame.kind(), frame.body_bytes());
            let more = if number < last { MORE } else { 0 };
            let lag = if *synced == 0 { 0 } else { number.wrapping_sub(*synced) };
            let lsn_delta = u32::try_from(number.wrapping_sub(tail.first_lsn));
            let (Ok(lsn_delta), Some(lsn)) = (lsn_delta, Lsn::from_u64(number)) else {
                return Err(exhausted());
            };
            let fields = FrameFields {
                lsn_delta,
                run: *run,
                synced_lag: u32::try_from(lag).unwrap_or(0),
                time: batch.time,
                kind,
                flags: frame.flags() | more,
            };
            let key = tail.key.as_deref().filter(|_| kind >= KIND_HOST_MIN);
            let seal = key.map(|key| {
                move |header: &FrameHeader, body: &mut [u8]| key.seal(header, number, body)
            });
            let seal = seal.as_ref().map(|seal| seal as BodySeal<'_>);
            let tag_bytes = if seal.is_some() { TAG_BYTES } else { 0 };
            let taken = frame_bytes(body_bytes.saturating_add(tag_bytes));
            let cut = std::mem::take(&mut rest).split_at_mut_checked(taken);
            let (area, behind) = cut.filter(|_| body_bytes > 0).ok_or_else(changed_size)?;
            rest = behind;
            let write = |body: &mut [u8]| frame.write_body(body);
            let sums = (&tail.salted, &mut checksums);
            let header = frame::encode_in(area, sums, (fields, body_bytes), write, seal);
            digest = header.ok_or_else(changed_size)?.digest_after(digest);
            if Waypoints::are_at(count) {
                passed.1.push((count, number, place));
            }
            let bytes = u32::try_from(taken).unwrap_or(u32::MAX);
            placed(Placed { lsn, place, bytes });
            place.offset = place.offset.saturating_add(bytes);
            count = count.saturating_add(1);
            number += 1;
        }
        if !rest.is_empty() || number != last + 1 {
            return Err(changed_size());
        }
        self.start = self.bytes.len();
        self.passed.0 = self.passed.1.len();
        Ok((Place { offset, ..place }, digest))
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.bytes.truncate(self.start);
        self.passed.1.truncate(self.passed.0);
    }
}

/// The error where numbers are used up.
fn exhausted() -> Error {
    Error::new(ErrorKind::Full, "the log has no further LSN")
}

/// The error of who says another size or number of frames at the second call.
fn changed_size() -> Error {
    Error::invalid("the frames are not as many bytes as they said before")
}
