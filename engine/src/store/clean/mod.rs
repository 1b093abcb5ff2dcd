//! Gives space back: forgets keys whose window is over, and trims segments, mostly in any order.
//!
//! What still lives in a segment is carried forward in its smallest form, durably, before the segment
//! goes: an unsettled event whole, of a settled one its key with outcome and receipt, and what without
//! it an older frame elsewhere would be taken at its word for (see `view/needs.rs`). A crash between
//! leaves both, and replay makes one of them.
//!
//! The segment is read without a lock. What was read is judged and carried in portions, each under
//! `control`, so that whoever settles waits for one portion at most. Captures wait for none.

mod carry;
mod choose;
mod harvest;
mod kept;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use onceward_wal::SegmentInfo;
use parking_lot::Mutex;

use super::timekeeping::Note;
use super::{Inner, Store, from_log};
use crate::config::Retain;
use crate::error::{Error, ErrorKind, Result};
use choose::{About, Known, Need, Reason, choose, is_turn, is_worth};
use harvest::Harvest;
use kept::{Contents, Kept};

/// Bytes that are carried before `control` is given free.
const PORTION_BYTES: u64 = 128 * 1024;
/// Frames that are judged under the view's lock at a time.
const JUDGED_TOGETHER: usize = 256;
/// What one call may spend at least, in bytes written.
const BUDGET_BYTES_MIN: u64 = 512 * 1024;
/// A segment in which too much lives is looked at again after one part of so many of a window.
const SLICES: u64 = 24;
/// What reading a segment and taking it off the list costs, in bytes written.
const SEGMENT_COST_BYTES: u64 = 32 * 1024;

/// The state of cleaning.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// Held by the one who cleans; nobody else waits for it, but who has no room for a capture.
    cleaner: Mutex<Cleaner>,
    /// Bytes that were appended since somebody cleaned: half as many may be spent.
    appended: AtomicU64,
    /// A capture was refused because the disk is full.
    is_short: AtomicBool,
    /// Bytes that were carried since the store was opened.
    carried: AtomicU64,
}

/// What the one who cleans knows.
#[derive(Debug, Default)]
struct Cleaner {
    known: Known,
    /// The view knows nothing of this segment any more, and it is not trimmed: nothing else may go
    /// before it, because it may need it.
    forgotten: Option<u64>,
}

/// Which segment a test wants to go.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// The one of this number.
    This(u64),
}

impl Cleaning {
    /// So many bytes were appended.
    pub(super) fn count(&self, bytes: u64) {
        self.appended.fetch_add(bytes, Relaxed);
    }

    /// Bytes that were carried since the store was opened.
    #[cfg(test)]
    pub(super) fn carried(&self) -> u64 {
        self.carried.load(Relaxed)
    }
}

impl Store {
    /// Makes deferred captures durable for which nobody waited for a fifth of a second, carries out
    /// decisions that other processes dropped into the directory (see
    /// [`write_decision`](crate::write_decision)), forgets keys whose window is over and trims
    /// segments that are mostly settled.
    ///
    /// Settling does the last two by itself; a host calls this now and then.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// // From a timer of the host, every second or so.
    /// store.tick()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused; nothing is lost.
    ///
    /// # Cost
    ///
    /// Writes at most half of what was appended since the last call, or 512 KiB if that is more.
    pub fn tick(&self) -> Result<()> {
        self.inner.refuse_if_closed()?;
        // On a full disk, cleaning may make room for what could not be decided.
        let taken_up = self.inner.take_up_decisions();
        self.clean_up()?;
        taken_up
    }

    /// The part of [`Store::tick`] that settling does.
    pub(crate) fn clean_up(&self) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        inner.sync_lingering()?;
        let trusted_ms = inner.moment(inner.mono_ms()).trusted_ms;
        if inner.view.lock().expire(trusted_ms) {
            inner.keeper.ask();
        }
        inner.keeper.tick();
        let ended = inner.end_windows();
        let ended = inner.note_time(Note::WhenLongAgo).and(ended);
        inner.tidy_catalog();
        if inner.config.retain == Retain::Everything {
            return ended;
        }
        // Somebody is at it: then there is nothing to do here.
        let Some(mut cleaner) = inner.cleaning.cleaner.try_lock() else { return ended };
        inner.clean_some(&mut cleaner)?;
        ended
    }
}

