//! One slice of time: the table of the keys captured in it, and the counters that decide its end.
//! Knows nothing of other slices.

use hashbrown::HashTable;

use crate::{
    entry::{Entry, Slot},
    fingerprint::Fingerprint,
};

/// Number of a slice. A later slice has a higher number; a number is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SliceId(pub u32);

/// What is known of a live slice without looking at its keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SliceInfo {
    /// Number of the slice.
    pub id: SliceId,
    /// Trusted time at which the slice began, in milliseconds.
    pub begin: u64,
    /// Latest settlement of a key in this slice, trusted time in milliseconds.
    pub last_settled: Option<u64>,
    /// Keys in this slice.
    pub keys: u64,
    /// Keys that keep this slice from expiring: unsettled, or not known to be durable.
    pub unsettled: u64,
}

/// A slice and its keys.
///
/// Invariant: `unsettled` is the number of slots that are not final.
pub(crate) struct Slice {
    /// Number of the slice.
    id: SliceId,
    /// Trusted time at which the slice began.
    begin: u64,
    /// Latest settlement in this slice.
    last_settled: Option<u64>,
    /// Slots that are not final.
    unsettled: u64,
    /// The keys. Fingerprints are random already, so their low bits are the hash.
    table: HashTable<Slot>,
}

impl Slice {
    /// An empty slice.
    pub(crate) const fn new(id: SliceId, begin: u64) -> Self {
        Self { id, begin, last_settled: None, unsettled: 0, table: HashTable::new() }
    }

    /// Number of the slice.
    pub(crate) const fn id(&self) -> SliceId {
        self.id
    }

    /// Trusted time at which the slice began.
    pub(crate) const fn begin(&self) -> u64 {
        self.begin
    }

    /// Latest settlement in this slice.
    pub(crate) const fn last_settled(&self) -> Option<u64> {
        self.last_settled
    }

    /// Slots that are not final.
    pub(crate) const fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// What is known of the slice without looking at its keys.
    pub(crate) fn info(&self) -> SliceInfo {
        SliceInfo {
            id: self.id,
            begin: self.begin,
            last_settled: self.last_settled,
            keys: u64::try_from(self.table.len()).unwrap_or(u64::MAX),
            unsettled: self.unsettled,
        }
    }

    /// Whether a key captured at `now` comes too late for this slice.
    ///
    /// A slice whose end is beyond the range of time never ends.
    pub(crate) fn has_ended(&self, now: u64, slice_ms: u64) -> bool {
        self.begin.checked_add(slice_ms).is_some_and(|end| now >= end)
    }

    /// Whether the window after the slice's end and after its last settlement is over.
    ///
    /// The deadline itself is over: a window of 60 s that starts at 100 s holds at 159.999 s and
    /// not at 160 s. A deadline beyond the range of time never comes.
    pub(crate) fn is_past_deadline(&self, now: u64, slice_ms: u64, window_ms: u64) -> bool {
        self.begin
            .checked_add(slice_ms)
            .map(|end| end.max(self.last_settled.unwrap_or(0)))
            .and_then(|start| start.checked_add(window_ms))
            .is_some_and(|deadline| now >= deadline)
    }

    /// Moves the beginning up to `begin`, never down.
    pub(crate) fn raise_begin(&mut self, begin: u64) {
        self.begin = self.begin.max(begin);
    }

    /// Moves the last settlement up to `at`, never down.
    pub(crate) fn raise_last_settled(&mut self, at: Option<u64>) {
        self.last_settled = self.last_settled.max(at);
    }

    /// The slot of a key.
    pub(crate) fn slot(&self, key: Fingerprint) -> Option<&Slot> {
        self.table.find(key.low_bits(), |slot| slot.key == key)
    }

    /// Puts in a key that must not be here yet.
    pub(crate) fn put(&mut self, slot: Slot) {
        debug_assert!(self.slot(slot.key).is_none(), "a key has one slot");
        self.unsettled = self.unsettled.saturating_add(u64::from(!slot.is_final()));
        self.table.insert_unique(slot.key.low_bits(), slot, |slot| slot.key.low_bits());
    }

    /// Changes the slot of a key, and returns whether there was one.
    pub(crate) fn change(&mut self, key: Fingerprint, change: impl FnOnce(&mut Slot)) -> bool {
        let Some(slot) = self.table.find_mut(key.low_bits(), |slot| slot.key == key) else {
            return false;
        };
        let before = u64::from(!slot.is_final());
        change(slot);
        let after = u64::from(!slot.is_final());
        self.unsettled = self.unsettled.saturating_add(after).saturating_sub(before);
        true
    }

    /// Takes out the slot of a key if `condition` holds for it.
    pub(crate) fn take_if(
        &mut self,
        key: Fingerprint,
        condition: impl FnOnce(&Slot) -> bool,
    ) -> Option<Slot> {
        let found = self.table.find_entry(key.low_bits(), |slot| slot.key == key).ok()?;
        if !condition(found.get()) {
            return None;
        }
        let (slot, _) = found.remove();
        self.unsettled = self.unsettled.saturating_sub(u64::from(!slot.is_final()));
        Some(slot)
    }

    /// The keys that are not final. Visits the whole table.
    pub(crate) fn unsettled_keys(&self) -> impl Iterator<Item = (Fingerprint, Entry)> {
        self.table.iter().filter(|slot| !slot.is_final()).map(|slot| (slot.key, slot.entry()))
    }

    /// Bytes that the table has allocated.
    pub(crate) fn table_bytes(&self) -> usize {
        self.table.allocation_size()
    }
}
