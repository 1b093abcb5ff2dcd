//! Judges and takes the keys of a call, each in its place in the list of its caller: nothing is allocated for one key,
//! and for many what the index is asked with is kept for the next call.

use onceward_index::{ContentHash, Entry, Fingerprint, Lookup, Reserved, SliceId};

use super::{Asking, KeyIndex, Reservation, SliceHold, failed};
use crate::base::Result;

/// The lists with which the index is asked for many keys at once.
#[derive(Debug, Default)]
pub(super) struct IndexLists {
    asked: Vec<(Fingerprint, ContentHash)>,
    found: Vec<Lookup>,
    entries: Vec<Entry>,
    reserved: Vec<Reserved>,
}

impl Asking<'_> {
    /// Judges the keys of a call, each in its place.
    ///
    /// # Errors
    ///
    /// As [`Asking::find`]; none was judged.
    pub(crate) fn lookup<T>(
        self,
        items: &mut [T],
        key: impl Fn(&T) -> (Fingerprint, ContentHash),
        mut judged: impl FnMut(&mut T, Lookup),
    ) -> Result<()> {
        let keys = self.0;
        keys.refuse_if_unusable()?;
        if let [item] = items {
            let (fingerprint, content) = key(item);
            let found = keys.index.lookup(fingerprint, content).map_err(|error| failed(&error))?;
            judged(item, found);
            return Ok(());
        }
        let mut lists = keys.lists.take();
        lists.asked.clear();
        lists.found.clear();
        lists.asked.extend(items.iter().map(key));
        let done = keys.index.lookup_batch(&lists.asked, &mut lists.found);
        for (item, found) in items.iter_mut().zip(lists.found.drain(..)) {
            judged(item, found);
        }
        keys.lists.replace(lists);
        done.map_err(|error| failed(&error))
    }
}

impl KeyIndex {
    /// Takes keys for frames that are queued. The caller judged them in the same critical section.
    pub(crate) fn take(&mut self, reservations: &[Reservation], trusted_ms: u64) -> Vec<SliceHold> {
        let mut items: Vec<_> = reservations.iter().map(|it| (it, None)).collect();
        let held = |item: &mut (_, Option<SliceHold>), held| item.1 = Some(held);
        self.take_each(&mut items, trusted_ms, |item| Some(*item.0), held);
        items.into_iter().filter_map(|(_, held)| held).collect()
    }

    /// Takes keys as [`KeyIndex::take`] does, for those of these items that ask for one, and tells each what holds it.
    pub(crate) fn take_each<T>(
        &mut self,
        items: &mut [T],
        trusted_ms: u64,
        asks: impl Fn(&T) -> Option<Reservation>,
        mut held: impl FnMut(&mut T, SliceHold),
    ) {
        if let [item] = items {
            if let Some(Reservation { entry, window }) = asks(item) {
                let reserved = self.index.reserve(entry, window, trusted_ms);
                let begin = self.slice_begin(window, trusted_ms);
                let slice = taken(self, reserved.as_ref());
                held(item, SliceHold { slice, window, begin });
            }
            return;
        }
        let mut lists = self.lists.take();
        let mut rest = items;
        // Those of one window at once, which mostly are all.
        while let Some(first) = rest.iter().position(|item| asks(item).is_some()) {
            let (_, from) = rest.split_at_mut(first);
            let Some(Reservation { window, .. }) = from.first().and_then(&asks) else { break };
            lists.entries.clear();
            let mut count = 0;
            for item in from.iter() {
                match asks(item) {
                    Some(other) if other.window != window => break,
                    asked => lists.entries.extend(asked.map(|reservation| reservation.entry)),
                }
                count += 1;
            }
            let (same, others) = from.split_at_mut(count);
            lists.reserved.clear();
            let entries = &lists.entries;
            let done = self.index.insert_batch(entries, window, trusted_ms, &mut lists.reserved);
            if let Err(error) = done {
                self.give_up(&error.to_string());
            }
            let begin = self.slice_begin(window, trusted_ms);
            let mut reserved = lists.reserved.iter();
            for item in same.iter_mut().filter(|item| asks(item).is_some()) {
                let slice = reserved.next().and_then(|reserved| taken(self, Ok(reserved)));
                held(item, SliceHold { slice, window, begin });
            }
            rest = others;
        }
        self.lists.replace(lists);
    }
}

/// The slice in which the index took a key that was judged new.
fn taken(
    keys: &mut KeyIndex,
    reserved: std::result::Result<&Reserved, &onceward_index::Error>,
) -> Option<SliceId> {
    match reserved {
        Ok(Reserved::Taken(slice)) => return Some(*slice),
        Ok(Reserved::Known(_)) => keys.give_up("a key that was judged new was not taken"),
        Err(error) => keys.give_up(&error.to_string()),
    }
    None
}
