//! Gives space back: forgets keys whose window is over, and trims segments, mostly in any order.
//!
//! What still lives in a segment is carried forward in its smallest form, durably, before the segment
//! goes: an unsettled event whole, of a settled one its key with outcome and receipt, and what without
//! it an older frame elsewhere would be taken at its word for (see `dependencies.rs`). A crash between
//! leaves both, and replay makes one of them.
//!
//! The segment is read without a lock. What was read is judged and carried in portions, each under
//! `control`, so that whoever settles waits for one portion at most. Captures wait for none.
//!
//! In a store with threads this is done beside those who settle, see `beside.rs`.

mod beside;
mod choose;
mod known;
mod live_frames;
mod scan;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use onceward_wal::SegmentInfo;
use parking_lot::Mutex;

use super::engine::Engine;
use super::{Areas, Share};
use crate::base::{Error, ErrorKind, Result, observe};
pub(crate) use beside::CleaningTurn;
use beside::Uncleaned;
use choose::{About, CleaningReason, KnownSegments, Need, choose, is_turn, is_worth};
use known::CleanedKnown;
pub(crate) use live_frames::LiveFrames;
use scan::{Kept, SegmentScan};

/// Bytes that are carried before `control` is given free.
const PORTION_BYTES: u64 = 128 * 1024;
/// Frames that are judged under the state's lock at a time.
const JUDGED_TOGETHER: usize = 256;
/// What one call may spend at least, in bytes written.
const BUDGET_BYTES_MIN: u64 = 512 * 1024;
/// A segment in which too much lives is looked at again after one part of so many of a window.
const SLICES: u64 = 24;
/// What reading a segment and taking it off the list costs, in bytes written.
const SEGMENT_COST_BYTES: u64 = 32 * 1024;

/// The state of cleaning.
#[derive(Debug, Default)]
pub(crate) struct Cleaning {
    /// Held by the one who cleans; nobody else waits for it, but who has no room for a capture.
    notes: Mutex<Notes>,
    /// Bytes that were appended since somebody cleaned: half as many may be spent.
    appended: AtomicU64,
    /// A capture was refused because the disk is full.
    is_short: AtomicBool,
    /// Bytes that were carried since the store was opened.
    carried: AtomicU64,
    /// Segments that were read to be cleaned.
    #[cfg(test)]
    read: AtomicU64,
    /// What waits to be cleaned.
    uncleaned: Uncleaned,
}

/// What the one who cleans knows.
#[derive(Debug, Default)]
struct Notes {
    known: KnownSegments,
    /// A segment of which the state knows nothing any more and that is not trimmed: nothing else may go
    /// before it, because it may need that one.
    forgotten: Option<u64>,
}

impl Cleaning {
    /// Waits until nobody cleans; and nobody does, as long as this is held.
    pub(super) fn wait_until_nobody_does(&self) -> impl Drop + '_ {
        self.notes.lock()
    }

    /// Counts bytes that were appended.
    pub(super) fn count(&self, bytes: u64) {
        self.appended.fetch_add(bytes, Relaxed);
    }

    #[cfg(test)]
    fn carried(&self) -> u64 {
        self.carried.load(Relaxed)
    }
}

/// The cleaner of a store.
#[derive(Debug)]
pub(crate) struct Cleaner<'e, S: Areas> {
    engine: &'e Engine<S>,
}

impl<'e, S: Areas> Cleaner<'e, S> {
    /// The cleaner of this engine.
    pub(super) fn new(engine: &'e Engine<S>) -> Self {
        Self { engine }
    }

    /// Cleans, unless somebody is at it, or segments are never trimmed.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused; nothing is lost.
    pub(crate) fn clean_if_nobody_does(&self) -> Result<()> {
        if !self.engine.settings.may_trim {
            return Ok(());
        }
        let Some(mut notes) = self.engine.cleaning.notes.try_lock() else { return Ok(()) };
        self.clean_some(&mut notes).map(drop)
    }

    /// The disk is full and a capture finds no room: whether any came back.
    ///
    /// The caller holds no lock.
    fn make_room(&self) -> Result<bool> {
        if !self.engine.settings.may_trim {
            return Ok(false);
        }
        self.engine.cleaning.is_short.store(true, Relaxed);
        let freed = self.clean_some(&mut self.engine.cleaning.notes.lock());
        match freed {
            Err(error) if error.kind() == ErrorKind::Full => Ok(false),
            freed => freed,
        }
    }

    /// A call was refused: makes room, once, if that is why; otherwise this is the answer. The caller
    /// holds no lock.
    pub(crate) fn make_room_once(&self, refused: Error, has_made_room: &mut bool) -> Result<()> {
        // What is settled gives room.
        let may_help = refused.code() == "FULL" && !std::mem::replace(has_made_room, true);
        if may_help && matches!(self.make_room(), Ok(true)) { Ok(()) } else { Err(refused) }
    }

