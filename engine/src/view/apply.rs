//! Changes of state, one function for each kind of frame. Replay and live calls both end here.

use onceward_index::{ContentHash, Entry, Expired, Fingerprint};

use super::lives::KEY_ENTRY_BYTES;
use super::{Facts, Held, Live, Located, Moment, OpenBatch, Settled, Since, Stage, Taking, View};
use crate::event::Scope;
use crate::frames::clock::Clock;
use crate::frames::control::{Batch, Keys, Settle};
use crate::verdict::State;

/// What the receipt of an effect takes, as an estimate.
const RECEIPT_BYTES_LIKELY: usize = 36;

/// How an event comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) moment: Moment,
    /// It is an effect.
    pub(crate) at_once: bool,
    /// The slice that its key is in.
    pub(crate) held: Held,
}

/// A final answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Final {
    /// What became of the event.
    pub(super) state: State,
    /// LSN of the frame that holds it.
    pub(super) holder: u64,
    /// When it came.
    pub(super) trusted_ms: u64,
    /// What the receipt takes, about.
    pub(super) receipt_bytes: usize,
}

impl View {
    /// An event whose key is taken, under the LSN of its frame.
    pub(crate) fn add_event(&mut self, lsn: u64, facts: &Facts<'_>, at: Located, when: Added) {
        let Added { moment, at_once, held } = when;
        let scope = self.intern(facts.scope);
        let (print, stage) = (facts.print, Stage::Pending);
        let amount = facts.amount.unwrap_or(0);
        let (is_evictable, is_attempted, is_imported) = (facts.is_evictable, false, false);
        let live = Live {
            print,
            held,
            scope,
            at,
            moment,
            amount,
            at_once,
            is_evictable,
            is_attempted,
            attempted: None,
            is_imported,
            stage,
        };
        self.insert(lsn, live);
        self.join_lane(lsn, facts.lane);
    }

    /// An event that moved: its frame is now here, and the one before it still stands.
    pub(crate) fn move_event(&mut self, lsn: u64, at: Located, now: Moment) {
        let Some(mut live) = self.take(lsn) else { return };
        let before = std::mem::replace(&mut live.at, at);
        self.copies.entry(lsn).or_default().push(before);
        self.lives.part(before.place.segment).copies.push(lsn);
        self.rest_where_it_is(&live, now);
        self.insert(lsn, live);
    }

    /// An event that moved, of which nothing else is left in the log.
    pub(crate) fn add_carried(&mut self, lsn: u64, facts: &Facts<'_>, live: Live, now: Moment) {
        let stage = self.stage_of(lsn);
        let is_attempted = live.is_attempted || matches!(stage, Stage::InFlight(_));
        let scope = self.intern(facts.scope);
        self.rest_where_it_is(&live, now);
        self.insert(lsn, Live { scope, stage, is_attempted, ..live });
        self.join_lane(lsn, facts.lane);
    }

    /// An event that was carried when it was so old will stay for as long again: so it is carried each
    /// time its age has doubled, and not with every segment that it was carried into.
    fn rest_where_it_is(&mut self, live: &Live, now: Moment) {
        let age_ms = now.trusted_ms.saturating_sub(live.moment.trusted_ms);
        self.lives.rest_event(live.at.place.segment, now.trusted_ms.saturating_add(age_ms));
    }

    /// How far an event without a final answer is, as reviews and batches tell.
    pub(super) fn stage_of(&self, lsn: u64) -> Stage {
        if let Some(review) = self.reviews.get(lsn) {
            return review.stage;
        }
        let open = self.batches.iter().rev().find(|(_, batch)| batch.events.contains(&lsn));
        open.map_or(Stage::Pending, |(number, _)| Stage::InFlight(*number))
    }

