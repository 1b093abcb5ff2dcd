//! Changes of the outbox, one function for each kind of frame. Replay and live calls both end here.

use std::ops::RangeBounds;

use onceward_index::{ContentHash, Entry, Fingerprint, Window};

use super::frames::{BatchFrame, SettleFrame};
use super::table::EventSet;
use super::{Arrived, Facts, FinalAnswer, Live, Outbox, Stage, TakenEvent};
use crate::base::{Located, Moment, State, WrittenAt};
use crate::event::{Scope, layout};
use crate::kernel::{KEY_ENTRY_BYTES, Kernel, KeyEntry, KeysFrame, Reservation};

/// What the receipt of an effect takes, as an estimate.
const RECEIPT_BYTES_LIKELY: usize = 36;

impl Outbox {
    /// Adds an event whose key is taken, under the LSN of its frame.
    pub(crate) fn add(&mut self, kernel: &mut Kernel, event: TakenEvent<'_>, arrived: Arrived) {
        self.add_all(kernel, &[event], |event| Some(*event), arrived);
    }

    /// Adds those of a call whose keys are taken.
    pub(crate) fn add_all<'a, T>(
        &mut self,
        kernel: &mut Kernel,
        call: &'a [T],
        taken: impl Fn(&'a T) -> Option<TakenEvent<'a>>,
        arrived: Arrived,
    ) {
        let mut rest = call;
        while let Some((next, behind)) = rest.split_first() {
            rest = behind;
            let Some(first) = taken(next) else { continue };
            let is_like = |event: &&'a T| taken(event).is_some_and(|event| event.is_like(&first));
            let (alike, behind) = behind.split_at(behind.iter().take_while(is_like).count());
            rest = behind;
            let scope = self.scopes.intern(first.facts.scope);
            let others = alike.iter().filter_map(&taken);
            self.events.add_alike(kernel, (first, scope), others, arrived);
        }
    }

    /// Applies an event of the log; one whose key an unsettled event has should never have been written.
    pub(crate) fn replay_event(
        &mut self,
        kernel: &mut Kernel,
        event: &layout::View<'_>,
        (at, moment): (Located, Moment),
        is_effect: bool,
    ) {
        let facts = Facts::of(&kernel.secret, kernel.keys.windows(), event);
        let moment = event.captured(moment);
        let is_open = |lsn: &u64| *lsn != at.lsn && self.events.stage(*lsn).is_some();
        if let Some(first) = kernel.keys.taken_by(facts.fingerprint).filter(is_open) {
            let why = format!(
                "the key {:?} of scope {} was taken by an earlier event",
                event.key, event.scope
            );
            self.contested.push((first, at.lsn, why));
        }
        let held = kernel.replay_key(facts.reservation(at.lsn), at.lsn, moment);
        self.add(kernel, TakenEvent { facts: &facts, at, held }, Arrived { moment, is_effect });
        self.settle_effect(kernel, at.lsn);
    }

