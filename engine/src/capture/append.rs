//! Queues the frames of a call and takes their keys.

use onceward_wal::NewFrame;

use super::calls::Captures;
use super::judging::{Judged, Plan, Prepared, lost_verdict, number};
use crate::base::{FrameKind, Located, Result};
use crate::kernel::{Queueing, Reservation, Waiter};
use crate::outbox::Arrived;
use crate::store::StoreState;

impl Captures<'_> {
    /// Queues the frames of fresh events, takes their keys and notes them. In front of them may be one that
    /// says what is dropped for them; returns where that is.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: nothing was queued.
    pub(super) fn append(
        &self,
        state: &mut StoreState,
        (plans, prepared): (&[Plan], &[Prepared<'_>]),
        frames: &[NewFrame<'_>],
        (kind, mono_ms, waiter): (FrameKind, u64, Waiter),
    ) -> Result<(Vec<Judged>, Option<Located>)> {
        let moment = self.inner.time.moment(mono_ms);
        let is_evicting = frames.first().is_some_and(|it| it.kind == FrameKind::Evict.code());
        let keys = frames.len() - usize::from(is_evicting);
        let placed = if frames.is_empty() {
            Vec::new()
        } else {
            // An effect is settled with its own frame: it needs no answer.
            let unanswered = if kind == FrameKind::Effect { 0 } else { keys };
            let purpose = self.inner.reserve().capture_purpose(state, unanswered);
            self.inner.queue(state, frames, Queueing { kind, keys, mono_ms, purpose, waiter })?
        };
        let mut places = placed.into_iter();
        let evict_at = if is_evicting { places.next() } else { None };
        let fresh = plans.iter().zip(prepared).filter(|(plan, _)| matches!(plan, Plan::Fresh));
        let reservations: Vec<Reservation> = fresh
            .zip(places.as_slice())
            .map(|((_, event), at)| event.facts.reservation(at.lsn))
            .collect();
        let mut held = state.kernel.keys.take(&reservations, moment.trusted_ms).into_iter();
        let mut judged: Vec<Judged> = Vec::with_capacity(plans.len());
        for (plan, event) in plans.iter().zip(prepared) {
            judged.push(match plan {
                Plan::Known(known) | Plan::Lost(known) => *known,
                Plan::Fresh => {
                    let at = places.next().ok_or_else(lost_verdict)?;
                    let held = held.next().ok_or_else(lost_verdict)?;
                    let is_effect = event.receipt.is_some();
                    let moment = event.encoded.captured(moment);
                    let arrived = Arrived { moment, is_effect, held };
                    let StoreState { kernel, outbox, .. } = &mut *state;
                    outbox.add(kernel, at.lsn, &event.facts, (at, arrived));
                    Judged::Fresh { lsn: number(at.lsn)?, fingerprint: event.facts.fingerprint }
                }
                Plan::Again { first } => {
                    let original = judged.get(*first).copied().ok_or_else(lost_verdict)?;
                    let content_hash = prepared.get(*first).map(|first| first.facts.content_hash);
                    let lsn = original.lsn();
                    let same = content_hash == Some(event.facts.content_hash);
                    if same { Judged::Duplicate { lsn } } else { Judged::Conflict { lsn } }
                }
            });
        }
        Ok((judged, evict_at))
    }
}
