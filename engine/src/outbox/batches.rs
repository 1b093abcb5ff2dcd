//! Batches: those that are not answered, and those that are closed while their frames are in the log. No I/O, no
//! clock, no lock here.

use std::collections::BTreeMap;

use super::frames::{BatchFrame, Envelope};
use crate::base::Located;
use crate::event::Scope;
use crate::kernel::Kernel;

/// A batch that is not answered.
#[derive(Clone, Debug)]
pub(crate) struct OpenBatch {
    pub(in crate::outbox) scope: Scope,
    pub(in crate::outbox) events: Vec<u64>,
    pub(in crate::outbox) envelope: Envelope,
    /// The place of the batch's newest frame.
    pub(crate) at: Located,
    /// Segments in which its frames are.
    segments: Vec<u64>,
}

/// A batch that is closed and whose frame is still in the log.
#[derive(Clone, Debug)]
struct ClosedBatch {
    /// LSN of the frame that closed it.
    closer: u64,
    /// Segments in which its frames are.
    segments: Vec<u64>,
}

/// Batches by their number, which is the LSN of the frame that formed them.
#[derive(Debug, Default)]
pub(crate) struct BatchTable {
    open: BTreeMap<u64, OpenBatch>,
    closed: BTreeMap<u64, ClosedBatch>,
    /// Batches that have a frame in a segment.
    by_segment: BTreeMap<u64, Vec<u64>>,
}

impl BatchTable {
    /// Batches that are not answered, by their number.
    pub(crate) fn open(&self) -> &BTreeMap<u64, OpenBatch> {
        &self.open
    }

    /// The batch of an event that is in one.
    pub(super) fn of(&self, event: u64) -> Option<u64> {
        let mut newest_first = self.open.iter().rev();
        newest_first.find(|(_, batch)| batch.events.contains(&event)).map(|(number, _)| *number)
    }

    /// Notes a batch that was fixed; of one that is known: its frame was carried to here.
    pub(super) fn fix(
        &mut self,
        kernel: &mut Kernel,
        batch: &BatchFrame,
        (scope, at): (Scope, Located),
    ) {
        let number = batch.number_at(at.lsn);
        let segment = at.place.segment;
        self.by_segment.entry(segment).or_default().push(number);
        kernel.usage.need(segment, u64::from(at.bytes));
        let mut segments = Vec::new();
        if let Some(before) = self.open.remove(&number) {
            kernel.usage.end_need(before.at.place.segment, u64::from(before.at.bytes));
            segments = before.segments;
        }
        segments.push(segment);
        let (events, envelope) = (batch.events.clone(), batch.envelope.clone());
        self.open.insert(number, OpenBatch { scope, events, envelope, at, segments });
    }

    /// Closes a batch: it is answered, or parts take its place. Of one that is closed already: the frame that says so
    /// was carried to here.
    ///
    /// Returns the events of a batch that was open.
    pub(super) fn close(&mut self, kernel: &mut Kernel, number: u64, closer: u64) -> Vec<u64> {
        let Some(batch) = self.open.remove(&number) else {
            self.move_closer(kernel, number, closer);
            return Vec::new();
        };
        let OpenBatch { events, at, segments, .. } = batch;
        kernel.usage.end_need(at.place.segment, u64::from(at.bytes));
        segments.iter().for_each(|segment| kernel.depend(closer, *segment));
        self.closed.insert(number, ClosedBatch { closer, segments });
        events
    }

    fn move_closer(&mut self, kernel: &mut Kernel, number: u64, closer: u64) {
        let Some(closed) = self.closed.get_mut(&number) else { return };
        let before = std::mem::replace(&mut closed.closer, closer);
        for segment in &closed.segments {
            kernel.end_depend(before, *segment);
            kernel.depend(closer, *segment);
        }
    }

    /// Whether the frame `closer` closed a batch that has frames in other segments than this.
    pub(super) fn closes_elsewhere(&self, batch: u64, closer: u64, segment: u64) -> bool {
        let closed = self.closed.get(&batch).filter(|closed| closed.closer == closer);
        closed.is_some_and(|closed| closed.segments.iter().any(|it| *it != segment))
    }

    /// The batches that the frame `closer` closed and that have frames in other segments than this.
    pub(super) fn closed_elsewhere_by(&self, closer: u64, segment: u64) -> Vec<u64> {
        let all = self.closed.keys().copied();
        all.filter(|batch| self.closes_elsewhere(*batch, closer, segment)).collect()
    }

    /// The open batch whose newest frame is here.
    pub(super) fn at(&self, at: &Located) -> Option<(u64, &OpenBatch)> {
        let found = self.open.iter().find(|(_, open)| open.at.place == at.place);
        found.map(|(number, open)| (*number, open))
    }

    /// Forgets the frames of a segment that goes.
    pub(super) fn forget_segment(&mut self, kernel: &mut Kernel, segment: u64) {
        for batch in self.by_segment.remove(&segment).unwrap_or_default() {
            if let Some(open) = self.open.get_mut(&batch) {
                open.segments.retain(|it| *it != segment);
            }
            let Some(closed) = self.closed.get_mut(&batch) else { continue };
            let count = closed.segments.len();
            closed.segments.retain(|it| *it != segment);
            let (gone, closer) = (count - closed.segments.len(), closed.closer);
            if closed.segments.is_empty() {
                self.closed.remove(&batch);
            }
            (0..gone).for_each(|_| kernel.end_depend(closer, segment));
        }
    }
}
