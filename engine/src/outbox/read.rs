//! Events and outcomes by key.

use std::collections::BTreeMap;
use std::ops::Range;

use onceward_wal::{Frame, FrameSpan, Lsn};

use super::frames::{ReceiptFor, SettleFrame};
use super::outcome::Outcome;
use super::{Events, Standing};
use crate::base::{Error, EventPart, FrameKind, Located, Origin, Result, State, codec};
use crate::event::layout;
use crate::event::together::{SharedParts, TOGETHER_MAX};
use crate::event::{Event, Key, Receipt, Scope, StoredEvent};
use crate::kernel::{Kernel, KeysFrame, frame_lsn};
use crate::store::Store;

/// Bytes between two events up to which both are read with one call.
const GAP_BYTES_MAX: u32 = 4_096;
/// Bytes that are read with one call.
const SPAN_BYTES_MAX: u32 = 256 * 1024;

impl Store {
    /// What is known of a key, also after its payload is gone.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, State, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Unknown);
    /// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("{}")?))?;
    /// assert_eq!(store.outcome(&scope, &key)?.state, State::Pending);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the frame that holds the receipt cannot be read. `Poisoned`: the disk failed before, and
    /// whether a key that is not known was stored shows when the store is opened again.
    pub fn outcome(&self, scope: &Scope, key: &Key) -> Result<Outcome> {
        let fingerprint = self.inner.secret().fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let synced = self.inner.log.synced();
            let mut state = self.inner.state.lock();
            let found = self.inner.asking(&mut state, |_, keys| keys.find(fingerprint))?;
            // One that is queued by another thread and not durable yet is not there.
            let found = found.filter(|found| found.lsn <= synced);
            found.map(|found| (found.lsn, state.outbox.events().state_of(found.lsn)))
        };
        let Some((lsn, state)) = found else {
            self.inner.refuse_if_in_doubt()?;
            return Ok(Outcome { state: State::Unknown, lsn: None, receipt: None });
        };
        let receipt = if state.is_final() { self.inner.events().receipt_of(lsn)? } else { None };
        Ok(Outcome { state, lsn: Lsn::from_u64(lsn), receipt })
    }

    /// The event of a key, while the log still holds it.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let (scope, key) = (Scope::default(), Key::new("sale-1")?);
    /// store.capture(&Event::new(scope.clone(), key.clone(), Payload::json("24.50")?))?;
    /// let found = store.find(&scope, &key)?.ok_or("it was captured")?;
    /// assert_eq!(found.event.payload.as_json(), Some("24.50"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: it cannot be read. `Poisoned`: as for [`Store::outcome`].
    pub fn find(&self, scope: &Scope, key: &Key) -> Result<Option<StoredEvent>> {
        let fingerprint = self.inner.secret().fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let mut state = self.inner.state.lock();
            let found = self.inner.asking(&mut state, |_, keys| keys.find(fingerprint))?;
            found.and_then(|found| state.outbox.events().standing(&state.kernel, found.lsn))
        };
        match found {
            // Queued by another thread and not durable yet: not there.
            Some(standing) if standing.at.lsn <= self.inner.log.synced() => {
                self.inner.events().read_event(standing)
            }
            Some(_) | None => self.inner.refuse_if_in_doubt().map(|()| None),
        }
    }
}