    /// The event was not stored: its key is free again. Returns whether it held it until now.
    pub(crate) fn withdraw(&mut self, print: Fingerprint, lsn: u64) -> bool {
        let is_withdrawn = self.keys.withdraw(print, lsn);
        if is_withdrawn {
            self.take(lsn);
            self.leave_lane(lsn);
        }
        is_withdrawn
    }

    /// An event that took effect with its own frame, which is durable.
    pub(crate) fn settle_at_once(&mut self, lsn: u64) {
        if let Some(live) = self.events.get(&lsn).filter(|live| live.at_once) {
            let trusted_ms = live.moment.trusted_ms;
            let receipt_bytes = RECEIPT_BYTES_LIKELY;
            let state = State::Accepted;
            self.settle_event(lsn, Final { state, holder: lsn, trusted_ms, receipt_bytes });
        }
    }

    /// Answers of the upstream. Of events that are settled already: the frame that holds the answer
    /// was carried to here.
    pub(crate) fn apply_settle(&mut self, settle: &Settle, at: Located, moment: Moment) {
        self.add_holder(at);
        let is_carried = settle.settled_ms != 0;
        let trusted_ms = if is_carried { settle.settled_ms } else { moment.trusted_ms };
        let receipts = settle.receipts.iter().map(|receipt| receipt.bytes.len()).sum::<usize>();
        let receipt_bytes = receipts.checked_div(settle.receipts.len()).unwrap_or(0);
        for span in &settle.spans {
            let Some(state) = State::from_code(span.state) else { continue };
            let range = span.first..=span.last;
            if span.first > span.last {
                continue;
            }
            let known = self.settled.range(range.clone()).filter(|(_, it)| it.state == state);
            let known: Vec<u64> = known.map(|(lsn, _)| *lsn).collect();
            known.into_iter().for_each(|lsn| self.answer_moves(lsn, at.lsn));
            let events: Vec<u64> = self.events.range(range).map(|(lsn, _)| *lsn).collect();
            self.settle_all(&events, Final { state, holder: at.lsn, trusted_ms, receipt_bytes });
        }
        for rejection in &settle.rejections {
            self.apply_rejection(rejection, at);
        }
        if settle.batch != 0 {
            self.close_batch(settle.batch, at.lsn);
        }
    }

    /// A batch is fixed, and the one that it is a part of retires.
    pub(crate) fn apply_batch(
        &mut self,
        batch: &Batch,
        scope: Scope,
        (at, moment): (Located, Moment),
    ) {
        let Moment { trusted_ms, wall } = moment;
        // Damage may have taken when the frame's run began.
        let since = wall.get().map(|_| Since { lsn: at.lsn, trusted_ms });
        for lsn in &batch.events {
            let Some(live) = self.events.get_mut(lsn) else { continue };
            let is_first = !std::mem::replace(&mut live.is_attempted, true);
            if batch.number == 0 {
                live.attempted = if is_first { since } else { live.attempted };
            } else if live.attempted.is_some_and(|first| batch.number < first.lsn) {
                // An older one, of whose time cleaning carried nothing.
                live.attempted = None;
            }
        }
        if batch.is_of_attempts() {
            return;
        }
        let number = if batch.number == 0 { at.lsn } else { batch.number };
        if batch.parent != 0 {
            self.add_holder(at);
            self.close_batch(batch.parent, at.lsn);
        }
        for lsn in &batch.events {
            if self.events.get(lsn).is_some_and(|live| live.stage == Stage::Pending) {
                self.set_stage(*lsn, Stage::InFlight(number));
            }
        }
        let segment = at.place.segment;
        self.lives.part(segment).batches.push(number);
        self.lives.need(segment, u64::from(at.bytes));
        let before = self.batches.remove(&number);
        let mut frames = Vec::new();
        if let Some(before) = before {
            self.lives.end_need(before.at.place.segment, u64::from(before.at.bytes));
            frames = before.frames;
        }
        frames.push(segment);
        let (events, envelope) = (batch.events.clone(), batch.envelope.clone());
        self.batches.insert(number, OpenBatch { scope, events, envelope, at, frames });
    }

