//! New events: reserve, append, sync, answer.
//!
//! Judging the keys of a call, queueing its frames and taking the keys is one critical section, so
//! two callers cannot both be fresh. Whoever finds a key taken waits, outside it, until the one who
//! took it is durable: a duplicate is answered only when no crash can lose the original.

use std::collections::HashSet;

use onceward_wal::{Lsn, NewFrame};

use super::judging::{
    Judged, Plan, Prepared, fresh_frames, lost_verdict, originals, plan, verdict_counts,
};
use super::{Applied, Effect, Verdict};
use crate::base::bounds::{BATCH_EVENTS_MAX, DEFERRED_BYTES_MAX};
use crate::base::{Error, FrameKind, Located, Moment, Result, State, codec, observe};
use crate::event::layout::{self, Encoded};
use crate::event::{Event, Receipt};
use crate::kernel::Waiter;
use crate::limits::Room;
use crate::limits::frames::EvictFrame;
use crate::outbox::Facts;
use crate::store::{Shared, Store};

/// Captures of an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captures<'s> {
    pub(super) inner: &'s Shared,
}

/// The events of one call.
pub(super) struct Call<'a> {
    pub(super) prepared: &'a [Prepared<'a>],
    pub(super) kind: FrameKind,
}

/// Who waits for the events that hold keys and are not durable yet.
pub(super) enum Originals<'a> {
    /// The call waits for them: their numbers.
    Wait(&'a mut HashSet<Lsn>),
    /// The holder of the ticket waits for them: whether there are any.
    Later(&'a mut bool),
}

/// Whether a call may drop events to make room: its caller holds `control` then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evicting {
    No,
    Yes,
}

/// Events that a call drops, once its frames are durable.
pub(super) struct Eviction {
    evict: EvictFrame,
    at: Located,
    moment: Moment,
}

/// What a call queued.
pub(super) struct Stored {
    pub(super) judged: Vec<Judged>,
    eviction: Option<Eviction>,
}

impl Store {
    /// Stores an event, unless its key was seen inside its window.
    ///
    /// # Durability
    ///
    /// `Ok` means that the event (of a duplicate or conflict: the original) survives kill -9 and
    /// power cut. After an error that is not [`in_doubt`](Error::in_doubt) it is surely absent.
    ///
    /// # Errors
    ///
    /// `Invalid`: a payload over the limit. `Full`: no room on the disk, or a code of
    /// [`Limit`](crate::limits::Limit): a limit that the host set is reached. Nothing was stored.
    /// `Poisoned`: a write or a sync failed, now or before, or the store was moved; nothing more is written until it is
    /// opened again, and where the error is in doubt, ask again by key then. `Io`: the disk does not give the next
    /// segment or a file of the index; nothing was stored, and the store goes on. `Fenced`, code `STORE_FENCED`: the
    /// store is left.
    ///
    /// # Cost
    ///
    /// A fresh event: one write and one `fdatasync`, shared with those who capture at the same time. Where a file of
    /// the index turns out to be damaged, one call reads the whole log, and all others wait for it.
    pub fn capture(&self, event: &Event) -> Result<Verdict> {
        let verdicts = self.capture_batch(std::slice::from_ref(event))?;
        verdicts.into_iter().next().ok_or_else(lost_verdict)
    }

    /// Stores those of `events` whose keys were not seen, all or none, with one sync.
    ///
    /// Of two events with the same key the first one counts. Verdicts come in the order of `events`.
    ///
    /// # Durability
    ///
    /// As [`Store::capture`]. After a crash before `Ok`, all fresh events are there or none.
    ///
    /// # Errors
    ///
    /// As [`Store::capture`], and `Invalid`: no events, over 1,000, or more bytes than a segment less
    /// 8 KiB.
    pub fn capture_batch(&self, events: &[Event]) -> Result<Vec<Verdict>> {
        let captures = self.inner.captures();
        let judged = observe::capture(
            events.len(),
            |judged: &Vec<_>| verdict_counts(judged),
            || {
                let events_only = events.iter().map(|event| (event, None));
                let prepared = captures.prepare(events_only, events.len())?;
                captures.store(&prepared, FrameKind::Event)
            },
        )?;
        Ok(captures.verdicts(judged))
    }

