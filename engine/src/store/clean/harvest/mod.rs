//! What lives in a segment that is to go, in its smallest form.

mod control;
mod inbox;
mod leaving;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::Frame;

use crate::error::Result;
use crate::event::Scope;
use crate::frames::clock::Clock;
use crate::frames::control::{
    Batch, Decision, Envelope, KeyEntry, Keys, ReceiptFor, Rejection, Settle,
};
use crate::frames::event::{self as layout, Carried};
use crate::frames::inbox::FinishedEntry;
use crate::frames::limits::Evict;
use crate::frames::{
    KIND_BATCH, KIND_CANCEL, KIND_CARRIED, KIND_CLOCK, KIND_DECISION, KIND_DELIVERY, KIND_EFFECT,
    KIND_EVENT, KIND_EVICT, KIND_FENCE, KIND_HOLD, KIND_IMPORT, KIND_KEYS, KIND_LEASE,
    KIND_PROGRESS, KIND_RECORD, KIND_SETTLE, KIND_UPSTREAM, KIND_WINDOW, codec,
};
use crate::view::{Asking, Facts, KEY_ENTRY_BYTES, Live, Located, Origin, View};

/// Key entries in one frame.
const KEYS_MAX: usize = 512;
/// Bytes of carried frames that are made durable together.
const CARRY_BYTES: usize = 64 * 1024;

/// A frame to be carried and what it changes in memory.
pub(super) enum Carry {
    Event {
        lsn: u64,
        flags: u8,
        head: [u8; layout::CARRIED_BYTES],
        body: Vec<u8>,
    },
    Keys(Keys),
    /// A control frame that stands for the item `of`.
    Control {
        kind: u8,
        body: Vec<u8>,
        of: u64,
    },
    /// Keys of finished deliveries.
    Finished(Vec<FinishedEntry>),
    Batch(Batch),
    /// Which events were attempted once.
    Attempts(Batch),
    Settle(Settle),
    /// What was dropped and cancelled.
    Room(Evict),
    Decision(Decision),
    Clock(Clock),
}

/// A settled event that stands in the segment and whose key no other frame holds.
pub(super) struct SettledHere {
    pub(super) lsn: u64,
    pub(super) print: Fingerprint,
    content: u64,
    scope: String,
}

impl SettledHere {
    /// What is needed of an event, without its payload.
    pub(super) fn of(lsn: u64, facts: &Facts<'_>) -> Self {
        let content = facts.content.as_u64();
        Self { lsn, print: facts.print, content, scope: facts.scope.to_owned() }
    }
}

/// What is found alive in a segment.
pub(super) struct Harvest {
    segment: u64,
    singles: Vec<Carry>,
    /// Events in earlier segments that were in a batch once, and the number of the last such batch.
    attempted: (Option<u64>, BTreeSet<u64>),
    reviews: Vec<Rejection>,
    /// Keys by scope, beginning of their slice and whether they moved to it, each with the LSN of the
    /// frame that holds its outcome.
    pub(super) keys: BTreeMap<(String, u64, bool), Vec<(u64, KeyEntry)>>,
    settled_ms: BTreeMap<(String, u64), u64>,
    /// What the frames to be written take, about.
    bytes: u64,
    /// An effect was found that is not settled yet: whoever applied it is about to.
    has_open_effect: bool,
    /// Finished deliveries that still have keys.
    finished: Vec<FinishedEntry>,
    /// Frames that leases, records, the inbox or limits need.
    known_frames: usize,
}

impl Harvest {
    pub(super) fn new(segment: u64) -> Self {
        Self {
            segment,
            singles: Vec::new(),
            attempted: (None, BTreeSet::new()),
            reviews: Vec::new(),
            keys: BTreeMap::new(),
            settled_ms: BTreeMap::new(),
            bytes: 0,
            has_open_effect: false,
            finished: Vec::new(),
            known_frames: 0,
        }
    }

    /// What the frames to be written take, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the segment must stay for now.
    pub(super) fn has_open_effect(&self) -> bool {
        self.has_open_effect
    }

    /// Frames that were found which leases, records, the inbox or limits need.
    pub(super) fn known_frames(&self) -> usize {
        self.known_frames
    }

