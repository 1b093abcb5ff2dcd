//! Reads the log forward from any LSN while it is written, and waits at its end.
//!
//! Only what is synced is shown. A reader holds the file of the segment it reads, so that trimming
//! does not have it used again; it reads pieces of at most 1 MiB.

use std::time::Duration;

use super::{Core, Log};
use crate::bell::Bell;
use crate::checksum::Salted;
use crate::error::Error;
use crate::frame::{self, Frame, KIND_HOST_MIN, Place};
use crate::limits::{FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES, TAG_BYTES};
use crate::lsn::Lsn;
use crate::name;
use crate::resync::Resync;
use crate::sealing::SegmentBodies;
use crate::segment::{Segment, Source};
use crate::sync::Stopwatch;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes that are read at once, unless one frame is larger.
const PIECE_BYTES: usize = 1024 * 1024;

/// A place in the log from which frames are read forward.
///
/// Made by [`Log::read_from`].
#[derive(Debug)]
pub struct Reader<'l> {
    core: &'l Core,
    /// LSN of the next frame.
    next: u64,
    /// The segment that is read, and where in it to go on.
    at: Option<(Source, u64)>,
    /// Nothing further is to be read in this segment and those before it.
    done: u64,
    buffer: Vec<u8>,
}

/// Consecutive frames of one segment, as they are in its file; their checksums were right.
#[derive(Debug)]
#[non_exhaustive]
pub struct FrameSlice<'r> {
    /// The segment's number.
    pub segment: u64,
    /// Starts every checksum of the segment's frames.
    pub salt: u32,
    /// LSN of the segment's first frame, to which those of the frames are relative.
    pub segment_first_lsn: u64,
    /// Offset of the first of them in the segment.
    pub offset: u32,
    /// Whole frames, one behind the other. Of a sealed log the bodies are opened, each with its tag behind it;
    /// the checksums are those of the sealed ones.
    pub bytes: &'r [u8],
    /// LSN of the first.
    pub first: Lsn,
    /// LSN of the last.
    pub last: Lsn,
    /// LSNs before the first that this reader did not show: they were never used, were trimmed before
    /// they were read, or are lost to damage, which [`Log::segments`] shows.
    pub skipped: u64,
    /// The host's bodies have a tag behind them.
    sealed: bool,
}

/// The readers that wait for more to become durable.
#[derive(Debug)]
pub(super) struct Tailing {
    waiting: AtomicUsize,
    more: Bell,
}

impl Tailing {
    /// Nobody waits.
    pub(super) fn new() -> Self {
        Self { waiting: AtomicUsize::new(0), more: Bell::new() }
    }

    /// Wakes them, if there are any. Called after `Core::durable` was raised or the log was poisoned, and
    /// not while holding `commit`.
    pub(super) fn announce(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.more.ring();
        }
    }
}

impl Log {
    /// A reader whose first frame is `from`, or the first one behind it that is there.
    ///
    /// # Errors
    ///
    /// `Invalid`: the log ends before `from`. What was noted of another state of this store does not
    /// hold here.
    pub fn read_from(&self, from: Lsn) -> Result<Reader<'_>, Error> {
        let next_lsn = self.core.commit.lock().next_lsn;
        if from.get() > next_lsn {
            let message =
                format!("cannot read from LSN {from}: the log goes on with LSN {next_lsn}");
            return Err(Error::invalid(message));
        }
        Ok(Reader { core: &self.core, next: from.get(), at: None, done: 0, buffer: Vec::new() })
    }

    /// Waits until a frame behind `lsn` is durable, the log is poisoned or `timeout` is over; returns the
    /// highest LSN that is durable then.
    #[must_use]
    pub fn wait_beyond(&self, lsn: u64, timeout: Duration) -> u64 {
        self.core.wait_beyond(lsn, timeout)
    }
}

