//! What was dropped to make room and what was cancelled: counts, and the last ones by name. No I/O, no clock, no lock
//! here.

use std::collections::BTreeMap;

use onceward_index::Fingerprint;

use super::frames::{CancelFrame, DroppedEvents, EvictFrame, LostEvent, Totals};
use crate::base::bounds::LOSSES_MAX;
use crate::base::{FrameKind, Located, Moment, State, codec};
use crate::kernel::{Area, Kernel, LiveFrames};
use crate::outbox::{FinalAnswer, Outbox};

/// An event that was dropped to make room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DroppedEvent {
    /// Number of its scope.
    pub(in crate::limits) scope: usize,
    pub(in crate::limits) fingerprint: Fingerprint,
    /// Wall clock when it was dropped.
    pub(in crate::limits) wall_ms: i64,
    /// LSN of the newest frame that reports it.
    reported_by: u64,
}

/// What was dropped and cancelled.
#[derive(Debug, Default)]
pub(crate) struct LossTable {
    totals: Totals,
    /// The last dropped ones, by LSN: at most [`LOSSES_MAX`], those with the highest numbers.
    losses: BTreeMap<u64, DroppedEvent>,
    /// The newest frame that reports the totals.
    reported_by: Option<Located>,
}

impl LossTable {
    /// How many events were dropped and cancelled.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// The last dropped events, by LSN.
    pub(crate) fn losses(&self) -> &BTreeMap<u64, DroppedEvent> {
        &self.losses
    }

    /// Drops events to make room, or lists those that an earlier frame dropped.
    pub(crate) fn apply_evict(
        &mut self,
        (kernel, outbox): (&mut Kernel, &mut Outbox),
        evict: &EvictFrame,
        (at, moment): (Located, Moment),
    ) {
        if !evict.now.is_empty() {
            kernel.add_holder(at);
        }
        let (state, trusted_ms) = (State::Expired, moment.trusted_ms);
        let answer = FinalAnswer { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
        for dropped in &evict.now {
            self.list(outbox, dropped, at.lsn);
            let events: Vec<u64> = dropped.events.iter().map(|lost| lost.event).collect();
            outbox.settle_each(kernel, &events, answer);
        }
        evict.earlier.iter().for_each(|dropped| self.list(outbox, dropped, at.lsn));
        self.count(evict.totals, at);
    }

    /// Cancels an event.
    pub(crate) fn apply_cancel(
        &mut self,
        (kernel, outbox): (&mut Kernel, &mut Outbox),
        cancel: &CancelFrame,
        (at, moment): (Located, Moment),
    ) {
        kernel.add_holder(at);
        let (state, trusted_ms) = (State::Cancelled, moment.trusted_ms);
        let answer = FinalAnswer { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
        outbox.settle(kernel, cancel.event..=cancel.event, answer);
        self.count(cancel.totals, at);
    }

    /// The frame that drops these events.
    pub(crate) fn evict_frame(&self, outbox: &Outbox, lsns: &[u64], wall_ms: i64) -> EvictFrame {
        let mut by_scope: BTreeMap<usize, Vec<LostEvent>> = BTreeMap::new();
        let events = outbox.events();
        for lsn in lsns {
            let found = events.live(*lsn).zip(events.keys().evictable_key(*lsn));
            let Some((live, key)) = found else { continue };
            let lost = LostEvent { event: *lsn, fingerprint: key.as_u128() };
            by_scope.entry(live.scope).or_default().push(lost);
        }
        let mut totals = self.totals;
        totals.evicted += by_scope.values().map(|events| events.len() as u64).sum::<u64>();
        let groups = by_scope.into_iter().map(|(scope, events)| (scope, wall_ms, events));
        EvictFrame { now: named(outbox, groups), earlier: Vec::new(), totals }
    }

    /// Keeps what was dropped and cancelled, if a frame that goes is needed for it: one frame reports all of it,
    /// wherever the others are.
    pub(crate) fn relocate(
        &self,
        outbox: &Outbox,
        at: Located,
        live: &mut LiveFrames,
        is_reported: &mut bool,
    ) {
        if self.reported_by == Some(at) {
            live.count_known();
        }
        if !*is_reported && self.is_needed(&at) {
            *is_reported = true;
            live.push(FrameKind::Evict, codec::encode(&self.summary(outbox)));
        }
    }

    /// Whether this frame reports the totals, or is the only one to report an event that is listed.
    fn is_needed(&self, at: &Located) -> bool {
        self.reported_by.as_ref() == Some(at)
            || self.losses.values().any(|lost| lost.reported_by == at.lsn)
    }

    /// What is counted and listed, as one frame says it.
    fn summary(&self, outbox: &Outbox) -> EvictFrame {
        let mut groups: BTreeMap<(usize, i64), Vec<LostEvent>> = BTreeMap::new();
        for (lsn, lost) in &self.losses {
            let event = LostEvent { event: *lsn, fingerprint: lost.fingerprint.as_u128() };
            groups.entry((lost.scope, lost.wall_ms)).or_default().push(event);
        }
        let groups = groups.into_iter().map(|((scope, wall_ms), events)| (scope, wall_ms, events));
        EvictFrame { now: Vec::new(), earlier: named(outbox, groups), totals: self.totals }
    }

    /// A frame reports these totals.
    fn count(&mut self, totals: Totals, at: Located) {
        self.totals.evicted = self.totals.evicted.max(totals.evicted);
        self.totals.cancelled = self.totals.cancelled.max(totals.cancelled);
        if self.reported_by.is_none_or(|newest| newest.lsn < at.lsn) {
            self.reported_by = Some(at);
        }
    }

    /// Lists dropped events: those with the highest numbers.
    fn list(&mut self, outbox: &mut Outbox, dropped: &DroppedEvents, reported_by: u64) {
        let scope = outbox.scopes_mut().intern(&dropped.scope);
        for lost in &dropped.events {
            let fingerprint = Fingerprint::from_u128(lost.fingerprint);
            let new = DroppedEvent { scope, fingerprint, wall_ms: dropped.wall_ms, reported_by };
            let listed = self.losses.entry(lost.event).or_insert(new);
            listed.reported_by = listed.reported_by.max(reported_by);
        }
        while self.losses.len() > LOSSES_MAX {
            self.losses.pop_first();
        }
    }
}

impl Area for LossTable {
    /// Frames of another segment report it by now.
    fn forget_segment(&mut self, _kernel: &mut Kernel, _segment: u64) {}

    fn known_frames(&self, segment: u64) -> usize {
        usize::from(self.reported_by.is_some_and(|at| at.place.segment == segment))
    }
}

/// Groups of dropped events with the names of their scopes.
fn named(
    outbox: &Outbox,
    groups: impl Iterator<Item = (usize, i64, Vec<LostEvent>)>,
) -> Vec<DroppedEvents> {
    let named = groups.filter_map(|(scope, wall_ms, events)| {
        let scope = outbox.scopes().get(scope)?.as_str().to_owned();
        Some(DroppedEvents { scope, wall_ms, events })
    });
    named.collect()
}
