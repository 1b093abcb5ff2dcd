//! What fuzz targets need of the inside. Not part of the interface.

use crate::checksum::{Digest, crc_from, salt};
use crate::fields;
use crate::frame::{self, Frame, Head};
use crate::limits::{self, frame_bytes};
use crate::run::{RunBody, SealBody, Stamp};
use crate::walk::{self, Context};

/// Decodes a frame and checks what must hold of whatever passes: its size, and that encoding its
/// fields again gives the same bytes.
///
/// Returns the size of the frame; `None` if the bytes are not one.
///
/// # Panics
///
/// If one of these does not hold.
#[must_use]
pub fn decode_frame(bytes: &[u8], salt: u32) -> Option<usize> {
    let (header, body) = frame::decode(bytes, salt).ok()?;
    let frame = bytes.get(..header.frame_bytes())?;
    assert!(!body.is_empty(), "an empty body passed");
    let head = Head {
        lsn_delta: header.lsn_delta,
        run: header.run,
        synced_lag: header.synced_lag,
        time: header.time,
        kind: header.kind,
        flags: header.flags,
    };
    let mut again = Vec::new();
    let written = frame::encode(&mut again, salt, head, &[body]);
    assert_eq!((written, again.len()), (header, frame.len()), "encoding again differs");
    Some(frame.len())
}

/// A frame whose body is `body`, to start from.
#[must_use]
pub fn encode_frame(salt: u32, body: &[u8]) -> Vec<u8> {
    let head = Head { lsn_delta: 1, run: 1, synced_lag: 1, time: 0, kind: 16, flags: 0 };
    let mut out = Vec::new();
    frame::encode(&mut out, salt, head, &[body]);
    out
}

/// The size of the block before the first frame.
pub const HEADER_BLOCK_BYTES: usize = limits::HEADER_BLOCK_BYTES;

/// Which segment it is, and what is known of the log around it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The store's number.
    pub store: [u8; 16],
    /// The segment's number.
    pub number: u64,
    /// LSN of its first frame.
    pub first_lsn: u64,
    /// Lowest run that belongs here.
    pub run: u32,
    /// Running digest before it.
    pub digest: Digest,
    /// What `meta` says was synced.
    pub synced: u64,
    /// A later segment was begun.
    pub later_in_use: bool,
    /// Behind its frames stand bytes of an earlier segment.
    pub recycled: bool,
}

impl Known {
    /// What starts the checksums of its frames.
    #[must_use]
    pub fn salt(&self) -> u32 {
        salt(&self.store, self.number)
    }
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// At a seal frame.
    Sealed,
    /// At a place where the log goes on.
    Open,
    /// In damage whose end cannot be told.
    Lost,
}

/// What the judge says of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// How it ends.
    pub end: End,
    /// Offset after the last frame that was kept.
    pub offset: usize,
    /// Frames that were kept.
    pub frames: u64,
    /// LSN of the last of them.
    pub last_lsn: u64,
    /// Highest LSN of anything that looked like a frame.
    pub highest_lsn: u64,
    /// Offset after the last frame that is proven synced.
    pub proven: usize,
    /// Bytes that cannot be used: offset and size.
    pub lost: Vec<(usize, usize)>,
    /// Size of the torn tail.
    pub torn_bytes: usize,
    /// Whole frames in it: offset and size.
    pub in_doubt: Vec<(usize, usize)>,
}

/// Walks a segment's bytes as opening a log does.
pub fn walk(image: &[u8], known: &Known, visit: &mut dyn FnMut(&Frame<'_>)) -> Verdict {
    let context = Context {
        number: known.number,
        store: known.store,
        salt: known.salt(),
        first_lsn: known.first_lsn,
        run: known.run,
        last_lsn: known.first_lsn.saturating_sub(1),
        digest: Some(known.digest),
        synced: known.synced,
        later_in_use: known.later_in_use,
        recycled: known.recycled,
    };
    let walked = walk::walk(image, &context, visit);
    Verdict {
        end: match walked.end {
            walk::End::Sealed => End::Sealed,
            walk::End::Open => End::Open,
            walk::End::Lost => End::Lost,
        },
        offset: walked.offset,
        frames: walked.frames,
        last_lsn: walked.last_lsn,
        highest_lsn: walked.highest_lsn,
        proven: walked.proven,
        lost: walked.lost.iter().map(|lost| (lost.offset, lost.bytes)).collect(),
        torn_bytes: walked.torn_bytes,
        in_doubt: walked.in_doubt,
    }
}

/// The fields of a frame that a fuzz target chooses freely.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// LSN less the segment's first one.
    pub lsn_delta: u32,
    /// The run.
    pub run: u32,
    /// LSN less the highest synced one.
    pub synced_lag: u32,
    /// What it is; below [`crate::KIND_HOST_MIN`] it belongs to the log.
    pub kind: u8,
    /// The kind's own bits, and bit 7: more of the batch follows.
    pub flags: u8,
}

