//! Events and outcomes by key.

use std::collections::BTreeMap;
use std::ops::Range;

use onceward_wal::{Frame, FrameSpan, Lsn};

use super::{Inner, Store, from_log};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Key, Receipt, Scope, StoredEvent};
use crate::frames::control::{Keys, Settle};
use crate::frames::event::{self as layout, Carried};
use crate::frames::{KIND_CARRIED, KIND_EFFECT, KIND_EVENT, KIND_KEYS, KIND_SETTLE, codec};
use crate::verdict::{Outcome, State};
use crate::view::{Located, Origin, Standing, View};

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
    /// `Corrupt`, `Io`: the frame that holds the receipt cannot be read.
    pub fn outcome(&self, scope: &Scope, key: &Key) -> Result<Outcome> {
        let print = self.inner.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let synced = self.inner.log.synced();
            let mut view = self.inner.view.lock();
            let found = self.inner.asking(&mut view, |view| view.find(print))?;
            // One that is queued by another thread and not durable yet is not there.
            let found = found.filter(|found| found.lsn <= synced);
            found.map(|found| (found.lsn, view.state_of(found.lsn)))
        };
        let Some((lsn, state)) = found else {
            return Ok(Outcome { state: State::Unknown, lsn: None, receipt: None });
        };
        let receipt = if state.is_final() { self.inner.receipt_of(lsn)? } else { None };
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
    /// `Corrupt`, `Io`: it cannot be read.
    pub fn find(&self, scope: &Scope, key: &Key) -> Result<Option<StoredEvent>> {
        let print = self.inner.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let mut view = self.inner.view.lock();
            let found = self.inner.asking(&mut view, |view| view.find(print))?;
            found.and_then(|found| view.standing(found.lsn))
        };
        match found {
            // Queued by another thread and not durable yet: not there.
            Some(standing) if standing.at.lsn > self.inner.log.synced() => Ok(None),
            Some(standing) => self.inner.read_event(standing),
            None => Ok(None),
        }
    }
}