    /// Applies an event that was carried. A copy that a crash left between carrying and trimming is not taken for
    /// another event.
    pub(crate) fn replay_carried(
        &mut self,
        kernel: &mut Kernel,
        (carried, event): (layout::Carried, &layout::View<'_>),
        (at, now): (Located, Moment),
    ) {
        let lsn = carried.event_lsn;
        if self.events.stage(lsn).is_some() {
            self.events.move_event(kernel, (lsn, carried.is_attempted), (at, now));
            return;
        }
        let facts = Facts::of(&kernel.secret, kernel.keys.windows(), event);
        let reservation = facts.reservation(lsn);
        let (begin, moment) = (carried.slice_begin, carried.moment());
        let has_moved = begin != kernel.keys.slice_begin(facts.window, moment.trusted_ms);
        let held = if has_moved {
            kernel.keys.replay().moved(reservation, at.lsn, begin)
        } else {
            kernel.keys.replay().event(reservation, at.lsn, begin)
        };
        let live = Live {
            held,
            has_moved,
            scope: 0,
            at,
            moment,
            amount: event.amount.unwrap_or(0),
            is_effect: false,
            is_evictable: facts.is_evictable,
            is_attempted: carried.is_attempted,
            attempted: None,
            is_imported: carried.is_imported,
            stage: Stage::Pending,
        };
        self.add_carried(kernel, lsn, &facts, (live, now));
    }

    /// Adds an event that moved, of which nothing else is left in the log.
    pub(crate) fn add_carried(
        &mut self,
        kernel: &mut Kernel,
        lsn: u64,
        facts: &Facts<'_>,
        (live, now): (Live, Moment),
    ) {
        let stage = self.stage_of(lsn);
        let is_attempted = live.is_attempted || matches!(stage, Stage::InFlight(_));
        let scope = self.scopes.intern(facts.scope);
        let live = Live { scope, stage, is_attempted, ..live };
        self.events.add_carried(kernel, lsn, facts, (&live, now));
    }

    /// Cleaning carried an event to here.
    pub(crate) fn move_event(&mut self, kernel: &mut Kernel, lsn: u64, at: Located, now: Moment) {
        self.events.move_event(kernel, (lsn, false), (at, now));
    }

    /// Settles an event that took effect with its own frame, which is durable.
    pub(super) fn settle_effect(&mut self, kernel: &mut Kernel, lsn: u64) {
        if let Some(live) = self.events.live(lsn).filter(|live| live.is_effect) {
            let trusted_ms = live.moment.trusted_ms;
            let receipt_bytes = RECEIPT_BYTES_LIKELY;
            let state = State::Accepted;
            let answer = FinalAnswer { state, holder: lsn, trusted_ms, receipt_bytes };
            self.settle(kernel, lsn..=lsn, answer);
        }
    }

    /// Applies answers of the upstream. Of events that are settled already: the frame that holds the answer
    /// was carried to here.
    pub(crate) fn apply_settle(
        &mut self,
        kernel: &mut Kernel,
        settle: &SettleFrame,
        (at, moment): (Located, Moment),
    ) {
        kernel.add_holder(at);
        let is_carried = settle.settled_ms != 0;
        let trusted_ms = if is_carried { settle.settled_ms } else { moment.trusted_ms };
        if settle.receipts.is_empty() {
            kernel.note_no_receipts(at.lsn);
        }
        let receipts =
            settle.receipts.iter().map(|receipt| receipt.receipt.as_bytes().len()).sum::<usize>();
        let receipt_bytes = receipts.checked_div(settle.receipts.len()).unwrap_or(0);
        for span in &settle.spans {
            let Some(state) = State::from_code(span.state) else { continue };
            let range = span.first..=span.last;
            if span.first > span.last {
                continue;
            }
            let known = self.events.packed().answered_in(range.clone(), state);
            for lsn in known.flat_map(EventSet::lsns).collect::<Vec<u64>>() {
                self.events.answers_move(kernel, lsn..=lsn, at.lsn);
            }
            let answer = FinalAnswer { state, holder: at.lsn, trusted_ms, receipt_bytes };
            self.settle(kernel, range, answer);
        }
        for rejection in &settle.rejections {
            if let Some(stage) = self.waiting.begin(kernel, rejection, at) {
                self.events.set_stage(rejection.event, stage);
            }
        }
        if settle.batch != 0 {
            self.close_batch(kernel, settle.batch, at.lsn);
        }
    }

    /// Fixes a batch, and retires the one that it is a part of.
    pub(crate) fn apply_batch(
        &mut self,
        kernel: &mut Kernel,
        batch: &BatchFrame,
        (scope, at, moment): (Scope, Located, Moment),
    ) {
        let Moment { trusted_ms, wall } = moment;
        // Damage may have taken when the frame's run began.
        let since = wall.get().map(|_| WrittenAt { lsn: at.lsn, trusted_ms });
        let attempt = (batch.number, since);
        if batch.is_of_attempts() {
            self.events.note_attempts(&batch.events, attempt, None);
            return;
        }
        let number = batch.number_at(at.lsn);
        if batch.parent != 0 {
            kernel.add_holder(at);
            self.close_batch(kernel, batch.parent, at.lsn);
        }
        self.events.note_attempts(&batch.events, attempt, Some(number));
        self.batches.fix(kernel, batch, (scope, at));
    }

    /// Applies keys of settled events, with their answers: mostly their frames are gone.
    pub(crate) fn apply_keys(&mut self, kernel: &mut Kernel, keys: &KeysFrame, at: Located) {
        let window = kernel.keys.windows().of(&keys.scope);
        kernel.add_holder(at);
        let segment = at.place.segment;
        self.events.add_key_frame(segment);
        let is_next = |one: &KeyEntry, next: &KeyEntry| {
            let of = |key: &KeyEntry| (key.state, key.slice_begin, key.receipt.len());
            let is_lost = one.state == State::OutcomeUnknown.code();
            !is_lost && one.event.checked_add(1) == Some(next.event) && of(one) == of(next)
        };
        for run in keys.entries.chunk_by(is_next) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let state = State::from_code(first.state);
            // What damage seemed to have taken can be read again, and says more.
            if state == Some(State::OutcomeUnknown) && self.has(first.event) {
                continue;
            }
            if kernel.keys.is_replaying() {
                run.iter().for_each(|key| replay_key(kernel, key, (keys, window), at.lsn));
            }
            // A state that only a newer program knows is known to it when it comes back: the frame
            // is carried as it is.
            let state = state.unwrap_or(State::OutcomeUnknown);
            let slice = (window, first.slice_begin);
            let bytes = KEY_ENTRY_BYTES + u64::try_from(first.receipt.len()).unwrap_or(0);
            let (trusted_ms, receipt_bytes) = (keys.settled_ms, first.receipt.len());
            let answer = FinalAnswer { state, holder: at.lsn, trusted_ms, receipt_bytes };
            let events = first.event..=last.event;
            self.settle(kernel, events.clone(), answer);
            self.events.answers_move(kernel, events.clone(), at.lsn);
            for (before, count) in self.events.keys_at(kernel, events.clone()) {
                kernel.usage.end_key(before, slice, bytes.saturating_mul(count));
            }
            let count = u64::try_from(run.len()).unwrap_or(0);
            kernel.usage.add_key(segment, slice, bytes.saturating_mul(count));
            self.events.outcomes_mut().set_all(events, state, at.lsn);
            let over_ms = first.slice_begin.saturating_add(window.length_ms());
            kernel.usage.rest_keys(segment, over_ms);
        }
        kernel.keys.mark_applied(at.lsn);
    }

