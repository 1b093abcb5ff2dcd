//! What of the inbox lives in a segment that is to go, and where it was carried to.

use onceward_index::Fingerprint;

use super::{DeliveryTable, FinishedDelivery, OpenDelivery, delivery_keys};
use crate::base::{FrameKind, Located, Result, codec};
use crate::inbox::DeliveryState;
use crate::inbox::frames::{
    DeliveryBody, DeliveryEnd, DeliveryFrame, DeliveryMoved, FinishedEntry, FinishedKey,
    ProgressFrame, WindowClosed, WindowFrame, WindowOpened,
};
use crate::kernel::{Asking, KEY_ENTRY_BYTES, Kernel, LiveFrames};

/// Finished deliveries in one frame.
const FINISHED_MAX: usize = 128;

/// Finished deliveries that still have keys, gathered to be carried together.
#[derive(Debug, Default)]
pub(crate) struct FinishedHere(Vec<FinishedEntry>);

impl FinishedHere {
    /// Puts what was gathered into frames.
    pub(crate) fn end(self, live: &mut LiveFrames) {
        for some in self.0.chunks(FINISHED_MAX) {
            let frame = DeliveryFrame::Finished(some.to_vec());
            live.push(FrameKind::Delivery, codec::encode(&frame));
        }
    }
}

impl DeliveryTable {
    /// Keeps what a frame says of a window, or of the deliveries that it dropped.
    pub(crate) fn relocate_window(&self, window: &WindowFrame, at: Located, live: &mut LiveFrames) {
        if !self.places.has(&at) {
            return;
        }
        live.count_known();
        if self.dropped.is_counted_by(&at) {
            let dropped_total = self.dropped.total();
            let frame = WindowFrame::Counted { dropped_total };
            live.push(FrameKind::Window, codec::encode(&frame));
        }
        match window {
            WindowFrame::Opened(WindowOpened { id, .. }) => {
                let open = self.windows.get(id.as_str());
                let Some(open) = open.filter(|open| open.at == at) else { return };
                let opened = WindowOpened {
                    number: open.number,
                    id: id.clone(),
                    opened_ms: open.opened_ms,
                    ends_ms: open.ends_ms,
                };
                live.push(FrameKind::Window, codec::encode(&WindowFrame::Opened(opened)));
            }
            WindowFrame::Closed(WindowClosed { dropped, .. }) => {
                dropped.iter().for_each(|lsn| self.relocate_outcome(*lsn, at, live));
            }
            WindowFrame::Counted { .. } => {}
        }
    }

    /// Keeps an unfinished delivery, and the keys of finished ones.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn relocate_delivery(
        &self,
        (kernel, asking): (&Kernel, Asking<'_>),
        frame: DeliveryFrame,
        at: Located,
        (live, gathered): (&mut LiveFrames, &mut FinishedHere),
    ) -> Result<()> {
        if !self.places.has(&at) {
            return Ok(());
        }
        live.count_known();
        let mut keep = |number,
                        finished,
                        fingerprints: &mut dyn Iterator<Item = (u128, bool)>|
         -> Result<()> {
            let kept = keys_left((kernel, asking), (number, finished), fingerprints)?;
            if let Some(kept) = kept {
                let count = u64::try_from(kept.keys.len()).unwrap_or(u64::MAX);
                live.count_bytes(KEY_ENTRY_BYTES.saturating_mul(count));
                gathered.0.push(kept);
            }
            Ok(())
        };
        let (lsn, body) = match frame {
            DeliveryFrame::Received { body, .. } => (at.lsn, body),
            DeliveryFrame::Moved(moved) => (moved.number, moved.body),
            DeliveryFrame::Finished(entries) => {
                for entry in entries {
                    let Some(finished) = self.finished.get(&entry.number) else { continue };
                    if finished.at == at {
                        let mut keys =
                            entry.keys.iter().map(|key| (key.fingerprint, key.is_of_window));
                        keep(entry.number, *finished, &mut keys)?;
                    }
                }
                return Ok(());
            }
        };
        if let Some(open) = self.open.get(&lsn).filter(|open| open.at == at) {
            let moved = DeliveryFrame::Moved(moved(lsn, open, body));
            live.push(FrameKind::Delivery, codec::encode(&moved));
        } else if let Some(finished) = self.finished.get(&lsn).filter(|it| it.at == at) {
            let keys = delivery_keys(&kernel.secret, kernel.keys.windows(), &body);
            let mut keys = keys.iter().map(|key| (key.fingerprint.as_u128(), key.is_of_window));
            keep(lsn, *finished, &mut keys)?;
        }
        Ok(())
    }

