//! What the upstream delivered: which windows are open, what is unfinished, how the rest ended.
//!
//! Payloads stay in the log. A delivery that is finished is here as long as the log has its keys.
//! No I/O, no clock, no lock here.

mod apply;
mod keys;
mod places;
mod replay;

use std::collections::{BTreeMap, VecDeque};

use super::{Asking, Held, Located, Moment, View, Wall};
use crate::config::InboxBounds;
use crate::error::Result;
use crate::inbox::{DeliveryState, DropReason, DroppedDelivery, InboxStatus};
use crate::limits::DROPPED_LISTED_MAX;

pub(crate) use apply::NewDelivery;
pub(crate) use keys::{DeliveryKey, delivery_keys, name_of};
use places::Places;

/// A key that an unfinished delivery holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldKey {
    /// The key.
    pub(crate) key: DeliveryKey,
    /// Its slice.
    pub(crate) held: Held,
}

/// A delivery that is not finished.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) at: Located,
    /// When it came.
    pub(crate) moment: Moment,
    /// What people call it.
    pub(crate) name: Box<str>,
    /// The server window that it is for.
    pub(crate) window: Option<Box<str>>,
    /// Steps that it has; 0: not told.
    pub(crate) steps: u32,
    /// The last step that is done; 0 for none.
    pub(crate) done: u32,
    /// The frame that says so, if it is not the delivery's own.
    done_at: Option<Located>,
    pub(crate) keys: Vec<HeldKey>,
}

impl Open {
    /// The step to do next; `None` after the last one.
    pub(crate) fn next_step(&self) -> Option<u32> {
        next_step(self.done, self.steps)
    }
}

/// The step behind `done`; `None` after the last one. 0 steps: how many there are was not told.
pub(crate) fn next_step(done: u32, steps: u32) -> Option<u32> {
    if steps > 0 && done >= steps { None } else { done.checked_add(1) }
}

/// A delivery that is finished and of which the log still has the keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    /// The frame with its keys.
    pub(crate) at: Located,
    /// Wall clock when it came.
    pub(crate) wall: Wall,
    pub(crate) state: DeliveryState,
    /// The event that tells the upstream; 0 for none.
    pub(crate) event: u64,
    /// Trusted time at which it was finished.
    pub(crate) settled_ms: u64,
    /// The last step that was done.
    pub(crate) done: u32,
    /// The frame that says how it ended, if it is not the one with the keys.
    pub(crate) outcome_at: Option<Located>,
    /// How many keys it had.
    keys: u64,
}

/// A window that the upstream issued and that is not known to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerWindow {
    /// LSN of the frame that told it first.
    pub(crate) number: u64,
    /// Trusted time at which it was told first.
    pub(crate) opened_ms: u64,
    /// Trusted time at which it is over.
    pub(crate) ends_ms: u64,
    pub(crate) at: Located,
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
pub(crate) struct Inbox {
    /// By the LSN of their first frame, as all deliveries.
    pub(crate) open: BTreeMap<u64, Open>,
    pub(crate) finished: BTreeMap<u64, Finished>,
    /// By what the upstream calls them.
    pub(crate) windows: BTreeMap<Box<str>, ServerWindow>,
    open_bytes: u64,
    /// Deliveries that were stored and dropped since the store was made.
    pub(crate) dropped_total: u64,
    /// The frame that says so.
    counted_at: Option<Located>,
    /// The last deliveries that were dropped.
    dropped: VecDeque<DroppedDelivery>,
    counts: Counts,
    /// Some may be for a window that is not known, because the frame that told it was lost.
    has_orphans: bool,
    /// Frames that are needed.
    places: Places,
}

/// A window that is over, and its unfinished deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ending {
    /// 0: it was not open.
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) dropped: Vec<u64>,
}

impl Inbox {
    /// Counts; `trusted_ms` is now.
    pub(crate) fn status(&self, trusted_ms: u64) -> InboxStatus {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let is_finished = |it: &&Finished| it.state != DeliveryState::Dropped;
        let is_open = |window: &&ServerWindow| trusted_ms < window.ends_ms;
        InboxStatus {
            open: count(self.open.len()),
            open_bytes: self.open_bytes,
            finished: count(self.finished.values().filter(is_finished).count()),
            windows: count(self.windows.values().filter(is_open).count()),
            dropped: self.dropped_total,
            duplicates: self.counts.duplicates,
            refused_window_not_open: self.counts.window_not_open,
            refused_full: self.counts.full,
        }
    }

    /// The last deliveries that were dropped, oldest first.
    pub(crate) fn dropped(&self) -> Vec<DroppedDelivery> {
        self.dropped.iter().cloned().collect()
    }

    /// Keys that deliveries have in the index.
    pub(crate) fn key_count(&self) -> u64 {
        let open = self.open.values().map(|open| open.keys.len());
        let open = u64::try_from(open.sum::<usize>()).unwrap_or(u64::MAX);
        open + self.finished.values().map(|finished| finished.keys).sum::<u64>()
    }

    /// How far a delivery is; `None`: it is not known.
    pub(crate) fn state_of(&self, lsn: u64) -> Option<DeliveryState> {
        let finished = || self.finished.get(&lsn).map(|finished| finished.state);
        self.open.get(&lsn).map(|_| DeliveryState::Open).or_else(finished)
    }

    /// Whether a window is open at `trusted_ms`.
    pub(crate) fn is_open(&self, window: &str, trusted_ms: u64) -> bool {
        self.windows.get(window).is_some_and(|window| trusted_ms < window.ends_ms)
    }

