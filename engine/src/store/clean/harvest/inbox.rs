//! What of the inbox lives in a segment that is to go.

use onceward_index::Fingerprint;
use onceward_wal::Frame;

use super::{Carry, Harvest};
use crate::error::Result;
use crate::frames::inbox::{
    Body, Closed, DeliveryFrame, Final, FinishedEntry, FinishedKey, Moved, Opened, ProgressFrame,
    WindowFrame,
};
use crate::frames::{KIND_DELIVERY, KIND_PROGRESS, KIND_WINDOW, codec};
use crate::inbox::DeliveryState;
use crate::view::{Asking, Finished, KEY_ENTRY_BYTES, Located, Open, View, delivery_keys};

/// Finished deliveries in one frame.
pub(super) const FINISHED_MAX: usize = 128;

impl Harvest {
    /// Looks at one frame of the inbox.
    pub(super) fn take_inbox(
        &mut self,
        view: Asking<'_>,
        frame: &Frame<'_>,
        at: Located,
    ) -> Result<()> {
        if !view.inbox.needs(&at) {
            return Ok(());
        }
        match frame.kind {
            KIND_WINDOW => {
                let Some(window) = codec::decode(frame.body) else { return Ok(()) };
                self.take_window(&view, &window, at);
            }
            KIND_DELIVERY => {
                let Some(delivery) = codec::decode(frame.body) else { return Ok(()) };
                self.take_delivery(view, delivery, at)?;
            }
            _ => {
                let Some(progress) = codec::decode(frame.body) else { return Ok(()) };
                self.take_progress(&view, progress, (frame, at));
            }
        }
        self.known_frames += 1;
        Ok(())
    }

    fn take_window(&mut self, view: &View, window: &WindowFrame, at: Located) {
        if view.inbox.is_count(&at) {
            let dropped_total = view.inbox.dropped_total;
            self.control(KIND_WINDOW, 0, codec::encode(&WindowFrame::Counted { dropped_total }));
        }
        match window {
            WindowFrame::Opened(Opened { id, .. }) => {
                let open = view.inbox.windows.get(id.as_str());
                let Some(open) = open.filter(|open| open.at == at) else { return };
                let opened = Opened {
                    number: open.number,
                    id: id.clone(),
                    opened_ms: open.opened_ms,
                    ends_ms: open.ends_ms,
                };
                let body = codec::encode(&WindowFrame::Opened(opened));
                self.control(KIND_WINDOW, open.number, body);
            }
            WindowFrame::Closed(Closed { dropped, .. }) => {
                for lsn in dropped {
                    self.take_outcome(view, *lsn, at);
                }
            }
            WindowFrame::Counted { .. } => {}
        }
    }

    fn take_delivery(&mut self, view: Asking<'_>, frame: DeliveryFrame, at: Located) -> Result<()> {
        let (lsn, body) = match frame {
            DeliveryFrame::Received { body, .. } => (at.lsn, body),
            DeliveryFrame::Moved(moved) => (moved.number, moved.body),
            DeliveryFrame::Finished(entries) => {
                for entry in entries {
                    let Some(finished) = view.inbox.finished.get(&entry.number) else { continue };
                    if finished.at == at {
                        let keys = entry.keys.iter().map(|key| (key.print, key.is_of_window));
                        self.take_finished(view, (entry.number, *finished), keys)?;
                    }
                }
                return Ok(());
            }
        };
        if let Some(open) = view.inbox.open.get(&lsn).filter(|open| open.at == at) {
            let moved = DeliveryFrame::Moved(moved(lsn, open, body));
            self.control(KIND_DELIVERY, lsn, codec::encode(&moved));
        } else if let Some(finished) = view.inbox.finished.get(&lsn).filter(|it| it.at == at) {
            let keys = delivery_keys(&view.secret, view.keys.windows(), &body);
            let keys = keys.iter().map(|key| (key.print.as_u128(), key.is_of_window));
            self.take_finished(view, (lsn, *finished), keys)?;
        }
        Ok(())
    }

    /// Keeps those keys of a finished delivery that are still remembered.
    fn take_finished(
        &mut self,
        view: Asking<'_>,
        (number, finished): (u64, Finished),
        prints: impl Iterator<Item = (u128, bool)>,
    ) -> Result<()> {
        let mut keys = Vec::new();
        for (print, is_of_window) in prints {
            // Another delivery may have come under the key since.
            let found = view.find(Fingerprint::from_u128(print))?;
            let slice = found.filter(|found| found.lsn == number).map(|found| found.slice);
            let times = slice.and_then(|slice| view.keys.slice_times(slice));
            keys.extend(times.map(|(slice_begin, settled_ms)| FinishedKey {
                print,
                is_of_window,
                slice_begin,
                settled_ms,
            }));
        }
        if !keys.is_empty() {
            let (state, event) = (finished.state.code(), finished.event);
            let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
            self.bytes += KEY_ENTRY_BYTES.saturating_mul(count);
            self.finished.push(FinishedEntry { number, state, event, keys });
        }
        Ok(())
    }

    fn take_progress(&mut self, view: &View, progress: ProgressFrame, from: (&Frame<'_>, Located)) {
        let (frame, at) = from;
        match progress {
            ProgressFrame::Step { delivery, .. } => {
                // Where the delivery itself is carried, that says how far it is.
                if view.inbox.tells_steps(delivery, &at) {
                    self.control(KIND_PROGRESS, delivery, frame.body.to_vec());
                }
            }
            ProgressFrame::Final(ending) => self.take_outcome(view, ending.delivery, at),
        }
    }

    /// Keeps how a delivery ended whose keys stand in another segment.
    fn take_outcome(&mut self, view: &View, delivery: u64, at: Located) {
        let Some(finished) = view.inbox.finished.get(&delivery) else { return };
        let Finished { at: keys_at, state, event, outcome_at, settled_ms, .. } = *finished;
        if outcome_at != Some(at) || keys_at.place.segment == at.place.segment {
            return;
        }
        let ending = Final { delivery, state: state.code(), settled_ms, event };
        debug_assert!(event > 0 || state == DeliveryState::Dropped, "only drops tell nobody");
        self.control(KIND_PROGRESS, delivery, codec::encode(&ProgressFrame::Final(ending)));
    }

    fn control(&mut self, kind: u8, of: u64, body: Vec<u8>) {
        self.push(Carry::Control { kind, body, of });
    }
}

/// Everything that replay needs of an unfinished delivery.
fn moved(number: u64, open: &Open, body: Body) -> Moved {
    Moved {
        number,
        trusted_ms: open.moment.trusted_ms,
        wall_ms: open.moment.wall.code(),
        done: open.done,
        slice_begins: open.keys.iter().map(|key| key.held.begin).collect(),
        body,
    }
}
