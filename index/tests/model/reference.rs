//! The promise in its plainest form: one map of keys, one map of slices, one rule for deadlines.
//! Method: no tables, no counters; what the index counts, this looks up each time.

use std::collections::BTreeMap;

use onceward_index::{Entry, Expired, SliceId};

pub(crate) const WINDOW_MS: u64 = 60_000;
pub(crate) const SLICE_MS: u64 = 15_000;
pub(crate) const CARRY_MAX: usize = 2;

/// A key as the model knows it.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) slice: SliceId,
    pub(crate) entry: Entry,
    pub(crate) confirmed: bool,
    pub(crate) settled: Option<u64>,
}

impl Known {
    fn is_final(&self) -> bool {
        self.confirmed && self.settled.is_some()
    }
}

/// Beginning and last settlement of a slice.
pub(crate) type Times = (u64, Option<u64>);

/// Everything that is remembered.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) keys: BTreeMap<u8, Known>,
    pub(crate) slices: BTreeMap<SliceId, Times>,
    newest: u32,
    newest_begin: u64,
}

impl Model {
    pub(crate) fn reserve(&mut self, key: u8, entry: Entry, now: u64) -> Result<SliceId, Entry> {
        if let Some(known) = self.keys.get(&key) {
            return Err(known.entry);
        }
        let slice = self.current(now);
        self.keys.insert(key, Known { slice, entry, confirmed: false, settled: None });
        Ok(slice)
    }

    pub(crate) fn confirm(&mut self, key: u8, lsn: u64) {
        if let Some(known) = self.keys.get_mut(&key).filter(|known| known.entry.lsn == lsn) {
            known.confirmed = true;
        }
    }

    pub(crate) fn withdraw(&mut self, key: u8, lsn: u64) -> bool {
        self.remove_if(key, |known| known.entry.lsn == lsn && !known.confirmed)
    }

    pub(crate) fn settle(&mut self, key: u8, outcome: u8, lsn: u64, now: u64) -> Option<SliceId> {
        let known = self.keys.get_mut(&key)?;
        let slice = known.slice;
        if known.settled.is_none() {
            known.settled = Some(now);
            (known.entry.outcome, known.entry.outcome_lsn) = (outcome, lsn);
            self.settled_in(slice, Some(now));
        }
        Some(slice)
    }

    pub(crate) fn update(&mut self, key: u8, outcome: u8, lsn: u64) -> bool {
        let Some(known) = self.keys.get_mut(&key) else {
            return false;
        };
        (known.entry.outcome, known.entry.outcome_lsn) = (outcome, lsn);
        true
    }

    pub(crate) fn release(&mut self, key: u8) -> bool {
        self.remove_if(key, Known::is_final)
    }

    pub(crate) fn carry(&mut self, key: u8, now: u64) -> bool {
        let Some(known) = self.keys.get(&key).filter(|known| !known.is_final()).cloned() else {
            return false;
        };
        let last = self.slices.get(&known.slice).and_then(|(_, last)| *last);
        let slice = self.current(now);
        if known.settled.is_some() {
            self.settled_in(slice, last);
        }
        self.keys.insert(key, Known { slice, ..known });
        true
    }

    pub(crate) fn expire(&mut self, now: u64) -> Expired {
        let mut expired = Expired::default();
        for (slice, times) in &self.slices {
            match self.held(*slice) {
                _ if now < deadline(*times) => {}
                0 => expired.dropped.push(*slice),
                1..=CARRY_MAX => expired.to_carry.push(*slice),
                _ => {}
            }
        }
        self.slices.retain(|slice, _| !expired.dropped.contains(slice));
        self.keys.retain(|_, known| !expired.dropped.contains(&known.slice));
        expired
    }

    /// What a crash leaves: the log knows no reservations, and only the slices that are live.
    pub(crate) fn crash(&mut self) {
        self.keys.retain(|_, known| known.confirmed);
        self.newest = self.slices.keys().last().map_or(0, |slice| slice.0);
        self.newest_begin = self.slices.values().map(|(begin, _)| *begin).max().unwrap_or(0);
    }

    /// The time at which the first slice may go.
    pub(crate) fn nearest_deadline(&self) -> Option<u64> {
        self.slices.values().copied().map(deadline).min()
    }

    /// Keys that hold a slice.
    pub(crate) fn held(&self, slice: SliceId) -> usize {
        self.keys.values().filter(|known| known.slice == slice && !known.is_final()).count()
    }

    fn current(&mut self, now: u64) -> SliceId {
        let newest = self.slices.get(&SliceId(self.newest));
        if newest.is_none_or(|(begin, _)| now >= begin + SLICE_MS) {
            self.newest += 1;
            self.newest_begin = self.newest_begin.max(now);
            self.slices.insert(SliceId(self.newest), (self.newest_begin, None));
        }
        SliceId(self.newest)
    }

    fn settled_in(&mut self, slice: SliceId, at: Option<u64>) {
        self.slices.entry(slice).and_modify(|(_, last)| *last = at.max(*last));
    }

    fn remove_if(&mut self, key: u8, condition: impl Fn(&Known) -> bool) -> bool {
        let is_met = self.keys.get(&key).is_some_and(condition);
        if is_met {
            self.keys.remove(&key);
        }
        is_met
    }
}

fn deadline((begin, last): Times) -> u64 {
    (begin + SLICE_MS).max(last.unwrap_or(0)) + WINDOW_MS
}
