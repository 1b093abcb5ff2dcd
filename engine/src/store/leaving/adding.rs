//! Makes events of a bundle durable: an imported event and what is known of it are one commit.

use std::collections::HashSet;

use onceward_wal::{Lsn, NewFrame};

use super::import::Arrival;
use crate::catalog::Fact;
use crate::error::Result;
use crate::frames::control::{ReceiptFor, Rejection, Settle, Span};
use crate::frames::event::{self as layout, Encoded};
use crate::frames::{KIND_CARRIED, KIND_SETTLE, codec};
use crate::leaving::{Imported, WhyLeftOut};
use crate::limits::{CODE_BYTES_KEPT, MESSAGE_BYTES_KEPT, REPLY_BYTES_KEPT};
use crate::store::judging::{Judged, Plan, Prepared, lost_verdict, plan};
use crate::store::review::row_of;
use crate::store::{Inner, answers, capture_purpose, from_log, located};
use crate::verdict::State;
use crate::view::{Facts, Live, Located, Moment, Stage, Taking, View};

/// Some events of a bundle on their way into the log.
pub(super) struct Adding<'a> {
    inner: &'a Inner,
    arrivals: &'a [&'a Arrival<'a>],
}

/// A frame that is queued, and what it says beside the event, in the frame behind it.
struct Queued<'a> {
    arrival: &'a Arrival<'a>,
    judged: Judged,
    /// The frame behind it, and where that stands.
    known: Option<(Settle, Located)>,
}

impl<'a> Adding<'a> {
    pub(super) fn new(inner: &'a Inner, arrivals: &'a [&'a Arrival<'a>]) -> Self {
        Self { inner, arrivals }
    }

    /// Takes up what is new, and counts all.
    pub(super) fn run(&self, imported: &mut Imported) -> Result<()> {
        let inner = self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.refuse_if_fenced()?;
        let prepared = self.prepare();
        let (queued, last, moment) = self.queue(&prepared)?;
        let waited = last.map_or(Ok(()), |last| inner.log.wait(last));
        let mut view = inner.view.lock();
        if let Err(error) = waited {
            for (lsn, print) in queued.iter().filter_map(|it| it.judged.fresh()) {
                view.withdraw(print, lsn.get());
            }
            return Err(from_log(error));
        }
        if last.is_some() {
            inner.keeper.is_durable();
        }
        view.keys.confirm(queued.iter().filter_map(|it| it.judged.fresh()).map(|it| it.0.get()));
        let mut rows = Vec::new();
        for Queued { known, .. } in &queued {
            let Some((settle, at)) = known else { continue };
            view.apply_settle(settle, *at, moment);
            for rejection in &settle.rejections {
                let live = view.events.get(&rejection.event);
                let scope = live.and_then(|live| view.scope(live.scope));
                rows.extend(scope.map(|scope| row_of(scope, rejection, at.lsn)));
            }
        }
        inner.answer_deferred(&mut view);
        drop(view);
        inner.watchers.arrived(rows.iter().cloned());
        let facts: Vec<Fact> = rows.into_iter().map(Fact::Arrived).collect();
        inner.keep(&facts, last.map_or(0, Lsn::get));
        queued.iter().for_each(|queued| queued.count(imported));
        Ok(())
    }

