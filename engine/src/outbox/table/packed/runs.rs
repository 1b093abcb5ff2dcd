//! Events that came one behind the other, put in all at once.

use super::{PackedEvents, split};
use crate::kernel::{EventRun, RunColumns};
use crate::outbox::Live;

impl PackedEvents {
    /// Puts the events of a run in, which have no final answer. `alike`: an event of each of the run's facts at the lowest
    /// time. `false`, and nothing done: one is there, or they must be put in one by one.
    pub(in crate::outbox) fn put_run(
        &mut self,
        (run, columns): (&EventRun<'_>, &RunColumns),
        alike: &[Live],
    ) -> bool {
        let (number, slot) = split(run.first_lsn);
        let is_put = self.chunks.entry(number).or_default().put_run(slot, (run, columns), alike);
        if is_put {
            self.unsettled_count += run.count;
        } else if self.chunks.get(&number).is_some_and(|chunk| chunk.is_empty()) {
            self.chunks.remove(&number);
        }
        is_put
    }
}
