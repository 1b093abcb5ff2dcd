//! Makes events of a bundle durable: an imported event and what is known of it are one commit.

use onceward_wal::{Lsn, NewFrame};

use super::import::Arrival;
use crate::base::bounds::{CODE_BYTES_KEPT, MESSAGE_BYTES_KEPT, REPLY_BYTES_KEPT};
use crate::base::{FrameKind, Located, Moment, Result, State, codec};
use crate::capture::{Judged, Prepared, judged, lost_verdict, originals, plan};
use crate::event::Receipt;
use crate::event::layout::{self, Encoded};
use crate::kernel::{FrameBody, Kernel, Queueing, Waiter};
use crate::outbox::frames::{ReceiptFor, Rejection, SettleFrame, Span};
use crate::outbox::{Facts, Live, Stage, cut};
use crate::rescue::{Imported, SkipReason};
use crate::store::{Shared, StoreState};

/// Some events of a bundle on their way into the log.
pub(super) struct Adding<'a> {
    inner: &'a Shared,
    arrivals: &'a [&'a Arrival<'a>],
}

/// A frame that is queued, and what it says beside the event, in the frame behind it.
struct QueuedImport<'a> {
    arrival: &'a Arrival<'a>,
    judged: Judged,
    /// The frame behind it, and where that is.
    known: Option<(SettleFrame, Located)>,
}

impl<'a> Adding<'a> {
    pub(super) fn new(inner: &'a Shared, arrivals: &'a [&'a Arrival<'a>]) -> Self {
        Self { inner, arrivals }
    }

    /// Applies what is new, and counts all.
    pub(super) fn run(&self, imported: &mut Imported) -> Result<()> {
        let inner = self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.state.lock().rescue.refuse_if_fenced()?;
        let encoded: Vec<_> =
            self.arrivals.iter().map(|arrival| Encoded::new(&arrival.event)).collect();
        let mut prepared = self.prepare(&encoded);
        let (queued, last, moment) = self.queue(&mut prepared)?;
        let mut arrived = Vec::new();
        if let Some(last) = last {
            inner.wait_then(last, |state| {
                let StoreState { kernel, outbox, .. } = state;
                for (settle, at) in queued.iter().filter_map(|queued| queued.known.as_ref()) {
                    outbox.apply_settle(kernel, settle, (*at, moment));
                    for rejection in &settle.rejections {
                        let scope = outbox.scope_of(rejection.event).cloned();
                        let reason = Rejection { version: at.lsn, ..rejection.clone() };
                        arrived.extend(scope.map(|scope| (scope, reason)));
                    }
                }
            })?;
        }
        inner.reviews().arrived(arrived, last.map_or(0, Lsn::get));
        queued.iter().for_each(|queued| queued.count(imported));
        Ok(())
    }

