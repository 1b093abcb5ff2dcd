//! Which frames others depend on: what may not go before what it changes is gone.
//!
//! A frame may go only if every older frame that it changes is gone, or the change is carried. Without
//! that, replay would take the older one at its word: an event would be unsettled again and be sent a
//! second time. Four changes there are:
//!
//! | changed | by | lost, it would |
//! |---|---|---|
//! | a frame of an event | the frame with its final answer | be sent again |
//! | a frame of a batch | the frame that closed it | be sent again as it was |
//! | a frame that put an event into review | the decision to send it again | wait for a person again |
//! | a frame that says not to ask an upstream (`upstreams`) | the one that ends it | be left alone again |
//!
//! A frame of an event or a batch may stand more than once, after a crash within a cleaning: each copy
//! counts.

use super::lost::NO_FRAME;
use super::{Located, View};
use crate::event::Scope;
use crate::frames::control::Envelope;

/// Numbers of segments; mostly one.
pub(crate) type Segments = Vec<u64>;

/// A frame that changes others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holder {
    pub(crate) at: Located,
    /// How many frames in other segments stand that it changes.
    pub(crate) outside: u32,
}

/// A batch that is not answered.
#[derive(Clone, Debug)]
pub(crate) struct OpenBatch {
    pub(crate) scope: Scope,
    pub(crate) events: Vec<u64>,
    pub(crate) envelope: Envelope,
    pub(crate) at: Located,
    /// Segments in which its frames stand.
    pub(crate) frames: Segments,
}

/// A batch that is closed and whose frame is still in the log.
#[derive(Clone, Debug)]
pub(crate) struct ClosedBatch {
    /// LSN of the frame that closed it.
    pub(crate) closer: u64,
    /// Segments in which its frames stand.
    pub(crate) frames: Segments,
}

/// Reviews of an event that is not settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reviewed {
    /// LSN of the frame with the last decision, if nothing came after it.
    pub(crate) decision: Option<u64>,
    /// The review that it decided on.
    pub(crate) version: u64,
    /// Segments in which frames stand that put it into review.
    pub(crate) frames: Segments,
}

impl View {
    /// A frame that may change others.
    pub(super) fn add_holder(&mut self, at: Located) {
        self.holders.insert(at.lsn, Holder { at, outside: 0 });
        self.lives.part(at.place.segment).holders.push(at.lsn);
    }

    /// The frame `holder` changes a frame in `segment`.
    pub(super) fn depend(&mut self, holder: u64, segment: u64) {
        let Some(found) = self.holders.get_mut(&holder) else { return };
        let Located { place, bytes, .. } = found.at;
        if place.segment == segment {
            return;
        }
        found.outside += 1;
        if found.outside == 1 {
            self.lives.need(place.segment, u64::from(bytes));
        }
    }

    /// That frame is gone, or another one changes it.
    pub(super) fn end_depend(&mut self, holder: u64, segment: u64) {
        let Some(found) = self.holders.get_mut(&holder) else { return };
        let Located { place, bytes, .. } = found.at;
        if place.segment == segment || found.outside == 0 {
            return;
        }
        found.outside -= 1;
        if found.outside == 0 {
            self.lives.end_need(place.segment, u64::from(bytes));
        }
    }

    /// Whether the frame `holder` changes any frame in another segment.
    pub(crate) fn is_needed(&self, holder: u64) -> bool {
        self.holders.get(&holder).is_some_and(|found| found.outside > 0)
    }

    /// The segments in which frames of a settled event stand.
    fn stands_in(&self, lsn: u64) -> Segments {
        let at = self.settled.get(&lsn).map(|settled| settled.at.place.segment);
        let copies = self.copies.get(&lsn).into_iter().flatten().map(|at| at.place.segment);
        at.into_iter().chain(copies).collect()
    }

    /// Whether the frame `holder` in `segment` has the answer for an event that stands elsewhere.
    pub(crate) fn answers_elsewhere(&self, lsn: u64, holder: u64, segment: u64) -> bool {
        let is_of = self.settled.get(&lsn).is_some_and(|it| it.outcome_lsn == holder);
        is_of && self.stands_in(lsn).iter().any(|it| *it != segment)
    }

    /// Whether the frame `closer` in `segment` closes a batch whose frame stands elsewhere.
    pub(crate) fn closes_elsewhere(&self, batch: u64, closer: u64, segment: u64) -> bool {
        let closed = self.closed.get(&batch).filter(|closed| closed.closer == closer);
        closed.is_some_and(|closed| closed.frames.iter().any(|it| *it != segment))
    }

    /// The batches that the frame `closer` in `segment` closes and whose frames stand elsewhere. Few
    /// batches are closed and in the log, and it is asked only while cleaning.
    pub(crate) fn closed_elsewhere_by(&self, closer: u64, segment: u64) -> Vec<u64> {
        let all = self.closed.keys().copied();
        all.filter(|batch| self.closes_elsewhere(*batch, closer, segment)).collect()
    }

    /// From now on the frame `holder` has the answer of a settled event.
    pub(super) fn answer_moves(&mut self, lsn: u64, holder: u64) {
        let Some(settled) = self.settled.get_mut(&lsn) else { return };
        let before = std::mem::replace(&mut settled.outcome_lsn, holder);
        if before != holder {
            for segment in self.stands_in(lsn) {
                self.end_depend(before, segment);
                self.depend(holder, segment);
            }
        }
    }

    /// An event was settled by the frame `holder`.
    pub(super) fn answer_begins(&mut self, lsn: u64, holder: u64) {
        if self.copies.contains_key(&lsn) {
            self.stands_in(lsn).into_iter().for_each(|segment| self.depend(holder, segment));
        } else if let Some(settled) = self.settled.get(&lsn) {
            // As nearly always: settling is a hot path, and this allocates nothing.
            self.depend(holder, settled.at.place.segment);
        }
        self.end_reviewed(lsn);
    }

