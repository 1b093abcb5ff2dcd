//! The live slices of all windows: which a key goes into, and when one is forgotten. No keys here.

use std::collections::BTreeMap;

use crate::options::{Window, WindowStart};

/// Number of a slice. Good while the slice lives; a number is never given again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SliceId(pub(crate) u32);

/// Counts and times of a live slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SliceInfo {
    /// Number of the slice.
    pub id: SliceId,
    /// The window of its keys.
    pub window: Window,
    /// Trusted time at which the slice began, in milliseconds.
    pub begin: u64,
    /// Latest settlement of a key in this slice, trusted time in milliseconds.
    pub last_settled: Option<u64>,
    /// Keys in this slice.
    pub keys: u64,
    /// Unsettled events that keep this slice from expiring.
    pub held: u64,
}

/// The outcome of [`Index::expire`](crate::Index::expire), and what it leaves to the caller.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expired {
    /// Slices that are forgotten with all their keys.
    pub dropped: Vec<SliceId>,
    /// Slices whose deadline has passed and that only a few unsettled events hold. After
    /// [`Index::carry`](crate::Index::carry) of each of their keys the next call drops them.
    pub to_carry: Vec<SliceId>,
}

/// A live slice.
#[derive(Clone, Debug)]
pub(crate) struct LiveSlice {
    pub(crate) window: Window,
    pub(crate) begin: u64,
    pub(crate) last_settled: Option<u64>,
    pub(crate) held: u64,
    pub(crate) keys: u64,
    /// Whether the slice was in the files when the index was opened, with the keys that the log says it had.
    pub(crate) is_from_files: bool,
    /// The block that takes the next entry.
    pub(crate) filling: Option<u32>,
    /// Blocks whose entries are only in memory, in the order in which they were begun.
    pub(crate) in_memory: Vec<u32>,
    /// All its blocks.
    pub(crate) blocks: Vec<u32>,
}

/// All live slices.
#[derive(Clone, Debug)]
pub(crate) struct Slices {
    slice_count: u32,
    carry_max: u64,
    all: BTreeMap<SliceId, LiveSlice>,
    by_begin: BTreeMap<(Window, u64), SliceId>,
    /// Number of the next slice.
    pub(crate) next: u32,
}

impl Slices {
    pub(crate) const fn new(slice_count: u32, carry_max: u64) -> Self {
        Self { slice_count, carry_max, all: BTreeMap::new(), by_begin: BTreeMap::new(), next: 1 }
    }

    /// The beginning of the slice of a key captured at `now`.
    ///
    /// Slices begin at multiples of their length, so the moment alone says which slice it is, whatever
    /// is known of others.
    pub(crate) const fn begin_of(&self, window: Window, now: u64) -> u64 {
        now - now % window.slice_ms(self.slice_count)
    }

    /// The live slice that begins there, opened if there is none.
    pub(crate) fn open(&mut self, window: Window, begin: u64) -> SliceId {
        if let Some(id) = self.by_begin.get(&(window, begin)) {
            return *id;
        }
        let id = SliceId(self.next);
        self.next = self.next.saturating_add(1);
        self.put(id, window, begin, None);
        id
    }

    /// Puts in a slice of a known number.
    pub(crate) fn put(&mut self, id: SliceId, window: Window, begin: u64, settled: Option<u64>) {
        let slice = LiveSlice {
            window,
            begin,
            last_settled: settled,
            held: 0,
            keys: 0,
            is_from_files: false,
            filling: None,
            in_memory: Vec::new(),
            blocks: Vec::new(),
        };
        self.by_begin.insert((window, begin), id);
        self.all.insert(id, slice);
    }

    /// Slices that each window is cut into.
    pub(crate) const fn slice_count(&self) -> u32 {
        self.slice_count
    }

    /// The live slice of a window that begins there.
    pub(crate) fn at(&self, window: Window, begin: u64) -> Option<SliceId> {
        self.by_begin.get(&(window, begin)).copied()
    }

