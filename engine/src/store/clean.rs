//! Gives space back: forgets keys whose window is over, and trims segments, oldest first.
//!
//! What still lives in the oldest segment is carried forward in its smallest form, durably, before
//! the segment goes: an unsettled event whole, of a settled one its key with outcome and receipt.
//! A crash between leaves both, and replay makes one of them.

use std::collections::BTreeMap;

use onceward_index::SliceId;
use onceward_wal::{Frame, NewFrame, SegmentInfo};

use super::{Inner, Store, from_log};
use crate::config::Retain;
use crate::error::Result;
use crate::frames::control::{Batch, KeyEntry, Keys, Rejection, Settle};
use crate::frames::event::{self as layout, Carried};
use crate::frames::{
    KIND_BATCH, KIND_CARRIED, KIND_EFFECT, KIND_EVENT, KIND_KEYS, KIND_SETTLE, codec,
};
use crate::view::{Facts, Live, Located, Settled, Stage, View};

/// What a key entry takes at most: its fields and the longest receipt.
const KEY_BYTES_MAX: u64 = 128;
/// Segments that are left alone however little lives in them.
const SEGMENTS_KEPT: usize = 2;
/// Key entries in one frame.
const KEYS_MAX: usize = 512;
/// Bytes of carried frames that are made durable together.
const CARRY_BYTES: usize = 64 * 1024;

/// A frame to be carried and what it changes in memory.
enum Carry {
    Event { lsn: u64, flags: u8, head: [u8; layout::CARRIED_BYTES], body: Vec<u8> },
    Keys(Keys),
    Batch(Batch),
    Reviews(Settle),
}

