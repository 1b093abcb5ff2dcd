//! Many keys at once: the memory is asked for all of them before any is judged. Nothing is allocated for them.

use std::ops::RangeInclusive;

use super::{Index, found, reserved};
use crate::{
    answer::{Lookup, Reserved},
    entry::Entry,
    error::Result,
    fingerprint::{ContentHash, Fingerprint},
    options::Window,
    slices::SliceId,
    state::{IndexState, Obstacle, RoomCheck, Taking, entries_between},
};

/// Keys that are looked at together: what they need first fits the nearest cache, and a bit for each is a number.
const TOGETHER: usize = 64;

impl Index {
    /// Judges many keys, as [`Index::lookup`] each: the verdicts, in their order, are appended to
    /// `verdicts`. All are judged at one moment.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`]; `verdicts` is as it was.
    pub fn lookup_batch(
        &self,
        keys: &[(Fingerprint, ContentHash)],
        verdicts: &mut Vec<Lookup>,
    ) -> Result<()> {
        let before = verdicts.len();
        verdicts.resize(before + keys.len(), Lookup::New);
        let mut both = (keys, verdicts.get_mut(before..).unwrap_or_default());
        let judged = KeyBatch::of(self).judge_all(
            (&mut both, keys.len()),
            |(keys, _), at| keys.get(at).copied(),
            |(_, verdicts), at, verdict| {
                if let Some(place) = verdicts.get_mut(at) {
                    *place = verdict;
                }
            },
        );
        if judged.is_err() {
            verdicts.truncate(before);
        }
        judged
    }

    /// Reserves many keys, as [`Index::reserve`] each, in their order: of two with the same key the
    /// second one is known. Nobody sees some of them taken and others not.
    ///
    /// # Errors
    ///
    /// As [`Index::reserve`]. Keys before the one that failed are reserved, and are in `reserved`.
    pub fn insert_batch(
        &self,
        entries: &[Entry],
        window: Window,
        now: u64,
        reserved: &mut Vec<Reserved>,
    ) -> Result<()> {
        reserved.reserve(entries.len());
        KeyBatch::of(self).take_all(
            (reserved, entries.len(), now),
            |_, at| entries.get(at).map(|entry| (*entry, window)),
            |reserved, _, outcome| reserved.push(outcome),
        )
    }

    /// Notes that many frames, for which keys were reserved, are durable.
    pub fn confirm_batch(&self, lsns: impl IntoIterator<Item = u64>) {
        let mut state = self.state.write();
        let mut lsns = lsns.into_iter();
        let Some(mut first) = lsns.next() else { return };
        let mut last = first;
        for lsn in lsns {
            if last.checked_add(1) != Some(lsn) {
                state.confirm(first, last);
                first = lsn;
            }
            last = lsn;
        }
        state.confirm(first, last);
    }
}

/// Calls to an index for many keys at once, which are found in the caller's own items and answered there: nothing
/// is allocated for a key. Each call is one moment to all others: what it is given to ask may not use the index.
///
/// ```
/// use onceward_index::{KeyBatch, Entry, Index, Lookup, Options, Reserved, Secret, SliceId, Window};
///
/// /// An event of a call, and what is found of its key.
/// struct Event { entry: Entry, verdict: Lookup, slice: Option<SliceId> }
///
/// let secret = Secret::from_bytes([7; 16]);
/// let index = Index::new(Options::default())?;
/// let event = |lsn: u64| {
///     let key = secret.fingerprint("till", &lsn.to_le_bytes());
///     let entry = Entry { key, content: secret.content(&[b"4.50"]), lsn };
///     Event { entry, verdict: Lookup::New, slice: None }
/// };
/// let mut events: Vec<Event> = (1..=500).map(event).collect();
///
/// let batch = KeyBatch::of(&index);
/// let key_of = |event: &Event| Some((event.entry.key, event.entry.content));
/// batch.lookup_each(&mut events, key_of, |event, verdict| event.verdict = verdict)?;
/// let entry_of = |event: &Event| {
///     (event.verdict == Lookup::New).then_some((event.entry, Window::default()))
/// };
/// batch.reserve_each(&mut events, 0, entry_of, |event, outcome| {
///     if let Reserved::Taken(slice) = outcome { event.slice = Some(slice) }
/// })?;
/// batch.confirm_range(1, 500);
/// assert_eq!(index.len(), 500);
/// let settled = events.iter().filter_map(|event| Some((event.slice?, 1)));
/// batch.settle_slices(settled, 1_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeyBatch<'i>(&'i Index);

