//! What lives in a segment that is to go, in its smallest form.

mod inbox;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::SliceId;
use onceward_wal::Frame;

use crate::error::Result;
use crate::event::Scope;
use crate::frames::control::{Batch, Decision, KeyEntry, Keys, Rejection, Settle};
use crate::frames::event::{self as layout, Carried};
use crate::frames::inbox::FinishedEntry;
use crate::frames::limits::Evict;
use crate::frames::{
    KIND_BATCH, KIND_CARRIED, KIND_DECISION, KIND_DELIVERY, KIND_EFFECT, KIND_EVENT, KIND_KEYS,
    KIND_LEASE, KIND_PROGRESS, KIND_RECORD, KIND_SETTLE, KIND_WINDOW, codec,
};
use crate::view::{Facts, Live, Located, Origin, Settled, View};

/// Key entries in one frame.
const KEYS_MAX: usize = 512;
/// Bytes of carried frames that are made durable together.
const CARRY_BYTES: usize = 64 * 1024;
/// What a carried decision takes, about: mostly its note, which is seldom long.
const DECISION_BYTES: usize = 2 * 1024;

/// A frame to be carried and what it changes in memory.
pub(super) enum Carry {
    Event {
        lsn: u64,
        flags: u8,
        head: [u8; layout::CARRIED_BYTES],
        body: Vec<u8>,
    },
    Keys(Keys),
    Batch(Batch),
    /// Which events were attempted once.
    Attempts(Batch),
    Reviews(Settle),
    /// A control frame that stands for the item `of`.
    Control {
        kind: u8,
        body: Vec<u8>,
        of: u64,
    },
    /// Keys of finished deliveries.
    Finished(Vec<FinishedEntry>),
    /// What was dropped and cancelled.
    Room(Evict),
    Decision(Decision),
}

/// What is found alive in a segment.
pub(super) struct Harvest {
    events: Vec<Carry>,
    batches: Vec<Carry>,
    controls: Vec<Carry>,
    /// Events in earlier segments that were in a batch once, and the number of the last such batch.
    attempted: (u64, BTreeSet<u64>),
    reviews: Vec<Rejection>,
    decisions: Vec<Carry>,
    /// Keys by scope and beginning of their slice, each with the LSN of the frame that holds its
    /// outcome.
    pub(super) keys: BTreeMap<(String, u64), Vec<(u64, KeyEntry)>>,
    settled_ms: BTreeMap<(String, u64), u64>,
    /// Bytes of the unsettled events' frames that were found.
    event_bytes: u64,
    /// Other frames that were found and that the view counts on.
    known_frames: usize,
    /// An effect was found that is not settled yet: whoever applied it is about to.
    has_open_effect: bool,
    /// Finished deliveries that still have keys.
    finished: Vec<FinishedEntry>,
}

impl Harvest {
    pub(super) fn new() -> Self {
        Self {
            events: Vec::new(),
            batches: Vec::new(),
            controls: Vec::new(),
            attempted: (0, BTreeSet::new()),
            reviews: Vec::new(),
            decisions: Vec::new(),
            keys: BTreeMap::new(),
            settled_ms: BTreeMap::new(),
            event_bytes: 0,
            known_frames: 0,
            has_open_effect: false,
            finished: Vec::new(),
        }
    }

    /// Whether everything that lives in the segment was found, so that the segment may go.
    ///
    /// Not so if a byte was damaged since the log was opened: the next opening judges it. Nor if the
    /// segment has frames that only a newer program can read.
    pub(super) fn is_whole(&self, view: &View, segment: u64) -> bool {
        let unsettled = view.unsettled_bytes.get(&segment).copied().unwrap_or(0);
        let is_odd = view.odd.iter().any(|(at, _)| at.place.segment == segment);
        let is_found =
            self.event_bytes == unsettled && self.known_frames == view.known_frames(segment);
        !is_odd && !self.has_open_effect && is_found
    }