impl Inner {
    /// Reads an event; `None` if it was settled and its segment trimmed in the meantime.
    pub(crate) fn read_event(&self, mut standing: Standing) -> Result<Option<StoredEvent>> {
        loop {
            let error = match self.read_at(&standing) {
                Err(error) if error.kind() == ErrorKind::Corrupt => error,
                done => return done.map(Some),
            };
            // Perhaps cleaning moved it since somebody looked where it is.
            match self.view.lock().standing(standing.lsn) {
                Some(now) if now.at != standing.at || now.outcome != standing.outcome => {
                    standing = now;
                }
                Some(_) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    fn read_at(&self, standing: &Standing) -> Result<StoredEvent> {
        let at = standing.at;
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        let receipt = match standing.outcome {
            Some(outcome) => self.receipts_in(outcome, standing.lsn)?.remove(&standing.lsn),
            None => None,
        };
        let frame = read.frame().map_err(from_log)?;
        let origin = self.origin_of(&mut self.view.lock(), &frame);
        stored_event(&frame, standing, origin, receipt)
    }

    /// By which clock a frame was written.
    fn origin_of(&self, view: &mut View, frame: &Frame<'_>) -> Origin {
        if !view.time.knows(frame.run) {
            // A run that this opening began behind its first one.
            view.time.learn(self.log.runs_begun());
        }
        view.time.origin(frame.run, frame.time_ms)
    }

    /// Reads events, in the order of their numbers; those that are gone in the meantime are left out.
    pub(crate) fn read_events(&self, standings: &[Standing]) -> Result<Vec<StoredEvent>> {
        let mut events = Vec::with_capacity(standings.len());
        self.read_each(standings, |read| {
            events.extend(read?);
            Ok(())
        })?;
        Ok(events)
    }

    /// Reads events and gives each to `take`, in their order; `None` for one that is gone in the
    /// meantime. Those that stand next to each other are read together.
    pub(crate) fn read_each(
        &self,
        standings: &[Standing],
        mut take: impl FnMut(Result<Option<StoredEvent>>) -> Result<()>,
    ) -> Result<()> {
        let mut rest = standings;
        while let Some((first, _)) = rest.split_first() {
            let (together, behind) = rest.split_at(neighbours(rest));
            rest = behind;
            // What cannot be read this way is read by itself: then it is known what is wrong.
            let span = self.log.read_span(first.at.place.segment, stretch(together)).ok();
            let frames = together.iter().map(|standing| frame_in(span.as_ref()?, standing));
            let frames: Vec<Option<Frame<'_>>> = frames.collect();
            let origins: Vec<Option<Origin>> = {
                let mut view = self.view.lock();
                let origin = |frame: &Option<Frame<'_>>| {
                    frame.as_ref().map(|frame| self.origin_of(&mut view, frame))
                };
                frames.iter().map(origin).collect()
            };
            for ((standing, frame), origin) in together.iter().zip(&frames).zip(origins) {
                let event = frame
                    .as_ref()
                    .zip(origin)
                    .and_then(|(frame, origin)| stored_event(frame, standing, origin, None).ok());
                match event {
                    Some(event) => take(Ok(Some(event)))?,
                    None => take(self.read_event(*standing))?,
                }
            }
        }
        Ok(())
    }

    /// The receipt that came with an event's final answer.
    pub(crate) fn receipt_of(&self, lsn: u64) -> Result<Option<Receipt>> {
        let look = || self.view.lock().outcome_at(lsn);
        let mut found = look();
        while let Some(outcome) = found {
            match self.receipts_in(outcome, lsn) {
                Ok(mut receipts) => {
                    return receipts.remove(&lsn).map(|bytes| Receipt::new(&bytes)).transpose();
                }
                // Perhaps cleaning moved it since somebody looked where it is.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let now = look();
                    if now == found {
                        return Err(error);
                    }
                    found = now;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// All receipts in a frame that holds the answer for `event`, by event.
    pub(crate) fn receipts_in(&self, at: Located, event: u64) -> Result<BTreeMap<u64, Vec<u8>>> {
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        Ok(receipts(&read.frame().map_err(from_log)?, event))
    }
}

/// How many of the first events stand so close to each other that they are read together.
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

/// Where these events stand, from the first to the last.
fn stretch(standings: &[Standing]) -> Range<u32> {
    let start = standings.first().map_or(0, |first| first.at.place.offset);
    let end = standings.last().map(|last| last.at.place.offset.saturating_add(last.at.bytes));
    start..end.unwrap_or(start)
}

/// The frame of an event in what was read; `None` if it is not there or its answer stands elsewhere.
fn frame_in<'a>(span: &'a FrameSpan, standing: &Standing) -> Option<Frame<'a>> {
    let at = standing.at;
    let is_alone = standing.outcome.is_none();
    is_alone.then(|| span.frame(at.place, at.bytes, frame_lsn(at).ok()?).ok()).flatten()
}

/// The number of a frame.
pub(crate) fn frame_lsn(at: Located) -> Result<Lsn> {
    Lsn::from_u64(at.lsn).ok_or_else(|| Error::corrupt("a frame without a number"))
}

/// The receipts in a frame that holds outcomes, by event. An effect's own is that of `event`.
pub(crate) fn receipts(frame: &Frame<'_>, event: u64) -> BTreeMap<u64, Vec<u8>> {
    let found: Vec<(u64, Vec<u8>)> = match frame.kind {
        KIND_EFFECT => layout::split_effect(frame.body)
            .map(|(receipt, _)| (event, receipt.to_vec()))
            .into_iter()
            .collect(),
        KIND_SETTLE => Settle::decode(frame.lsn.get(), frame.body)
            .map(|settle| settle.receipts.into_iter().map(|r| (r.event, r.bytes)).collect())
            .unwrap_or_default(),
        KIND_KEYS => codec::decode::<Keys>(frame.body)
            .map(|keys| keys.entries.into_iter().map(|key| (key.event, key.receipt)).collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    found.into_iter().filter(|(_, receipt)| !receipt.is_empty()).collect()
}

/// The event in a frame. `origin` is that of the frame's run.
pub(crate) fn stored_event(
    frame: &Frame<'_>,
    standing: &Standing,
    mut origin: Origin,
    receipt: Option<Vec<u8>>,
) -> Result<StoredEvent> {
    let body = match frame.kind {
        KIND_EVENT => Some(frame.body),
        KIND_EFFECT => layout::split_effect(frame.body).map(|(_receipt, body)| body),
        KIND_CARRIED => Carried::decode(frame.lsn.get(), frame.body).map(|(carried, body)| {
            origin = carried.origin;
            body
        }),
        _ => None,
    };
    let event = body
        .and_then(|body| layout::View::decode(frame.flags, body))
        .and_then(layout::View::to_event);
    let (Some(event), Some(lsn)) = (event, Lsn::from_u64(standing.lsn)) else {
        return Err(Error::corrupt(format!("LSN {}: the frame holds no event", frame.lsn)));
    };
    Ok(StoredEvent {
        lsn,
        captured_at_ms: event.captured_at_ms.or_else(|| standing.wall.get()),
        boot: origin.boot,
        mono_ms: origin.mono_ms,
        wall_ms: standing.wall.get(),
        state: standing.state,
        receipt: receipt.map(|bytes| Receipt::new(&bytes)).transpose()?,
        event,
    })
}