impl Core {
    /// See [`Log::wait_beyond`].
    fn wait_beyond(&self, lsn: u64, timeout: Duration) -> u64 {
        let Tailing { waiting, more } = &self.tailing;
        // Whoever raises `durable` looks at `waiting` afterwards, whoever waits does it the other way
        // round: one of the two sees the other.
        waiting.fetch_add(1, Ordering::SeqCst);
        let began = Stopwatch::start();
        loop {
            let before = more.rings();
            if self.durable.load(Ordering::SeqCst) > lsn || self.commit.lock().poison.is_some() {
                break;
            }
            let Some(left) = timeout.checked_sub(began.elapsed()) else { break };
            more.wait(before, Some(left));
        }
        let durable = self.durable.load(Ordering::SeqCst);
        waiting.fetch_sub(1, Ordering::SeqCst);
        durable
    }
}

impl Reader<'_> {
    /// LSN of the next frame that it will show, or of one before it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// As [`Log::wait_beyond`], for what this reader has not shown; whether there is more.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.core.wait_beyond(self.next - 1, timeout) >= self.next
    }

    /// The next frames that are durable: at most 1 MiB, or one frame that is larger. `None`: nothing
    /// further is durable yet.
    ///
    /// # Errors
    ///
    /// `Io`: the segment cannot be read; calling again tries again.
    pub fn next_slice(&mut self) -> Result<Option<FrameSlice<'_>>, Error> {
        while let Some((source, offset, limit)) = self.place()? {
            let Some(found) = self.read(&source, offset, limit)? else {
                // Nothing that belongs to the log is in the rest of this segment.
                self.at = None;
                self.done = source.number;
                continue;
            };
            let (found, cut) = open_run(&mut self.buffer, &source, found);
            let Some(found) = found else {
                // Forged: as if it were not there, and `skipped` counts it.
                self.at = Some((source, offset + u64::try_from(cut).unwrap_or(u64::MAX)));
                continue;
            };
            let FrameRange { from, to, first, last } = found;
            let skipped = first - self.next;
            self.next = last + 1;
            self.at = Some((source.clone(), offset + u64::try_from(to).unwrap_or(u64::MAX)));
            let (Some(first), Some(last)) = (Lsn::from_u64(first), Lsn::from_u64(last)) else {
                return Ok(None);
            };
            let offset = offset + u64::try_from(from).unwrap_or(u64::MAX);
            return Ok(Some(FrameSlice {
                segment: source.number,
                salt: source.salt,
                segment_first_lsn: source.first_lsn,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                bytes: self.buffer.get(from..to).unwrap_or_default(),
                first,
                last,
                skipped,
                sealed: source.bodies.key().is_some(),
            }));
        }
        Ok(None)
    }

    /// Segment, offset and end of what is to be read next.
    fn place(&mut self) -> Result<Option<(Source, u64, u64)>, Error> {
        loop {
            let segments = self.core.segments.read();
            if let Some((source, offset)) = &self.at {
                // One that was trimmed meanwhile is read to its end: it is finished, and held.
                let of = |segment: &Segment| (segment.used_bytes, segment.last_lsn);
                let known = segments.get(source.number).map(of);
                let limit = known.map_or(u64::MAX, |(used_bytes, _)| used_bytes);
                if known.is_none_or(|(_, last_lsn)| last_lsn >= self.next) {
                    return Ok(Some((source.clone(), *offset, limit)));
                }
            }
            let Some(segment) = segments.holding(self.next, self.done) else { return Ok(None) };
            let first = u32::try_from(HEADER_BLOCK_BYTES).unwrap_or(u32::MAX);
            let offset = u64::from(segment.waypoints.before(self.next).unwrap_or(first));
            let (number, limit) = (segment.number, segment.used_bytes);
            drop(segments);
            // If it was trimmed since, the reader goes on behind it.
            let Some(source) = self.core.source(number)? else { continue };
            self.at = Some((source.clone(), offset));
            return Ok(Some((source, offset, limit)));
        }
    }

    /// Reads frames at `offset` of a segment whose durable frames end at `limit`.
    fn read(
        &mut self,
        source: &Source,
        offset: u64,
        limit: u64,
    ) -> Result<Option<FrameRange>, Error> {
        let all = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = all.min(PIECE_BYTES);
        loop {
            let count = self.fill(source, offset, bytes)?;
            let is_all = bytes == all || count < bytes;
            let piece = self.buffer.get(..count).unwrap_or_default();
            if let Some(run) = run_of(piece, source, 0, self.next) {
                return Ok(Some(run));
            }
            if is_all {
                // Damage: what is behind it goes on.
                let mut resync = Resync::new(0, piece, source.salt, source.first_lsn);
                let next = resync.after(0, 0, self.next).next;
                return Ok(next.and_then(|next| run_of(piece, source, next.offset, self.next)));
            }
            // A frame larger than the piece, or damage: the rest decides.
            bytes = all.min(bytes.saturating_mul(4));
        }
    }

    /// Reads bytes into the buffer; returns how many there are.
    fn fill(&mut self, source: &Source, offset: u64, bytes: usize) -> Result<usize, Error> {
        let path = || name::segment(&self.core.identity.store, source.number);
        let io = |error| Error::io(error, "read", &path()).at(&path(), offset);
        let len = source.file.len().map_err(io)?.saturating_sub(offset);
        let bytes = bytes.min(usize::try_from(len).unwrap_or(usize::MAX));
        if self.buffer.len() < bytes {
            self.buffer = vec![0; bytes];
        }
        let read = self.buffer.get_mut(..bytes).unwrap_or_default();
        source.file.read_at(offset, read).map_err(io)
    }
}