    fn prepare(&self) -> Vec<Prepared<'a>> {
        let one = |arrival: &&'a Arrival<'a>| Prepared {
            encoded: Encoded::new(&arrival.event),
            facts: Facts::of(
                &self.inner.secret,
                &self.inner.windows,
                &layout::View::of(&arrival.event),
            ),
            receipt: None,
            unsendable: None,
        };
        self.arrivals.iter().map(one).collect()
    }

    /// Judges the events and queues those that are new. Returns the LSN of the last frame.
    fn queue(&self, prepared: &[Prepared<'a>]) -> Result<(Vec<Queued<'a>>, Option<Lsn>, Moment)> {
        let inner = self.inner;
        let mut durable = HashSet::new();
        loop {
            let mut view = inner.view.lock();
            inner.bring_up_to_now(&mut view);
            let plans = inner.asking(&mut view, |view| plan(view, prepared))?;
            let is_known = |plan: &Plan| match plan {
                Plan::Known(known) => durable.contains(&known.lsn()),
                Plan::Lost(_) | Plan::Fresh | Plan::Again { .. } => true,
            };
            if !plans.iter().all(is_known) {
                drop(view);
                inner.wait_for_originals(&plans, prepared, &mut durable)?;
                continue;
            }
            let mono_ms = inner.mono_ms();
            let moment = inner.moment(mono_ms);
            let frames = self.frames(&view, &plans, prepared, moment);
            let places = inner.append_arrivals(&mut view, &frames, mono_ms)?;
            let last = places.last().and_then(|at| Lsn::from_u64(at.lsn));
            let queued = self.take(&mut view, (&plans, prepared), (frames, places), moment)?;
            return Ok((queued, last, moment));
        }
    }

    /// The frames of the events that are new.
    fn frames(
        &self,
        view: &View,
        plans: &[Plan],
        prepared: &[Prepared<'a>],
        moment: Moment,
    ) -> Vec<Frame> {
        let mut frames = Vec::new();
        for ((plan, event), arrival) in plans.iter().zip(prepared).zip(self.arrivals) {
            if !matches!(plan, Plan::Fresh) {
                continue;
            }
            let begin = view.keys.slice_begin(event.facts.window, moment.trusted_ms);
            let head = arrival.carried(moment.trusted_ms, begin).encode();
            let [one, two, three] = event.encoded.parts();
            let (flags, body) = (event.encoded.flags, [&head[..], one, two, three].concat());
            frames.push(Frame { kind: KIND_CARRIED, flags, body });
            if let Some(known) = known(arrival) {
                let body = codec::encode(&known);
                frames.push(Frame { kind: KIND_SETTLE, flags: 0, body });
            }
        }
        frames
    }

    /// Takes the keys of the events that are queued.
    fn take(
        &self,
        view: &mut View,
        (plans, prepared): (&[Plan], &[Prepared<'a>]),
        (frames, places): (Vec<Frame>, Vec<Located>),
        moment: Moment,
    ) -> Result<Vec<Queued<'a>>> {
        let mut placed = frames.iter().zip(places).peekable();
        let mut queued: Vec<Queued<'a>> = Vec::with_capacity(plans.len());
        for ((plan, event), arrival) in plans.iter().zip(prepared).zip(self.arrivals) {
            let arrival: &'a Arrival<'a> = arrival;
            let (judged, known) = match plan {
                Plan::Known(known) | Plan::Lost(known) => (*known, None),
                Plan::Again { first } => {
                    let lsn = queued.get(*first).ok_or_else(lost_verdict)?.judged.lsn();
                    let first = prepared.get(*first).map(|first| first.facts.content);
                    let is_same = first == Some(event.facts.content);
                    let judged =
                        if is_same { Judged::Duplicate { lsn } } else { Judged::Conflict { lsn } };
                    (judged, None)
                }
                Plan::Fresh => {
                    let (_, at) = placed.next().ok_or_else(lost_verdict)?;
                    self.add(view, event, arrival, (at, moment))?;
                    let behind = placed.next_if(|(frame, _)| frame.kind == KIND_SETTLE);
                    let known = behind
                        .and_then(|(frame, at)| Some((Settle::decode(at.lsn, &frame.body)?, at)));
                    let lsn = Lsn::from_u64(at.lsn).ok_or_else(lost_verdict)?;
                    (Judged::Fresh { lsn, print: event.facts.print }, known)
                }
            };
            queued.push(Queued { arrival, judged, known });
        }
        Ok(queued)
    }

    fn add(
        &self,
        view: &mut View,
        event: &Prepared<'a>,
        arrival: &Arrival<'a>,
        (at, moment): (Located, Moment),
    ) -> Result<()> {
        let taking: Taking = event.facts.taking(at.lsn);
        let held = view.keys.take(&[taking], moment.trusted_ms).pop().ok_or_else(lost_verdict)?;
        let carried = arrival.carried(moment.trusted_ms, held.begin);
        let live = Live {
            print: event.facts.print,
            held,
            scope: 0,
            at,
            moment: carried.moment(),
            amount: event.facts.amount.unwrap_or(0),
            at_once: false,
            is_evictable: event.facts.is_evictable,
            is_attempted: carried.is_attempted,
            attempted: None,
            is_imported: true,
            stage: Stage::Pending,
        };
        view.add_carried(at.lsn, &event.facts, live, moment);
        Ok(())
    }
}

/// A frame to be written.
struct Frame {
    kind: u8,
    flags: u8,
    body: Vec<u8>,
}

impl Inner {
    /// Queues the frames as one commit; the caller holds the view.
    fn append_arrivals(
        &self,
        view: &mut View,
        frames: &[Frame],
        mono_ms: u64,
    ) -> Result<Vec<Located>> {
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<[&[u8]; 1]> = frames.iter().map(|frame| [frame.body.as_slice()]).collect();
        let new: Vec<NewFrame<'_>> = frames
            .iter()
            .zip(&parts)
            .map(|(frame, parts)| NewFrame { kind: frame.kind, flags: frame.flags, parts })
            .collect();
        let purpose = capture_purpose(view, &new);
        let queued = self.log.append_deferred(&new, mono_ms, purpose).map_err(from_log)?;
        let events = frames.iter().filter(|frame| frame.kind == KIND_CARRIED).count();
        let placed = located(&queued.appended(), &new);
        self.wrote(view, &new, &placed, (events, mono_ms));
        Ok(placed)
    }
}

impl Queued<'_> {
    fn count(&self, imported: &mut Imported) {
        match self.judged {
            Judged::Fresh { .. } => {
                imported.fresh += 1;
                imported.fresh_settled += u64::from(self.arrival.state.is_final());
            }
            Judged::Duplicate { .. } => imported.duplicates += 1,
            Judged::Conflict { lsn } => {
                imported.leave_out(self.arrival.left_out(WhyLeftOut::Conflict { lsn }));
            }
        }
    }
}

/// What is known of an event beside that it is there; the frame stands right behind it.
fn known(arrival: &Arrival<'_>) -> Option<Settle> {
    let state = arrival.state.code();
    if arrival.state.is_final() {
        let receipt = Some(&arrival.item.receipt).filter(|receipt| !receipt.is_empty());
        let receipt = receipt.map(|bytes| ReceiptFor { event: 0, bytes: bytes.clone() });
        return Some(Settle {
            spans: vec![Span { first: 0, last: 0, state }],
            receipts: receipt.into_iter().collect(),
            ..Settle::default()
        });
    }
    if !matches!(arrival.state, State::InReview | State::Uncertain) {
        return None;
    }
    let reason = arrival.item.reason.as_ref();
    let text = |text: Option<&String>, most| {
        answers::cut(text.map_or("", String::as_str), most).to_owned()
    };
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
    Some(Settle { rejections: vec![rejection], ..Settle::default() })
}