    /// Keeps how far a delivery is, or how it ended.
    pub(crate) fn relocate_progress(
        &self,
        progress: &ProgressFrame,
        at: Located,
        live: &mut LiveFrames,
    ) {
        if !self.places.has(&at) {
            return;
        }
        live.count_known();
        match progress {
            ProgressFrame::Step { delivery, .. } => {
                // Where the delivery itself is carried, that says how far it is.
                let is_elsewhere = |open: &OpenDelivery| open.at.place.segment != at.place.segment;
                let open = self.open.get(delivery).filter(|open| open.done_at == Some(at));
                if open.is_some_and(is_elsewhere) {
                    live.push(FrameKind::Progress, codec::encode(progress));
                }
            }
            ProgressFrame::Final(ending) => self.relocate_outcome(ending.delivery, at, live),
        }
    }

    /// Keeps how a delivery ended whose keys are in another segment.
    fn relocate_outcome(&self, delivery: u64, at: Located, live: &mut LiveFrames) {
        let Some(finished) = self.finished.get(&delivery) else { return };
        let FinishedDelivery { at: keys_at, state, event, outcome_at, settled_ms, .. } = *finished;
        if outcome_at != Some(at) || keys_at.place.segment == at.place.segment {
            return;
        }
        let ending = DeliveryEnd { delivery, state: state.code(), settled_ms, event };
        debug_assert!(event > 0 || state == DeliveryState::Dropped, "only drops have no event");
        live.push(FrameKind::Progress, codec::encode(&ProgressFrame::Final(ending)));
    }

    /// What a frame says of a window was carried to here.
    pub(crate) fn window_moved(&mut self, window: &WindowFrame, at: Located) {
        match window {
            WindowFrame::Counted { .. } => self.apply_count(self.dropped.total(), at),
            WindowFrame::Opened(opened) => {
                let mut windows = self.windows.values_mut();
                if let Some(window) = windows.find(|window| window.number == opened.number) {
                    let before = std::mem::replace(&mut window.at, at);
                    self.places.remove(&before);
                    self.places.add(&at);
                }
            }
            // Never carried: how each delivery ended is.
            WindowFrame::Closed(_) => {}
        }
    }

    /// A delivery, or keys of finished ones, were carried to here.
    pub(crate) fn delivery_moved(
        &mut self,
        kernel: &mut Kernel,
        delivery: &DeliveryFrame,
        at: Located,
    ) {
        match delivery {
            DeliveryFrame::Moved(moved) => self.move_delivery(moved.number, at),
            DeliveryFrame::Finished(entries) => self.apply_finished(kernel, entries, at),
            // Never carried as it came.
            DeliveryFrame::Received { .. } => {}
        }
    }

    /// How far a delivery is, or how it ended, was carried to here.
    pub(crate) fn progress_moved(&mut self, progress: &ProgressFrame, at: Located) {
        match progress {
            ProgressFrame::Step { delivery, .. } => self.move_progress(*delivery, at),
            ProgressFrame::Final(ending) => self.move_progress(ending.delivery, at),
        }
    }
}

/// The keys of a finished delivery that are still remembered.
fn keys_left(
    (kernel, asking): (&Kernel, Asking<'_>),
    (number, finished): (u64, FinishedDelivery),
    fingerprints: &mut dyn Iterator<Item = (u128, bool)>,
) -> Result<Option<FinishedEntry>> {
    let mut keys = Vec::new();
    for (fingerprint, is_of_window) in fingerprints {
        // Another delivery may have come under the key since.
        let found = asking.find(Fingerprint::from_u128(fingerprint))?;
        let slice = found.filter(|found| found.lsn == number).map(|found| found.slice);
        let times = slice.and_then(|slice| kernel.keys.slice_times(slice));
        keys.extend(times.map(|(slice_begin, settled_ms)| FinishedKey {
            fingerprint,
            is_of_window,
            slice_begin,
            settled_ms,
        }));
    }
    let (state, event) = (finished.state.code(), finished.event);
    Ok((!keys.is_empty()).then_some(FinishedEntry { number, state, event, keys }))
}

/// Everything that replay needs of an unfinished delivery.
fn moved(number: u64, open: &OpenDelivery, body: DeliveryBody) -> DeliveryMoved {
    DeliveryMoved {
        number,
        trusted_ms: open.moment.trusted_ms,
        wall_ms: open.moment.wall.code(),
        done: open.done,
        slice_begins: open.keys.iter().map(|key| key.held.begin).collect(),
        body,
    }
}
