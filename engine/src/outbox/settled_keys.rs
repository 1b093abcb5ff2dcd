//! What must be carried of a segment in which nothing lives but keys of settled events: memory knows the events and
//! their answers, and the index their keys, so the segment is not read.

use onceward_index::Entry;

use super::relocate::Relocating;
use super::table::{EventSet, SettledAlike};
use crate::base::Result;
use crate::kernel::{KEY_ENTRY_BYTES, KeyEntry, KnownPart};

/// Sets of events that are looked at together.
const SETS_MAX: usize = 8;

/// Events that are alike, with the LSN of the first slot of their chunk.
type KeysAlike = (u64, SettledAlike);

impl Relocating<'_> {
    /// Keeps the keys of some settled events of a segment, from the LSN `from` on. `None`: not all of their keys are
    /// found.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn settled_keys(&mut self, segment: u64, from: u64) -> Result<Option<KnownPart>> {
        let events = self.outbox.events();
        let all = KnownPart { count: 0, next: None };
        let Some((first, last)) = events.settled_ends(segment) else { return Ok(Some(all)) };
        if from > last {
            return Ok(Some(all));
        }
        let sets = events.packed().settled_in(from.max(first)..=last, segment);
        let sets: Vec<EventSet> = sets.take(SETS_MAX).collect();
        let mut groups: Vec<KeysAlike> = Vec::new();
        let mut part = all;
        for some in &sets {
            part.count += usize::try_from(some.events.count_ones()).unwrap_or(0);
            part.next = some.ends().end().checked_add(1);
            let left = self.without_outcomes(*some);
            groups
                .extend(events.packed().settled_alike(left).into_iter().map(|it| (some.base, it)));
        }
        let mut entries = Vec::new();
        for same in groups.chunk_by(|(_, one), (_, next)| one.held == next.held) {
            if !self.keys_in_slice(same, &mut entries)? {
                return Ok(None);
            }
        }
        Ok(Some(part))
    }

    /// Those of these events whose keys were not carried yet.
    fn without_outcomes(&self, some: EventSet) -> EventSet {
        let outcomes = self.outbox.events().outcomes();
        if outcomes.is_free(some.ends()) {
            return some;
        }
        let carried = some.lsns().filter(|lsn| outcomes.get(*lsn).is_some());
        let carried = carried.map(|lsn| super::table::one(lsn).events);
        EventSet { events: some.events & !carried.fold(0, |all, one| all | one), ..some }
    }

    /// Keeps the keys of events that are in one slice, unless it is over. Whether all were found.
    fn keys_in_slice(&mut self, groups: &[KeysAlike], entries: &mut Vec<Entry>) -> Result<bool> {
        let ends = |(base, it): &KeysAlike| EventSet { base: *base, events: it.events }.ends();
        let Some((_, SettledAlike { held, .. })) = groups.first() else { return Ok(true) };
        let first = groups.iter().map(|group| *ends(group).start()).min().unwrap_or(0);
        let last = groups.iter().map(|group| *ends(group).end()).max().unwrap_or(0);
        // A key that moved may be anywhere.
        if held.slice.is_none() || groups.iter().any(|(_, it)| it.has_moved) {
            return Ok(false);
        }
        entries.clear();
        let slice = (held.window, held.begin);
        let slice = self.asking.entries_between(slice, first..=last, |it| entries.push(it))?;
        let Some(times) = slice.and_then(|slice| self.kernel.keys.slice_times(slice)) else {
            return Ok(true);
        };
        if !entries.is_sorted_by_key(|entry| entry.lsn) {
            entries.sort_by_key(|entry| entry.lsn);
        }
        for (base, it) in groups {
            let Some(scope) = self.outbox.scopes().get(it.scope) else { return Ok(false) };
            let Some(holder) = it.holder else { return Ok(false) };
            let these = EventSet { base: *base, events: it.events };
            let from = entries.partition_point(|entry| entry.lsn < *these.ends().start());
            let mut behind = entries.get(from..).unwrap_or_default().iter();
            let mut is_missed = false;
            let mut count = 0;
            self.gathered.add(scope.as_str(), (times, false), |keys| {
                for lsn in these.lsns() {
                    match behind.find(|entry| entry.lsn >= lsn).filter(|entry| entry.lsn == lsn) {
                        Some(entry) => {
                            keys.push((holder, key_of(entry, (times.0, it.state.code()))));
                            count += 1;
                        }
                        None => is_missed = true,
                    }
                }
            });
            if is_missed && !onceward_vfs::planted!("key-of-a-segment-not-missed") {
                return Ok(false);
            }
            self.live.count_bytes(KEY_ENTRY_BYTES.saturating_mul(count));
        }
        Ok(true)
    }
}

/// What the index knows of a key, as it is carried.
fn key_of(entry: &Entry, (slice_begin, state): (u64, u8)) -> KeyEntry {
    KeyEntry {
        fingerprint: entry.key.as_u128(),
        event: entry.lsn,
        content_hash: entry.content.as_u64(),
        slice_begin,
        state,
        receipt: Vec::new(),
    }
}
