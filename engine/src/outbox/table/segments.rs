//! What of the events each segment holds, so that a segment that goes is forgotten without a look at the others.

use super::EventTable;
use crate::kernel::Kernel;
use crate::outbox::outcomes::NO_FRAME;

/// What of the events is in one segment.
#[derive(Debug, Default)]
pub(super) struct Residents {
    /// Settled events whose frames were here when they were settled; some may be elsewhere by now.
    pub(super) settled: Vec<u64>,
    /// Events of which a copy is here and a newer one elsewhere.
    pub(super) copies: Vec<u64>,
    /// Frames here that hold carried keys.
    key_frames: usize,
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
        residents.map_or((0, 0), |residents| (residents.settled.len(), residents.key_frames))
    }

    /// Forgets the frames of a segment that goes.
    pub(crate) fn forget_segment(&mut self, kernel: &mut Kernel, number: u64) {
        let gone = self.by_segment.remove(&number).unwrap_or_default();
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
            if let Some(settled) = self.settled.get(&event) {
                kernel.end_depend(settled.outcome_lsn, number);
            }
        }
        for event in gone.settled {
            self.forget_settled(kernel, event, number);
        }
        if gone.key_frames > 0 {
            // Keys that cleaning carried have another holder by now, and what is left expired. Those that no frame
            // holds are in no segment.
            let is_there = |holder| holder == NO_FRAME || kernel.dependencies.has(holder);
            self.outcomes.retain_holders(is_there);
        }
    }

    /// Forgets the frame of a settled event. A copy that a crash left elsewhere takes its place.
    fn forget_settled(&mut self, kernel: &mut Kernel, event: u64, number: u64) {
        let Some(settled) = self.settled.get(&event) else { return };
        if settled.at.place.segment != number {
            return;
        }
        kernel.end_depend(settled.outcome_lsn, number);
        // It counts already for what changes it.
        let copy = self.copies.get_mut(&event).and_then(Vec::pop);
        if self.copies.get(&event).is_some_and(Vec::is_empty) {
            self.copies.remove(&event);
        }
        match (copy, self.settled.get_mut(&event)) {
            (Some(copy), Some(settled)) => {
                settled.at = copy;
                self.residents(copy.place.segment).settled.push(event);
            }
            _ => {
                self.settled.remove(&event);
            }
        }
    }
}
