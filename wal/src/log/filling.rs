//! Zeros ahead of the writing head: each block of a segment is written once before frames are, so that appending
//! changes no metadata.
//!
//! A prepared segment has its space, and is not written. The log's thread keeps some megabytes ahead of the last queued
//! frame filled, step by step, each synced. A writer that comes to the end of what is filled fills a step itself
//! first; where there is no thread, that is all the filling there is.
//!
//! | who | through which handle | whom a failed sync tells |
//! |---|---|---|
//! | a writer | that of the frames | the writer, who confirms nothing |
//! | the thread | its own | the thread, which poisons the log; and, through its own, the next writer |
//!
//! Whoever fills a segment holds its file: one that is trimmed meanwhile is not used again.
//!
//! What is filled is known only to the handle that filled it: after an opening zeros are written anew from the end of
//! the log on. A segment that is used again was written as far as it had frames.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use onceward_vfs::{File, GroundMoved, Mode, Vfs};

use super::write_out::WriteFailure;
use super::{Commit, Core};
use crate::error::Error;
use crate::limits::BLOCK_BYTES;
use crate::name;
use crate::sync::Stopwatch;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Most zeros that are synced at once: their sync delays those of frames, and each of them costs the file system a
/// commit of its journal. Measured with batches of 115 KB: steps of 128 KiB take 15 % longer than these, in all.
const STEP_BYTES_MAX: u64 = 1024 * 1024;
/// Fewest that the thread syncs at once, on a slow disk.
const STEP_BYTES_MIN: u64 = 64 * 1024;
/// A step that took longer is followed by shorter ones.
const STEP_LONG: Duration = Duration::from_millis(8);
/// One that took less time is followed by longer ones.
const STEP_SHORT: Duration = Duration::from_millis(2);
/// Bytes that the thread keeps filled ahead of the last frame, before the first one is appended: who opens a log may
/// only look at it.
const LEAD_BYTES_IDLE: u64 = 256 * 1024;
/// The same from then on, at first.
const LEAD_BYTES_MIN: u64 = 1024 * 1024;
/// Most that it does, where frames come in bursts that it cannot follow.
const LEAD_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The file of a segment that is written, or will be, and how far its blocks were written before.
#[derive(Debug)]
pub(super) struct SegmentSpace {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    /// Size of the segment.
    pub(super) bytes: u64,
    /// Every block before this was written and synced; the end of a block. Changed by who holds `spares.filling`.
    filled: AtomicU64,
}

impl SegmentSpace {
    /// The space of a segment whose blocks before `filled` were written.
    pub(super) fn new(number: u64, file: Arc<dyn File>, bytes: u64, filled: u64) -> Arc<Self> {
        let filled = filled.min(bytes) / BLOCK * BLOCK;
        Arc::new(Self { number, file, bytes, filled: AtomicU64::new(filled) })
    }

    /// Offset up to which each block was written and synced.
    pub(super) fn filled(&self) -> u64 {
        self.filled.load(Ordering::Acquire)
    }

    /// The bytes behind `filled` that are filled next: about `step`, less in small segments, and at least `least`.
    fn next(&self, filled: u64, step: u64, least: u64) -> u64 {
        let step = step.min(self.bytes / 4).max(least).next_multiple_of(BLOCK);
        step.min(self.bytes.saturating_sub(filled))
    }
}

/// [`BLOCK_BYTES`], as a place in a file.
const BLOCK: u64 = BLOCK_BYTES as u64;

/// The state of the thread that fills ahead.
#[derive(Debug)]
pub(super) struct Filler {
    lead: u64,
    step: u64,
    /// The whole lead was filled since it was last made longer.
    was_ahead: bool,
    /// The segment that is being filled, through a handle of its own.
    open: Option<(u64, Arc<dyn File>)>,
}

impl Default for Filler {
    fn default() -> Self {
        let (lead, step) = (LEAD_BYTES_MIN, STEP_BYTES_MAX / 4);
        Self { lead, step, was_ahead: false, open: None }
    }
}

