//! Which frame holds an event's final answer, and which frames of the event depend on that.

use super::EventTable;
use crate::base::Located;
use crate::kernel::Kernel;

impl EventTable {
    /// The place of the frame that holds the final answer for an event.
    pub(crate) fn outcome_at(&self, kernel: &Kernel, lsn: u64) -> Option<Located> {
        let holder = match self.settled(lsn) {
            // An effect's own frame holds its receipt.
            Some(settled) if settled.outcome_lsn == lsn => return Some(settled.at),
            Some(settled) => settled.outcome_lsn,
            None => self.outcomes.get(lsn)?.holder,
        };
        kernel.dependencies.at(holder)
    }

    /// The place from which an event's key was carried: the frame with the key, or the event itself.
    pub(in crate::outbox) fn key_at(&self, kernel: &Kernel, lsn: u64) -> Option<Located> {
        match self.outcomes.get(lsn) {
            Some(outcome) => kernel.dependencies.at(outcome.holder),
            None => self.settled(lsn).map(|settled| settled.at),
        }
    }

    /// The segments in which frames of a settled event are.
    fn segments_of(&self, lsn: u64) -> Vec<u64> {
        let at = self.settled(lsn).map(|settled| settled.at.place.segment);
        let copies = self.copies.get(&lsn).into_iter().flatten().map(|at| at.place.segment);
        at.into_iter().chain(copies).collect()
    }

    /// Whether the frame `holder` holds the answer of an event that has frames in other segments than this.
    pub(crate) fn answers_elsewhere(&self, lsn: u64, holder: u64, segment: u64) -> bool {
        let is_of = self.settled(lsn).is_some_and(|it| it.outcome_lsn == holder);
        is_of && self.segments_of(lsn).iter().any(|it| *it != segment)
    }

    /// The answer for an event that is settled already is in another frame now.
    pub(in crate::outbox) fn answer_moves(&mut self, kernel: &mut Kernel, lsn: u64, holder: u64) {
        let Some(settled) = self.settled(lsn) else { return };
        let before = settled.outcome_lsn;
        self.packed.set_holder(lsn, settled.state, holder);
        if before != holder {
            for segment in self.segments_of(lsn) {
                kernel.end_depend(before, segment);
                kernel.depend(holder, segment);
            }
        }
    }

    /// An event was settled by the frame `holder`.
    pub(in crate::outbox) fn answer_begins(&self, kernel: &mut Kernel, lsn: u64, holder: u64) {
        if self.copies.contains_key(&lsn) {
            self.segments_of(lsn).into_iter().for_each(|segment| kernel.depend(holder, segment));
        } else if let Some(settled) = self.settled(lsn) {
            kernel.depend(holder, settled.at.place.segment);
        }
    }
}