    /// Cleaning carried the control frame of an item: it stands here now.
    pub(crate) fn moved(&mut self, kind: u8, of: u64, at: Located) {
        self.moved_in_records(kind, of, at);
        self.moved_in_inbox(kind, of, at);
        self.moved_in_leaving(kind, of, at);
    }

    /// What time it is, as far as the upstream said.
    pub(crate) fn apply_clock(&mut self, clock: &Clock, at: Located) {
        let Some(note) = clock.server else { return };
        if let Some((before, _)) = self.time.heard.noted() {
            self.lives.end_need(before.place.segment, u64::from(before.bytes));
        }
        self.lives.need(at.place.segment, u64::from(at.bytes));
        self.time.heard.set_noted(note, at);
    }

    /// Keys of settled events, with their answers: mostly their frames are gone.
    pub(crate) fn apply_keys(&mut self, keys: &Keys, at: Located) {
        let window = self.keys.windows().of(&keys.scope);
        self.add_holder(at);
        let segment = at.place.segment;
        self.lives.part(segment).key_frames += 1;
        for key in &keys.entries {
            let state = State::from_code(key.state);
            // What damage seemed to have taken can be read again, and tells more.
            if state == Some(State::OutcomeUnknown) && self.has_event(key.event) {
                continue;
            }
            if self.keys.is_replaying() {
                let content = ContentHash::from_u64(key.content);
                let print = Fingerprint::from_u128(key.print);
                let entry = Entry { key: print, content, lsn: key.event };
                let taking = Taking { entry, window };
                let (begin, settled_ms) = (key.slice_begin, keys.settled_ms);
                if keys.has_moved {
                    self.keys.replay_moved_key(taking, at.lsn, begin, settled_ms);
                } else {
                    self.keys.replay_key(taking, at.lsn, begin, settled_ms);
                }
            }
            // A state that only a newer program knows is known to it when it comes back: the frame
            // is carried as it is.
            let state = state.unwrap_or(State::OutcomeUnknown);
            let slice = (window, key.slice_begin);
            let bytes = KEY_ENTRY_BYTES + u64::try_from(key.receipt.len()).unwrap_or(0);
            let (trusted_ms, receipt_bytes) = (keys.settled_ms, key.receipt.len());
            let answer = Final { state, holder: at.lsn, trusted_ms, receipt_bytes };
            self.settle_event(key.event, answer);
            self.answer_moves(key.event, at.lsn);
            let before = match self.outcomes.get(key.event) {
                Some(outcome) => self.holders.get(&outcome.holder).map(|holder| holder.at),
                None => self.settled.get(&key.event).map(|settled| settled.at),
            };
            if let Some(before) = before {
                self.lives.end_key(before.place.segment, slice, bytes);
            }
            self.lives.add_key(segment, slice, bytes);
            self.outcomes.set(key.event, state, at.lsn);
            let over_ms = key.slice_begin.saturating_add(window.length_ms());
            self.lives.rest_keys(segment, over_ms);
        }
        self.keys.tell(at.lsn);
    }

    /// A batch is answered, or parts take its place: what it did not settle waits again. Of one that
    /// is closed already: the frame that says so was carried to here.
    fn close_batch(&mut self, number: u64, closer: u64) {
        let Some(batch) = self.batches.remove(&number) else {
            self.closer_moves(number, closer);
            return;
        };
        self.lives.end_need(batch.at.place.segment, u64::from(batch.at.bytes));
        self.batch_closes(number, closer, batch.frames);
        for lsn in batch.events {
            if self.events.get(&lsn).is_some_and(|live| live.stage == Stage::InFlight(number)) {
                self.set_stage(lsn, self.stage_of(lsn));
            }
        }
    }

    /// An event has its final answer.
    pub(super) fn settle_event(&mut self, lsn: u64, answer: Final) {
        self.settle_all(&[lsn], answer);
    }

