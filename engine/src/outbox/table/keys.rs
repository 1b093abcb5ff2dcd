//! Keys of events without a final answer. The index has them all; here are those that it may be asked to take back or
//! to move on and does not find by a number, and those of events whose loss would be listed.

use std::collections::{BTreeMap, VecDeque};

use onceward_index::{Fingerprint, SliceId};

use super::EventTable;
use super::packed::{Alike, EventSet, PackedEvents};
use crate::kernel::{Kernel, keys_of};
use crate::outbox::{Live, Stage};

/// Keys by LSN.
#[derive(Debug, Default)]
pub(crate) struct EventKeys {
    /// Of events whose keys moved to later slices, or may have.
    moved: BTreeMap<u64, Fingerprint>,
    /// Of events whose frames may still fail, ascending.
    unconfirmed: VecDeque<(u64, Fingerprint)>,
    /// Of events that the host declared evictable, and whether they may be dropped now.
    evictable: BTreeMap<u64, (Fingerprint, bool)>,
}

impl EventKeys {
    /// The events that may be dropped and wait to be sent, oldest first.
    pub(crate) fn evictable(&self) -> impl Iterator<Item = u64> + '_ {
        self.evictable.iter().filter(|(_, (_, may))| *may).map(|(lsn, _)| *lsn)
    }

    /// The key of an event that the host declared evictable.
    pub(crate) fn evictable_key(&self, lsn: u64) -> Option<Fingerprint> {
        self.evictable.get(&lsn).map(|(key, _)| *key)
    }

    /// Notes the key of an event that is put in.
    pub(super) fn note(&mut self, kernel: &Kernel, (lsn, key): (u64, Fingerprint), live: &Live) {
        if !kernel.keys.is_replaying() {
            self.note_unconfirmed(lsn, key);
        }
        if live.has_moved || live.held.slice.is_none() {
            self.moved.insert(lsn, key);
        }
        if live.is_evictable {
            self.evictable.insert(lsn, (key, may_be_dropped(live)));
        }
    }

    /// Notes the key of an event whose frame may still fail.
    pub(super) fn note_unconfirmed(&mut self, lsn: u64, key: Fingerprint) {
        self.unconfirmed.push_back((lsn, key));
    }

    /// Forgets the key of an event that is taken out for good, or has its final answer.
    pub(super) fn forget(&mut self, lsn: u64) {
        self.moved.remove(&lsn);
        self.evictable.remove(&lsn);
    }

    /// As [`EventKeys::forget`], of these.
    pub(super) fn forget_all(&mut self, some: EventSet) {
        if !self.moved.is_empty() || !self.evictable.is_empty() {
            some.lsns().for_each(|lsn| self.forget(lsn));
        }
    }

    /// Notes whether an event may be dropped, which may have changed.
    pub(super) fn note_evictable(&mut self, lsn: u64, live: &Live) {
        if live.is_evictable
            && let Some((_, may)) = self.evictable.get_mut(&lsn)
        {
            *may = may_be_dropped(live);
        }
    }

    /// None of these may be dropped: each may be upstream.
    pub(super) fn keep_all(&mut self, some: EventSet) {
        if self.evictable.is_empty() {
            return;
        }
        for lsn in some.lsns() {
            if let Some((_, may)) = self.evictable.get_mut(&lsn) {
                *may = false;
            }
        }
    }

    /// The frames up to and including this LSN are durable.
    pub(in crate::outbox) fn confirm_up_to(&mut self, last: u64) {
        while self.unconfirmed.front().is_some_and(|(lsn, _)| *lsn <= last) {
            self.unconfirmed.pop_front();
        }
    }

    /// Whether the frame of this event may still fail.
    pub(super) fn is_unconfirmed(&self, lsn: u64) -> bool {
        self.unconfirmed.back().is_some_and(|(last, _)| *last >= lsn)
    }

    /// The slices that hold the keys of these events, which are alike, are held by fewer, and remembered from now on.
    pub(super) fn end(
        &self,
        kernel: &mut Kernel,
        (these, group): (EventSet, &Alike),
        trusted_ms: u64,
    ) {
        if group.held.slice.is_some() {
            kernel.keys.settle_many(group.held, group.counted.count, trusted_ms);
            return;
        }
        for lsn in these.lsns() {
            kernel.keys.settle(self.moved.get(&lsn).copied(), group.held, trusted_ms);
        }
    }

    /// The slices that unsettled events hold whose keys are not in that of their capture.
    pub(in crate::outbox) fn held(&self, events: &PackedEvents) -> BTreeMap<Fingerprint, SliceId> {
        let held = self.moved.iter().filter_map(|(lsn, key)| {
            let slice = events.live(*lsn)?.held.slice?;
            Some((*key, slice))
        });
        held.collect()
    }

    /// How many events have frames that may still fail.
    #[cfg(test)]
    pub(crate) fn unconfirmed_count(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Whether what may be dropped is what these, which are all, say.
    #[cfg(test)]
    pub(super) fn are_right(&self, all: &[(u64, Live)]) -> bool {
        let evictable = all.iter().filter(|(_, live)| live.is_evictable);
        let counted = evictable.map(|(lsn, live)| (*lsn, may_be_dropped(live)));
        counted.eq(self.evictable.iter().map(|(lsn, (_, may))| (*lsn, *may)))
    }
}

impl EventTable {
    /// Removes events that were not stored, up to and including this LSN: their keys are free again.
    pub(in crate::outbox) fn withdraw_up_to(&mut self, kernel: &mut Kernel, last: u64) {
        while let Some((lsn, key)) = self.keys.unconfirmed.pop_front_if(|(lsn, _)| *lsn <= last) {
            if self.packed.live(lsn).is_some() && kernel.keys.withdraw(key, lsn) {
                self.drop_event(kernel, lsn);
            }
        }
    }

    /// Moves the keys of unsettled events on that are in these slices.
    pub(crate) fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        let is_one = |slice: SliceId| slices.contains(&slice);
        let events = self.packed.holding(|held| held.slice.is_some_and(is_one));
        let Some(found) = keys_of(&mut kernel.keys, &events, slices) else { return };
        for lsn in events {
            let key = found.get(&lsn).copied();
            let Some(mut live) = self.packed.live(lsn) else { continue };
            let before = live.held;
            kernel.keys.carry(key, &mut live.held, trusted_ms);
            if let Some(key) = key.filter(|_| before != live.held) {
                live.has_moved = has_moved(kernel, &live);
                self.keys.moved.insert(lsn, key);
                self.packed.put(lsn, &live);
            }
        }
    }

    /// The log was read: events whose keys were carried hold the slices that have them now.
    pub(crate) fn hold_carried_keys(&mut self, kernel: &mut Kernel) {
        for lsn in self.packed.holding(|held| held.slice.is_none()) {
            let Some(mut live) = self.packed.live(lsn) else { continue };
            kernel.keys.hold_carried(self.keys.moved.get(&lsn).copied(), &mut live.held);
            live.has_moved = has_moved(kernel, &live);
            self.packed.put(lsn, &live);
        }
    }
}

/// Whether the key of an event is in a later slice than that of its capture.
fn has_moved(kernel: &Kernel, live: &Live) -> bool {
    live.held.begin != kernel.keys.slice_begin(live.held.window, live.moment.trusted_ms)
}

/// Whether an event may be dropped to make room: the host declared it evictable, and no upstream may have it.
fn may_be_dropped(live: &Live) -> bool {
    let is_unsent = live.stage == Stage::Pending && !live.is_attempted && !live.is_effect;
    live.is_evictable && is_unsent
}
