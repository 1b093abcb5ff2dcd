//! Events of the log: those without a final answer, those with one, and the answers of those whose frames are gone.
//!
//! Changes of one event each; what several parts of the outbox change together is in `apply.rs`. No I/O, no clock,
//! no lock here.

mod answers;
mod lanes;
mod segments;

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::{Fingerprint, SliceId};

use super::front::Front;
use super::lanes::Lanes;
use super::outcomes::Outcomes;
use super::tallies::Tallies;
use super::{Arrived, Facts, FinalAnswer, Live, Settled, Stage, Standing};
use crate::base::{ByLsn, Located, Moment, State, WrittenAt};
use crate::kernel::{KEY_ENTRY_BYTES, Kernel};
use segments::Residents;

/// Events by LSN.
#[derive(Debug, Default)]
pub(crate) struct EventTable {
    /// The events without a final answer.
    unsettled: ByLsn<Live>,
    /// The events with a final answer whose frames are still in the log.
    settled: ByLsn<Settled>,
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
    /// The unsettled events that may be dropped and wait to be sent.
    evictable: BTreeSet<u64>,
    tallies: Tallies,
}

impl EventTable {
    /// Events without a final answer, by LSN.
    pub(crate) fn unsettled(&self) -> &ByLsn<Live> {
        &self.unsettled
    }

    /// An event without a final answer.
    pub(crate) fn live(&self, lsn: u64) -> Option<&Live> {
        self.unsettled.get(&lsn)
    }

    /// Events with a final answer whose frames are still in the log, by LSN.
    pub(crate) fn settled(&self) -> &ByLsn<Settled> {
        &self.settled
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

    /// The events that may be dropped and wait to be sent, oldest first.
    pub(crate) fn evictable(&self) -> impl Iterator<Item = u64> + '_ {
        self.evictable.iter().copied()
    }

    /// Adds an event whose key is taken, under the LSN of its frame.
    pub(super) fn add(
        &mut self,
        kernel: &mut Kernel,
        lsn: u64,
        (facts, scope): (&Facts<'_>, usize),
        (at, arrived): (Located, Arrived),
    ) {
        let Arrived { moment, is_effect, held } = arrived;
        let live = Live {
            fingerprint: facts.fingerprint,
            held,
            scope,
            at,
            moment,
            amount: facts.amount.unwrap_or(0),
            is_effect,
            is_evictable: facts.is_evictable,
            is_attempted: false,
            attempted: None,
            is_imported: false,
            stage: Stage::Pending,
        };
        self.insert(kernel, lsn, live);
        self.join_lane(lsn, facts.lane);
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
        self.insert(kernel, lsn, live);
    }

    /// Adds an event that moved, of which nothing else is left in the log.
    pub(super) fn add_carried(
        &mut self,
        kernel: &mut Kernel,
        (lsn, lane): (u64, Option<Fingerprint>),
        (live, now): (Live, Moment),
    ) {
        rest_where_it_is(kernel, &live, now);
        self.insert(kernel, lsn, live);
        self.join_lane(lsn, lane);
    }

    /// Removes an event that was not stored: its key is free again.
    pub(super) fn withdraw(&mut self, kernel: &mut Kernel, lsn: u64) {
        let Some(live) = self.unsettled.get(&lsn) else { return };
        if kernel.keys.withdraw(live.fingerprint, lsn) {
            self.drop_event(kernel, lsn);
        }
    }

    /// Takes out an event that is not in the log, or should never have been written.
    pub(super) fn drop_event(&mut self, kernel: &mut Kernel, lsn: u64) -> Option<Live> {
        self.leave_lane(lsn);
        self.take(kernel, lsn)
    }

    /// Gives events the same final answer. Returns those that had none before.
    pub(super) fn settle(
        &mut self,
        kernel: &mut Kernel,
        lsns: &[u64],
        answer: FinalAnswer,
    ) -> Vec<u64> {
        let FinalAnswer { state, holder, trusted_ms, receipt_bytes } = answer;
        let bytes = KEY_ENTRY_BYTES + u64::try_from(receipt_bytes).unwrap_or(0);
        let mut ended = Vec::with_capacity(lsns.len());
        for lsn in lsns {
            let Some(live) = self.take(kernel, *lsn) else { continue };
            self.leave_lane(*lsn);
            ended.push((*lsn, live));
        }
        // Perhaps before the one who captured it says so.
        kernel.keys.confirm(ended.iter().map(|(lsn, _)| *lsn));
        let held: Vec<_> = ended.iter().map(|(_, live)| (live.fingerprint, live.held)).collect();
        kernel.keys.settle(&held, trusted_ms);
        for (lsn, live) in &ended {
            let Live { at, moment, held, .. } = *live;
            let wall = moment.wall;
            let has_moved = held.begin != kernel.keys.slice_begin(held.window, moment.trusted_ms);
            let settled = Settled { at, state, has_moved, wall, outcome_lsn: holder };
            self.settled.insert(*lsn, settled);
            self.residents(at.place.segment).settled.push(*lsn);
            kernel.usage.add_key(at.place.segment, (held.window, held.begin), bytes);
            self.answer_begins(kernel, *lsn, holder);
        }
        ended.into_iter().map(|(lsn, _)| lsn).collect()
    }

    /// Brings an event to another stage.
    pub(super) fn set_stage(&mut self, lsn: u64, stage: Stage) {
        let Some(live) = self.unsettled.get_mut(&lsn) else { return };
        self.tallies.set_stage(live, stage);
        live.stage = stage;
        if may_be_dropped(live) {
            self.evictable.insert(lsn);
        } else if live.is_evictable {
            self.evictable.remove(&lsn);
        }
        self.lane_stage(lsn, stage);
    }

    /// Notes that an event was attempted with a batch of this number, formed then; 0: with the one whose frame is read.
    /// From then on it may be upstream, and is not dropped to make room.
    pub(super) fn note_attempt(&mut self, lsn: u64, number: u64, formed: Option<WrittenAt>) {
        let Some(live) = self.unsettled.get_mut(&lsn) else { return };
        let is_first = !std::mem::replace(&mut live.is_attempted, true);
        if number == 0 {
            live.attempted = if is_first { formed } else { live.attempted };
        } else if live.attempted.is_some_and(|first| number < first.lsn) {
            // An older one, of whose time cleaning carried nothing.
            live.attempted = None;
        }
        if live.is_evictable {
            self.evictable.remove(&lsn);
        }
    }

    /// Moves the keys of unsettled events on that are in these slices.
    pub(super) fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        let is_held = |live: &&mut Live| live.held.slice.is_some_and(|it| slices.contains(&it));
        for live in self.unsettled.values_mut().filter(is_held) {
            kernel.keys.carry(live.fingerprint, &mut live.held, trusted_ms);
        }
    }

