//! Events of the log by LSN, packed: those without a final answer, and those with one whose frames are still there.
//!
//! An event takes some 9 bytes here, 13 with an amount. What is read of one is put together anew for whoever asks.

mod alike;
mod chunk;
mod marks;
mod runs;
mod slot_numbers;
#[cfg(test)]
mod tests;
mod unsettled;

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds, RangeInclusive};

pub(in crate::outbox) use alike::{Alike, SettledAlike};
use chunk::{AnswerAt, Chunk};
pub(in crate::outbox) use marks::{Mask, slots};
use marks::{SLOTS, between, bit};

use crate::base::looked::look;
use crate::base::{Located, State};
use crate::kernel::SliceHold;
use crate::outbox::{Counted, Live, Settled, Stage, Standing};

/// Slots of a chunk, in the type of LSNs.
const CHUNK_LSNS: u64 = SLOTS as u64;

/// Events by LSN.
#[derive(Clone, Debug)]
pub(crate) struct PackedEvents {
    /// By number without the lowest bits. None is empty.
    chunks: BTreeMap<u64, Box<Chunk>>,
    unsettled_count: usize,
    /// No chunk before this one has an event without a final answer: those that wait for cleaning are passed over.
    unsettled_from: u64,
}

impl Default for PackedEvents {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), unsettled_count: 0, unsettled_from: u64::MAX }
    }
}

/// Some events of one chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::outbox) struct EventSet {
    /// The LSN of the chunk's first slot.
    pub(in crate::outbox) base: u64,
    pub(in crate::outbox) events: Mask,
}

impl EventSet {
    /// Their LSNs, ascending.
    pub(in crate::outbox) fn lsns(self) -> impl Iterator<Item = u64> {
        slots(self.events).map(move |slot| lsn_at(self.base, slot))
    }

    /// How many there are.
    pub(in crate::outbox) fn count(self) -> usize {
        count(self.events)
    }

    /// The first and the last LSN of each run of those that follow each other, ascending.
    pub(in crate::outbox) fn runs(self) -> impl Iterator<Item = (u64, u64)> {
        let mut rest = self.events;
        std::iter::from_fn(move || {
            let first = usize::try_from(rest.trailing_zeros()).ok().filter(|slot| *slot < SLOTS)?;
            let length = (rest >> first).trailing_ones();
            let last = first + usize::try_from(length).unwrap_or(1) - 1;
            rest &= !between(first, last);
            Some((lsn_at(self.base, first), lsn_at(self.base, last)))
        })
    }

    /// The first of them and the last.
    pub(in crate::outbox) fn ends(self) -> RangeInclusive<u64> {
        let last = SLOTS - 1 - usize::try_from(self.events.leading_zeros()).unwrap_or(0);
        let first = usize::try_from(self.events.trailing_zeros()).unwrap_or(0);
        lsn_at(self.base, first)..=lsn_at(self.base, last)
    }
}

/// The chunk of an event, and its slot there.
fn split(lsn: u64) -> (u64, usize) {
    (lsn / CHUNK_LSNS, usize::try_from(lsn % CHUNK_LSNS).unwrap_or_default())
}

/// Whether two events are in one chunk.
pub(in crate::outbox) fn are_neighbours(lsn: u64, other: u64) -> bool {
    lsn / CHUNK_LSNS == other / CHUNK_LSNS
}

/// The LSN at a slot.
fn lsn_at(base: u64, slot: usize) -> u64 {
    base.saturating_add(u64::try_from(slot).unwrap_or_default())
}

