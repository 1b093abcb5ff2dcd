//! Walks the frames of one segment's bytes and judges what is not a frame.
//!
//! Pure: bytes in, verdict out. It reads nothing, repairs nothing and skips nothing silently; what is
//! lost comes back as a range. The labels (`torn`, `lost`, ...) are the rows of the table in
//! `FORMAT.md`, section Recovery.
//!
//! Bytes come in pieces, so that a whole segment need not be in memory: [`SegmentWalk::go_on`] takes the frames
//! of a piece as long as they are those that belong, and asks for another piece where they are not.
//! Only a piece that reaches the end of the file is judged (`verdict`), because what is behind a
//! bad frame decides what it is.

mod verdict;

use std::collections::VecDeque;

use crate::checksum::{Digest, Salted};
use crate::frame::{self, Frame, FrameHeader, KIND_LOST, KIND_RUN, KIND_SEAL, Place};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};
use crate::lsn::Lsn;
use crate::report::LostLsns;
use crate::resync::Resync;
use crate::run::{RunBody, SealBody};
use crate::waypoints::Waypoints;

/// The context of a segment, which is known before its frames are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) number: u64,
    pub(crate) store: [u8; 16],
    pub(crate) salt: u32,
    pub(crate) first_lsn: u64,
    /// Lowest run that belongs here.
    pub(crate) run: u32,
    /// The last LSN before this segment, 0 for none.
    pub(crate) last_lsn: u64,
    /// Running digest before this segment, if it is known.
    pub(crate) digest: Option<Digest>,
    /// Everything up to here was synced, whatever the frames say.
    pub(crate) synced: u64,
    /// A later segment was begun, so this one was synced to its end.
    pub(crate) later_in_use: bool,
    /// Behind its frames are bytes of an earlier segment.
    pub(crate) recycled: bool,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SegmentEnd {
    /// At a seal frame.
    Sealed,
    /// At a place where the log goes on.
    Open,
    /// In damage whose end cannot be known: nothing may be written behind it.
    Lost,
}

/// Bytes that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UnusableRange {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    /// Where frames go on: the last LSN that is lost. `None`: they do not, in this segment.
    pub(crate) last_lsn: Option<u64>,
    /// The frames that were there.
    pub(crate) lsns: Option<LostLsns>,
    /// The prefix before the lost bytes.
    pub(crate) before: KeptPrefix,
    pub(crate) what: String,
}

/// The outcome of a walk: what a segment holds.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) first_lsn: u64,
    pub(crate) end: SegmentEnd,
    /// Offset after the last frame that was kept.
    pub(crate) offset: usize,
    pub(crate) frames: u64,
    /// Frames that the segment should hold up to here, for its seal: those kept.
    pub(crate) count: u32,
    pub(crate) digest: Digest,
    /// Whether `digest` started from a known one.
    pub(crate) digest_known: bool,
    pub(crate) last_lsn: u64,
    pub(crate) run: u32,
    /// Highest LSN and run of anything that looked like a frame, kept or not.
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
    /// The prefix before the seal, or before the end if there is none.
    pub(crate) before_end: KeptPrefix,
    /// Offset after the last frame that is proven synced.
    pub(crate) proven: usize,
    pub(crate) lost: Vec<UnusableRange>,
    /// An earlier repair left frames in place of what was lost: count and digest are not those that were
    /// first written.
    pub(crate) repaired: bool,
    /// Size of the torn tail; 0 for none.
    pub(crate) torn_bytes: usize,
    /// Whole frames in the torn tail: offset and size.
    pub(crate) in_doubt: Vec<(usize, usize)>,
    pub(crate) waypoints: Waypoints,
    /// The boot of the machine in which the last frame was written; zeros: not known.
    pub(crate) boot: [u8; 16],
    /// The bytes where the log ends, when that was judged.
    pub(crate) behind: Option<[u8; FRAME_HEADER_BYTES]>,
}

/// Consecutive bytes of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    /// Offset of the bytes in the file.
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
    /// The bytes reach the end of the file.
    pub(crate) is_last: bool,
}

impl Piece<'static> {
    /// For a file of `bytes` bytes none of which can be used.
    pub(crate) fn missing(bytes: usize) -> Self {
        Self { offset: bytes, bytes: &[], is_last: true }
    }
}