    /// Applies those of `effects` whose keys were not seen, all or none: effect, key and receipt are
    /// one frame that is settled at once. This is what a receiver of events does.
    ///
    /// # Durability
    ///
    /// As [`Store::capture_batch`].
    ///
    /// # Errors
    ///
    /// As [`Store::capture_batch`].
    pub fn apply_batch(&self, effects: &[Effect]) -> Result<Vec<Applied>> {
        let judged = observe::capture(
            effects.len(),
            |judged: &Vec<_>| verdict_counts(judged),
            || {
                let events = effects.iter().map(|effect| (&effect.event, Some(&effect.receipt)));
                let prepared = self.inner.captures().prepare(events, effects.len())?;
                self.inner.captures().store(&prepared, FrameKind::Effect)
            },
        )?;
        let mut applied = Vec::with_capacity(judged.len());
        for judged in judged {
            applied.push(match judged {
                Judged::Fresh { lsn, .. } => Applied::Fresh { lsn },
                Judged::Conflict { lsn } => Applied::Conflict { lsn },
                Judged::Duplicate { lsn } if self.inner.captures().is_outcome_unknown(lsn) => {
                    Applied::OutcomeUnknown { lsn }
                }
                Judged::Duplicate { lsn } => {
                    let receipt = self.inner.events().receipt_of(lsn.get())?;
                    Applied::Duplicate { lsn, receipt }
                }
            });
        }
        Ok(applied)
    }
}

impl<'s> Captures<'s> {
    /// Captures of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Whether the outcome of an event whose key is known is lost.
    fn is_outcome_unknown(&self, lsn: Lsn) -> bool {
        self.inner.state.lock().outbox.events().state_of(lsn.get()) == State::OutcomeUnknown
    }

    /// The verdicts on events that were judged: only of duplicates it is asked how far they are.
    pub(super) fn verdicts(&self, judged: Vec<Judged>) -> Vec<Verdict> {
        let mut state = None;
        let verdict = |judged: Judged| match judged {
            Judged::Fresh { lsn, .. } => Verdict::Fresh { lsn },
            Judged::Conflict { lsn } => Verdict::Conflict { lsn },
            Judged::Duplicate { lsn } => {
                let state = state.get_or_insert_with(|| self.inner.state.lock());
                let state = state.outbox.events().state_of(lsn.get());
                Verdict::Duplicate { lsn, state }
            }
        };
        judged.into_iter().map(verdict).collect()
    }