impl<'i> KeyBatch<'i> {
    /// Calls to this index.
    #[must_use]
    pub fn of(index: &'i Index) -> Self {
        Self(index)
    }

    /// Judges the keys of many items, as [`Index::lookup`] each, all at one moment. `key_of` says the key of an item
    /// and what came with it, if it is to be judged; `judged` is told the verdict.
    ///
    /// Both may be called more than once for an item: what `judged` is told last counts.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`]; what `judged` was told does not count.
    pub fn lookup_each<T>(
        self,
        items: &mut [T],
        key_of: impl Fn(&T) -> Option<(Fingerprint, ContentHash)>,
        mut judged: impl FnMut(&mut T, Lookup),
    ) -> Result<()> {
        let count = items.len();
        self.judge_all(
            (items, count),
            |items, at| items.get(at).and_then(&key_of),
            |items, at, verdict| {
                if let Some(item) = items.get_mut(at) {
                    judged(item, verdict);
                }
            },
        )
    }

    /// Reserves the keys of many items, as [`Index::reserve`] each, in their order: of two with the same key the
    /// second one is known. `entry_of` says the entry and the window of an item, if its key is to be taken; `taken` is
    /// told the outcome, once for each.
    ///
    /// Nobody sees some of them taken and others not, unless a shard must be loaded for one of them.
    ///
    /// # Errors
    ///
    /// As [`Index::reserve`]. The keys of which `taken` was told are reserved.
    pub fn reserve_each<T>(
        self,
        items: &mut [T],
        now: u64,
        entry_of: impl Fn(&T) -> Option<(Entry, Window)>,
        mut taken: impl FnMut(&mut T, Reserved),
    ) -> Result<()> {
        let count = items.len();
        self.take_all(
            (items, count, now),
            |items, at| items.get(at).and_then(&entry_of),
            |items, at, outcome| {
                if let Some(item) = items.get_mut(at) {
                    taken(item, outcome);
                }
            },
        )
    }

    /// Notes that all frames from `first` to `last` for which keys were reserved are durable, as one step.
    pub fn confirm_range(self, first: u64, last: u64) {
        self.0.state.write().confirm(first, last);
    }

    /// Settles events of many slices at once, as [`Index::settle_many`] does so many of each.
    pub fn settle_slices(self, slices: impl IntoIterator<Item = (SliceId, u64)>, now: u64) {
        let mut state = self.0.state.write();
        for (slice, count) in slices {
            state.slices.settle(slice, count, now);
        }
    }

    /// Shows entries of frames with these LSNs that the slice of `window` has which began at `begin`, mostly in the
    /// order of their frames, and returns the slice; `None`: no slice that lives began then.
    ///
    /// Of the frames for which a slice took keys one after the other it shows each. Others may be left out: of keys
    /// that were carried to the slice, or of a slice whose files were written in another order. Who needs all of them
    /// counts. One that was removed may be among them once the index's files were written without it.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`].
    ///
    /// # Cost
    ///
    /// Reads the entries of the blocks that have any of these, of 256 each; and of some others on the way to them, each
    /// once since the index was opened.
    pub fn entries_between(
        self,
        slice: (Window, u64),
        lsns: RangeInclusive<u64>,
        show: impl FnMut(Entry),
    ) -> Result<Option<SliceId>> {
        entries_between(&self.0.state.read(), slice, &lsns, show)
    }