    /// Whether work on a delivery is still wanted.
    pub(crate) fn is_wanted(&self, open: &Open, trusted_ms: u64) -> bool {
        open.window.as_deref().is_none_or(|window| self.is_open(window, trusted_ms))
    }

    /// Why one more delivery of so many bytes is not taken, if so; counts it.
    pub(crate) fn refuse(
        &mut self,
        window: Option<&str>,
        bytes: u64,
        bounds: &InboxBounds,
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
    pub(crate) fn saw_duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// The windows that are over at `trusted_ms` and not known to be, with what they drop. What is for
    /// a window that is not known, because the frame that told it was lost, is dropped too.
    pub(crate) fn endings(&self, trusted_ms: u64) -> Vec<Ending> {
        let over = self.windows.iter().filter(|(_, window)| trusted_ms >= window.ends_ms);
        let mut ids: Vec<&str> = over.map(|(id, _)| &**id).collect();
        // Every call of the inbox asks: only where there may be some, all are looked at.
        if self.has_orphans {
            let unknown = self.open.values().filter_map(|open| open.window.as_deref());
            ids.extend(unknown.filter(|window| !self.windows.contains_key(*window)));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.ending(id)).collect()
    }

    /// What the end of a window drops.
    pub(crate) fn ending(&self, id: &str) -> Ending {
        let of_it = self.open.iter().filter(|(_, open)| open.window.as_deref() == Some(id));
        Ending {
            number: self.windows.get(id).map_or(0, |window| window.number),
            id: id.to_owned(),
            dropped: of_it.map(|(lsn, _)| *lsn).collect(),
        }
    }

    /// Bytes of frames that are carried whole.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.open_bytes
    }

    /// How many frames of a segment are needed.
    pub(crate) fn known_frames(&self, segment: u64) -> usize {
        self.places.count(segment)
    }

    /// Whether this frame is needed.
    pub(crate) fn needs(&self, at: &Located) -> bool {
        self.places.has(at)
    }

    /// Whether this frame says how many deliveries were dropped.
    pub(crate) fn is_count(&self, at: &Located) -> bool {
        self.counted_at == Some(*at)
    }

    /// Whether this frame says which steps of a delivery are done, and no other that is carried will.
    pub(crate) fn tells_steps(&self, lsn: u64, at: &Located) -> bool {
        let is_it =
            |open: &Open| open.done_at == Some(*at) && open.at.place.segment != at.place.segment;
        self.open.get(&lsn).is_some_and(is_it)
    }

    /// Forgets what is known of a segment's frames, because the segment is gone.
    pub(crate) fn forget_segment(&mut self, number: u64) {
        let is_there = |at: &Located| at.place.segment != number;
        let places = &mut self.places;
        self.finished.retain(|_, finished| {
            // What of it was still needed was carried, and stands elsewhere by now.
            let stays = is_there(&finished.at);
            if !stays && let Some(at) = finished.outcome_at.take() {
                places.remove(&at);
            }
            stays
        });
        places.forget(number);
    }

    /// Notes a dropped delivery for those who ask.
    fn list_dropped(&mut self, dropped: DroppedDelivery) {
        if self.dropped.len() >= DROPPED_LISTED_MAX {
            self.dropped.pop_front();
        }
        self.dropped.push_back(dropped);
    }
}

impl Asking<'_> {
    /// The delivery that has one of these keys, and how far it is.
    ///
    /// One that was dropped never took effect, and one that is forgotten here was over: their keys
    /// may be taken again.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn known_delivery(
        self,
        keys: &[DeliveryKey],
    ) -> Result<Option<(u64, DeliveryState)>> {
        for key in keys {
            let Some(found) = self.find(key.print)? else { continue };
            match self.inbox.state_of(found.lsn) {
                None if self.is_lost(found.lsn) => {
                    return Ok(Some((found.lsn, DeliveryState::OutcomeUnknown)));
                }
                Some(DeliveryState::Dropped) | None => {}
                Some(state) => return Ok(Some((found.lsn, state))),
            }
        }
        Ok(None)
    }
}

impl View {
    /// Frees keys that [`Asking::known_delivery`] found to be no duplicates. `durable` is the LSN of any durable
    /// frame behind those that had them.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn free_delivery_keys(&mut self, keys: &[DeliveryKey], durable: u64) -> Result<()> {
        for key in keys {
            let Some(found) = self.keys.find(key.print)? else { continue };
            self.keys.release(key.print, durable, None);
            if let Some(dropped) = self.inbox.finished.get_mut(&found.lsn) {
                dropped.keys = dropped.keys.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// The keys of unfinished deliveries that hold one of these slices move on.
    pub(super) fn carry_delivery_keys(
        &mut self,
        slices: &[onceward_index::SliceId],
        trusted_ms: u64,
    ) {
        for held in self.inbox.open.values_mut().flat_map(|open| &mut open.keys) {
            if held.held.slice.is_some_and(|slice| slices.contains(&slice)) {
                self.keys.carry(held.key.print, &mut held.held, trusted_ms);
            }
        }
    }

    /// The log was read: deliveries whose keys were carried hold the slices that have them now.
    pub(super) fn hold_delivery_keys(&mut self) {
        let windows = &self.inbox.windows;
        let is_orphan = |window: &str| !windows.contains_key(window);
        let mut open = self.inbox.open.values();
        self.inbox.has_orphans = open.any(|open| open.window.as_deref().is_some_and(is_orphan));
        for held in self.inbox.open.values_mut().flat_map(|open| &mut open.keys) {
            if held.held.slice.is_none() {
                self.keys.hold_carried(held.key.print, &mut held.held);
            }
        }
    }
}

#[cfg(test)]
mod tests;
