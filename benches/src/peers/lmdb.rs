//! LMDB: a tree of keys and a tree of events.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use lmdb::{
    Cursor, Database, DatabaseFlags, Environment, EnvironmentFlags, Error, RwTransaction,
    Transaction, WriteFlags,
};

use super::{Capture, Mode, Peer, Result, Settling};
use crate::index::keys::Key;

/// Room in the address space: more than any run takes.
const MAP_BYTES: usize = 16 << 30;
/// The key of the only entry of `settled`.
const SETTLED: &[u8] = b"to";

/// The peer.
#[derive(Debug)]
pub struct Lmdb {
    environment: Environment,
    seen: Database,
    events: Database,
    settled: Database,
    /// Number of the last event. Changed by who has the only transaction that writes.
    last: AtomicU64,
    settled_to: AtomicU64,
}

impl Lmdb {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What LMDB says.
    pub fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let flags = match mode {
            Mode::Durable => EnvironmentFlags::empty(),
            Mode::Unsynced => EnvironmentFlags::NO_SYNC,
        };
        let environment =
            Environment::new().set_map_size(MAP_BYTES).set_max_dbs(3).set_flags(flags).open(dir)?;
        let tree = |name| environment.create_db(Some(name), DatabaseFlags::empty());
        let (seen, events, settled) = (tree("seen")?, tree("events")?, tree("settled")?);
        let (last, settled_to) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { environment, seen, events, settled, last, settled_to })
    }

    /// Takes events in one transaction.
    fn capture(&self, events: &[Capture<'_>]) -> Result<usize> {
        let mut transaction = self.environment.begin_rw_txn()?;
        let before = self.last.load(Ordering::Relaxed);
        let mut last = before;
        let mut stored = Vec::new();
        for event in events {
            let number = (last + 1).to_be_bytes();
            match transaction.put(self.seen, &event.key, &number, WriteFlags::NO_OVERWRITE) {
                Err(Error::KeyExist) => continue,
                other => other?,
            }
            last += 1;
            stored.clear();
            stored.extend_from_slice(&event.key);
            stored.extend_from_slice(event.payload);
            transaction.put(self.events, &number, &stored, WriteFlags::APPEND)?;
        }
        // Before the commit, which lets the next writer in; one that fails ends the run.
        self.last.store(last, Ordering::Relaxed);
        transaction.commit()?;
        Ok(usize::try_from(last - before)?)
    }

    /// Notes how far events are settled, in `transaction`, and commits that.
    fn settle(&self, mut transaction: RwTransaction<'_>, to: u64) -> Result<()> {
        transaction.put(self.settled, &SETTLED, &to.to_be_bytes(), WriteFlags::empty())?;
        transaction.commit()?;
        self.settled_to.store(to, Ordering::Relaxed);
        Ok(())
    }
}

impl Peer for Lmdb {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.capture(events)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.environment.sync(true)?)
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let transaction = self.environment.begin_ro_txn()?;
        match transaction.get(self.seen, key) {
            Ok(number) => Ok(u64::from_be_bytes(number.try_into()?)),
            Err(Error::NotFound) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn drain(&self, count: usize, settling: Settling) -> Result<usize> {
        let from = self.settled_to.load(Ordering::Relaxed) + 1;
        let last = self.last.load(Ordering::Relaxed).min(from + count as u64 - 1);
        if last < from {
            return Ok(0);
        }
        let mut transaction = self.environment.begin_rw_txn()?;
        let mut events = 0;
        {
            let mut cursor = transaction.open_ro_cursor(self.events)?;
            for entry in cursor.iter_from(from.to_be_bytes()).take(count) {
                let (_number, event) = entry?;
                std::hint::black_box(event.to_vec());
                events += 1;
            }
        }
        if settling == Settling::Remove {
            for number in from..=last {
                transaction.del(self.events, &number.to_be_bytes(), None)?;
            }
        }
        self.settle(transaction, last)?;
        Ok(events)
    }

    fn rewind(&self) -> Result<()> {
        self.settle(self.environment.begin_rw_txn()?, 0)
    }
}