impl<'a> Piece<'a> {
    /// The bytes from `offset` of the file on.
    fn from(&self, offset: usize) -> &'a [u8] {
        offset.checked_sub(self.offset).and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// Offset after the last byte.
    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

/// The frames of a segment that are kept so far; an unfinished batch goes back to an earlier prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KeptPrefix {
    pub(crate) offset: usize,
    pub(crate) frames: u64,
    pub(crate) count: u32,
    pub(crate) digest: Digest,
    pub(crate) last_lsn: u64,
    pub(crate) run: u32,
}

/// Walks `image`, the whole bytes of a segment, and shows every frame that belongs to the log to
/// `visit`, in order; frames of a batch only once its last one was found.
pub(crate) fn walk(image: &[u8], context: &Context, visit: &mut dyn FnMut(&Frame<'_>)) -> Walked {
    let mut walk = SegmentWalk::new(context);
    walk.go_on(Piece { offset: 0, bytes: image, is_last: true }, visit);
    walk.finish()
}

/// A walk under way.
#[derive(Debug)]
pub(crate) struct SegmentWalk<'c> {
    context: &'c Context,
    /// Its salt.
    salted: Salted,
    kept: KeptPrefix,
    before_batch: Option<KeptPrefix>,
    /// LSN and end of the frames kept that are not proven yet.
    unproven: VecDeque<(u64, usize)>,
    /// Highest LSN that is proven synced.
    synced: u64,
    out: Walked,
}

impl<'c> SegmentWalk<'c> {
    /// A walk before the first frame.
    pub(crate) fn new(context: &'c Context) -> Self {
        let kept = KeptPrefix {
            offset: HEADER_BLOCK_BYTES,
            frames: 0,
            count: 0,
            digest: context.digest.unwrap_or_default(),
            last_lsn: context.last_lsn,
            run: context.run,
        };
        Self {
            context,
            salted: Salted::new(context.salt),
            kept,
            before_batch: None,
            unproven: VecDeque::new(),
            synced: context.synced,
            out: Walked {
                first_lsn: context.first_lsn,
                end: SegmentEnd::Open,
                offset: kept.offset,
                frames: 0,
                count: 0,
                digest: kept.digest,
                digest_known: context.digest.is_some(),
                last_lsn: kept.last_lsn,
                run: kept.run,
                highest_lsn: kept.last_lsn,
                highest_run: kept.run,
                before_end: kept,
                proven: kept.offset,
                lost: Vec::new(),
                repaired: false,
                torn_bytes: 0,
                in_doubt: Vec::new(),
                waypoints: Waypoints::default(),
                boot: [0; 16],
                behind: None,
            },
        }
    }

    /// Walks the frames of `piece`, which begins where this walk is or before.
    ///
    /// Returns from where on another piece is needed, or `None` when the walk is over. The same offset
    /// as that of the piece: the next one has to be longer.
    pub(crate) fn go_on(
        &mut self,
        piece: Piece<'_>,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Option<usize> {
        let mut shown = Shown { visit, batch: Vec::new() };
        let mut resync =
            Resync::new(piece.offset, piece.bytes, self.context.salt, self.context.first_lsn);
        loop {
            let before = self.kept;
            match frame::decode(piece.from(before.offset), &self.salted) {
                Ok((header, body)) if self.belongs(&header, body) => {
                    self.keep(header, body, &mut shown);
                    if header.kind == KIND_SEAL {
                        self.out.end = SegmentEnd::Sealed;
                        self.out.before_end = before;
                        self.judge_seal(before, &header, body);
                        break;
                    }
                }
                Ok(_) | Err(_) if !piece.is_last => {
                    self.leave_batch();
                    return Some(self.kept.offset);
                }
                Ok(_) | Err(_) => {
                    if !self.judge(piece, &mut resync, &mut shown) {
                        break;
                    }
                }
            }
        }
        if self.out.end != SegmentEnd::Open {
            self.release_batch(&mut shown);
        }
        None
    }

    /// Returns the outcome.
    pub(crate) fn finish(self) -> Walked {
        let KeptPrefix { offset, frames, count, digest, last_lsn, run } = self.kept;
        let before_end =
            if self.out.end == SegmentEnd::Sealed { self.out.before_end } else { self.kept };
        Walked { offset, frames, count, digest, last_lsn, run, before_end, ..self.out }
    }

