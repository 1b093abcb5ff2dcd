//! New events: reserve, append, sync, answer.
//!
//! Judging the keys of a call, queueing its frames and taking the keys is one critical section, so
//! two callers cannot both be fresh. Whoever finds a key taken waits, outside it, until the one who
//! took it is durable: a duplicate is answered only when no crash can lose the original.

mod append;

use std::collections::HashSet;

use onceward_wal::{Lsn, NewFrame};

use super::judging::{Judged, Plan, Prepared, fresh_frames, lost_verdict, originals, plan};
use super::limits::Room;
use super::{Effect, Inner, Store, from_log};
use crate::error::{Error, Result};
use crate::event::{Event, Receipt};
use crate::frames::event::{self as layout, Encoded};
use crate::frames::limits::Evict;
use crate::frames::{KIND_EFFECT, KIND_EVENT, KIND_EVICT, codec};
use crate::limits::{BATCH_EVENTS_MAX, DEFERRED_BYTES_MAX};
use crate::verdict::{Applied, State, Verdict};
use crate::view::{Facts, Located, Moment, View};

/// The events of one call.
pub(super) struct Call<'a> {
    pub(super) prepared: &'a [Prepared<'a>],
    pub(super) kind: u8,
}

/// What is done about keys whose events are not durable yet.
pub(super) enum Originals<'a> {
    /// The call waits for them; these are.
    Wait(&'a mut HashSet<Lsn>),
    /// Whoever has the ticket waits for them; whether there are any.
    Later(&'a mut bool),
}

/// Whether a call may drop events to make room: its caller holds `control` then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evicting {
    No,
    Yes,
}

/// Who says when what was queued is durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiter {
    /// The call itself.
    Call,
    /// A ticket, or nobody.
    Ticket,
}

/// Events that a call drops, once its frames are durable.
pub(super) struct Eviction {
    evict: Evict,
    at: Located,
    moment: Moment,
}

/// What a call queued.
pub(super) struct Stored {
    pub(super) judged: Vec<Judged>,
    pub(super) eviction: Option<Eviction>,
    /// Its events are settled with their own frames.
    is_at_once: bool,
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
    /// [`Limit`](crate::Limit): a limit that the host set is reached. Nothing was stored. `Io`,
    /// `Poisoned`: the disk failed; where the error is in doubt, ask again by key after reopening.
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
        let prepared =
            self.inner.prepare(events.iter().map(|event| (event, None)), events.len())?;
        let judged = self.inner.store(&prepared, KIND_EVENT)?;
        let view = self.inner.view.lock();
        Ok(judged.into_iter().map(|judged| judged.verdict(&view)).collect())
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
        let events = effects.iter().map(|effect| (&effect.event, Some(&effect.receipt)));
        let prepared = self.inner.prepare(events, effects.len())?;
        let judged = self.inner.store(&prepared, KIND_EFFECT)?;
        let mut applied = Vec::with_capacity(judged.len());
        for judged in judged {
            applied.push(match judged {
                Judged::Fresh { lsn, .. } => Applied::Fresh { lsn },
                Judged::Conflict { lsn } => Applied::Conflict { lsn },
                Judged::Duplicate { lsn } if self.inner.is_outcome_unknown(lsn) => {
                    Applied::OutcomeUnknown { lsn }
                }
                Judged::Duplicate { lsn } => {
                    let receipt = self.inner.receipt_of(lsn.get())?;
                    Applied::Duplicate { lsn, receipt }
                }
            });
        }
        Ok(applied)
    }
}

impl Inner {
    /// Whether nobody can tell what became of an event whose key is known.
    fn is_outcome_unknown(&self, lsn: Lsn) -> bool {
        self.view.lock().state_of(lsn.get()) == State::OutcomeUnknown
    }

