//! What persons decided: numbers and places of the newest decisions. No I/O, no clock, no lock here.

use std::collections::BTreeMap;

use super::frames::{Action, DecisionFrame};
use crate::base::bounds::DECISIONS_KEPT;
use crate::base::{FrameKind, Located, Moment, State, WrittenAt, codec};
use crate::kernel::{Area, Kernel};
use crate::outbox::{FinalAnswer, Outbox, Relocating};

/// A decision, and the frame that says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KnownDecision {
    pub(in crate::review) at: Located,
}

/// The newest decisions, by their number, which is the LSN of the frame that made them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecisionTable {
    made: BTreeMap<u64, KnownDecision>,
    bytes: u64,
    /// The highest number that was seen.
    changed: u64,
}

impl DecisionTable {
    /// The numbers of the decisions that are remembered, ascending.
    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.made.keys().copied()
    }

    /// A decision that is remembered.
    pub(crate) fn get(&self, number: u64) -> Option<&KnownDecision> {
        self.made.get(&number)
    }

    /// Whether none is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// The highest number that was seen.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// Applies a decision; one on an older review than the one that waits changes nothing.
    pub(crate) fn apply(
        &mut self,
        (kernel, outbox): (&mut Kernel, &mut Outbox),
        decision: &DecisionFrame,
        (at, moment): (Located, Moment),
    ) {
        let (event, version) = (decision.event, decision.version);
        self.note(decision, at);
        if !outbox.may_decide(event, version) {
            return;
        }
        kernel.add_holder(at);
        match decision.action {
            Action::Retry => {
                let (lsn, trusted_ms) = (at.lsn, moment.trusted_ms);
                let since = (decision.number == 0).then_some(WrittenAt { lsn, trusted_ms });
                outbox.send_again(kernel, (event, version), at.lsn, since);
            }
            Action::Resolve => {
                outbox.end_review(kernel, event);
                let (state, trusted_ms) = (State::Rejected, moment.trusted_ms);
                let answer = FinalAnswer { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
                outbox.settle(kernel, event..=event, answer);
            }
        }
    }

    /// Looks at a decision of a segment that goes: it is remembered, or it is needed for an event, or for a review of
    /// one, that is elsewhere.
    pub(crate) fn relocate(
        &self,
        relocating: &mut Relocating<'_>,
        decision: DecisionFrame,
        frame: &onceward_wal::Frame<'_>,
    ) {
        let (at, event) = (frame.lsn.get(), decision.event);
        if decision.action == Action::Resolve {
            relocating.answer(event, State::Rejected.code(), frame);
        }
        let number = decision.number_at(at);
        let is_remembered = self.get(number).is_some_and(|made| made.at.place == frame.place);
        let segment = relocating.live.segment();
        if is_remembered || relocating.outbox.reviews().decides_elsewhere(event, at, segment) {
            let decision = DecisionFrame { number, ..decision };
            relocating.live.push(FrameKind::Decision, codec::encode(&decision));
        }
    }

    /// Notes a decision, and forgets the oldest of too many.
    fn note(&mut self, decision: &DecisionFrame, at: Located) {
        let number = decision.number_at(at.lsn);
        self.changed = self.changed.max(number);
        self.bytes = self.bytes.saturating_add(u64::from(at.bytes));
        let before = self.made.insert(number, KnownDecision { at });
        let over = (self.made.len() > DECISIONS_KEPT).then(|| self.made.pop_first()).flatten();
        for gone in before.into_iter().chain(over.map(|(_, made)| made)) {
            self.bytes = self.bytes.saturating_sub(u64::from(gone.at.bytes));
        }
    }
}

impl Area for DecisionTable {
    fn forget_segment(&mut self, _kernel: &mut Kernel, segment: u64) {
        let gone = self.made.extract_if(.., |_, made| made.at.place.segment == segment);
        let bytes = gone.map(|(_, made)| u64::from(made.at.bytes)).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_left_in(&self, segment: u64) -> bool {
        self.made.values().any(|made| made.at.place.segment == segment)
    }

    fn live_bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use onceward_wal::Place;

    use super::*;

    fn located(lsn: u64, segment: u64) -> Located {
        Located { place: Place { segment, offset: 8 }, bytes: 100, lsn }
    }

    fn decision(number: u64) -> DecisionFrame {
        let (scope, key) = ("s".to_owned(), "k".to_owned());
        let (note, who, made_ms) = (String::new(), String::new(), 0);
        let action = Action::Retry;
        DecisionFrame { event: 1, version: 2, action, number, scope, key, note, who, made_ms }
    }

    #[test]
    fn the_newest_decisions_are_kept_whatever_the_order_in_which_they_are_read() {
        let numbers = 1..=(u64::try_from(DECISIONS_KEPT).unwrap() + 50);
        let (mut up, mut down) = (DecisionTable::default(), DecisionTable::default());
        numbers.clone().for_each(|n| up.note(&decision(n), located(n, 1)));
        numbers.clone().rev().for_each(|n| down.note(&decision(n), located(n, 1)));
        let kept = |table: &DecisionTable| table.numbers().collect::<Vec<_>>();
        assert_eq!(kept(&up), (51..=*numbers.end()).collect::<Vec<_>>());
        assert_eq!(kept(&up), kept(&down));
        assert_eq!(up.live_bytes(), 100 * u64::try_from(DECISIONS_KEPT).unwrap());
        assert_eq!(up.live_bytes(), down.live_bytes());
        assert_eq!(
            down.made.values().filter(|it| it.at.place.segment == 1).count(),
            DECISIONS_KEPT
        );
    }
}