    /// Looks at one frame of the segment.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(super) fn take(&mut self, view: Asking<'_>, frame: &Frame<'_>) -> Result<()> {
        let at = Located::of(frame);
        self.known_frames += usize::from(view.room.is_told_by(&at));
        let has_room = || self.singles.iter().any(|carry| matches!(carry, Carry::Room(_)));
        // One frame tells of all that were dropped, wherever the others stand.
        if matches!(frame.kind, KIND_EVICT | KIND_CANCEL) && view.room.is_needed(&at) && !has_room()
        {
            self.push(Carry::Room(view.room_summary()));
        }
        match frame.kind {
            KIND_EVENT => self.take_event(view, frame, (at.lsn, None), frame.body)?,
            KIND_CARRIED => {
                if let Some((carried, body)) = Carried::decode(at.lsn, frame.body) {
                    let which = (carried.event_lsn, Some(carried.origin));
                    self.take_event(view, frame, which, body)?;
                }
            }
            KIND_EFFECT => {
                if let Some((_receipt, body)) = layout::split_effect(frame.body) {
                    self.take_event(view, frame, (at.lsn, None), body)?;
                }
            }
            KIND_BATCH => self.take_batch(&view, at, frame),
            KIND_SETTLE => self.take_settle(&view, frame),
            KIND_DECISION => self.take_decision(&view, frame),
            KIND_KEYS => self.take_keys(view, frame)?,
            KIND_CLOCK => self.take_clock(&view, at),
            KIND_LEASE => self.take_lease(&view, frame, at),
            KIND_RECORD => self.take_record(view, frame, at)?,
            KIND_WINDOW | KIND_DELIVERY | KIND_PROGRESS => self.take_inbox(view, frame, at)?,
            KIND_FENCE | KIND_IMPORT => self.take_leaving(&view, frame, at),
            KIND_UPSTREAM | KIND_HOLD => self.take_upstreams(&view, frame, at),
            _ => {}
        }
        Ok(())
    }

    fn take_event(
        &mut self,
        view: Asking<'_>,
        frame: &Frame<'_>,
        (lsn, origin): (u64, Option<Origin>),
        body: &[u8],
    ) -> Result<()> {
        if let Some(live) = view.events.get(&lsn) {
            if live.at.place == frame.place {
                self.has_open_effect |= live.at_once;
                let origin = origin.unwrap_or_else(|| view.time.origin(frame.run, frame.time_ms));
                let head = carried_head(lsn, live, origin).encode();
                let body = body.to_vec();
                self.push(Carry::Event { lsn, flags: frame.flags, head, body });
            }
            return Ok(());
        }
        match layout::View::decode(frame.flags, body) {
            Some(event) => self.take_settled(view, &SettledHere::of(lsn, &view.facts(&event))),
            None => Ok(()),
        }
    }

    /// Looks at a settled event: its key lives, unless another frame holds it or it expired.
    ///
    /// # Errors
    ///
    /// As [`Harvest::take`].
    pub(super) fn take_settled(&mut self, view: Asking<'_>, here: &SettledHere) -> Result<()> {
        let settled = view.settled.get(&here.lsn);
        let settled = settled.filter(|it| it.at.place.segment == self.segment);
        let Some(settled) = settled.filter(|_| view.outcomes.get(here.lsn).is_none()) else {
            return Ok(());
        };
        // Another event may have come under the key after its window.
        let found = view.find(here.print)?.filter(|found| found.lsn == here.lsn);
        let Some(found) = found else { return Ok(()) };
        let key = KeyEntry {
            print: here.print.as_u128(),
            event: here.lsn,
            content: here.content,
            slice_begin: 0,
            state: settled.state.code(),
            receipt: Vec::new(),
        };
        let slice = (found.slice, settled.has_moved);
        self.add_key(&view, (&here.scope, slice), settled.outcome_lsn, key);
        Ok(())
    }

    /// Looks at carried keys: those that expired are still needed for events that stand elsewhere.
    fn take_keys(&mut self, view: Asking<'_>, frame: &Frame<'_>) -> Result<()> {
        let Some(keys) = codec::decode::<Keys>(frame.body) else { return Ok(()) };
        let at = frame.lsn.get();
        let mut left = Settle { settled_ms: keys.settled_ms.max(1), ..Settle::default() };
        for key in keys.entries {
            let print = Fingerprint::from_u128(key.print);
            let is_here = view.outcomes.get(key.event).is_some_and(|it| it.holder == at);
            let found = if is_here { view.find(print)? } else { None };
            if let Some(found) = found.filter(|found| found.lsn == key.event) {
                self.add_key(&view, (&keys.scope, (found.slice, keys.has_moved)), at, key);
            } else if view.answers_elsewhere(key.event, at, self.segment) {
                left.add(key.event, key.state);
                left.receipts.push(ReceiptFor { event: key.event, bytes: key.receipt });
            }
        }
        self.add_settle(left);
        Ok(())
    }

    /// Keeps a key that the index has in `slice`.
    fn add_key(
        &mut self,
        view: &View,
        (scope, (slice, mut has_moved)): (&str, (SliceId, bool)),
        holder: u64,
        mut key: KeyEntry,
    ) {
        if let Some((begin, settled_ms)) = view.keys.slice_times(slice) {
            // Of a key that was carried before: it is where it was, or the index says so now.
            has_moved |= key.slice_begin != 0 && key.slice_begin != begin;
            key.slice_begin = begin;
            self.settled_ms.insert((scope.to_owned(), begin), settled_ms);
        }
        let place = (scope.to_owned(), key.slice_begin, has_moved);
        self.bytes += KEY_ENTRY_BYTES + u64::try_from(key.receipt.len()).unwrap_or(0);
        self.keys.entry(place).or_default().push((holder, key));
    }

    fn add_settle(&mut self, settle: Settle) {
        if !settle.is_empty() {
            self.push(Carry::Settle(settle));
        }
    }

    fn push(&mut self, carry: Carry) {
        self.bytes += u64::try_from(carry.bytes()).unwrap_or(u64::MAX);
        self.singles.push(carry);
    }

    /// The frames to write, in groups that are made durable together.
    pub(super) fn into_carries(mut self) -> Vec<Vec<Carry>> {
        let mut singles = self.singles;
        let finished = self.finished.chunks(inbox::FINISHED_MAX);
        singles.extend(finished.map(|some| Carry::Finished(some.to_vec())));
        let (number, attempted) = (self.attempted.0.unwrap_or(0), self.attempted.1);
        let attempted: Vec<u64> = attempted.into_iter().collect();
        for events in attempted.chunks(KEYS_MAX) {
            let (scope, events) = (Scope::DEFAULT.to_owned(), events.to_vec());
            let envelope = Envelope::default();
            singles.push(Carry::Attempts(Batch {
                number,
                scope,
                parent: number,
                events,
                envelope,
            }));
        }
        for (place, keys) in self.keys {
            let (scope, begin, has_moved) = place;
            let slice = (scope, begin);
            let settled_ms = self.settled_ms.get(&slice).copied().unwrap_or(begin);
            let mut keys = keys.into_iter().map(|(_, key)| key);
            loop {
                let entries: Vec<KeyEntry> = keys.by_ref().take(KEYS_MAX).collect();
                if entries.is_empty() {
                    break;
                }
                let scope = slice.0.clone();
                singles.push(Carry::Keys(Keys { scope, entries, settled_ms, has_moved }));
            }
        }
        while !self.reviews.is_empty() {
            let rest = self.reviews.split_off(self.reviews.len().min(16));
            let rejections = std::mem::replace(&mut self.reviews, rest);
            singles.push(Carry::Settle(Settle { rejections, ..Settle::default() }));
        }
        group(singles)
    }
}