/// The first number of a range and the last; `None`: there is none in it.
fn ends(range: &impl RangeBounds<u64>) -> Option<(u64, u64)> {
    let first = match range.start_bound() {
        Bound::Included(first) => Some(*first),
        Bound::Excluded(before) => before.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let last = match range.end_bound() {
        Bound::Included(last) => Some(*last),
        Bound::Excluded(after) => after.checked_sub(1),
        Bound::Unbounded => Some(u64::MAX),
    };
    first.zip(last).filter(|(first, last)| first <= last)
}

impl PackedEvents {
    /// How many events have no final answer.
    pub(crate) fn unsettled_count(&self) -> usize {
        self.unsettled_count
    }

    fn chunk(&self, lsn: u64) -> Option<(&Chunk, usize)> {
        let (number, slot) = split(lsn);
        Some((self.chunks.get(&number)?, slot))
    }

    /// The chunk of an event, to change it.
    fn chunk_mut(&mut self, lsn: u64) -> Option<(&mut Chunk, usize)> {
        let (number, slot) = split(lsn);
        Some((self.chunks.get_mut(&number)?, slot))
    }

    /// An event without a final answer.
    pub(in crate::outbox) fn live(&self, lsn: u64) -> Option<Live> {
        look();
        let (chunk, slot) = self.chunk(lsn)?;
        chunk.live(slot, lsn)
    }

    /// Where an event is and how far, if it has no final answer.
    pub(in crate::outbox) fn standing(&self, lsn: u64) -> Option<Standing> {
        look();
        let (chunk, slot) = self.chunk(lsn)?;
        chunk.standing(slot, lsn)
    }

    /// How far an event is that has no final answer.
    pub(in crate::outbox) fn stage(&self, lsn: u64) -> Option<Stage> {
        let (chunk, slot) = self.chunk(lsn)?;
        chunk.stage(slot)
    }

    /// Whether an event that has no final answer was attempted.
    pub(crate) fn is_attempted(&self, lsn: u64) -> bool {
        self.chunk(lsn).is_some_and(|(chunk, slot)| chunk.attempted & bit(slot) != 0)
    }

    /// An event with a final answer.
    pub(crate) fn settled(&self, lsn: u64) -> Option<Settled> {
        look();
        let (chunk, slot) = self.chunk(lsn)?;
        chunk.settled_at(slot, lsn)
    }

    /// The chunks that have numbers in a range, each with the set of those.
    fn within(&self, range: impl RangeBounds<u64>) -> impl Iterator<Item = (u64, &Chunk, Mask)> {
        ends(&range).into_iter().flat_map(|(first, last)| {
            let chunks = self.chunks.range(first / CHUNK_LSNS..=last / CHUNK_LSNS);
            chunks.map(move |(number, chunk)| {
                let base = number * CHUNK_LSNS;
                (base, &**chunk, in_chunk(base, (first, last)))
            })
        })
    }

    /// The events with a final answer in a range, ascending.
    pub(crate) fn settled_between(
        &self,
        range: impl RangeBounds<u64>,
    ) -> impl Iterator<Item = (u64, Settled)> {
        self.within(range).flat_map(|(base, chunk, events)| {
            slots(events & chunk.settled).filter_map(move |slot| {
                look();
                let lsn = lsn_at(base, slot);
                Some((lsn, chunk.settled_at(slot, lsn)?))
            })
        })
    }

    /// The events with a final answer in a range whose frames are in this segment.
    pub(in crate::outbox) fn settled_in(
        &self,
        range: impl RangeBounds<u64>,
        segment: u64,
    ) -> impl Iterator<Item = EventSet> {
        sets(self.within(range), move |chunk, events| {
            chunk.where_common(events & chunk.settled, |it| it.segment == segment)
        })
    }

    /// The events with this final answer in a range.
    pub(in crate::outbox) fn answered_in(
        &self,
        range: impl RangeBounds<u64>,
        state: State,
    ) -> impl Iterator<Item = EventSet> {
        sets(self.within(range), move |chunk, events| {
            let same = chunk.answered(events).filter(|(_, answer)| answer.state == state);
            same.fold(0, |all, (some, _)| all | some)
        })
    }

    /// The events that hold any of these slices.
    pub(in crate::outbox) fn holding(&self, is_one: impl Fn(&SliceHold) -> bool) -> Vec<u64> {
        let is_one = |common: &chunk::Common| is_one(&common.held);
        let chunks = self.chunks.iter().filter(|(_, chunk)| chunk.may_have(is_one));
        let found = chunks.flat_map(|(number, chunk)| {
            let events = chunk.where_common(chunk.unsettled, is_one);
            EventSet { base: number * CHUNK_LSNS, events }.lsns()
        });
        found.collect()
    }

    /// These events, which have no final answer, in groups that are alike.
    pub(in crate::outbox) fn alike(&self, some: EventSet) -> Vec<Alike> {
        self.chunk(some.base).map_or_else(Vec::new, |(chunk, _)| chunk.alike(some.events))
    }

    /// Settled events in groups whose keys and answers are in the same places.
    pub(in crate::outbox) fn settled_alike(&self, some: EventSet) -> Vec<SettledAlike> {
        self.chunk(some.base).map_or_else(Vec::new, |(chunk, _)| chunk.settled_alike(some.events))
    }

    /// Settled events by the segments in which their frames are.
    pub(in crate::outbox) fn by_segment(&self, some: EventSet) -> Vec<(u64, EventSet)> {
        let mut found = Vec::with_capacity(1);
        let Some((chunk, _)) = self.chunk(some.base) else { return found };
        let mut rest = some.events & chunk.settled;
        while let Some(first) = slots(rest).next() {
            let Some(segment) = chunk.common_at(first).map(|common| common.segment) else { break };
            let events = chunk.where_common(rest, |it| it.segment == segment);
            found.push((segment, EventSet { base: some.base, events }));
            rest &= !(events | bit(first));
        }
        found
    }

    /// The events with a final answer in a range.
    pub(in crate::outbox) fn settled_sets(
        &self,
        range: impl RangeBounds<u64>,
    ) -> impl Iterator<Item = EventSet> {
        sets(self.within(range), |chunk, events| events & chunk.settled)
    }

    /// Settled events by the frames that hold their answers; one whose own frame does is by itself.
    pub(in crate::outbox) fn by_holder(&self, some: EventSet) -> Vec<(u64, EventSet)> {
        let mut found = Vec::new();
        let Some((chunk, _)) = self.chunk(some.base) else { return found };
        for (events, answer) in chunk.answered(some.events) {
            let these = EventSet { base: some.base, events };
            match answer.holder {
                Some(holder) => found.push((holder, these)),
                None => found.extend(these.lsns().map(|lsn| (lsn, one(lsn)))),
            }
        }
        found
    }

    /// Puts an event in that has no final answer, in the place of one with the same number.
    pub(in crate::outbox) fn put(&mut self, lsn: u64, live: &Live) {
        self.put_alike((lsn, live), std::iter::empty());
    }

    /// Puts an event in that has no final answer, and others that are like it but for place and amount, all in the
    /// places of those with the same numbers. They are neighbours. Returns which they are, and what is counted of them.
    pub(in crate::outbox) fn put_alike(
        &mut self,
        (lsn, live): (u64, &Live),
        others: impl Iterator<Item = (Located, i64)>,
    ) -> (EventSet, Counted) {
        let (number, like) = split(lsn);
        let mut last = self.chunks.last_entry();
        let newest = last.as_mut().filter(|last| *last.key() == number);
        let chunk = match newest {
            Some(newest) => newest.get_mut(),
            None => self.chunks.entry(number).or_default(),
        };
        let before = count(chunk.unsettled);
        chunk.put(like, lsn, live);
        let (mut events, mut counted) = (bit(like), live.counted());
        for (at, amount) in others {
            let (_, slot) = split(at.lsn);
            chunk.put_like((slot, like), at, amount);
            events |= bit(slot);
            counted.count += 1;
            counted.bytes = counted.bytes.saturating_add(u64::from(at.bytes));
            counted.sum += i128::from(amount);
        }
        self.unsettled_count = self.unsettled_count + count(chunk.unsettled) - before;
        self.unsettled_from = self.unsettled_from.min(number);
        (EventSet { base: number * CHUNK_LSNS, events }, counted)
    }

    /// Gives events without a final answer one, which the frame `holder` holds.
    pub(in crate::outbox) fn settle(&mut self, some: EventSet, state: State, holder: u64) {
        let Some((chunk, _)) = self.chunk_mut(some.base) else { return };
        let events = some.events & chunk.unsettled;
        chunk.settle(events, AnswerAt { state, holder: elsewhere(some, holder) });
        let is_left = chunk.unsettled != 0;
        self.unsettled_count -= count(events);
        if !is_left {
            self.pass_settled(split(some.base).0);
        }
    }

    /// The answer to settled events is in the frame `holder` now.
    pub(in crate::outbox) fn set_holder(&mut self, some: EventSet, holder: u64) {
        let holder = elsewhere(some, holder);
        let Some((chunk, _)) = self.chunk_mut(some.base) else { return };
        let states: Vec<(Mask, AnswerAt)> = chunk.answered(some.events).collect();
        for (events, answer) in states {
            chunk.set_answer(events, AnswerAt { holder, ..answer });
        }
    }

    /// The frame of a settled event is here now.
    pub(in crate::outbox) fn move_settled(&mut self, lsn: u64, at: Located) {
        if let Some((chunk, slot)) = self.chunk_mut(lsn) {
            chunk.move_settled(slot, lsn, at);
        }
    }

    /// Forgets events.
    pub(in crate::outbox) fn forget(&mut self, some: EventSet) {
        let (number, _) = split(some.base);
        let Some(chunk) = self.chunks.get_mut(&number) else { return };
        self.unsettled_count -= count(some.events & chunk.unsettled);
        chunk.forget(some.events);
        let is_left = chunk.unsettled != 0;
        if chunk.is_empty() {
            self.chunks.remove(&number);
        }
        if !is_left {
            self.pass_settled(number);
        }
    }
}

/// One event.
pub(in crate::outbox) fn one(lsn: u64) -> EventSet {
    let (number, slot) = split(lsn);
    EventSet { base: number * CHUNK_LSNS, events: bit(slot) }
}

/// The frame that holds an answer, unless it is that of the only event itself.
fn elsewhere(some: EventSet, holder: u64) -> Option<u64> {
    let is_own = count(some.events) == 1 && some.ends() == (holder..=holder);
    (!is_own).then_some(holder)
}

/// Of each of these chunks the events that are picked of those given, where there are any.
fn sets<'c>(
    chunks: impl Iterator<Item = (u64, &'c Chunk, Mask)>,
    pick: impl Fn(&Chunk, Mask) -> Mask,
) -> impl Iterator<Item = EventSet> {
    let picked = chunks.map(move |(base, chunk, events)| {
        let events = pick(chunk, events);
        EventSet { base, events }
    });
    picked.filter(|some| some.events != 0)
}

/// The numbers from the first to the last that a chunk has.
fn in_chunk(base: u64, (first, last): (u64, u64)) -> Mask {
    let slot = |lsn: u64| usize::try_from(lsn.saturating_sub(base)).unwrap_or(usize::MAX);
    between(slot(first), slot(last).min(SLOTS - 1))
}

fn count(events: Mask) -> usize {
    usize::try_from(events.count_ones()).unwrap_or(0)
}
