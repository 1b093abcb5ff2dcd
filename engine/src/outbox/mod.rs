//! Events on their way: what is captured and not answered, the batches in which it is sent, what waits for a person,
//! and the answers.
//!
//! | file | what |
//! |---|---|
//! | `events` | what is known of an event, and how far it is |
//! | `table` | all events of the log, by LSN |
//! | `lanes`, `front` | which of them are sent next |
//! | `batches` | what is sent together |
//! | `waiting` | what waits for a person |
//! | `outcomes` | the answers for events whose frames are gone |
//! | `tallies` | counts by scope and stage |
//! | `frames` | bodies of batch and settle frames |
//! | `apply` | changes, one function for each kind of frame |
//! | `runs` | events of a summary, many at once |
//! | `relocate`, `settled_keys` | what cleaning carries |
//! | `calls` | what is pending, batches, settling |
//! | `next` | which events may be sent next |
//! | `answers` | writes what the upstream said |
//! | `read` | events and outcomes by key |

mod answer;
mod answers;
mod apply;
mod batches;
mod calls;
mod events;
pub(crate) mod frames;
mod front;
mod lanes;
mod next;
mod outcome;
mod outcomes;
mod read;
mod relocate;
mod runs;
mod scopes;
mod settled_keys;
mod table;
mod tallies;
mod waiting;

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

pub use answer::{Answer, Settlement};
pub(crate) use answers::cut;
pub(crate) use batches::{BatchTable, OpenBatch};
pub(crate) use calls::{Events, Formed};
pub(crate) use events::{
    Arrived, Counted, Facts, FinalAnswer, Live, Settled, Stage, Standing, TakenEvent,
};
pub use outcome::Outcome;
pub(crate) use read::{receipts, stored_event};
pub(crate) use relocate::{Gathered, Relocating, SettledHere};
pub(crate) use scopes::Scopes;
pub(crate) use table::EventTable;
pub(crate) use tallies::{Count, ScopeCounts};
pub(crate) use waiting::{Review, WaitingTable};

use crate::event::Scope;
use crate::kernel::{Area, Asking, Kernel, LiveFrames, QueuedCommit, answer_bytes};

/// Events without a final answer and with one, batches, and what waits for a person.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    scopes: Scopes,
    events: EventTable,
    batches: BatchTable,
    waiting: WaitingTable,
    /// Events whose key another one had that was not settled as far as the log was read.
    contested: Vec<(u64, u64, String)>,
}

impl Outbox {
    /// All events.
    pub(crate) fn events(&self) -> &EventTable {
        &self.events
    }

    /// Trusted time at which the oldest event without a final answer was captured. Trusted time never falls, so it is
    /// the one with the lowest number.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.events.packed().live_between(..).next().map(|(_, live)| live.moment.trusted_ms)
    }

    /// Whether an event is in the log.
    fn has(&self, lsn: u64) -> bool {
        self.events.stage(lsn).is_some() || self.events.packed().settled(lsn).is_some()
    }

    /// Scopes by their number.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The scopes, to give one a number.
    pub(crate) fn scopes_mut(&mut self) -> &mut Scopes {
        &mut self.scopes
    }

    /// The scope of an event without a final answer.
    pub(crate) fn scope_of(&self, lsn: u64) -> Option<&Scope> {
        self.scopes.get(self.events.live(lsn)?.scope)
    }

    /// Batches that are not answered.
    pub(crate) fn batches(&self) -> &BTreeMap<u64, OpenBatch> {
        self.batches.open()
    }

    /// What waits for a person, also of events that are gone.
    pub(crate) fn reviews(&self) -> &WaitingTable {
        &self.waiting
    }

    /// Why an event waits for a person; `None`: it does not.
    pub(crate) fn waiting(&self, event: u64) -> Option<&Review> {
        let waits = self.events.stage(event).is_some_and(Stage::waits_for_a_person);
        self.waiting.get(event).filter(|_| waits)
    }

    /// The frames of a commit of events are durable.
    pub(crate) fn confirm(&mut self, commit: &QueuedCommit) {
        self.events.keys_mut().confirm_up_to(commit.last);
    }

    /// The frames of a commit of effects are durable.
    pub(crate) fn confirm_effects(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        self.confirm(commit);
        commit.lsns().for_each(|lsn| self.settle_effect(kernel, lsn));
    }

    /// The frames of a commit are surely absent: the keys of their events are free again.
    pub(crate) fn withdraw(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        self.events.withdraw_up_to(kernel, commit.last);
    }

    /// All that it says, alike of two that say the same.
    #[cfg(test)]
    pub(crate) fn described(&self) -> String {
        let Self { scopes, batches, waiting, contested, events } = self;
        format!("{:?}{}", (scopes, batches, waiting, contested), table::described(events))
    }

    /// The outbox, to be asked what of a segment lives.
    pub(crate) fn relocating<'a>(
        &'a self,
        kernel: &'a Kernel,
        asking: Asking<'a>,
        (live, gathered): (&'a mut LiveFrames, &'a mut Gathered),
    ) -> Relocating<'a> {
        Relocating { outbox: self, kernel, asking, live, gathered }
    }

    /// What the answers to all open batches but this one take at most.
    pub(crate) fn owed_bytes(&self, retired: u64) -> u64 {
        let open = self.batches.open().iter().filter(|(number, _)| **number != retired);
        let answers = open.map(|(_, batch)| answer_bytes(batch.events.len()));
        answers.fold(0, u64::saturating_add)
    }

    /// The log was read, and keys are as it says: ends what could only be judged now.
    pub(crate) fn end_contested(&mut self, kernel: &mut Kernel) {
        self.settle_contested(kernel);
        let Self { events, waiting, .. } = self;
        waiting.retain(kernel, |event| events.stage(event).is_some());
    }

    /// Settles events whose key another event had: of two with one key the first was settled before the second came,
    /// or the second should never have been written. The frame that settled the first may have been carried behind
    /// both.
    fn settle_contested(&mut self, kernel: &mut Kernel) {
        for (first, second, why) in std::mem::take(&mut self.contested) {
            if self.events.stage(first).is_some()
                && let Some(live) = self.events.drop_event(kernel, second)
            {
                kernel.note_invalid(live.at, why);
            }
        }
    }
}

impl Area for Outbox {
    fn end_replay(&mut self, kernel: &mut Kernel) {
        self.events.hold_carried_keys(kernel);
    }

    fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        self.events.carry_keys(kernel, slices, trusted_ms);
    }

    fn forget_segment(&mut self, kernel: &mut Kernel, segment: u64) {
        self.events.forget_segment(kernel, segment);
        self.batches.forget_segment(kernel, segment);
        self.waiting.forget_segment(kernel, segment);
    }

    fn is_left_in(&self, segment: u64) -> bool {
        self.waiting.count_in(segment, |event| self.waiting(event).is_some()) > 0
    }

    fn live_bytes(&self) -> u64 {
        self.events.tallies().bytes().saturating_add(self.waiting.bytes())
    }

    fn knows(&self, item: u64) -> bool {
        self.has(item) || self.events.outcomes().get(item).is_some()
    }

    fn held_slices(&self, held: &mut BTreeMap<Fingerprint, SliceId>) {
        held.extend(self.events.keys().held(self.events.packed()));
    }
}

#[cfg(test)]
pub(crate) mod tests;