/// A frame with right checksums and any fields, sensible or not.
#[must_use]
pub fn forge_frame(salt: u32, fields: Fields, body: &[u8]) -> Vec<u8> {
    let Fields { lsn_delta, run, synced_lag, kind, flags } = fields;
    let mut out = Vec::new();
    frame::encode(
        &mut out,
        salt,
        Head { lsn_delta, run, synced_lag, time: 0, kind, flags },
        &[body],
    );
    out
}

/// Makes the checksum of a slot of `meta` right again after its fields were changed.
pub fn reseal_slot(slot: &mut [u8]) {
    let count = slot.get(168..172).and_then(|bytes| fields::Fields(bytes).u32()).unwrap_or(0);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(limits::RANGES_MAX);
    reseal(slot, limits::SLOT_FIXED_BYTES + 16 * count);
}

/// Makes the checksum of a segment's header right again after its fields were changed.
pub fn reseal_header(block: &mut [u8]) {
    reseal(block, limits::HEADER_BYTES - 4);
}

/// Writes the checksum of the first `covered` bytes behind them.
fn reseal(bytes: &mut [u8], covered: usize) {
    let crc = bytes.get(..covered).map_or(0, |covered| crc_from(0, covered));
    if let Some(to) = bytes.get_mut(covered..covered + 4) {
        to.copy_from_slice(&crc.to_le_bytes());
    }
}

/// A frame of a [`Draft`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drafted {
    /// Its number.
    pub lsn: u64,
    /// Its run.
    pub run: u32,
    /// What it says was synced; 0: nothing.
    pub synced: u64,
    /// What it is.
    pub kind: u8,
    /// The next frame belongs to the same batch.
    pub has_more: bool,
    /// Where it begins.
    pub offset: usize,
    /// Its size.
    pub bytes: usize,
}

/// A segment that is written frame by frame, as the log would.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The bytes so far; what is not written is as it was given.
    pub image: Vec<u8>,
    /// The frames that belong to the log, in order.
    pub frames: Vec<Drafted>,
    known: Known,
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
    pub fn new(image: Vec<u8>, known: Known) -> Self {
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
        self.put(frame::KIND_RUN, 0, &body.encode());
    }

    /// Writes a frame of the host.
    pub fn host(&mut self, kind: u8, has_more: bool, body: &[u8]) {
        let flags = if has_more { frame::MORE } else { 0 };
        self.put(kind.max(frame::KIND_HOST_MIN), flags, body);
    }

    /// Writes a mark.
    pub fn mark(&mut self) {
        self.put(frame::KIND_MARK, 0, &self.digest.get().to_le_bytes());
    }

    /// Writes the seal.
    pub fn seal(&mut self) {
        let seal = SealBody {
            store: self.known.store,
            number: self.known.number,
            first_lsn: self.known.first_lsn,
            digest: self.digest,
            count: u32::try_from(self.frames.len()).unwrap_or(u32::MAX),
            after: self.last_lsn,
        };
        self.put(frame::KIND_SEAL, 0, &seal.encode());
    }

    /// Writes a frame; there must be room.
    fn put(&mut self, kind: u8, flags: u8, body: &[u8]) {
        let lsn = self.next_lsn;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
        let head = Head {
            lsn_delta: narrow(lsn - self.known.first_lsn),
            run: self.run,
            synced_lag: if self.synced == 0 { 0 } else { narrow(lsn - self.synced) },
            time: 0,
            kind,
            flags,
        };
        let mut out = Vec::new();
        let header = frame::encode(&mut out, self.known.salt(), head, &[body]);
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
