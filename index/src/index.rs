//! The index: which keys are remembered, in which slice, and when a slice is forgotten.
//!
//! No files, no segments, no clock and no locks here: time is an argument, and the caller lets one
//! thread in at a time.

use std::{collections::BTreeMap, fmt};

use crate::{
    entry::{Entry, Slot, Verdict},
    fingerprint::{ContentPrint, Fingerprint},
    options::{Options, OptionsError},
    slice::{Slice, SliceId, SliceInfo},
};

/// Remembers keys for a window of trusted time, in slices that are forgotten whole.
///
/// A key is in one slice at most. `now` is always trusted time in milliseconds, as the caller's
/// clock vouches for it; the index believes it. A `now` that steps back opens no slice, moves no
/// deadline down and forgets nothing.
///
/// ```
/// use onceward_index::{Index, Options, Secret, Verdict};
///
/// let secret = Secret::from_bytes([7; 16]);
/// let mut index = Index::new(Options::for_window(60_000))?;
/// let (key, content) = (secret.fingerprint("till", b"sale-1"), secret.content(&[b"4.50"]));
///
/// assert_eq!(index.lookup(key, content), Verdict::New);
/// assert!(index.reserve(key, content, 1, 0).is_ok());
/// index.confirm(key, 1);
/// assert!(matches!(index.lookup(key, content), Verdict::Duplicate(entry) if entry.lsn == 1));
///
/// // The outage may last: the window starts when the event is settled.
/// assert!(index.expire(900_000).dropped.is_empty());
/// index.settle(key, 1, 2, 1_000_000);
/// assert!(index.expire(1_059_999).dropped.is_empty());
/// assert_eq!(index.expire(1_060_000).dropped.len(), 1);
/// assert_eq!(index.lookup(key, content), Verdict::New);
/// # Ok::<(), onceward_index::OptionsError>(())
/// ```
pub struct Index {
    /// The limits, checked.
    options: Options,
    /// Length of a slice.
    slice_ms: u64,
    /// The live slices.
    slices: BTreeMap<SliceId, Slice>,
    /// Highest number that a slice has or had. A dropped slice's number is not given again.
    newest: Option<SliceId>,
    /// Latest beginning that a slice has or had; the next one does not begin before it.
    newest_begin: u64,
}

