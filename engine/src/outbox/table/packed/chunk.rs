//! Events whose numbers differ in the lowest bits only, in some 9 bytes each.
//!
//! What an event says of itself is in its frame. Here is what must be known without reading that: where it is, when it
//! was captured, its amount, and how far it is. What neighbours share is there once.

use std::collections::BTreeMap;

use onceward_wal::Place;

use super::marks::{Mask, SharedFacts, bit, slots};
use super::slot_numbers::{SlotNumbers, from_eights, in_eights};
use crate::base::{Located, Moment, State, Wall, WrittenAt};
use crate::kernel::SliceHold;
use crate::outbox::{Live, Settled, Stage, Standing};

/// What many events of a chunk have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Common {
    /// The segment in which the frame is.
    pub(super) segment: u64,
    pub(super) held: SliceHold,
    pub(super) scope: usize,
    /// Trusted time from which the times of the events count.
    base_ms: u64,
    /// By how much the wall clock was ahead of trusted time; `None`: nobody knows what it showed.
    wall_ahead_ms: Option<i64>,
    pub(super) has_moved: bool,
    pub(super) is_effect: bool,
    pub(super) is_evictable: bool,
    is_imported: bool,
}

impl Common {
    /// What others may have in common with an event.
    pub(super) fn of(live: &Live) -> Self {
        let Moment { trusted_ms, wall } = live.moment;
        let ahead = |wall_ms: i64| wall_ms.wrapping_sub(trusted_ms.cast_signed());
        Self {
            segment: live.at.place.segment,
            held: live.held,
            scope: live.scope,
            base_ms: trusted_ms,
            wall_ahead_ms: wall.get().map(ahead),
            has_moved: live.has_moved,
            is_effect: live.is_effect,
            is_evictable: live.is_evictable,
            is_imported: live.is_imported,
        }
    }
}

/// The answer to an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AnswerAt {
    pub(super) state: State,
    /// The frame that holds the answer; `None`: the event's own.
    pub(super) holder: Option<u64>,
}

/// Events whose numbers begin alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    /// The events without a final answer.
    pub(super) unsettled: Mask,
    /// The events with one whose frames are still in the log.
    pub(super) settled: Mask,
    pub(super) attempted: Mask,
    /// From where offsets count: so they are small, as events of one chunk are mostly near each other.
    base_offset: u32,
    /// Where each frame begins in its segment, in eights of bytes behind the base.
    offsets: SlotNumbers<u16, u32>,
    /// Milliseconds from `Common::base_ms` on.
    times: SlotNumbers<u16, u32>,
    /// Bytes of each frame, in eights.
    sizes: SlotNumbers<u16, u32>,
    /// Which of `commons` is each event's.
    common_of: SlotNumbers<u8, u8>,
    pub(super) commons: Vec<Common>,
    /// In ten-thousandths.
    pub(super) amounts: SlotNumbers<i32, i64>,
    /// The stages of those that are not pending.
    pub(super) stages: SharedFacts<Stage>,
    /// When the batch was formed with which each was attempted first, where that is known.
    attempts: SharedFacts<WrittenAt>,
    answers: SharedFacts<AnswerAt>,
    /// The frames of those that were carried: their LSNs.
    #[expect(
        clippy::box_collection,
        reason = "few chunks have any, and a box is a third of a map"
    )]
    frames: Option<Box<BTreeMap<usize, u64>>>,
}

impl Chunk {
    /// Whether it holds no event.
    pub(super) fn is_empty(&self) -> bool {
        self.unsettled | self.settled == 0
    }

    /// Puts an event in that has no final answer.
    pub(super) fn put(&mut self, slot: usize, lsn: u64, live: &Live) {
        self.forget(bit(slot));
        if self.is_empty() {
            self.base_offset = live.at.place.offset;
        }
        let (common, elapsed) = self.common(Common::of(live), live.moment.trusted_ms);
        self.common_of.set(slot, common);
        self.times.set(slot, elapsed);
        self.place(slot, lsn, live.at);
        self.amounts.set(slot, live.amount);
        let mask = bit(slot);
        self.unsettled |= mask;
        if live.is_attempted {
            self.attempted |= mask;
        }
        if let Some(since) = live.attempted {
            self.attempts.set(mask, since);
        }
        if live.stage != Stage::Pending {
            self.stages.set(mask, live.stage);
        }
    }

    /// Puts an event in that has no final answer and is as the one at slot `like`, which is at no other stage than at
    /// first, but for its place, in the same segment, and its amount.
    pub(super) fn put_like(&mut self, (slot, like): (usize, usize), at: Located, amount: i64) {
        self.forget(bit(slot));
        self.common_of.set(slot, self.common_of.get(like));
        self.times.set(slot, self.times.get(like));
        self.place(slot, at.lsn, at);
        self.amounts.set(slot, amount);
        self.unsettled |= bit(slot);
    }

