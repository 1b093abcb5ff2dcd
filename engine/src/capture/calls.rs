//! New events: reserve, append, sync, answer.
//!
//! Judging the keys of a call, queueing its frames and taking the keys is one critical section, so
//! two callers cannot both be fresh. Whoever finds a key taken waits, outside it, until the one who
//! took it is durable: a duplicate is answered only when no crash can lose the original.

use onceward_wal::Lsn;

use super::call::Call;
use super::judging::{Judged, lost_verdict, number, originals, plan, verdict_counts};
use super::{AnyEffect, Applied, Verdict};
use crate::base::bounds::DEFERRED_BYTES_MAX;
use crate::base::{FrameKind, Located, Moment, Result, State, codec, observe};
use crate::event::AnyEvent;
use crate::kernel::Waiter;
use crate::limits::Room;
use crate::limits::frames::EvictFrame;
use crate::store::{Shared, Store};

/// Captures of an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captures<'s> {
    pub(super) inner: &'s Shared,
}

/// Who waits for the events that hold keys and are not durable yet.
pub(super) enum Originals<'a> {
    /// The call.
    Wait,
    /// The holder of the ticket: whether there are any.
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
pub(super) struct Queued {
    /// The last event of it; `None`: none was new.
    last: Option<Lsn>,
    eviction: Option<Eviction>,
}

