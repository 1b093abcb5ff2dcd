//! What the log says, in memory: the kernel and all areas, and the one place that leads from the kind of a frame to its
//! area.
//!
//! Replaying the log and serving live calls go through the same functions, in the order of the frames, so that what a
//! restart rebuilds is what was there before. No I/O, no clock, no lock here.

mod relocate;
mod status;

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::{Frame, KIND_HOST_MIN, KIND_RUN, RunBody};

use crate::base::codec::decode;
use crate::base::{FrameKind, Located, Moment, Result};
use crate::event::{Scope, layout};
use crate::inbox::{DeliveryTable, FinishedHere};
use crate::kernel::{
    Area, Areas, Asking, Engine, FrameBody, Kernel, KeysFrame, LiveFrames, QueuedCommit, Scanned,
};
use crate::limits::LossTable;
use crate::outbox::frames::{BatchFrame, SettleFrame};
use crate::outbox::{Outbox, SettledHere, receipts};
use crate::records::RecordTable;
use crate::records::frames::RecordHead;
use crate::rescue::RescueTable;
use crate::review::DecisionTable;
use crate::timekeeping::ServerClock;
use crate::upstreams::UpstreamTable;

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
        let (when, body) = ((at, moment), frame.body);
        let Self { kernel, outbox, decisions, losses, records, inbox, rescue, .. } = self;
        match kind? {
            FrameKind::Event => {
                let event = layout::View::decode(frame.flags, body)?;
                outbox.replay_event(kernel, &event, when, false);
            }
            FrameKind::Effect => {
                let (_receipt, body) = layout::split_effect(body)?;
                let event = layout::View::decode(frame.flags, body)?;
                outbox.replay_event(kernel, &event, when, true);
            }
            FrameKind::Carried => {
                let (carried, body) = layout::Carried::decode(at.lsn, body)?;
                let event = layout::View::decode(frame.flags, body)?;
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
        }
        Some(())
    }

    /// Whether any frame that can be read says something of the event of a key.
    pub(crate) fn has_key(&self, scope: &str, key: &str) -> bool {
        let found = self.kernel.keys.find(self.kernel.secret.fingerprint(scope, key.as_bytes()));
        let is_there = |lsn| !self.outbox.events().outcomes().is_lost(lsn);
        found.is_ok_and(|found| found.is_some_and(|found| is_there(found.lsn)))
    }
}

impl Areas for StoreState {
    type Gathered = GatheredFrames;
    type Short = SettledHere;

