//! Takes up the inbox's frames from the log, in order.

use onceward_index::{ContentHash, Entry, Fingerprint};
use onceward_wal::Frame;

use super::apply::NewDelivery;
use super::{HeldKey, delivery_keys};
use crate::frames::inbox::{Body, DeliveryFrame, FinishedEntry, ProgressFrame, WindowFrame};
use crate::frames::{KIND_DELIVERY, KIND_PROGRESS, KIND_WINDOW, codec};
use crate::view::{Located, Moment, Taking, View, Wall};

impl View {
    /// Takes up a frame of the inbox; `None`: the content is not of this format.
    pub(in crate::view) fn replay_inbox(
        &mut self,
        frame: &Frame<'_>,
        at: Located,
        moment: Moment,
    ) -> Option<()> {
        match frame.kind {
            KIND_WINDOW => match codec::decode(frame.body)? {
                WindowFrame::Opened(opened) => self.apply_opened(&opened, at, moment),
                WindowFrame::Closed(closed) => self.apply_closed(&closed, at, moment),
                WindowFrame::Counted { dropped_total } => self.apply_count(dropped_total, at),
            },
            KIND_DELIVERY => match codec::decode(frame.body)? {
                DeliveryFrame::Received { wall_offset_ms, body } => {
                    let moment = Moment { wall: moment.wall.moved(wall_offset_ms), ..moment };
                    let first = First { lsn: at.lsn, moment, done: 0, slice_begins: None };
                    self.replay_delivery(first, &body, at);
                }
                DeliveryFrame::Moved(moved) if self.inbox.open.contains_key(&moved.number) => {
                    self.apply_step(moved.number, moved.done, at);
                    self.move_delivery(moved.number, at);
                }
                DeliveryFrame::Moved(moved) => {
                    let (trusted_ms, wall) = (moved.trusted_ms, Wall::at(moved.wall_ms));
                    let moment = Moment { trusted_ms, wall };
                    let slice_begins = Some(moved.slice_begins);
                    let (lsn, done) = (moved.number, moved.done);
                    let first = First { lsn, moment, done, slice_begins };
                    self.replay_delivery(first, &moved.body, at);
                }
                DeliveryFrame::Finished(entries) => self.apply_finished(&entries, at),
            },
            KIND_PROGRESS => match codec::decode(frame.body)? {
                ProgressFrame::Step { delivery, step } => {
                    self.apply_step(delivery, step, at);
                }
                ProgressFrame::Final(ending) => self.apply_final(&ending, at, moment),
            },
            _ => return None,
        }
        Some(())
    }

    /// Takes up a delivery of which nothing else was read.
    fn replay_delivery(&mut self, first: First, body: &Body, at: Located) {
        let First { lsn, moment, done, slice_begins } = first;
        let keys = delivery_keys(&self.secret, self.keys.windows(), body);
        let begins = slice_begins.unwrap_or_default();
        let mut held_keys = Vec::with_capacity(keys.len());
        for (position, key) in keys.into_iter().enumerate() {
            let own = self.keys.slice_begin(key.window, moment.trusted_ms);
            let held = match begins.get(position).copied().filter(|begin| *begin != own) {
                None => self.replay_key_of(key.taking(lsn), at.lsn, moment),
                Some(begin) => self.keys.replay_moved(key.taking(lsn), at.lsn, begin),
            };
            held_keys.push(HeldKey { key, held });
        }
        let new = NewDelivery::of(body, moment, held_keys);
        self.add_delivery(lsn, at, NewDelivery { done, ..new });
    }

    /// The keys of a finished delivery whose first frame is gone.
    pub(super) fn replay_finished_keys(&mut self, entry: &FinishedEntry, frame: u64) {
        for key in &entry.keys {
            let print = Fingerprint::from_u128(key.print);
            let content = ContentHash::from_u64(0);
            let window = self.keys.windows().of_delivery(key.is_of_window);
            let taking = Taking { entry: Entry { key: print, content, lsn: entry.number }, window };
            self.keys.replay_moved_key(taking, frame, key.slice_begin, key.settled_ms);
        }
    }
}

/// How a delivery began.
struct First {
    lsn: u64,
    moment: Moment,
    done: u32,
    /// When the slices of its keys began, if cleaning carried it.
    slice_begins: Option<Vec<u64>>,
}
