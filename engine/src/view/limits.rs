//! What limits need to know: how much unsettled events take, which of them may be dropped, and what
//! was dropped. No I/O, no clock, no lock here.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Fingerprint;

use super::apply::Final;
use super::{Live, Located, Moment, Stage, View};
use crate::frames::limits::{Cancel, Dropped, Evict, LostEvent, Totals};
use crate::limits::LOSSES_MAX;
use crate::verdict::State;

/// An event that was dropped to make room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lost {
    /// Number of its scope.
    pub(crate) scope: usize,
    pub(crate) print: Fingerprint,
    /// Wall clock when it was dropped.
    pub(crate) wall_ms: i64,
    /// LSN of the newest frame that tells of it.
    told_by: u64,
}

/// What is counted and listed.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Bytes of the frames of all unsettled events.
    bytes: u64,
    /// Events that may be dropped and wait to be sent.
    evictable: BTreeSet<u64>,
    totals: Totals,
    /// The last dropped ones, by LSN: at most [`LOSSES_MAX`], those with the highest numbers.
    losses: BTreeMap<u64, Lost>,
    /// The newest frame that tells all that.
    told_by: Option<Located>,
}

impl Room {
    /// Bytes that unsettled events take in the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events were dropped and cancelled.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// The events that may be dropped, oldest first.
    pub(crate) fn evictable(&self) -> impl Iterator<Item = u64> + '_ {
        self.evictable.iter().copied()
    }

    /// The last dropped events, by LSN.
    pub(crate) fn losses(&self) -> &BTreeMap<u64, Lost> {
        &self.losses
    }

    /// An event without a final answer is there.
    pub(super) fn add(&mut self, lsn: u64, live: &Live) {
        self.bytes = self.bytes.saturating_add(u64::from(live.at.bytes));
        self.set_stage(lsn, live);
    }

    /// It is gone.
    pub(super) fn remove(&mut self, lsn: u64, live: &Live) {
        self.bytes = self.bytes.saturating_sub(u64::from(live.at.bytes));
        if live.is_evictable {
            self.evictable.remove(&lsn);
        }
    }

    /// It came to another stage.
    pub(super) fn set_stage(&mut self, lsn: u64, live: &Live) {
        if !live.is_evictable || live.at_once {
            return;
        }
        if live.stage == Stage::Pending {
            self.evictable.insert(lsn);
        } else {
            self.evictable.remove(&lsn);
        }
    }

    /// A frame tells these totals.
    fn tell(&mut self, totals: Totals, at: Located) {
        self.totals.evicted = self.totals.evicted.max(totals.evicted);
        self.totals.cancelled = self.totals.cancelled.max(totals.cancelled);
        if self.told_by.is_none_or(|told_by| told_by.lsn < at.lsn) {
            self.told_by = Some(at);
        }
    }

    /// Whether this is the frame that tells the totals.
    pub(crate) fn is_told_by(&self, at: &Located) -> bool {
        self.told_by.as_ref() == Some(at)
    }

    /// Whether this frame tells the totals, or is the only one to tell of an event that is listed.
    pub(crate) fn is_needed(&self, at: &Located) -> bool {
        self.is_told_by(at) || self.losses.values().any(|lost| lost.told_by == at.lsn)
    }

    /// How many frames of a segment it counts on.
    pub(super) fn known_frames(&self, segment: u64) -> usize {
        usize::from(self.told_by.is_some_and(|at| at.place.segment == segment))
    }
}

impl View {
    /// Events are dropped to make room.
    pub(crate) fn apply_evict(&mut self, evict: &Evict, at: Located, moment: Moment) {
        if !evict.now.is_empty() {
            self.add_holder(at);
        }
        let (state, trusted_ms) = (State::Expired, moment.trusted_ms);
        let answer = Final { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
        for dropped in &evict.now {
            self.list(dropped, at.lsn);
            dropped.events.iter().for_each(|lost| self.settle_event(lost.event, answer));
        }
        evict.earlier.iter().for_each(|dropped| self.list(dropped, at.lsn));
        self.room.tell(evict.totals, at);
    }

    /// An event is taken back.
    pub(crate) fn apply_cancel(&mut self, cancel: &Cancel, at: Located, moment: Moment) {
        self.add_holder(at);
        let (state, trusted_ms) = (State::Cancelled, moment.trusted_ms);
        let answer = Final { state, holder: at.lsn, trusted_ms, receipt_bytes: 0 };
        self.settle_event(cancel.event, answer);
        self.room.tell(cancel.totals, at);
    }

    /// The frame that drops these events, which are unsettled.
    pub(crate) fn evict_frame(&self, lsns: &[u64], wall_ms: i64) -> Evict {
        let mut by_scope: BTreeMap<usize, Vec<LostEvent>> = BTreeMap::new();
        for (lsn, live) in lsns.iter().filter_map(|lsn| Some((*lsn, self.events.get(lsn)?))) {
            let lost = LostEvent { event: lsn, print: live.print.as_u128() };
            by_scope.entry(live.scope).or_default().push(lost);
        }
        let mut totals = self.room.totals;
        totals.evicted += by_scope.values().map(|events| events.len() as u64).sum::<u64>();
        let now =
            self.dropped(by_scope.into_iter().map(|(scope, events)| (scope, wall_ms, events)));
        Evict { now, earlier: Vec::new(), totals }
    }

    /// A frame that says all that frames said whose segments are about to go.
    pub(crate) fn room_summary(&self) -> Evict {
        let mut groups: BTreeMap<(usize, i64), Vec<LostEvent>> = BTreeMap::new();
        for (lsn, lost) in &self.room.losses {
            let event = LostEvent { event: *lsn, print: lost.print.as_u128() };
            groups.entry((lost.scope, lost.wall_ms)).or_default().push(event);
        }
        let groups = groups.into_iter().map(|((scope, wall_ms), events)| (scope, wall_ms, events));
        Evict { now: Vec::new(), earlier: self.dropped(groups), totals: self.room.totals }
    }

    fn dropped(&self, groups: impl Iterator<Item = (usize, i64, Vec<LostEvent>)>) -> Vec<Dropped> {
        let named = groups.filter_map(|(scope, wall_ms, events)| {
            let scope = self.scope(scope)?.as_str().to_owned();
            Some(Dropped { scope, wall_ms, events })
        });
        named.collect()
    }

    /// Lists dropped events of which the frame `told_by` tells, and forgets the oldest of too many.
    fn list(&mut self, dropped: &Dropped, told_by: u64) {
        let scope = self.intern(&dropped.scope);
        for lost in &dropped.events {
            let print = Fingerprint::from_u128(lost.print);
            let lost_now = Lost { scope, print, wall_ms: dropped.wall_ms, told_by };
            let listed = self.room.losses.entry(lost.event).or_insert(lost_now);
            listed.told_by = listed.told_by.max(told_by);
        }
        while self.room.losses.len() > LOSSES_MAX {
            self.room.losses.pop_first();
        }
    }
}
