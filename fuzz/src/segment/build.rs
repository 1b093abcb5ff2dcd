//! Builds a right segment as an input decides.

use onceward_wal::KIND_HOST_MIN;
use std::sync::LazyLock;

use onceward_wal::Digest;
use onceward_wal::fuzzing::{
    self, Draft, Drafted, KIND_LOST, SegmentContext, SegmentEnd, WalkVerdict,
};

use super::Shown;
use crate::input::{Input, noise};

/// The store of all inputs.
pub(super) const STORE: [u8; 16] = [0x5a; 16];
/// Frames in all, so that an input stays fast.
const FRAMES_MAX: usize = 2000;
/// Size of the largest image.
const IMAGE_BYTES_MAX: usize = 128 * 1024;

/// A segment and what is true of it.
pub(super) struct Built {
    pub(super) draft: Draft,
    pub(super) known: SegmentContext,
    /// Whole frames that do not belong to the log: their append failed, and another run followed.
    pub(super) abandoned: Vec<Drafted>,
    /// The bytes as they were when each run began.
    pub(super) earlier: Vec<Vec<u8>>,
    /// How many bodies contain a frame.
    pub(super) copies: usize,
    /// The last frame is a seal.
    pub(super) sealed: bool,
}

/// Builds a segment.
pub(super) fn segment(input: &mut Input<'_>) -> Built {
    let flags = input.byte();
    let bytes = [8, 16, 32, IMAGE_BYTES_MAX / 1024][usize::from(flags & 3)] * 1024;
    let recycled = flags & 4 != 0;
    let mut known = SegmentContext {
        store: STORE,
        number: 1 + u64::from(flags >> 6),
        first_lsn: [1, 1000][usize::from(flags >> 3 & 1)],
        run: 1 + u32::from(flags >> 4 & 1),
        digest: Digest::default(),
        synced: 0,
        later_in_use: false,
        recycled,
    };
    let image = if recycled { old_use()[..bytes].to_vec() } else { vec![0; bytes] };
    let mut built = Built {
        draft: Draft::new(image, known),
        known,
        abandoned: Vec::new(),
        earlier: Vec::new(),
        copies: 0,
        sealed: false,
    };
    built.draft.run();
    for _ in 0..input.byte() % 48 {
        built.step(input);
    }
    let ends = input.byte();
    if ends & 1 != 0 && built.draft.has_room(0) {
        built.draft.seal(ends >= 240);
        built.sealed = true;
        if ends & 2 != 0 {
            built.draft.sync();
            known.later_in_use = true;
        }
    }
    if ends & 4 != 0 {
        known.synced = built.draft.synced();
    }
    built.known = known;
    built
}

/// What an earlier use of a recycled file left: frames under another number.
pub(super) fn old_use() -> &'static [u8] {
    static MADE: LazyLock<Vec<u8>> = LazyLock::new(make_old_use);
    &MADE
}

/// Makes it.
fn make_old_use() -> Vec<u8> {
    let known = SegmentContext {
        store: STORE,
        number: 77,
        first_lsn: 1,
        run: 1,
        digest: Digest::default(),
        synced: 0,
        later_in_use: false,
        recycled: false,
    };
    let mut draft = Draft::new(vec![0; IMAGE_BYTES_MAX], known);
    draft.run();
    let body = noise(77, 200);
    while draft.has_room(body.len()) {
        draft.host(KIND_HOST_MIN, false, &body);
        draft.sync();
    }
    draft.seal(false);
    draft.image
}

