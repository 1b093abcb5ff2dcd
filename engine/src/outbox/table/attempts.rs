//! Events that go out in a batch: what is noted of neighbours is noted of all of them at once.

use super::packed::{EventSet, are_neighbours, one};
use super::{EventTable, Stage};
use crate::base::WrittenAt;

impl EventTable {
    /// Notes that events were attempted with a batch of this number, formed then; 0: with the one whose frame is read.
    /// From then on each may be upstream, and is not dropped to make room. `flight`: those that are pending are in the
    /// batch of this number now.
    pub(in crate::outbox) fn note_attempts(
        &mut self,
        lsns: &[u64],
        (number, formed): (u64, Option<WrittenAt>),
        flight: Option<u64>,
    ) {
        for some in lsns.chunk_by(|lsn, next| are_neighbours(*lsn, *next)).filter_map(set_of) {
            self.packed.note_attempts(some, number, formed);
            self.keys.keep_all(some);
            let Some(flight) = flight.map(Stage::InFlight) else { continue };
            for group in self.packed.alike(some) {
                if group.stage == Stage::Pending {
                    let these = EventSet { base: some.base, events: group.events };
                    self.tallies.set_stage((group.scope, group.stage), flight, &group.counted);
                    // They stay in their lanes: none of them waits for a person, before or then.
                    self.front.remove_all(group.scope, these.lsns());
                    self.packed.set_stage(these, flight);
                }
            }
        }
    }
}

/// The set of neighbours.
fn set_of(neighbours: &[u64]) -> Option<EventSet> {
    let (first, others) = neighbours.split_first()?;
    let all = one(*first);
    let events = others.iter().fold(all.events, |events, lsn| events | one(*lsn).events);
    Some(EventSet { events, ..all })
}