    fn new(kernel: Kernel) -> Self {
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

    fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    fn kernel_mut(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    fn replay(&mut self, frame: &Frame<'_>) {
        if self.try_replay(frame).is_none() {
            let why = format!("a frame of kind {} whose body this program cannot read", frame.kind);
            self.kernel.note_invalid(Located::of(frame), why);
        }
    }

    fn end_replay(&mut self) {
        let (kernel, areas) = self.parts();
        areas.into_iter().for_each(|area| area.end_replay(kernel));
        kernel.keys.end_replay();
        self.outbox.end_contested(&mut self.kernel);
        let kernel = &mut self.kernel;
        kernel.usage.retain_slices(&kernel.keys.live_slices());
    }

    fn note_marks(&mut self) {
        self.server_clock.note_marks(self.kernel.times.take_marks());
    }

    fn confirmed(&mut self, commit: &QueuedCommit) {
        let Self { kernel, outbox, records, inbox, .. } = self;
        match commit.kind {
            FrameKind::Effect => outbox.confirm_effects(kernel, commit),
            FrameKind::Lease | FrameKind::Record | FrameKind::LeaseEnd => {
                records.confirm(kernel, commit);
            }
            FrameKind::Delivery => inbox.confirm(kernel, commit),
            // What these change is applied by the call that wrote them, which keeps others out until then.
            FrameKind::Event
            | FrameKind::Carried
            | FrameKind::Batch
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
            | FrameKind::Hold => {}
        }
    }

    fn withdrawn(&mut self, commit: &QueuedCommit) {
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
            | FrameKind::Hold => {}
        }
    }

    fn carry_keys(&mut self, slices: &[SliceId], trusted_ms: u64) {
        let (kernel, areas) = self.parts();
        areas.into_iter().for_each(|area| area.carry_keys(kernel, slices, trusted_ms));
    }

    fn slices_ended(&mut self) {
        let (kernel, areas) = self.parts();
        areas.into_iter().for_each(|area| area.slices_ended(kernel));
    }

    fn forget_segment(&mut self, segment: u64) {
        let (kernel, areas) = self.parts();
        kernel.forget_segment(segment);
        areas.into_iter().for_each(|area| area.forget_segment(kernel, segment));
    }

    fn known_frames(&self, segment: u64) -> usize {
        self.areas().iter().map(|area| area.known_frames(segment)).sum()
    }

    fn is_left_in(&self, segment: u64) -> bool {
        self.areas().iter().any(|area| area.is_left_in(segment))
    }

    fn live_bytes(&self) -> u64 {
        self.areas().iter().fold(0, |sum: u64, area| sum.saturating_add(area.live_bytes()))
    }

    fn knows(&self, item: u64) -> bool {
        self.areas().iter().any(|area| area.knows(item))
    }

    fn held_slices(&self) -> BTreeMap<Fingerprint, SliceId> {
        let mut held = BTreeMap::new();
        self.areas().iter().for_each(|area| area.held_slices(&mut held));
        held
    }

    fn unanswered(&self) -> usize {
        self.outbox.events().unsettled().len()
    }

    fn owed_bytes(&self, retired: u64) -> u64 {
        self.outbox.owed_bytes(retired)
    }

    fn apply_lost_keys(&mut self, keys: &KeysFrame, at: Option<Located>) {
        match at {
            Some(at) => self.outbox.apply_keys(&mut self.kernel, keys, at),
            None => self.outbox.note_lost(keys),
        }
    }

    fn scan(&self, kind: FrameKind, frame: &Frame<'_>) -> Scanned<SettledHere> {
        self.scan_frame(kind, frame)
    }

    fn counted_in(&self, segment: u64) -> (usize, usize) {
        let whole = self.kernel.usage.get(segment).map_or(0, |usage| usage.whole());
        let (settled, key_frames) = self.outbox.events().known_in(segment);
        (whole + settled, key_frames)
    }

    fn has_keys(kind: FrameKind) -> bool {
        kind == FrameKind::Keys
    }

    fn relocate(
        &self,
        asking: Asking<'_>,
        frame: &Frame<'_>,
        found: (&mut LiveFrames, &mut GatheredFrames),
    ) -> Result<()> {
        self.relocate_frame(asking, frame, found)
    }

    fn relocate_short(
        &self,
        asking: Asking<'_>,
        short: &SettledHere,
        (live, gathered): (&mut LiveFrames, &mut GatheredFrames),
    ) -> Result<()> {
        self.outbox.relocating(&self.kernel, asking, (live, &mut gathered.outbox)).settled(short)
    }

    fn complete(engine: &Engine<Self>, gathered: &mut GatheredFrames) -> Result<()> {
        gathered.outbox.complete(|event| {
            let state = engine.state.lock();
            let at = state.outbox.events().outcome_at(&state.kernel, event);
            drop(state);
            at.map_or_else(
                || Ok(BTreeMap::new()),
                |at| engine.read(at, |frame| Ok(receipts(frame, event))),
            )
        })
    }

    fn gathered(gathered: GatheredFrames, live: &mut LiveFrames) {
        gathered.finished.end(live);
        gathered.outbox.end(live);
    }

    fn relocated(&mut self, relocation: &FrameBody, at: Located, moment: Moment) {
        self.note_relocated(relocation, (at, moment));
    }
}