    /// Cleans as long as it is worth it and what may be spent is not. Returns whether any segment went.
    fn clean_some(&self, notes: &mut Notes) -> Result<bool> {
        let mut left = BUDGET_BYTES_MIN.max(self.engine.cleaning.appended.swap(0, Relaxed) / 2);
        let mut has_freed = false;
        notes.known.not_now.clear();
        loop {
            if self.trim_forgotten(notes)? {
                has_freed = true;
            }
            let need = self.need();
            let Some((segment, reason)) = self.worth_cleaning(notes, need) else {
                self.engine.cleaning.is_short.store(false, Relaxed);
                return Ok(has_freed);
            };
            if left == 0 {
                return Ok(has_freed);
            }
            let carried = self.engine.asking_on_the_way(|| self.clean(notes, segment, reason))?;
            if notes.forgotten.is_some() {
                observe::segment_cleaned(segment.number, segment.used_bytes, carried);
            }
            self.engine.cleaning.carried.fetch_add(carried, Relaxed);
            left = left.saturating_sub(carried + SEGMENT_COST_BYTES);
        }
    }

    /// Trims the segment that was forgotten, if one was. Returns whether one went.
    ///
    /// Where the disk refuses after the log took the segment out of `meta`, only its file is left, which the next
    /// opening removes: that is reported once, and cleaning goes on with the others.
    fn trim_forgotten(&self, notes: &mut Notes) -> Result<bool> {
        let Some(forgotten) = notes.forgotten else { return Ok(false) };
        let trimmed = self.engine.log.trim(forgotten);
        let is_gone = || self.engine.log.segments().iter().all(|it| it.number != forgotten);
        if trimmed.is_ok() || is_gone() {
            self.engine.summaries.forget(forgotten);
            notes.forgotten = None;
        }
        trimmed.map(|()| true).map_err(|error| self.engine.log_error(error))
    }

    /// How badly room is needed.
    fn need(&self) -> Need {
        if self.engine.reserve().is_low() {
            Need::Low
        } else if self.engine.cleaning.is_short.load(Relaxed) {
            Need::Short
        } else {
            Need::Usual
        }
    }

    /// The segment to clean next.
    fn worth_cleaning(
        &self,
        notes: &mut Notes,
        need: Need,
    ) -> Option<(SegmentInfo, CleaningReason)> {
        let segments = self.engine.log.segments();
        let (_last, finished) = segments.split_last()?;
        let trusted_ms = self.engine.time.trusted_ms();
        let state = self.engine.state.lock();
        let about = About {
            segment_bytes: self.engine.settings.segment_bytes,
            slack_segments: self.engine.settings.slack_segments,
            trusted_ms,
            is_turn: is_turn(&segments, &*state),
        };
        let chosen = choose(finished, &state.kernel().usage, &mut notes.known, need, about);
        drop(state);
        self.engine.cleaning.uncleaned.looked(notes.known.wasted_bytes);
        chosen
    }

    /// Bytes that were carried since the store was opened.
    #[cfg(test)]
    pub(crate) fn carried_bytes(&self) -> u64 {
        self.engine.cleaning.carried()
    }

    /// Segments that were read to be cleaned, since the store was opened.
    #[cfg(test)]
    pub(crate) fn read_segments(&self) -> u64 {
        self.engine.cleaning.read.load(Relaxed)
    }

    /// Cleans one segment, whatever lives in it. Returns whether it went.
    #[cfg(test)]
    pub(crate) fn clean_one(&self, number: u64) -> Result<bool> {
        let mut notes = self.engine.cleaning.notes.lock();
        let segments = self.engine.log.segments();
        let Some(segment) = segments.iter().find(|it| it.number == number) else {
            return Ok(false);
        };
        self.clean(&mut notes, *segment, CleaningReason::IsWorth(Need::Forced))?;
        self.trim_forgotten(&mut notes)
    }

    /// Carries what lives in a finished segment and forgets it: only trimming is left to be done.
    /// Returns how many bytes it carried.
    ///
    /// One that cannot go is noted: a byte was damaged since the log was opened, which the next
    /// opening judges, or it has frames that only a newer program can read.
    fn clean(
        &self,
        notes: &mut Notes,
        segment: SegmentInfo,
        reason: CleaningReason,
    ) -> Result<u64> {
        let (cleaned, carried) = self.clean_known(notes, segment)?;
        match cleaned {
            CleanedKnown::Done => Ok(carried),
            CleanedKnown::MustBeRead => Ok(carried + self.clean_read(notes, segment, reason)?),
        }
    }

