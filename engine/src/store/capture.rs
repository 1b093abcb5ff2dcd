//! New events: reserve, append, sync, answer.
//!
//! Judging the keys of a call, queueing its frames and taking the keys is one critical section, so
//! two callers cannot both be fresh. Whoever finds a key taken waits, outside it, until the one who
//! took it is durable: a duplicate is answered only when no crash can lose the original.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use onceward_index::{Fingerprint, Verdict as Known};
use onceward_wal::{Lsn, NewFrame, Purpose};

use super::{Effect, Inner, Store, bytes_of, from_log, located};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Receipt};
use crate::frames::event::{self as layout, Encoded};
use crate::frames::{KIND_EFFECT, KIND_EVENT};
use crate::limits::BATCH_EVENTS_MAX;
use crate::verdict::{Applied, Verdict};
use crate::view::{Added, Facts, Taking, View};

/// An event that is ready to be appended.
struct Prepared<'a> {
    encoded: Encoded<'a>,
    facts: Facts<'a>,
    /// What an effect's body begins with.
    receipt: Option<Vec<u8>>,
}

/// What was found of an event's key.
#[derive(Clone, Copy, Debug)]
enum Judged {
    /// Queued under this number.
    Fresh { lsn: Lsn, print: Fingerprint },
    /// Taken by this number, with the same content.
    Duplicate { lsn: Lsn },
    /// Taken by this number, with other content.
    Conflict { lsn: Lsn },
}

impl Judged {
    fn lsn(self) -> Lsn {
        match self {
            Self::Fresh { lsn, .. } | Self::Duplicate { lsn } | Self::Conflict { lsn } => lsn,
        }
    }

