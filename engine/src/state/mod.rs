//! What the log says, in memory: the kernel and all areas, and the one place that leads from the kind of a frame to its
//! area.
//!
//! Replaying the log and serving live calls go through the same functions, in the order of the frames, so that what a
//! restart rebuilds is what was there before. No I/O, no clock, no lock here.

mod status;
mod together;

use onceward_wal::{Frame, KIND_HOST_MIN, KIND_RUN, RunBody};

use crate::base::codec::{ControlBody, decode};
use crate::base::{FrameKind, Located, Moment, Result};
use crate::event::{Scope, layout};
use crate::inbox::frames::{DeliveryFrame, ProgressFrame, WindowFrame};
use crate::inbox::{DeliveryTable, FinishedHere};
use crate::kernel::{Area, Areas, Asking, FrameBody, Kernel, KeysFrame, LiveFrames, QueuedCommit};
use crate::limits::LossTable;
use crate::limits::frames::{CancelFrame, EvictFrame};
use crate::outbox::Outbox;
use crate::outbox::frames::{BatchFrame, SettleFrame};
use crate::records::RecordTable;
use crate::records::frames::{LeaseEndFrame, LeaseFrame, RecordHead};
use crate::rescue::RescueTable;
use crate::rescue::frames::{FenceFrame, ImportFrame};
use crate::review::DecisionTable;
use crate::review::frames::DecisionFrame;
use crate::timekeeping::ServerClock;
use crate::timekeeping::frames::ClockFrame;
use crate::upstreams::UpstreamTable;
use crate::upstreams::frames::{Hold, MarkFrame, Rule, SyncResultFrame};

pub use status::{ScopeStatus, Status};

/// What the log says.
#[derive(Debug)]
pub(crate) struct StoreState {
    pub(crate) kernel: Kernel,
    pub(crate) outbox: Outbox,
    pub(crate) decisions: DecisionTable,
    pub(crate) losses: LossTable,
    pub(crate) records: RecordTable,
    pub(crate) inbox: DeliveryTable,
    pub(crate) rescue: RescueTable,
    pub(crate) server_clock: ServerClock,
    pub(crate) upstreams: UpstreamTable,
}

/// What is gathered of several frames before it is carried together.
#[derive(Debug, Default)]
pub(crate) struct GatheredFrames {
    outbox: crate::outbox::Gathered,
    finished: FinishedHere,
    /// What was dropped and cancelled is among the frames.
    are_losses_reported: bool,
}

impl StoreState {
    /// What an empty log says.
    fn empty(kernel: Kernel) -> Self {
        Self {
            kernel,
            outbox: Outbox::default(),
            decisions: DecisionTable::default(),
            losses: LossTable::default(),
            records: RecordTable::default(),
            inbox: DeliveryTable::default(),
            rescue: RescueTable::default(),
            server_clock: ServerClock::default(),
            upstreams: UpstreamTable::default(),
        }
    }

    /// Every area, to ask it.
    fn areas(&self) -> [&dyn Area; 8] {
        [
            &self.outbox,
            &self.decisions,
            &self.losses,
            &self.records,
            &self.inbox,
            &self.rescue,
            &self.server_clock,
            &self.upstreams,
        ]
    }

    /// The kernel, and every area, to change them.
    fn parts(&mut self) -> (&mut Kernel, [&mut dyn Area; 8]) {
        let areas: [&mut dyn Area; 8] = [
            &mut self.outbox,
            &mut self.decisions,
            &mut self.losses,
            &mut self.records,
            &mut self.inbox,
            &mut self.rescue,
            &mut self.server_clock,
            &mut self.upstreams,
        ];
        (&mut self.kernel, areas)
    }
}

impl StoreState {
    /// `None`: the content is not of this format.
    fn try_replay(&mut self, frame: &Frame<'_>) -> Option<()> {
        let at = Located::of(frame);
        if frame.kind == KIND_RUN {
            let body = RunBody::decode(frame.body)?;
            self.kernel.times.begin_run(frame, &body);
            self.kernel.keys.coverage_mut().note_opening(body.stamp.opening);
            self.note_marks();
            return Some(());
        }
        if frame.kind < KIND_HOST_MIN {
            return Some(());
        }
        let kind = FrameKind::of(frame);
        if let Some(kind) = kind {
            self.kernel.note(kind, at);
        }
        let moment = self.kernel.times.of(frame);
        self.note_marks();
        self.apply(kind?, (frame.flags, frame.body), (at, moment))
    }