    /// Checks events and encodes them.
    pub(crate) fn prepare<'a>(
        &self,
        events: impl Iterator<Item = (&'a Event, Option<&'a Receipt>)>,
        count: usize,
    ) -> Result<Vec<Prepared<'a>>> {
        if count == 0 || count > BATCH_EVENTS_MAX {
            return Err(Error::invalid(
                "BATCH_SIZE",
                format!("a batch has {count} events, must have 1 to {BATCH_EVENTS_MAX}"),
            ));
        }
        let wall_offset_ms = self.inner.timekeeping().wall_offset_ms();
        let mut prepared = Vec::with_capacity(count);
        for (event, receipt) in events {
            self.inner.refuse_if_long("payload", &event.payload)?;
            let view = layout::View::of(event);
            // A receiver's effects are sent nowhere.
            let sendable = self.inner.config.sendable.as_ref().filter(|_| receipt.is_none());
            prepared.push(Prepared {
                encoded: Encoded::dated(event, wall_offset_ms),
                facts: Facts::of(self.inner.secret(), self.inner.windows(), &view),
                receipt: receipt.map(layout::effect_head),
                unsendable: sendable
                    .and_then(|check| check.refusal(event, self.inner.time.wall_ms())),
            });
        }
        Ok(prepared)
    }

    /// Judges, queues and waits.
    fn store(&self, prepared: &[Prepared<'_>], kind: FrameKind) -> Result<Vec<Judged>> {
        let call = Call { prepared, kind };
        let mut durable = HashSet::new();
        let originals = Originals::Wait(&mut durable);
        match self.queue(&call, originals, Evicting::No)? {
            Some(stored) => self.finish(stored),
            None => self.store_evicting(&call),
        }
    }

    /// Stores as [`Captures::store`] does, where other events must be dropped: one call after the other, because each
    /// changes what is stored already.
    pub(super) fn store_evicting(&self, call: &Call<'_>) -> Result<Vec<Judged>> {
        let mut has_made_room = false;
        loop {
            let one_at_a_time = self.inner.control.lock();
            let mut durable = HashSet::new();
            let originals = Originals::Wait(&mut durable);
            match self.queue(call, originals, Evicting::Yes) {
                Err(error) => {
                    drop(one_at_a_time);
                    self.inner.cleaner().make_room_once(error, &mut has_made_room)?;
                }
                Ok(stored) => return self.finish(stored.ok_or_else(lost_verdict)?),
            }
        }
    }

    /// Judges the events of a call and queues those that are fresh. `None`: there is only room if others
    /// are dropped, and this call may not do that.
    pub(super) fn queue(
        &self,
        call: &Call<'_>,
        mut originals_are: Originals<'_>,
        evicting: Evicting,
    ) -> Result<Option<Stored>> {
        let Call { prepared, kind } = *call;
        let parts: Vec<[&[u8]; 4]> = prepared.iter().map(Prepared::parts).collect();
        let mut has_made_room = false;
        loop {
            self.inner.refuse_if_closed()?;
            let mut state = self.inner.state.lock();
            self.inner.bring_up_to_now(&mut state);
            let plans = self.inner.asking(&mut state, |state, keys| {
                plan((&state.kernel, state.outbox.events()), keys, prepared)
            })?;
            if plans.iter().any(|plan| matches!(plan, Plan::Fresh)) {
                state.rescue.refuse_if_fenced()?;
            }
            let mut waiter = match &mut originals_are {
                Originals::Wait(durable) => {
                    if !originals(&plans).all(|original| durable.contains(&original)) {
                        drop(state);
                        self.wait_for_originals(&plans, durable)?;
                        continue;
                    }
                    Waiter::Call
                }
                Originals::Later(_)
                    if state.kernel.commits.deferred_bytes() > DEFERRED_BYTES_MAX =>
                {
                    drop(state);
                    // How that ends is reported by the tickets of those who queued them.
                    drop(self.inner.sync_deferred());
                    continue;
                }
                Originals::Later(has_open) => {
                    **has_open = self.has_open_originals(&plans)?;
                    Waiter::Ticket
                }
            };
            let mut frames = fresh_frames(&plans, prepared, &parts, kind);
            let (mono_ms, mut evict) = (self.inner.time.mono_ms(), None);
            if let Room::Evict(lsns) = self.room_for(&state, &plans, prepared, &frames)? {
                if evicting == Evicting::No {
                    return Ok(None);
                }
                let evicted =
                    state.losses.evict_frame(&state.outbox, &lsns, self.inner.time.wall_ms());
                evict = Some((codec::encode(&evicted), evicted));
            }
            let head: [&[u8]; 1] = [evict.as_ref().map_or(&[], |(body, _)| body.as_slice())];
            if evict.is_some() {
                let kind = FrameKind::Evict.code();
                frames.insert(0, NewFrame { kind, flags: 0, parts: &head });
                waiter = Waiter::Call;
            }
            let call = (&plans[..], prepared);
            let queued = self.append(&mut state, call, &frames, (kind, mono_ms, waiter));
            let (judged, at) = match queued {
                // One that drops others holds `control`, which cleaning takes.
                Err(error) if evicting == Evicting::No => {
                    drop(state);
                    self.inner.cleaner().make_room_once(error, &mut has_made_room)?;
                    continue;
                }
                queued => queued?,
            };
            let moment = self.inner.time.moment(mono_ms);
            let eviction = evict.zip(at).map(|((_, evict), at)| Eviction { evict, at, moment });
            return Ok(Some(Stored { judged, eviction }));
        }
    }

    /// Waits until what a call queued is durable, and applies it.
    fn finish(&self, stored: Stored) -> Result<Vec<Judged>> {
        let Stored { judged, eviction } = stored;
        // Without a fresh one nothing was queued, and the others are durable.
        let Some((last, _)) = judged.iter().rev().find_map(|judged| judged.fresh()) else {
            return Ok(judged);
        };
        self.inner.wait_then(last, |state| {
            if let Some(Eviction { evict, at, moment }) = &eviction {
                let below = (&mut state.kernel, &mut state.outbox);
                state.losses.apply_evict(below, evict, (*at, *moment));
            }
        })?;
        Ok(judged)
    }

    /// Waits until the events that hold the keys of others are durable. Those that turn out to be
    /// absent lose their keys, so that the next judgement finds them free.
    pub(crate) fn wait_for_originals(
        &self,
        plans: &[Plan],
        durable: &mut HashSet<Lsn>,
    ) -> Result<()> {
        for original in originals(plans) {
            match self.inner.log.wait(original) {
                Ok(()) => {
                    durable.insert(original);
                }
                Err(error) if error.kind() == onceward_wal::ErrorKind::Full => {}
                Err(error) => return Err(self.inner.log_error(error)),
            }
        }
        Ok(())
    }

    /// Whether any of the events that hold the keys of others is not known to be durable.
    fn has_open_originals(&self, plans: &[Plan]) -> Result<bool> {
        let mut has_open = false;
        for original in originals(plans) {
            match self.inner.log.poll(original) {
                None => has_open = true,
                Some(ended) => ended.map_err(|error| self.inner.log_error(error))?,
            }
        }
        Ok(has_open)
    }
}
