//! SQLite: a table of keys, a table of events, one connection behind a mutex.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{CACHE_BYTES, Capture, Mode, Peer, Result, Settling};
use crate::index::keys::Key;

/// The tables.
const TABLES: &str = "
    CREATE TABLE seen (key BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (number INTEGER PRIMARY KEY, key BLOB NOT NULL, payload BLOB NOT NULL);
    CREATE TABLE settled (one INTEGER PRIMARY KEY, to_number INTEGER NOT NULL);
    INSERT INTO settled VALUES (1, 0);";
/// Takes a key, if it is new.
const TAKE: &str = "INSERT INTO seen VALUES (?1, ?2) ON CONFLICT DO NOTHING";
/// Stores an event.
const STORE: &str = "INSERT INTO events VALUES (?1, ?2, ?3)";
/// Looks a key up.
const FIND: &str = "SELECT number FROM seen WHERE key = ?1";
/// Reads what waits.
const READ: &str =
    "SELECT number, key, payload FROM events WHERE number > ?1 ORDER BY number LIMIT ?2";
/// Notes how far events are settled.
const SETTLE: &str = "UPDATE settled SET to_number = ?1";
/// Removes what is settled.
const REMOVE: &str = "DELETE FROM events WHERE number <= ?1";

/// The peer.
#[derive(Debug)]
pub struct Sqlite(Mutex<Held>);

/// What the mutex is around.
#[derive(Debug)]
struct Held {
    connection: Connection,
    last: i64,
    settled: i64,
}

impl Sqlite {
    /// Makes one in `dir`.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let connection = Connection::open(dir.join("events.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let cache_kib = -i64::try_from(CACHE_BYTES / 1024)?;
        connection.pragma_update(None, "cache_size", cache_kib)?;
        connection.execute_batch(TABLES)?;
        let synchronous = if mode == Mode::Durable { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        Ok(Self(Mutex::new(Held { connection, last: 0, settled: 0 })))
    }

    /// What the mutex is around.
    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        self.0.lock().map_err(|error| error.to_string().into())
    }
}

impl Held {
    /// Takes events in one transaction.
    fn capture(&mut self, events: &[Capture<'_>]) -> Result<usize> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = self.last;
        let mut last = before;
        {
            let mut take = transaction.prepare_cached(TAKE)?;
            let mut store = transaction.prepare_cached(STORE)?;
            for event in events {
                if take.execute(params![event.key, last + 1])? == 1 {
                    last += 1;
                    store.execute(params![last, event.key, event.payload])?;
                }
            }
        }
        transaction.commit()?;
        self.last = last;
        Ok(usize::try_from(last - before)?)
    }
}

impl Peer for Sqlite {
    fn capture_durable(&self, _writer: usize, events: &[Capture<'_>]) -> Result<usize> {
        self.held()?.capture(events)
    }

    fn capture_unsynced(&self, events: &[Capture<'_>]) -> Result<usize> {
        self.held()?.capture(events)
    }

    /// A last commit that is synced takes all before it along: they are in one file.
    fn sync(&self) -> Result<()> {
        let held = self.held()?;
        held.connection.pragma_update(None, "synchronous", "FULL")?;
        held.connection.prepare_cached(SETTLE)?.execute([held.settled])?;
        Ok(held.connection.pragma_update(None, "synchronous", "NORMAL")?)
    }

    fn seen(&self, key: &Key) -> Result<u64> {
        let held = self.held()?;
        let mut find = held.connection.prepare_cached(FIND)?;
        let found: Option<i64> = find.query_row([key], |row| row.get(0)).optional()?;
        Ok(u64::try_from(found.unwrap_or(0))?)
    }

    fn drain(&self, count: usize, settling: Settling) -> Result<usize> {
        let mut held = self.held()?;
        let from = held.settled;
        let transaction =
            held.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut events, mut last) = (0, from);
        {
            let mut read = transaction.prepare_cached(READ)?;
            let mut rows = read.query(params![from, i64::try_from(count)?])?;
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                let (key, payload): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
                std::hint::black_box((key, payload));
                events += 1;
            }
        }
        if events > 0 {
            transaction.prepare_cached(SETTLE)?.execute([last])?;
            if settling == Settling::Remove {
                transaction.prepare_cached(REMOVE)?.execute([last])?;
            }
        }
        transaction.commit()?;
        held.settled = last;
        Ok(events)
    }

    fn rewind(&self) -> Result<()> {
        let mut held = self.held()?;
        held.connection.prepare_cached(SETTLE)?.execute([0])?;
        held.settled = 0;
        Ok(())
    }
}
