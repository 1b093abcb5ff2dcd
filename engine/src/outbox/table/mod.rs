//! Events of the log: those without a final answer, those with one, and the answers of those whose frames are gone.
//!
//! Changes of one event each; what several parts of the outbox change together is in `apply.rs`. No I/O, no clock,
//! no lock here.

mod answers;
mod attempts;
mod keys;
mod lanes;
mod packed;
mod runs;
mod segments;
mod settle;

use std::collections::BTreeMap;

use super::front::Front;
use super::lanes::Lanes;
use super::outcomes::Outcomes;
use super::tallies::Tallies;
use super::{Arrived, Facts, Live, Settled, Stage, Standing, TakenEvent};
use crate::base::{Located, Moment, State};
use crate::kernel::Kernel;
use keys::EventKeys;
use packed::PackedEvents;
pub(super) use packed::{EventSet, SettledAlike, are_neighbours, one};
#[cfg(test)]
pub(super) use runs::described;
use segments::Residents;

/// Events by LSN.
#[derive(Debug, Default)]
pub(crate) struct EventTable {
    /// The events without a final answer, and those with one whose frames are still in the log.
    packed: PackedEvents,
    /// Keys of unsettled events that the index does not find by a number.
    keys: EventKeys,
    /// Answers for settled events whose keys were carried. Those of keys that expired stay until their holder is
    /// trimmed: nobody asks for them, because a number is never used again.
    outcomes: Outcomes,
    /// Older frames of events that were carried, which are still in the log.
    copies: BTreeMap<u64, Vec<Located>>,
    /// What of them each segment holds.
    by_segment: BTreeMap<u64, Residents>,
    lanes: Lanes,
    /// The unsettled events that are to be sent next.
    front: Front,
    tallies: Tallies,
}

impl EventTable {
    /// An event without a final answer.
    pub(crate) fn live(&self, lsn: u64) -> Option<Live> {
        self.packed.live(lsn)
    }

    /// How far an event is that has no final answer.
    pub(crate) fn stage(&self, lsn: u64) -> Option<Stage> {
        self.packed.stage(lsn)
    }

    /// The events without a final answer, and those with one whose frames are still in the log.
    pub(crate) fn packed(&self) -> &PackedEvents {
        &self.packed
    }

    /// The keys that are known here besides the index.
    pub(crate) fn keys(&self) -> &EventKeys {
        &self.keys
    }

    /// The keys that are known here, to note what became of their frames.
    pub(super) fn keys_mut(&mut self) -> &mut EventKeys {
        &mut self.keys
    }

    /// Answers of events whose keys were carried.
    pub(crate) fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The outcomes, to change one.
    pub(super) fn outcomes_mut(&mut self) -> &mut Outcomes {
        &mut self.outcomes
    }

    /// Counts of events without a final answer.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Adds an event whose key is taken, and others that are like it, under the LSNs of their frames.
    pub(super) fn add_alike<'a>(
        &mut self,
        kernel: &mut Kernel,
        (first, scope): (TakenEvent<'_>, usize),
        others: impl Iterator<Item = TakenEvent<'a>>,
        Arrived { moment, is_effect }: Arrived,
    ) {
        let TakenEvent { facts, at, held } = first;
        let live = Live {
            amount: facts.amount.unwrap_or(0),
            is_effect,
            is_evictable: facts.is_evictable,
            ..Live::plain(scope, held, (at, moment))
        };
        self.keys.note(kernel, (at.lsn, facts.fingerprint), &live);
        self.keys.note_evictable(at.lsn, &live);
        let (keys, is_replaying) = (&mut self.keys, kernel.keys.is_replaying());
        let others = others.map(|TakenEvent { facts, at, .. }| {
            if !is_replaying {
                keys.note_unconfirmed(at.lsn, facts.fingerprint);
            }
            (at, facts.amount.unwrap_or(0))
        });
        let (events, counted) = self.packed.put_alike((at.lsn, &live), others);
        kernel.usage.add_whole(at.place.segment, counted.count, counted.bytes);
        self.tallies.add(scope, live.stage, &counted);
        if lanes::is_in_front(&self.lanes, at.lsn, &live) {
            self.front.add_all(scope, events);
        }
        self.join_lane(at.lsn, facts.lane);
    }

