//! Keys of unsettled events whose slice ends: they move on to the current one.

use std::collections::BTreeMap;

use onceward_index::{Fingerprint, SliceId};

use super::{KeyIndex, SliceHold};

impl KeyIndex {
    /// Moves the key of an unsettled event into the current slice; `None`: the index has none.
    pub(crate) fn carry(
        &mut self,
        key: Option<Fingerprint>,
        held: &mut SliceHold,
        trusted_ms: u64,
    ) {
        let Some(from) = held.slice else { return };
        let carried = key.map(|key| self.index.carry(key, from, trusted_ms));
        match carried.unwrap_or(Ok(None)) {
            Ok(Some(slice)) => {
                held.slice = Some(slice);
                held.begin = self.index.slice_info(slice).map_or(held.begin, |info| info.begin);
            }
            Ok(None) => self.give_up("it lacks the key of an unsettled event"),
            // The disk does not answer now: the slice waits until it does. Or until it was made anew.
            Err(error) if is_damage(&error) => self.missed(&error),
            Err(_) => {}
        }
    }
}

/// The keys of these events, ascending, that the index has in these slices, by event. `None`: not all of it can
/// be read now; damage of it is noted.
pub(crate) fn keys_of(
    keys: &mut KeyIndex,
    events: &[u64],
    slices: &[SliceId],
) -> Option<BTreeMap<u64, Fingerprint>> {
    let mut found = BTreeMap::new();
    let others = keys.index.slices().into_iter().map(|info| info.id);
    let others: Vec<SliceId> = others.filter(|slice| !slices.contains(slice)).collect();
    // One that an earlier opening moved on may be in another slice than the log says.
    for slice in slices.iter().chain(&others) {
        if events.len() == found.len() {
            break;
        }
        let (entries, unreadable) = keys.index.entries(*slice);
        if !unreadable.is_empty() {
            let is_damage = |error: &&_| is_damage(error);
            unreadable.iter().filter(is_damage).for_each(|error| keys.missed(error));
            return None;
        }
        let asked = entries.iter().filter(|entry| events.binary_search(&entry.lsn).is_ok());
        found.extend(asked.map(|entry| (entry.lsn, entry.key)));
    }
    Some(found)
}

/// Whether more is wrong than that the disk does not answer now.
fn is_damage(error: &onceward_index::Error) -> bool {
    error.kind() != onceward_index::ErrorKind::Io
}
