//! Looks for whole frames behind bytes that are no frame. No I/O here.

use std::collections::BinaryHeap;

use crate::checksum::Salted;
use crate::frame::{self, FrameHeader, KIND_LOST, KIND_RUN, KIND_SEAL};
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};
use crate::run::{RunBody, SealBody};

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextFrame {
    pub(crate) offset: usize,
    pub(crate) lsn: u64,
    /// How many lost frames it stands in for, if it does.
    pub(crate) stands_in: Option<u32>,
}

/// The frames behind a place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resynced {
    /// The whole frame where reading goes on: the first of the longest chain of those that are in the order
    /// of their LSNs. So one that was written to a wrong place, before its own or behind it, does not take
    /// along those between.
    pub(crate) next: Option<NextFrame>,
    /// The highest LSN that any of them says was synced.
    pub(crate) synced: u64,
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
}

/// Searches the end of a segment, once: what a search noted answers whatever is asked later, so that many
/// damaged frames cost no more than one.
///
/// What is asked for only ever rises: place, run and LSN. So what does not count once never does again.
pub(crate) struct Resync<'a> {
    /// Where in the segment `bytes` begin.
    base: usize,
    bytes: &'a [u8],
    salted: Salted,
    first_lsn: u64,
    /// `None`: nobody asked yet.
    noted: Option<NotedFrames>,
}

/// All whole frames that a search found.
struct NotedFrames {
    /// Every whole frame, ascending by offset. What is inside the body of one is a part of that body.
    frames: Vec<WholeFrame>,
    /// Frames of the longest chain, the first on top.
    chain: Vec<usize>,
    /// None before this one counts any more.
    first: usize,
    /// LSNs that the frames say were synced, the highest on top, with the frame that says so.
    by_synced: BinaryHeap<(u64, usize)>,
    highest_lsn: u64,
    highest_run: u32,
}

/// A whole frame that was noted.
struct WholeFrame {
    offset: usize,
    bytes: usize,
    lsn: u64,
    run: u32,
    /// A repair wrote it in the place of so many lost ones; of none, with the LSN of the frame before.
    stands_in: Option<u32>,
}

impl WholeFrame {
    /// Whether it counts for who asks at `at` for a run of at least `run` and an LSN of at least `lsn`.
    fn counts(&self, at: usize, run: u32, lsn: u64) -> bool {
        self.offset >= at && self.run >= run && self.lsn >= lsn
    }
}

