//! What waits for a person: numbers and places only. No I/O, no clock, no lock here.
//!
//! Whether a decision may still be made needs the version, and cleaning needs the place; the texts are in the frames
//! there, and the catalog has them in order. So an item takes some 60 bytes here whatever the upstream wrote.

use std::collections::BTreeMap;

use super::Stage;
use super::frames::Rejection;
use super::table::EventSet;
use crate::base::{Located, State, WrittenAt};
use crate::kernel::Kernel;

/// Why an event waits for a person, and where that is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Review {
    /// The number of the review: that of the frame that began it.
    pub(crate) version: u64,
    pub(crate) at: Located,
    pub(crate) stage: Stage,
    /// What carrying it takes, about.
    bytes: u32,
}

/// Frames that put an event into review, and the decision that ended it.
#[derive(Clone, Debug, Default)]
struct Reviewed {
    /// LSN of the frame with the last decision, if nothing came after it.
    decision: Option<u64>,
    /// The review that was decided on.
    version: u64,
    /// Segments in which frames are that put the event into review.
    segments: Vec<u64>,
}

/// What waits for a person, by the LSN of the event.
#[derive(Debug, Default)]
pub(crate) struct WaitingTable {
    items: BTreeMap<u64, Review>,
    /// Events that are or were in review and are not settled.
    reviewed: BTreeMap<u64, Reviewed>,
    /// When a person decided last to send an event again.
    sent_again: BTreeMap<u64, WrittenAt>,
    /// Events that a frame in a segment puts into review.
    by_segment: BTreeMap<u64, Vec<u64>>,
    bytes: u64,
    /// The highest version that was seen.
    changed: u64,
}

impl WaitingTable {
    /// Why an event waits.
    pub(crate) fn get(&self, event: u64) -> Option<&Review> {
        self.items.get(&event)
    }

    /// All that waits, by event.
    pub(crate) fn items(&self) -> impl Iterator<Item = (u64, &Review)> {
        self.items.iter().map(|(event, review)| (*event, review))
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What carrying all of it takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether what is counted of it is what a count of all gives.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        self.items.values().map(|review| u64::from(review.bytes)).sum::<u64>() == self.bytes
    }

    /// The highest version that was seen.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// When a person decided last to send an event again.
    pub(crate) fn sent_again(&self, event: u64) -> Option<WrittenAt> {
        self.sent_again.get(&event).copied()
    }

    /// Puts an event into review. Returns the stage that it comes to; `None`: an older copy of what is known.
    pub(super) fn begin(
        &mut self,
        kernel: &mut Kernel,
        rejection: &Rejection,
        at: Located,
    ) -> Option<Stage> {
        self.begin_reviewed(kernel, rejection.event, at);
        let version = if rejection.version == 0 { at.lsn } else { rejection.version };
        self.changed = self.changed.max(version);
        if self.items.get(&rejection.event).is_some_and(|now| now.version > version) {
            return None;
        }
        let stage = match State::from_code(rejection.state) {
            Some(State::Uncertain) => Stage::Uncertain,
            _ => Stage::InReview,
        };
        let texts = rejection.code.len() + rejection.message.len() + rejection.reply.len();
        let bytes = u32::try_from(texts).unwrap_or(u32::MAX).saturating_add(64);
        kernel.usage.need(at.place.segment, u64::from(bytes));
        self.remove(kernel, rejection.event);
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
        self.items.insert(rejection.event, Review { version, at, stage, bytes });
        Some(stage)
    }

    /// Ends a review by a decision of the frame `decision`. Returns `false` for a decision on an older review than
    /// the one that waits: it changes nothing.
    pub(super) fn may_decide(&self, event: u64, version: u64) -> bool {
        self.items.get(&event).is_none_or(|review| review.version <= version)
    }

    /// An event waits no more: it is settled, or to be sent again.
    pub(super) fn end(&mut self, kernel: &mut Kernel, event: u64) {
        self.sent_again.remove(&event);
        self.remove(kernel, event);
    }

