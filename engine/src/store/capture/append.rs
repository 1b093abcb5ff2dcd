//! Queues the frames of a call and takes their keys.

use onceward_wal::NewFrame;

use super::Waiter;
use crate::error::Result;
use crate::frames::KIND_EVICT;
use crate::store::judging::{Judged, Plan, Prepared, lost_verdict, number};
use crate::store::{Inner, capture_purpose, from_log, located};
use crate::view::{Added, Located, Queued, Taking, View};

impl Inner {
    /// Queues the fresh events, and before them the frame that drops others if there is one, and takes
    /// their keys. The caller holds the view and judged under it. Returns where that frame stands.
    pub(super) fn append(
        &self,
        view: &mut View,
        (plans, prepared): (&[Plan], &[Prepared<'_>]),
        frames: &[NewFrame<'_>],
        (mono_ms, waiter): (u64, Waiter),
    ) -> Result<(Vec<Judged>, Option<Located>)> {
        let moment = self.moment(mono_ms);
        let placed = if frames.is_empty() {
            Vec::new()
        } else {
            let purpose = capture_purpose(view, frames);
            let queued = self.log.append_deferred(frames, mono_ms, purpose).map_err(from_log)?;
            located(&queued.appended(), frames)
        };
        let is_evicting = frames.first().is_some_and(|frame| frame.kind == KIND_EVICT);
        let keys = frames.len() - usize::from(is_evicting);
        let bytes = match frames {
            [] => 0,
            frames => self.wrote(view, frames, &placed, (keys, mono_ms)),
        };
        let mut places = placed.into_iter();
        let evict_at = if is_evicting { places.next() } else { None };
        let fresh = plans.iter().zip(prepared).filter(|(plan, _)| matches!(plan, Plan::Fresh));
        let takings: Vec<Taking> = fresh
            .zip(places.as_slice())
            .map(|((_, event), at)| event.facts.taking(at.lsn))
            .collect();
        let mut held = view.keys.take(&takings, moment.trusted_ms).into_iter();
        if waiter == Waiter::Ticket
            && let Some((first, last)) = places.as_slice().first().zip(places.as_slice().last())
        {
            let queued = Queued { first: first.lsn, last: last.lsn, bytes, mono_ms };
            if view.deferred.push(queued) {
                self.log.sync_soon();
            }
        }
        let mut judged: Vec<Judged> = Vec::with_capacity(plans.len());
        for (plan, event) in plans.iter().zip(prepared) {
            judged.push(match plan {
                Plan::Known(known) | Plan::Lost(known) => *known,
                Plan::Fresh => {
                    let at = places.next().ok_or_else(lost_verdict)?;
                    let held = held.next().ok_or_else(lost_verdict)?;
                    let (at_once, moment) =
                        (event.receipt.is_some(), event.encoded.captured(moment));
                    let added = Added { moment, at_once, held };
                    view.add_event(at.lsn, &event.facts, at, added);
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
        Ok((judged, evict_at))
    }
}
