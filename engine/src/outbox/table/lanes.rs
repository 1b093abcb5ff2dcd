//! Which events of a scope are sent next, and what waits in a lane behind one that waits for a person.

#[cfg(test)]
use std::collections::BTreeMap;

use onceward_index::Fingerprint;

use super::EventTable;
use crate::outbox::lanes::Lanes;
use crate::outbox::{Live, Stage};

impl EventTable {
    /// An event that is in the table has a lane.
    pub(super) fn join_lane(&mut self, lsn: u64, lane: Option<Fingerprint>) {
        if lane.is_none() {
            return;
        }
        let live = self.live(lsn).filter(|live| !live.is_effect);
        let Some((lane, live)) = lane.zip(live) else { return };
        let (scope, stage) = (live.scope, live.stage);
        let next = self.lanes.join(lsn, lane, scope);
        self.lanes.set_stage(lsn, stage);
        self.note_front(lsn);
        // Replay meets events that were carried behind later ones of their lane.
        next.into_iter().for_each(|next| self.note_front(next));
    }

    /// An event is no longer among the table, for good.
    pub(super) fn leave_lane(&mut self, lsn: u64) {
        let first = self.lanes.leave(lsn);
        first.into_iter().for_each(|first| self.note_front(first));
    }

    /// Which events may be sent next.
    pub(crate) fn next(&self) -> NextEvents<'_> {
        NextEvents(self)
    }

    /// Notes whether an event is to be sent next, which may have changed.
    pub(super) fn note_front(&mut self, lsn: u64) {
        if let Some(live) = self.live(lsn) {
            place_front(self, lsn, &live);
        }
    }
}

/// Notes whether an event that is so is to be sent next.
pub(super) fn place_front(table: &mut EventTable, lsn: u64, live: &Live) {
    if is_in_front(&table.lanes, lsn, live) {
        table.front.add(live.scope, lsn);
    } else {
        table.front.remove(live.scope, lsn);
    }
}

/// Which events may be sent next, by the order of their lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextEvents<'t>(&'t EventTable);

impl<'t> NextEvents<'t> {
    /// How many events, of a scope or of all, wait behind one of their lane that waits for a person.
    pub(crate) fn behind_parked(self, scope: Option<usize>) -> u64 {
        match scope {
            Some(scope) => self.0.lanes.behind_parked.get(&scope).copied().unwrap_or(0),
            None => self.0.lanes.behind_parked.values().sum(),
        }
    }

    /// The events of a scope that are to be sent next, from behind `after` on up to and including `last`.
    pub(crate) fn front(
        self,
        scope: usize,
        after: u64,
        last: u64,
    ) -> impl Iterator<Item = u64> + 't {
        self.0.front.between(scope, after, last)
    }

    /// The events of a scope that could be sent if the upstream keeps the order of lanes, from behind `after` on up
    /// to and including `last`: those that wait to be sent, but for those behind one of their lane that waits for a
    /// person.
    pub(crate) fn in_order(
        self,
        scope: usize,
        after: u64,
        last: u64,
    ) -> impl Iterator<Item = u64> + 't {
        let range = after.saturating_add(1)..=last;
        let all = self.0.packed.to_deliver(range, scope).flat_map(|some| some.lsns());
        let is_pending = |lsn: &u64| self.0.stage(*lsn) == Some(Stage::Pending);
        all.filter(move |lsn| is_pending(lsn) && !self.0.lanes.is_behind_parked(*lsn))
    }

    /// The events before these in their lanes that have no final answer.
    pub(crate) fn before_in_lane(self, lsns: impl Iterator<Item = u64>) -> Vec<Option<u64>> {
        lsns.map(|lsn| self.0.lanes.before(lsn)).collect()
    }

    /// Whether an event of a scope is to be sent next.
    pub(crate) fn is_in_front(self, scope: usize, lsn: u64) -> bool {
        self.0.front.between(scope, lsn.saturating_sub(1), lsn).next().is_some()
    }
}

/// Whether an event is to be sent next.
pub(super) fn is_in_front(lanes: &Lanes, lsn: u64, live: &Live) -> bool {
    live.stage == Stage::Pending && !live.is_effect && !lanes.is_behind(lsn)
}

/// Whether what is counted of lanes is what a count of all events gives.
#[cfg(test)]
pub(super) fn are_right(table: &EventTable) -> bool {
    let (mut lanes, mut front) = (Lanes::default(), crate::outbox::front::Front::default());
    let mut firsts = BTreeMap::new();
    for (lsn, live) in table.packed.live_between(..) {
        let name = table.lanes.of.get(&lsn);
        let (first, is_parked) = match name {
            Some(name) => {
                let parked = live.stage.waits_for_a_person();
                *firsts.entry(*name).or_insert((lsn, parked))
            }
            None => (lsn, false),
        };
        if live.stage == Stage::Pending && !live.is_effect && first == lsn {
            front.add(live.scope, lsn);
        }
        if is_parked && live.is_to_deliver() {
            *lanes.behind_parked.entry(live.scope).or_default() += 1;
        }
    }
    let is_there = |lsn: &u64| table.stage(*lsn).is_some();
    let counts = table.lanes.count();
    front == table.front
        && lanes.behind_parked == table.lanes.behind_parked
        && table.lanes.of.keys().all(is_there)
        && counts == table.lanes.of.len()
}