impl Store {
    /// Stores an event, unless its key was seen inside its window.
    ///
    /// # Durability
    ///
    /// `Ok` means that the event (of a duplicate or conflict: the original) survives kill -9 and
    /// power cut. After an error that is not [`in_doubt`](crate::Error::in_doubt) it is surely absent.
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
    pub fn capture(&self, event: &impl AnyEvent) -> Result<Verdict> {
        let captures = self.inner.captures();
        observe::capture(
            1,
            |verdict: &Verdict| verdict_counts([*verdict]),
            || {
                captures.with_events(std::slice::from_ref(event), |call| {
                    captures.store(call)?;
                    call.judged_one().map(Judged::verdict)
                })
            },
        )
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
    pub fn capture_batch<E: AnyEvent>(&self, events: &[E]) -> Result<Vec<Verdict>> {
        let captures = self.inner.captures();
        observe::capture(
            events.len(),
            |verdicts: &Vec<Verdict>| verdict_counts(verdicts.iter().copied()),
            || {
                captures.with_events(events, |call| {
                    captures.store(call)?;
                    call.judged(Judged::verdict)
                })
            },
        )
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
    pub fn apply_batch<E: AnyEffect>(&self, effects: &[E]) -> Result<Vec<Applied>> {
        let captures = self.inner.captures();
        let judged = observe::capture(
            effects.len(),
            |judged: &Vec<Judged>| verdict_counts(judged.iter().map(|it| it.verdict())),
            || {
                captures.with_effects(effects, |call| {
                    captures.store(call)?;
                    call.judged(|judged| judged)
                })
            },
        )?;
        let applied = |judged: Judged| {
            Ok(match judged {
                Judged::Fresh { lsn } => Applied::Fresh { lsn },
                Judged::Conflict { lsn } => Applied::Conflict { lsn },
                Judged::Duplicate { lsn, state: State::OutcomeUnknown } => {
                    Applied::OutcomeUnknown { lsn }
                }
                Judged::Duplicate { lsn, .. } => {
                    let receipt = self.inner.events().receipt_of(lsn.get())?;
                    Applied::Duplicate { lsn, receipt }
                }
            })
        };
        judged.into_iter().map(applied).collect()
    }
}

impl<'s> Captures<'s> {
    /// Captures of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Judges, queues and waits.
    pub(super) fn store(&self, call: &mut Call<'_, '_>) -> Result<()> {
        match self.queue(call, &mut Originals::Wait, Evicting::No)? {
            Some(queued) => self.finish(&queued, call),
            None => self.store_evicting(call),
        }
    }

    /// Stores as [`Captures::store`] does, where other events must be dropped: one call after the other, because each
    /// changes what is stored already.
    pub(super) fn store_evicting(&self, call: &mut Call<'_, '_>) -> Result<()> {
        let mut has_made_room = false;
        loop {
            let one_at_a_time = self.inner.control.lock();
            match self.queue(call, &mut Originals::Wait, Evicting::Yes) {
                Err(error) => {
                    drop(one_at_a_time);
                    self.inner.cleaner().make_room_once(error, &mut has_made_room)?;
                }
                Ok(queued) => return self.finish(&queued.ok_or_else(lost_verdict)?, call),
            }
        }
    }

    /// Judges the events of a call and queues those that are fresh. `None`: there is only room if others
    /// are dropped, and this call may not do that.
    pub(super) fn queue(
        &self,
        call: &mut Call<'_, '_>,
        originals_are: &mut Originals<'_>,
        evicting: Evicting,
    ) -> Result<Option<Queued>> {
        let mut has_made_room = false;
        loop {
            self.inner.refuse_if_closed()?;
            let mut state = self.inner.state.lock();
            let mono_ms = self.inner.bring_up_to_now(&mut state);
            let fresh = self.inner.asking(&mut state, |state, keys| {
                let known = (&state.kernel, state.outbox.events());
                plan(known, keys, (call.events, &call.unsendable))
            })?;
            if fresh > 0 {
                state.rescue.refuse_if_fenced()?;
            }
            let open = originals(&state.kernel.commits, call.events).max();
            let mut waiter = match originals_are {
                Originals::Wait => {
                    if let Some(open) = open {
                        drop(state);
                        self.wait_for_original(open)?;
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
                    **has_open = open.is_some();
                    Waiter::Ticket
                }
            };
            if fresh == 0 {
                return Ok(Some(Queued { last: None, eviction: None }));
            }
            let mut evict = None;
            if let Room::Evict(lsns) = self.room_for(&state, call, fresh)? {
                if evicting == Evicting::No {
                    return Ok(None);
                }
                let evicted =
                    state.losses.evict_frame(&state.outbox, &lsns, self.inner.time.wall_ms());
                evict = Some((codec::encode(&evicted), evicted));
                waiter = Waiter::Call;
            }
            let head = evict.as_ref().map(|(body, _)| body.as_slice());
            let how = (fresh, mono_ms, waiter);
            let at = match self.append(&mut state, call, head, how) {
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
            let last = call.events.iter().rev().find(|event| event.is_queued());
            let last = number(last.map_or(0, |last| last.lsn()))?;
            return Ok(Some(Queued { last: Some(last), eviction }));
        }
    }

    /// Waits until what a call queued is durable, and applies it.
    fn finish(&self, queued: &Queued, call: &mut Call<'_, '_>) -> Result<()> {
        let Queued { last, eviction } = queued;
        // Without a fresh one nothing was queued, and the others are durable.
        let Some(last) = *last else { return Ok(()) };
        match eviction {
            Some(Eviction { evict, at, moment }) => self.inner.wait_then(last, |state| {
                let below = (&mut state.kernel, &mut state.outbox);
                state.losses.apply_evict(below, evict, (*at, *moment));
                // Events of which some are repetitions may be among those that were dropped for the others.
                let events = state.outbox.events();
                call.events.iter_mut().for_each(|event| event.plan.ask_again(events));
            }),
            None if call.kind == FrameKind::Event => self.inner.wait_for_events(last),
            None => self.inner.wait(last),
        }
    }

    /// Waits until it is known what became of an event that holds a key. One that turns out to be absent
    /// loses its key, so that the next judgement finds it free.
    pub(crate) fn wait_for_original(&self, original: Lsn) -> Result<()> {
        match self.inner.log.wait(original) {
            Err(error) if error.kind() != onceward_wal::ErrorKind::Full => {
                Err(self.inner.log_error(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
