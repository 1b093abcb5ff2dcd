//! Takes up the frames of the log, in order. What cannot be read is noted, never skipped silently.

use onceward_index::{ContentHash, Entry, Fingerprint, Secret, Window};
use onceward_wal::{Frame, KIND_HOST_MIN, KIND_RUN, RunBody};

use super::{Added, Held, Live, Located, Moment, Stage, Taking, View, Windows};
use crate::event::Scope;
use crate::frames::clock::Clock;
use crate::frames::codec;
use crate::frames::control::{Batch, Decision, Keys, Settle};
use crate::frames::event::{self as layout, Carried};
use crate::frames::limits::{Cancel, Evict};
use crate::frames::{
    KIND_BATCH, KIND_CANCEL, KIND_CARRIED, KIND_CLOCK, KIND_DECISION, KIND_DELIVERY, KIND_EFFECT,
    KIND_EVENT, KIND_EVICT, KIND_FENCE, KIND_HOLD, KIND_IMPORT, KIND_KEYS, KIND_LEASE,
    KIND_LEASE_END, KIND_PROGRESS, KIND_RECORD, KIND_SETTLE, KIND_UPSTREAM, KIND_WINDOW,
};

/// What of an event the view needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) print: Fingerprint,
    pub(crate) content: ContentHash,
    pub(crate) scope: &'a str,
    pub(crate) amount: Option<i64>,
    /// Its lane, told apart from those of other scopes.
    pub(crate) lane: Option<Fingerprint>,
    /// It may be dropped to make room.
    pub(crate) is_evictable: bool,
    /// How long its key is remembered.
    pub(crate) window: Window,
}

impl<'a> Facts<'a> {
    /// What the index is told of the event `lsn`.
    pub(crate) fn taking(&self, lsn: u64) -> Taking {
        let entry = Entry { key: self.print, content: self.content, lsn };
        Taking { entry, window: self.window }
    }

    /// The facts of an event, its fingerprints keyed with the store's secret.
    ///
    /// What makes two events with the same key the same: kind, amount and payload, nothing else.
    pub(crate) fn of(secret: &Secret, windows: &Windows, event: &layout::View<'a>) -> Self {
        let amount = event.amount.map(i64::to_le_bytes);
        let amount = amount.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        Self {
            print: secret.fingerprint(event.scope, event.key.as_bytes()),
            lane: event.lane.map(|lane| secret.fingerprint(event.scope, lane.as_bytes())),
            content: secret.content(&[event.kind.as_bytes(), amount, event.payload]),
            scope: event.scope,
            amount: event.amount,
            is_evictable: event.evictable,
            window: windows.of(event.scope),
        }
    }
}

