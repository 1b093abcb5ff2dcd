//! redb: a tree of keys and a tree of events.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, Durability, ReadableTable, TableDefinition, WriteTransaction};

use super::{CACHE_BYTES, Capture, Peer, Result, Settling};
use crate::index::keys::Key;

/// Keys and numbers.
const SEEN: TableDefinition<'_, &[u8], u64> = TableDefinition::new("seen");
/// Numbers and events.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// One entry: how far events are settled.
const SETTLED: TableDefinition<'_, u8, u64> = TableDefinition::new("settled");

/// The peer.
#[derive(Debug)]
pub struct Redb {
    database: Database,
    /// Number of the last event. Changed by who has the only transaction that writes.
    last: AtomicU64,
    settled_to: AtomicU64,
}

impl Redb {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What redb says.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(dir.join("events.redb"))?;
        let peer = Self { database, last: AtomicU64::new(0), settled_to: AtomicU64::new(0) };
        let transaction = peer.database.begin_write()?;
        transaction.open_table(SEEN)?;
        transaction.open_table(EVENTS)?;
        peer.settle(transaction, 0)?;
        Ok(peer)
    }

    /// Takes events in one transaction.
    fn capture(&self, events: &[Capture<'_>], durability: Durability) -> Result<usize> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        let before = self.last.load(Ordering::Relaxed);
        let mut last = before;
        {
            let mut seen = transaction.open_table(SEEN)?;
            let mut stored = transaction.open_table(EVENTS)?;
            let mut bytes = Vec::new();
            for event in events {
                if seen.get(event.key.as_slice())?.is_some() {
                    continue;
                }
                last += 1;
                seen.insert(event.key.as_slice(), last)?;
                bytes.clear();
                bytes.extend_from_slice(&event.key);
                bytes.extend_from_slice(event.payload);
                stored.insert(last, bytes.as_slice())?;
            }
        }
        // Before the commit, which lets the next writer in; one that fails ends the run.
        self.last.store(last, Ordering::Relaxed);
        transaction.commit()?;
        Ok(usize::try_from(last - before)?)
    }

    /// Notes how far events are settled, in `transaction`, and commits that.
    fn settle(&self, transaction: WriteTransaction, to: u64) -> Result<()> {
        transaction.open_table(SETTLED)?.insert(0, to)?;
        transaction.commit()?;
        self.settled_to.store(to, Ordering::Relaxed);
        Ok(())
    }
}

impl Peer for Redb {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events, Durability::Immediate)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events, Durability::None)
    }

    /// A durable commit takes all before it along.
    fn sync(&self) -> Result<()> {
        self.settle(self.database.begin_write()?, self.settled_to.load(Ordering::Relaxed))
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let transaction = redb::ReadableDatabase::begin_read(&self.database)?;
        let found = transaction.open_table(SEEN)?.get(key.as_slice())?;
        Ok(found.map_or(0, |number| number.value()))
    }

    fn drain(&self, count: usize, settling: Settling) -> Result<usize> {
        let from = self.settled_to.load(Ordering::Relaxed) + 1;
        let transaction = self.database.begin_write()?;
        let (mut events, mut last) = (0, 0);
        {
            let mut stored = transaction.open_table(EVENTS)?;
            for entry in stored.range(from..)?.take(count) {
                let (number, event) = entry?;
                std::hint::black_box(event.value().to_vec());
                last = number.value();
                events += 1;
            }
            if events > 0 && settling == Settling::Remove {
                stored.retain_in(from..=last, |_, _| false)?;
            }
        }
        if events == 0 {
            transaction.abort()?;
        } else {
            self.settle(transaction, last)?;
        }
        Ok(events)
    }

    fn rewind(&self) -> Result<()> {
        self.settle(self.database.begin_write()?, 0)
    }
}
