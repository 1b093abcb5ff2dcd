//! What of the events each segment holds, so that a segment that goes is forgotten without a look at the others.

use std::ops::RangeInclusive;

use super::EventTable;
use super::packed::{EventSet, one};
use crate::kernel::Kernel;
use crate::outbox::outcomes::NO_FRAME;

/// What of the events is in one segment.
#[derive(Debug, Default)]
pub(super) struct Residents {
    /// How many settled events have their frames here.
    settled: u64,
    /// The lowest LSN and the highest of those.
    between: Option<(u64, u64)>,
    /// Events of which a copy is here and a newer one elsewhere.
    pub(super) copies: Vec<u64>,
    /// Frames here that hold carried keys.
    key_frames: usize,
}

impl Residents {
    /// Counts settled events whose frames are here.
    pub(super) fn add_settled(&mut self, ends: RangeInclusive<u64>, count: u64) {
        let (first, last) = ends.into_inner();
        self.settled = self.settled.saturating_add(count);
        let (lowest, highest) = self.between.unwrap_or((first, last));
        self.between = Some((lowest.min(first), highest.max(last)));
    }
}

impl EventTable {
    /// What is in a segment, for noting more.
    pub(super) fn residents(&mut self, segment: u64) -> &mut Residents {
        self.by_segment.entry(segment).or_default()
    }

    /// Notes a frame with carried keys.
    pub(crate) fn add_key_frame(&mut self, segment: u64) {
        self.residents(segment).key_frames += 1;
    }

    /// How many settled events have their frames in a segment, and how many frames there hold carried keys.
    pub(crate) fn known_in(&self, segment: u64) -> (usize, usize) {
        let residents = self.by_segment.get(&segment);
        let settled = |of: &Residents| usize::try_from(of.settled).unwrap_or(usize::MAX);
        residents.map_or((0, 0), |residents| (settled(residents), residents.key_frames))
    }

    /// The lowest LSN and the highest of settled events whose frames are in a segment; others may be between them.
    pub(in crate::outbox) fn settled_ends(&self, segment: u64) -> Option<(u64, u64)> {
        self.by_segment.get(&segment)?.between
    }

    /// Forgets the frames of a segment that goes.
    pub(crate) fn forget_segment(&mut self, kernel: &mut Kernel, number: u64) {
        let gone = self.by_segment.remove(&number).unwrap_or_default();
        let between = gone.between.into_iter();
        let settled =
            between.flat_map(|(first, last)| self.packed.settled_in(first..=last, number));
        let settled: Vec<EventSet> = settled.collect();
        for event in gone.copies {
            let Some(copies) = self.copies.get_mut(&event) else { continue };
            let count = copies.len();
            copies.retain(|at| at.place.segment != number);
            if copies.len() == count {
                continue;
            }
            if copies.is_empty() {
                self.copies.remove(&event);
            }
            if let Some(settled) = self.packed.settled(event) {
                kernel.end_depend(settled.outcome_lsn, number);
            }
        }
        for some in settled {
            for (holder, these) in self.packed.by_holder(some) {
                kernel.end_depend_many(holder, number, u64::from(these.events.count_ones()));
            }
            if !self.copies.is_empty() {
                some.lsns().for_each(|event| self.put_copy(event));
            }
            // What a copy took the place of is elsewhere now.
            let left = self.packed.settled_in(some.ends(), number).collect::<Vec<EventSet>>();
            left.into_iter().for_each(|some| self.packed.forget(some));
        }
        if gone.key_frames > 0 {
            // Keys that cleaning carried have another holder by now, and what is left expired. Those that no frame
            // holds are in no segment.
            let is_there = |holder| holder == NO_FRAME || kernel.dependencies.has(holder);
            self.outcomes.retain_holders(is_there);
        }
    }

    /// Puts a copy that a crash left elsewhere in the place of the frame of a settled event, which goes. It counts
    /// already for what changes it.
    fn put_copy(&mut self, event: u64) {
        let Some(copies) = self.copies.get_mut(&event) else { return };
        let copy = copies.pop();
        if copies.is_empty() {
            self.copies.remove(&event);
        }
        if let Some(copy) = copy {
            self.packed.move_settled(event, copy);
            self.residents(copy.place.segment).add_settled(one(event).ends(), 1);
        }
    }
}
