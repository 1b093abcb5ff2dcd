//! Changes of the inbox, one function for each kind of frame. Replay and live calls both end here.

use super::replay::replay_finished_keys;
use super::{DeliveryTable, FinishedDelivery, HeldKey, OpenDelivery, ServerWindow, name_of};
use crate::base::{Located, Moment, Wall};
use crate::inbox::frames::{DeliveryBody, DeliveryEnd, FinishedEntry, WindowClosed, WindowOpened};
use crate::inbox::{DeliveryState, DroppedDelivery, SUBJECTS};
use crate::kernel::Kernel;

/// A delivery that comes in: its keys are taken.
#[derive(Debug)]
pub(crate) struct NewDelivery {
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
    /// The delivery's keys.
    pub(in crate::inbox) keys: Vec<HeldKey>,
}

impl NewDelivery {
    /// What comes in with its first frame.
    pub(crate) fn of(body: &DeliveryBody, moment: Moment, keys: Vec<HeldKey>) -> Self {
        let window = body.within.as_ref().map(|within| within.window.as_str().into());
        Self { moment, name: name_of(body).into(), window, steps: body.steps, done: 0, keys }
    }
}

impl DeliveryTable {
    /// A delivery whose keys are taken, under the LSN of its first frame.
    pub(super) fn add(&mut self, lsn: u64, at: Located, new: NewDelivery) {
        let NewDelivery { moment, name, window, steps, done, keys } = new;
        self.places.add(&at);
        self.open_bytes += u64::from(at.bytes);
        let open = OpenDelivery { at, moment, name, window, steps, done, done_at: None, keys };
        self.keys += open.keys.len() as u64;
        self.open.insert(lsn, open);
    }

    /// A step is done; `false`: it, or a later one, was before.
    pub(crate) fn apply_step(&mut self, delivery: u64, step: u32, at: Located) -> bool {
        let Some(open) = self.open.get_mut(&delivery) else { return false };
        if step <= open.done {
            return false;
        }
        open.done = step;
        let before = open.done_at.replace(at);
        before.iter().for_each(|before| self.places.remove(before));
        self.places.add(&at);
        true
    }

    /// A delivery is finished.
    pub(crate) fn apply_final(
        &mut self,
        kernel: &mut Kernel,
        ending: &DeliveryEnd,
        (at, moment): (Located, Moment),
    ) {
        // A state that only a newer program knows ends it too; what it means is said by that one.
        let state = DeliveryState::from_code(ending.state).unwrap_or(DeliveryState::Failed);
        let event = match (ending.event, state) {
            (0, DeliveryState::Dropped) => 0,
            (0, _) => at.lsn + 1,
            (event, _) => event,
        };
        let settled_ms = if ending.settled_ms == 0 { moment.trusted_ms } else { ending.settled_ms };
        self.finish(kernel, (ending.delivery, state, event), settled_ms, at);
    }

    /// A window is open.
    pub(crate) fn apply_opened(
        &mut self,
        kernel: &mut Kernel,
        opened: &WindowOpened,
        (at, moment): (Located, Moment),
    ) {
        let (number, opened_ms) = match opened.number {
            0 => (at.lsn, moment.trusted_ms),
            number => (number, opened.opened_ms),
        };
        let ends_ms = opened.ends_ms;
        let window = ServerWindow { number, opened_ms, ends_ms, at };
        self.places.add(&at);
        if let Some(before) = self.windows.insert(opened.id.as_str().into(), window) {
            self.places.remove(&before.at);
        }
        // What was finished in it when its end was thought to be earlier is remembered as long.
        let window = kernel.keys.windows().of(SUBJECTS);
        kernel.keys.raise_from(window, opened_ms, ends_ms);
    }

    /// A window is over, and what is unfinished in it is dropped.
    pub(crate) fn apply_closed(
        &mut self,
        kernel: &mut Kernel,
        closed: &WindowClosed,
        (at, moment): (Located, Moment),
    ) {
        for lsn in &closed.dropped {
            if let Some(open) = self.open.get(lsn)
                && let Some(lsn) = crate::Lsn::from_u64(*lsn)
            {
                let (id, window) = (open.name.to_string(), closed.id.clone());
                self.dropped.list(DroppedDelivery { lsn, id, window });
            }
            self.finish(kernel, (*lsn, DeliveryState::Dropped, 0), moment.trusted_ms, at);
        }
        let is_it = |window: &ServerWindow| window.number == closed.number;
        if self.windows.get(closed.id.as_str()).is_some_and(is_it)
            && let Some(window) = self.windows.remove(closed.id.as_str())
        {
            self.places.remove(&window.at);
        }
        self.apply_count(closed.dropped_total, at);
        // Those whose window is not known end together with whatever ends first.
        self.has_orphans = false;
    }