    /// A person decided to send an event again, with this frame.
    pub(super) fn send_again(
        &mut self,
        kernel: &mut Kernel,
        (event, version): (u64, u64),
        decision: u64,
        since: Option<WrittenAt>,
    ) {
        if let Some(since) = since {
            self.sent_again.insert(event, since);
        }
        let Some(reviewed) = self.reviewed.get_mut(&event) else { return };
        if reviewed.decision.is_some() && reviewed.version > version {
            // Carried, for people to read: another one was made since.
            return;
        }
        let before = reviewed.decision.replace(decision);
        reviewed.version = version;
        for segment in &reviewed.segments {
            if let Some(before) = before {
                kernel.end_depend(before, *segment);
            }
            kernel.depend(decision, *segment);
        }
    }

    /// Whether a decision ends a review that frames of other segments than this begin.
    pub(crate) fn decides_elsewhere(&self, event: u64, decision: u64, segment: u64) -> bool {
        let reviewed = self.reviewed.get(&event).filter(|it| it.decision == Some(decision));
        reviewed.is_some_and(|it| it.segments.iter().any(|other| *other != segment))
    }

    /// Events are settled.
    pub(super) fn settled(&mut self, kernel: &mut Kernel, some: EventSet) {
        if self.items.is_empty() && self.reviewed.is_empty() && self.sent_again.is_empty() {
            return;
        }
        for event in some.lsns() {
            self.end(kernel, event);
            self.end_reviewed(kernel, event);
        }
    }

    /// An event is settled: what put it into review changes nothing any more.
    fn end_reviewed(&mut self, kernel: &mut Kernel, event: u64) {
        let Some(reviewed) = self.reviewed.remove(&event) else { return };
        if let Some(decision) = reviewed.decision {
            reviewed.segments.iter().for_each(|segment| kernel.end_depend(decision, *segment));
        }
    }

    /// Forgets what is said of events that are gone, or settled by a frame that came before.
    pub(super) fn retain(&mut self, kernel: &mut Kernel, is_open: impl Fn(u64) -> bool) {
        let gone: Vec<u64> = self.items.keys().copied().filter(|event| !is_open(*event)).collect();
        gone.into_iter().for_each(|event| self.remove(kernel, event));
        self.reviewed.retain(|event, _| is_open(*event));
    }

    /// How many items of a segment wait, of those of which `waits` says so.
    pub(super) fn count_in(&self, segment: u64, waits: impl Fn(u64) -> bool) -> usize {
        let here = self.items.iter().filter(|(_, review)| review.at.place.segment == segment);
        here.filter(|(event, _)| waits(**event)).count()
    }

    /// Forgets the frames of a segment that goes.
    pub(super) fn forget_segment(&mut self, kernel: &mut Kernel, segment: u64) {
        for event in self.by_segment.remove(&segment).unwrap_or_default() {
            let Some(reviewed) = self.reviewed.get_mut(&event) else { continue };
            if !reviewed.segments.contains(&segment) {
                continue;
            }
            reviewed.segments.retain(|it| *it != segment);
            let (decision, is_empty) = (reviewed.decision, reviewed.segments.is_empty());
            if is_empty && !self.items.contains_key(&event) {
                self.reviewed.remove(&event);
            }
            if let Some(decision) = decision {
                kernel.end_depend(decision, segment);
            }
        }
        let is_gone = |review: &Review| review.at.place.segment == segment;
        let gone = self.items.extract_if(.., |_, review| is_gone(review));
        let bytes: u64 = gone.map(|(_, review)| u64::from(review.bytes)).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn begin_reviewed(&mut self, kernel: &mut Kernel, event: u64, at: Located) {
        let segment = at.place.segment;
        self.by_segment.entry(segment).or_default().push(event);
        let reviewed = self.reviewed.entry(event).or_default();
        if let Some(before) = reviewed.decision.take() {
            reviewed.segments.iter().for_each(|segment| kernel.end_depend(before, *segment));
        }
        if !reviewed.segments.contains(&segment) {
            reviewed.segments.push(segment);
        }
    }

    fn remove(&mut self, kernel: &mut Kernel, event: u64) {
        let Some(review) = self.items.remove(&event) else { return };
        let bytes = u64::from(review.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        kernel.usage.end_need(review.at.place.segment, bytes);
    }
}
