//! Batches, answers, decisions and clocks of a segment that is to go.

use onceward_wal::Frame;

use super::{Carry, Harvest};
use crate::frames::clock::Clock;
use crate::frames::codec;
use crate::frames::control::{Action, Batch, Decision, ReceiptFor, Rejection, Settle};
use crate::verdict::State;
use crate::view::{Located, View};

/// What a rejection takes besides its texts.
const REJECTION_BYTES: usize = 64;

impl Harvest {
    pub(super) fn take_batch(&mut self, view: &View, at: Located, frame: &Frame<'_>) {
        let open = view.batches.iter().find(|(_, open)| open.at.place == at.place);
        match open {
            Some((number, open)) => {
                let (number, scope) = (*number, open.scope.as_str().to_owned());
                let (events, envelope) = (open.events.clone(), open.envelope.clone());
                self.push(Carry::Batch(Batch { number, scope, parent: 0, events, envelope }));
            }
            None => self.take_attempts(view, at, frame),
        }
        if view.is_needed(at.lsn) {
            for batch in view.closed_elsewhere_by(at.lsn, self.segment) {
                self.add_settle(Settle { batch, ..Settle::default() });
            }
        }
    }

    /// Keeps that events were attempted whose own frames stand before this segment: those behind it
    /// were carried since, and say so themselves.
    fn take_attempts(&mut self, view: &View, at: Located, frame: &Frame<'_>) {
        let Some(batch) = codec::decode::<Batch>(frame.body) else { return };
        let stays = |lsn: &u64| {
            let live = view.events.get(lsn).filter(|live| live.is_attempted);
            live.is_some_and(|live| live.at.place.segment < at.place.segment)
        };
        let number = if batch.number == 0 { at.lsn } else { batch.number };
        // One for all of them: none was attempted before the oldest was formed.
        self.attempted.0 = Some(self.attempted.0.map_or(number, |oldest| oldest.min(number)));
        self.attempted.1.extend(batch.events.into_iter().filter(stays));
    }

    /// Looks at answers: of events that stand elsewhere they are needed, whether their keys are
    /// remembered or not.
    pub(super) fn take_settle(&mut self, view: &View, frame: &Frame<'_>) {
        let Some(settle) = Settle::decode(frame.lsn.get(), frame.body) else { return };
        for rejection in settle.rejections {
            self.take_review(view, rejection, frame);
        }
        let at = frame.lsn.get();
        if !view.is_needed(at) {
            return;
        }
        let written_ms = view.time.moment_of(frame).trusted_ms;
        let settled_ms = if settle.settled_ms == 0 { written_ms } else { settle.settled_ms };
        let mut left = Settle { settled_ms: settled_ms.max(1), ..Settle::default() };
        for span in &settle.spans {
            let settled = view.settled.range(span.first..=span.last.max(span.first));
            for (lsn, _) in settled.filter(|(_, it)| it.state.code() == span.state) {
                if view.answers_elsewhere(*lsn, at, self.segment) {
                    left.add(*lsn, span.state);
                }
            }
        }
        let is_left =
            |receipt: &ReceiptFor| view.answers_elsewhere(receipt.event, at, self.segment);
        left.receipts = settle.receipts.into_iter().filter(is_left).collect();
        let is_closer = view.closes_elsewhere(settle.batch, at, self.segment);
        left.batch = if is_closer { settle.batch } else { 0 };
        self.add_settle(left);
    }

    /// Keeps the reason of an event that still waits for a person, if this frame holds it.
    fn take_review(&mut self, view: &View, rejection: Rejection, frame: &Frame<'_>) {
        let event = rejection.event;
        let review = view.waiting(event).filter(|review| review.at.place == frame.place);
        let Some(review) = review.filter(|_| self.reviews.iter().all(|it| it.event != event))
        else {
            return;
        };
        let texts = rejection.code.len() + rejection.message.len() + rejection.reply.len();
        self.bytes += u64::try_from(REJECTION_BYTES + texts).unwrap_or(u64::MAX);
        self.reviews.push(Rejection { version: review.version, ..rejection });
    }

    /// Looks at a decision: it is remembered, or it is needed for an event, or for a review of one,
    /// that stands elsewhere.
    pub(super) fn take_decision(&mut self, view: &View, frame: &Frame<'_>) {
        let Some(decision) = codec::decode::<Decision>(frame.body) else { return };
        let (at, event) = (frame.lsn.get(), decision.event);
        if decision.action == Action::Resolve && view.answers_elsewhere(event, at, self.segment) {
            let settled_ms = view.time.moment_of(frame).trusted_ms.max(1);
            let mut left = Settle { settled_ms, ..Settle::default() };
            left.add(event, State::Rejected.code());
            self.add_settle(left);
        }
        let number = if decision.number == 0 { at } else { decision.number };
        let made = view.reviews.decision(number);
        let is_remembered = made.is_some_and(|made| made.at.place == frame.place);
        if is_remembered || view.decides_elsewhere(event, at, self.segment) {
            self.push(Carry::Decision(Decision { number, ..decision }));
        }
    }

    /// Keeps a rule for keys, and until when an upstream is not asked.
    pub(super) fn take_upstreams(&mut self, view: &View, frame: &Frame<'_>, at: Located) {
        if view.is_of_upstreams(at) {
            self.push(Carry::Control { kind: frame.kind, body: frame.body.to_vec(), of: 0 });
        }
    }

    /// Keeps what the upstream's clock showed last.
    pub(super) fn take_clock(&mut self, view: &View, at: Located) {
        if view.time.heard.noted().is_some_and(|(noted, _)| noted.place == at.place) {
            self.push(Carry::Clock(Clock { server: view.time.heard.note() }));
        }
    }
}
