//! What of the outbox lives in a segment that is to go, in its smallest form: an event without a final answer whole, of
//! one with an answer its key and receipt, and what without it an older frame elsewhere would be taken at its word for.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::{Fingerprint, SliceId};
use onceward_wal::Frame;

use super::frames::{BatchFrame, Envelope, ReceiptFor, Rejection, SettleFrame};
use super::{Facts, Live, Outbox};
use crate::base::{FrameKind, Located, Origin, Result, codec};
use crate::event::{Scope, layout};
use crate::kernel::{Asking, KEY_ENTRY_BYTES, Kernel, KeyEntry, KeysFrame, LiveFrames};

/// Key entries in one frame.
const KEYS_MAX: usize = 512;
/// Rejections in one frame.
const REJECTIONS_MAX: usize = 16;
/// What a rejection takes besides its texts.
const REJECTION_BYTES: usize = 64;

/// A settled event whose frame is in the segment and whose key no other frame holds.
#[derive(Debug)]
pub(crate) struct SettledHere {
    lsn: u64,
    fingerprint: Fingerprint,
    content_hash: u64,
    scope: String,
}

impl SettledHere {
    /// What is needed of an event, without its payload.
    pub(crate) fn of(lsn: u64, facts: &Facts<'_>) -> Self {
        let content_hash = facts.content_hash.as_u64();
        Self { lsn, fingerprint: facts.fingerprint, content_hash, scope: facts.scope.to_owned() }
    }
}

/// What is gathered of several frames before it is carried together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Events in earlier segments that were in a batch once, and the number of the first such batch.
    attempted: (Option<u64>, BTreeSet<u64>),
    reviews: Vec<Rejection>,
    /// Keys by scope, beginning of their slice and whether they moved to it, each with the LSN of the
    /// frame that holds its outcome.
    keys: BTreeMap<(String, u64, bool), Vec<(u64, KeyEntry)>>,
    /// When each slice of a scope was last settled.
    settled_ms: BTreeMap<(String, u64), u64>,
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
        for ((scope, begin, has_moved), keys) in self.keys {
            let slice = (scope, begin);
            let settled_ms = self.settled_ms.get(&slice).copied().unwrap_or(begin);
            let mut keys = keys.into_iter().map(|(_, key)| key);
            loop {
                let entries: Vec<KeyEntry> = keys.by_ref().take(KEYS_MAX).collect();
                if entries.is_empty() {
                    break;
                }
                let frame = KeysFrame { scope: slice.0.clone(), entries, settled_ms, has_moved };
                live.push(FrameKind::Keys, codec::encode(&frame));
            }
        }
        for some in self.reviews.chunks(REJECTIONS_MAX) {
            let settle = SettleFrame { rejections: some.to_vec(), ..SettleFrame::default() };
            live.push(FrameKind::Settle, codec::encode(&settle));
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
        let all = self.keys.values_mut().flatten();
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
        let Some(event) = layout::View::decode(frame.flags, body) else { return Ok(()) };
        let facts = Facts::of(&self.kernel.secret, self.kernel.keys.windows(), &event);
        self.settled(&SettledHere::of(lsn, &facts))
    }

    /// Looks at a settled event: its key lives, unless another frame holds it or it expired.
    pub(crate) fn settled(&mut self, here: &SettledHere) -> Result<()> {
        let events = self.outbox.events();
        let settled = events.settled(here.lsn);
        let settled = settled.filter(|it| it.at.place.segment == self.live.segment());
        let Some(settled) = settled.filter(|_| events.outcomes().get(here.lsn).is_none()) else {
            return Ok(());
        };
        // Another event may have come under the key after its window.
        let found = self.asking.find(here.fingerprint)?.filter(|found| found.lsn == here.lsn);
        let Some(found) = found else { return Ok(()) };
        let key = KeyEntry {
            fingerprint: here.fingerprint.as_u128(),
            event: here.lsn,
            content_hash: here.content_hash,
            slice_begin: 0,
            state: settled.state.code(),
            receipt: Vec::new(),
        };
        let slice = (found.slice, settled.has_moved);
        self.add_key((&here.scope, slice), settled.outcome_lsn, key);
        Ok(())
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
                left.receipts.push(ReceiptFor { event: key.event, bytes: key.receipt });
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
            let settled = events.settled_between(span.first..=span.last.max(span.first));
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
        if let Some((begin, settled_ms)) = self.kernel.keys.slice_times(slice) {
            // Of a key that was carried before: it is where it was, or the index says so now.
            has_moved |= key.slice_begin != 0 && key.slice_begin != begin;
            key.slice_begin = begin;
            self.gathered.settled_ms.insert((scope.to_owned(), begin), settled_ms);
        }
        let place = (scope.to_owned(), key.slice_begin, has_moved);
        let receipt_bytes = u64::try_from(key.receipt.len()).unwrap_or(0);
        self.live.count_bytes(KEY_ENTRY_BYTES + receipt_bytes);
        self.gathered.keys.entry(place).or_default().push((holder, key));
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