/// The longest chain of frames whose LSNs ascend with their offsets; the last one first. Of equally long ones
/// that with the lowest LSNs: less is then behind what could be the end of the log.
fn longest_chain(frames: &[WholeFrame]) -> Vec<usize> {
    let order =
        |index: usize| frames.get(index).map(|frame| (frame.lsn, frame.stands_in.is_some()));
    // For each length that a chain has so far: the frame with the lowest LSN that ends one.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(frames.len());
    for index in 0..frames.len() {
        let shorter = ends.partition_point(|end| order(*end) < order(index));
        before.push(shorter.checked_sub(1).and_then(|at| ends.get(at).copied()));
        match ends.get_mut(shorter) {
            Some(end) if order(*end) == order(index) => {}
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let last = ends.last().copied();
    std::iter::successors(last, |index| before.get(*index).copied().flatten()).collect()
}

impl<'a> Resync<'a> {
    /// Searches `bytes`, which are at `base` in their segment and reach its end.
    pub(crate) fn new(base: usize, bytes: &'a [u8], salt: u32, first_lsn: u64) -> Self {
        Self { base, bytes, salted: Salted::new(salt), first_lsn, noted: None }
    }

    /// The whole frames at `at` or behind it with a run of at least `run` and an LSN of at least `lsn`.
    ///
    /// Copies of this log's frames inside bodies do not count: they are older than what is missing,
    /// so their LSN is lower.
    pub(crate) fn after(&mut self, at: usize, run: u32, lsn: u64) -> Resynced {
        let mut noted = self.noted.take().unwrap_or_else(|| self.search(at, run, lsn));
        let counts = |index: usize| noted.frames.get(index).is_some_and(|f| f.counts(at, run, lsn));
        while let Some(index) = noted.chain.last()
            && !counts(*index)
        {
            noted.chain.pop();
        }
        while let Some((_, index)) = noted.by_synced.peek()
            && !counts(*index)
        {
            noted.by_synced.pop();
        }
        while noted.first < noted.frames.len() && !counts(noted.first) {
            noted.first += 1;
        }
        // Where numbers were left out since, the chain may be over and others not.
        let next = noted.frames.get(noted.chain.last().copied().unwrap_or(noted.first));
        let found = Resynced {
            next: next.map(|f| NextFrame { offset: f.offset, lsn: f.lsn, stands_in: f.stands_in }),
            synced: noted.by_synced.peek().map_or(0, |(synced, _)| *synced),
            highest_lsn: noted.highest_lsn,
            highest_run: noted.highest_run,
        };
        self.noted = Some(noted);
        found
    }

    /// Offset and size of the frames that [`Resync::after`] was asked for, one behind the other.
    pub(crate) fn whole(&self, at: usize, run: u32, lsn: u64) -> Vec<(usize, usize)> {
        let mut from = at;
        let mut whole = Vec::new();
        for frame in self.noted.iter().flat_map(|noted| noted.frames.iter()) {
            if frame.counts(from, run, lsn) {
                whole.push((frame.offset, frame.bytes));
                from = frame.offset + frame.bytes;
            }
        }
        whole
    }

    /// Notes every whole frame from `at` on, `at` included: what is there may belong further on.
    fn search(&self, at: usize, run: u32, lsn: u64) -> NotedFrames {
        let mut noted = NotedFrames {
            frames: Vec::new(),
            chain: Vec::new(),
            first: 0,
            by_synced: BinaryHeap::new(),
            highest_lsn: 0,
            highest_run: 0,
        };
        let mut from = at;
        while let Some((NextFrame { offset, lsn, stands_in }, header)) =
            self.next_frame(from, run, lsn)
        {
            noted.highest_lsn = noted.highest_lsn.max(lsn);
            noted.highest_run = noted.highest_run.max(header.run);
            noted.by_synced.push((header.synced(lsn), noted.frames.len()));
            let bytes = header.frame_bytes();
            noted.frames.push(WholeFrame { offset, bytes, lsn, run: header.run, stands_in });
            from = offset + bytes;
        }
        noted.chain = longest_chain(&noted.frames);
        noted
    }

    /// The first such frame at `from` or behind it.
    fn next_frame(&self, from: usize, run: u32, lsn: u64) -> Option<(NextFrame, FrameHeader)> {
        let mut at = from.checked_sub(self.base)?;
        while let Some(bytes) = self.bytes.get(at..) {
            if frame::may_begin(bytes) {
                if let Some(number) = self.lsn_of(bytes, run, lsn)
                    && let Ok((header, _body)) = frame::decode(bytes, &self.salted)
                {
                    let stands_in = (header.kind == KIND_LOST).then_some(header.time);
                    let offset = self.base + at;
                    return Some((NextFrame { offset, lsn: number, stands_in }, header));
                }
            } else if bytes.len() < FRAME_HEADER_BYTES {
                return None;
            } else if bytes.starts_with(ZEROS) {
                // No frame begins where its length would be zero; the last places have theirs behind.
                at += ZEROS.len() - 3 * FRAME_ALIGN_BYTES;
                continue;
            }
            at += FRAME_ALIGN_BYTES;
        }
        None
    }

    /// The LSN of a header that passes the cheap checks.
    fn lsn_of(&self, bytes: &[u8], run: u32, lsn: u64) -> Option<u64> {
        let header = frame::decode_header(bytes, &self.salted).ok()?;
        let number = self.first_lsn.checked_add(u64::from(header.lsn_delta))?;
        (header.run >= run && number >= lsn).then_some(number)
    }
}

/// The zeros that most of a segment's rest is: skipped in large steps.
const ZEROS: &[u8] = &[0; 1024];

/// Size of `bytes` without the zeros at its end.
pub(crate) fn without_zeros(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while bytes.get(..end).is_some_and(|bytes| bytes.ends_with(ZEROS)) {
        end -= ZEROS.len();
    }
    let rest = bytes.get(..end).unwrap_or_default();
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// The LSN of a segment's first frame by its run and seal frames, which have LSNs in their bodies.
pub(crate) fn first_lsn_by_frames(bytes: &[u8], salt: u32) -> Option<u64> {
    let resync = Resync::new(0, bytes, salt, 0);
    let mut from = HEADER_BLOCK_BYTES;
    while let Some((next, header)) = resync.next_frame(from, 0, 0) {
        let body = bytes.get(next.offset..).and_then(|bytes| frame::decode(bytes, salt).ok());
        let told = body.and_then(|(_, body)| match header.kind {
            KIND_RUN => RunBody::decode(body)?.lsn.checked_sub(u64::from(header.lsn_delta)),
            KIND_SEAL => SealBody::decode(body).map(|seal| seal.first_lsn),
            _ => None,
        });
        if told.is_some_and(|lsn| lsn > 0) {
            return told;
        }
        from = next.offset + header.frame_bytes();
    }
    None
}

/// Whether any frame of a segment is in its bytes.
pub(crate) fn has_frames(bytes: &[u8], salt: u32) -> bool {
    Resync::new(0, bytes, salt, 0).next_frame(HEADER_BLOCK_BYTES, 0, 0).is_some()
}

/// Whether frames of a segment, whose first LSN is not known, prove that its first commit was synced.
pub(crate) fn proves_itself(image: &[u8], salt: u32) -> bool {
    // As if the segment began here, so that what was synced before it stays below.
    const FIRST: u64 = 1 << 40;
    let found = Resync::new(0, image, salt, FIRST).after(HEADER_BLOCK_BYTES, 0, 0);
    found.synced >= FIRST
}
