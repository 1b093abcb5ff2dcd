//! Events that came one behind the other, added all at once: what is counted of them is counted for all that are alike.

use super::EventTable;
use super::packed::{EventSet, are_neighbours, one};
use crate::kernel::{Kernel, RunColumns, SummaryRun};
use crate::outbox::{Counted, Live, Stage};

impl EventTable {
    /// Adds the events of a run, whose keys are taken. `alike`: an event of each of the run's facts at the lowest time,
    /// and what is counted of those. `false`, and nothing done: they must be added one by one.
    pub(in crate::outbox) fn add_run(
        &mut self,
        kernel: &mut Kernel,
        (run, columns): (&SummaryRun<'_>, &RunColumns),
        alike: &[(Live, Counted)],
    ) -> bool {
        let lives: Vec<Live> = alike.iter().map(|(live, _)| *live).collect();
        if !self.packed.put_run((run, columns), &lives) {
            return false;
        }
        let lsns = || run.first_lsn()..=run.last_lsn();
        for (number, (live, counted)) in (0_u8..).zip(alike) {
            let is_one = |(_, facts): &(u64, u8)| *facts == number;
            let these = lsns().zip(columns.facts).filter(is_one).map(|(lsn, _)| lsn);
            sets(these).for_each(|some| self.front.add_all(live.scope, some));
            self.tallies.add(live.scope, Stage::Pending, counted);
            kernel.usage.add_whole(run.place().segment, counted.count, counted.bytes);
        }
        true
    }
}

/// All that a table says, alike of two that say the same.
#[cfg(test)]
pub(in crate::outbox) fn described(table: &EventTable) -> String {
    let EventTable { packed, keys, outcomes, copies, by_segment, lanes, front, tallies } = table;
    let events = (
        packed.live_between(..).collect::<Vec<_>>(),
        packed.settled_between(..).collect::<Vec<_>>(),
        packed.unsettled_count(),
    );
    format!("{:?}", (events, keys, outcomes, copies, by_segment, lanes, front, tallies))
}

/// Ascending numbers as sets: of each chunk one.
fn sets(lsns: impl Iterator<Item = u64>) -> impl Iterator<Item = EventSet> {
    let mut rest = lsns.peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut some = one(first);
        while let Some(next) = rest.next_if(|lsn| are_neighbours(first, *lsn)) {
            some.events |= one(next).events;
        }
        Some(some)
    })
}