impl Events<'_> {
    /// Reads an event; `None` if it was settled and its segment trimmed in the meantime.
    pub(crate) fn read_event(&self, standing: Standing) -> Result<Option<StoredEvent>> {
        let lsn = standing.lsn;
        let mut first = Some(standing);
        let look = || {
            first.take().or_else(|| {
                let state = self.inner.state.lock();
                state.outbox.events().standing(&state.kernel, lsn)
            })
        };
        self.inner.read_where_it_is(look, |standing| self.read_at(standing))
    }

    fn read_at(&self, standing: &Standing) -> Result<StoredEvent> {
        self.inner.read(standing.at, |frame| {
            let receipt = match standing.outcome {
                Some(outcome) => self.receipts_in(outcome, standing.lsn)?.remove(&standing.lsn),
                None => None,
            };
            let origin = self.origin_of(&mut self.inner.state.lock().kernel, frame);
            stored_event(frame, standing, origin, receipt)
        })
    }

    /// The clock by which a frame was written.
    fn origin_of(&self, kernel: &mut Kernel, frame: &Frame<'_>) -> Origin {
        let begun = self.begun(kernel, frame.run);
        begun.map_or_else(Origin::default, |begun| begun.after(frame.time_ms))
    }

    /// The clock by which the frames of a run were written, when it began.
    fn begun(&self, kernel: &mut Kernel, run: u32) -> Option<Origin> {
        if !kernel.times.knows(run) {
            // A run that this opening began behind its first one.
            kernel.times.learn(self.inner.log.runs_begun());
        }
        kernel.times.begun(run)
    }

    /// Reads events, in the order of their numbers; those that are gone in the meantime are left out.
    pub(crate) fn read_events(&self, standings: &[Standing]) -> Result<Vec<StoredEvent>> {
        self.read_each(standings, Err)
    }

    /// Reads events as [`Events::read_events`] does; one that cannot be read is left out, unless `failed` says that all
    /// of it fails. Those that are next to each other are read together.
    pub(crate) fn read_each(
        &self,
        standings: &[Standing],
        mut failed: impl FnMut(Error) -> Result<()>,
    ) -> Result<Vec<StoredEvent>> {
        let mut events = Vec::with_capacity(standings.len());
        let mut rest = standings;
        while let Some((first, _)) = rest.split_first() {
            let (together, behind) = rest.split_at(neighbours(rest));
            rest = behind;
            // What cannot be read this way is read by itself: then it is known what is wrong.
            let span = self.inner.log.read_span(first.at.place.segment, stretch(together)).ok();
            for some in together.chunks(TOGETHER_MAX) {
                self.read_in(span.as_ref(), some, &mut events, &mut failed)?;
            }
        }
        Ok(events)
    }

    /// Adds events that are in what was read.
    fn read_in(
        &self,
        span: Option<&FrameSpan>,
        some: &[Standing],
        events: &mut Vec<StoredEvent>,
        failed: &mut impl FnMut(Error) -> Result<()>,
    ) -> Result<()> {
        let mut parts = SharedParts::new();
        let mut last: Option<(u32, Option<Origin>)> = None;
        let (from, mut alone) = (events.len(), Vec::new());
        for standing in some {
            let found = span.and_then(|span| frame_in(span, standing));
            let found = found.and_then(|frame| Some((frame, event_of(&frame)?)));
            let lsn = Lsn::from_u64(standing.lsn);
            if let Some((frame, (own, view))) = found
                && let Some((lsn, event)) = lsn.zip(parts.event(&view, some.len()))
            {
                let begun = match last {
                    Some((run, begun)) if run == frame.run => begun,
                    _ => self.begun(&mut self.inner.state.lock().kernel, frame.run),
                };
                last = Some((frame.run, begun));
                let written = || begun.map_or_else(Origin::default, |it| it.after(frame.time_ms));
                let origin = own.unwrap_or_else(written);
                events.push(stored((lsn, standing), event, origin, None));
            } else {
                alone.push(standing);
            }
        }
        parts.complete(events.iter_mut().skip(from).map(|stored| &mut stored.event));
        if alone.is_empty() {
            return Ok(());
        }
        for standing in alone {
            match self.read_event(*standing) {
                Ok(event) => events.extend(event),
                Err(error) => failed(error.of_event(standing.lsn))?,
            }
        }
        events.get_mut(from..).unwrap_or_default().sort_by_key(|stored| stored.lsn);
        Ok(())
    }

    /// The receipt that came with an event's final answer.
    pub(crate) fn receipt_of(&self, lsn: u64) -> Result<Option<Receipt>> {
        let look = || {
            let state = self.inner.state.lock();
            state.outbox.events().outcome_at(&state.kernel, lsn)
        };
        let read = |outcome: &Located| {
            let receipt = self.receipts_in(*outcome, lsn)?.remove(&lsn);
            receipt.map(|bytes| Receipt::new(&bytes)).transpose()
        };
        Ok(self.inner.read_where_it_is(look, read)?.flatten())
    }

    /// All receipts in a frame that holds the answer for `event`, by event.
    pub(crate) fn receipts_in(&self, at: Located, event: u64) -> Result<BTreeMap<u64, Vec<u8>>> {
        self.inner.read(at, |frame| Ok(receipts(frame, event)))
    }
}

