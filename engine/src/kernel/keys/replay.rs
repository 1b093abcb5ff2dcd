//! What frames say of keys, while the log is read.

use onceward_index::Window;

use super::{KeyIndex, Reservation, SliceHold};

/// Keys, for one who reads the log.
#[derive(Debug)]
pub(crate) struct KeyReplay<'k> {
    pub(super) keys: &'k mut KeyIndex,
}

impl KeyReplay<'_> {
    /// The frame `frame` has an event whose slice began at `begin`.
    pub(crate) fn event(self, reservation: Reservation, frame: u64, begin: u64) -> SliceHold {
        let Reservation { entry, window } = reservation;
        // Not the frame: one that cleaning carried is of an event that came before.
        if entry.lsn <= self.keys.coverage.upto() {
            let slice = self.keys.index.hold_covered(window, begin, 1);
            return SliceHold { slice, window, begin };
        }
        let slice = self.keys.restore(reservation, frame, begin);
        self.keys.index.hold_slice(slice);
        SliceHold { slice: Some(slice), window, begin }
    }

    /// So many events whose slice began at `begin`, and which the index's files cover. Their keys are not at hand: the
    /// caller knows that these files have the slice.
    pub(crate) fn covered_events(self, window: Window, begin: u64, count: u64) -> SliceHold {
        let slice = self.keys.index.hold_covered(window, begin, count);
        if slice.is_none() {
            self.keys.give_up("it lacks the slice of unsettled events");
        }
        SliceHold { slice, window, begin }
    }

    /// What was read of the log is not all of it: the index is not to be used, and the log is read again.
    pub(crate) fn refuse(self, why: &str) {
        self.keys.give_up(why);
    }

    /// Takes back what [`KeyReplay::covered_events`] held.
    pub(crate) fn take_back(self, held: SliceHold, count: u64) {
        if let Some(slice) = held.slice {
            (0..count).for_each(|_| self.keys.index.unhold(slice));
        }
    }

    /// The frame `frame` has the key of a settled event whose own frame is gone.
    pub(crate) fn key(self, reservation: Reservation, frame: u64, begin: u64, settled_ms: u64) {
        // A key that came before is in the index's files, or was forgotten since.
        if reservation.entry.lsn > self.keys.coverage.upto() {
            self.keys.restore(reservation, frame, begin);
        }
        self.keys.index.raise_settled(reservation.window, begin, settled_ms);
    }

    /// Applies an event as [`KeyReplay::event`] does, of an item whose key moved, or may have.
    pub(crate) fn moved(self, reservation: Reservation, frame: u64, begin: u64) -> SliceHold {
        if reservation.entry.lsn <= self.keys.coverage.upto() {
            // Held by its key when it is settled, or when the log was read.
            return SliceHold { slice: None, window: reservation.window, begin };
        }
        self.event(reservation, frame, begin)
    }

    /// Applies a key as [`KeyReplay::key`] does, of one that moved, or may have, before it was settled.
    pub(crate) fn moved_key(
        self,
        reservation: Reservation,
        frame: u64,
        begin: u64,
        settled_ms: u64,
    ) {
        let Reservation { entry, window } = reservation;
        if entry.lsn > self.keys.coverage.upto() {
            self.key(reservation, frame, begin, settled_ms);
            return;
        }
        match self.keys.index.find(entry.key) {
            Ok(Some(found)) if found.lsn == entry.lsn => {
                let mut held = SliceHold { slice: None, window, begin };
                self.keys.hold_if_known(entry.key, &mut held);
                if let Some(slice) = held.slice {
                    self.keys.index.settle(slice, settled_ms);
                }
                self.keys.index.raise_settled(window, held.begin, settled_ms);
            }
            // Forgotten, or another's by now.
            Ok(_) => self.keys.index.raise_settled(window, begin, settled_ms),
            Err(error) => self.keys.give_up(&error.to_string()),
        }
    }
}
