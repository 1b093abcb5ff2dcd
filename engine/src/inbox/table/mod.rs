//! What the upstream delivered: which windows are open, what is unfinished, how the rest ended.
//!
//! Payloads stay in the log. A delivery that is finished is here as long as the log has its keys.
//! No I/O, no clock, no lock here.

mod apply;
mod dropped;
mod keys;
mod places;
mod queued;
mod relocate;
mod replay;
mod windows;

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

use super::bounds::InboxBounds;
use super::{DeliveryState, DropReason, InboxStatus};
use crate::base::{Located, Moment, Wall};
use crate::kernel::{Area, Kernel, SliceHold};
pub(crate) use apply::NewDelivery;
use dropped::DroppedDeliveries;
pub(crate) use keys::{DeliveryKey, delivery_keys, name_of};
use places::Places;
use queued::QueuedDelivery;
pub(crate) use relocate::FinishedHere;
pub(crate) use windows::{ServerWindow, WindowEnding};

/// A key that an unfinished delivery holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldKey {
    /// The key.
    pub(in crate::inbox) key: DeliveryKey,
    /// The slice that the key holds.
    pub(in crate::inbox) held: SliceHold,
}

/// A delivery that is not finished.
#[derive(Clone, Debug)]
pub(crate) struct OpenDelivery {
    pub(in crate::inbox) at: Located,
    /// When it came.
    pub(in crate::inbox) moment: Moment,
    /// What people call it.
    pub(in crate::inbox) name: Box<str>,
    /// The server window that it is for.
    pub(in crate::inbox) window: Option<Box<str>>,
    /// Steps that it has; 0: not known.
    pub(in crate::inbox) steps: u32,
    /// The last step that is done; 0 for none.
    pub(in crate::inbox) done: u32,
    /// The frame that says so, if it is not the delivery's own.
    done_at: Option<Located>,
    pub(in crate::inbox) keys: Vec<HeldKey>,
}

impl OpenDelivery {
    /// The step to do next; `None` after the last one.
    pub(crate) fn next_step(&self) -> Option<u32> {
        next_step(self.done, self.steps)
    }
}

/// The step behind `done`; `None` after the last one. 0 steps: how many there are is not known.
pub(crate) fn next_step(done: u32, steps: u32) -> Option<u32> {
    if steps > 0 && done >= steps { None } else { done.checked_add(1) }
}

/// A delivery that is finished and of which the log still has the keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedDelivery {
    /// The frame with its keys.
    pub(in crate::inbox) at: Located,
    /// Wall clock when it came.
    pub(in crate::inbox) wall: Wall,
    pub(in crate::inbox) state: DeliveryState,
    /// The event that reports the end to the upstream; 0 for none.
    pub(in crate::inbox) event: u64,
    /// Trusted time at which it was finished.
    pub(in crate::inbox) settled_ms: u64,
    /// The last step that was done.
    pub(in crate::inbox) done: u32,
    /// The frame that says how it ended, if it is not the one with the keys.
    pub(in crate::inbox) outcome_at: Option<Located>,
    /// How many keys it had.
    keys: u64,
}

/// What was counted since the store was opened.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    duplicates: u64,
    window_not_open: u64,
    full: u64,
}

/// What the upstream delivered.
#[derive(Debug, Default)]
pub(crate) struct DeliveryTable {
    /// By the LSN of their first frame, as all deliveries.
    open: BTreeMap<u64, OpenDelivery>,
    finished: BTreeMap<u64, FinishedDelivery>,
    /// By what the upstream calls them.
    windows: BTreeMap<Box<str>, ServerWindow>,
    open_bytes: u64,
    dropped: DroppedDeliveries,
    counts: Counts,
    /// Some may be for a window that is not known, because the frame that opened it was lost.
    has_orphans: bool,
    /// Frames that are needed.
    places: Places,
    /// Keys that deliveries have in the index.
    keys: u64,
    /// Finished deliveries that were not dropped.
    done: u64,
    /// A delivery whose frame is queued and not known to be durable.
    queued: Option<QueuedDelivery>,
}

impl DeliveryTable {
    /// Counts; `trusted_ms` is now.
    pub(crate) fn status(&self, trusted_ms: u64) -> InboxStatus {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let is_open = |window: &&ServerWindow| trusted_ms < window.ends_ms;
        InboxStatus {
            open: count(self.open.len()),
            open_bytes: self.open_bytes,
            finished: self.done,
            windows: count(self.windows.values().filter(is_open).count()),
            dropped: self.dropped.total(),
            duplicates: self.counts.duplicates,
            refused_window_not_open: self.counts.window_not_open,
            refused_full: self.counts.full,
        }
    }

