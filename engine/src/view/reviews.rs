//! What waits for a person, and what persons decided: numbers and places only.
//!
//! Whether a decision may still be made needs the version, and cleaning needs the place; the texts
//! are in the frames there, and the catalog has them in order. So an item takes some 60 bytes here
//! whatever the upstream wrote, and a decision as much, of which the newest 256 are kept.

use std::collections::BTreeMap;

use super::apply::Final;
use super::{Located, Moment, Since, Stage, View};
use crate::frames::control::{Action, Decision, Rejection};
use crate::limits::DECISIONS_KEPT;
use crate::verdict::State;

/// An event that waits for a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Review {
    /// LSN of the frame that put it there first.
    pub(crate) version: u64,
    /// The frame that holds the reason now.
    pub(crate) at: Located,
    /// In review, or uncertain.
    pub(crate) stage: Stage,
    /// What it takes in the log without its event, about.
    bytes: u32,
}

impl Review {
    /// What it takes in the log without its event, about.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.bytes)
    }
}

/// A decision that was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Made {
    /// The event.
    pub(crate) event: u64,
    /// The review that was decided on.
    pub(crate) version: u64,
    /// The frame that holds it now.
    pub(crate) at: Located,
}

/// Review items by their event, and decisions by the LSN of their first frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reviews {
    items: BTreeMap<u64, Review>,
    made: BTreeMap<u64, Made>,
    /// What all of them take in the log, about.
    bytes: u64,
    /// LSN of the last frame that changed anything here; a carried one changes nothing.
    changed: u64,
    /// When a person decided last to send an event again, by the event; not of decisions that were carried.
    sent_again: BTreeMap<u64, Since>,
}

impl Reviews {
    /// When a person decided last to send an event again, if that is known.
    pub(crate) fn sent_again(&self, event: u64) -> Option<Since> {
        self.sent_again.get(&event).copied()
    }

    /// The item of an event.
    pub(crate) fn get(&self, event: u64) -> Option<&Review> {
        self.items.get(&event)
    }

    /// All items, by event.
    pub(crate) fn items(&self) -> impl Iterator<Item = (u64, &Review)> {
        self.items.iter().map(|(event, review)| (*event, review))
    }

    /// The decisions that are remembered, oldest first.
    pub(crate) fn made(&self) -> impl DoubleEndedIterator<Item = (u64, &Made)> {
        self.made.iter().map(|(number, made)| (*number, made))
    }

    /// The decision with this number.
    pub(crate) fn decision(&self, number: u64) -> Option<&Made> {
        self.made.get(&number)
    }

