//! Keys beyond the one that a frame reserves.
//!
//! A delivery is known by up to three keys, all with its one LSN. The index lets a frame that may still
//! fail reserve one key for each LSN: withdrawing several would find the reservation gone after the
//! first. So a delivery reserves its first key when its frame is queued, and takes the others once
//! the frame is durable, before it confirms the first: until then no checkpoint covers the frame, so a
//! crash between finds the frame and takes them all. Nobody else judges these keys in the meantime,
//! because whoever receives holds the store's `control`.

use onceward_index::Window;

use super::{KeyIndex, Reservation, SliceHold};

impl KeyIndex {
    /// Takes one more key for a frame that is durable and not confirmed.
    pub(crate) fn take_more(&mut self, reservation: Reservation, trusted_ms: u64) -> SliceHold {
        let begin = self.slice_begin(reservation.window, trusted_ms);
        let slice = self.restore(reservation, reservation.entry.lsn, begin);
        self.index.hold_slice(slice);
        SliceHold { slice: Some(slice), window: reservation.window, begin }
    }

    /// Keys of `window` that came at `from_ms` or later are remembered as if they were settled at
    /// `at_ms`, if that is later than they were.
    pub(crate) fn raise_from(&self, window: Window, from_ms: u64, at_ms: u64) {
        let from = self.slice_begin(window, from_ms);
        for slice in self.index.slices() {
            if slice.window == window && slice.begin >= from {
                self.index.raise_settled(window, slice.begin, at_ms);
            }
        }
    }
}