    /// Number and key of an event that was queued by this call.
    fn fresh(self) -> Option<(Lsn, Fingerprint)> {
        match self {
            Self::Fresh { lsn, print } => Some((lsn, print)),
            Self::Duplicate { .. } | Self::Conflict { .. } => None,
        }
    }
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
    /// `Invalid`: a payload over the limit. `Full`: no room; nothing was stored. `Io`, `Poisoned`:
    /// the disk failed; where the error is in doubt, ask again by key after reopening.
    ///
    /// # Cost
    ///
    /// A fresh event: one write and one `fdatasync`, shared with those who capture at the same time.
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
        let verdicts = judged.into_iter().map(|judged| match judged {
            Judged::Fresh { lsn, .. } => Verdict::Fresh { lsn },
            Judged::Conflict { lsn } => Verdict::Conflict { lsn },
            Judged::Duplicate { lsn } => {
                Verdict::Duplicate { lsn, state: view.state_of(lsn.get()) }
            }
        });
        Ok(verdicts.collect())
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
    /// Checks events and encodes them.
    fn prepare<'a>(
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
        let mut prepared = Vec::with_capacity(count);
        for (event, receipt) in events {
            self.check(event)?;
            let view = layout::View::of(event);
            prepared.push(Prepared {
                encoded: Encoded::new(event),
                facts: Facts::of(&self.secret, &self.windows, &view),
                receipt: receipt.map(layout::effect_head),
            });
        }
        Ok(prepared)
    }

    /// Refuses an event that is over a limit.
    fn check(&self, event: &Event) -> Result<()> {
        let bytes = event.payload.as_bytes().len();
        let most = self.config.payload_bytes_max;
        if u64::try_from(bytes).unwrap_or(u64::MAX) > u64::from(most) {
            return Err(Error::invalid(
                "PAYLOAD_TOO_LONG",
                format!("payload: has {bytes} bytes, at most {most}"),
            ));
        }
        Ok(())
    }

    /// Judges, appends and waits.
    fn store(&self, prepared: &[Prepared<'_>], kind: u8) -> Result<Vec<Judged>> {
        let parts: Vec<[&[u8]; 4]> = prepared.iter().map(Prepared::parts).collect();
        let mut durable = HashSet::new();
        let judged = loop {
            self.refuse_if_closed()?;
            let mut view = self.view.lock();
            if view.turn(self.moment(self.mono_ms()).trusted_ms) {
                self.keeper.ask();
            }
            let plans = plan(&view, prepared)?;
            if originals(&plans).all(|(original, _)| durable.contains(&original)) {
                let frames = fresh_frames(&plans, prepared, &parts, kind);
                break self.append(&mut view, &plans, prepared, &frames)?;
            }
            drop(view);
            self.wait_for_originals(&plans, prepared, &mut durable)?;
        };
        let last = judged.iter().filter_map(|judged| judged.fresh()).next_back();
        let waited = last.map_or(Ok(()), |(last, _)| self.log.wait(last));
        let mut view = self.view.lock();
        let fresh = judged.iter().filter_map(|judged| judged.fresh());
        match &waited {
            Ok(()) => {
                self.keeper.is_durable();
                view.keys.confirm(fresh.map(|(lsn, _)| lsn.get()));
            }
            Err(_) => fresh.for_each(|(lsn, print)| view.withdraw(print, lsn.get())),
        }
        if waited.is_ok() {
            // An original that another thread applied may be durable and not settled yet.
            judged.iter().for_each(|judged| view.settle_at_once(judged.lsn().get()));
        }
        drop(view);
        waited.map_err(from_log)?;
        Ok(judged)
    }

    /// Waits until the events that hold the keys of others are durable. Those that turn out to be
    /// absent lose their keys, so that the next judgement finds them free.
    fn wait_for_originals(
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

    /// Queues the fresh events and takes their keys. The caller holds the view and judged under it.
    fn append(
        &self,
        view: &mut View,
        plans: &[Plan],
        prepared: &[Prepared<'_>],
        frames: &[NewFrame<'_>],
    ) -> Result<Vec<Judged>> {
        let mono_ms = self.mono_ms();
        let moment = self.moment(mono_ms);
        let mut places = if frames.is_empty() {
            Vec::new().into_iter()
        } else {
            let appended = self
                .log
                .append_deferred(frames, mono_ms, Purpose::Capture)
                .map_err(from_log)?
                .appended();
            located(&appended, frames).into_iter()
        };
        let fresh = plans.iter().zip(prepared).filter(|(plan, _)| matches!(plan, Plan::Fresh));
        let takings: Vec<Taking> = fresh
            .zip(places.as_slice())
            .map(|((_, event), at)| event.facts.taking(at.lsn))
            .collect();
        let mut held = view.keys.take(&takings, moment.trusted_ms).into_iter();
        self.keeper.count(bytes_of(frames), u64::try_from(takings.len()).unwrap_or(u64::MAX));
        let mut judged: Vec<Judged> = Vec::with_capacity(plans.len());
        for (plan, event) in plans.iter().zip(prepared) {
            judged.push(match plan {
                Plan::Known(known) => *known,
                Plan::Fresh => {
                    let at = places.next().ok_or_else(lost_verdict)?;
                    let held = held.next().ok_or_else(lost_verdict)?;
                    let at_once = event.receipt.is_some();
                    view.add_event(at.lsn, &event.facts, at, Added { moment, at_once, held });
                    Judged::Fresh { lsn: number(at.lsn)?, print: event.facts.print }
                }
                Plan::Again { first } => {
                    let original = judged.get(*first).copied().ok_or_else(lost_verdict)?;
                    let content = prepared.get(*first).map(|first| first.facts.content);
                    let lsn = original.lsn();
                    let same = content == Some(event.facts.content);
                    if same { Judged::Duplicate { lsn } } else { Judged::Conflict { lsn } }
                }
            });
        }
        Ok(judged)
    }
}

/// Judges every key, in order. The caller holds the view.
fn plan(view: &View, prepared: &[Prepared<'_>]) -> Result<Vec<Plan>> {
    let keys: Vec<_> = prepared.iter().map(|it| (it.facts.print, it.facts.content)).collect();
    let verdicts = view.keys.lookup(&keys)?;
    let mut fresh: HashMap<Fingerprint, usize> = HashMap::new();
    let mut plans = Vec::with_capacity(prepared.len());
    for ((position, (print, _)), verdict) in keys.iter().enumerate().zip(verdicts) {
        plans.push(match verdict {
            Known::Duplicate { lsn } => Plan::Known(Judged::Duplicate { lsn: number(lsn)? }),
            Known::Conflict { lsn } => Plan::Known(Judged::Conflict { lsn: number(lsn)? }),
            Known::New => match fresh.entry(*print) {
                Slot::Occupied(first) => Plan::Again { first: *first.get() },
                Slot::Vacant(slot) => {
                    slot.insert(position);
                    Plan::Fresh
                }
            },
        });
    }
    view.keys.check_room(fresh.len())?;
    Ok(plans)
}

/// The frames of the fresh events.
fn fresh_frames<'a>(
    plans: &[Plan],
    prepared: &[Prepared<'_>],
    parts: &'a [[&'a [u8]; 4]],
    kind: u8,
) -> Vec<NewFrame<'a>> {
    plans
        .iter()
        .zip(prepared)
        .zip(parts)
        .filter(|((plan, _), _)| matches!(plan, Plan::Fresh))
        .map(|((_, event), parts)| NewFrame { kind, flags: event.encoded.flags, parts })
        .collect()
}

/// The events that hold keys of this call, and the position of one that asks for each.
fn originals(plans: &[Plan]) -> impl Iterator<Item = (Lsn, usize)> + '_ {
    plans.iter().enumerate().filter_map(|(position, plan)| match plan {
        Plan::Known(known) => Some((known.lsn(), position)),
        Plan::Fresh | Plan::Again { .. } => None,
    })
}

/// What is to be done with an event of a batch.
enum Plan {
    Known(Judged),
    Fresh,
    /// The key of an earlier event of the same batch.
    Again {
        first: usize,
    },
}

impl Prepared<'_> {
    /// The pieces of the frame's body.
    fn parts(&self) -> [&[u8]; 4] {
        let [head, key, payload] = self.encoded.parts();
        [self.receipt.as_deref().unwrap_or_default(), head, key, payload]
    }
}

/// An LSN that the index gave back.
fn number(lsn: u64) -> Result<Lsn> {
    Lsn::from_u64(lsn).ok_or_else(lost_verdict)
}

/// An invariant of this module does not hold.
fn lost_verdict() -> Error {
    Error::new(ErrorKind::Corrupt, "INTERNAL", "the index gave an impossible answer")
}