    /// A batch is closed by the frame `closer`.
    pub(super) fn batch_closes(&mut self, batch: u64, closer: u64, frames: Segments) {
        frames.iter().for_each(|segment| self.depend(closer, *segment));
        self.closed.insert(batch, ClosedBatch { closer, frames });
    }

    /// From now on the frame `closer` is the one that closed a batch.
    pub(super) fn closer_moves(&mut self, batch: u64, closer: u64) {
        let Some(closed) = self.closed.get_mut(&batch) else { return };
        let before = std::mem::replace(&mut closed.closer, closer);
        let frames = closed.frames.clone();
        for segment in frames {
            self.end_depend(before, segment);
            self.depend(closer, segment);
        }
    }

    /// A frame at `at` puts an event into review.
    pub(super) fn review_begins(&mut self, event: u64, at: Located) {
        let segment = at.place.segment;
        self.lives.part(segment).rejected.push(event);
        let reviewed = self.reviewed.entry(event).or_default();
        let frames = reviewed.frames.clone();
        if !frames.contains(&segment) {
            reviewed.frames.push(segment);
        }
        if let Some(before) = reviewed.decision.take() {
            frames.iter().for_each(|segment| self.end_depend(before, *segment));
        }
    }

    /// The frame `decision` ends the review `version` of an event, which waits to be sent again.
    pub(super) fn review_ends(&mut self, event: u64, decision: u64, version: u64) {
        let Some(reviewed) = self.reviewed.get_mut(&event) else { return };
        if reviewed.decision.is_some() && reviewed.version > version {
            // Carried, for people to read: another one was made since.
            return;
        }
        let before = reviewed.decision.replace(decision);
        reviewed.version = version;
        let frames = reviewed.frames.clone();
        for segment in frames {
            if let Some(before) = before {
                self.end_depend(before, segment);
            }
            self.depend(decision, segment);
        }
    }

    /// Whether the frame `decision` in `segment` ends a review of an event that stands elsewhere.
    pub(crate) fn decides_elsewhere(&self, event: u64, decision: u64, segment: u64) -> bool {
        let reviewed = self.reviewed.get(&event).filter(|it| it.decision == Some(decision));
        reviewed.is_some_and(|it| it.frames.iter().any(|frame| *frame != segment))
    }

    /// An event is settled: what was decided on it does not matter any more.
    fn end_reviewed(&mut self, event: u64) {
        let Some(reviewed) = self.reviewed.remove(&event) else { return };
        if let Some(decision) = reviewed.decision {
            reviewed.frames.iter().for_each(|segment| self.end_depend(decision, *segment));
        }
    }

    /// Forgets what is known of a segment's frames, because the segment is gone.
    ///
    /// An event that has another copy stands there from now on: after a crash within a cleaning.
    pub(crate) fn forget_segment(&mut self, number: u64) {
        let part = self.lives.remove(number);
        for event in part.copies {
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
                self.end_depend(settled.outcome_lsn, number);
            }
        }
        for event in part.settled {
            self.forget_settled(event, number);
        }
        for batch in part.batches {
            self.forget_batch(batch, number);
        }
        for event in part.rejected {
            let Some(reviewed) = self.reviewed.get_mut(&event) else { continue };
            if !reviewed.frames.contains(&number) {
                continue;
            }
            reviewed.frames.retain(|segment| *segment != number);
            let (decision, is_empty) = (reviewed.decision, reviewed.frames.is_empty());
            if is_empty && self.reviews.get(event).is_none() {
                self.reviewed.remove(&event);
            }
            if let Some(decision) = decision {
                self.end_depend(decision, number);
            }
        }
        for holder in part.holders {
            self.holders.remove(&holder);
        }
        if part.key_frames > 0 {
            // Keys that cleaning carried have another holder by now, and what is left expired. Those that no frame
            // holds are in no segment.
            let stands = |holder| holder == NO_FRAME || self.holders.contains_key(&holder);
            self.outcomes.retain_holders(stands);
        }
        self.records.forget_segment(number);
        self.inbox.forget_segment(number);
        self.leaving.forget_segment(number);
        self.reviews.forget_segment(number);
        self.forget_segment_of_upstreams(number);
    }

    fn forget_settled(&mut self, event: u64, number: u64) {
        let Some(settled) = self.settled.get(&event) else { return };
        if settled.at.place.segment != number {
            return;
        }
        self.end_depend(settled.outcome_lsn, number);
        // It counts already for what changes it.
        let copy = self.copies.get_mut(&event).and_then(Vec::pop);
        if self.copies.get(&event).is_some_and(Vec::is_empty) {
            self.copies.remove(&event);
        }
        match (copy, self.settled.get_mut(&event)) {
            (Some(copy), Some(settled)) => {
                settled.at = copy;
                self.lives.part(copy.place.segment).settled.push(event);
            }
            _ => {
                self.settled.remove(&event);
            }
        }
    }

    fn forget_batch(&mut self, batch: u64, number: u64) {
        if let Some(open) = self.batches.get_mut(&batch) {
            open.frames.retain(|segment| *segment != number);
        }
        let Some(closed) = self.closed.get_mut(&batch) else { return };
        let count = closed.frames.len();
        closed.frames.retain(|segment| *segment != number);
        let (gone, closer) = (count - closed.frames.len(), closed.closer);
        if closed.frames.is_empty() {
            self.closed.remove(&batch);
        }
        (0..gone).for_each(|_| self.end_depend(closer, number));
    }
}
