//! Queues frames behind the tail, in memory. There must be room.

use super::{Commit, QueuedChunk};
use crate::error::{Error, ErrorKind};
use crate::frame::{
    self, BodySeal, FrameFields, FrameHeader, KIND_HOST_MIN, KIND_MARK, KIND_RUN, KIND_SEAL, Place,
};
use crate::limits::{FRAME_HEADER_BYTES, LSN_MAX, SEAL_BODY_BYTES, frame_bytes};
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
        let key = key.filter(|_| !cfg!(bug = "key-in-the-header-alone"));
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
            !tail.sealed && !tail.closed && end + seal <= tail.segment_bytes
        })
    }

    /// Queues the seal of the tail.
    pub(super) fn push_seal(&mut self, store: [u8; 16]) -> Result<(), Error> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let seal = SealBody {
            store,
            number: tail.number,
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
        let number = self.next_lsn;
        let exhausted = || Error::new(ErrorKind::Full, "the log has no further LSN");
        let lsn = Lsn::from_u64(number).ok_or_else(exhausted)?;
        let next_lsn =
            number.checked_add(1).filter(|next| *next < LSN_MAX).ok_or_else(exhausted)?;
        let Some(tail) = &mut self.tail else {
            return Err(Error::corrupt("a frame was queued without a segment"));
        };
        if tail.closed && kind != KIND_SEAL {
            return Err(Error::corrupt("a frame was queued behind those of an earlier opening"));
        }
        let delta = u32::try_from(number - tail.first_lsn).map_err(|_beyond| exhausted())?;
        let lag = match self.synced {
            0 => 0,
            synced => u32::try_from(number - synced).unwrap_or(0),
        };
        let fields =
            FrameFields { lsn_delta: delta, run: self.run, synced_lag: lag, time, kind, flags };
        let begins_chunk =
            self.queue.last().is_none_or(|c| c.number != tail.number || c.end.is_some());
        if begins_chunk {
            self.queue.push(QueuedChunk {
                file: tail.file.clone(),
                number: tail.number,
                offset: tail.offset,
                bytes: self.spare_bytes.pop().unwrap_or_default(),
                end: None,
            });
        }
        let Some(chunk) = self.queue.last_mut() else { return Err(exhausted()) };
        let key = tail.key.as_deref().filter(|_| kind >= KIND_HOST_MIN);
        let seal = key
            .map(|key| move |header: &FrameHeader, body: &mut [u8]| key.seal(header, number, body));
        let seal = seal.as_ref().map(|seal| seal as BodySeal<'_>);
        let header = frame::encode_with(&mut chunk.bytes, tail.salt, fields, parts, seal);
        self.queued_bytes += header.frame_bytes();
        let offset = u32::try_from(tail.offset).map_err(|_beyond| exhausted())?;
        let place = Place { segment: tail.number, offset };
        if Waypoints::are_at(tail.count) {
            self.passed.push((tail.count, number, place));
        }
        tail.offset += u64::try_from(header.frame_bytes()).unwrap_or(u64::MAX);
        tail.count = tail.count.saturating_add(1);
        tail.digest = header.digest_after(tail.digest);
        tail.last_lsn = number;
        self.next_lsn = next_lsn;
        self.marked = false;
        Ok((lsn, place))
    }
}
