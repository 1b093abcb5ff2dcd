//! Ours, through its public interface, with its default limits and window.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use onceward::{
    Answer, Config, Event, Key as OurKey, Payload, Scope, State, Store, Ticket, Verdict,
};

use super::{Capture, Peer, Result, Settling};
use crate::engine::till::clean_up;
use crate::index::keys::Key;

/// The peer.
#[derive(Debug)]
pub struct Onceward {
    store: Store,
    scope: Scope,
    /// The last event that nobody waits for.
    last: Mutex<Option<Ticket>>,
}

impl Onceward {
    /// Makes one in `dir`, with such segments if it is not to be the default.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn open(dir: &Path, segment_bytes: Option<u64>) -> Result<Self> {
        let config = match segment_bytes {
            Some(bytes) => Config::new().with_segment_bytes(bytes),
            None => Config::new(),
        };
        let store = Store::open(dir.join("store"), config)?;
        Ok(Self { store, scope: Scope::default(), last: Mutex::new(None) })
    }

    /// The event as our callers make it.
    fn event(&self, event: &Capture<'_>) -> Result<Event> {
        let payload = Payload::bytes(event.payload.to_vec());
        Ok(Event::new(self.scope.clone(), our(&event.key)?, payload))
    }
}

/// The key as our callers make it.
fn our(key: &Key) -> Result<OurKey> {
    Ok(OurKey::new(str::from_utf8(key)?)?)
}

/// Whether an event is stored now that was not before.
fn is_fresh(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fresh { .. })
}

impl Peer for Onceward {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        if let [event] = events {
            return Ok(usize::from(is_fresh(&self.store.capture(&self.event(event)?)?)));
        }
        let events: Result<Vec<Event>> = events.iter().map(|event| self.event(event)).collect();
        let verdicts = self.store.capture_batch(&events?)?;
        Ok(verdicts.iter().filter(|verdict| is_fresh(verdict)).count())
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        for event in events {
            let ticket = self.store.capture_deferred(&self.event(event)?)?;
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
        }
        // Verdicts come with the tickets; nobody reads them here, and all keys are new.
        Ok(events.len())
    }

    fn sync(&self) -> Result<()> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fresh = last.map_or(Ok(true), |ticket| ticket.wait().map(|found| is_fresh(&found)))?;
        if fresh { Ok(()) } else { Err("a new key was known".into()) }
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let outcome = self.store.outcome(&self.scope, &our(key)?)?;
        Ok(outcome.lsn.filter(|_| outcome.state != State::Unknown).map_or(0, |lsn| lsn.get()))
    }

    fn drain(&self, count: usize, _settling: Settling) -> Result<usize> {
        let pending = self.store.pending(&self.scope, None, count)?;
        let (Some(first), Some(last)) = (pending.first(), pending.last()) else { return Ok(0) };
        let answer = Answer::Accepted { receipt: None };
        self.store.settle_range(&self.scope, first.lsn, last.lsn, &answer)?;
        Ok(pending.len())
    }

    /// Cleaning goes on beside the caller: the store's threads rest at the end, and a tick changes nothing.
    fn end_draining(&self) -> Result<()> {
        clean_up(&self.store)
    }
}