impl Store {
    /// Forgets keys whose window is over and trims segments that are mostly settled.
    ///
    /// Settling does this too; a host that captures without settling may call it now and then.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused; nothing is lost.
    pub fn tick(&self) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let trusted_ms = inner.moment(inner.mono_ms()).trusted_ms;
        inner.view.lock().expire(trusted_ms);
        if inner.config.retain == Retain::Everything {
            return Ok(());
        }
        // As many as there are now: what is carried must not keep this going.
        for _ in 0..inner.log.segments().len() {
            let _one_at_a_time = inner.control.lock();
            let Some(oldest) = inner.worth_cleaning() else { return Ok(()) };
            if !inner.clean(oldest)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Inner {
    /// The oldest segment, if at most half of what the log holds still lives.
    ///
    /// Then a turn through all segments frees at least as much as it carries.
    fn worth_cleaning(&self) -> Option<SegmentInfo> {
        let segments = self.log.segments();
        if segments.len() <= SEGMENTS_KEPT {
            return None;
        }
        let used: u64 = segments.iter().map(|segment| segment.used_bytes).sum();
        let view = self.view.lock();
        let unsettled: u64 = view.unsettled_bytes.values().sum();
        let live = unsettled + view.index.len() * KEY_BYTES_MAX;
        let oldest = segments.first().copied()?;
        let kept = segments.last().map_or(0, |segment| segment.used_bytes) + oldest.used_bytes;
        (used >= 2 * live + kept).then_some(oldest)
    }

    /// Carries what lives in a finished segment and trims it. The caller holds `control`.
    ///
    /// `false`: it must stay for now, because not everything that it holds can be carried.
    fn clean(&self, segment: SegmentInfo) -> Result<bool> {
        let mut harvest = Harvest::new();
        {
            let mut view = self.view.lock();
            // Reading under the lock: only this one segment, and cleaning is rare.
            self.log
                .read_segment(segment.number, &mut |frame| harvest.take(&mut view, frame))
                .map_err(from_log)?;
            if !harvest.is_whole(&view, segment.number) {
                return Ok(false);
            }
        }
        self.add_receipts(&mut harvest)?;
        for carry in harvest.into_carries() {
            self.carry(&carry)?;
        }
        // First, so that who finds a frame gone knows from the view that it is not needed there.
        self.view.lock().forget_segment(segment.number);
        self.log.trim(segment.number).map_err(from_log)?;
        Ok(true)
    }

    /// Reads the receipts of the keys that move: each frame that holds some is read once.
    fn add_receipts(&self, harvest: &mut Harvest) -> Result<()> {
        let mut keys: Vec<(u64, &mut KeyEntry)> =
            harvest.keys.values_mut().flatten().map(|(holder, key)| (*holder, key)).collect();
        keys.sort_by_key(|(holder, key)| (*holder, key.event));
        for same in keys.chunk_by_mut(|(one, _), (two, _)| one == two) {
            let Some((_, first)) = same.first() else { continue };
            let at = self.view.lock().outcome_at(first.event);
            let Some(at) = at else { continue };
            let receipts = self.receipts_in(at, first.event)?;
            for (_, key) in same {
                if let Some(receipt) = receipts.get(&key.event) {
                    key.receipt.clone_from(receipt);
                }
            }
        }
        Ok(())
    }

    /// Makes carried frames durable, then takes up where they stand.
    fn carry(&self, carries: &[Carry]) -> Result<()> {
        let bodies: Vec<(u8, u8, Vec<u8>, &[u8])> = carries
            .iter()
            .map(|carry| match carry {
                Carry::Event { flags, head, body, .. } => {
                    (KIND_CARRIED, *flags, head.to_vec(), body.as_slice())
                }
                Carry::Keys(keys) => (KIND_KEYS, 0, codec::encode(keys), &[][..]),
                Carry::Batch(batch) => (KIND_BATCH, 0, codec::encode(batch), &[][..]),
                Carry::Reviews(settle) => (KIND_SETTLE, 0, codec::encode(settle), &[][..]),
            })
            .collect();
        let parts: Vec<[&[u8]; 2]> =
            bodies.iter().map(|(_, _, head, rest)| [head.as_slice(), *rest]).collect();
        let new: Vec<NewFrame<'_>> = bodies
            .iter()
            .zip(&parts)
            .map(|((kind, flags, ..), parts)| NewFrame { kind: *kind, flags: *flags, parts })
            .collect();
        let (placed, _) = self.append_durably(&new)?;
        let mut view = self.view.lock();
        for (carry, at) in carries.iter().zip(placed) {
            match carry {
                Carry::Event { lsn, .. } => view.move_event(*lsn, at),
                Carry::Keys(keys) => view.apply_keys(keys, at),
                Carry::Batch(batch) => {
                    if let Some(open) = view.batches.get_mut(&batch.number) {
                        open.at = at;
                    }
                }
                // Memory has them already; only their frame was about to go.
                Carry::Reviews(_) => {}
            }
        }
        Ok(())
    }
}

/// What is found alive in a segment.
struct Harvest {
    events: Vec<Carry>,
    batches: Vec<Carry>,
    reviews: Vec<Rejection>,
    /// Keys by the beginning of their slice, each with the LSN of the frame that holds its outcome.
    keys: BTreeMap<u64, Vec<(u64, KeyEntry)>>,
    settled_ms: BTreeMap<u64, u64>,
    /// Bytes of the unsettled events' frames that were found.
    event_bytes: u64,
    /// Other frames that were found and that the view counts on.
    known_frames: usize,
    /// An effect was found that is not settled yet: whoever applied it is about to.
    has_open_effect: bool,
}

impl Harvest {
    fn new() -> Self {
        Self {
            events: Vec::new(),
            batches: Vec::new(),
            reviews: Vec::new(),
            keys: BTreeMap::new(),
            settled_ms: BTreeMap::new(),
            event_bytes: 0,
            known_frames: 0,
            has_open_effect: false,
        }
    }

    /// Whether everything that lives in the segment was found, so that the segment may go.
    ///
    /// Not so if a byte was damaged since the log was opened: the next opening judges it. Nor if the
    /// segment has frames that only a newer program can read.
    fn is_whole(&self, view: &View, segment: u64) -> bool {
        let unsettled = view.unsettled_bytes.get(&segment).copied().unwrap_or(0);
        let is_odd = view.odd.iter().any(|(at, _)| at.place.segment == segment);
        let is_found =
            self.event_bytes == unsettled && self.known_frames == view.known_frames(segment);
        !is_odd && !self.has_open_effect && is_found
    }

    /// Looks at one frame of the segment.
    fn take(&mut self, view: &mut View, frame: &Frame<'_>) {
        let at = Located::of(frame);
        self.known_frames += usize::from(view.holders.get(&at.lsn) == Some(&at));
        match frame.kind {
            KIND_EVENT => self.take_event(view, frame, at.lsn, frame.body),
            KIND_CARRIED => {
                if let Some((carried, body)) = Carried::decode(frame.body) {
                    self.take_event(view, frame, carried.event_lsn, body);
                }
            }
            KIND_EFFECT => {
                if let Some((_receipt, body)) = layout::split_effect(frame.body) {
                    self.take_event(view, frame, at.lsn, body);
                }
            }
            KIND_BATCH => self.take_batch(view, at),
            KIND_SETTLE => self.take_settle(view, frame),
            KIND_KEYS => {
                if let Some(keys) = codec::decode::<Keys>(frame.body) {
                    for key in keys.entries {
                        let print = onceward_index::Fingerprint::from_u128(key.print);
                        if let Some((slice, entry)) = view.index.find(print)
                            && entry.lsn == key.event
                            && view.outcomes.get(key.event).is_some_and(|it| it.holder == at.lsn)
                        {
                            self.add_key(view, slice, at.lsn, key);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn take_event(&mut self, view: &mut View, frame: &Frame<'_>, lsn: u64, body: &[u8]) {
        if let Some(live) = view.events.get(&lsn) {
            if live.at.place == frame.place {
                self.has_open_effect |= live.at_once;
                self.event_bytes += u64::from(live.at.bytes);
                let head = carried_head(lsn, live).encode();
                let body = body.to_vec();
                self.events.push(Carry::Event { lsn, flags: frame.flags, head, body });
                self.take_review(view, lsn);
            }
            return;
        }
        let settled = view.settled.get(&lsn).filter(|settled| settled.at.place == frame.place);
        // Not here: another copy of it is further on in the log, or its key is already.
        let Some(Settled { state, outcome_lsn, .. }) = settled.copied() else { return };
        self.known_frames += 1;
        if view.outcomes.get(lsn).is_some() {
            return;
        }
        let Some(event) = layout::View::decode(frame.flags, body) else { return };
        let facts = Facts::of(&view.secret, &event);
        let Some((slice, entry)) = view.index.find(facts.print) else { return };
        // Another event may have come under the key after its window.
        if entry.lsn != lsn {
            return;
        }
        let key = KeyEntry {
            print: facts.print.as_u128(),
            event: lsn,
            content: facts.content.as_u64(),
            slice_begin: view.index.slice_begin(slice).unwrap_or(0),
            state: state.code(),
            receipt: Vec::new(),
        };
        self.add_key(view, slice, outcome_lsn, key);
    }

    /// Keeps a key that the index has in `slice`.
    fn add_key(&mut self, view: &View, slice: SliceId, holder: u64, key: KeyEntry) {
        if let Some(info) = view.index.slices().find(|info| info.id == slice) {
            let settled_ms = info.last_settled.unwrap_or(info.begin);
            self.settled_ms.insert(key.slice_begin, settled_ms);
        }
        self.keys.entry(key.slice_begin).or_default().push((holder, key));
    }

    fn take_batch(&mut self, view: &View, at: Located) {
        let open = view.batches.iter().find(|(_, open)| open.at.place == at.place);
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

    fn take_settle(&mut self, view: &View, frame: &Frame<'_>) {
        let Some(settle) = codec::decode::<Settle>(frame.body) else { return };
        for rejection in settle.rejections {
            self.take_review(view, rejection.event);
        }
    }

    /// Keeps the reason of an event that still waits for a person.
    fn take_review(&mut self, view: &View, event: u64) {
        let waits = view.events.get(&event).is_some_and(|live| live.stage == Stage::InReview);
        let Some(review) = view.reviews.get(&event).filter(|_| waits) else { return };
        if self.reviews.iter().any(|kept| kept.event == event) {
            return;
        }
        self.reviews.push(Rejection {
            event,
            version: review.version,
            code: review.code.clone(),
            message: review.message.clone(),
            reply: review.reply.clone(),
            since_ms: review.since_ms,
        });
    }

    /// The frames to write, in groups that are made durable together.
    fn into_carries(mut self) -> Vec<Vec<Carry>> {
        let mut singles = self.events;
        singles.append(&mut self.batches);
        for (slice_begin, keys) in self.keys {
            let settled_ms = self.settled_ms.get(&slice_begin).copied().unwrap_or(slice_begin);
            let mut keys = keys.into_iter().map(|(_, key)| key);
            loop {
                let entries: Vec<KeyEntry> = keys.by_ref().take(KEYS_MAX).collect();
                if entries.is_empty() {
                    break;
                }
                singles.push(Carry::Keys(Keys { entries, settled_ms }));
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
            Carry::Keys(_) | Carry::Batch(_) | Carry::Reviews(_) => CARRY_BYTES,
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
fn carried_head(lsn: u64, live: &Live) -> Carried {
    Carried {
        event_lsn: lsn,
        trusted_ms: live.moment.trusted_ms,
        slice_begin: live.slice_begin,
        wall_ms: live.moment.wall_ms,
    }
}