impl Built {
    /// Does one thing that a log does.
    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            240..=247 => self.fill(input),
            248.. => self.repair(input),
            what => self.usual(what % 12, input),
        }
    }

    /// What a log does most of the time.
    fn usual(&mut self, what: u8, input: &mut Input<'_>) {
        match what {
            0..=2 => self.hosts(1, input),
            3 => self.hosts(40, input),
            4 => self.hosts(400, input),
            5 => self.batch(input),
            6 | 7 => self.draft.sync(),
            8 if self.has_room(8) => self.draft.mark(0),
            9 => self.reopen(input),
            10 => self.fail(input),
            _ => self.copy(input),
        }
    }

    /// Whether another frame may follow.
    fn has_room(&self, body_bytes: usize) -> bool {
        // Room for a run frame, so that a run begins with one.
        self.draft.frames.len() < FRAMES_MAX && self.draft.has_room(body_bytes + 200)
    }

    /// A body as the input wants it, different for each frame.
    fn body(&self, input: &mut Input<'_>) -> Vec<u8> {
        let size = usize::from(input.byte());
        let lsn = self.draft.frames.last().map_or(0, |frame| frame.lsn);
        match size {
            0..=199 => noise(lsn, size % 100 + 1),
            200..=229 => vec![0; size],
            _ => noise(lsn, (size - 229) * 400),
        }
    }

    /// Frames of the host, all of one size.
    fn hosts(&mut self, count: usize, input: &mut Input<'_>) {
        let synced = input.byte() % 2 == 0;
        let body = self.body(input);
        for _ in 0..count {
            if self.has_room(body.len()) {
                self.draft.host(KIND_HOST_MIN, false, &body);
            }
            if synced {
                self.draft.sync();
            }
        }
    }

    /// An atomic batch.
    fn batch(&mut self, input: &mut Input<'_>) {
        let count = 2 + input.byte() % 4;
        let body = self.body(input);
        if self.has_room(usize::from(count) * (body.len() + 40)) {
            for left in (0..count).rev() {
                self.draft.host(KIND_HOST_MIN + count, left > 0, &body);
            }
        }
    }

    /// The log is opened again: what it found is durable, numbers of a torn tail are left out.
    fn reopen(&mut self, input: &mut Input<'_>) {
        if self.has_room(0) {
            self.earlier.push(self.draft.image.clone());
            self.draft.sync();
            self.draft.next_run(u64::from(input.byte() % 4));
            self.draft.run();
        }
    }

    /// A mark that fills a block, behind which nothing of an earlier commit is written again.
    fn fill(&mut self, input: &mut Input<'_>) {
        let end = self.draft.frames.last().map_or(0, |frame| frame.offset + frame.bytes);
        let filling = (2 * 4096 - 40 - end % 4096) % 4096;
        if self.has_room(8 + filling) {
            self.draft.mark(filling);
        }
        if input.byte() % 2 == 0 {
            self.draft.sync();
        }
    }

    /// A repair of frames that were lost here, or of bytes that were none.
    fn repair(&mut self, input: &mut Input<'_>) {
        // One behind the other, each stands for something: no two have the same number.
        let is_second = self.draft.frames.last().is_some_and(|last| last.kind == KIND_LOST);
        let numbers = u32::from(input.byte() % 4).max(u32::from(is_second));
        let bytes = 16 * usize::from(input.byte());
        if self.has_room(bytes) {
            self.draft.lost(numbers, bytes);
            self.draft.sync();
        }
    }

    /// An append fails for want of space: its frames are erased. Where the disk refuses that too, all but
    /// the first stay behind.
    fn fail(&mut self, input: &mut Input<'_>) {
        self.draft.sync();
        let mut ghost = self.draft.clone();
        let already = ghost.frames.len();
        let how = input.byte();
        for _ in 0..1 + how % 4 {
            let body = self.body(input);
            if ghost.has_room(body.len() + 600) {
                ghost.host(KIND_HOST_MIN + 9, false, &body);
            }
        }
        let Some(first) = ghost.frames.get(already).copied() else { return };
        let last = ghost.frames.last().map_or(0, |frame| frame.offset + frame.bytes);
        let is_refused = how >= 240;
        let erased = if is_refused { first.offset + 30 } else { last };
        self.draft.image = ghost.image;
        self.draft.image[first.offset..erased].fill(0);
        self.earlier.push(self.draft.image.clone());
        if is_refused {
            self.abandoned.extend_from_slice(&ghost.frames[already + 1..]);
        }
        self.draft.next_run(u64::try_from(ghost.frames.len() - already).expect("fits"));
        self.draft.run();
    }

    /// A body that contains an earlier frame, as of a host that forwards its log.
    fn copy(&mut self, input: &mut Input<'_>) {
        let from = self.draft.frames[input.below(self.draft.frames.len())];
        if self.has_room(from.bytes + 2) {
            // So that the copy begins at a multiple of 8, where frames are looked for.
            let mut body = vec![0; 2];
            body.extend_from_slice(&self.draft.image[from.offset..from.offset + from.bytes]);
            self.draft.host(KIND_HOST_MIN, false, &body);
            self.copies += 1;
        }
    }

    /// The control: undamaged, everything is kept and nothing is reported.
    pub(super) fn assert_whole(&self, shown: &[Shown], verdict: &WalkVerdict) {
        assert!(verdict.lost.is_empty(), "control: {verdict:?}");
        let (end, mut frames) = (verdict.end, self.draft.frames.len());
        assert_eq!(
            end,
            if self.sealed { SegmentEnd::Sealed } else { SegmentEnd::Open },
            "control: {verdict:?}"
        );
        // Nothing of an unfinished batch is built, so all are shown.
        frames -= shown.len();
        assert_eq!(frames, 0, "control: frames that are not shown");
        assert_eq!(fuzzing::HEADER_BLOCK_BYTES, self.draft.frames[0].offset);
    }
}