/// What [`Index::expire`] did, and what it leaves to the caller.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expired {
    /// Slices that are forgotten with all their keys, by rising number.
    pub dropped: Vec<SliceId>,
    /// Slices whose deadline has passed and that only a few unsettled keys hold, by rising number.
    /// After [`Index::carry`] of each of these keys the next call drops them.
    pub to_carry: Vec<SliceId>,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    ///
    /// An option is out of its range.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        options.check()?;
        let slice_ms = options.slice_ms();
        Ok(Self { options, slice_ms, slices: BTreeMap::new(), newest: None, newest_begin: 0 })
    }

    /// The slice that a key captured at `now` belongs to.
    ///
    /// Opens a new one when the newest has ended or was dropped; at most one, however far `now`
    /// jumped. The new slice begins at `now`, and never before an earlier slice did.
    ///
    /// When slice numbers run out, the last slice does not end: its keys are remembered longer.
    pub fn current_slice(&mut self, now: u64) -> SliceId {
        if let Some(id) = self.newest
            && let Some(slice) = self.slices.get(&id)
            && (!slice.has_ended(now, self.slice_ms) || id == LAST_SLICE)
        {
            return id;
        }
        let id = self.newest.map_or(FIRST_SLICE, |SliceId(last)| SliceId(last.saturating_add(1)));
        self.restore_slice(id, self.newest_begin.max(now), None);
        id
    }

    /// Judges a key that comes with `content`. Reserved and confirmed keys are seen alike.
    ///
    /// A key whose deadline has passed is still remembered until [`Index::expire`] is called.
    #[must_use]
    pub fn lookup(&self, key: Fingerprint, content: ContentPrint) -> Verdict {
        match self.find(key) {
            None => Verdict::New,
            Some((_, entry)) if entry.content == content => Verdict::Duplicate(entry),
            Some((_, entry)) => Verdict::Conflict(entry),
        }
    }

    /// The entry of a key and the slice that it is in.
    #[must_use]
    pub fn find(&self, key: Fingerprint) -> Option<(SliceId, Entry)> {
        // Newest first: what is asked for again is mostly what came last.
        self.slices.values().rev().find_map(|slice| Some((slice.id(), slice.slot(key)?.entry())))
    }

    /// Takes a key for the frame `lsn` until [`Index::confirm`] or [`Index::withdraw`].
    ///
    /// Returns the slice that the key is in from now on.
    ///
    /// # Errors
    ///
    /// The key is remembered already, in whichever live slice; its entry. Nothing is changed.
    pub fn reserve(
        &mut self,
        key: Fingerprint,
        content: ContentPrint,
        lsn: u64,
        now: u64,
    ) -> Result<SliceId, Entry> {
        if let Some((_, entry)) = self.find(key) {
            return Err(entry);
        }
        let entry = Entry { lsn, content, outcome: 0, outcome_lsn: 0 };
        Ok(self.put_in_current(Slot::reserved(key, entry), now))
    }

    /// Tells that the frame `lsn`, for which the key was reserved, is durable.
    ///
    /// Does nothing if the key is not remembered for that LSN.
    pub fn confirm(&mut self, key: Fingerprint, lsn: u64) {
        self.change(key, |slot| slot.confirm(lsn));
    }

    /// Forgets a key because the frame `lsn`, for which it was reserved, is not stored.
    ///
    /// Returns whether it did: not if the key is confirmed, nor if it is another frame's by now.
    pub fn withdraw(&mut self, key: Fingerprint, lsn: u64) -> bool {
        self.take_if(key, |slot| slot.is_reserved_for(lsn)).is_some()
    }

    /// Notes the final answer for a key's event: the key stays for a window from `now` on.
    ///
    /// Returns the key's slice, or `None` if the key is not remembered. The first settlement is
    /// final: a later one changes nothing. An unconfirmed key may be settled; it holds its slice
    /// until it is confirmed.
    pub fn settle(
        &mut self,
        key: Fingerprint,
        outcome: u8,
        outcome_lsn: u64,
        now: u64,
    ) -> Option<SliceId> {
        let slice = self.slice_of_mut(key)?;
        let mut is_first = false;
        slice.change(key, |slot| is_first = slot.settle(outcome, outcome_lsn));
        if is_first {
            slice.raise_last_settled(Some(now));
        }
        Some(slice.id())
    }

    /// Changes the outcome of a key and the place of it, without settling.
    ///
    /// Works on settled keys too: cleaning moves outcomes. Returns whether the key is remembered.
    pub fn update(&mut self, key: Fingerprint, outcome: u8, outcome_lsn: u64) -> bool {
        self.change(key, |slot| slot.update(outcome, outcome_lsn))
    }

    /// Forgets a settled key before its time, so that failed work can be tried again.
    ///
    /// Returns whether it did: a key that is unsettled or unconfirmed is kept.
    pub fn release(&mut self, key: Fingerprint) -> bool {
        self.take_if(key, Slot::is_final).is_some()
    }

    /// Forgets the slices whose deadline is `now` or earlier.
    ///
    /// The deadline of a slice is its end or its last settlement, whichever is later, plus the
    /// window. A slice with unsettled keys is never dropped: up to `carry_max` of them the caller
    /// is asked to carry, with more the slice waits.
    ///
    /// # Cost
    ///
    /// Linear in live slices, never in keys, however far `now` jumped.
    pub fn expire(&mut self, now: u64) -> Expired {
        let mut expired = Expired::default();
        let Options { window_ms, carry_max, .. } = self.options;
        let slice_ms = self.slice_ms;
        self.slices.retain(|_, slice| {
            if !slice.is_past_deadline(now, slice_ms, window_ms) {
                return true;
            }
            if slice.unsettled() == 0 {
                expired.dropped.push(slice.id());
                return false;
            }
            if slice.unsettled() <= carry_max {
                expired.to_carry.push(slice.id());
            }
            true
        });
        expired
    }

    /// Moves an unsettled key into the slice that is current at `now`.
    ///
    /// Returns whether the key is there now; a settled or unknown key is left alone.
    pub fn carry(&mut self, key: Fingerprint, now: u64) -> bool {
        let Some(slice) = self.slice_of_mut(key) else {
            return false;
        };
        // A key that was settled before it was confirmed takes its window along.
        let last_settled = slice.last_settled();
        let Some(slot) = slice.take_if(key, |slot| !slot.is_final()) else {
            return false;
        };
        let target = self.put_in_current(slot, now);
        if slot.is_settled()
            && let Some(slice) = self.slices.get_mut(&target)
        {
            slice.raise_last_settled(last_settled);
        }
        true
    }

    /// Puts a slice back as the log tells of it, with or without keys.
    ///
    /// Of a slice that is live already, beginning and last settlement only move up: when two
    /// sources differ, the keys are remembered longer.
    pub fn restore_slice(&mut self, slice: SliceId, begin: u64, last_settled: Option<u64>) {
        let live = self.live_or_new(slice, begin);
        live.raise_begin(begin);
        live.raise_last_settled(last_settled);
        self.newest = self.newest.max(Some(slice));
        self.newest_begin = self.newest_begin.max(begin);
    }

    /// Puts an entry back as the log tells of it, into the slice that it was in.
    ///
    /// `settled` is the trusted time of the settlement, `None` if the event is unsettled. What is
    /// restored is durable, so it counts as confirmed. Repeating a call changes nothing. A key that
    /// is remembered already, here or elsewhere, is moved: the caller replays in the order of the
    /// log, and the later word holds.
    #[expect(
        clippy::too_many_arguments,
        reason = "five facts of one log entry, each of its own type"
    )]
    pub fn restore(
        &mut self,
        slice: SliceId,
        slice_begin: u64,
        key: Fingerprint,
        entry: Entry,
        settled: Option<u64>,
    ) {
        self.take_if(key, |_| true);
        self.restore_slice(slice, slice_begin, settled);
        let slot = Slot::restored(key, entry, settled.is_some());
        self.live_or_new(slice, slice_begin).put(slot);
    }

    /// Trusted time at which a live slice began, in milliseconds.
    #[must_use]
    pub fn slice_begin(&self, slice: SliceId) -> Option<u64> {
        self.slices.get(&slice).map(Slice::begin)
    }

    /// Whether a slice exists and is not dropped.
    #[must_use]
    pub fn is_live(&self, slice: SliceId) -> bool {
        self.slices.contains_key(&slice)
    }

    /// The keys that hold a slice: unsettled or unconfirmed. Empty if the slice is not live.
    ///
    /// # Cost
    ///
    /// Visits every key of the slice. Who keeps unsettled events anyway asks those instead.
    pub fn unsettled_keys(&self, slice: SliceId) -> impl Iterator<Item = (Fingerprint, Entry)> {
        self.slices.get(&slice).into_iter().flat_map(Slice::unsettled_keys)
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.slices().fold(0, |sum, slice| sum.saturating_add(slice.keys))
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that are unsettled or unconfirmed, and so cannot expire.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.slices.values().fold(0, |sum, slice| sum.saturating_add(slice.unsettled()))
    }

    /// The live slices, by rising number.
    pub fn slices(&self) -> impl Iterator<Item = SliceInfo> {
        self.slices.values().map(Slice::info)
    }

    /// Bytes of memory that the index has allocated: tables with their free places, and the slices
    /// themselves. What the map of slices and the allocator add is not counted.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let list = self.slices.len().saturating_mul(size_of::<Slice>());
        let bytes = self.slices.values().map(Slice::table_bytes).fold(list, usize::saturating_add);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Puts a slot that is in no slice into the slice that is current at `now`.
    fn put_in_current(&mut self, slot: Slot, now: u64) -> SliceId {
        let id = self.current_slice(now);
        self.live_or_new(id, now).put(slot);
        id
    }

    /// The live slice with this number, made with `begin` if there is none.
    fn live_or_new(&mut self, id: SliceId, begin: u64) -> &mut Slice {
        self.slices.entry(id).or_insert_with(|| Slice::new(id, begin))
    }

    /// The slice that holds a key, to change.
    fn slice_of_mut(&mut self, key: Fingerprint) -> Option<&mut Slice> {
        self.slices.values_mut().rev().find(|slice| slice.slot(key).is_some())
    }

    /// Changes the slot of a key, and returns whether there was one.
    fn change(&mut self, key: Fingerprint, change: impl FnOnce(&mut Slot)) -> bool {
        self.slice_of_mut(key).is_some_and(|slice| slice.change(key, change))
    }

    /// Takes out the slot of a key if `condition` holds for it.
    fn take_if(&mut self, key: Fingerprint, condition: impl FnOnce(&Slot) -> bool) -> Option<Slot> {
        self.slice_of_mut(key)?.take_if(key, condition)
    }
}

impl fmt::Debug for Index {
    /// Shows options and slices, never keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("options", &self.options)
            .field("slices", &self.slices().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Number of the first slice of an index that was not restored.
const FIRST_SLICE: SliceId = SliceId(1);
/// Highest number that a slice can have.
const LAST_SLICE: SliceId = SliceId(u32::MAX);

#[cfg(test)]
mod tests;