    /// Applies what a frame of a kind says. `None`: the content is not of this format.
    fn apply(
        &mut self,
        kind: FrameKind,
        (flags, body): (u8, &[u8]),
        (at, moment): (Located, Moment),
    ) -> Option<()> {
        let when = (at, moment);
        let Self { kernel, outbox, decisions, losses, records, inbox, rescue, .. } = self;
        match kind {
            FrameKind::Event => {
                let event = layout::View::decode(flags, body)?;
                outbox.replay_event(kernel, &event, when, false);
            }
            FrameKind::Effect => {
                let (_receipt, body) = layout::split_effect(body)?;
                let event = layout::View::decode(flags, body)?;
                outbox.replay_event(kernel, &event, when, true);
            }
            FrameKind::Carried => {
                let (carried, body) = layout::Carried::decode(at.lsn, body)?;
                let event = layout::View::decode(flags, body)?;
                outbox.replay_carried(kernel, (carried, &event), when);
            }
            FrameKind::Batch => {
                let batch: BatchFrame = decode(body)?;
                let scope = Scope::new(&batch.scope).ok()?;
                outbox.apply_batch(kernel, &batch, (scope, at, moment));
            }
            FrameKind::Settle => {
                outbox.apply_settle(kernel, &SettleFrame::decode(at.lsn, body)?, when);
            }
            FrameKind::Keys => outbox.apply_keys(kernel, &decode(body)?, at),
            FrameKind::Decision => decisions.apply((kernel, outbox), &decode(body)?, when),
            FrameKind::Evict => losses.apply_evict((kernel, outbox), &decode(body)?, when),
            FrameKind::Cancel => losses.apply_cancel((kernel, outbox), &decode(body)?, when),
            FrameKind::Lease => records.replay_lease(kernel, &decode(body)?, when),
            FrameKind::Record => records.replay_record(kernel, &RecordHead::decode(body)?.0, at),
            FrameKind::LeaseEnd => records.replay_end(kernel, &decode(body)?, at),
            FrameKind::Window => inbox.replay_window(kernel, &decode(body)?, when),
            FrameKind::Delivery => inbox.replay_delivery(kernel, decode(body)?, when),
            FrameKind::Progress => inbox.replay_progress(kernel, &decode(body)?, when),
            FrameKind::Fence => rescue.apply_fence(&decode(body)?, at),
            FrameKind::Import => rescue.apply_import(&decode(body)?, at),
            FrameKind::Clock => self.server_clock.apply(kernel, &decode(body)?, at),
            FrameKind::Upstream => self.upstreams.apply_rule(kernel, &decode(body)?, at),
            FrameKind::Hold => self.upstreams.apply_hold(kernel, &decode(body)?, at),
            FrameKind::SyncResult => self.upstreams.results.apply(kernel, &decode(body)?, at),
            FrameKind::Mark => self.upstreams.apply_mark(kernel, decode(body)?, at),
        }
        Some(())
    }

    /// The frames of a commit are durable.
    fn confirm(&mut self, commit: &QueuedCommit) {
        let Self { kernel, outbox, records, inbox, .. } = self;
        match commit.kind {
            FrameKind::Effect => outbox.confirm_effects(kernel, commit),
            FrameKind::Lease | FrameKind::Record | FrameKind::LeaseEnd => {
                records.confirm(kernel, commit);
            }
            FrameKind::Delivery => inbox.confirm(kernel, commit),
            FrameKind::Event | FrameKind::Carried => outbox.confirm(commit),
            // What these change is applied by the call that wrote them, which keeps others out until then.
            FrameKind::Batch
            | FrameKind::Settle
            | FrameKind::Decision
            | FrameKind::Keys
            | FrameKind::Window
            | FrameKind::Progress
            | FrameKind::Clock
            | FrameKind::Evict
            | FrameKind::Cancel
            | FrameKind::Fence
            | FrameKind::Import
            | FrameKind::Upstream
            | FrameKind::Hold
            | FrameKind::SyncResult
            | FrameKind::Mark => {}
        }
    }