    /// Looks at one frame of the segment.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(super) fn take(&mut self, view: &mut View, frame: &Frame<'_>) -> Result<()> {
        let at = Located::of(frame);
        self.known_frames += usize::from(view.holders.get(&at.lsn) == Some(&at));
        if view.room.is_told_by(&at) {
            self.known_frames += 1;
            self.batches.push(Carry::Room(view.room_summary()));
        }
        match frame.kind {
            KIND_EVENT => self.take_event(view, frame, (at.lsn, None), frame.body)?,
            KIND_CARRIED => {
                if let Some((carried, body)) = Carried::decode(frame.body) {
                    let which = (carried.event_lsn, Some(carried.origin));
                    self.take_event(view, frame, which, body)?;
                }
            }
            KIND_EFFECT => {
                if let Some((_receipt, body)) = layout::split_effect(frame.body) {
                    self.take_event(view, frame, (at.lsn, None), body)?;
                }
            }
            KIND_BATCH => self.take_batch(view, at, frame),
            KIND_SETTLE => self.take_settle(view, frame),
            KIND_LEASE => self.take_lease(view, frame, at),
            KIND_RECORD => self.take_record(view, frame, at)?,
            KIND_DECISION => self.take_decision(view, frame),
            KIND_KEYS => {
                if let Some(keys) = codec::decode::<Keys>(frame.body) {
                    for key in keys.entries {
                        let print = onceward_index::Fingerprint::from_u128(key.print);
                        if view.outcomes.get(key.event).is_some_and(|it| it.holder == at.lsn)
                            && let Some(found) = view.keys.find(print)?
                            && found.lsn == key.event
                        {
                            self.add_key(view, (&keys.scope, found.slice), at.lsn, key);
                        }
                    }
                }
            }
            KIND_WINDOW | KIND_DELIVERY | KIND_PROGRESS => self.take_inbox(view, frame, at)?,
            _ => {}
        }
        Ok(())
    }

    fn take_event(
        &mut self,
        view: &mut View,
        frame: &Frame<'_>,
        (lsn, origin): (u64, Option<Origin>),
        body: &[u8],
    ) -> Result<()> {
        if let Some(live) = view.events.get(&lsn) {
            if live.at.place == frame.place {
                self.has_open_effect |= live.at_once;
                self.event_bytes += u64::from(live.at.bytes);
                let wall_ms = live.moment.wall_ms;
                let origin = origin.unwrap_or_else(|| view.time.origin(frame.run, wall_ms));
                let head = carried_head(lsn, live, origin).encode();
                let body = body.to_vec();
                self.events.push(Carry::Event { lsn, flags: frame.flags, head, body });
            }
            return Ok(());
        }
        let settled = view.settled.get(&lsn).filter(|settled| settled.at.place == frame.place);
        // Not here: another copy of it is further on in the log, or its key is already.
        let Some(Settled { state, outcome_lsn, .. }) = settled.copied() else { return Ok(()) };
        self.known_frames += 1;
        if view.outcomes.get(lsn).is_some() {
            return Ok(());
        }
        let Some(event) = layout::View::decode(frame.flags, body) else { return Ok(()) };
        let facts: Facts<'_> = view.facts(&event);
        // Another event may have come under the key after its window.
        let found = view.keys.find(facts.print)?.filter(|found| found.lsn == lsn);
        let Some(found) = found else { return Ok(()) };
        let key = KeyEntry {
            print: facts.print.as_u128(),
            event: lsn,
            content: facts.content.as_u64(),
            slice_begin: 0,
            state: state.code(),
            receipt: Vec::new(),
        };
        self.add_key(view, (facts.scope, found.slice), outcome_lsn, key);
        Ok(())
    }

    /// Keeps a key that the index has in `slice`.
    fn add_key(
        &mut self,
        view: &View,
        (scope, slice): (&str, SliceId),
        holder: u64,
        mut key: KeyEntry,
    ) {
        if let Some((begin, settled_ms)) = view.keys.slice_times(slice) {
            key.slice_begin = begin;
            self.settled_ms.insert((scope.to_owned(), begin), settled_ms);
        }
        let place = (scope.to_owned(), key.slice_begin);
        self.keys.entry(place).or_default().push((holder, key));
    }

    fn take_batch(&mut self, view: &View, at: Located, frame: &Frame<'_>) {
        let open = view.batches.iter().find(|(_, open)| open.at.place == at.place);
        if open.is_none() {
            self.take_attempts(view, at, frame);
        }
        if let Some((number, open)) = open {
            self.known_frames += 1;
            self.batches.push(Carry::Batch(Batch {
                number: *number,
                scope: open.scope.as_str().to_owned(),
                parent: 0,
                events: open.events.clone(),
            }));
        }
    }

    /// Keeps that events were attempted whose own frames stand before this segment: what is carried of
    /// others says so itself.
    fn take_attempts(&mut self, view: &View, at: Located, frame: &Frame<'_>) {
        let Some(batch) = codec::decode::<Batch>(frame.body) else { return };
        let stays = |lsn: &u64| {
            let live = view.events.get(lsn).filter(|live| live.is_attempted);
            live.is_some_and(|live| live.at.place.segment < at.place.segment)
        };
        self.attempted.0 = if batch.number == 0 { at.lsn } else { batch.number };
        self.attempted.1.extend(batch.events.into_iter().filter(stays));
    }

    fn take_settle(&mut self, view: &View, frame: &Frame<'_>) {
        let Some(settle) = codec::decode::<Settle>(frame.body) else { return };
        for rejection in settle.rejections {
            // Elsewhere, or decided: nothing of it lives here.
            let here = view.reviews.get(rejection.event).filter(|it| it.at.place == frame.place);
            let Some(review) = here else { continue };
            self.known_frames += 1;
            if view.waiting(rejection.event).is_some() {
                self.reviews.push(Rejection { version: review.version, ..rejection });
            }
        }
    }

    /// Keeps a decision that is remembered.
    fn take_decision(&mut self, view: &View, frame: &Frame<'_>) {
        let Some(decision) = codec::decode::<Decision>(frame.body) else { return };
        let lsn = frame.lsn.get();
        let number = if decision.number == 0 { lsn } else { decision.number };
        if view.reviews.decision(number).is_some_and(|made| made.at.place == frame.place) {
            self.known_frames += 1;
            self.decisions.push(Carry::Decision(Decision { number, ..decision }));
        }
    }

    /// The frames to write, in groups that are made durable together.
    pub(super) fn into_carries(mut self) -> Vec<Vec<Carry>> {
        let mut singles = self.events;
        singles.append(&mut self.batches);
        singles.append(&mut self.controls);
        let finished = self.finished.chunks(inbox::FINISHED_MAX);
        singles.extend(finished.map(|some| Carry::Finished(some.to_vec())));
        let (number, attempted) = self.attempted;
        let attempted: Vec<u64> = attempted.into_iter().collect();
        for events in attempted.chunks(KEYS_MAX) {
            let (scope, events) = (Scope::DEFAULT.to_owned(), events.to_vec());
            singles.push(Carry::Attempts(Batch { number, scope, parent: number, events }));
        }
        singles.append(&mut self.decisions);
        for (place, keys) in self.keys {
            let settled_ms = self.settled_ms.get(&place).copied().unwrap_or(place.1);
            let mut keys = keys.into_iter().map(|(_, key)| key);
            loop {
                let entries: Vec<KeyEntry> = keys.by_ref().take(KEYS_MAX).collect();
                if entries.is_empty() {
                    break;
                }
                singles.push(Carry::Keys(Keys { scope: place.0.clone(), entries, settled_ms }));
            }
        }
        while !self.reviews.is_empty() {
            let rest = self.reviews.split_off(self.reviews.len().min(16));
            let rejections = std::mem::replace(&mut self.reviews, rest);
            singles.push(Carry::Reviews(Settle { rejections, ..Settle::default() }));
        }
        group(singles)
    }
}

/// Cuts a list into groups of about [`CARRY_BYTES`].
fn group(singles: Vec<Carry>) -> Vec<Vec<Carry>> {
    let mut groups: Vec<Vec<Carry>> = Vec::new();
    let mut bytes = usize::MAX;
    for carry in singles {
        let size = match &carry {
            Carry::Event { body, .. } => body.len() + layout::CARRIED_BYTES,
            Carry::Control { body, .. } => body.len(),
            Carry::Decision(_) => DECISION_BYTES,
            Carry::Finished(_)
            | Carry::Keys(_)
            | Carry::Batch(_)
            | Carry::Attempts(_)
            | Carry::Reviews(_)
            | Carry::Room(_) => CARRY_BYTES,
        };
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
        wall_ms: live.moment.wall_ms,
        origin,
        is_attempted: live.is_attempted,
    }
}