    /// Notes where the frame of an event is, but for its segment.
    fn place(&mut self, slot: usize, lsn: u64, at: Located) {
        self.set_offset(slot, at.place.offset);
        self.sizes.set(slot, in_eights(at.bytes));
        if at.lsn != lsn {
            self.frames.get_or_insert_default().insert(slot, at.lsn);
        }
    }

    fn set_offset(&mut self, slot: usize, offset: u32) {
        self.offsets.set(slot, in_eights(offset.wrapping_sub(self.base_offset)));
    }

    /// Puts events in that have no final answer: each with its offset, its size, its time behind that
    /// of what it has in common with others, the number of that, and its amount.
    pub(super) fn put_columns(
        &mut self,
        events: Mask,
        offsets: &[u32],
        rest: impl Iterator<Item = (u32, (u8, u32), i64)>,
    ) {
        if let (true, Some(first)) = (self.is_empty(), offsets.first()) {
            self.base_offset = *first;
        }
        for (slot, (offset, (bytes, (common, elapsed), amount))) in
            slots(events).zip(offsets.iter().zip(rest))
        {
            self.set_offset(slot, *offset);
            self.sizes.set(slot, in_eights(bytes));
            self.common_of.set(slot, common);
            self.times.set(slot, elapsed);
            self.amounts.set(slot, amount);
        }
        self.unsettled |= events;
    }

