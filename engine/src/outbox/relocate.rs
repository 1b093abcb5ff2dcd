//! What of the outbox lives in a segment that is to go, in its smallest form: an event without a final answer whole, of
//! one with an answer its key and receipt, and what without it an older frame elsewhere would be taken at its word for.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::Frame;

use super::frames::{BatchFrame, Envelope, ReceiptFor, Rejection, SettleFrame};
use super::{Live, Outbox, Settled};
use crate::base::{FrameKind, Located, Origin, Result, codec};
use crate::event::{Receipt, Scope, layout};
use crate::kernel::{Asking, KEY_ENTRY_BYTES, Kernel, KeyEntry, KeysFrame, LiveFrames};

/// Key entries in one frame.
const KEYS_MAX: usize = 512;
/// Rejections in one frame.
const REJECTIONS_MAX: usize = 16;
/// What a rejection takes besides its texts.
const REJECTION_BYTES: usize = 64;

/// A settled event whose frame is in the segment and whose key no other frame holds. While a segment is cleaned
/// nothing of that changes.
#[derive(Debug)]
pub(crate) struct SettledHere {
    /// Number of its scope.
    scope: usize,
    /// The slice that the index has its key in.
    slice: SliceId,
    has_moved: bool,
    /// The frame that holds the answer.
    holder: u64,
    key: KeyEntry,
}

/// Keys of one scope and one slice that are carried together.
#[derive(Debug)]
struct KeyGroup {
    scope: String,
    /// When the slice began, and when it was last settled.
    begin: u64,
    settled_ms: u64,
    /// Whether they moved to the slice.
    has_moved: bool,
    /// Each with the LSN of the frame that holds its outcome.
    keys: Vec<(u64, KeyEntry)>,
}

/// What is gathered of several frames before it is carried together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Events in earlier segments that were in a batch once, and the number of the first such batch.
    attempted: (Option<u64>, BTreeSet<u64>),
    reviews: Vec<Rejection>,
    /// The group that got a key last is the last one.
    keys: Vec<KeyGroup>,
}

impl Gathered {
    /// Puts what was gathered into frames.
    pub(crate) fn end(self, live: &mut LiveFrames) {
        let (number, attempted) = (self.attempted.0.unwrap_or(0), self.attempted.1);
        let attempted: Vec<u64> = attempted.into_iter().collect();
        for events in attempted.chunks(KEYS_MAX) {
            let (scope, events) = (Scope::DEFAULT.to_owned(), events.to_vec());
            let (parent, envelope) = (number, Envelope::default());
            let batch = BatchFrame { number, scope, parent, events, envelope };
            live.push(FrameKind::Batch, codec::encode(&batch));
        }
        for KeyGroup { scope, settled_ms, has_moved, keys, .. } in self.keys {
            let mut keys = keys.into_iter().map(|(_, key)| key);
            loop {
                let entries: Vec<KeyEntry> = keys.by_ref().take(KEYS_MAX).collect();
                if entries.is_empty() {
                    break;
                }
                let frame = KeysFrame { scope: scope.clone(), entries, settled_ms, has_moved };
                live.push(FrameKind::Keys, codec::encode(&frame));
            }
        }
        for some in self.reviews.chunks(REJECTIONS_MAX) {
            let settle = SettleFrame { rejections: some.to_vec(), ..SettleFrame::default() };
            live.push(FrameKind::Settle, codec::encode(&settle));
        }
    }

    /// Adds keys of a scope and a slice to those that there are; with when the slice began and was last settled, and
    /// whether they moved to it.
    pub(in crate::outbox) fn add(
        &mut self,
        scope: &str,
        ((begin, settled_ms), has_moved): ((u64, u64), bool),
        add: impl FnOnce(&mut Vec<(u64, KeyEntry)>),
    ) {
        let is_it = |group: &KeyGroup| {
            group.begin == begin && group.has_moved == has_moved && group.scope == scope
        };
        if !self.keys.last().is_some_and(is_it) {
            let group = match self.keys.iter().position(is_it) {
                Some(at) => self.keys.swap_remove(at),
                None => {
                    let (scope, keys) = (scope.to_owned(), Vec::new());
                    KeyGroup { scope, begin, settled_ms, has_moved, keys }
                }
            };
            self.keys.push(group);
        }
        if let Some(group) = self.keys.last_mut() {
            add(&mut group.keys);
        }
    }

    /// Puts the receipts in that the keys lack: `receipts` finds those of a frame, by event.
    ///
    /// # Errors
    ///
    /// As `receipts`.
    pub(crate) fn complete(
        &mut self,
        receipts: impl Fn(u64) -> Result<BTreeMap<u64, Vec<u8>>>,
    ) -> Result<()> {
        let all = self.keys.iter_mut().flat_map(|group| &mut group.keys);
        let mut keys: Vec<(u64, &mut KeyEntry)> = all.map(|(holder, key)| (*holder, key)).collect();
        keys.sort_by_key(|(holder, key)| (*holder, key.event));
        // Each frame that holds some is read once.
        for same in keys.chunk_by_mut(|(one, _), (two, _)| one == two) {
            let Some((_, first)) = same.first() else { continue };
            let found = receipts(first.event)?;
            for (_, key) in same {
                if let Some(receipt) = found.get(&key.event) {
                    key.receipt.clone_from(receipt);
                }
            }
        }
        Ok(())
    }
}