/// Whole frames within bytes that were read.
#[derive(Clone, Copy, Debug)]
struct FrameRange {
    from: usize,
    to: usize,
    first: u64,
    last: u64,
}

/// The frames from `next` on that are one behind the other in `piece` from `at` on.
fn run_of(piece: &[u8], source: &Source, mut at: usize, next: u64) -> Option<FrameRange> {
    let mut run: Option<FrameRange> = None;
    let mut before = 0;
    let salted = Salted::new(source.salt);
    while let Ok((header, _body)) = frame::decode(piece.get(at..).unwrap_or_default(), &salted) {
        let lsn = source.first_lsn + u64::from(header.lsn_delta);
        if lsn <= before {
            break;
        }
        before = lsn;
        let to = at + header.frame_bytes();
        if lsn >= next {
            let first = run.map_or((at, lsn), |run| (run.from, run.first));
            run = Some(FrameRange { from: first.0, to, first: first.1, last: lsn });
        }
        at = to;
    }
    run
}

/// Opens the bodies of a run in place, passing over those at its beginning that cannot be, up to the next one
/// that cannot be. Returns what of it is left, `None` if nothing is, and where to read on then.
fn open_run(buffer: &mut [u8], source: &Source, run: FrameRange) -> (Option<FrameRange>, usize) {
    if matches!(source.bodies, SegmentBodies::Clear) {
        return (Some(run), run.to);
    }
    let mut opened: Option<FrameRange> = None;
    let mut at = run.from;
    while let Some(rest) = buffer.get_mut(at..run.to)
        && let Some((header, body)) = frame::known(rest)
    {
        let lsn = source.first_lsn.saturating_add(u64::from(header.lsn_delta));
        let body = FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + body.len();
        let body = rest.get_mut(body).unwrap_or_default();
        let is_open = source.bodies.open_in_place(&header, lsn, body).is_ok();
        let to = at + header.frame_bytes();
        match &mut opened {
            Some(opened) if is_open => (opened.to, opened.last) = (to, lsn),
            Some(_) => break,
            None if is_open => opened = Some(FrameRange { from: at, to, first: lsn, last: lsn }),
            None => {}
        }
        at = to;
    }
    (opened, at)
}

impl FrameSlice<'_> {
    /// The frames.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (header, mut body) = frame::known(self.bytes.get(at..)?)?;
            if self.sealed && header.kind >= KIND_HOST_MIN {
                body = body.get(..body.len().saturating_sub(TAG_BYTES)).unwrap_or_default();
            }
            let offset = self.offset + u32::try_from(at).ok()?;
            at += header.frame_bytes();
            let lsn = Lsn::from_u64(self.segment_first_lsn + u64::from(header.lsn_delta))?;
            Some(header.frame(lsn, body, Place { segment: self.segment, offset }))
        })
    }
}
