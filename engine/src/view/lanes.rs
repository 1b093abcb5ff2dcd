//! Which event of a lane is first: the others wait until it has its final answer. No I/O, no clock, no
//! lock here.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Fingerprint;

use super::{Live, Stage, View};

/// The events of a lane that have no final answer.
#[derive(Debug, Default, Eq, PartialEq)]
struct Lane {
    scope: usize,
    /// In their order.
    members: BTreeSet<u64>,
    /// Those of them that wait for a person.
    parked: BTreeSet<u64>,
}

impl Lane {
    /// How many wait for no person, but behind a first one that does.
    fn behind_parked(&self) -> u64 {
        let is_parked = self.members.first().is_some_and(|first| self.parked.contains(first));
        let others = self.members.len().saturating_sub(self.parked.len());
        u64::try_from(others).ok().filter(|_| is_parked).unwrap_or(0)
    }
}

/// The events of all lanes that have no final answer. Empty where no event has a lane.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Lanes {
    /// By fingerprint of scope and lane. None is empty.
    by_name: BTreeMap<Fingerprint, Lane>,
    /// The lane of each.
    of: BTreeMap<u64, Fingerprint>,
    /// By scope, how many wait behind one that waits for a person: the sum over its lanes.
    behind_parked: BTreeMap<usize, u64>,
}

impl Lanes {
    /// An event of a lane of a scope, wherever in it. Returns the next one behind it.
    fn join(&mut self, lsn: u64, name: Fingerprint, scope: usize) -> Option<u64> {
        self.of.insert(lsn, name);
        self.by_name.entry(name).or_insert_with(|| Lane { scope, ..Lane::default() });
        self.change(name, |lane| {
            lane.members.insert(lsn);
            lane.members.range(lsn.saturating_add(1)..).next().copied()
        })?
    }

    /// An event has its final answer. Returns the one that is first in its lane now.
    fn leave(&mut self, lsn: u64) -> Option<u64> {
        let name = self.of.remove(&lsn)?;
        self.change(name, |lane| {
            lane.members.remove(&lsn);
            lane.parked.remove(&lsn);
            lane.members.first().copied()
        })?
    }

    /// Whether an event waits for a person.
    fn set_stage(&mut self, lsn: u64, stage: Stage) {
        let Some(name) = self.of.get(&lsn) else { return };
        self.change(*name, |lane| {
            if stage.waits_for_a_person() {
                lane.parked.insert(lsn);
            } else {
                lane.parked.remove(&lsn);
            }
        });
    }

    /// Whether an earlier event of its lane has no final answer.
    fn is_behind(&self, lsn: u64) -> bool {
        let lane = self.of.get(&lsn).and_then(|name| self.by_name.get(name));
        lane.is_some_and(|lane| lane.members.first() != Some(&lsn))
    }

    /// Changes a lane, and what is counted over all of them.
    fn change<T>(&mut self, name: Fingerprint, change: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        let lane = self.by_name.get_mut(&name)?;
        let before = lane.behind_parked();
        let changed = change(lane);
        let (after, scope, is_empty) = (lane.behind_parked(), lane.scope, lane.members.is_empty());
        if before != after {
            let sum = self.behind_parked.entry(scope).or_default();
            *sum = sum.saturating_add(after).saturating_sub(before);
            if *sum == 0 {
                self.behind_parked.remove(&scope);
            }
        }
        if is_empty {
            self.by_name.remove(&name);
        }
        Some(changed)
    }
}

impl View {
    /// An event that is in [`View::events`] has a lane.
    pub(super) fn join_lane(&mut self, lsn: u64, lane: Option<Fingerprint>) {
        let live = self.events.get(&lsn).filter(|live| !live.at_once);
        let Some((lane, live)) = lane.zip(live) else { return };
        let (scope, stage) = (live.scope, live.stage);
        let next = self.lanes.join(lsn, lane, scope);
        self.lanes.set_stage(lsn, stage);
        self.note_front(lsn);
        // Replay meets events that were carried behind later ones of their lane.
        next.into_iter().for_each(|next| self.note_front(next));
    }

    /// An event is no longer among [`View::events`], for good.
    pub(super) fn leave_lane(&mut self, lsn: u64) {
        let first = self.lanes.leave(lsn);
        first.into_iter().for_each(|first| self.note_front(first));
    }

    /// How many events, of a scope or of all, wait behind one of their lane that waits for a person.
    pub(crate) fn behind_parked(&self, scope: Option<usize>) -> u64 {
        match scope {
            Some(scope) => self.lanes.behind_parked.get(&scope).copied().unwrap_or(0),
            None => self.lanes.behind_parked.values().sum(),
        }
    }

    /// The events of a scope that are to be sent next, from behind `after` on up to and including `last`.
    pub(crate) fn front(&self, scope: usize, after: u64, last: u64) -> impl Iterator<Item = u64> {
        self.front.between(scope, after, last)
    }

    /// An event came to another stage.
    pub(super) fn stage_changes(&mut self, lsn: u64, stage: Stage) {
        self.lanes.set_stage(lsn, stage);
        self.note_front(lsn);
    }

    /// Notes whether an event is to be sent next, which may have changed.
    fn note_front(&mut self, lsn: u64) {
        let Some(live) = self.events.get(&lsn) else { return };
        let scope = live.scope;
        if self.is_in_front(lsn, live) {
            self.front.add(scope, lsn);
        } else {
            self.front.remove(scope, lsn);
        }
    }

    /// Whether an event is to be sent next.
    pub(super) fn is_in_front(&self, lsn: u64, live: &Live) -> bool {
        live.stage == Stage::Pending && !live.at_once && !self.lanes.is_behind(lsn)
    }

    /// Whether what is counted of lanes is what a count of all events gives.
    #[cfg(test)]
    pub(crate) fn has_right_lanes(&self) -> bool {
        let (mut lanes, mut front) = (Lanes::default(), super::front::Front::default());
        let mut firsts = BTreeMap::new();
        for (lsn, live) in self.events.iter() {
            let name = self.lanes.of.get(lsn);
            let (first, is_parked) = match name {
                Some(name) => {
                    let parked = live.stage.waits_for_a_person();
                    *firsts.entry(*name).or_insert((*lsn, parked))
                }
                None => (*lsn, false),
            };
            if live.stage == Stage::Pending && !live.at_once && first == *lsn {
                front.add(live.scope, *lsn);
            }
            if is_parked && live.is_to_deliver() {
                *lanes.behind_parked.entry(live.scope).or_default() += 1;
            }
        }
        let is_there = |lsn: &u64| self.events.contains_key(lsn);
        let counts = self.lanes.by_name.values().map(|lane| lane.members.len()).sum::<usize>();
        front == self.front
            && lanes.behind_parked == self.lanes.behind_parked
            && self.lanes.of.keys().all(is_there)
            && counts == self.lanes.of.len()
    }
}