impl Inner {
    /// The disk is full and a capture finds no room: whether any came back.
    ///
    /// The caller holds no lock.
    fn make_room(&self) -> Result<bool> {
        if self.config.retain == Retain::Everything {
            return Ok(false);
        }
        self.cleaning.is_short.store(true, Relaxed);
        let freed = self.clean_some(&mut self.cleaning.cleaner.lock());
        match freed {
            Err(error) if error.kind() == ErrorKind::Full => Ok(false),
            freed => freed,
        }
    }

    /// A call was refused: makes room, once, if that is why; otherwise this is the answer. The caller
    /// holds no lock.
    pub(super) fn make_room_once(&self, refused: Error, has_made_room: &mut bool) -> Result<()> {
        // What is settled gives room.
        let may_help = refused.code() == "FULL" && !std::mem::replace(has_made_room, true);
        if may_help && matches!(self.make_room(), Ok(true)) { Ok(()) } else { Err(refused) }
    }

    /// Cleans as long as it is worth it and what may be spent is not. Returns whether any segment went.
    fn clean_some(&self, cleaner: &mut Cleaner) -> Result<bool> {
        let mut left = BUDGET_BYTES_MIN.max(self.cleaning.appended.swap(0, Relaxed) / 2);
        let mut has_freed = false;
        cleaner.known.not_now.clear();
        loop {
            if let Some(forgotten) = cleaner.forgotten {
                self.log.trim(forgotten).map_err(from_log)?;
                cleaner.forgotten = None;
                has_freed = true;
            }
            let need = self.need();
            let Some((segment, reason)) = self.worth_cleaning(cleaner, need) else {
                self.cleaning.is_short.store(false, Relaxed);
                return Ok(has_freed);
            };
            if left == 0 {
                return Ok(has_freed);
            }
            let carried = self.asking_on_the_way(|| self.clean(cleaner, segment, reason))?;
            self.cleaning.carried.fetch_add(carried, Relaxed);
            left = left.saturating_sub(carried + SEGMENT_COST_BYTES);
        }
    }

    /// How badly room is needed.
    fn need(&self) -> Need {
        if self.is_low() {
            Need::Low
        } else if self.cleaning.is_short.load(Relaxed) {
            Need::Short
        } else {
            Need::Usual
        }
    }

    /// The segment to clean next.
    fn worth_cleaning(&self, cleaner: &mut Cleaner, need: Need) -> Option<(SegmentInfo, Reason)> {
        let segments = self.log.segments();
        let (_last, finished) = segments.split_last()?;
        let trusted_ms = self.moment(self.mono_ms()).trusted_ms;
        let view = self.view.lock();
        let about = About {
            segment_bytes: self.config.segment_bytes,
            slack_segments: self.config.cleaning_slack_segments,
            trusted_ms,
            is_turn: is_turn(&segments, &view),
        };
        choose(finished, &view.lives, &mut cleaner.known, need, about)
    }

    /// Cleans one segment, whatever lives in it. Returns whether it went.
    #[cfg(test)]
    pub(super) fn clean_one(&self, order: Order) -> Result<bool> {
        let Order::This(number) = order;
        let mut cleaner = self.cleaning.cleaner.lock();
        let segments = self.log.segments();
        let Some(segment) = segments.iter().find(|it| it.number == number) else {
            return Ok(false);
        };
        self.clean(&mut cleaner, *segment, Reason::IsWorth(Need::Forced))?;
        let Some(forgotten) = cleaner.forgotten else { return Ok(false) };
        self.log.trim(forgotten).map_err(from_log)?;
        cleaner.forgotten = None;
        Ok(true)
    }