    /// Applies how many deliveries were dropped since the store was made.
    pub(crate) fn apply_count(&mut self, dropped_total: u64, at: Located) {
        let Some(before) = self.dropped.count(dropped_total, at) else { return };
        before.iter().for_each(|before| self.places.remove(before));
        self.places.add(&at);
    }

    /// The keys of finished deliveries are in this frame now.
    pub(crate) fn apply_finished(
        &mut self,
        kernel: &mut Kernel,
        entries: &[FinishedEntry],
        at: Located,
    ) {
        for entry in entries {
            let state = DeliveryState::from_code(entry.state).unwrap_or(DeliveryState::Failed);
            if kernel.keys.is_replaying() {
                replay_finished_keys(kernel, entry, at.lsn);
            }
            // A copy that a crash left between carrying and trimming.
            self.finish(kernel, (entry.number, state, entry.event), 0, at);
            let before = self.finished.remove(&entry.number);
            before.iter().for_each(|before| self.uncount(before));
            for gone in before.iter().flat_map(|it| it.outcome_at.iter().chain([&it.at])) {
                self.places.remove(gone);
            }
            let finished = FinishedDelivery {
                at,
                wall: before.map_or(Wall::UNKNOWN, |before| before.wall),
                state,
                event: entry.event,
                settled_ms: before.map_or(0, |before| before.settled_ms),
                done: before.map_or(0, |before| before.done),
                outcome_at: None,
                keys: u64::try_from(entry.keys.len()).unwrap_or(u64::MAX),
            };
            self.places.add(&at);
            self.count(&finished);
            self.finished.insert(entry.number, finished);
        }
        kernel.keys.mark_applied(at.lsn);
    }

    /// An unfinished delivery moved, and with it which of its steps are done.
    pub(super) fn move_delivery(&mut self, lsn: u64, at: Located) {
        let Some(open) = self.open.get_mut(&lsn) else { return };
        let before = std::mem::replace(&mut open.at, at);
        let done_at = open.done_at.take();
        self.open_bytes += u64::from(at.bytes);
        self.open_bytes -= u64::from(before.bytes);
        done_at.iter().chain([&before]).for_each(|gone| self.places.remove(gone));
        self.places.add(&at);
    }

    /// The frame moved that says how far a delivery is.
    pub(super) fn move_progress(&mut self, lsn: u64, at: Located) {
        let open = self.open.get_mut(&lsn).map(|open| &mut open.done_at);
        let finished = self.finished.get_mut(&lsn).map(|it| &mut it.outcome_at);
        let Some(place) = open.or(finished) else { return };
        let before = place.replace(at);
        before.iter().for_each(|before| self.places.remove(before));
        self.places.add(&at);
    }

    /// A delivery is finished: its keys are settled, those of a server window not before that is over.
    fn finish(
        &mut self,
        kernel: &mut Kernel,
        (lsn, state, event): (u64, DeliveryState, u64),
        settled_ms: u64,
        outcome_at: Located,
    ) {
        let Some(open) = self.open.remove(&lsn) else {
            if self.finished.contains_key(&lsn) {
                self.move_progress(lsn, outcome_at);
            }
            return;
        };
        let window = open.window.as_deref().and_then(|window| self.windows.get(window));
        let over_ms = window.map_or(settled_ms, |window| settled_ms.max(window.ends_ms));
        for HeldKey { key, held } in &open.keys {
            let settled_ms = if key.is_of_window { over_ms } else { settled_ms };
            kernel.keys.settle(Some(key.fingerprint), *held, settled_ms);
        }
        self.open_bytes -= u64::from(open.at.bytes);
        open.done_at.iter().for_each(|gone| self.places.remove(gone));
        self.places.add(&outcome_at);
        let finished = FinishedDelivery {
            at: open.at,
            wall: open.moment.wall,
            state,
            event,
            settled_ms,
            done: open.done,
            outcome_at: Some(outcome_at),
            keys: u64::try_from(open.keys.len()).unwrap_or(u64::MAX),
        };
        self.keys -= open.keys.len() as u64;
        self.count(&finished);
        self.finished.insert(lsn, finished);
    }

    /// Counts a finished delivery.
    fn count(&mut self, finished: &FinishedDelivery) {
        self.keys += finished.keys;
        self.done += u64::from(finished.state != DeliveryState::Dropped);
    }

    /// Counts it no more.
    pub(super) fn uncount(&mut self, finished: &FinishedDelivery) {
        self.keys -= finished.keys;
        self.done -= u64::from(finished.state != DeliveryState::Dropped);
    }
}
