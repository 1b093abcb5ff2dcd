//! What of a frame lives when its segment is to go, and where it was carried to: by the kind of the frame.

use onceward_wal::Frame;

use super::{GatheredFrames, StoreState};
use crate::base::codec::decode;
use crate::base::{FrameKind, Located, Moment, Result};
use crate::event::{Scope, layout};
use crate::kernel::{Asking, FrameBody, LiveFrames, Scanned};
use crate::outbox::frames::{BatchFrame, SettleFrame};
use crate::outbox::{Facts, SettledHere};
use crate::records::frames::RecordHead;

impl StoreState {
    /// Looks at a frame of a segment that is scanned.
    pub(super) fn scan_frame(&self, kind: FrameKind, frame: &Frame<'_>) -> Scanned<SettledHere> {
        let Some((lsn, _, body)) = layout::event_in(kind, frame.lsn.get(), frame.body) else {
            return Scanned::Whole;
        };
        let events = self.outbox.events();
        if events.live(lsn).is_some_and(|live| live.at.place == frame.place) {
            return Scanned::Counted;
        }
        if events.settled().get(&lsn).is_none_or(|settled| settled.at.place != frame.place) {
            return Scanned::Nothing;
        }
        if events.outcomes().get(lsn).is_some() {
            return Scanned::Short(None);
        }
        match layout::View::decode(frame.flags, body) {
            Some(event) => {
                let facts = Facts::of(&self.kernel.secret, self.kernel.keys.windows(), &event);
                Scanned::Short(Some(SettledHere::of(lsn, &facts)))
            }
            None => Scanned::Nothing,
        }
    }

    /// Finds what of a frame must be carried. A frame that this program cannot read keeps its segment from going.
    pub(super) fn relocate_frame(
        &self,
        asking: Asking<'_>,
        frame: &Frame<'_>,
        (live, gathered): (&mut LiveFrames, &mut GatheredFrames),
    ) -> Result<()> {
        let (at, body) = (Located::of(frame), frame.body);
        let Some(kind) = FrameKind::of(frame) else { return Ok(()) };
        let Self { kernel, outbox, decisions, losses, records, inbox, rescue, .. } = self;
        let GatheredFrames { outbox: of_outbox, finished, are_losses_reported } = gathered;
        match kind {
            FrameKind::Event | FrameKind::Effect | FrameKind::Carried => {
                let Some((lsn, origin, body)) = layout::event_in(kind, frame.lsn.get(), frame.body)
                else {
                    return Ok(());
                };
                let mut relocating = outbox.relocating(kernel, asking, (live, of_outbox));
                relocating.event(frame, (lsn, origin), body)?;
            }
            FrameKind::Batch => {
                let Some(batch) = decode(body) else { return Ok(()) };
                outbox.relocating(kernel, asking, (live, of_outbox)).batch(batch, at);
            }
            FrameKind::Settle => {
                let Some(settle) = SettleFrame::decode(at.lsn, body) else { return Ok(()) };
                outbox.relocating(kernel, asking, (live, of_outbox)).settle(settle, frame);
            }
            FrameKind::Keys => {
                let Some(keys) = decode(body) else { return Ok(()) };
                outbox.relocating(kernel, asking, (live, of_outbox)).keys(keys, at)?;
            }
            FrameKind::Decision => {
                let Some(decision) = decode(body) else { return Ok(()) };
                let mut relocating = outbox.relocating(kernel, asking, (live, of_outbox));
                decisions.relocate(&mut relocating, decision, frame);
            }
            FrameKind::Evict | FrameKind::Cancel => {
                losses.relocate(outbox, at, live, are_losses_reported);
            }
            FrameKind::Lease => {
                let Some(lease) = decode(body) else { return Ok(()) };
                records.relocate_lease(lease, at, live);
            }
            FrameKind::Record => {
                let Some((head, _)) = RecordHead::decode(body) else { return Ok(()) };
                records.relocate_record((kernel, asking), (&head, body), at, live)?;
            }
            // The lease that it ended is gone before it: both go in order.
            FrameKind::LeaseEnd => {}
            FrameKind::Window => {
                let Some(window) = decode(body) else { return Ok(()) };
                inbox.relocate_window(&window, at, live);
            }
            FrameKind::Delivery => {
                let Some(delivery) = decode(body) else { return Ok(()) };
                inbox.relocate_delivery((kernel, asking), delivery, at, (live, finished))?;
            }
            FrameKind::Progress => {
                let Some(progress) = decode(body) else { return Ok(()) };
                inbox.relocate_progress(&progress, at, live);
            }
            FrameKind::Fence => {
                let Some(fence) = decode(body) else { return Ok(()) };
                rescue.relocate_fence(fence, at, live);
            }
            FrameKind::Import => {
                let Some(import) = decode(body) else { return Ok(()) };
                rescue.relocate_import(import, at, live);
            }
            FrameKind::Clock => self.server_clock.relocate(at, live),
            FrameKind::Upstream | FrameKind::Hold => {
                self.upstreams.relocate(kind, body, at, live);
            }
        }
        Ok(())
    }

