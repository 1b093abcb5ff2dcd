//! Looks for whole frames behind bytes that are no frame. No I/O here.

use crate::frame::{self, Header};
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, HEADER_BLOCK_BYTES};

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextFrame {
    pub(crate) offset: usize,
    pub(crate) lsn: u64,
}

/// What stands behind a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The first whole frame.
    pub(crate) next: Option<NextFrame>,
    /// The highest LSN that any of them says was synced.
    pub(crate) synced: u64,
    pub(crate) highest_lsn: u64,
    pub(crate) highest_run: u32,
    /// Offset and size of all of them.
    pub(crate) whole: Vec<(usize, usize)>,
}

/// Searches one segment. What a whole search found is kept, so that many damaged frames in one
/// segment do not each search it to the end.
pub(crate) struct Later<'a> {
    /// Where in the segment `bytes` begin.
    base: usize,
    bytes: &'a [u8],
    salt: u32,
    first_lsn: u64,
    /// Run that was asked for, where the last frame of the search stands, and what was found.
    last: Option<(u32, usize, Found)>,
}

impl<'a> Later<'a> {
    /// Searches `bytes`, which stand at `base` in their segment and reach its end.
    pub(crate) fn new(base: usize, bytes: &'a [u8], salt: u32, first_lsn: u64) -> Self {
        Self { base, bytes, salt, first_lsn, last: None }
    }

    /// The whole frames at `at` or behind it with a run of at least `run` and an LSN of at least `lsn`.
    ///
    /// Copies of this log's frames inside bodies do not count: they are older than what is missing,
    /// so their LSN is lower.
    pub(crate) fn after(&mut self, at: usize, run: u32, lsn: u64) -> Found {
        if let Some((for_run, last_at, known)) = &self.last {
            // The frames of the earlier search that stand behind `at` include the last one, and
            // `synced` never falls along a run.
            if *for_run == run && *last_at > at {
                return Found {
                    next: self.next_frame(at, run, lsn).map(|(next, _)| next),
                    synced: known.synced,
                    highest_lsn: known.highest_lsn,
                    highest_run: known.highest_run,
                    whole: known.whole.iter().copied().filter(|(from, _)| *from >= at).collect(),
                };
            }
        }
        let mut found = Found::default();
        let mut from = at;
        let mut last_at = at;
        // From `at` itself: a whole frame stands there if it is one that belongs further on.
        while let Some((next, header)) = self.next_frame(from, run, lsn) {
            found.next = found.next.or(Some(next));
            found.synced = found.synced.max(header.synced(next.lsn));
            found.highest_lsn = found.highest_lsn.max(next.lsn);
            found.highest_run = found.highest_run.max(header.run);
            found.whole.push((next.offset, header.frame_bytes()));
            last_at = next.offset;
            from = next.offset + header.frame_bytes();
        }
        self.last = Some((run, last_at, found.clone()));
        found
    }

    /// The first such frame at `from` or behind it.
    fn next_frame(&self, from: usize, run: u32, lsn: u64) -> Option<(NextFrame, Header)> {
        let mut at = from.checked_sub(self.base)?;
        while let Some(bytes) = self.bytes.get(at..) {
            if frame::may_begin(bytes) {
                if let Some(number) = self.lsn_of(bytes, run, lsn)
                    && let Ok((header, _body)) = frame::decode(bytes, self.salt)
                {
                    return Some((NextFrame { offset: self.base + at, lsn: number }, header));
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
        let header = frame::decode_header(bytes, self.salt).ok()?;
        let number = self.first_lsn.checked_add(u64::from(header.lsn_delta))?;
        (header.run >= run && number >= lsn).then_some(number)
    }
}

/// What most of a segment's rest is: skipped in large steps.
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

/// Whether frames of a segment, whose first LSN is not known, prove that its first commit was synced.
pub(crate) fn proves_itself(image: &[u8], salt: u32) -> bool {
    // As if the segment began here, so that what was synced before it stays below.
    const FIRST: u64 = 1 << 40;
    let found = Later::new(0, image, salt, FIRST).after(HEADER_BLOCK_BYTES, 0, 0);
    found.synced >= FIRST
}