    /// Carries what lives in a finished segment and forgets it: only trimming is left to be done.
    /// Returns how many bytes it carried.
    ///
    /// One that cannot go is noted: a byte was damaged since the log was opened, which the next
    /// opening judges, or it has frames that only a newer program can read.
    fn clean(&self, cleaner: &mut Cleaner, segment: SegmentInfo, reason: Reason) -> Result<u64> {
        let number = segment.number;
        let Some(contents) = self.read_kept(number)? else {
            cleaner.known.stuck.insert(number);
            return Ok(0);
        };
        self.view.lock().time.learn(self.log.runs_begun());
        let now_ms = self.moment(self.mono_ms()).trusted_ms;
        let is_oldest = self.log.segments().first().is_some_and(|oldest| oldest.number == number);
        let may_go = is_oldest || contents.in_order.is_empty();
        let Some(live_bytes) = self.measure(number, &contents)?.filter(|_| may_go) else {
            cleaner.known.not_now.insert(number);
            return Ok(0);
        };
        // The estimate was too low, as it may be after a restart.
        if let Reason::IsWorth(need) = reason
            && live_bytes > 0
            && !is_worth(segment.used_bytes, live_bytes, need)
        {
            let slice_ms = self.windows.shortest().length_ms() / SLICES;
            cleaner.known.later.insert(number, now_ms.saturating_add(slice_ms));
            return Ok(0);
        }
        // Half of it carried would be room that is lost.
        if !self.can_carry(live_bytes)? {
            cleaner.known.not_now.insert(number);
            return Ok(0);
        }
        let Some(mut carried) = self.carry_in_order(number, &contents.in_order)? else {
            cleaner.known.not_now.insert(number);
            return Ok(0);
        };
        let mut rest = contents.others.as_slice();
        loop {
            self.refuse_if_closed()?;
            let _one_at_a_time = self.control.lock();
            let mut harvest = Harvest::new(number);
            while harvest.bytes() < PORTION_BYTES && !rest.is_empty() {
                let (these, others) = rest.split_at(rest.len().min(JUDGED_TOGETHER));
                let view = self.view.lock();
                these.iter().try_for_each(|kept| kept.judge(view.ask(), &mut harvest))?;
                rest = others;
            }
            carried += self.carry_harvest(harvest)?;
            if rest.is_empty() {
                break;
            }
        }
        let mut view = self.view.lock();
        let part = view.lives.get(number);
        let is_left = part.is_some_and(|part| part.unsettled > 0 || part.needed > 0);
        if is_left || view.reviews_in(number) > 0 || view.leaving.known_frames(number) > 0 {
            cleaner.known.stuck.insert(number);
            return Ok(carried);
        }
        // Before it goes, so that who finds a frame gone knows from the view that it is not needed
        // there.
        cleaner.forgotten = Some(number);
        view.forget_segment(number);
        Ok(carried)
    }

    /// What carrying all that lives would take; `None`: not now.
    fn measure(&self, number: u64, contents: &Contents) -> Result<Option<u64>> {
        let mut harvest = Harvest::new(number);
        let in_order = contents.in_order.chunks(JUDGED_TOGETHER);
        for these in in_order.chain(contents.others.chunks(JUDGED_TOGETHER)) {
            let view = self.view.lock();
            these.iter().try_for_each(|kept| kept.judge(view.ask(), &mut harvest))?;
        }
        Ok(Some(harvest.bytes()).filter(|_| !harvest.has_open_effect()))
    }

    /// Carries what goes in order, all of it together: nothing of it changes in between. `None`: not
    /// now, because not everything is found that the view counts on, which may be about to change.
    fn carry_in_order(&self, number: u64, in_order: &[Kept]) -> Result<Option<u64>> {
        if in_order.is_empty() {
            return Ok(Some(0));
        }
        self.refuse_if_closed()?;
        let _one_at_a_time = self.control.lock();
        let mut harvest = Harvest::new(number);
        {
            let view = self.view.lock();
            in_order.iter().try_for_each(|kept| kept.judge(view.ask(), &mut harvest))?;
            if harvest.known_frames() != view.known_frames(number) {
                return Ok(None);
            }
        }
        self.carry_harvest(harvest).map(Some)
    }
}