    fn prepare<'e>(&self, encoded: &'e [Encoded<'a>]) -> Vec<Prepared<'e>>
    where
        'a: 'e,
    {
        let one = |(arrival, encoded): (&&'a Arrival<'a>, &'e Encoded<'a>)| {
            let view = layout::View::of(&arrival.event);
            let facts = Facts::of(self.inner.secret(), self.inner.windows(), &view);
            Prepared::new(encoded.flags, (0, encoded.parts()), facts)
        };
        self.arrivals.iter().zip(encoded).map(one).collect()
    }

    /// Judges the events and queues those that are new. Returns the LSN of the last frame.
    fn queue(
        &self,
        prepared: &mut [Prepared<'_>],
    ) -> Result<(Vec<QueuedImport<'a>>, Option<Lsn>, Moment)> {
        let inner = self.inner;
        loop {
            let mut state = inner.state.lock();
            inner.bring_up_to_now(&mut state);
            inner.asking(&mut state, |state, keys| {
                plan((&state.kernel, state.outbox.events()), keys, (prepared, &[]))
            })?;
            if let Some(open) = originals(&state.kernel.commits, prepared).max() {
                drop(state);
                inner.captures().wait_for_original(open)?;
                continue;
            }
            let mono_ms = inner.time.mono_ms();
            let moment = inner.time.moment(mono_ms);
            let frames = self.frames(&state.kernel, prepared, moment);
            let places = self.queue_frames(&mut state, &frames, mono_ms)?;
            let last = places.last().and_then(|at| Lsn::from_u64(at.lsn));
            let queued = self.take(&mut state, prepared, (frames, places), moment)?;
            return Ok((queued, last, moment));
        }
    }

    /// The frames of the events that are new.
    fn frames(&self, kernel: &Kernel, prepared: &[Prepared<'_>], moment: Moment) -> Vec<FrameBody> {
        let mut frames = Vec::new();
        let fresh = prepared.iter().zip(self.arrivals).filter(|(event, _)| event.is_fresh());
        for (event, arrival) in fresh {
            let begin = kernel.keys.slice_begin(event.facts.window, moment.trusted_ms);
            let head = arrival.carried(moment.trusted_ms, begin).encode();
            let [one, two, three] = event.parts;
            let body = [&head[..], one, two, three].concat();
            frames.push(FrameBody { kind: FrameKind::Carried, flags: event.flags, body });
            if let Some(known) = known(arrival) {
                let body = codec::encode(&known);
                frames.push(FrameBody { kind: FrameKind::Settle, flags: 0, body });
            }
        }
        frames
    }

    /// Takes the keys of the events that are queued.
    fn take(
        &self,
        state: &mut StoreState,
        prepared: &mut [Prepared<'_>],
        (frames, places): (Vec<FrameBody>, Vec<Located>),
        moment: Moment,
    ) -> Result<Vec<QueuedImport<'a>>> {
        let mut placed = frames.iter().zip(places).peekable();
        let mut behind = Vec::with_capacity(prepared.len());
        for (event, arrival) in prepared.iter_mut().zip(self.arrivals) {
            let mut known = None;
            if event.is_fresh() {
                let (_, at) = placed.next().ok_or_else(lost_verdict)?;
                event.at.set(at);
                self.add(state, event, arrival, (at, moment))?;
                let behind = placed.next_if(|(frame, _)| frame.kind == FrameKind::Settle);
                known = behind
                    .and_then(|(frame, at)| Some((SettleFrame::decode(at.lsn, &frame.body)?, at)));
            }
            behind.push(known);
        }
        let with_arrivals = prepared.iter().zip(self.arrivals).zip(behind);
        let queued = with_arrivals.map(|((event, arrival), known)| {
            Ok(QueuedImport { arrival, judged: judged(prepared, event)?, known })
        });
        queued.collect()
    }

    fn add(
        &self,
        state: &mut StoreState,
        event: &Prepared<'_>,
        arrival: &Arrival<'a>,
        (at, moment): (Located, Moment),
    ) -> Result<()> {
        let reservation = event.facts.reservation(at.lsn);
        let held = state.kernel.keys.take(reservation, moment.trusted_ms);
        let carried = arrival.carried(moment.trusted_ms, held.begin);
        let captured = carried.moment();
        let begin = state.kernel.keys.slice_begin(held.window, captured.trusted_ms);
        let live = Live {
            held,
            has_moved: held.begin != begin,
            scope: 0,
            at,
            moment: captured,
            amount: event.facts.amount.unwrap_or(0),
            is_effect: false,
            is_evictable: event.facts.is_evictable,
            is_attempted: carried.is_attempted,
            attempted: None,
            is_imported: true,
            stage: Stage::Pending,
        };
        let StoreState { kernel, outbox, .. } = state;
        outbox.add_carried(kernel, at.lsn, &event.facts, (live, moment));
        Ok(())
    }

    /// Queues the frames of events that come in.
    fn queue_frames(
        &self,
        state: &mut StoreState,
        frames: &[FrameBody],
        mono_ms: u64,
    ) -> Result<Vec<Located>> {
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<[&[u8]; 1]> = frames.iter().map(|frame| [frame.body.as_slice()]).collect();
        let with_parts = frames.iter().zip(&parts);
        let new: Vec<NewFrame<'_>> = with_parts
            .map(|(frame, parts)| NewFrame { kind: frame.kind.code(), flags: frame.flags, parts })
            .collect();
        let kind = FrameKind::Carried;
        let keys = frames.iter().filter(|frame| frame.kind == kind).count();
        let purpose = self.inner.reserve().capture_purpose(state, keys);
        let how = Queueing { kind, keys, mono_ms, purpose, waiter: Waiter::Call };
        self.inner.queue(state, &new, how)
    }
}

impl QueuedImport<'_> {
    fn count(&self, imported: &mut Imported) {
        match self.judged {
            Judged::Fresh { .. } => {
                imported.fresh += 1;
                imported.fresh_settled += u64::from(self.arrival.state.is_final());
            }
            Judged::Duplicate { .. } => imported.duplicates += 1,
            Judged::Conflict { lsn } => {
                imported.leave_out(self.arrival.left_out(SkipReason::Conflict { lsn }));
            }
        }
    }
}

/// What is known of an event beside that it is there; the frame is right behind it.
fn known(arrival: &Arrival<'_>) -> Option<SettleFrame> {
    let state = arrival.state.code();
    if arrival.state.is_final() {
        // Its length was looked at when it was read.
        let receipt = Receipt::new(&arrival.item.receipt).ok();
        let receipt = receipt.filter(|receipt| !receipt.as_bytes().is_empty());
        let receipt = receipt.map(|receipt| ReceiptFor { event: 0, receipt });
        return Some(SettleFrame {
            spans: vec![Span { first: 0, last: 0, state }],
            receipts: receipt.into_iter().collect(),
            ..SettleFrame::default()
        });
    }
    if !matches!(arrival.state, State::InReview | State::Uncertain) {
        return None;
    }
    let reason = arrival.item.reason.as_ref();
    let text = |text: Option<&String>, most| cut(text.map_or("", String::as_str), most).to_owned();
    let reply = reason.map(|reason| reason.reply.as_slice()).unwrap_or_default();
    let rejection = Rejection {
        event: 0,
        version: 0,
        code: text(reason.map(|reason| &reason.code), CODE_BYTES_KEPT),
        message: text(reason.map(|reason| &reason.message), MESSAGE_BYTES_KEPT),
        reply: reply.get(..REPLY_BYTES_KEPT).unwrap_or(reply).to_vec(),
        since_ms: reason.map_or(0, |reason| reason.since_ms),
        state,
    };
    Some(SettleFrame { rejections: vec![rejection], ..SettleFrame::default() })
}
