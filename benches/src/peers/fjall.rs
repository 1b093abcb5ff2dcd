//! fjall: a tree of keys and a tree of events, written together as one batch.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{CACHE_BYTES, Capture, Peer, Result, Settling};
use crate::index::keys::Key;

/// The key of the only entry of `settled`.
const SETTLED: &str = "to";

/// The peer.
pub struct Fjall {
    database: Database,
    seen: Keyspace,
    events: Keyspace,
    settled: Keyspace,
    /// Held while keys are judged and written: a batch does not look.
    held: Mutex<Held>,
}

/// Numbers of events.
#[derive(Debug, Default)]
struct Held {
    last: u64,
    settled_to: u64,
}

impl Fjall {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What fjall says.
    pub fn open(dir: &Path) -> Result<Self> {
        let database =
            Database::builder(dir.join("events")).cache_size(CACHE_BYTES as u64).open()?;
        let tree = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        let (seen, events, settled) = (tree("seen")?, tree("events")?, tree("settled")?);
        Ok(Self { database, seen, events, settled, held: Mutex::default() })
    }

    /// The numbers.
    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        self.held.lock().map_err(|error| error.to_string().into())
    }

    /// Takes events as one batch.
    fn capture(&self, events: &[Capture<'_>], persist: PersistMode) -> Result<usize> {
        let mut held = self.held()?;
        let mut batch = self.database.batch().durability(Some(persist));
        let before = held.last;
        let mut taken = std::collections::HashSet::new();
        for event in events {
            let is_again = events.len() > 1 && !taken.insert(event.key);
            if is_again || self.seen.contains_key(event.key)? {
                continue;
            }
            held.last += 1;
            let number = held.last.to_be_bytes();
            batch.insert(&self.seen, event.key.as_slice(), number.as_slice());
            batch.insert(&self.events, number.as_slice(), [&event.key, event.payload].concat());
        }
        batch.commit()?;
        Ok(usize::try_from(held.last - before)?)
    }
}

impl Peer for Fjall {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events, PersistMode::SyncData)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events, PersistMode::Buffer)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let Some(number) = self.seen.get(key)? else { return Ok(0) };
        Ok(u64::from_be_bytes(number.as_ref().try_into()?))
    }

    fn drain(&self, count: usize, settling: Settling) -> Result<usize> {
        let mut held = self.held()?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        let from = (held.settled_to + 1).to_be_bytes();
        let (mut events, mut last) = (0, held.settled_to);
        for entry in self.events.range(from..).take(count) {
            let (number, event) = entry.into_inner()?;
            std::hint::black_box(event.to_vec());
            last = u64::from_be_bytes(number.as_ref().try_into()?);
            if settling == Settling::Remove {
                batch.remove(&self.events, number);
            }
            events += 1;
        }
        if events > 0 {
            batch.insert(&self.settled, SETTLED, last.to_be_bytes().as_slice());
            batch.commit()?;
            held.settled_to = last;
        }
        Ok(events)
    }

    fn rewind(&self) -> Result<()> {
        let mut held = self.held()?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        batch.insert(&self.settled, SETTLED, 0_u64.to_be_bytes().as_slice());
        batch.commit()?;
        held.settled_to = 0;
        Ok(())
    }
}
