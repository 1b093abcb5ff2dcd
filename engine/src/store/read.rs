//! Events and outcomes by key.

use std::collections::BTreeMap;

use onceward_index::Fingerprint;
use onceward_wal::{Frame, Lsn};

use super::{Inner, Store, from_log};
use crate::error::{Error, Result};
use crate::event::{Key, Receipt, Scope, StoredEvent};
use crate::frames::control::{Keys, Settle};
use crate::frames::event::{self as layout, Carried};
use crate::frames::{KIND_CARRIED, KIND_EFFECT, KIND_EVENT, KIND_KEYS, KIND_SETTLE, codec};
use crate::verdict::{Outcome, State};
use crate::view::{Located, Moment};

impl Store {
    /// What is known of a key, also after its payload is gone.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the frame that holds the receipt cannot be read.
    pub fn outcome(&self, scope: &Scope, key: &Key) -> Result<Outcome> {
        let print = self.inner.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let view = self.inner.view.lock();
            view.index
                .find(print)
                .map(|(_, entry)| (entry.lsn, view.state_of(entry.lsn, entry.outcome)))
        };
        let Some((lsn, state)) = found else {
            return Ok(Outcome { state: State::Unknown, lsn: None, receipt: None });
        };
        let receipt = if state.is_final() { self.inner.receipt_of(print)? } else { None };
        Ok(Outcome { state, lsn: Lsn::from_u64(lsn), receipt })
    }

    /// The event of a key, while the log still holds it.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: it cannot be read.
    pub fn find(&self, scope: &Scope, key: &Key) -> Result<Option<StoredEvent>> {
        let print = self.inner.secret.fingerprint(scope.as_str(), key.as_str().as_bytes());
        let found = {
            let view = self.inner.view.lock();
            let Some((_, entry)) = view.index.find(print) else { return Ok(None) };
            let live = view.events.get(&entry.lsn);
            let at = live
                .map(|live| live.at)
                .or_else(|| view.settled.get(&entry.lsn).map(|(at, _)| *at));
            at.map(|at| (at, entry.lsn, view.state_of(entry.lsn, entry.outcome)))
        };
        match found {
            // Queued by another thread and not durable yet: not there.
            Some((at, ..)) if at.lsn > self.inner.log.synced() => Ok(None),
            Some((at, lsn, state)) => self.inner.read_event(at, lsn, state).map(Some),
            None => Ok(None),
        }
    }
}

impl Inner {
    /// Reads an event. The caller does not hold the view.
    pub(crate) fn read_event(&self, at: Located, lsn: u64, state: State) -> Result<StoredEvent> {
        let number = frame_lsn(at)?;
        let read = self.log.read(at.place, at.bytes, number).map_err(from_log)?;
        let frame = read.frame().map_err(from_log)?;
        let moment = self.view.lock().time.of(&frame);
        stored_event(&frame, lsn, state, moment)
    }

    /// The receipt that came with a key's final answer.
    pub(crate) fn receipt_of(&self, print: Fingerprint) -> Result<Option<Receipt>> {
        let found = self.view.lock().index.find(print);
        let Some((_, entry)) = found else { return Ok(None) };
        let mut receipts = self.receipts_in(entry.outcome_lsn, entry.lsn)?;
        receipts.remove(&entry.lsn).map(|bytes| Receipt::new(&bytes)).transpose()
    }

    /// All receipts in the frame that holds the outcome of `event`, by event.
    pub(crate) fn receipts_in(
        &self,
        outcome_lsn: u64,
        event: u64,
    ) -> Result<BTreeMap<u64, Vec<u8>>> {
        let at = {
            let view = self.view.lock();
            let own = outcome_lsn == event;
            if own {
                view.settled.get(&event).map(|(at, _)| *at)
            } else {
                view.holders.get(&outcome_lsn).copied()
            }
        };
        let Some(at) = at else { return Ok(BTreeMap::new()) };
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        Ok(receipts(&read.frame().map_err(from_log)?, event))
    }
}

fn frame_lsn(at: Located) -> Result<Lsn> {
    Lsn::from_u64(at.lsn).ok_or_else(|| Error::corrupt("a frame without a number"))
}

/// The receipts in a frame that holds outcomes, by event. An effect's own is that of `event`.
fn receipts(frame: &Frame<'_>, event: u64) -> BTreeMap<u64, Vec<u8>> {
    let found: Vec<(u64, Vec<u8>)> = match frame.kind {
        KIND_EFFECT => layout::split_effect(frame.body)
            .map(|(receipt, _)| (event, receipt.to_vec()))
            .into_iter()
            .collect(),
        KIND_SETTLE => codec::decode::<Settle>(frame.body)
            .map(|settle| settle.receipts.into_iter().map(|r| (r.event, r.bytes)).collect())
            .unwrap_or_default(),
        KIND_KEYS => codec::decode::<Keys>(frame.body)
            .map(|keys| keys.entries.into_iter().map(|key| (key.event, key.receipt)).collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    found.into_iter().filter(|(_, receipt)| !receipt.is_empty()).collect()
}

/// The event in a frame; `moment` is the frame's.
pub(crate) fn stored_event(
    frame: &Frame<'_>,
    lsn: u64,
    state: State,
    moment: Moment,
) -> Result<StoredEvent> {
    let (body, wall_ms) = match frame.kind {
        KIND_EVENT => (Some(frame.body), moment.wall_ms),
        KIND_EFFECT => (layout::split_effect(frame.body).map(|(_, body)| body), moment.wall_ms),
        KIND_CARRIED => match Carried::decode(frame.body) {
            Some((carried, body)) => (Some(body), carried.wall_ms),
            None => (None, 0),
        },
        _ => (None, 0),
    };
    let event = body
        .and_then(|body| layout::View::decode(frame.flags, body))
        .and_then(layout::View::to_event);
    let (Some(event), Some(lsn)) = (event, Lsn::from_u64(lsn)) else {
        return Err(Error::corrupt(format!("LSN {}: the frame holds no event", frame.lsn)));
    };
    let captured_at_ms = event.captured_at_ms.unwrap_or(wall_ms);
    Ok(StoredEvent { lsn, event, captured_at_ms, state })
}