    /// Whether a valid frame is the one that should be here.
    fn belongs(&self, header: &FrameHeader, body: &[u8]) -> bool {
        let Some(lsn) = self.lsn(header) else { return false };
        if header.run < self.kept.run && !onceward_vfs::planted!("stale-frame-of-the-same-segment")
        {
            return false;
        }
        if lsn == self.kept.last_lsn + 1 {
            // One that stands in for none has the number of the frame before: that one is not here.
            return header.kind != KIND_LOST || header.time > 0;
        }
        // Run and seal declare the gap that a failed append or a torn tail left before them.
        let after = match header.kind {
            KIND_RUN => RunBody::decode(body).map(|run| run.after),
            KIND_SEAL => SealBody::decode(body).map(|seal| seal.after),
            // Stands in for so many frames that were lost, up to its own LSN.
            KIND_LOST => return lsn.checked_sub(header.time.into()) == Some(self.kept.last_lsn),
            _ => None,
        };
        after.is_some_and(|after| lsn > self.kept.last_lsn && after == self.kept.last_lsn)
    }

    fn lsn(&self, header: &FrameHeader) -> Option<u64> {
        self.context.first_lsn.checked_add(u64::from(header.lsn_delta))
    }

    /// Takes a frame that belongs here.
    fn keep<'a>(&mut self, header: FrameHeader, body: &'a [u8], shown: &mut Shown<'a, '_>) {
        let Some(number) = self.lsn(&header) else { return };
        let Some(lsn) = Lsn::from_u64(number) else { return };
        if header.has_more() && self.before_batch.is_none() {
            self.before_batch = Some(self.kept);
        }
        let offset = u32::try_from(self.kept.offset).unwrap_or(u32::MAX);
        let place = Place { segment: self.context.number, offset };
        let frame = header.frame(lsn, body, place);
        if self.before_batch.is_none() {
            (shown.visit)(&frame);
        } else {
            shown.batch.push(frame);
        }
        self.out.repaired |= header.kind == KIND_LOST;
        if header.kind == KIND_RUN {
            self.out.boot = RunBody::decode(body).map_or([0; 16], |run| run.stamp.boot);
        } else if header.run != self.kept.run {
            // A seal of a run whose run frame would have come behind it.
            self.out.boot = [0; 16];
        }
        self.out.waypoints.pass(self.kept.count, number, offset);
        self.kept = KeptPrefix {
            offset: self.kept.offset + header.frame_bytes(),
            frames: self.kept.frames + 1,
            count: self.kept.count.saturating_add(1),
            digest: header.digest_after(self.kept.digest),
            last_lsn: number,
            run: header.run,
        };
        self.saw(number, header.run);
        self.prove(number, header.synced(number));
        if !header.has_more() {
            self.release_batch(shown);
        }
    }

    /// Shows the frames of a batch that is complete, or that damage has cut into and whose frames
    /// prove themselves.
    fn release_batch(&mut self, shown: &mut Shown<'_, '_>) {
        for frame in shown.batch.drain(..) {
            (shown.visit)(&frame);
        }
        self.before_batch = None;
    }

    /// Goes back to where the unfinished batch began: a further piece shows it whole.
    fn leave_batch(&mut self) {
        if let Some(before) = self.before_batch.take() {
            self.kept = before;
            self.unproven.retain(|(_, end)| *end <= before.offset);
            self.out.waypoints.forget_from(before.last_lsn + 1);
        }
    }

    /// Notes a number that was in use.
    fn saw(&mut self, lsn: u64, run: u32) {
        self.out.highest_lsn = self.out.highest_lsn.max(lsn);
        self.out.highest_run = self.out.highest_run.max(run);
    }

    /// Notes that everything up to `synced` was synced, and moves the end of what is proven.
    fn prove(&mut self, lsn: u64, synced: u64) {
        self.synced = self.synced.max(synced);
        if self.context.later_in_use {
            self.out.proven = self.kept.offset;
            return;
        }
        self.unproven.push_back((lsn, self.kept.offset));
        while let Some((lsn, end)) = self.unproven.front().copied()
            && lsn <= self.synced
        {
            self.out.proven = self.out.proven.max(end);
            self.unproven.pop_front();
        }
    }
}

/// Where frames are shown.
struct Shown<'a, 'v> {
    visit: &'v mut dyn FnMut(&Frame<'_>),
    /// Frames of a batch whose end was not found yet.
    batch: Vec<Frame<'a>>,
}

const _: () = assert!(HEADER_BLOCK_BYTES > FRAME_HEADER_BYTES);
