//! Keys whose frames are lost to damage: what the index knows of which the log has nothing.

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

use super::View;
use super::remembered::Strays;
use crate::error::Result;
use crate::frames::control::Keys;
use crate::verdict::State;

/// No frame holds the outcome.
pub(super) const NO_FRAME: u64 = 0;

impl View {
    /// Compares the index's files with the log, which was read: keys of which the log has nothing. A log
    /// without losses knows every key that its index does.
    pub(crate) fn strays(&self) -> Strays {
        self.keys.strays(|item| self.knows(item))
    }

    /// Makes the index anew with what the log says, as `told`, which was read just now, and with what the index still
    /// knows of which the log has nothing any more.
    ///
    /// # Errors
    ///
    /// `Full`: of more keys than an index can have.
    pub(crate) fn tell_keys_anew(&mut self, told: &Self, trusted_ms: u64) -> Result<()> {
        let (lost, held) = (self.keys.lost_to_the_log(|item| told.knows(item)), self.held_slices());
        self.keys.tell_anew(&told.keys, &lost, &held, trusted_ms)
    }

    /// Whether the item of this number, whose key is known, is said to be lost: nobody can tell what became of
    /// it.
    pub(crate) fn is_lost(&self, item: u64) -> bool {
        self.outcomes.get(item).is_some_and(|outcome| outcome.state == State::OutcomeUnknown)
    }

    /// The slices that are held for the keys of what is not settled.
    fn held_slices(&self) -> BTreeMap<Fingerprint, SliceId> {
        let events = self.events.values().map(|live| (live.print, live.held));
        let leases = self.records.all_open().map(|open| (open.print, open.held));
        let deliveries = self.inbox.open.values().flat_map(|open| &open.keys);
        let deliveries = deliveries.map(|held| (held.key.print, held.held));
        let all = events.chain(leases).chain(deliveries);
        all.filter_map(|(print, held)| Some((print, held.slice?))).collect()
    }

    /// Whether any frame that can be read says something of the event of a key.
    pub(crate) fn has_key(&self, scope: &str, key: &str) -> bool {
        let found = self.keys.find(self.secret.fingerprint(scope, key.as_bytes()));
        found.is_ok_and(|found| found.is_some_and(|found| !self.is_lost(found.lsn)))
    }

    /// Notes keys that the log lost and could not be told of.
    pub(crate) fn note_lost(&mut self, keys: &Keys) {
        for key in &keys.entries {
            self.outcomes.set(key.event, State::OutcomeUnknown, NO_FRAME);
        }
    }

    /// Whether an event stands in the log.
    pub(super) fn has_event(&self, lsn: u64) -> bool {
        self.events.contains_key(&lsn) || self.settled.contains_key(&lsn)
    }

    /// Whether the log has anything of an item.
    fn knows(&self, item: u64) -> bool {
        self.has_event(item)
            || self.outcomes.get(item).is_some()
            || self.records.open(item).is_some()
            || self.records.done(item).is_some()
            || self.inbox.state_of(item).is_some()
    }
}