impl Carry {
    /// The bytes of its body, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Event { body, .. } => body.len() + layout::CARRIED_BYTES + FRAME_BYTES,
            Self::Keys(keys) => {
                let entry = |key: &KeyEntry| KEY_FIELDS_BYTES + key.receipt.len();
                keys.entries.iter().map(entry).sum::<usize>() + FRAME_BYTES
            }
            Self::Control { body, .. } => body.len() + FRAME_BYTES,
            Self::Finished(entries) => {
                let keys = entries.iter().map(|entry| entry.keys.len()).sum::<usize>();
                (keys + entries.len()) * KEY_FIELDS_BYTES + FRAME_BYTES
            }
            Self::Batch(batch) | Self::Attempts(batch) => {
                let Envelope { upstream, settings, .. } = &batch.envelope;
                batch.events.len() * 8 + upstream.len() + settings.len() + FRAME_BYTES
            }
            Self::Settle(settle) => codec::encode(settle).len() + FRAME_BYTES,
            Self::Room(evict) => codec::encode(evict).len() + FRAME_BYTES,
            Self::Decision(decision) => codec::encode(decision).len() + FRAME_BYTES,
            Self::Clock(_) => FRAME_BYTES,
        }
    }
}

/// What a frame takes besides its body, about.
const FRAME_BYTES: usize = 64;
/// What a key entry takes besides its receipt.
const KEY_FIELDS_BYTES: usize = 49;

/// Cuts a list into groups of about [`CARRY_BYTES`].
fn group(singles: Vec<Carry>) -> Vec<Vec<Carry>> {
    let mut groups: Vec<Vec<Carry>> = Vec::new();
    let mut bytes = usize::MAX;
    for carry in singles {
        let size = carry.bytes();
        if bytes.saturating_add(size) > CARRY_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(group) = groups.last_mut() {
            group.push(carry);
        }
    }
    groups
}

/// What a carried frame says of its event.
fn carried_head(lsn: u64, live: &Live, origin: Origin) -> Carried {
    Carried {
        event_lsn: lsn,
        trusted_ms: live.moment.trusted_ms,
        slice_begin: live.held.begin,
        wall: live.moment.wall,
        origin,
        is_attempted: live.is_attempted,
        is_imported: live.is_imported,
    }
}
