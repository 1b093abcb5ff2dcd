//! Changes of state, one function for each kind of frame. Replay and live calls both end here.

use onceward_index::{ContentPrint, Entry, Fingerprint};

use super::{Facts, Held, Live, Located, Moment, OpenBatch, Settled, Stage, Taking, View};
use crate::event::Scope;
use crate::frames::control::{Batch, Keys, Settle};
use crate::verdict::State;

/// How an event comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) moment: Moment,
    /// It is an effect.
    pub(crate) at_once: bool,
    /// The slice that its key is in.
    pub(crate) held: Held,
}

impl View {
    /// An event whose key is taken, under the LSN of its frame.
    pub(crate) fn add_event(&mut self, lsn: u64, facts: &Facts<'_>, at: Located, when: Added) {
        let Added { moment, at_once, held } = when;
        let scope = self.intern(facts.scope);
        let (print, stage) = (facts.print, Stage::Pending);
        let amount = facts.amount.unwrap_or(0);
        let (is_evictable, is_attempted) = (facts.is_evictable, false);
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
            stage,
        };
        self.insert(lsn, live);
    }

    /// An event that moved: its frame is now here.
    pub(crate) fn move_event(&mut self, lsn: u64, at: Located) {
        if let Some(mut live) = self.take(lsn) {
            live.at = at;
            self.insert(lsn, live);
        }
    }

    /// An event that moved, of which nothing else is left in the log.
    pub(crate) fn add_carried(&mut self, lsn: u64, facts: &Facts<'_>, live: Live) {
        let batch = self.batches.iter().find(|(_, batch)| batch.events.contains(&lsn));
        let stage = match batch {
            Some((number, _)) => Stage::InFlight(*number),
            None => self.reviews.get(lsn).map_or(Stage::Pending, |review| review.stage),
        };
        let is_attempted = live.is_attempted || batch.is_some();
        let scope = self.intern(facts.scope);
        self.insert(lsn, Live { scope, stage, is_attempted, ..live });
    }

    /// The event was not stored: its key is free again. Returns whether it held it until now.
    pub(crate) fn withdraw(&mut self, print: Fingerprint, lsn: u64) -> bool {
        let is_withdrawn = self.keys.withdraw(print, lsn);
        if is_withdrawn {
            self.take(lsn);
        }
        is_withdrawn
    }

    /// An event that took effect with its own frame, which is durable.
    pub(crate) fn settle_at_once(&mut self, lsn: u64) {
        if let Some(live) = self.events.get(&lsn).filter(|live| live.at_once) {
            self.settle_event(lsn, State::Accepted, lsn, live.moment.trusted_ms);
        }
    }

    /// Answers of the upstream.
    pub(crate) fn apply_settle(&mut self, settle: &Settle, at: Located, moment: Moment) {
        for span in &settle.spans {
            let Some(state) = State::from_code(span.state) else { continue };
            let events: Vec<u64> =
                self.events.range(span.first..=span.last).map(|(l, _)| *l).collect();
            for lsn in events {
                self.settle_event(lsn, state, at.lsn, moment.trusted_ms);
            }
        }
        if !settle.spans.is_empty() {
            self.holders.insert(at.lsn, at);
        }
        for rejection in &settle.rejections {
            self.apply_rejection(rejection, at);
        }
        if settle.batch != 0 {
            self.close_batch(settle.batch);
        }
    }

    /// A batch is fixed, and the one that it is a part of retires.
    pub(crate) fn apply_batch(&mut self, batch: &Batch, scope: Scope, at: Located) {
        for lsn in &batch.events {
            if let Some(live) = self.events.get_mut(lsn) {
                live.is_attempted = true;
            }
        }
        if batch.is_of_attempts() {
            return;
        }
        if batch.parent != 0 {
            self.close_batch(batch.parent);
        }
        let number = if batch.number == 0 { at.lsn } else { batch.number };
        for lsn in &batch.events {
            if self.events.get(lsn).is_some_and(|live| live.stage == Stage::Pending) {
                self.set_stage(*lsn, Stage::InFlight(number));
            }
        }
        self.batches.insert(number, OpenBatch { scope, events: batch.events.clone(), at });
    }

    /// Cleaning carried the control frame of an item: it stands here now.
    pub(crate) fn moved(&mut self, kind: u8, of: u64, at: Located) {
        self.moved_in_records(kind, of, at);
        self.moved_in_inbox(kind, of, at);
    }

    /// Keys of settled events whose frames are gone.
    pub(crate) fn apply_keys(&mut self, keys: &Keys, at: Located) {
        let window = self.keys.windows().of(&keys.scope);
        for key in &keys.entries {
            if self.keys.is_replaying() {
                let content = ContentPrint::from_u64(key.content);
                let print = Fingerprint::from_u128(key.print);
                let entry = Entry { key: print, content, lsn: key.event };
                let taking = Taking { entry, window };
                self.keys.replay_key(taking, at.lsn, key.slice_begin, keys.settled_ms);
            }
            self.take(key.event);
            // A state that only a newer program knows is known to it when it comes back: the frame
            // is carried as it is.
            let state = State::from_code(key.state).unwrap_or(State::Unknown);
            self.outcomes.set(key.event, state, at.lsn);
        }
        self.keys.tell(at.lsn);
        self.holders.insert(at.lsn, at);
    }

    /// A batch is answered, or parts take its place: what it did not settle waits again.
    fn close_batch(&mut self, number: u64) {
        let Some(batch) = self.batches.remove(&number) else { return };
        for lsn in batch.events {
            if self.events.get(&lsn).is_some_and(|live| live.stage == Stage::InFlight(number)) {
                self.set_stage(lsn, Stage::Pending);
            }
        }
    }

    /// An event has its final answer, which the frame `outcome_lsn` holds.
    pub(super) fn settle_event(
        &mut self,
        lsn: u64,
        state: State,
        outcome_lsn: u64,
        trusted_ms: u64,
    ) {
        let Some(live) = self.take(lsn) else { return };
        self.reviews.remove(lsn);
        // Perhaps before the one who captured it says so.
        self.keys.confirm([lsn]);
        self.keys.settle(live.held, trusted_ms);
        let Live { at, moment, .. } = live;
        let wall_ms = moment.wall_ms;
        self.settled.insert(lsn, Settled { at, state, wall_ms, outcome_lsn });
    }

    pub(super) fn set_stage(&mut self, lsn: u64, stage: Stage) {
        if let Some(live) = self.events.get_mut(&lsn) {
            live.stage = stage;
            self.room.set_stage(lsn, live);
        }
    }

    /// Puts an event in, counters included.
    fn insert(&mut self, lsn: u64, live: Live) {
        *self.unsettled_bytes.entry(live.at.place.segment).or_default() += u64::from(live.at.bytes);
        self.amount_unsettled += i128::from(live.amount);
        self.room.add(lsn, &live);
        self.events.insert(lsn, live);
    }

    /// Takes an event out, counters included.
    fn take(&mut self, lsn: u64) -> Option<Live> {
        let live = self.events.remove(&lsn)?;
        if let Some(bytes) = self.unsettled_bytes.get_mut(&live.at.place.segment) {
            *bytes = bytes.saturating_sub(u64::from(live.at.bytes));
        }
        self.amount_unsettled -= i128::from(live.amount);
        self.room.remove(lsn, &live);
        Some(live)
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
