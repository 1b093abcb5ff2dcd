//! Which event of a lane is first: the others wait until it has its final answer. No I/O, no clock, no
//! lock here.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Fingerprint;

use super::{Live, View};

/// The events of all lanes that have no final answer. Empty where no event has a lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// By fingerprint of scope and lane, then in their order.
    members: BTreeSet<(Fingerprint, u64)>,
    /// The lane of each.
    of: BTreeMap<u64, Fingerprint>,
}

impl Lanes {
    /// An event of a lane, wherever in it. Returns whether another one comes before it, and the next
    /// one behind it.
    fn join(&mut self, lsn: u64, lane: Fingerprint) -> (bool, Option<u64>) {
        self.members.insert((lane, lsn));
        self.of.insert(lsn, lane);
        let is_behind = self.members.range((lane, 0)..(lane, lsn)).next().is_some();
        let next = self.members.range((lane, lsn.saturating_add(1))..=(lane, u64::MAX)).next();
        (is_behind, next.map(|(_, lsn)| *lsn))
    }

    /// An event has its final answer. Returns the one that is first in its lane now.
    fn leave(&mut self, lsn: u64) -> Option<u64> {
        let lane = self.of.remove(&lsn)?;
        self.members.remove(&(lane, lsn));
        let first = self.members.range((lane, 0)..=(lane, u64::MAX)).next();
        first.map(|(_, lsn)| *lsn)
    }
}

impl View {
    /// An event that is in [`View::events`] has a lane.
    pub(super) fn join_lane(&mut self, lsn: u64, lane: Option<Fingerprint>) {
        let Some(lane) = lane.filter(|_| self.events.get(&lsn).is_some_and(|live| !live.at_once))
        else {
            return;
        };
        let (is_behind, next) = self.lanes.join(lsn, lane);
        // Replay meets events that were carried behind later ones of their lane.
        for (lsn, is_behind) in [(Some(lsn), is_behind), (next, true)] {
            if let Some(live) = lsn.and_then(|lsn| self.events.get_mut(&lsn)) {
                live.is_behind = is_behind;
            }
        }
    }

    /// How many events, of a scope or of all, wait behind one of their lane that waits for a person.
    pub(crate) fn behind_parked(&self, scope: Option<usize>) -> u64 {
        let (mut current, mut is_parked, mut count) = (None, false, 0_u64);
        for (lane, lsn) in &self.lanes.members {
            let is_asked = |live: &&Live| scope.is_none_or(|scope| live.scope == scope);
            let Some(live) = self.events.get(lsn).filter(is_asked) else { continue };
            if current != Some(lane) {
                (current, is_parked) = (Some(lane), !live.is_to_deliver());
            } else if is_parked && live.is_to_deliver() {
                count = count.saturating_add(1);
            }
        }
        count
    }

    /// An event is no longer among [`View::events`], for good.
    pub(super) fn leave_lane(&mut self, lsn: u64) {
        let first = self.lanes.leave(lsn);
        if let Some(live) = first.and_then(|lsn| self.events.get_mut(&lsn)) {
            live.is_behind = false;
        }
    }
}