    /// Events have the same final answer.
    fn settle_all(&mut self, lsns: &[u64], answer: Final) {
        let Final { state, holder, trusted_ms, receipt_bytes } = answer;
        let bytes = KEY_ENTRY_BYTES + u64::try_from(receipt_bytes).unwrap_or(0);
        let mut ended = Vec::with_capacity(lsns.len());
        for lsn in lsns {
            let Some(live) = self.take(*lsn) else { continue };
            self.leave_lane(*lsn);
            ended.push((*lsn, live));
        }
        // Perhaps before the one who captured it says so.
        self.keys.confirm(ended.iter().map(|(lsn, _)| *lsn));
        let held: Vec<_> = ended.iter().map(|(_, live)| (live.print, live.held)).collect();
        self.keys.settle(&held, trusted_ms);
        for (lsn, live) in ended {
            self.end_review(lsn);
            let Live { at, moment, held, .. } = live;
            let wall = moment.wall;
            let has_moved = held.begin != self.keys.slice_begin(held.window, moment.trusted_ms);
            let settled = Settled { at, state, has_moved, wall, outcome_lsn: holder };
            self.settled.insert(lsn, settled);
            self.lives.settle(at.place.segment, lsn, (held.window, held.begin), bytes);
            self.answer_begins(lsn, holder);
        }
    }

    pub(super) fn set_stage(&mut self, lsn: u64, stage: Stage) {
        if let Some(live) = self.events.get_mut(&lsn) {
            live.stage = stage;
            self.room.set_stage(lsn, live);
            self.stage_changes(lsn, stage);
        }
    }

    /// Puts an event in, counters included.
    fn insert(&mut self, lsn: u64, live: Live) {
        self.lives.add_unsettled(live.at);
        self.amount_unsettled += i128::from(live.amount);
        self.room.add(lsn, &live);
        if self.is_in_front(lsn, &live) {
            self.front.add(live.scope, lsn);
        }
        self.events.insert(lsn, live);
    }

    /// Takes an event out, counters included.
    fn take(&mut self, lsn: u64) -> Option<Live> {
        let live = self.events.remove(&lsn)?;
        self.lives.end_unsettled(live.at);
        self.amount_unsettled -= i128::from(live.amount);
        self.room.remove(lsn, &live);
        self.front.remove(live.scope, lsn);
        Some(live)
    }

    /// Forgets slices of keys that ended; the few unsettled keys that hold one move on. Returns
    /// whether any went.
    pub(crate) fn expire(&mut self, trusted_ms: u64) -> bool {
        let Expired { mut dropped, to_carry } = self.keys.expire(trusted_ms);
        if !to_carry.is_empty() {
            let is_held =
                |live: &&mut Live| live.held.slice.is_some_and(|it| to_carry.contains(&it));
            for live in self.events.values_mut().filter(is_held) {
                self.keys.carry(live.print, &mut live.held, trusted_ms);
            }
            self.carry_leases(&to_carry, trusted_ms);
            self.carry_delivery_keys(&to_carry, trusted_ms);
            dropped.extend(self.keys.expire(trusted_ms).dropped);
        }
        if !dropped.is_empty() {
            self.count_records();
            self.lives.retain_slices(&self.keys.live_slices());
        }
        !dropped.is_empty()
    }

    /// Takes out an event that should never have been written.
    pub(super) fn drop_event(&mut self, lsn: u64) -> Option<Live> {
        self.leave_lane(lsn);
        self.take(lsn)
    }

    /// The number of a scope, given one if it is new.
    pub(super) fn intern(&mut self, scope: &str) -> usize {
        if let Some(number) = self.scope_number(scope) {
            return number;
        }
        if let Ok(new) = Scope::new(scope) {
            self.scopes.push(new);
        }
        self.scopes.len().saturating_sub(1)
    }
}