    /// Notes keys that the log lost and could not get.
    pub(crate) fn note_lost(&mut self, keys: &KeysFrame) {
        keys.entries.iter().for_each(|key| self.events.outcomes_mut().note_lost(key.event));
    }

    /// Gives the events in a range that have none the same final answer.
    pub(crate) fn settle(
        &mut self,
        kernel: &mut Kernel,
        range: impl RangeBounds<u64>,
        answer: FinalAnswer,
    ) {
        let Self { events, waiting, .. } = self;
        events.settle(kernel, range, answer, |kernel, some| waiting.settled(kernel, some));
    }

    /// Gives these events that have none the same final answer.
    pub(crate) fn settle_each(&mut self, kernel: &mut Kernel, lsns: &[u64], answer: FinalAnswer) {
        for same in lsns.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
            if let (Some(first), Some(last)) = (same.first(), same.last()) {
                self.settle(kernel, *first..=*last, answer);
            }
        }
    }

    /// Whether a decision on this version of a review changes anything.
    pub(crate) fn may_decide(&self, event: u64, version: u64) -> bool {
        self.waiting.may_decide(event, version)
    }

    /// An event waits for no person any more.
    pub(crate) fn end_review(&mut self, kernel: &mut Kernel, event: u64) {
        self.waiting.end(kernel, event);
    }

    /// A person decided, with the frame `decision`, to send an event again; `since`: when, if it was now.
    pub(crate) fn send_again(
        &mut self,
        kernel: &mut Kernel,
        review: (u64, u64),
        decision: u64,
        since: Option<WrittenAt>,
    ) {
        let (event, _version) = review;
        self.waiting.end(kernel, event);
        self.waiting.send_again(kernel, review, decision, since);
        if self.events.stage(event).is_some_and(Stage::waits_for_a_person) {
            self.events.set_stage(event, self.stage_of(event));
        }
    }

    /// How far an event without a final answer is, as reviews and batches say.
    fn stage_of(&self, lsn: u64) -> Stage {
        match self.waiting.get(lsn) {
            Some(review) => review.stage,
            None => self.batches.of(lsn).map_or(Stage::Pending, Stage::InFlight),
        }
    }

    /// A batch is answered, or parts take its place: what it did not settle waits again.
    fn close_batch(&mut self, kernel: &mut Kernel, number: u64, closer: u64) {
        for lsn in self.batches.close(kernel, number, closer) {
            if self.events.stage(lsn) == Some(Stage::InFlight(number)) {
                self.events.set_stage(lsn, self.stage_of(lsn));
            }
        }
    }
}

/// Applies a key of a frame of the log to the index.
fn replay_key(kernel: &mut Kernel, key: &KeyEntry, (keys, window): (&KeysFrame, Window), at: u64) {
    let content_hash = ContentHash::from_u64(key.content_hash);
    let fingerprint = Fingerprint::from_u128(key.fingerprint);
    let entry = Entry { key: fingerprint, content: content_hash, lsn: key.event };
    let reservation = Reservation { entry, window };
    let (begin, settled_ms) = (key.slice_begin, keys.settled_ms);
    if keys.has_moved {
        kernel.keys.replay().moved_key(reservation, at, begin, settled_ms);
    } else {
        kernel.keys.replay().key(reservation, at, begin, settled_ms);
    }
}
