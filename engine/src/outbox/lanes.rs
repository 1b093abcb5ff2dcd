//! Which event of a lane is first: the others wait until it has its final answer. No I/O, no clock, no
//! lock here.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Fingerprint;

use super::Stage;

/// The events of a lane that have no final answer.
#[derive(Debug, Default, Eq, PartialEq)]
struct LaneMembers {
    scope: usize,
    /// In their order.
    members: BTreeSet<u64>,
    /// The first events that wait for a person.
    parked: BTreeSet<u64>,
}

impl LaneMembers {
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
    by_name: BTreeMap<Fingerprint, LaneMembers>,
    /// The lane of each.
    pub(super) of: BTreeMap<u64, Fingerprint>,
    /// By scope, how many wait behind one that waits for a person: the sum over its lanes.
    pub(super) behind_parked: BTreeMap<usize, u64>,
}

impl Lanes {
    /// How many events are in lanes, counted lane by lane.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_name.values().map(|lane| lane.members.len()).sum()
    }

    /// Whether no event without a final answer has a lane.
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// An event of a lane of a scope, wherever in it. Returns the next one behind it.
    pub(super) fn join(&mut self, lsn: u64, name: Fingerprint, scope: usize) -> Option<u64> {
        self.of.insert(lsn, name);
        self.by_name.entry(name).or_insert_with(|| LaneMembers { scope, ..LaneMembers::default() });
        self.change(name, |lane| {
            lane.members.insert(lsn);
            lane.members.range(lsn.saturating_add(1)..).next().copied()
        })?
    }

    /// An event has its final answer. Returns the one that is first in its lane now.
    pub(super) fn leave(&mut self, lsn: u64) -> Option<u64> {
        let name = self.of.remove(&lsn)?;
        self.change(name, |lane| {
            lane.members.remove(&lsn);
            lane.parked.remove(&lsn);
            lane.members.first().copied()
        })?
    }

    /// Whether an event waits for a person.
    pub(super) fn set_stage(&mut self, lsn: u64, stage: Stage) {
        let Some(name) = self.of.get(&lsn) else { return };
        self.change(*name, |lane| {
            if stage.waits_for_a_person() {
                lane.parked.insert(lsn);
            } else {
                lane.parked.remove(&lsn);
            }
        });
    }

    /// The event before this one in its lane that has no final answer.
    pub(super) fn before(&self, lsn: u64) -> Option<u64> {
        let lane = self.of.get(&lsn).and_then(|name| self.by_name.get(name))?;
        lane.members.range(..lsn).next_back().copied()
    }

    /// Whether an earlier event of its lane waits for a person.
    pub(super) fn is_behind_parked(&self, lsn: u64) -> bool {
        let lane = self.of.get(&lsn).and_then(|name| self.by_name.get(name));
        lane.and_then(|lane| lane.parked.first()).is_some_and(|parked| *parked < lsn)
    }

    /// Whether an earlier event of its lane has no final answer.
    pub(super) fn is_behind(&self, lsn: u64) -> bool {
        let lane = self.of.get(&lsn).and_then(|name| self.by_name.get(name));
        lane.is_some_and(|lane| lane.members.first() != Some(&lsn))
    }

    /// Changes a lane, and what is counted over all of them.
    fn change<T>(
        &mut self,
        name: Fingerprint,
        change: impl FnOnce(&mut LaneMembers) -> T,
    ) -> Option<T> {
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
