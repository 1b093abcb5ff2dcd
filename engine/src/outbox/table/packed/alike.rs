//! Which events of a chunk are alike: what is counted of them is counted for all at once.

use super::chunk::{AnswerAt, Chunk, Common};
use super::marks::{Mask, bit, slots};
use super::slot_numbers::SlotNumbers;
use crate::base::State;
use crate::kernel::SliceHold;
use crate::outbox::{Counted, Stage};

/// Events of a chunk that are alike in all that is counted of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::outbox) struct Alike {
    pub(in crate::outbox) events: Mask,
    pub(in crate::outbox) segment: u64,
    pub(in crate::outbox) held: SliceHold,
    pub(in crate::outbox) scope: usize,
    pub(in crate::outbox) stage: Stage,
    pub(in crate::outbox) counted: Counted,
}

/// Settled events of a chunk whose keys are in the same slice, and whose answers are in the same frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::outbox) struct SettledAlike {
    pub(in crate::outbox) events: Mask,
    pub(in crate::outbox) held: SliceHold,
    pub(in crate::outbox) has_moved: bool,
    pub(in crate::outbox) scope: usize,
    pub(in crate::outbox) state: State,
    /// The frame that holds the answer; `None`: the event's own.
    pub(in crate::outbox) holder: Option<u64>,
}

impl Chunk {
    /// Settled events in groups that are alike.
    pub(super) fn settled_alike(&self, events: Mask) -> Vec<SettledAlike> {
        let mut groups = Vec::with_capacity(2);
        for (some, answer) in self.answered(events) {
            let mut rest = some;
            while let Some(first) = slots(rest).next() {
                let Some(common) = self.common_at(first) else { break };
                let same = self.where_common(rest, |it| it == common);
                let (Common { held, has_moved, scope, .. }, events) = (*common, same | bit(first));
                let AnswerAt { state, holder } = answer;
                groups.push(SettledAlike { events, held, has_moved, scope, state, holder });
                rest &= !events;
            }
        }
        groups
    }

    /// The events of a scope among these that the upstream is to have: those that are no effects, and wait for no
    /// person.
    pub(super) fn to_deliver(&self, events: Mask, scope: usize) -> Mask {
        let events = events & self.unsettled;
        let persons = self.stages.within(events).filter(|(_, stage)| stage.waits_for_a_person());
        let waits = persons.fold(0, |all, (some, _)| all | some);
        let is_one = |common: &Common| !common.is_effect && scope == common.scope;
        (events & !waits) & self.where_common(events & !waits, is_one)
    }

    /// Those of these events of whose common facts this holds.
    pub(super) fn where_common(&self, events: Mask, is_one: impl Fn(&Common) -> bool) -> Mask {
        if let [only] = &self.commons[..] {
            return if is_one(only) { events } else { 0 };
        }
        let held = slots(events).filter(|slot| self.common_at(*slot).is_some_and(&is_one));
        held.fold(0, |all, slot| all | bit(slot))
    }

    /// Whether any event has common facts of which this holds; some may be of events that have gone.
    pub(super) fn may_have(&self, is_one: impl Fn(&Common) -> bool) -> bool {
        self.commons.iter().any(is_one)
    }

    /// The sum of the amounts of these events.
    fn sum(&self, events: Mask) -> i128 {
        if matches!(self.amounts, SlotNumbers::Zeros) {
            return 0;
        }
        slots(events).map(|slot| i128::from(self.amounts.get(slot))).sum()
    }

    /// These events in groups that are alike, with what is counted of each.
    pub(super) fn alike(&self, events: Mask) -> Vec<Alike> {
        let events = events & self.unsettled;
        let staged = self.stages.all() & events;
        let pending = (events & !staged, Stage::Pending);
        let mut groups = Vec::with_capacity(1);
        for (some, stage) in self.stages.within(events).chain([pending]) {
            let mut rest = some;
            while let Some(first) = slots(rest).next() {
                let Some(common) = self.common_at(first) else { break };
                let same = self.where_common(rest, |it| it == common);
                let bytes = slots(same).map(|slot| u64::from(self.bytes(slot))).sum();
                let sum = self.sum(same);
                let Common { segment, held, scope, .. } = *common;
                let counted = Counted { count: u64::from(same.count_ones()), bytes, sum };
                groups.push(Alike { events: same, segment, held, scope, stage, counted });
                rest &= !(same | bit(first));
            }
        }
        groups
    }
}