    /// The frames of a commit are surely absent.
    fn withdraw(&mut self, commit: &QueuedCommit) {
        let Self { kernel, outbox, records, inbox, .. } = self;
        match commit.kind {
            FrameKind::Event | FrameKind::Effect | FrameKind::Carried => {
                outbox.withdraw(kernel, commit);
            }
            FrameKind::Lease | FrameKind::Record | FrameKind::LeaseEnd => {
                records.withdraw(kernel, commit);
            }
            FrameKind::Delivery => inbox.withdraw(kernel, commit),
            // They take no keys, and nothing of them is applied before they are durable.
            FrameKind::Batch
            | FrameKind::Settle
            | FrameKind::Decision
            | FrameKind::Keys
            | FrameKind::Window
            | FrameKind::Progress
            | FrameKind::Clock
            | FrameKind::Evict
            | FrameKind::Cancel
            | FrameKind::Fence
            | FrameKind::Import
            | FrameKind::Upstream
            | FrameKind::Hold
            | FrameKind::SyncResult
            | FrameKind::Mark => {}
        }
    }

    /// Finds what of a frame must be carried. A frame that this program cannot read keeps its segment from going.
    fn relocate_frame(
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
            FrameKind::Upstream | FrameKind::Hold | FrameKind::SyncResult | FrameKind::Mark => {
                self.upstreams.relocate(kind, body, at, live);
            }
        }
        Ok(())
    }

    /// A frame was carried to here. `None`: in a form that this program does not write.
    fn try_note_relocated(
        &mut self,
        relocation: &FrameBody,
        (at, moment): (Located, Moment),
    ) -> Option<()> {
        let body = relocation.body.as_slice();
        let Self { kernel, outbox, records, inbox, .. } = self;
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
            // As the frame was applied when it was first written.
            FrameKind::Settle
            | FrameKind::Keys
            | FrameKind::Decision
            | FrameKind::Evict
            | FrameKind::Fence
            | FrameKind::Import
            | FrameKind::Clock
            | FrameKind::Upstream
            | FrameKind::SyncResult
            | FrameKind::Mark => {
                return self.apply(relocation.kind, (relocation.flags, body), (at, moment));
            }
            FrameKind::Lease => records.lease_moved(&decode(body)?, at),
            FrameKind::Record => records.record_moved(&RecordHead::decode(body)?.0, at),
            FrameKind::Window => inbox.window_moved(&decode(body)?, at),
            FrameKind::Delivery => inbox.delivery_moved(kernel, &decode(body)?, at),
            FrameKind::Progress => inbox.progress_moved(&decode(body)?, at),
            FrameKind::Hold => self.upstreams.hold_moved(kernel, &decode(body)?, at),
        }
        Some(())
    }
}

/// The control body of frames of a kind, to be tried by fuzzing; `None`: theirs are laid out by hand.
pub(crate) fn control_body_of(kind: FrameKind) -> Option<ControlBody> {
    Some(match kind {
        FrameKind::Event | FrameKind::Carried | FrameKind::Effect => return None,
        FrameKind::Batch => ControlBody::of::<BatchFrame>(),
        FrameKind::Settle => ControlBody::of::<SettleFrame>(),
        FrameKind::Decision => ControlBody::of::<DecisionFrame>(),
        FrameKind::Keys => ControlBody::of::<KeysFrame>(),
        FrameKind::Lease => ControlBody::of::<LeaseFrame>(),
        FrameKind::Record => ControlBody::of::<RecordHead>(),
        FrameKind::LeaseEnd => ControlBody::of::<LeaseEndFrame>(),
        FrameKind::Window => ControlBody::of::<WindowFrame>(),
        FrameKind::Delivery => ControlBody::of::<DeliveryFrame>(),
        FrameKind::Progress => ControlBody::of::<ProgressFrame>(),
        FrameKind::Clock => ControlBody::of::<ClockFrame>(),
        FrameKind::Evict => ControlBody::of::<EvictFrame>(),
        FrameKind::Cancel => ControlBody::of::<CancelFrame>(),
        FrameKind::Fence => ControlBody::of::<FenceFrame>(),
        FrameKind::Import => ControlBody::of::<ImportFrame>(),
        FrameKind::Upstream => ControlBody::of::<Rule>(),
        FrameKind::Hold => ControlBody::of::<Hold>(),
        FrameKind::SyncResult => ControlBody::of::<SyncResultFrame>(),
        FrameKind::Mark => ControlBody::of::<MarkFrame>(),
    })
}
