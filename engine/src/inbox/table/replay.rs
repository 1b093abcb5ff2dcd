//! Applies the inbox's frames from the log, in order.

use onceward_index::{ContentHash, Entry, Fingerprint};

use super::{DeliveryTable, HeldKey, NewDelivery, delivery_keys};
use crate::base::{Located, Moment, Wall};
use crate::inbox::frames::{
    DeliveryBody, DeliveryFrame, FinishedEntry, ProgressFrame, WindowFrame,
};
use crate::inbox::{INBOX, SUBJECTS};
use crate::kernel::{Kernel, Reservation};

/// How a delivery began.
struct FirstFrame {
    lsn: u64,
    moment: Moment,
    done: u32,
    /// When the slices of its keys began, if cleaning carried it.
    slice_begins: Option<Vec<u64>>,
}

impl DeliveryTable {
    /// Applies what is said of a window.
    pub(crate) fn replay_window(
        &mut self,
        kernel: &mut Kernel,
        frame: &WindowFrame,
        (at, moment): (Located, Moment),
    ) {
        match frame {
            WindowFrame::Opened(opened) => self.apply_opened(kernel, opened, (at, moment)),
            WindowFrame::Closed(closed) => self.apply_closed(kernel, closed, (at, moment)),
            WindowFrame::Counted { dropped_total } => self.apply_count(*dropped_total, at),
        }
    }

    /// Applies a delivery, whole or only its keys.
    pub(crate) fn replay_delivery(
        &mut self,
        kernel: &mut Kernel,
        frame: DeliveryFrame,
        (at, moment): (Located, Moment),
    ) {
        match frame {
            DeliveryFrame::Received { wall_offset_ms, body } => {
                let moment = Moment { wall: moment.wall.moved(wall_offset_ms), ..moment };
                let first = FirstFrame { lsn: at.lsn, moment, done: 0, slice_begins: None };
                self.replay_open(kernel, first, &body, at);
            }
            DeliveryFrame::Moved(moved) if self.open.contains_key(&moved.number) => {
                self.apply_step(moved.number, moved.done, at);
                self.move_delivery(moved.number, at);
            }
            DeliveryFrame::Moved(moved) => {
                let (trusted_ms, wall) = (moved.trusted_ms, Wall::at(moved.wall_ms));
                let moment = Moment { trusted_ms, wall };
                let slice_begins = Some(moved.slice_begins);
                let (lsn, done) = (moved.number, moved.done);
                let first = FirstFrame { lsn, moment, done, slice_begins };
                self.replay_open(kernel, first, &moved.body, at);
            }
            DeliveryFrame::Finished(entries) => self.apply_finished(kernel, &entries, at),
        }
    }

    /// Applies how far a delivery is, or how it ended.
    pub(crate) fn replay_progress(
        &mut self,
        kernel: &mut Kernel,
        frame: &ProgressFrame,
        (at, moment): (Located, Moment),
    ) {
        match frame {
            ProgressFrame::Step { delivery, step } => {
                self.apply_step(*delivery, *step, at);
            }
            ProgressFrame::Final(ending) => self.apply_final(kernel, ending, (at, moment)),
        }
    }

    /// Applies a delivery of which nothing else was read.
    fn replay_open(
        &mut self,
        kernel: &mut Kernel,
        first: FirstFrame,
        body: &DeliveryBody,
        at: Located,
    ) {
        let FirstFrame { lsn, moment, done, slice_begins } = first;
        let keys = delivery_keys(&kernel.secret, kernel.keys.windows(), body);
        let begins = slice_begins.unwrap_or_default();
        let mut held_keys = Vec::with_capacity(keys.len());
        for (position, key) in keys.into_iter().enumerate() {
            let own = kernel.keys.slice_begin(key.window, moment.trusted_ms);
            let held = match begins.get(position).copied().filter(|begin| *begin != own) {
                None => kernel.replay_key(key.reservation(lsn), at.lsn, moment),
                Some(begin) => kernel.keys.replay().moved(key.reservation(lsn), at.lsn, begin),
            };
            held_keys.push(HeldKey { key, held });
        }
        let new = NewDelivery::of(body, moment, held_keys);
        self.add(lsn, at, NewDelivery { done, ..new });
    }
}

/// Applies to the index the keys of a finished delivery whose first frame is gone.
pub(super) fn replay_finished_keys(kernel: &mut Kernel, entry: &FinishedEntry, frame: u64) {
    for key in &entry.keys {
        let fingerprint = Fingerprint::from_u128(key.fingerprint);
        let content = ContentHash::from_u64(0);
        let window = kernel.keys.windows().of(if key.is_of_window { SUBJECTS } else { INBOX });
        let entry = Entry { key: fingerprint, content, lsn: entry.number };
        let reservation = Reservation { entry, window };
        kernel.keys.replay().moved_key(reservation, frame, key.slice_begin, key.settled_ms);
    }
}