    fn judge_all<C: ?Sized>(
        self,
        (items, count): (&mut C, usize),
        key_at: impl Fn(&C, usize) -> Option<(Fingerprint, ContentHash)>,
        mut judged: impl FnMut(&mut C, usize, Lookup),
    ) -> Result<()> {
        loop {
            let state = self.0.state.read();
            let obstacle = match judge_all(&state, (items, count), &key_at, &mut judged) {
                Ok(()) => return Ok(()),
                Err(obstacle) => obstacle,
            };
            drop(state);
            self.0.state.load(obstacle)?;
        }
    }

    fn take_all<C: ?Sized>(
        self,
        (items, count, now): (&mut C, usize, u64),
        entry_at: impl Fn(&C, usize) -> Option<(Entry, Window)>,
        mut taken: impl FnMut(&mut C, usize, Reserved),
    ) -> Result<()> {
        let mut done = 0;
        loop {
            let mut state = self.0.state.write();
            let left = (&mut *items, done..count, now);
            let obstacle = match take_all(&mut state, left, &entry_at, &mut taken) {
                Ok(()) => return Ok(()),
                Err((at, obstacle)) => {
                    done = at;
                    obstacle
                }
            };
            drop(state);
            self.0.state.load(obstacle)?;
        }
    }
}

/// Judges the keys of all items, until one needs a shard.
fn judge_all<C: ?Sized>(
    state: &IndexState,
    (items, count): (&mut C, usize),
    key_at: impl Fn(&C, usize) -> Option<(Fingerprint, ContentHash)>,
    mut judged: impl FnMut(&mut C, usize, Lookup),
) -> std::result::Result<(), Obstacle> {
    for first in (0..count).step_by(TOGETHER) {
        let some = first..count.min(first + TOGETHER);
        let mut absent = 0_u64;
        for at in some.clone().rev() {
            let is_absent = key_at(items, at).is_some_and(|(key, _)| state.table.is_absent(key));
            absent = absent << 1 | u64::from(is_absent);
        }
        for at in some {
            let is_absent = absent & 1 == 1;
            absent >>= 1;
            let verdict = match key_at(items, at) {
                None => continue,
                Some(_) if is_absent => Lookup::New,
                Some((key, content)) => {
                    state.find_entry(key)?.map_or(Lookup::New, |known| found(known).judge(content))
                }
            };
            judged(items, at, verdict);
        }
    }
    Ok(())
}

/// Reserves the keys of the items at these positions, until one needs a shard; returns which that is.
fn take_all<C: ?Sized>(
    state: &mut IndexState,
    (items, positions, now): (&mut C, std::ops::Range<usize>, u64),
    entry_at: impl Fn(&C, usize) -> Option<(Entry, Window)>,
    mut taken: impl FnMut(&mut C, usize, Reserved),
) -> std::result::Result<(), (usize, Obstacle)> {
    let is_room = state.check_room_for(positions.len()).is_ok();
    let room = if is_room { RoomCheck::Done } else { RoomCheck::Needed };
    let mut taking: Option<Taking> = None;
    let end = positions.end;
    for first in positions.step_by(TOGETHER) {
        let some = first..end.min(first + TOGETHER);
        if some.len() > 1 {
            ask_ahead(state, some.clone().filter_map(|at| Some(entry_at(items, at)?.0.key)));
        }
        for at in some {
            let Some((entry, window)) = entry_at(items, at) else { continue };
            if taking.as_ref().is_none_or(|of| of.window() != window) {
                taking.take().into_iter().for_each(|of| of.end(state));
            }
            let of = taking.get_or_insert_with(|| Taking::begin(state, (window, now), room));
            let outcome = state.take(of, entry);
            match outcome {
                Ok(outcome) => taken(items, at, reserved(outcome)),
                Err(obstacle) => {
                    taking.into_iter().for_each(|of| of.end(state));
                    return Err((at, obstacle));
                }
            }
        }
    }
    taking.into_iter().for_each(|of| of.end(state));
    Ok(())
}

/// Only to have the memory fetch all at once that keys need, control bytes first, then slots.
fn ask_ahead(state: &IndexState, keys: impl Iterator<Item = Fingerprint> + Clone) {
    for key in keys.clone() {
        std::hint::black_box(state.table.is_absent(key));
    }
    for key in keys {
        std::hint::black_box(state.table.first_free(key));
    }
}
