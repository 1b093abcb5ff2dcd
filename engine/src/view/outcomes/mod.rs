//! The answers for settled events whose own frames are gone, by the events' numbers.
//!
//! Events that were captured together are mostly answered and carried together, so neighbours share
//! a span: hundreds of them cost as much as one. Where a frame of another kind stands between any two
//! events, as when each is settled before the next comes, a span holds one event.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::verdict::State;

/// The final answer for an event whose frame is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) state: State,
    /// LSN of the frame that holds the event's key and receipt.
    pub(crate) holder: u64,
}

/// Consecutive events with one outcome; the first one's LSN is the key in the map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    /// LSN of the last one.
    last: u64,
    outcome: Outcome,
}

/// Outcomes by the LSN of the event.
///
/// Invariant: no two spans overlap, and none begins right behind one with the same outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    /// By the LSN of their first event.
    spans: BTreeMap<u64, Span>,
}

impl Outcomes {
    /// The outcome of an event, if it is here.
    pub(crate) fn get(&self, lsn: u64) -> Option<Outcome> {
        self.span_with(lsn).map(|(_, span)| span.outcome)
    }

    /// How many events have an outcome.
    pub(crate) fn count(&self, state: State) -> u64 {
        let spans = self.spans.iter().filter(|(_, span)| span.outcome.state == state);
        spans.map(|(first, span)| span.last - first + 1).sum()
    }

    /// Sets the outcome of an event, whatever it was before.
    pub(crate) fn set(&mut self, lsn: u64, state: State, holder: u64) {
        let outcome = Outcome { state, holder };
        match self.get(lsn) {
            Some(now) if now == outcome => return,
            Some(_) => self.forget(lsn..=lsn),
            None => {}
        }
        let before = lsn.checked_sub(1).and_then(|before| self.span_with(before));
        let first = before.filter(|(_, span)| span.outcome == outcome).map_or(lsn, |(at, _)| at);
        let after =
            lsn.checked_add(1).and_then(|after| self.spans.get(&after).map(|s| (after, *s)));
        let last = match after.filter(|(_, span)| span.outcome == outcome) {
            Some((after, span)) => {
                self.spans.remove(&after);
                span.last
            }
            None => lsn,
        };
        self.spans.insert(first, Span { last, outcome });
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
            let Some(Span { last, outcome }) = self.spans.remove(&first) else { continue };
            if let Some(before) = from.checked_sub(1).filter(|before| first <= *before) {
                self.spans.insert(first, Span { last: before, outcome });
            }
            if let Some(after) = to.checked_add(1).filter(|after| *after <= last) {
                self.spans.insert(after, Span { last, outcome });
            }
        }
    }

    /// Forgets the outcomes of frames for which `is_there` is false.
    pub(crate) fn retain_holders(&mut self, is_there: impl Fn(u64) -> bool) {
        self.spans.retain(|_, span| is_there(span.outcome.holder));
    }

    /// How many spans there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The span that holds an event, with the LSN at which it begins.
    fn span_with(&self, lsn: u64) -> Option<(u64, Span)> {
        let (first, span) = self.spans.range(..=lsn).next_back()?;
        (lsn <= span.last).then_some((*first, *span))
    }
}

#[cfg(test)]
mod tests;