    /// Unfinished deliveries, by the LSN of their first frame.
    pub(crate) fn open(&self) -> &BTreeMap<u64, OpenDelivery> {
        &self.open
    }

    /// A finished delivery of which the log still has the keys.
    pub(crate) fn finished(&self, lsn: u64) -> Option<&FinishedDelivery> {
        self.finished.get(&lsn)
    }

    /// Windows that are not known to be over, by what the upstream calls them.
    pub(crate) fn windows(&self) -> &BTreeMap<Box<str>, ServerWindow> {
        &self.windows
    }

    /// What was dropped.
    pub(crate) fn dropped(&self) -> &DroppedDeliveries {
        &self.dropped
    }

    /// How far a delivery is; `None`: it is not known.
    pub(crate) fn state_of(&self, lsn: u64) -> Option<DeliveryState> {
        let finished = || self.finished.get(&lsn).map(|finished| finished.state);
        self.open.get(&lsn).map(|_| DeliveryState::Open).or_else(finished)
    }

    /// Why one more delivery of so many bytes is not taken, if so; counts it.
    pub(crate) fn refuse(
        &mut self,
        window: Option<&str>,
        bytes: u64,
        bounds: InboxBounds,
        trusted_ms: u64,
    ) -> Option<DropReason> {
        if window.is_some_and(|window| !self.is_open(window, trusted_ms)) {
            self.counts.window_not_open += 1;
            return Some(DropReason::WindowNotOpen);
        }
        let is_full = self.open.len() >= bounds.deliveries_max
            || self.open_bytes.saturating_add(bytes) > bounds.bytes_max;
        if is_full {
            self.counts.full += 1;
        }
        is_full.then_some(DropReason::Full)
    }

    /// A delivery came again.
    pub(crate) fn count_duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// What is counted, counted anew: keys in the index, and finished deliveries that were not dropped.
    #[cfg(test)]
    pub(crate) fn has_right_counts(&self) -> bool {
        let open = self.open.values().map(|open| open.keys.len() as u64).sum::<u64>();
        let keys = open + self.finished.values().map(|finished| finished.keys).sum::<u64>();
        let is_done = |it: &&FinishedDelivery| it.state != DeliveryState::Dropped;
        let done = self.finished.values().filter(is_done).count() as u64;
        (keys, done) == (self.keys, self.done)
    }
}

impl Area for DeliveryTable {
    /// Deliveries whose keys were carried hold the slices that have them now.
    fn end_replay(&mut self, kernel: &mut Kernel) {
        let windows = &self.windows;
        let is_orphan = |window: &str| !windows.contains_key(window);
        let mut open = self.open.values();
        self.has_orphans = open.any(|open| open.window.as_deref().is_some_and(is_orphan));
        for held in self.open.values_mut().flat_map(|open| &mut open.keys) {
            if held.held.slice.is_none() {
                kernel.keys.hold_carried(Some(held.key.fingerprint), &mut held.held);
            }
        }
    }

    fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        for held in self.open.values_mut().flat_map(|open| &mut open.keys) {
            if held.held.slice.is_some_and(|slice| slices.contains(&slice)) {
                kernel.keys.carry(Some(held.key.fingerprint), &mut held.held, trusted_ms);
            }
        }
    }

    fn forget_segment(&mut self, _kernel: &mut Kernel, segment: u64) {
        let gone = self.finished.extract_if(.., |_, it| it.at.place.segment == segment);
        for finished in gone.map(|(_, finished)| finished).collect::<Vec<_>>() {
            self.uncount(&finished);
            // What of it was still needed was carried, and is elsewhere by now.
            finished.outcome_at.iter().for_each(|at| self.places.remove(at));
        }
        self.places.forget(segment);
    }

    fn known_frames(&self, segment: u64) -> usize {
        self.places.count(segment)
    }

    fn live_bytes(&self) -> u64 {
        self.open_bytes
    }

    fn key_count(&self) -> u64 {
        self.keys
    }

    fn knows(&self, item: u64) -> bool {
        self.state_of(item).is_some()
    }

    fn held_slices(&self, held: &mut BTreeMap<Fingerprint, SliceId>) {
        let keys = self.open.values().flat_map(|open| &open.keys);
        held.extend(keys.filter_map(|held| Some((held.key.fingerprint, held.held.slice?))));
    }
}

#[cfg(test)]
mod tests;
