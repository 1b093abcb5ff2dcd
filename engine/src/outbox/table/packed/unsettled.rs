//! The events without a final answer: those that have one and wait for cleaning are passed over.

use std::ops::RangeBounds;

use super::chunk::Chunk;
use super::marks::{Mask, slots};
use super::{CHUNK_LSNS, EventSet, PackedEvents, ends, lsn_at, sets, split};
use crate::base::WrittenAt;
use crate::base::looked::look;
use crate::outbox::{Live, Stage, Standing};

/// Places of events for which there is memory before any is found.
const STANDINGS_FIRST: usize = 1_024;

impl PackedEvents {
    /// Whether an event has no final answer, waits for no person, and is of this scope, if one is named.
    pub(in crate::outbox) fn is_open(&self, lsn: u64, scope: Option<usize>) -> bool {
        let (number, slot) = split(lsn);
        self.chunks.get(&number).is_some_and(|chunk| chunk.is_open(slot, scope))
    }

    /// As [`PackedEvents::within`], without chunks at the beginning that have only events with a final answer.
    fn within_unsettled(
        &self,
        range: impl RangeBounds<u64>,
    ) -> impl Iterator<Item = (u64, &Chunk, Mask)> {
        let from = self.unsettled_from.saturating_mul(CHUNK_LSNS);
        let range = ends(&range).map(|(first, last)| (first.max(from), last));
        let range = range.filter(|(first, last)| first <= last);
        range.into_iter().flat_map(|(first, last)| self.within(first..=last))
    }

    /// Moves on past chunks that have no event without a final answer any more: this one had some.
    pub(super) fn pass_settled(&mut self, number: u64) {
        if number == self.unsettled_from {
            let mut chunks = self.chunks.range(number..);
            let next = chunks.find(|(_, chunk)| chunk.unsettled != 0);
            self.unsettled_from = next.map_or(u64::MAX, |(number, _)| *number);
        }
    }

    /// The events without a final answer in a range, ascending.
    pub(crate) fn live_between(
        &self,
        range: impl RangeBounds<u64>,
    ) -> impl Iterator<Item = (u64, Live)> {
        self.within_unsettled(range).flat_map(|(base, chunk, events)| {
            slots(events & chunk.unsettled).filter_map(move |slot| {
                look();
                let lsn = lsn_at(base, slot);
                Some((lsn, chunk.live(slot, lsn)?))
            })
        })
    }

    /// The events without a final answer in a range.
    pub(in crate::outbox) fn unsettled_in(
        &self,
        range: impl RangeBounds<u64>,
    ) -> impl Iterator<Item = EventSet> {
        sets(self.within_unsettled(range), |chunk, events| events & chunk.unsettled)
    }

    /// The events of a scope in a range that the upstream is to have: those that are no effects, and wait for no
    /// person.
    pub(in crate::outbox) fn to_deliver(
        &self,
        range: impl RangeBounds<u64>,
        scope: usize,
    ) -> impl Iterator<Item = EventSet> {
        sets(self.within_unsettled(range), move |chunk, events| chunk.to_deliver(events, scope))
    }

    /// Where the next events of a scope are that the upstream is to have, at most `max` of those in a range.
    pub(crate) fn standings(
        &self,
        range: impl RangeBounds<u64>,
        (scope, max): (usize, usize),
    ) -> Vec<Standing> {
        let mut found = Vec::with_capacity(max.min(self.unsettled_count).min(STANDINGS_FIRST));
        for (base, chunk, events) in self.within_unsettled(range) {
            let events = chunk.to_deliver(events, scope);
            for slot in slots(events) {
                if found.len() >= max {
                    return found;
                }
                look();
                found.extend(chunk.standing(slot, lsn_at(base, slot)));
            }
        }
        found
    }

    /// Brings events without a final answer to a stage.
    pub(in crate::outbox) fn set_stage(&mut self, some: EventSet, stage: Stage) {
        if let Some((chunk, _)) = self.chunk_mut(some.base) {
            chunk.set_stage(some.events & chunk.unsettled, stage);
        }
    }

    /// Notes that events without a final answer were attempted with a batch of this number; 0: with one that is formed
    /// now, of those that were in none before.
    pub(in crate::outbox) fn note_attempts(
        &mut self,
        some: EventSet,
        number: u64,
        formed: Option<WrittenAt>,
    ) {
        if let Some((chunk, _)) = self.chunk_mut(some.base) {
            chunk.note_attempts(some.events & chunk.unsettled, number, formed);
        }
    }

    /// Whether an event without a final answer was attempted whose frame is in a segment before this one.
    pub(crate) fn is_attempted_before(&self, segment: u64) -> bool {
        self.within_unsettled(..).any(|(_, chunk, events)| {
            let attempted = events & chunk.unsettled & chunk.attempted;
            attempted != 0 && chunk.where_common(attempted, |it| it.segment < segment) != 0
        })
    }
}
