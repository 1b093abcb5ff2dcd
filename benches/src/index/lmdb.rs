//! LMDB, doing the same lookups.

use std::error::Error;
use std::fs;
use std::path::Path;

use lmdb::{Database, DatabaseFlags, Environment, EnvironmentFlags, Transaction, WriteFlags};

use super::keys::{Key, key};

/// Keys of one transaction while the database is filled.
const KEYS_A_TRANSACTION: usize = 1 << 20;
/// Bytes of the map for each key: more than it takes.
const MAP_BYTES_A_KEY: u64 = 256;

/// A database from keys to LSNs, in the page cache. Removed when it is dropped.
#[derive(Debug)]
pub struct Lmdb {
    environment: Environment,
    database: Database,
    _dir: tempfile::TempDir,
}

impl Lmdb {
    /// Holds the first `count` keys.
    ///
    /// They come in the order in which clients send them, which is none of a tree's.
    ///
    /// # Errors
    ///
    /// What LMDB or the operating system says.
    pub fn with_keys(dir: &Path, count: u64) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        let own = tempfile::TempDir::new_in(dir)?;
        let map_bytes = usize::try_from(count * MAP_BYTES_A_KEY + (1 << 20))?;
        let environment = Environment::new()
            .set_map_size(map_bytes)
            .set_flags(EnvironmentFlags::NO_SYNC | EnvironmentFlags::WRITE_MAP)
            .open(own.path())?;
        let database = environment.create_db(None, DatabaseFlags::empty())?;
        for first in (1..=count).step_by(KEYS_A_TRANSACTION) {
            let mut transaction = environment.begin_rw_txn()?;
            for number in first..=count.min(first + KEYS_A_TRANSACTION as u64 - 1) {
                let lsn = number.to_le_bytes();
                transaction.put(database, &key(number), &lsn, WriteFlags::empty())?;
            }
            transaction.commit()?;
        }
        Ok(Self { environment, database, _dir: own })
    }

    /// The LSN of a key; 0 if it is new. One transaction for each question, as the answer to one request has it.
    ///
    /// # Panics
    ///
    /// If LMDB cannot answer.
    #[must_use]
    pub fn lsn_of(&self, key: &Key) -> u64 {
        let transaction = self.environment.begin_ro_txn().unwrap();
        match transaction.get(self.database, key) {
            Ok(bytes) => u64::from_le_bytes(bytes.try_into().unwrap()),
            Err(lmdb::Error::NotFound) => 0,
            Err(error) => panic!("{error}"),
        }
    }
}
