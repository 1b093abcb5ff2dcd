//! The keys of events without a final answer. The index has them; here are those that it may be asked to take back or to
//! move on, and that it does not find by a number.

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

use super::EventTable;
use crate::kernel::Kernel;
use crate::outbox::Live;

impl EventTable {
    /// Notes the key of an event that is put in.
    pub(super) fn note_key(
        &mut self,
        kernel: &Kernel,
        (lsn, key): (u64, Fingerprint),
        live: &Live,
    ) {
        if !kernel.keys.is_replaying() {
            self.unconfirmed.push_back((lsn, key));
        }
        if live.has_moved || live.held.slice.is_none() {
            self.moved.insert(lsn, key);
        }
        if live.is_evictable {
            self.evictable.insert(lsn, (key, false));
        }
    }

    /// Forgets the key of an event that is taken out for good, or has its final answer.
    pub(super) fn forget_key(&mut self, lsn: u64) {
        if !self.moved.is_empty() {
            self.moved.remove(&lsn);
        }
        if !self.evictable.is_empty() {
            self.evictable.remove(&lsn);
        }
    }

    /// The frames up to and including this LSN are durable.
    pub(crate) fn confirm_up_to(&mut self, last: u64) {
        while self.unconfirmed.front().is_some_and(|(lsn, _)| *lsn <= last) {
            self.unconfirmed.pop_front();
        }
    }

    /// Whether the frame of this event may still fail.
    pub(super) fn is_unconfirmed(&self, lsn: u64) -> bool {
        self.unconfirmed.back().is_some_and(|(last, _)| *last >= lsn)
    }

    /// Removes events that were not stored, up to and including this LSN: their keys are free again.
    pub(crate) fn withdraw_up_to(&mut self, kernel: &mut Kernel, last: u64) {
        while let Some((lsn, key)) = self.unconfirmed.pop_front_if(|(lsn, _)| *lsn <= last) {
            if self.packed.live(lsn).is_some() && kernel.keys.withdraw(key, lsn) {
                self.drop_event(kernel, lsn);
            }
        }
    }

    /// Moves the keys of unsettled events on that are in these slices.
    pub(crate) fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        let is_one = |slice: SliceId| slices.contains(&slice);
        let events = self.packed.holding(|held| held.slice.is_some_and(is_one));
        let Some(found) = kernel.keys.keys_of(&events, slices) else { return };
        for lsn in events {
            let key = found.get(&lsn).copied();
            let Some(mut live) = self.packed.live(lsn) else { continue };
            let before = live.held;
            kernel.keys.carry(key, &mut live.held, trusted_ms);
            if let Some(key) = key.filter(|_| before != live.held) {
                live.has_moved = has_moved(kernel, &live);
                self.moved.insert(lsn, key);
                self.packed.put(lsn, &live);
            }
        }
    }

    /// The log was read: events whose keys were carried hold the slices that have them now.
    pub(crate) fn hold_carried_keys(&mut self, kernel: &mut Kernel) {
        for lsn in self.packed.holding(|held| held.slice.is_none()) {
            let Some(mut live) = self.packed.live(lsn) else { continue };
            kernel.keys.hold_carried(self.moved.get(&lsn).copied(), &mut live.held);
            live.has_moved = has_moved(kernel, &live);
            self.packed.put(lsn, &live);
        }
    }

    /// The slices that unsettled events hold whose keys are not in that of their capture.
    pub(crate) fn held(&self) -> BTreeMap<Fingerprint, SliceId> {
        let held = self.moved.iter().filter_map(|(lsn, key)| {
            let slice = self.packed.live(*lsn)?.held.slice?;
            Some((*key, slice))
        });
        held.collect()
    }
}

/// Whether the key of an event is in a later slice than that of its capture.
fn has_moved(kernel: &Kernel, live: &Live) -> bool {
    live.held.begin != kernel.keys.slice_begin(live.held.window, live.moment.trusted_ms)
}