    pub(crate) fn get(&self, id: SliceId) -> Option<&LiveSlice> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: SliceId) -> Option<&mut LiveSlice> {
        self.all.get_mut(&id)
    }

    /// The live slices, by rising number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SliceId, &LiveSlice)> {
        self.all.iter().map(|(id, slice)| (*id, slice))
    }

    /// Counts one more unsettled event in a slice.
    pub(crate) fn hold(&mut self, id: SliceId) {
        self.hold_for(id, 1);
    }

    /// Counts so many more unsettled events in a slice.
    pub(crate) fn hold_for(&mut self, id: SliceId, count: u64) {
        if let Some(slice) = self.all.get_mut(&id) {
            slice.held = slice.held.saturating_add(count);
        }
    }

    /// Counts so many unsettled events fewer in a slice.
    pub(crate) fn unhold(&mut self, id: SliceId, count: u64) {
        if let Some(slice) = self.all.get_mut(&id) {
            slice.held = slice.held.saturating_sub(count);
        }
    }

    /// Notes the final answer for so many events of a slice, which held it.
    pub(crate) fn settle(&mut self, id: SliceId, count: u64, at: u64) {
        if let Some(slice) = self.all.get_mut(&id) {
            slice.held = slice.held.saturating_sub(count);
            slice.raise_settled(at);
        }
    }

    /// Notes a settlement that is in the log: of a key whose slice began at `begin`.
    ///
    /// The log does not say whether the key was carried since. If it was, then when its slice was
    /// over, and before it was settled: every slice of that time is remembered for as long.
    pub(crate) fn raise_settled(&mut self, window: Window, begin: u64, at: u64) {
        let carried_from = begin.saturating_add(window.length_ms());
        let Self { all, by_begin, .. } = self;
        let own = by_begin.get(&(window, begin));
        let later = by_begin.range((window, carried_from.min(at))..=(window, at));
        for id in own.into_iter().chain(later.map(|(_, id)| id)) {
            if let Some(slice) = all.get_mut(id) {
                slice.raise_settled(at);
            }
        }
    }

    /// Takes out the slices that are over; returns them, and those that must be carried first.
    ///
    /// A slice with unsettled events stays. While one waits to be carried, no later slice of its
    /// window goes: its keys may be in there, from a carrying that a crash undid half.
    pub(crate) fn expire(&mut self, now: u64) -> (Vec<(SliceId, LiveSlice)>, Vec<SliceId>) {
        let mut dropped = Vec::new();
        let mut to_carry = Vec::new();
        let mut carrying = None;
        for ((window, _), id) in &self.by_begin {
            let Some(slice) = self.all.get(id) else { continue };
            if !slice.is_over(now, self.slice_count) {
                continue;
            }
            if slice.held == 0 {
                if carrying != Some(*window) {
                    dropped.push(*id);
                }
            } else if slice.held <= self.carry_max {
                to_carry.push(*id);
                carrying = Some(*window);
            }
        }
        let dropped = dropped.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect();
        (dropped, to_carry)
    }

    fn take(&mut self, id: SliceId) -> Option<LiveSlice> {
        let slice = self.all.remove(&id)?;
        self.by_begin.remove(&(slice.window, slice.begin));
        Some(slice)
    }
}

impl LiveSlice {
    /// Whether the window after the slice is over.
    ///
    /// It starts at the slice's end or, if so asked, at the last settlement in it when that is later.
    /// The deadline itself is over: a window of 60 s that starts at 100 s holds at 159.999 s and
    /// not at 160 s. A deadline beyond the range of time never comes.
    fn is_over(&self, now: u64, slice_count: u32) -> bool {
        let settled = match self.window.start() {
            WindowStart::FromSettle => self.last_settled.unwrap_or(0),
            WindowStart::FromCapture => 0,
        };
        self.begin
            .checked_add(self.window.slice_ms(slice_count))
            .and_then(|end| end.max(settled).checked_add(self.window.length_ms()))
            .is_some_and(|deadline| now >= deadline)
    }

    /// Moves the last settlement up to `at`, never down.
    pub(crate) fn raise_settled(&mut self, at: u64) {
        // The highest number means none in the files.
        self.last_settled = self.last_settled.max(Some(at.min(u64::MAX - 1)));
    }

    /// Counts and times of the slice.
    pub(crate) fn info(&self, id: SliceId) -> SliceInfo {
        let Self { window, begin, last_settled, keys, held, .. } = *self;
        SliceInfo { id, window, begin, last_settled, keys, held }
    }
}