    /// Reads a segment, and does what [`Cleaner::clean`] says.
    fn clean_read(
        &self,
        notes: &mut Notes,
        segment: SegmentInfo,
        reason: CleaningReason,
    ) -> Result<u64> {
        let number = segment.number;
        // One that nobody read yet is kept if it is damaged, and that is told.
        self.engine.summaries.check(number);
        #[cfg(test)]
        self.engine.cleaning.read.fetch_add(1, Relaxed);
        let Some(contents) = self.scan(number)? else {
            notes.known.stuck.insert(number);
            return Ok(0);
        };
        self.engine.state.lock().kernel_mut().times.learn(self.engine.log.runs_begun());
        let now_ms = self.engine.time.trusted_ms();
        let is_oldest =
            self.engine.log.segments().first().is_some_and(|oldest| oldest.number == number);
        let may_go = is_oldest || contents.in_order.is_empty();
        let Some(live_bytes) = self.measure(number, &contents)?.filter(|_| may_go) else {
            notes.known.not_now.insert(number);
            return Ok(0);
        };
        // The estimate was too low, as it may be after a restart.
        if let CleaningReason::IsWorth(need) = reason
            && live_bytes > 0
            && !is_worth(segment.used_bytes, live_bytes, need)
        {
            let slice_ms = self.engine.windows().shortest().length_ms() / SLICES;
            notes.known.later.insert(number, now_ms.saturating_add(slice_ms));
            return Ok(0);
        }
        // Half of it carried would be room that is lost.
        if !self.engine.reserve().can_carry(live_bytes)? {
            notes.known.not_now.insert(number);
            return Ok(0);
        }
        let Some(mut carried) = self.carry_in_order(number, &contents.in_order)? else {
            notes.known.not_now.insert(number);
            return Ok(0);
        };
        let mut rest = contents.others.as_slice();
        loop {
            self.engine.refuse_if_closed()?;
            let _one_at_a_time = self.engine.control.lock();
            let mut found = FoundAlive::new(number);
            while found.live.bytes() < PORTION_BYTES && !rest.is_empty() {
                let (these, others) = rest.split_at(rest.len().min(JUDGED_TOGETHER));
                let state = self.engine.state.lock();
                these.iter().try_for_each(|kept| kept.judge(&*state, &mut found))?;
                rest = others;
            }
            carried += self.carry(found)?;
            if rest.is_empty() {
                break;
            }
        }
        self.forget(notes, number);
        Ok(carried)
    }

    /// Forgets a segment of which all was carried that lived in it; or notes that something is left.
    fn forget(&self, notes: &mut Notes, number: u64) {
        let mut state = self.engine.state.lock();
        let is_needed = state.kernel().usage.get(number).is_some_and(|usage| usage.is_needed());
        if is_needed || state.is_left_in(number) {
            notes.known.stuck.insert(number);
            return;
        }
        // Before it goes, so that who finds a frame gone knows from the state that it is not needed
        // there.
        notes.forgotten = Some(number);
        state.forget_segment(number);
    }

    /// What carrying all that lives would take; `None`: not now.
    fn measure(&self, number: u64, contents: &SegmentScan<S::Short>) -> Result<Option<u64>> {
        let mut found = FoundAlive::new(number);
        let in_order = contents.in_order.chunks(JUDGED_TOGETHER);
        for these in in_order.chain(contents.others.chunks(JUDGED_TOGETHER)) {
            let state = self.engine.state.lock();
            these.iter().try_for_each(|kept| kept.judge(&*state, &mut found))?;
        }
        Ok(Some(found.live.bytes()).filter(|_| !found.live.must_stay()))
    }

    /// Carries what goes in order, all of it together: nothing of it changes in between. `None`: not
    /// now, because not everything is found that the areas count on, which may be about to change.
    fn carry_in_order(&self, number: u64, in_order: &[Kept<S::Short>]) -> Result<Option<u64>> {
        if in_order.is_empty() {
            return Ok(Some(0));
        }
        self.engine.refuse_if_closed()?;
        let _one_at_a_time = self.engine.control.lock();
        let mut found = FoundAlive::new(number);
        {
            let state = self.engine.state.lock();
            in_order.iter().try_for_each(|kept| kept.judge(&*state, &mut found))?;
            if found.live.known_frames() != state.known_frames(number) {
                return Ok(None);
            }
        }
        self.carry(found).map(Some)
    }

    /// Carries all that was found: makes it durable, then applies where it is. Returns how many bytes that took. The
    /// caller holds `control`.
    fn carry(&self, found: FoundAlive<S>) -> Result<u64> {
        let FoundAlive { mut live, mut gathered } = found;
        let bytes = live.bytes();
        S::complete(self.engine, &mut gathered)?;
        S::gathered(gathered, &mut live);
        for frames in live.into_groups() {
            let written = self.engine.write(&frames, Share::Answers)?;
            let mut state = self.engine.state.lock();
            for (frame, at) in frames.iter().zip(written.placed) {
                state.relocated(frame, at, written.moment);
            }
        }
        Ok(bytes)
    }
}

/// What of a segment was found alive so far.
struct FoundAlive<S: Areas> {
    live: LiveFrames,
    gathered: S::Gathered,
}

impl<S: Areas> FoundAlive<S> {
    /// Nothing, of a segment.
    fn new(segment: u64) -> Self {
        Self { live: LiveFrames::new(segment), gathered: S::Gathered::default() }
    }
}