impl Outbox {
    /// Looks at a settled event of a segment that is cleaned: what of it must be carried, if anything.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn settled_here(
        &self,
        kernel: &Kernel,
        asking: Asking<'_>,
        (lsn, settled): (u64, &Settled),
        event: &layout::View<'_>,
    ) -> Result<Option<SettledHere>> {
        let fingerprint = kernel.secret.fingerprint(event.scope, event.key.as_bytes());
        // Another event may have come under the key after its window.
        let found = asking.find(fingerprint)?.filter(|found| found.lsn == lsn);
        Ok(found.map(|found| SettledHere {
            scope: settled.scope,
            slice: found.slice,
            has_moved: settled.has_moved,
            holder: settled.outcome_lsn,
            key: KeyEntry {
                fingerprint: fingerprint.as_u128(),
                event: lsn,
                // What the index has was made from this very content.
                content_hash: found.content.as_u64(),
                slice_begin: 0,
                state: settled.state.code(),
                receipt: Vec::new(),
            },
        }))
    }
}

/// The outbox, while it is asked what of a segment lives.
pub(crate) struct Relocating<'a> {
    pub(crate) outbox: &'a Outbox,
    pub(in crate::outbox) kernel: &'a Kernel,
    pub(in crate::outbox) asking: Asking<'a>,
    pub(crate) live: &'a mut LiveFrames,
    pub(in crate::outbox) gathered: &'a mut Gathered,
}

