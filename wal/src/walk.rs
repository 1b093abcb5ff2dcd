//! Walks the frames of one segment's bytes and judges what is not a frame.
//!
//! Pure: bytes in, verdict out. It reads nothing, repairs nothing and skips nothing silently; what is
//! lost comes back as a range. The labels (`torn`, `lost`, ...) are the rows of the table in
//! `FORMAT.md`, section Recovery.

use std::collections::VecDeque;

use crate::checksum::Digest;
use crate::frame::{self, Frame, Header, KIND_RUN, KIND_SEAL, MORE, Place};
use crate::later::{self, Later};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};
use crate::lsn::Lsn;
use crate::run::{RunBody, SealBody};

/// What is known of a segment before its frames are read.
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
    /// Behind its frames stand bytes of an earlier segment.
    pub(crate) recycled: bool,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// At a seal frame.
    Sealed,
    /// At a place where the log goes on.
    Open,
    /// In damage whose end cannot be told: nothing may be written behind it.
    Lost,
}

/// Bytes that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lost {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) what: String,
}

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) end: End,
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
    /// Offset after the last frame that is proven synced.
    pub(crate) proven: usize,
    pub(crate) lost: Vec<Lost>,
    /// Size of the torn tail; 0 for none.
    pub(crate) torn_bytes: usize,
    /// Whole frames in the torn tail: offset and size.
    pub(crate) in_doubt: Vec<(usize, usize)>,
}

/// What was kept so far; the part that an unfinished batch takes back.
#[derive(Clone, Copy)]
struct Kept {
    offset: usize,
    frames: u64,
    count: u32,
    digest: Digest,
    last_lsn: u64,
    run: u32,
}

/// Walks `image`, the bytes of a segment from its header on, and shows every frame that belongs to
/// the log to `visit`, in order; frames of a batch only once its last one was found.
pub(crate) fn walk(image: &[u8], context: &Context, visit: &mut dyn FnMut(&Frame<'_>)) -> Walked {
    let kept = Kept {
        offset: HEADER_BLOCK_BYTES,
        frames: 0,
        count: 0,
        digest: context.digest.unwrap_or_default(),
        last_lsn: context.last_lsn,
        run: context.run,
    };
    let mut walk = Walk {
        image,
        context,
        visit,
        kept,
        batch: Vec::new(),
        before_batch: None,
        unproven: VecDeque::new(),
        synced: context.synced,
        later: Later::new(image, context.salt, context.first_lsn),
        out: Walked {
            end: End::Open,
            offset: HEADER_BLOCK_BYTES,
            frames: 0,
            count: 0,
            digest: context.digest.unwrap_or_default(),
            digest_known: context.digest.is_some(),
            last_lsn: context.last_lsn,
            run: context.run,
            highest_lsn: context.last_lsn,
            highest_run: context.run,
            proven: HEADER_BLOCK_BYTES,
            lost: Vec::new(),
            torn_bytes: 0,
            in_doubt: Vec::new(),
        },
    };
    walk.go_to_the_end();
    walk.finish()
}

struct Walk<'a, 'v> {
    image: &'a [u8],
    context: &'a Context,
    visit: &'v mut dyn FnMut(&Frame<'_>),
    kept: Kept,
    /// Frames of a batch whose end was not found yet.
    batch: Vec<Frame<'a>>,
    before_batch: Option<Kept>,
    /// LSN and end of the frames kept that are not proven yet.
    unproven: VecDeque<(u64, usize)>,
    /// Highest LSN that is proven synced.
    synced: u64,
    later: Later<'a>,
    out: Walked,
}