    /// The log was read: events whose keys were carried hold the slices that have them now.
    pub(super) fn hold_carried_keys(&mut self, kernel: &mut Kernel) {
        for live in self.unsettled.values_mut().filter(|live| live.held.slice.is_none()) {
            kernel.keys.hold_carried(live.fingerprint, &mut live.held);
        }
    }

    /// The slices that unsettled events hold.
    pub(super) fn held(&self) -> impl Iterator<Item = (Fingerprint, SliceId)> + '_ {
        let held = self.unsettled.values().map(|live| (live.fingerprint, live.held.slice));
        held.filter_map(|(fingerprint, slice)| Some((fingerprint, slice?)))
    }

    /// The place and stage of an event; `None` if its frame is gone.
    pub(crate) fn standing(&self, kernel: &Kernel, lsn: u64) -> Option<Standing> {
        if let Some(live) = self.unsettled.get(&lsn) {
            let state = live.stage.state();
            let wall = live.moment.wall;
            return Some(Standing { lsn, at: live.at, wall, state, outcome: None });
        }
        let Settled { at, state, wall, .. } = *self.settled.get(&lsn)?;
        let outcome = self.outcome_at(kernel, lsn);
        Some(Standing { lsn, at, wall, state, outcome })
    }

    /// The state of an event whose key is known; of one of which the log has nothing, it cannot be known.
    pub(crate) fn state_of(&self, lsn: u64) -> State {
        let stage = || self.unsettled.get(&lsn).map(|live| live.stage.state());
        let settled = || self.settled.get(&lsn).map(|settled| settled.state);
        let carried = || self.outcomes.get(lsn).map(|outcome| outcome.state);
        stage().or_else(settled).or_else(carried).unwrap_or(State::OutcomeUnknown)
    }

    /// Whether what is counted of events is what a count of all of them gives.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        let evictable = self.unsettled.iter().filter(|(_, live)| may_be_dropped(live));
        Tallies::recount(self.unsettled.values()).is_as(&self.tallies)
            && evictable.map(|(lsn, _)| *lsn).eq(self.evictable.iter().copied())
            && self.outcomes.has_right_counts()
            && lanes::are_right(self)
    }

    /// Puts an event in, counters included.
    fn insert(&mut self, kernel: &mut Kernel, lsn: u64, live: Live) {
        kernel.usage.add_whole(live.at);
        self.tallies.add(&live);
        if may_be_dropped(&live) {
            self.evictable.insert(lsn);
        }
        if self.is_in_front(lsn, &live) {
            self.front.add(live.scope, lsn);
        }
        self.unsettled.insert(lsn, live);
    }

    /// Takes an event out, counters included.
    fn take(&mut self, kernel: &mut Kernel, lsn: u64) -> Option<Live> {
        let live = self.unsettled.remove(&lsn)?;
        kernel.usage.end_whole(live.at);
        self.tallies.remove(&live);
        if live.is_evictable {
            self.evictable.remove(&lsn);
        }
        self.front.remove(live.scope, lsn);
        Some(live)
    }
}

/// Whether an event may be dropped to make room: the host declared it evictable, and no upstream may have it.
fn may_be_dropped(live: &Live) -> bool {
    let is_unsent = live.stage == Stage::Pending && !live.is_attempted && !live.is_effect;
    live.is_evictable && is_unsent
}

/// An event that was carried when it was so old will stay for as long again: so it is carried each
/// time its age has doubled, and not with every segment that it was carried into.
fn rest_where_it_is(kernel: &mut Kernel, live: &Live, now: Moment) {
    let age_ms = now.trusted_ms.saturating_sub(live.moment.trusted_ms);
    kernel.usage.rest_event(live.at.place.segment, now.trusted_ms.saturating_add(age_ms));
}
