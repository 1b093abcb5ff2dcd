//! Events that came one behind the other, put in all at once.

use super::chunk::{Chunk, Common};
use super::marks::{SLOTS, between};
use super::{PackedEvents, split};
use crate::kernel::{RunColumns, SummaryRun};
use crate::outbox::Live;

impl PackedEvents {
    /// Puts the events of a run in, which have no final answer. `alike`: an event of each of the run's facts at the
    /// lowest time. `false`, and nothing done: one is there, or they must be put in one by one.
    pub(in crate::outbox) fn put_run(
        &mut self,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        alike: &[Live],
    ) -> bool {
        let (number, slot) = split(run.first_lsn());
        let is_put = self.chunks.entry(number).or_default().put_run(slot, (run, columns), alike);
        if is_put {
            self.unsettled_count += run.count();
            self.unsettled_from = self.unsettled_from.min(number);
        } else if self.chunks.get(&number).is_some_and(|chunk| chunk.is_empty()) {
            self.chunks.remove(&number);
        }
        is_put
    }
}

impl Chunk {
    /// Puts events in, from a slot on, that have no final answer. `alike`: an event of each of the run's facts at the
    /// lowest time. `false`, and nothing done: one is there, or they are too far apart.
    fn put_run(
        &mut self,
        first: usize,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        alike: &[Live],
    ) -> bool {
        let last = first.saturating_add(run.count()).saturating_sub(1);
        let events = between(first, last);
        if last >= SLOTS || (self.unsettled | self.settled) & events != 0 {
            return false;
        }
        if self.commons.len().saturating_add(alike.len()) > usize::from(u8::MAX) {
            // A number that nobody has yet might be taken back for another.
            return false;
        }
        let mut numbers = Vec::with_capacity(alike.len());
        for live in alike {
            let (number, elapsed) = self.common(Common::of(live), live.moment.trusted_ms);
            if elapsed.checked_add(run.span_ms()).is_none() {
                return false;
            }
            numbers.push((number, elapsed));
        }
        put_column(&mut self.offsets, first, &columns.offsets, run.count());
        put_column(&mut self.sizes, first, &columns.sizes, run.count());
        let slots = self.times.iter_mut().zip(&mut self.common_of).skip(first).take(run.count());
        for ((time, common), (behind, facts)) in slots.zip(columns.times.iter().zip(&columns.facts))
        {
            let (number, elapsed) = numbers.get(usize::from(*facts)).copied().unwrap_or_default();
            (*time, *common) = (elapsed.saturating_add(*behind), number);
        }
        for (slot, amount) in (first..=last).zip(columns.amounts) {
            self.amounts.set(slot, amount);
        }
        self.unsettled |= events;
        true
    }
}

/// Sets items of an array, from a slot on.
fn put_column<T: Copy>(all: &mut [T; SLOTS], first: usize, items: &[T], count: usize) {
    let places = all.get_mut(first..first.saturating_add(count)).unwrap_or_default();
    places.iter_mut().zip(items).for_each(|(to, from)| *to = *from);
}