impl View {
    /// What the view needs of an event.
    pub(crate) fn facts<'a>(&self, event: &layout::View<'a>) -> Facts<'a> {
        Facts::of(&self.secret, self.keys.windows(), event)
    }

    /// Takes up one frame.
    pub(crate) fn replay(&mut self, frame: &Frame<'_>) {
        if self.try_replay(frame).is_none() {
            let why = format!("a frame of kind {} that this program cannot read", frame.kind);
            self.odd.push((Located::of(frame), why));
        }
    }

    /// Takes up an event; one whose key an unsettled event has should never have been written.
    fn replay_event(
        &mut self,
        event: &layout::View<'_>,
        at: Located,
        moment: Moment,
        at_once: bool,
    ) {
        let (facts, moment) = (self.facts(event), event.captured(moment));
        let is_open = |lsn: &u64| *lsn != at.lsn && self.events.contains_key(lsn);
        if let Some(first) = self.keys.taken_by(facts.print).filter(is_open) {
            let why = format!("key {:?} of scope {} again", event.key, event.scope);
            self.contested.push((first, at.lsn, why));
        }
        let held = self.replay_key_of(facts.taking(at.lsn), at.lsn, moment);
        self.add_event(at.lsn, &facts, at, Added { moment, at_once, held });
        self.settle_at_once(at.lsn);
    }

    /// The key of something that came with the frame `lsn`.
    pub(super) fn replay_key_of(&mut self, taking: Taking, lsn: u64, moment: Moment) -> Held {
        let begin = self.keys.slice_begin(taking.window, moment.trusted_ms);
        match moment.wall.get() {
            Some(_) => self.keys.replay_event(taking, lsn, begin),
            // Nobody knows when that was: the index's files may know in which slice the key is.
            None => self.keys.replay_moved(taking, lsn, begin),
        }
    }

    /// `None`: the content is not of this format.
    fn try_replay(&mut self, frame: &Frame<'_>) -> Option<()> {
        let at = Located::of(frame);
        if frame.kind == KIND_RUN {
            let body = RunBody::decode(frame.body)?;
            self.time.begin_run(frame, &body);
            self.keys.saw_opening(body.stamp.opening);
            return Some(());
        }
        if frame.kind < KIND_HOST_MIN {
            return Some(());
        }
        self.lives.note(frame.kind, at);
        let moment = self.time.of(frame);
        match frame.kind {
            KIND_EVENT => {
                let event = layout::View::decode(frame.flags, frame.body)?;
                self.replay_event(&event, at, moment, false);
            }
            KIND_EFFECT => {
                let (_receipt, body) = layout::split_effect(frame.body)?;
                let event = layout::View::decode(frame.flags, body)?;
                self.replay_event(&event, at, moment, true);
            }
            KIND_CARRIED => self.replay_carried(frame, at, moment)?,
            KIND_BATCH => {
                let batch: Batch = codec::decode(frame.body)?;
                let scope = Scope::new(&batch.scope).ok()?;
                self.apply_batch(&batch, scope, (at, moment));
            }
            KIND_SETTLE => {
                let settle = Settle::decode(at.lsn, frame.body)?;
                self.apply_settle(&settle, at, moment);
            }
            KIND_DECISION => {
                let decision: Decision = codec::decode(frame.body)?;
                self.apply_decision(&decision, at, moment);
            }
            KIND_KEYS => {
                let keys: Keys = codec::decode(frame.body)?;
                self.apply_keys(&keys, at);
            }
            KIND_CLOCK => {
                let clock: Clock = codec::decode(frame.body)?;
                self.apply_clock(&clock, at);
            }
            KIND_LEASE | KIND_RECORD | KIND_LEASE_END => self.replay_records(frame, at, moment)?,
            KIND_WINDOW | KIND_DELIVERY | KIND_PROGRESS => self.replay_inbox(frame, at, moment)?,
            KIND_EVICT => {
                let evict: Evict = codec::decode(frame.body)?;
                self.apply_evict(&evict, at, moment);
            }
            KIND_CANCEL => {
                let cancel: Cancel = codec::decode(frame.body)?;
                self.apply_cancel(&cancel, at, moment);
            }
            KIND_FENCE => self.apply_fence(&codec::decode(frame.body)?, at),
            KIND_IMPORT => self.apply_import(&codec::decode(frame.body)?, at),
            KIND_UPSTREAM => self.apply_rule(&codec::decode(frame.body)?, at),
            KIND_HOLD => self.apply_hold(&codec::decode(frame.body)?, at),
            _ => return None,
        }
        Some(())
    }

    fn replay_carried(&mut self, frame: &Frame<'_>, at: Located, now: Moment) -> Option<()> {
        let (carried, body) = Carried::decode(at.lsn, frame.body)?;
        let event = layout::View::decode(frame.flags, body)?;
        if let Some(live) = self.events.get_mut(&carried.event_lsn) {
            // The frame that told of the attempt may be gone before the older copy.
            live.is_attempted |= carried.is_attempted;
            self.move_event(carried.event_lsn, at, now);
            return Some(());
        }
        let facts = self.facts(&event);
        let taking = facts.taking(carried.event_lsn);
        let (begin, moment) = (carried.slice_begin, carried.moment());
        let held = if begin == self.keys.slice_begin(facts.window, moment.trusted_ms) {
            self.keys.replay_event(taking, at.lsn, begin)
        } else {
            self.keys.replay_moved(taking, at.lsn, begin)
        };
        let live = Live {
            print: facts.print,
            held,
            scope: 0,
            at,
            moment,
            amount: event.amount.unwrap_or(0),
            at_once: false,
            is_evictable: facts.is_evictable,
            is_attempted: carried.is_attempted,
            attempted: None,
            is_imported: carried.is_imported,
            stage: Stage::Pending,
        };
        self.add_carried(carried.event_lsn, &facts, live, now);
        Some(())
    }
}
