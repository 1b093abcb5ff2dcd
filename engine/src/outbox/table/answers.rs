//! Which frame holds an event's final answer, and which frames of the event depend on that.

use std::ops::{RangeBounds, RangeInclusive};

use super::EventTable;
use super::packed::EventSet;
use crate::base::Located;
use crate::kernel::Kernel;

impl EventTable {
    /// The place of the frame that holds the final answer for an event.
    pub(crate) fn outcome_at(&self, kernel: &Kernel, lsn: u64) -> Option<Located> {
        let holder = match self.packed.settled(lsn) {
            // An effect's own frame holds its receipt.
            Some(settled) if settled.outcome_lsn == lsn => return Some(settled.at),
            Some(settled) => settled.outcome_lsn,
            None => self.outcomes.get(lsn)?.holder,
        };
        kernel.dependencies.at(holder)
    }

    /// The place from which an event's key was carried: the frame with the key, or the event itself.
    fn key_at(&self, kernel: &Kernel, lsn: u64) -> Option<Located> {
        match self.outcomes.get(lsn) {
            Some(outcome) => kernel.dependencies.at(outcome.holder),
            None => self.packed.settled(lsn).map(|settled| settled.at),
        }
    }

    /// The segments in which frames of a settled event are.
    fn segments_of(&self, lsn: u64) -> Vec<u64> {
        let at = self.packed.settled(lsn).map(|settled| settled.at.place.segment);
        let copies = self.copies.get(&lsn).into_iter().flatten().map(|at| at.place.segment);
        at.into_iter().chain(copies).collect()
    }

    /// Whether the frame `holder` holds the answer of an event that has frames in other segments than this.
    pub(crate) fn answers_elsewhere(&self, lsn: u64, holder: u64, segment: u64) -> bool {
        let is_of = self.packed.settled(lsn).is_some_and(|it| it.outcome_lsn == holder);
        is_of && self.segments_of(lsn).iter().any(|it| *it != segment)
    }

    /// The answers for events in a range that are settled already are in another frame now.
    pub(in crate::outbox) fn answers_move(
        &mut self,
        kernel: &mut Kernel,
        range: impl RangeBounds<u64>,
        holder: u64,
    ) {
        let all: Vec<EventSet> = self.packed.settled_sets(range).collect();
        for some in all {
            for (before, these) in self.packed.by_holder(some) {
                if before == holder {
                    continue;
                }
                for (segment, here) in self.packed.by_segment(these) {
                    let count = u64::from(here.events.count_ones());
                    kernel.end_depend_many(before, segment, count);
                    kernel.depend_many(holder, segment, count);
                }
                let all = these.lsns().filter(|_| !self.copies.is_empty());
                for copy in all.filter_map(|lsn| self.copies.get(&lsn)).flatten() {
                    kernel.end_depend(before, copy.place.segment);
                    kernel.depend(holder, copy.place.segment);
                }
                self.packed.set_holder(these, holder);
            }
        }
    }

    /// The segments from which the keys of events in a range were carried, and how many from each: those of the frames
    /// with the keys, or of the events themselves.
    pub(in crate::outbox) fn keys_at(
        &self,
        kernel: &Kernel,
        range: RangeInclusive<u64>,
    ) -> Vec<(u64, u64)> {
        if !self.outcomes.is_free(range.clone()) {
            let places = range.filter_map(|lsn| self.key_at(kernel, lsn));
            return places.map(|at| (at.place.segment, 1)).collect();
        }
        let here = self.packed.settled_sets(range).flat_map(|some| self.packed.by_segment(some));
        here.map(|(segment, these)| (segment, u64::from(these.events.count_ones()))).collect()
    }
}