    /// Checks events and encodes them.
    pub(super) fn prepare<'a>(
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
        let wall_offset_ms = self.wall_offset_ms();
        let mut prepared = Vec::with_capacity(count);
        for (event, receipt) in events {
            self.refuse_if_long("payload", &event.payload)?;
            let view = layout::View::of(event);
            // A receiver's effects are sent nowhere.
            let sendable = self.config.sendable.as_ref().filter(|_| receipt.is_none());
            prepared.push(Prepared {
                encoded: Encoded::dated(event, wall_offset_ms),
                facts: Facts::of(&self.secret, &self.windows, &view),
                receipt: receipt.map(layout::effect_head),
                unsendable: sendable.and_then(|check| check.refusal(event, self.wall_ms())),
            });
        }
        Ok(prepared)
    }

    /// Judges, appends and waits.
    fn store(&self, prepared: &[Prepared<'_>], kind: u8) -> Result<Vec<Judged>> {
        let call = Call { prepared, kind };
        let mut durable = HashSet::new();
        let originals = Originals::Wait(&mut durable);
        match self.queue(&call, originals, Evicting::No)? {
            Some(stored) => self.finish(stored),
            None => self.store_evicting(&call),
        }
    }

    /// As [`Inner::store`], where others must be dropped: one call after the other, because each
    /// changes what is stored already.
    pub(super) fn store_evicting(&self, call: &Call<'_>) -> Result<Vec<Judged>> {
        let mut has_made_room = false;
        loop {
            let one_at_a_time = self.control.lock();
            let mut durable = HashSet::new();
            let originals = Originals::Wait(&mut durable);
            match self.queue(call, originals, Evicting::Yes) {
                Err(error) => {
                    drop(one_at_a_time);
                    self.make_room_once(error, &mut has_made_room)?;
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
            self.refuse_if_closed()?;
            let mut view = self.view.lock();
            self.bring_up_to_now(&mut view);
            let plans = self.asking(&mut view, |view| plan(view, prepared))?;
            if plans.iter().any(|plan| matches!(plan, Plan::Fresh)) {
                view.refuse_if_fenced()?;
            }
            let mut waiter = match &mut originals_are {
                Originals::Wait(durable) => {
                    if !originals(&plans).all(|(original, _)| durable.contains(&original)) {
                        drop(view);
                        self.wait_for_originals(&plans, prepared, durable)?;
                        continue;
                    }
                    Waiter::Call
                }
                Originals::Later(_) if view.deferred.bytes() > DEFERRED_BYTES_MAX => {
                    drop(view);
                    // How that ends is told by the tickets of those who queued them.
                    drop(self.sync_deferred());
                    continue;
                }
                Originals::Later(has_open) => {
                    if self.withdraw_absent(&mut view, &plans, prepared, has_open)? {
                        continue;
                    }
                    Waiter::Ticket
                }
            };
            let mut frames = fresh_frames(&plans, prepared, &parts, kind);
            let (mono_ms, mut evict) = (self.mono_ms(), None);
            if let Room::Evict(lsns) = self.room_for(&view, &plans, prepared, &frames)? {
                if evicting == Evicting::No {
                    return Ok(None);
                }
                let told = view.evict_frame(&lsns, self.wall_ms());
                evict = Some((codec::encode(&told), told));
            }
            let head: [&[u8]; 1] = [evict.as_ref().map_or(&[], |(body, _)| body.as_slice())];
            if evict.is_some() {
                frames.insert(0, NewFrame { kind: KIND_EVICT, flags: 0, parts: &head });
                waiter = Waiter::Call;
            }
            let appended = self.append(&mut view, (&plans, prepared), &frames, (mono_ms, waiter));
            let (judged, at) = match appended {
                // One that drops others holds `control`, which cleaning takes.
                Err(error) if evicting == Evicting::No => {
                    drop(view);
                    self.make_room_once(error, &mut has_made_room)?;
                    continue;
                }
                appended => appended?,
            };
            let moment = self.moment(mono_ms);
            let eviction = evict.zip(at).map(|((_, evict), at)| Eviction { evict, at, moment });
            let is_at_once = kind == KIND_EFFECT;
            return Ok(Some(Stored { judged, eviction, is_at_once }));
        }
    }

    /// Forgets what is over by now, and takes up what became of deferred captures.
    pub(super) fn bring_up_to_now(&self, view: &mut View) {
        if view.turn(self.moment(self.mono_ms()).trusted_ms) {
            self.keeper.ask();
        }
        self.answer_deferred(view);
    }

    /// Waits until what a call queued is durable, and takes that up.
    fn finish(&self, stored: Stored) -> Result<Vec<Judged>> {
        let Stored { judged, eviction, is_at_once } = stored;
        let last = judged.iter().filter_map(|judged| judged.fresh()).next_back();
        let waited = last.map_or(Ok(()), |(last, _)| self.log.wait(last));
        let mut view = self.view.lock();
        let fresh = judged.iter().filter_map(|judged| judged.fresh());
        match &waited {
            Ok(()) => {
                if last.is_some() {
                    self.keeper.is_durable();
                }
                view.keys.confirm(fresh.map(|(lsn, _)| lsn.get()));
                if let Some(Eviction { evict, at, moment }) = eviction {
                    view.apply_evict(&evict, at, moment);
                }
            }
            Err(_) => fresh.for_each(|(lsn, print)| {
                view.withdraw(print, lsn.get());
            }),
        }
        if waited.is_ok() {
            // An original that another thread applied may be durable and not settled yet.
            let settled = judged.iter().filter(|judged| is_at_once || judged.fresh().is_none());
            settled.for_each(|judged| view.settle_at_once(judged.lsn().get()));
        }
        self.answer_deferred(&mut view);
        drop(view);
        waited.map_err(from_log)?;
        Ok(judged)
    }

    /// Waits until the events that hold the keys of others are durable. Those that turn out to be
    /// absent lose their keys, so that the next judgement finds them free.
    pub(super) fn wait_for_originals(
        &self,
        plans: &[Plan],
        prepared: &[Prepared<'_>],
        durable: &mut HashSet<Lsn>,
    ) -> Result<()> {
        for (original, position) in originals(plans) {
            match self.log.wait(original) {
                Ok(()) => {
                    durable.insert(original);
                }
                Err(error) if error.kind() == onceward_wal::ErrorKind::Full => {
                    if let Some(event) = prepared.get(position) {
                        self.view.lock().withdraw(event.facts.print, original.get());
                    }
                }
                Err(error) => return Err(from_log(error)),
            }
        }
        Ok(())
    }
}