impl Relocating<'_> {
    /// Keeps an event without a final answer whole, and of another its key, if it lives.
    pub(crate) fn event(
        &mut self,
        frame: &Frame<'_>,
        (lsn, origin): (u64, Option<Origin>),
        body: &[u8],
    ) -> Result<()> {
        if let Some(live) = self.outbox.events().live(lsn) {
            if live.at.place == frame.place {
                if live.is_effect {
                    // Whoever applied it is about to settle it.
                    self.live.stay();
                }
                let times = &self.kernel.times;
                let origin = origin.unwrap_or_else(|| times.origin(frame.run, frame.time_ms));
                let head = carried_head(lsn, &live, origin).encode();
                let body = [&head[..], body].concat();
                self.live.push_flagged(FrameKind::Carried, frame.flags, body);
            }
            return Ok(());
        }
        let events = self.outbox.events();
        let settled = events.packed().settled(lsn).filter(|it| it.at.place == frame.place);
        let Some(settled) = settled.filter(|_| events.outcomes().get(lsn).is_none()) else {
            return Ok(());
        };
        let Some(event) = layout::View::decode(frame.flags, body) else { return Ok(()) };
        let here = self.outbox.settled_here(self.kernel, self.asking, (lsn, &settled), &event)?;
        here.iter().for_each(|here| self.settled(here));
        Ok(())
    }

    /// Keeps the key of a settled event.
    pub(crate) fn settled(&mut self, here: &SettledHere) {
        let Some(scope) = self.outbox.scopes().get(here.scope) else { return };
        let (place, key) = ((here.slice, here.has_moved), here.key.clone());
        self.add_key((scope.as_str(), place), here.holder, key);
    }

    /// Looks at carried keys: those that expired are still needed for events that are elsewhere.
    pub(crate) fn keys(&mut self, keys: KeysFrame, at: Located) -> Result<()> {
        let events = self.outbox.events();
        let mut left = SettleFrame { settled_ms: keys.settled_ms.max(1), ..SettleFrame::default() };
        for key in keys.entries {
            let fingerprint = Fingerprint::from_u128(key.fingerprint);
            let is_here = events.outcomes().get(key.event).is_some_and(|it| it.holder == at.lsn);
            let found = if is_here { self.asking.find(fingerprint)? } else { None };
            if let Some(found) = found.filter(|found| found.lsn == key.event) {
                self.add_key((&keys.scope, (found.slice, keys.has_moved)), at.lsn, key);
            } else if events.answers_elsewhere(key.event, at.lsn, self.live.segment()) {
                left.add(key.event, key.state);
                let receipt = Receipt::new(&key.receipt).ok();
                let receipt = receipt.map(|receipt| ReceiptFor { event: key.event, receipt });
                left.receipts.extend(receipt);
            }
        }
        self.add_settle(&left);
        Ok(())
    }

    /// Keeps a batch that is not answered; of others that their events were attempted, and what they closed.
    pub(crate) fn batch(&mut self, batch: BatchFrame, at: Located) {
        match self.outbox.batches.at(&at) {
            Some((number, open)) => {
                let scope = open.scope.as_str().to_owned();
                let (events, envelope) = (open.events.clone(), open.envelope.clone());
                let batch = BatchFrame { number, scope, parent: 0, events, envelope };
                self.live.push(FrameKind::Batch, codec::encode(&batch));
            }
            None => self.attempts(batch, at),
        }
        if self.kernel.dependencies.is_needed(at.lsn) {
            for batch in self.outbox.batches.closed_elsewhere_by(at.lsn, self.live.segment()) {
                self.add_settle(&SettleFrame { batch, ..SettleFrame::default() });
            }
        }
    }

    /// Keeps that events were attempted whose own frames are before this segment: those behind it
    /// were carried since, and say so themselves.
    fn attempts(&mut self, batch: BatchFrame, at: Located) {
        let is_left = |lsn: &u64| {
            let live = self.outbox.events().live(*lsn).filter(|live| live.is_attempted);
            live.is_some_and(|live| live.at.place.segment < at.place.segment)
        };
        let number = batch.number_at(at.lsn);
        let (oldest, attempted) = &mut self.gathered.attempted;
        // One for all of them: none was attempted before the oldest was formed.
        *oldest = Some(oldest.map_or(number, |oldest| oldest.min(number)));
        attempted.extend(batch.events.into_iter().filter(is_left));
    }

    /// Looks at answers: of events that are elsewhere they are needed, whether their keys are
    /// remembered or not.
    pub(crate) fn settle(&mut self, settle: SettleFrame, frame: &Frame<'_>) {
        for rejection in settle.rejections {
            self.review(rejection, frame);
        }
        let at = frame.lsn.get();
        if !self.kernel.dependencies.is_needed(at) {
            return;
        }
        let written_ms = self.kernel.times.moment_of(frame).trusted_ms;
        let settled_ms = if settle.settled_ms == 0 { written_ms } else { settle.settled_ms };
        let mut left = SettleFrame { settled_ms: settled_ms.max(1), ..SettleFrame::default() };
        let (events, segment) = (self.outbox.events(), self.live.segment());
        for span in &settle.spans {
            let settled = events.packed().settled_between(span.first..=span.last.max(span.first));
            for (lsn, _) in settled.filter(|(_, it)| it.state.code() == span.state) {
                if events.answers_elsewhere(lsn, at, segment) {
                    left.add(lsn, span.state);
                }
            }
        }
        let is_left = |receipt: &ReceiptFor| events.answers_elsewhere(receipt.event, at, segment);
        left.receipts = settle.receipts.into_iter().filter(is_left).collect();
        let is_closer = self.outbox.batches.closes_elsewhere(settle.batch, at, segment);
        left.batch = if is_closer { settle.batch } else { 0 };
        self.add_settle(&left);
    }

    /// Keeps the reason of an event that still waits for a person, if this frame holds it.
    fn review(&mut self, rejection: Rejection, frame: &Frame<'_>) {
        let event = rejection.event;
        let review = self.outbox.waiting(event).filter(|review| review.at.place == frame.place);
        let reviews = &mut self.gathered.reviews;
        let Some(review) = review.filter(|_| reviews.iter().all(|it| it.event != event)) else {
            return;
        };
        let texts = rejection.code.len() + rejection.message.len() + rejection.reply.len();
        self.live.count_bytes(u64::try_from(REJECTION_BYTES + texts).unwrap_or(u64::MAX));
        reviews.push(Rejection { version: review.version, ..rejection });
    }

    /// Keeps a final answer that this frame alone gives, for an event that is elsewhere.
    pub(crate) fn answer(&mut self, event: u64, state: u8, frame: &Frame<'_>) {
        let at = frame.lsn.get();
        if self.outbox.events().answers_elsewhere(event, at, self.live.segment()) {
            let settled_ms = self.kernel.times.moment_of(frame).trusted_ms.max(1);
            let mut left = SettleFrame { settled_ms, ..SettleFrame::default() };
            left.add(event, state);
            self.add_settle(&left);
        }
    }

    /// Keeps a key that the index has in `slice`.
    fn add_key(
        &mut self,
        (scope, (slice, mut has_moved)): (&str, (SliceId, bool)),
        holder: u64,
        mut key: KeyEntry,
    ) {
        // One that ended since the index was asked is over with its keys.
        let Some(times) = self.kernel.keys.slice_times(slice) else { return };
        // Of a key that was carried before: it is where it was, or the index says so now.
        has_moved |= key.slice_begin != 0 && key.slice_begin != times.0;
        key.slice_begin = times.0;
        let receipt_bytes = u64::try_from(key.receipt.len()).unwrap_or(0);
        self.live.count_bytes(KEY_ENTRY_BYTES + receipt_bytes);
        self.gathered.add(scope, (times, has_moved), |keys| keys.push((holder, key)));
    }

    fn add_settle(&mut self, settle: &SettleFrame) {
        if !settle.is_empty() {
            self.live.push(FrameKind::Settle, codec::encode(settle));
        }
    }
}

/// What a carried frame says of its event.
fn carried_head(lsn: u64, live: &Live, origin: Origin) -> layout::Carried {
    layout::Carried {
        event_lsn: lsn,
        trusted_ms: live.moment.trusted_ms,
        slice_begin: live.held.begin,
        wall: live.moment.wall,
        origin,
        is_attempted: live.is_attempted,
        is_imported: live.is_imported,
    }
}
