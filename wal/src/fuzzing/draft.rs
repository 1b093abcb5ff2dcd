//! Writes a segment frame by frame, as the log and a repair of it would. No I/O here.

use super::SegmentContext;
use crate::checksum::Digest;
use crate::frame::{self, FrameFields};
use crate::limits::{self, frame_bytes};
use crate::run::{REPAIRED, RunBody, SealBody, Stamp};

/// A frame of a [`Draft`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drafted {
    /// The frame's number.
    pub lsn: u64,
    /// The frame's run.
    pub run: u32,
    /// The LSN that it says was synced; 0: none.
    pub synced: u64,
    /// The frame's kind.
    pub kind: u8,
    /// The next frame belongs to the same batch.
    pub has_more: bool,
    /// Offset of the frame.
    pub offset: usize,
    /// The frame's size.
    pub bytes: usize,
}

/// A segment that is written frame by frame, as the log would.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The bytes so far; what is not written is as it was given.
    pub image: Vec<u8>,
    /// The frames that belong to the log, in order.
    pub frames: Vec<Drafted>,
    known: SegmentContext,
    offset: usize,
    run: u32,
    next_lsn: u64,
    last_lsn: u64,
    synced: u64,
    digest: Digest,
}

impl Draft {
    /// Begins a segment over `image`: zeros, or what an earlier use left.
    #[must_use]
    pub fn new(image: Vec<u8>, known: SegmentContext) -> Self {
        Self {
            image,
            frames: Vec::new(),
            known,
            offset: limits::HEADER_BLOCK_BYTES,
            run: known.run,
            next_lsn: known.first_lsn,
            last_lsn: known.first_lsn.saturating_sub(1),
            synced: known.first_lsn.saturating_sub(1),
            digest: known.digest,
        }
    }

    /// Whether a frame with such a body, and a seal behind it, still fit.
    #[must_use]
    pub fn has_room(&self, body_bytes: usize) -> bool {
        let need = frame_bytes(body_bytes) + frame_bytes(limits::SEAL_BODY_BYTES);
        self.offset.checked_add(need).is_some_and(|end| end <= self.image.len())
    }

    /// The last LSN of which the log was told that it is synced.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// A sync covered everything so far.
    pub fn sync(&mut self) {
        self.synced = self.last_lsn;
    }

    /// Begins another run, after `unused` numbers that no frame has.
    pub fn next_run(&mut self, unused: u64) {
        self.run += 1;
        self.next_lsn += unused;
    }

    /// Writes the run frame.
    pub fn run(&mut self) {
        let body = RunBody { stamp: Stamp::default(), lsn: self.next_lsn, after: self.last_lsn };
        self.put(frame::KIND_RUN, (0, 0), &body.encode());
    }

    /// Writes a frame of the host.
    pub fn host(&mut self, kind: u8, has_more: bool, body: &[u8]) {
        let flags = if has_more { frame::MORE } else { 0 };
        self.put(kind.max(frame::KIND_HOST_MIN), (flags, 0), body);
    }

    /// Writes a mark, with `filling` zeros as one that fills a block.
    pub fn mark(&mut self, filling: usize) {
        let mut body = self.digest.get().to_le_bytes().to_vec();
        body.resize(body.len() + filling, 0);
        self.put(frame::KIND_MARK, (0, 0), &body);
    }

    /// Writes what a repair puts in the place of `numbers` lost frames, or of bytes that are no frame.
    pub fn lost(&mut self, numbers: u32, body_bytes: usize) {
        self.next_lsn = self.last_lsn + u64::from(numbers);
        self.put(frame::KIND_LOST, (0, numbers), &vec![0; body_bytes.max(1)]);
    }

    /// Writes the seal; one that a repair wrote leaves numbers out.
    pub fn seal(&mut self, repaired: bool) {
        let flags = if repaired { REPAIRED } else { 0 };
        self.next_lsn += 5 * u64::from(flags);
        let seal = SealBody {
            store: self.known.store,
            number: self.known.number,
            first_lsn: self.known.first_lsn,
            digest: self.digest,
            count: u32::try_from(self.frames.len()).unwrap_or(u32::MAX),
            after: self.last_lsn,
        };
        self.put(frame::KIND_SEAL, (flags, 0), &seal.encode());
    }

    /// Writes a frame; there must be room.
    fn put(&mut self, kind: u8, (flags, time): (u8, u32), body: &[u8]) {
        let lsn = self.next_lsn;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
        let by_repair = kind == frame::KIND_LOST || (kind, flags) == (frame::KIND_SEAL, REPAIRED);
        let fields = FrameFields {
            lsn_delta: narrow(lsn - self.known.first_lsn),
            run: self.run,
            synced_lag: if self.synced == 0 || by_repair { 0 } else { narrow(lsn - self.synced) },
            time,
            kind,
            flags,
        };
        let mut out = Vec::new();
        let header = frame::encode(&mut out, self.known.salt(), fields, &[body]);
        let Some(to) = self.image.get_mut(self.offset..self.offset + out.len()) else { return };
        to.copy_from_slice(&out);
        self.frames.push(Drafted {
            lsn,
            run: self.run,
            synced: header.synced(lsn),
            kind,
            has_more: flags & frame::MORE != 0,
            offset: self.offset,
            bytes: out.len(),
        });
        self.offset += out.len();
        self.digest = header.digest_after(self.digest);
        self.last_lsn = lsn;
        self.next_lsn = lsn + 1;
    }
}
