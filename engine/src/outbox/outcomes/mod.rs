//! The answers for settled events whose own frames are gone, by the events' numbers.
//!
//! Events that were captured together are mostly answered and carried together, so neighbours share
//! a span: hundreds of them cost as much as one. Where a frame of another kind is between any two
//! events, as when each is settled before the next comes, a span holds one event.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::base::State;

/// The number that means no frame: only memory has the answer.
pub(super) const NO_FRAME: u64 = 0;

/// The final answer for an event whose frame is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CarriedOutcome {
    pub(in crate::outbox) state: State,
    /// LSN of the frame that holds the event's key and receipt.
    pub(in crate::outbox) holder: u64,
}

/// Consecutive events with one outcome; the first one's LSN is the key in the map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct OutcomeSpan {
    /// LSN of the last one.
    last: u64,
    outcome: CarriedOutcome,
}

/// Outcomes by the LSN of the event.
///
/// Invariant: no two spans overlap, and none begins right behind one with the same outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    /// By the LSN of their first event.
    spans: BTreeMap<u64, OutcomeSpan>,
    /// How many events in them are lost.
    lost: u64,
}

impl Outcomes {
    /// The outcome of an event, if it is here.
    pub(crate) fn get(&self, lsn: u64) -> Option<CarriedOutcome> {
        self.span_with(lsn).map(|(_, span)| span.outcome)
    }

    /// Whether none of these events has an outcome here.
    pub(crate) fn is_free(&self, lsns: RangeInclusive<u64>) -> bool {
        let reaching_in = self.span_with(*lsns.start()).is_some();
        !reaching_in && self.spans.range(lsns).next().is_none()
    }

    /// Whether the item of this number, whose key is known, is lost to damage: what became of it cannot be known.
    pub(crate) fn is_lost(&self, item: u64) -> bool {
        self.get(item).is_some_and(|outcome| outcome.state == State::OutcomeUnknown)
    }

    /// Notes an item that the log lost, and of which no frame could be written.
    pub(crate) fn note_lost(&mut self, item: u64) {
        self.set(item, State::OutcomeUnknown, NO_FRAME);
    }

    /// How many answers say that what became of the event cannot be known.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Sets the outcome of an event, whatever it was before.
    pub(crate) fn set(&mut self, lsn: u64, state: State, holder: u64) {
        self.set_all(lsn..=lsn, state, holder);
    }

    /// Sets the outcomes of these events, of which there is at least one, whatever they were before.
    pub(crate) fn set_all(&mut self, lsns: RangeInclusive<u64>, state: State, holder: u64) {
        let outcome = CarriedOutcome { state, holder };
        self.forget(lsns.clone());
        let (from, to) = lsns.into_inner();
        let before = from.checked_sub(1).and_then(|before| self.span_with(before));
        let first = before.filter(|(_, span)| span.outcome == outcome).map_or(from, |(at, _)| at);
        let after = to.checked_add(1).and_then(|after| self.spans.get(&after).map(|s| (after, *s)));
        let last = match after.filter(|(_, span)| span.outcome == outcome) {
            Some((after, span)) => {
                self.take(after);
                span.last
            }
            None => to,
        };
        self.take(first);
        self.put(first, OutcomeSpan { last, outcome });
    }

    /// Forgets the outcomes of these events.
    pub(crate) fn forget(&mut self, lsns: RangeInclusive<u64>) {
        let (from, to) = lsns.into_inner();
        if from > to {
            return;
        }
        let reaching_in = self.span_with(from).map(|(first, _)| first);
        let begun = self.spans.range(from..=to).map(|(first, _)| *first);
        let touched: Vec<u64> =
            reaching_in.into_iter().filter(|first| *first < from).chain(begun).collect();
        for first in touched {
            let Some(OutcomeSpan { last, outcome }) = self.take(first) else { continue };
            if let Some(before) = from.checked_sub(1).filter(|before| first <= *before) {
                self.put(first, OutcomeSpan { last: before, outcome });
            }
            if let Some(after) = to.checked_add(1).filter(|after| *after <= last) {
                self.put(after, OutcomeSpan { last, outcome });
            }
        }
    }

    /// Forgets the outcomes of frames for which `is_there` is false.
    pub(crate) fn retain_holders(&mut self, is_there: impl Fn(u64) -> bool) {
        let lost = &mut self.lost;
        self.spans.retain(|first, span| {
            let stays = is_there(span.outcome.holder);
            if !stays {
                *lost -= lost_in(*first, span);
            }
            stays
        });
    }

    /// Whether what is counted of them is what a count of all gives.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        self.spans.iter().map(|(first, span)| lost_in(*first, span)).sum::<u64>() == self.lost
    }

    /// How many spans there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    fn put(&mut self, first: u64, span: OutcomeSpan) {
        self.lost += lost_in(first, &span);
        self.spans.insert(first, span);
    }

    fn take(&mut self, first: u64) -> Option<OutcomeSpan> {
        let span = self.spans.remove(&first)?;
        self.lost -= lost_in(first, &span);
        Some(span)
    }

    /// The span that holds an event, with the LSN at which it begins.
    fn span_with(&self, lsn: u64) -> Option<(u64, OutcomeSpan)> {
        let (first, span) = self.spans.range(..=lsn).next_back()?;
        (lsn <= span.last).then_some((*first, *span))
    }
}

/// How many events of a span are lost.
fn lost_in(first: u64, span: &OutcomeSpan) -> u64 {
    if span.outcome.state == State::OutcomeUnknown { span.last - first + 1 } else { 0 }
}

#[cfg(test)]
mod tests;