    /// The bytes of each allocation of a chunk whose events have no answers and are at no stage.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> impl Iterator<Item = usize> {
        let columns = [&self.offsets, &self.times, &self.sizes].map(SlotNumbers::allocated);
        let rest = [self.common_of.allocated(), self.amounts.allocated()];
        let commons = self.commons.capacity() * size_of::<Common>();
        columns.into_iter().chain(rest).flatten().chain([size_of::<Self>(), commons])
    }

    /// The number of what an event has in common with others, and its time from there.
    pub(super) fn common(&mut self, new: Common, trusted_ms: u64) -> (u8, u32) {
        let since = |base_ms: u64| u32::try_from(trusted_ms.checked_sub(base_ms)?).ok();
        let is_same = |it: &Common| Common { base_ms: it.base_ms, ..new } == *it;
        let mut newest_first = self.commons.iter().enumerate().rev();
        let found = newest_first.find_map(|(at, it)| {
            is_same(it).then(|| since(it.base_ms)).flatten().map(|ms| (at, ms))
        });
        let (at, ms) = found.unwrap_or_else(|| {
            if self.commons.len() > usize::from(u8::MAX) {
                self.retain_commons();
            }
            if self.commons.is_empty() {
                // Most chunks have no other.
                self.commons.reserve_exact(1);
            }
            self.commons.push(new);
            (self.commons.len() - 1, 0)
        });
        (u8::try_from(at).unwrap_or(u8::MAX), ms)
    }

    /// Forgets what no event has any more: of those that were moved, or have gone.
    fn retain_commons(&mut self) {
        let mut left: Vec<Common> = Vec::new();
        let mut numbers: BTreeMap<u8, u8> = BTreeMap::new();
        for slot in slots(self.unsettled | self.settled) {
            let old = self.common_of.get(slot);
            let number = *numbers.entry(old).or_insert_with(|| {
                left.extend(self.commons.get(usize::from(old)).copied());
                u8::try_from(left.len().saturating_sub(1)).unwrap_or(u8::MAX)
            });
            self.common_of.set(slot, number);
        }
        self.commons = left;
    }

    /// What the event at a slot has in common with others.
    pub(super) fn common_at(&self, slot: usize) -> Option<&Common> {
        self.commons.get(usize::from(self.common_of.get(slot)))
    }

    fn located(&self, slot: usize, lsn: u64, segment: u64) -> Located {
        let offset = from_eights(self.offsets.get(slot)).wrapping_add(self.base_offset);
        let frame = self.frames.as_ref().and_then(|frames| frames.get(&slot)).copied();
        let (place, bytes) = (Place { segment, offset }, self.bytes(slot));
        Located { place, bytes, lsn: frame.unwrap_or(lsn) }
    }

    /// Bytes of the frame of an event.
    pub(super) fn bytes(&self, slot: usize) -> u32 {
        from_eights(self.sizes.get(slot))
    }

    fn moment(&self, slot: usize, common: &Common) -> Moment {
        let elapsed = self.times.get(slot);
        let trusted_ms = common.base_ms.saturating_add(u64::from(elapsed));
        let wall = |ahead: i64| Wall::at(trusted_ms.cast_signed().wrapping_add(ahead));
        Moment { trusted_ms, wall: common.wall_ahead_ms.map_or(Wall::UNKNOWN, wall) }
    }

    /// The event at a slot, if it has no final answer.
    pub(super) fn live(&self, slot: usize, lsn: u64) -> Option<Live> {
        let mask = bit(slot);
        if self.unsettled & mask == 0 {
            return None;
        }
        let common = self.common_at(slot)?;
        Some(Live {
            held: common.held,
            has_moved: common.has_moved,
            scope: common.scope,
            at: self.located(slot, lsn, common.segment),
            moment: self.moment(slot, common),
            amount: self.amounts.get(slot),
            is_effect: common.is_effect,
            is_evictable: common.is_evictable,
            is_attempted: self.attempted & mask != 0,
            attempted: self.attempts.of(slot),
            is_imported: common.is_imported,
            stage: self.stages.of(slot).unwrap_or(Stage::Pending),
        })
    }

    /// Where the event at a slot is and how far, if it has no final answer.
    pub(super) fn standing(&self, slot: usize, lsn: u64) -> Option<Standing> {
        let stage = self.stage(slot)?;
        let common = self.common_at(slot)?;
        let at = self.located(slot, lsn, common.segment);
        let (wall, state) = (self.moment(slot, common).wall, stage.state());
        Some(Standing { lsn, at, wall, state, outcome: None })
    }

    /// The event at a slot, if it has a final answer.
    pub(super) fn settled_at(&self, slot: usize, lsn: u64) -> Option<Settled> {
        if self.settled & bit(slot) == 0 {
            return None;
        }
        let common = self.common_at(slot)?;
        let answered = self.answers.of(slot)?;
        Some(Settled {
            at: self.located(slot, lsn, common.segment),
            scope: common.scope,
            state: answered.state,
            has_moved: common.has_moved,
            wall: self.moment(slot, common).wall,
            outcome_lsn: answered.holder.unwrap_or(lsn),
        })
    }

    /// Whether the event at a slot has no final answer, waits for no person, and is of this scope, if one is named.
    pub(super) fn is_open(&self, slot: usize, scope: Option<usize>) -> bool {
        let is_of = |scope| self.common_at(slot).is_some_and(|common| common.scope == scope);
        self.stage(slot).is_some_and(|stage| !stage.waits_for_a_person()) && scope.is_none_or(is_of)
    }

    /// How far an event is that has no final answer.
    pub(super) fn stage(&self, slot: usize) -> Option<Stage> {
        let is_live = self.unsettled & bit(slot) != 0;
        is_live.then(|| self.stages.of(slot).unwrap_or(Stage::Pending))
    }

    /// Brings events to a stage.
    pub(super) fn set_stage(&mut self, events: Mask, stage: Stage) {
        match stage {
            Stage::Pending => self.stages.clear(events),
            Stage::InFlight(_) | Stage::InReview | Stage::Uncertain => {
                self.stages.set(events, stage);
            }
        }
    }

    /// Notes that events were attempted with a batch of this number; 0: with one that is formed now, of those that were
    /// in none before.
    pub(super) fn note_attempts(&mut self, events: Mask, number: u64, formed: Option<WrittenAt>) {
        if number != 0 {
            // That of an older one, of whose time cleaning carried nothing.
            let newer = self.attempts.within(events).filter(|(_, first)| number < first.lsn);
            let newer = newer.fold(0, |all, (some, _)| all | some);
            self.attempts.clear(newer);
        } else if let Some(formed) = formed {
            self.attempts.set(events & !self.attempted, formed);
        }
        self.attempted |= events;
    }

    /// Gives events without a final answer one.
    pub(super) fn settle(&mut self, events: Mask, answer: AnswerAt) {
        let events = events & self.unsettled;
        self.unsettled &= !events;
        self.settled |= events;
        self.attempted &= !events;
        self.stages.clear(events);
        self.attempts.clear(events);
        self.answers.set(events, answer);
    }

    /// The settled events among these with this state, in groups that have the same answer.
    pub(super) fn answered(&self, events: Mask) -> impl Iterator<Item = (Mask, AnswerAt)> + '_ {
        self.answers.within(events & self.settled)
    }

    /// The answer to settled events is in another frame now.
    pub(super) fn set_answer(&mut self, events: Mask, answer: AnswerAt) {
        self.answers.set(events & self.settled, answer);
    }

    /// The frame of a settled event is here now.
    pub(super) fn move_settled(&mut self, slot: usize, lsn: u64, at: Located) {
        let Some(common) = self.common_at(slot).copied() else { return };
        let trusted_ms = self.moment(slot, &common).trusted_ms;
        self.forget_frames(bit(slot));
        let moved = Common { segment: at.place.segment, base_ms: trusted_ms, ..common };
        let (common, elapsed) = self.common(moved, trusted_ms);
        self.common_of.set(slot, common);
        self.times.set(slot, elapsed);
        self.place(slot, lsn, at);
    }

    /// Forgets events.
    pub(super) fn forget(&mut self, events: Mask) {
        let events = events & (self.unsettled | self.settled);
        if events == 0 {
            return;
        }
        self.unsettled &= !events;
        self.settled &= !events;
        self.attempted &= !events;
        self.stages.clear(events);
        self.attempts.clear(events);
        self.answers.clear(events);
        self.forget_frames(events);
    }

    fn forget_frames(&mut self, events: Mask) {
        let Some(frames) = &mut self.frames else { return };
        frames.retain(|slot, _| bit(*slot) & events == 0);
        if frames.is_empty() {
            self.frames = None;
        }
    }
}
