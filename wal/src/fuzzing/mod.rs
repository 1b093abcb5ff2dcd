//! What fuzz targets need of the inside. Not part of the interface.

mod draft;

use crate::checksum::{Digest, crc_from, salt};
use crate::fields;
pub use crate::frame::FrameFields;
use crate::frame::{self, Frame};
use crate::limits;
pub use crate::walk::SegmentEnd;
use crate::walk::{self, Context, Piece, SegmentWalk, Walked};
use crate::waypoints::Waypoints;
pub use draft::{Draft, Drafted};

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
    let fields = FrameFields {
        lsn_delta: header.lsn_delta,
        run: header.run,
        synced_lag: header.synced_lag,
        time: header.time,
        kind: header.kind,
        flags: header.flags,
    };
    let mut again = Vec::new();
    let written = frame::encode(&mut again, salt, fields, &[body]);
    assert_eq!((written, again.len()), (header, frame.len()), "encoding again differs");
    Some(frame.len())
}

/// A frame whose body is `body`, to start from.
#[must_use]
pub fn encode_frame(salt: u32, body: &[u8]) -> Vec<u8> {
    let fields = FrameFields { lsn_delta: 1, run: 1, synced_lag: 1, time: 0, kind: 16, flags: 0 };
    let mut out = Vec::new();
    frame::encode(&mut out, salt, fields, &[body]);
    out
}

/// Kind of the frame that a repair puts in the place of lost ones.
pub const KIND_LOST: u8 = frame::KIND_LOST;

/// The size of the block before the first frame.
pub const HEADER_BLOCK_BYTES: usize = limits::HEADER_BLOCK_BYTES;

/// Which segment it is, and what is known of the log around it.
#[derive(Clone, Copy, Debug)]
pub struct SegmentContext {
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
    /// The LSN that `meta` says was synced.
    pub synced: u64,
    /// A later segment was begun.
    pub later_in_use: bool,
    /// Behind its frames are bytes of an earlier segment.
    pub recycled: bool,
}

impl SegmentContext {
    /// The salt, which starts the checksums of the segment's frames.
    #[must_use]
    pub fn salt(&self) -> u32 {
        salt(&self.store, self.number)
    }
}

/// The outcome of a walk through a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WalkVerdict {
    /// The segment's end.
    pub end: SegmentEnd,
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
    /// Bytes that cannot be used.
    pub lost: Vec<LostBytes>,
    /// Size of the torn tail.
    pub torn_bytes: usize,
    /// Whole frames in it: offset and size.
    pub in_doubt: Vec<(usize, usize)>,
    /// The state with which the log goes on: count, digest and run.
    pub state: (u32, Digest, u32),
    waypoints: Waypoints,
}

/// Bytes that cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LostBytes {
    /// Offset of the first of the bytes.
    pub offset: usize,
    /// Count of the bytes.
    pub bytes: usize,
    /// The first LSN that is missing with them; none is if it is higher than `last_lsn`.
    pub first_lsn: u64,
    /// The last one; the highest there can be where that cannot be known.
    pub last_lsn: u64,
}

/// Walks a segment's bytes as opening a log does.
pub fn walk(
    image: &[u8],
    known: &SegmentContext,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> WalkVerdict {
    verdict(walk::walk(image, &context(known), visit))
}

/// As `walk`, reading pieces of the sizes that `next_size` gives.
pub fn walk_in_pieces(
    image: &[u8],
    known: &SegmentContext,
    next_size: &mut dyn FnMut() -> usize,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> WalkVerdict {
    let context = context(known);
    let mut walk = SegmentWalk::new(&context);
    let mut at = 0;
    let mut next = Some(0);
    while let Some(from) = next {
        // No way on in a piece: then all that is behind it.
        let bytes = if from == at && from > 0 { usize::MAX } else { next_size() };
        at = from;
        let rest = image.get(from..).unwrap_or_default();
        let piece = rest.get(..bytes).unwrap_or(rest);
        let is_last = piece.len() == rest.len();
        next = walk.go_on(Piece { offset: from, bytes: piece, is_last }, visit);
    }
    verdict(walk.finish())
}

/// The walk's context, which is known before the frames are read.
fn context(known: &SegmentContext) -> Context {
    Context {
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
    }
}

/// The verdict of a walk that is over.
fn verdict(walked: Walked) -> WalkVerdict {
    let lost = |lost: &walk::UnusableRange| LostBytes {
        offset: lost.offset,
        bytes: lost.bytes,
        first_lsn: lost.before.last_lsn + 1,
        last_lsn: lost.last_lsn.unwrap_or(u64::MAX),
    };
    WalkVerdict {
        end: walked.end,
        offset: walked.offset,
        frames: walked.frames,
        last_lsn: walked.last_lsn,
        highest_lsn: walked.highest_lsn,
        proven: walked.proven,
        lost: walked.lost.iter().map(lost).collect(),
        torn_bytes: walked.torn_bytes,
        in_doubt: walked.in_doubt,
        state: (walked.count, walked.digest, walked.run),
        waypoints: walked.waypoints,
    }
}

/// A frame with right checksums and any fields, sensible or not.
#[must_use]
pub fn forge_frame(salt: u32, fields: FrameFields, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode(&mut out, salt, fields, &[body]);
    out
}

/// Makes the checksum of a slot of `meta` right again after its fields were changed.
pub fn reseal_slot(slot: &mut [u8]) {
    let count = slot.get(168..172).and_then(|bytes| fields::FieldDecoder(bytes).u32()).unwrap_or(0);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(limits::RANGES_MAX);
    let is_sealed = slot.get(20).is_some_and(|bits| bits & 1 != 0);
    let key = if is_sealed { limits::DATA_KEY_BYTES } else { 0 };
    reseal(slot, limits::SLOT_FIXED_BYTES + key + 16 * count);
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
