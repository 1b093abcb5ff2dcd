//! Judges and takes the keys of a call, each in its place in the list of its caller: nothing is allocated for a key.

use onceward_index::{ContentHash, Fingerprint, KeyBatch, Lookup, Reserved};

use super::{Asking, KeyIndex, Reservation, SliceHold, failed};
use crate::base::Result;

impl Asking<'_> {
    /// Judges the keys of a call, each in its place. `judged` may be told more than once of an item: what it was told
    /// last counts.
    ///
    /// # Errors
    ///
    /// As [`Asking::find`]; none was judged.
    pub(crate) fn lookup<T>(
        self,
        items: &mut [T],
        key: impl Fn(&T) -> (Fingerprint, ContentHash),
        judged: impl FnMut(&mut T, Lookup),
    ) -> Result<()> {
        let keys = self.0;
        keys.refuse_if_unusable()?;
        KeyBatch::of(&keys.index)
            .lookup_each(items, |item| Some(key(item)), judged)
            .map_err(|error| failed(&error))
    }
}

impl KeyIndex {
    /// Takes a key for a frame that is queued. The caller judged it in the same critical section.
    pub(crate) fn take(&mut self, reservation: Reservation, trusted_ms: u64) -> SliceHold {
        let window = reservation.window;
        let mut item = [SliceHold { slice: None, window, begin: 0 }];
        self.take_each(&mut item, trusted_ms, |_| Some(reservation), |item| item);
        let [held] = item;
        held
    }

    /// Takes keys as [`KeyIndex::take`] does, for those of these items that ask for one, and notes with each what holds
    /// it.
    pub(crate) fn take_each<T>(
        &mut self,
        items: &mut [T],
        trusted_ms: u64,
        asks: impl Fn(&T) -> Option<Reservation>,
        held: impl Fn(&mut T) -> &mut SliceHold,
    ) {
        for item in items.iter_mut() {
            let Some(Reservation { window, .. }) = asks(item) else { continue };
            let begin = self.slice_begin(window, trusted_ms);
            *held(item) = SliceHold { slice: None, window, begin };
        }
        let mut has_known = false;
        let done = KeyBatch::of(&self.index).reserve_each(
            items,
            trusted_ms,
            |item| asks(item).map(|asked| (asked.entry, asked.window)),
            |item, reserved| match reserved {
                Reserved::Taken(slice) => held(item).slice = Some(slice),
                Reserved::Known(_) => has_known = true,
            },
        );
        if let Err(error) = done {
            self.give_up(&error.to_string());
        }
        if has_known {
            self.give_up("a key that was judged new was not taken");
        }
    }
}
