//! A catalog on disk. The only file that names sled.
//!
//! Sled answers damage with errors or panics when it meets it, at opening or later, so every call is
//! made where a panic is caught and returned as any other trouble. What waits for sled's own threads, which
//! is all but reading, is done by a [`Hand`]. One tree, so that one transaction is one batch. Nothing
//! relies on its syncs: it is flushed now and then, to spare the next opening.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use onceward_vfs::OpenedBy;

use super::hand::{self, Hand};
use super::place::make_private;
use super::{Catalog, Change, Trouble, Visit};
use crate::base::panics::caught;

/// What sled keeps in memory of its files; while it is busy it takes some times as much.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Sled writes in buffers of this size, of which it has several. A part over a quarter of it would
/// become a file of its own: sixteen of the longest items stay below.
const SEGMENT_BYTES: usize = 128 * 1024;

/// How often opening is tried while the files are locked. Nobody else has them, for the store has a lock of
/// its own; but sled's threads let go of them only a moment after the database was closed.
const OPENINGS_MAX: usize = 10_000;

/// Whether sled has its threads: they are the process's, and it starts them once.
static HAS_THREADS: AtomicBool = AtomicBool::new(false);

/// A sled database.
pub(crate) struct Sled {
    /// `None`: it was closed.
    db: Option<sled::Db>,
    /// Waits for it.
    hand: Hand,
    /// The process that opened it, and has its threads.
    process: OpenedBy,
}

impl Sled {
    /// Opens the database in `dir`, and makes one if there is none.
    ///
    /// # Errors
    ///
    /// It is damaged, the disk refused, or the machine has no threads.
    pub(crate) fn open(dir: &Path) -> Result<Self, Trouble> {
        let hand = Hand::start()?;
        if !HAS_THREADS.load(Ordering::Acquire) {
            hand::probe()?;
        }
        let config = config(dir);
        let db = hand.ask(move || guarded(|| open(&config)))?;
        HAS_THREADS.store(true, Ordering::Release);
        let it = Self { db: Some(db), hand, process: OpenedBy::this_process() };
        make_private(dir).map_err(|error| Trouble::Files(error.to_string()))?;
        Ok(it)
    }

    /// Reads, which waits for nobody.
    fn with<R>(&self, f: impl FnOnce(&sled::Db) -> Result<R, Trouble>) -> Result<R, Trouble> {
        let db = self.db.as_ref().ok_or_else(was_closed)?;
        guarded(|| f(db))
    }

    /// Does what waits for sled's threads.
    fn have<R: Send + 'static>(
        &self,
        f: impl FnOnce(&sled::Db) -> Result<R, Trouble> + Send + 'static,
    ) -> Result<R, Trouble> {
        let db = self.db.clone().ok_or_else(was_closed)?;
        self.hand.ask(move || {
            guarded(move || {
                let done = f(&db);
                drop(db);
                done
            })
        })
    }
}

impl Catalog for Sled {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        self.with(|db| Ok(db.get(key).map_err(trouble)?.map(|value| value.to_vec())))
    }

    fn scan(&self, from: &[u8], visit: Visit<'_>) -> Result<(), Trouble> {
        self.with(|db| {
            for pair in db.range(from..) {
                let (key, value) = pair.map_err(trouble)?;
                if let ControlFlow::Break(()) = visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Trouble> {
        let mut batch = sled::Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key.as_slice(), value.as_slice()),
                Change::Remove(key) => batch.remove(key.as_slice()),
            }
        }
        self.have(move |db| {
            let done = db.transaction(|tree| {
                tree.apply_batch(&batch)?;
                Ok::<(), sled::transaction::ConflictableTransactionError<()>>(())
            });
            done.map_err(|error| Trouble::Files(format!("{error:?}")))
        })
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.have(|db| db.flush().map(|_bytes| ()).map_err(trouble))
    }

    fn disk_bytes(&self) -> Result<u64, Trouble> {
        self.with(|db| db.size_on_disk().map_err(trouble))
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        let db = self.db.take();
        if !self.process.is_this_process() {
            // A fork: closing writes to the files, which are the parent's, and waits for its threads.
            std::mem::forget(db);
            return;
        }
        // What it could not write while closing is in the log.
        drop(self.hand.ask(move || {
            guarded(move || {
                drop(db);
                Ok(())
            })
        }));
    }
}

impl fmt::Debug for Sled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sled").finish_non_exhaustive()
    }
}

/// Opens the database, once whoever closes it has let go of its files.
fn open(config: &sled::Config) -> Result<sled::Db, Trouble> {
    for _ in 1..OPENINGS_MAX {
        match config.open() {
            Err(locked) if is_locked(&locked) => std::thread::yield_now(),
            opened => return opened.map_err(trouble),
        }
    }
    config.open().map_err(trouble)
}

fn was_closed() -> Trouble {
    Trouble::Files("it was closed".to_owned())
}

/// How the database in `dir` is opened.
fn config(dir: &Path) -> sled::Config {
    sled::Config::new()
        .path(dir)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_BYTES)
        .flush_every_ms(None)
}

/// Whether the files are locked. Sled has no kind for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().starts_with("could not acquire lock"))
}

/// An error of sled, as trouble.
#[expect(clippy::needless_pass_by_value, reason = "it is passed where a function is asked for")]
fn trouble(error: sled::Error) -> Trouble {
    Trouble::Files(error.to_string())
}

/// Calls `f`; a panic in it is returned as trouble. What it left half done is never used again: after
/// any trouble the database is dropped.
fn guarded<R>(f: impl FnOnce() -> Result<R, Trouble>) -> Result<R, Trouble> {
    caught(f).unwrap_or_else(|text| Err(Trouble::Files(format!("panicked: {text}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_waits_until_the_one_who_closes_has_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sled::open(dir.path()).unwrap();
        let refused = config(dir.path()).open().unwrap_err();
        assert!(is_locked(&refused), "control: {refused}");
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| Sled::open(dir.path()).is_ok());
            std::thread::yield_now();
            drop(first);
            second.join().unwrap()
        });
        assert!(second);
    }
}