/// How many of the first events are so close to each other that they are read together.
fn neighbours(standings: &[Standing]) -> usize {
    let Some(first) = standings.first().map(|first| first.at.place) else { return 0 };
    let mut end = first.offset;
    let count = standings.iter().take_while(|standing| {
        let at = standing.at;
        let after = at.place.offset.saturating_add(at.bytes);
        let is_near = at.place.segment == first.segment
            && at.place.offset >= end
            && at.place.offset - end <= GAP_BYTES_MAX
            && after - first.offset <= SPAN_BYTES_MAX;
        end = after;
        is_near
    });
    // The first one is read however long it is.
    count.count().max(1)
}

/// The range of bytes in which these events are, from the first to the last.
fn stretch(standings: &[Standing]) -> Range<u32> {
    let start = standings.first().map_or(0, |first| first.at.place.offset);
    let end = standings.last().map(|last| last.at.place.offset.saturating_add(last.at.bytes));
    start..end.unwrap_or(start)
}

/// The frame of an event in what was read; `None` if it is not there or its answer is elsewhere.
#[inline]
fn frame_in<'a>(span: &'a FrameSpan, standing: &Standing) -> Option<Frame<'a>> {
    let at = standing.at;
    let is_alone = standing.outcome.is_none();
    is_alone.then(|| span.frame(at.place, at.bytes, frame_lsn(at).ok()?).ok()).flatten()
}

/// The receipts in a frame that holds outcomes, by event. An effect's own is that of `event`.
pub(crate) fn receipts(frame: &Frame<'_>, event: u64) -> BTreeMap<u64, Vec<u8>> {
    let Some(kind) = FrameKind::of(frame) else { return BTreeMap::new() };
    let bytes_of = |of: &ReceiptFor| (of.event, of.receipt.as_bytes().to_vec());
    let found: Vec<(u64, Vec<u8>)> = match kind.event_part() {
        EventPart::Effect => layout::split_effect(frame.body)
            .map(|(receipt, _)| (event, receipt.to_vec()))
            .into_iter()
            .collect(),
        EventPart::Answers => SettleFrame::decode(frame.lsn.get(), frame.body)
            .map(|settle| settle.receipts.iter().map(bytes_of).collect())
            .unwrap_or_default(),
        EventPart::Keys => codec::decode::<KeysFrame>(frame.body)
            .map(|keys| keys.entries.into_iter().map(|key| (key.event, key.receipt)).collect())
            .unwrap_or_default(),
        EventPart::Event | EventPart::Carried | EventPart::Nothing => Vec::new(),
    };
    found.into_iter().filter(|(_, receipt)| !receipt.is_empty()).collect()
}

/// The event in a frame. `origin` is that of the frame's run.
pub(crate) fn stored_event(
    frame: &Frame<'_>,
    standing: &Standing,
    origin: Origin,
    receipt: Option<Vec<u8>>,
) -> Result<StoredEvent> {
    let found = event_of(frame).and_then(|(own, event)| Some((own, event.to_event()?)));
    let (own, event) = found.ok_or_else(|| no_event(frame.lsn.get()))?;
    let lsn = Lsn::from_u64(standing.lsn).ok_or_else(|| no_event(frame.lsn.get()))?;
    let receipt = receipt.map(|bytes| Receipt::new(&bytes)).transpose()?;
    Ok(stored((lsn, standing), event, own.unwrap_or(origin), receipt))
}

/// The event in a frame, and by which clock it was captured, if the frame says so.
#[inline]
fn event_of<'a>(frame: &Frame<'a>) -> Option<(Option<Origin>, layout::View<'a>)> {
    let kind = FrameKind::of(frame)?;
    let (_, origin, body) = layout::event_in(kind, frame.lsn.get(), frame.body)?;
    Some((origin, layout::View::decode(frame.flags, body)?))
}

fn no_event(frame: u64) -> Error {
    Error::corrupt(format!("LSN {frame}: the frame holds no event"))
}

/// An event that was read, with what is known of it besides.
#[inline]
fn stored(
    (lsn, standing): (Lsn, &Standing),
    event: Event,
    origin: Origin,
    receipt: Option<Receipt>,
) -> StoredEvent {
    StoredEvent {
        lsn,
        captured_at_ms: event.captured_at_ms.or_else(|| standing.wall.get()),
        boot: origin.boot,
        mono_ms: origin.mono_ms,
        wall_ms: standing.wall.get(),
        state: standing.state,
        receipt,
        event,
    }
}