    /// Whether there is nothing, so that nobody needs a catalog.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.made.is_empty()
    }

    /// What all of it takes in the log, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// LSN of the last frame that changed anything.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// An event comes into review, or its reason moved. Returns what is known now and what was before;
    /// `None`: this is an older copy, which changes nothing.
    fn put(&mut self, rejection: &Rejection, at: Located) -> Option<(Review, Option<Review>)> {
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
        let before = self.remove(rejection.event);
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
        let review = Review { version, at, stage, bytes };
        self.items.insert(rejection.event, review);
        Some((review, before))
    }

    /// The event no longer waits.
    pub(crate) fn remove(&mut self, event: u64) -> Option<Review> {
        let review = self.items.remove(&event)?;
        self.bytes = self.bytes.saturating_sub(u64::from(review.bytes));
        Some(review)
    }

    /// A decision was made, or its frame moved; the oldest beyond the limit is forgotten.
    fn note(&mut self, decision: &Decision, at: Located) {
        let number = if decision.number == 0 { at.lsn } else { decision.number };
        self.changed = self.changed.max(number);
        let made = Made { event: decision.event, version: decision.version, at };
        self.bytes = self.bytes.saturating_add(u64::from(at.bytes));
        let before = self.made.insert(number, made);
        let over = (self.made.len() > DECISIONS_KEPT).then(|| self.made.pop_first()).flatten();
        for gone in before.into_iter().chain(over.map(|(_, made)| made)) {
            self.bytes = self.bytes.saturating_sub(u64::from(gone.at.bytes));
        }
    }

    /// Forgets the items of events for which `is_open` is false.
    pub(super) fn remove_unless(&mut self, is_open: impl Fn(&u64) -> bool) -> Vec<Review> {
        let gone: Vec<u64> = self.items.keys().filter(|event| !is_open(event)).copied().collect();
        gone.into_iter().filter_map(|event| self.remove(event)).collect()
    }

    /// How many items and decisions stand in a segment.
    #[cfg(test)]
    fn known_frames(&self, segment: u64) -> usize {
        let items = self.items.values().map(|review| &review.at);
        let all = items.chain(self.made.values().map(|made| &made.at));
        all.filter(|at| at.place.segment == segment).count()
    }

    /// Forgets what stood in a segment that is gone: what still counts was carried.
    pub(super) fn forget_segment(&mut self, segment: u64) {
        let is_gone = |at: &Located| at.place.segment == segment;
        let items = self.items.extract_if(.., |_, review| is_gone(&review.at));
        let bytes: u64 = items.map(|(_, review)| u64::from(review.bytes)).sum();
        let made = self.made.extract_if(.., |_, made| is_gone(&made.at));
        let bytes = made.map(|(_, made)| u64::from(made.at.bytes)).sum::<u64>() + bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl View {
    /// An event goes to review, or the frame that says why was carried to here.
    pub(super) fn apply_rejection(&mut self, rejection: &Rejection, at: Located) {
        self.review_begins(rejection.event, at);
        let Some((now, before)) = self.reviews.put(rejection, at) else { return };
        self.lives.need(at.place.segment, now.bytes());
        if let Some(before) = before {
            self.lives.end_need(before.at.place.segment, before.bytes());
        }
        self.set_stage(rejection.event, now.stage);
    }

    /// A review is over.
    pub(super) fn end_review(&mut self, event: u64) {
        self.reviews.sent_again.remove(&event);
        if let Some(review) = self.reviews.remove(event) {
            self.lives.end_need(review.at.place.segment, review.bytes());
        }
    }

    /// What a person decided; `false` if a later review of the item is open.
    ///
    /// A decision stands for itself: what it was decided on may be gone, as cleaning goes in any order.
    pub(crate) fn apply_decision(
        &mut self,
        decision: &Decision,
        at: Located,
        moment: Moment,
    ) -> bool {
        let (event, version) = (decision.event, decision.version);
        self.reviews.note(decision, at);
        if self.reviews.get(event).is_some_and(|review| review.version > version) {
            return false;
        }
        self.add_holder(at);
        self.end_review(event);
        match decision.action {
            Action::Retry => {
                self.review_ends(event, at.lsn, version);
                if decision.number == 0 {
                    let (lsn, trusted_ms) = (at.lsn, moment.trusted_ms);
                    self.reviews.sent_again.insert(event, Since { lsn, trusted_ms });
                }
                if self.events.get(&event).is_some_and(|live| live.stage.waits_for_a_person()) {
                    self.set_stage(event, self.stage_of(event));
                }
            }
            Action::Resolve => {
                let (state, trusted_ms) = (State::Rejected, moment.trusted_ms);
                let answer = Final { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
                self.settle_event(event, answer);
            }
        }
        true
    }

    /// How many items that wait for a person, and decisions that are remembered, stand in a segment.
    pub(crate) fn reviews_in(&self, segment: u64) -> usize {
        let here = |at: &Located| at.place.segment == segment;
        let items = self.reviews.items.iter().filter(|(_, review)| here(&review.at));
        let waiting = items.filter(|(event, _)| self.waiting(**event).is_some()).count();
        waiting + self.reviews.made.values().filter(|made| here(&made.at)).count()
    }

    /// The item of an event that waits for a person.
    pub(crate) fn waiting(&self, event: u64) -> Option<&Review> {
        let waits = self.events.get(&event).is_some_and(|live| live.stage.waits_for_a_person());
        self.reviews.get(event).filter(|_| waits)
    }
}

#[cfg(test)]
mod tests {
    use onceward_wal::Place;

    use super::*;

    fn located(lsn: u64, segment: u64) -> Located {
        Located { place: Place { segment, offset: 8 }, bytes: 100, lsn }
    }

    fn rejection(event: u64, version: u64) -> Rejection {
        let (code, message, reply) = ("C".to_owned(), "m".to_owned(), vec![0; 30]);
        let state = State::InReview.code();
        Rejection { event, version, code, message, reply, since_ms: 0, state }
    }

    fn decision(number: u64) -> Decision {
        let (scope, key) = ("s".to_owned(), "k".to_owned());
        let (note, who, made_ms) = (String::new(), String::new(), 0);
        let action = Action::Retry;
        Decision { event: 1, version: 2, action, number, scope, key, note, who, made_ms }
    }

    #[test]
    fn an_older_copy_changes_nothing_and_a_moved_one_only_the_place() {
        let mut reviews = Reviews::default();
        reviews.put(&rejection(1, 0), located(5, 1));
        reviews.put(&rejection(1, 5), located(9, 2));
        assert_eq!(reviews.get(1).map(|review| (review.version, review.at.lsn)), Some((5, 9)));
        reviews.put(&rejection(1, 4), located(10, 2));
        assert_eq!(reviews.get(1).map(|review| (review.version, review.at.lsn)), Some((5, 9)));
        assert_eq!((reviews.known_frames(1), reviews.known_frames(2)), (0, 1));
        assert_eq!(reviews.bytes(), 96);
        reviews.forget_segment(2);
        assert!(reviews.is_empty() && reviews.bytes() == 0);
    }

    #[test]
    fn the_newest_decisions_are_kept_whatever_the_order_in_which_they_are_read() {
        let numbers = 1..=(u64::try_from(DECISIONS_KEPT).unwrap() + 50);
        let (mut up, mut down) = (Reviews::default(), Reviews::default());
        numbers.clone().for_each(|n| up.note(&decision(n), located(n, 1)));
        numbers.clone().rev().for_each(|n| down.note(&decision(n), located(n, 1)));
        let kept = |reviews: &Reviews| reviews.made().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(kept(&up), (51..=*numbers.end()).collect::<Vec<_>>());
        assert_eq!(kept(&up), kept(&down));
        assert_eq!(up.bytes(), 100 * u64::try_from(DECISIONS_KEPT).unwrap());
        assert_eq!((up.bytes(), up.known_frames(1)), (down.bytes(), DECISIONS_KEPT));
    }
}
