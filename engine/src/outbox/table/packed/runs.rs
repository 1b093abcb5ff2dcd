//! Events that came one behind the other, put in all at once.

use super::chunk::{Chunk, Common};
use super::marks::{SLOTS, between};
use super::{PackedEvents, split};
use crate::kernel::{RunColumns, SummaryRun};
use crate::outbox::Live;

impl PackedEvents {
    /// Puts the events of a run in, which have no final answer. `alike`: an event of each of the run's facts at the
    /// lowest time. `false`, and nothing done: one is there, or they must be put in one by one.
    pub(in crate::outbox) fn put_run(
        &mut self,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        alike: &[Live],
    ) -> bool {
        let (number, slot) = split(run.first_lsn());
        let is_put = self.chunks.entry(number).or_default().put_run(slot, (run, columns), alike);
        if is_put {
            self.unsettled_count += run.count();
            self.unsettled_from = self.unsettled_from.min(number);
        } else if self.chunks.get(&number).is_some_and(|chunk| chunk.is_empty()) {
            self.chunks.remove(&number);
        }
        is_put
    }
}

impl Chunk {
    /// Puts events in, from a slot on, that have no final answer. `alike`: an event of each of the run's facts at the
    /// lowest time. `false`, and nothing done: one is there, or they are too far apart.
    fn put_run(
        &mut self,
        first: usize,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        alike: &[Live],
    ) -> bool {
        let last = first.saturating_add(run.count()).saturating_sub(1);
        let events = between(first, last);
        if last >= SLOTS || (self.unsettled | self.settled) & events != 0 {
            return false;
        }
        if self.commons.len().saturating_add(alike.len()) > usize::from(u8::MAX) {
            // A number that nobody has yet might be taken back for another.
            return false;
        }
        let mut numbers = Vec::with_capacity(alike.len());
        for live in alike {
            let (number, elapsed) = self.common(Common::of(live), live.moment.trusted_ms);
            if elapsed.checked_add(run.span_ms()).is_none() {
                return false;
            }
            numbers.push((number, elapsed));
        }
        let offsets = columns.offsets.get(..run.count()).unwrap_or_default();
        let bytes = columns.sizes.iter().map(|units| u32::from(*units) * RunColumns::SIZE_UNIT);
        let facts = columns.times.iter().zip(columns.facts).map(|(behind, facts)| {
            let (number, elapsed) = numbers.get(usize::from(facts)).copied().unwrap_or_default();
            (number, elapsed.saturating_add(*behind))
        });
        let rest = bytes.zip(facts).zip(columns.amounts);
        let rest = rest.map(|((bytes, facts), amount)| (bytes, facts, amount));
        self.put_columns(events, offsets, rest);
        true
    }
}