impl Filler {
    /// The handle for a segment.
    fn file(&mut self, vfs: &dyn Vfs, path: &str, number: u64) -> io::Result<&dyn File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = Some((number, vfs.open(path, Mode::Write)?));
        }
        let open = self.open.as_ref().map(|(_, file)| &**file);
        open.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes longer or shorter steps, so that each takes some milliseconds.
    fn adapt(&mut self, took: Duration) {
        if took > STEP_LONG {
            self.step = (self.step / 2).max(STEP_BYTES_MIN);
        } else if took < STEP_SHORT {
            self.step = (self.step * 2).min(STEP_BYTES_MAX);
        }
    }

    /// The segment in which zeros are due now, and how many bytes behind the last frame are filled. Where none
    /// are due yet, whoever appends up to there will ask.
    fn next(&self, core: &Core) -> (Option<Arc<SegmentSpace>>, u64) {
        let mut commit = core.commit.lock();
        commit.fill_due = None;
        if commit.poison.is_some() {
            return (None, 0);
        }
        let tail = commit.tail.as_ref().filter(|tail| !tail.sealed && !tail.closed);
        let mut ahead = 0;
        let mut next = None;
        let mut look = |space: &Arc<SegmentSpace>, from: u64| {
            let filled = space.filled();
            ahead += filled.saturating_sub(from);
            if filled < space.bytes {
                next = Some(Arc::clone(space));
            }
            next.is_none()
        };
        if tail.is_none_or(|tail| look(&tail.space, tail.offset)) {
            core.spares.each_until(|space| look(space, 0));
        }
        let lead = if commit.run_begun { self.lead } else { LEAD_BYTES_IDLE };
        if next.is_some() && ahead >= lead {
            commit.fill_due = Some(ahead - lead + self.step.min(lead / 2));
            next = None;
        }
        (next, ahead)
    }

    /// Keeps more filled ahead where what was is nearly used up.
    fn note(&mut self, ahead: u64) {
        if ahead >= self.lead {
            self.was_ahead = true;
        } else if self.was_ahead && ahead < self.lead / 2 {
            self.was_ahead = false;
            self.lead = (self.lead * 2).min(LEAD_BYTES_MAX);
        }
    }
}

impl Core {
    /// Sees to it that frames up to `end` meet no block that was never written. The caller writes them next.
    pub(super) fn fill_before(&self, space: &SegmentSpace, end: u64) -> Result<(), WriteFailure> {
        if end <= space.filled() || onceward_vfs::planted!("head-meets-unwritten-blocks") {
            return Ok(());
        }
        let _nobody_else = self.spares.filling.lock();
        let end = end.min(space.bytes);
        while space.filled() < end {
            let filled = space.filled();
            let bytes = space.next(filled, STEP_BYTES_MAX, end - filled);
            let file = &space.file;
            file.write_zeros(filled, bytes).map_err(WriteFailure::before_frames)?;
            file.sync_data()
                .map_err(|source| WriteFailure::Refused(source, "a sync of zeros failed"))?;
            space.filled.store(filled + bytes, Ordering::Release);
        }
        Ok(())
    }

    /// Fills one step ahead of the last frame, if it is due. Returns whether another one is.
    ///
    /// # Errors
    ///
    /// `Poisoned`: a sync failed, and frames may have gone with the zeros.
    pub(super) fn fill_ahead(&self, filler: &mut Filler) -> Result<bool, Error> {
        let (space, ahead) = filler.next(self);
        filler.note(ahead);
        let Some(space) = space else { return Ok(false) };
        let path = name::segment(&self.identity.store, space.number);
        let step = filler.step;
        let began = Stopwatch::start();
        let nobody_else = self.spares.filling.lock();
        let filled = space.filled();
        let bytes = space.next(filled, step, 0);
        let file = filler.file(&*self.vfs, &path, space.number);
        let written = file.and_then(|file| file.write_zeros(filled, bytes).map(|()| file));
        let Ok(file) = written else {
            // Whoever writes there asks the disk again, and hears what it says. Here that is for a later turn.
            return Ok(false);
        };
        match file.sync_data() {
            Err(moved) if GroundMoved::of(&moved).is_some() => return Ok(false),
            Err(source) => return Err(Error::poisoning(source, "sync zeros in", &path)),
            Ok(()) => space.filled.store(filled + bytes, Ordering::Release),
        }
        drop(nobody_else);
        filler.adapt(began.elapsed());
        Ok(true)
    }
}

impl Commit {
    /// Counts down by what is queued to where zeros are due; whether they are now.
    pub(super) fn is_fill_due(&mut self, bytes: u64) -> bool {
        let Some(due) = self.fill_due else { return false };
        self.fill_due = due.checked_sub(bytes).filter(|due| *due > 0);
        self.fill_due.is_none()
    }
}