impl<'a> Walk<'a, '_> {
    fn go_to_the_end(&mut self) {
        loop {
            let at = self.kept.offset;
            let before = self.kept.digest;
            let rest = self.image.get(at..).unwrap_or_default();
            match frame::decode(rest, self.context.salt) {
                Ok((header, body)) if self.belongs(&header, body) => {
                    self.keep(header, body);
                    if header.kind == KIND_SEAL {
                        self.out.end = End::Sealed;
                        self.judge_seal(at, body, before);
                        return;
                    }
                }
                Ok(_) | Err(_) => {
                    if !self.judge(at) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether a valid frame is the one that should be here.
    fn belongs(&self, header: &Header, body: &[u8]) -> bool {
        let Some(lsn) = self.lsn(header) else { return false };
        if header.run < self.kept.run && !cfg!(bug = "stale-frame-of-the-same-segment") {
            return false;
        }
        if lsn == self.kept.last_lsn + 1 {
            return true;
        }
        // Run and seal declare the gap that a failed append or a torn tail left before them.
        let after = match header.kind {
            KIND_RUN => RunBody::decode(body).map(|run| run.after),
            KIND_SEAL => SealBody::decode(body).map(|seal| seal.after),
            _ => None,
        };
        let first = header.kind == KIND_RUN && self.kept.offset == HEADER_BLOCK_BYTES;
        match after {
            Some(after) => lsn > self.kept.last_lsn && (first || after == self.kept.last_lsn),
            None => false,
        }
    }

    fn lsn(&self, header: &Header) -> Option<u64> {
        self.context.first_lsn.checked_add(u64::from(header.lsn_delta))
    }

    /// Takes a frame that belongs here.
    fn keep(&mut self, header: Header, body: &'a [u8]) {
        let Some(number) = self.lsn(&header) else { return };
        let Some(lsn) = Lsn::from_u64(number) else { return };
        if header.has_more() && self.before_batch.is_none() {
            self.before_batch = Some(self.kept);
        }
        let frame = Frame {
            lsn,
            run: header.run,
            time_ms: header.time,
            kind: header.kind,
            flags: header.flags & !MORE,
            body,
            place: Place {
                segment: self.context.number,
                offset: u32::try_from(self.kept.offset).unwrap_or(u32::MAX),
            },
        };
        if self.before_batch.is_none() {
            (self.visit)(&frame);
        } else {
            self.batch.push(frame);
        }
        self.kept = Kept {
            offset: self.kept.offset + header.frame_bytes(),
            frames: self.kept.frames + 1,
            count: self.kept.count.saturating_add(1),
            digest: header.digest_after(self.kept.digest),
            last_lsn: number,
            run: header.run,
        };
        self.saw(number, header.run);
        self.synced = self.synced.max(header.synced(number));
        self.unproven.push_back((number, self.kept.offset));
        self.prove();
        if !header.has_more() {
            self.release_batch();
        }
    }

    /// Shows the frames of a batch that is complete, or that damage has cut into and whose frames
    /// prove themselves.
    fn release_batch(&mut self) {
        for frame in self.batch.drain(..) {
            (self.visit)(&frame);
        }
        self.before_batch = None;
    }

    /// Notes a number that was in use.
    fn saw(&mut self, lsn: u64, run: u32) {
        self.out.highest_lsn = self.out.highest_lsn.max(lsn);
        self.out.highest_run = self.out.highest_run.max(run);
    }

    /// Moves the end of what is proven.
    fn prove(&mut self) {
        while let Some((lsn, end)) = self.unproven.front().copied() {
            if lsn > self.synced && !self.context.later_in_use {
                return;
            }
            self.out.proven = end;
            self.unproven.pop_front();
        }
    }

    /// Judges the bytes at `at`, which are not the frame that should be there. Returns whether to go on.
    fn judge(&mut self, at: usize) -> bool {
        let missing = self.kept.last_lsn + 1;
        let found = self.later.after(at, self.kept.run, missing);
        let synced = self.synced.max(found.synced);
        let proven = if cfg!(bug = "cut-at-any-bad-frame") {
            false
        } else if cfg!(bug = "multi-block-commit-taken-for-damage") && found.next.is_some() {
            true
        } else {
            self.context.later_in_use || synced >= missing
        };
        self.saw(found.highest_lsn, found.highest_run);
        match (proven, found.next) {
            (true, Some(next)) => {
                self.lose(at, next.offset, missing, next.lsn.checked_sub(1));
                self.release_batch();
                self.kept.offset = next.offset;
                self.kept.last_lsn = next.lsn.saturating_sub(1);
                true
            }
            (true, None) => {
                self.lose(at, self.image.len(), missing, None);
                self.out.end = End::Lost;
                false
            }
            (false, _) => {
                self.tear(at, &found.whole);
                false
            }
        }
    }

    /// Rows `lost`, `lost-tail` and `lost-end`.
    fn lose(&mut self, from: usize, to: usize, first: u64, last: Option<u64>) {
        let what = match last {
            Some(last) if last < first => format!("bytes that are no frame before LSN {first}"),
            Some(last) => format!("LSN {first} to {last} lost"),
            None => format!("LSN {first} and those after it in this segment lost"),
        };
        self.out.lost.push(Lost { offset: from, bytes: to.saturating_sub(from), what });
    }

    /// Rows `unwritten`, `torn`, `torn-frames` and `batch-cut`: the log ends before `at`.
    fn tear(&mut self, at: usize, whole: &[(usize, usize)]) {
        let mut end = at;
        if let Some(before) = self.before_batch.take() {
            end = before.offset;
            let sizes = self.batch.drain(..).map(|f| (f.place.offset, f.bytes()));
            self.out.in_doubt.extend(
                sizes.filter_map(|(offset, bytes)| Some((usize::try_from(offset).ok()?, bytes))),
            );
            self.kept = before;
        }
        self.out.in_doubt.extend_from_slice(whole);
        self.out.torn_bytes = self.torn_bytes(end);
        self.out.proven = self.out.proven.min(end);
    }

    /// How many bytes the last append left torn at `end`.
    fn torn_bytes(&self, end: usize) -> usize {
        let tail = self.image.get(end..).unwrap_or_default();
        if !self.context.recycled {
            // Up to the last byte that is not zero: also what earlier crashes left behind it.
            return later::without_zeros(tail);
        }
        // What stands there may be an earlier segment's: only what proves to be this one's counts.
        let whole = self.out.in_doubt.iter().map(|(offset, bytes)| offset + bytes).max();
        let begun = frame::decode_header(tail, self.context.salt).map_or(0, |h| h.frame_bytes());
        whole.map_or(0, |last| last.saturating_sub(end)).max(begun)
    }

    /// Rows of the seal: count and digest must be those of the frames before it.
    fn judge_seal(&mut self, at: usize, body: &[u8], digest: Digest) {
        let Some(seal) = SealBody::decode(body) else {
            self.lose(at, self.kept.offset, self.kept.last_lsn, Some(self.kept.last_lsn));
            return;
        };
        let same = seal.store == self.context.store && seal.number == self.context.number;
        let digest_same = self.context.digest.is_none() || seal.digest == digest;
        let whole = seal.count == self.kept.count - 1 && digest_same;
        if !same || (self.out.lost.is_empty() && !whole) {
            let what = format!(
                "the seal is of segment {} with {} frames and digest {:016x}, found {} and {:016x}",
                seal.number,
                seal.count,
                seal.digest.get(),
                self.kept.count - 1,
                digest.get()
            );
            let bytes = self.kept.offset - at;
            self.out.lost.push(Lost { offset: at, bytes, what });
        }
    }

    fn finish(mut self) -> Walked {
        if self.out.end != End::Open {
            self.release_batch();
        }
        let Kept { offset, frames, count, digest, last_lsn, run } = self.kept;
        Walked { offset, frames, count, digest, last_lsn, run, ..self.out }
    }
}

const _: () = assert!(HEADER_BLOCK_BYTES > FRAME_HEADER_BYTES);