    /// Moves an event: its frame is now here, and the one before it is still in the log.
    /// `is_attempted`: the frame says that it was attempted; the one that noted that may be gone before it.
    pub(super) fn move_event(
        &mut self,
        kernel: &mut Kernel,
        (lsn, is_attempted): (u64, bool),
        (at, now): (Located, Moment),
    ) {
        let Some(mut live) = self.take(kernel, lsn) else { return };
        live.is_attempted |= is_attempted;
        let before = std::mem::replace(&mut live.at, at);
        self.copies.entry(lsn).or_default().push(before);
        self.residents(before.place.segment).copies.push(lsn);
        rest_where_it_is(kernel, &live, now);
        self.insert(kernel, lsn, &live);
    }

    /// Adds an event that moved, of which nothing else is left in the log.
    pub(super) fn add_carried(
        &mut self,
        kernel: &mut Kernel,
        lsn: u64,
        facts: &Facts<'_>,
        (live, now): (&Live, Moment),
    ) {
        rest_where_it_is(kernel, live, now);
        self.keys.note(kernel, (lsn, facts.fingerprint), live);
        self.insert(kernel, lsn, live);
        self.join_lane(lsn, facts.lane);
    }

    /// Takes out an event that is not in the log, or should never have been written.
    pub(super) fn drop_event(&mut self, kernel: &mut Kernel, lsn: u64) -> Option<Live> {
        self.leave_lane(lsn);
        let live = self.take(kernel, lsn)?;
        self.keys.forget(lsn);
        Some(live)
    }

    /// Brings an event to another stage.
    pub(super) fn set_stage(&mut self, lsn: u64, stage: Stage) {
        let Some(live) = self.packed.live(lsn) else { return };
        self.tallies.set_stage((live.scope, live.stage), stage, &live.counted());
        self.packed.set_stage(one(lsn), stage);
        let live = Live { stage, ..live };
        self.keys.note_evictable(lsn, &live);
        self.lanes.set_stage(lsn, stage);
        lanes::place_front(self, lsn, &live);
    }

    /// The place and stage of an event; `None` if its frame is gone.
    pub(crate) fn standing(&self, kernel: &Kernel, lsn: u64) -> Option<Standing> {
        if let Some(standing) = self.packed.standing(lsn) {
            return Some(standing);
        }
        let Settled { at, state, wall, .. } = self.packed.settled(lsn)?;
        let outcome = self.outcome_at(kernel, lsn);
        Some(Standing { lsn, at, wall, state, outcome })
    }

    /// The state of an event whose key is known; of one of which the log has nothing, it cannot be known.
    pub(crate) fn state_of(&self, lsn: u64) -> State {
        let stage = || self.packed.stage(lsn).map(Stage::state);
        let settled = || self.packed.settled(lsn).map(|settled| settled.state);
        let carried = || self.outcomes.get(lsn).map(|outcome| outcome.state);
        stage().or_else(settled).or_else(carried).unwrap_or(State::OutcomeUnknown)
    }

    /// Whether what is counted of events is what a count of all of them gives.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        let all: Vec<(u64, Live)> = self.packed.live_between(..).collect();
        Tallies::recount(all.iter().map(|(_, live)| live)).is_as(&self.tallies)
            && self.keys.are_right(&all)
            && all.len() == self.packed.unsettled_count()
            && self.outcomes.has_right_counts()
            && lanes::are_right(self)
    }

    /// Puts an event in, counters included. One with a lane or a key of its own is not all in then.
    pub(super) fn insert(&mut self, kernel: &mut Kernel, lsn: u64, live: &Live) {
        let counted = live.counted();
        kernel.usage.add_whole(live.at.place.segment, counted.count, counted.bytes);
        self.tallies.add(live.scope, live.stage, &counted);
        self.keys.note_evictable(lsn, live);
        if lanes::is_in_front(&self.lanes, lsn, live) {
            self.front.add(live.scope, lsn);
        }
        self.packed.put(lsn, live);
    }

    /// Takes an event out, counters included.
    fn take(&mut self, kernel: &mut Kernel, lsn: u64) -> Option<Live> {
        let live = self.packed.live(lsn)?;
        kernel.usage.end_whole(live.at.place.segment, 1, u64::from(live.at.bytes));
        self.tallies.remove(live.scope, live.stage, &live.counted());
        self.front.remove(live.scope, lsn);
        self.packed.forget(one(lsn));
        Some(live)
    }
}

/// An event that was carried when it was so old will stay for as long again: so it is carried each
/// time its age has doubled, and not with every segment that it was carried into.
fn rest_where_it_is(kernel: &mut Kernel, live: &Live, now: Moment) {
    let age_ms = now.trusted_ms.saturating_sub(live.moment.trusted_ms);
    kernel.usage.rest_event(live.at.place.segment, now.trusted_ms.saturating_add(age_ms));
}
