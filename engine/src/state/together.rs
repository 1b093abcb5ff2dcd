//! What the kernel asks of all areas together.

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::Frame;

use super::{GatheredFrames, StoreState};
use crate::base::{FrameKind, Located, Moment, Result};
use crate::event::layout;
use crate::kernel::{
    Areas, Asking, Engine, FrameBody, Kernel, KeysFrame, KnownPart, LiveFrames, QueuedCommit,
    Scanned, SummaryRun,
};
use crate::outbox::{SettledHere, receipts};
use crate::records::frames::RecordHead;

impl StoreState {
    /// Whether any frame that can be read says something of the event of a key.
    pub(crate) fn has_key(&self, scope: &str, key: &str) -> bool {
        let found = self.kernel.keys.find(self.kernel.secret.fingerprint(scope, key.as_bytes()));
        let is_there = |lsn| !self.outbox.events().outcomes().is_lost(lsn);
        found.is_ok_and(|found| found.is_some_and(|found| is_there(found.lsn)))
    }

    /// Looks at a frame of a segment that is scanned.
    fn scan_frame(
        &self,
        asking: Asking<'_>,
        kind: FrameKind,
        frame: &Frame<'_>,
    ) -> Result<Scanned<SettledHere>> {
        let Some((lsn, _, body)) = layout::event_in(kind, frame.lsn.get(), frame.body) else {
            return Ok(Scanned::Whole);
        };
        let events = self.outbox.events();
        let Some(settled) = events.packed().settled(lsn).filter(|it| it.at.place == frame.place)
        else {
            let is_here = events.live(lsn).is_some_and(|live| live.at.place == frame.place);
            return Ok(if is_here { Scanned::Counted } else { Scanned::Nothing });
        };
        if events.outcomes().get(lsn).is_some() {
            return Ok(Scanned::Short(None));
        }
        let Some(event) = layout::View::decode(frame.flags, body) else {
            return Ok(Scanned::Nothing);
        };
        let here = self.outbox.settled_here(&self.kernel, asking, (lsn, &settled), &event)?;
        Ok(Scanned::Short(here))
    }

    /// A frame was carried to here, durably.
    fn note_relocated(&mut self, relocation: &FrameBody, (at, moment): (Located, Moment)) {
        // What this program wrote just now it can read.
        let read = self.try_note_relocated(relocation, (at, moment));
        debug_assert!(
            read.is_some(),
            "a frame of kind {:?} was carried in another form",
            relocation.kind
        );
    }
}

impl Areas for StoreState {
    type Gathered = GatheredFrames;
    type Short = SettledHere;

    fn new(kernel: Kernel) -> Self {
        Self::empty(kernel)
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

    fn replay_run(&mut self, run: &SummaryRun<'_>) {
        let lowest = self.kernel.times.pass(run);
        self.note_marks();
        if let Some(lowest) = lowest {
            self.outbox.replay_run(&mut self.kernel, run, lowest);
        }
    }

    fn replayed_bytes(kind: FrameKind, frame: &Frame<'_>) -> usize {
        let all = frame.body.len();
        let behind = match kind {
            FrameKind::Event | FrameKind::Effect | FrameKind::Carried => {
                let event = layout::event_in(kind, frame.lsn.get(), frame.body);
                let event = event.and_then(|(.., body)| layout::View::decode(frame.flags, body));
                event.map_or(0, |event| event.payload.len())
            }
            FrameKind::Record => RecordHead::decode(frame.body).map_or(0, |(_, body)| body.len()),
            FrameKind::Batch
            | FrameKind::Settle
            | FrameKind::Decision
            | FrameKind::Keys
            | FrameKind::Window
            | FrameKind::Delivery
            | FrameKind::Progress
            | FrameKind::Clock
            | FrameKind::Evict
            | FrameKind::Cancel
            | FrameKind::Lease
            | FrameKind::LeaseEnd
            | FrameKind::Fence
            | FrameKind::Import
            | FrameKind::Upstream
            | FrameKind::Hold
            | FrameKind::SyncResult
            | FrameKind::Mark => 0,
        };
        all.saturating_sub(behind)
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
        self.confirm(commit);
    }

    fn withdrawn(&mut self, commit: &QueuedCommit) {
        self.withdraw(commit);
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
        self.outbox.events().packed().unsettled_count()
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

    fn scan(
        &self,
        asking: Asking<'_>,
        kind: FrameKind,
        frame: &Frame<'_>,
    ) -> Result<Scanned<SettledHere>> {
        self.scan_frame(asking, kind, frame)
    }

    fn counted_in(&self, segment: u64) -> (usize, usize) {
        let whole = self.kernel.usage.get(segment).map_or(0, |usage| usage.whole());
        let (settled, key_frames) = self.outbox.events().known_in(segment);
        (whole + settled, key_frames)
    }

    fn has_keys(kind: FrameKind) -> bool {
        kind == FrameKind::Keys
    }

    fn is_known(&self, segment: u64) -> bool {
        let kernel = &self.kernel;
        kernel.usage.get(segment).is_none_or(|usage| usage.is_known())
            && kernel.invalid().iter().all(|(at, _)| at.place.segment != segment)
            && self.known_frames(segment) == 0
            && !self.is_left_in(segment)
            && !self.outbox.events().packed().is_attempted_before(segment)
    }

    fn gather_known(
        &self,
        asking: Asking<'_>,
        segment: u64,
        from: u64,
        (live, gathered): (&mut LiveFrames, &mut GatheredFrames),
    ) -> Result<Option<KnownPart>> {
        let mut relocating =
            self.outbox.relocating(&self.kernel, asking, (live, &mut gathered.outbox));
        relocating.settled_keys(segment, from)
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
        self.outbox.relocating(&self.kernel, asking, (live, &mut gathered.outbox)).settled(short);
        Ok(())
    }

    fn complete(engine: &Engine<Self>, gathered: &mut GatheredFrames) -> Result<()> {
        gathered.outbox.complete(|event| {
            let state = engine.state.lock();
            let at = state.outbox.events().outcome_at(&state.kernel, event);
            let dependencies = &state.kernel.dependencies;
            let at = at.filter(|at| dependencies.may_have_receipts(at.lsn));
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

    #[cfg(test)]
    fn described(&self) -> String {
        let Self { decisions, losses, records, inbox, rescue, server_clock, upstreams, .. } = self;
        let areas = (decisions, losses, records, inbox, rescue, server_clock, upstreams);
        format!("{:?}{}{areas:?}", self.kernel.described(), self.outbox.described())
    }

    fn relocated(&mut self, relocation: &FrameBody, at: Located, moment: Moment) {
        self.note_relocated(relocation, (at, moment));
    }
}
