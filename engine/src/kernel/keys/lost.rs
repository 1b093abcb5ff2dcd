//! What the index knows and the log does not: keys whose frames were damaged.

use std::collections::BTreeMap;

use onceward_index::{Entry, Window};

use super::frames::{KeyEntry, KeysFrame};
use super::{KeyIndex, Windows};
use crate::base::State;

/// Key entries in one frame.
const KEYS_MAX: usize = 512;

/// Keys of one slice that the index knows and the log does not.
#[derive(Clone, Debug)]
pub(crate) struct LostKeys {
    pub(super) window: Window,
    pub(super) begin: u64,
    pub(super) entries: Vec<Entry>,
}

/// What comparing the index with the log found.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// Keys of frames that the log does not have any more.
    pub(in crate::kernel) keys: Vec<LostKeys>,
    /// Parts of the index that cannot be read: what they know is lost if the log lost it too.
    pub(in crate::kernel) unreadable: Vec<String>,
}

impl Strays {
    /// The keys of the index's files of which the log has nothing; `is_known` as for [`Strays::up_to`].
    pub(crate) fn of_files(keys: &KeyIndex, is_known: impl Fn(u64) -> bool) -> Self {
        Self::up_to(keys, keys.coverage().upto(), is_known)
    }

    /// All keys of which `is_known` says that the log has nothing any more, and the index has them yet: to be looked
    /// for before it is begun anew.
    pub(crate) fn of_all(keys: &KeyIndex, is_known: impl Fn(u64) -> bool) -> Self {
        Self::up_to(keys, u64::MAX, is_known)
    }

    /// The keys of items up to the number `upto` for which `is_known`, asked with the number, says that the log
    /// has nothing of the item.
    fn up_to(keys: &KeyIndex, upto: u64, is_known: impl Fn(u64) -> bool) -> Self {
        let mut strays = Self::default();
        for info in keys.index.slices() {
            let (found, unreadable) = keys.index.entries(info.id);
            strays.unreadable.extend(unreadable.iter().map(ToString::to_string));
            let mut entries: Vec<Entry> = found
                .into_iter()
                .filter(|entry| entry.lsn <= upto && !is_known(entry.lsn))
                .filter(|entry| keys.is_current(entry))
                .collect();
            entries.sort_unstable_by_key(|entry| (entry.lsn, entry.key.as_u128()));
            entries.dedup();
            if !entries.is_empty() {
                let (window, begin) = (info.window, info.begin);
                strays.keys.push(LostKeys { window, begin, entries });
            }
        }
        strays
    }
}

impl KeyIndex {
    /// Whether this entry is the one of its key that counts. One of which that cannot be known counts.
    pub(super) fn is_current(&self, entry: &Entry) -> bool {
        let found = self.index.find(entry.key);
        found.map_or(true, |found| found.is_some_and(|found| found.lsn == entry.lsn))
    }
}

impl LostKeys {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// Remembers them for a window from now on, as if they were settled now.
    pub(crate) fn keep(&self, keys: &KeyIndex, trusted_ms: u64) {
        keys.index.raise_settled(self.window, self.begin, trusted_ms);
    }
}

/// The frames that keep such keys, whatever becomes of the index.
pub(crate) fn frames_of_lost(
    windows: &Windows,
    strays: &[LostKeys],
    settled_ms: u64,
) -> Vec<KeysFrame> {
    // Of one scope and slice, whether or not the index had them in slices of other windows.
    let mut by_place: BTreeMap<(&str, u64), Vec<KeyEntry>> = BTreeMap::new();
    for LostKeys { window, begin, entries } in strays {
        let place = (windows.scope_with(*window), *begin);
        by_place.entry(place).or_default().extend(entries.iter().map(|entry| KeyEntry {
            fingerprint: entry.key.as_u128(),
            event: entry.lsn,
            content_hash: entry.content.as_u64(),
            slice_begin: *begin,
            state: State::OutcomeUnknown.code(),
            receipt: Vec::new(),
        }));
    }
    let mut frames = Vec::new();
    for ((scope, _), entries) in by_place {
        frames.extend(entries.chunks(KEYS_MAX).map(|some| KeysFrame {
            scope: scope.to_owned(),
            entries: some.to_vec(),
            settled_ms,
            has_moved: false,
        }));
    }
    frames
}
