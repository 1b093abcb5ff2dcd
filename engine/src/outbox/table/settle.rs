//! Final answers: what is counted of the events that get one is counted for all that are alike.

use std::ops::RangeBounds;

use super::EventTable;
use super::packed::{Alike, EventSet};
use crate::kernel::{KEY_ENTRY_BYTES, Kernel};
use crate::outbox::FinalAnswer;

impl EventTable {
    /// Gives the events in a range that have no final answer this one. `ended` is told of all.
    pub(in crate::outbox) fn settle(
        &mut self,
        kernel: &mut Kernel,
        range: impl RangeBounds<u64>,
        answer: FinalAnswer,
        mut ended: impl FnMut(&mut Kernel, EventSet),
    ) {
        let all: Vec<EventSet> = self.packed.unsettled_in(range).collect();
        for some in all {
            self.settle_some(kernel, some, answer);
            ended(kernel, some);
        }
    }

    fn settle_some(&mut self, kernel: &mut Kernel, some: EventSet, answer: FinalAnswer) {
        let FinalAnswer { state, holder, trusted_ms, receipt_bytes } = answer;
        let bytes = KEY_ENTRY_BYTES + u64::try_from(receipt_bytes).unwrap_or(0);
        let groups = self.packed.alike(some);
        if self.keys.is_unconfirmed(*some.ends().start()) {
            // Perhaps before the one who captured it says so.
            kernel.keys.confirm(some.ends());
        }
        for group in &groups {
            let these = EventSet { base: some.base, events: group.events };
            self.keys.end(kernel, (these, group), trusted_ms);
            let Alike { segment, held, scope, stage, counted, .. } = *group;
            let keys_bytes = bytes.saturating_mul(counted.count);
            kernel.usage.end_whole(segment, counted.count, counted.bytes);
            kernel.usage.add_key(segment, (held.window, held.begin), keys_bytes);
            self.tallies.remove(scope, stage, &counted);
            self.front.remove_all(scope, these.lsns());
            self.residents(segment).add_settled(these.ends(), counted.count);
        }
        self.packed.settle(some, state, holder);
        if !self.lanes.is_empty() {
            some.lsns().for_each(|lsn| self.leave_lane(lsn));
        }
        self.keys.forget_all(some);
        for group in &groups {
            kernel.depend_many(holder, group.segment, group.counted.count);
        }
        if self.copies.is_empty() {
            return;
        }
        for copies in some.lsns().filter_map(|lsn| self.copies.get(&lsn)) {
            copies.iter().for_each(|copy| kernel.depend(holder, copy.place.segment));
        }
    }
}
