//! Opens a store, and closes it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::Preparation;
use parking_lot::Mutex;

use super::keeper::Keeper;
use super::{Shared, Store};
use crate::base::clock::{Clock, OsClock};
use crate::base::{ErrorKind, Result, observe};
use crate::capture::Waking;
use crate::config::{Config, Create};
use crate::kernel::opening::{self, cannot_make, cannot_open};
use crate::records::Bodies;
use crate::review::{DecisionDropbox, KeptCatalog};
use crate::timekeeping::Note;

impl Store {
    /// Opens the store in `dir`, and makes one if there is none and the configuration allows it.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// // Every thread has a handle of its own.
    /// let handle = store.clone();
    /// # drop(handle);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// What was durable before is there. What a crash left torn was never confirmed to a caller and
    /// is cut; [`Store::recovery`] reports it, and damage.
    ///
    /// # Errors
    ///
    /// `Invalid`: the configuration, or the directory holds something else. `NotFound`: no store, and none is to be
    /// made. `EncryptionKey`: a key is missing or wrong, and nothing was touched. `Locked`: open elsewhere.
    /// `Unsupported`: of a newer version. `Corrupt`: nothing of it can be read. `Full`, `Io`; with the code
    /// `UNREADABLE` the disk cannot read the place where the log may end: it is as it was, opening may be tried again,
    /// and [`repair`](crate::repair::repair) gives up what cannot be read. Anywhere else that is damage.
    ///
    /// # Cost
    ///
    /// Reads what the last checkpoint of the index does not cover, which is at most some megabytes of the log and a
    /// segment; of the segments before that their heads, and their summaries in `summaries/`, which the store leaves
    /// as it goes on. A segment without one is read whole, and so is every segment of an encrypted store, or of one
    /// whose index does not fit.
    ///
    /// What was not read is read afterwards, one segment after another, beside the calls. Until then
    /// [`RecoveryReport::unchecked_segments`](crate::inspect::RecoveryReport::unchecked_segments) says how many are
    /// left.
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<Self> {
        let dir = dir.as_ref();
        config.check()?;
        let vfs = match config.create {
            Create::IfMissing => OsVfs::create(dir).map_err(|source| cannot_make(dir, source)),
            Create::Never => OsVfs::open(dir).map_err(|source| cannot_open(dir, source)),
        }?;
        let clock = Arc::new(OsClock::new());
        // Its files are not sealed, and belong to whoever makes them; and sled panics where they are damaged, which
        // must be caught. Where that does not do, what it holds is kept in memory.
        let in_files = cfg!(panic = "unwind") && config.sealing().is_none() && vfs.is_only_ours();
        let catalog = KeptCatalog::new(Some(dir).filter(|_| in_files));
        Self::open_with(
            Arc::new(vfs),
            clock,
            config,
            (Preparation::InBackground, catalog, Some(dir)),
        )
        .map_err(|error| error.in_place("open", dir, "read and write"))
    }

    /// Opens the store in `vfs` without a thread: the same operations for the same calls.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn open_on(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> Result<Self> {
        let catalog = KeptCatalog::new(None);
        Self::open_with(vfs, clock, config, (Preparation::OnDemand, catalog, None))
    }

    /// Opens the store in `vfs` as it is told: with threads or without.
    pub(super) fn open_with(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: Config,
        (preparation, kept_catalog, dir): (Preparation, KeptCatalog, Option<&Path>),
    ) -> Result<Self> {
        config.check()?;
        let engine = opening::open(vfs, clock, config.settings()?, preparation)?;
        let mut shared = Shared {
            engine,
            dir: dir.map(Path::to_owned),
            kept_catalog,
            watchers: Arc::default(),
            dropbox: DecisionDropbox::default(),
            bodies: Mutex::new(Bodies::new(config.record_cache_bytes_max)),
            config,
            reserve_used: AtomicU64::new(0),
            waking: Waking::new(),
            draining: Mutex::default(),
            is_closed_in_order: Mutex::new(false),
        };
        let rebuilt = shared.catalog().open();
        shared.engine.recovery_mut().catalog_rebuilt = rebuilt;
        observe::opened(&shared.engine.report());
        shared.report_held();
        Ok(Self { keeper: Arc::new(Keeper::new(preparation)), inner: Arc::new(shared) })
    }

    /// Closes the store in order: what is missing at the next opening is then known to be damage.
    ///
    /// Deferred captures are made durable first, and calls that are under way in other threads end or are refused. It
    /// does not matter which handles exist: they refuse further work as `Invalid` with the code `CLOSED`. A
    /// [`Ticket`](crate::Ticket) still returns its verdict, and [`Store::status`], [`Store::outcome`] and others that
    /// only look at what is in memory still answer. The store can be opened again at once. Closed again, nothing
    /// happens. Dropping all handles instead is to the store as a crash is: nothing durable is lost.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new())?;
    /// let idle = store.clone();
    /// store.close()?;
    /// assert!(idle.close().is_ok());
    /// assert!(Store::open(&dir, Config::new())?.recovery().clean);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Full`: closed in order, and deferred captures found no room. `Poisoned`: a write or a sync failed, and the
    /// store is as after a crash once all handles are dropped.
    pub fn close(&self) -> Result<()> {
        if self.is_forked() {
            return self.inner.refuse_if_closed();
        }
        let mut is_done = self.inner.is_closed_in_order.lock();
        if *is_done {
            return Ok(());
        }
        // Before anything is written that might find the disk full, and take them along without a word.
        let synced = self.inner.sync_deferred();
        // So that the time since the last frame is not lost. If it cannot be noted, it is.
        let noted = self.inner.timekeeping().note_time(Note::Now);
        self.inner.set_closed();
        let late = self.inner.sync_deferred();
        let synced = synced.and(late);
        match noted {
            Err(error) if error.kind() != ErrorKind::Full => return Err(error),
            Err(_) | Ok(()) => {}
        }
        // The log's last frame is durable, so the index's files may speak of it.
        self.inner.kept_catalog.close();
        self.inner.engine.close()?;
        *is_done = true;
        synced
    }
}