    /// A frame was carried to here, durably.
    pub(super) fn note_relocated(
        &mut self,
        relocation: &FrameBody,
        (at, moment): (Located, Moment),
    ) {
        // What this program wrote just now it can read.
        let read = self.try_note_relocated(relocation, (at, moment));
        debug_assert!(
            read.is_some(),
            "a frame of kind {:?} was carried in another form",
            relocation.kind
        );
    }

    fn try_note_relocated(
        &mut self,
        relocation: &FrameBody,
        (at, moment): (Located, Moment),
    ) -> Option<()> {
        let (body, when) = (relocation.body.as_slice(), (at, moment));
        let Self { kernel, outbox, decisions, losses, records, inbox, rescue, .. } = self;
        match relocation.kind {
            FrameKind::Carried => {
                let (carried, _) = layout::Carried::decode(at.lsn, body)?;
                outbox.move_event(kernel, carried.event_lsn, at, moment);
            }
            // They are carried in another form.
            FrameKind::Event | FrameKind::Effect | FrameKind::Cancel | FrameKind::LeaseEnd => {
                return None;
            }
            FrameKind::Batch => {
                let batch: BatchFrame = decode(body)?;
                // That events were attempted, memory knows; only the frame that said so was about to go.
                if !batch.is_of_attempts() {
                    let scope = Scope::new(&batch.scope).ok()?;
                    outbox.apply_batch(kernel, &batch, (scope, at, moment));
                }
            }
            FrameKind::Settle => {
                outbox.apply_settle(kernel, &SettleFrame::decode(at.lsn, body)?, when);
            }
            FrameKind::Keys => outbox.apply_keys(kernel, &decode(body)?, at),
            FrameKind::Decision => decisions.apply((kernel, outbox), &decode(body)?, when),
            FrameKind::Evict => losses.apply_evict((kernel, outbox), &decode(body)?, when),
            FrameKind::Lease => records.lease_moved(&decode(body)?, at),
            FrameKind::Record => records.record_moved(&RecordHead::decode(body)?.0, at),
            FrameKind::Window => inbox.window_moved(&decode(body)?, at),
            FrameKind::Delivery => inbox.delivery_moved(kernel, &decode(body)?, at),
            FrameKind::Progress => inbox.progress_moved(&decode(body)?, at),
            FrameKind::Fence => rescue.apply_fence(&decode(body)?, at),
            FrameKind::Import => rescue.apply_import(&decode(body)?, at),
            FrameKind::Clock => self.server_clock.apply(kernel, &decode(body)?, at),
            FrameKind::Upstream => self.upstreams.apply_rule(kernel, &decode(body)?, at),
            FrameKind::Hold => self.upstreams.hold_moved(kernel, &decode(body)?, at),
        }
        Some(())
    }
}
