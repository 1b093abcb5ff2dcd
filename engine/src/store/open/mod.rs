//! Opening: lock, judge, replay, begin a run. And closing.

mod lost;
mod reading;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use onceward_index::Secret;
use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{Alignment, Examined, Identity, Lock, Log, Options, Preparation, Sealing};
use parking_lot::Mutex;

pub(crate) use lost::{UNCHECKED, ask_for_check};
use reading::{Read, read};

use super::decisions::Drops;
use super::keeper::Keeper;
use super::rare::Rare;
use super::records::Bodies;
use super::timekeeping::{self, Note, Resumed, Timekeeping};
use super::{Inner, Store, from_log};
use crate::clock::{self, Clock, OsClock};
use crate::config::{Config, Create};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Damage, RecoveryReport, StoreId};
use crate::usurpers;
use crate::view::View;

/// Prepared segments that only settling and cleaning may use.
const RESERVED_SEGMENTS: usize = 2;
/// Files that an empty directory may hold and still become a store.
const LOCK_FILE: &str = "lock";
/// The directory of the index's files.
pub(crate) const INDEX_DIR: &str = "index";

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
    /// is cut; [`Store::recovery`] tells of it, and of damage.
    ///
    /// # Errors
    ///
    /// `Invalid`: the configuration, or the directory holds something else. `NotFound`: no store,
    /// and none is to be made. `Key`: a key is missing or wrong, and nothing was touched. `Locked`: open elsewhere.
    /// `Unsupported`: of a newer version. `Corrupt`: nothing of it can be read. `Full`, `Io`; with the code
    /// `UNREADABLE` the disk cannot read the place where the log may end: it is as it was, opening may be tried again,
    /// and [`repair`](crate::repair) gives up what cannot be read. Anywhere else that is damage.
    ///
    /// # Cost
    ///
    /// Reads the whole log.
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<Self> {
        let dir = dir.as_ref();
        config.check()?;
        let vfs = match config.create {
            Create::IfMissing => OsVfs::create(dir),
            Create::Never => OsVfs::open(dir),
        };
        let vfs = vfs.map_err(|source| cannot_open(dir, source))?;
        let clock = Arc::new(OsClock::new());
        // Its files are not sealed, and belong to whoever makes them: where that does not do, what it tells
        // is kept in memory.
        let in_files = config.sealing().is_none() && vfs.is_only_ours();
        let rare = Rare::new(Some(dir).filter(|_| in_files));
        Self::open_with(Arc::new(vfs), clock, config, (Preparation::InBackground, rare))
    }

    /// Opens the store in `vfs` without a thread: the same operations for the same calls.
    #[cfg(test)]
    pub(crate) fn open_on(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> Result<Self> {
        Self::open_with(vfs, clock, config, (Preparation::OnDemand, Rare::new(None)))
    }

    /// Opens the store in `vfs`, with its helper thread or without, and with its catalog.
    fn open_with(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: Config,
        (preparation, rare): (Preparation, Rare),
    ) -> Result<Self> {
        config.check()?;
        if is_empty(&*vfs)? && config.create == Create::Never {
            return Err(no_store());
        }
        let sealing = config.sealing();
        if !is_empty(&*vfs)? {
            // Before anything is touched.
            onceward_wal::check_keys(&*vfs, sealing.as_ref()).map_err(from_log)?;
        }
        let lock = onceward_wal::lock(&*vfs).map_err(from_log)?;
        // Asked again: who held the lock until now may have made a store, and used it.
        if is_empty(&*vfs)? {
            make(&*vfs, &lock, sealing.as_ref())?;
        }
        usurpers::free_index(&*vfs)?;
        let Read { examined, mut view, rebuilt, lost } = read(&vfs, &config, sealing.as_ref())?;
        let Resumed { stamp, unwritten_ms, unmeasured } = timekeeping::resume(&mut view, &*clock)?;
        let identity = examined.identity();
        let mut recovery = recovery_of(&examined);
        recovery.damage.extend(damage_of(&view));
        recovery.index_rebuilt = rebuilt;
        recovery.keys_of_lost_frames = lost.count();
        recovery.unmeasured = unmeasured;
        let options = Options {
            segment_bytes: config.segment_bytes,
            reserve: RESERVED_SEGMENTS,
            preparation,
            alignment: Alignment::Frame,
        };
        let log =
            Log::start(Arc::clone(&vfs), lock, examined, options, stamp).map_err(not_started)?;
        view.time.open(log.run(), &stamp);
        lost.keep(&view, stamp.trusted_ms);
        view.expire(stamp.trusted_ms);
        let index = Arc::clone(view.keys.index());
        let marks = (view.keys.last_opening(), stamp.opening);
        let keeping = lost.keeping(preparation);
        let keeper = Keeper::start(index, marks, config.index_log_bytes_max, keeping);
        if recovery.index_rebuilt.is_some() {
            keeper.ask();
        }
        let windows = view.keys.windows().clone();
        let mut inner = Inner {
            vfs,
            rare,
            watchers: Arc::default(),
            drops: Drops::default(),
            windows,
            keeper,
            log,
            view: Mutex::new(view),
            control: Mutex::new(()),
            bodies: Mutex::new(Bodies::new(config.record_cache_bytes_max)),
            config,
            id: StoreId(identity.store),
            secret: secret_of(&identity),
            clock,
            stamp,
            recovery,
            damage_since: Mutex::default(),
            time: Timekeeping::new(stamp.mono_ms.saturating_sub(unwritten_ms)),
            cleaning: super::clean::Cleaning::default(),
            reserve_used: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        lost.write(&mut inner)?;
        if lost.misfit.is_some() {
            return inner.open_again(preparation);
        }
        inner.recovery.catalog_rebuilt = inner.open_catalog();
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Closes the store in order: what is missing at the next opening is then known to be damage.
    ///
    /// Deferred captures are made durable first. Other handles of this store refuse further work; a
    /// [`Ticket`](crate::Ticket) is one, so wait for it, or drop it, before. Dropping all handles instead is to the
    /// store as a crash is: nothing durable is lost.
    ///
    /// ```
    /// use onceward::{Config, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// store.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`: other handles are in use at this moment; they no longer work, and the store is as
    /// after a crash. `Full`: closed in order, and deferred captures found no room. `Poisoned`, `Io`: the
    /// disk refused.
    pub fn close(self) -> Result<()> {
        if self.is_forked() {
            return self.inner.refuse_if_closed();
        }
        // So that the time since the last frame is not lost. If it cannot be noted, it is.
        let noted = self.inner.note_time(Note::Now);
        self.inner.closed.store(true, Ordering::Release);
        let synced = self.inner.sync_deferred();
        let Ok(inner) = Arc::try_unwrap(self.inner) else {
            return Err(Error::invalid(
                "IN_USE",
                "the store was closed while other handles exist: no clean end was written",
            ));
        };
        match noted {
            Err(error) if error.kind() != ErrorKind::Full => return Err(error),
            Err(_) | Ok(()) => {}
        }
        // The log's last frame is durable, so the index's files may speak of it.
        let Inner { keeper, log, rare, .. } = inner;
        rare.close();
        keeper.close();
        log.close().map_err(from_log).and(synced)
    }
}

/// Makes a store where there is none.
fn make(vfs: &dyn Vfs, lock: &Lock, sealing: Option<&Arc<dyn Sealing>>) -> Result<()> {
    let mut secret = [0; 64];
    secret.iter_mut().zip(clock::random::<16>()?).for_each(|(to, from)| *to = from);
    let identity = Identity { store: clock::random()?, secret };
    let made = match sealing {
        None => onceward_wal::create(vfs, lock, identity),
        Some(sealing) => onceward_wal::create_sealed(vfs, lock, identity, &**sealing),
    };
    made.map_err(from_log)
}

/// Why the log was not started: with a word on what to do where the disk cannot read it.
fn not_started(error: onceward_wal::Error) -> Error {
    match error.position() {
        Some(at) if error.kind() == onceward_wal::ErrorKind::Io => {
            let message = format!(
                "the disk cannot read {} at {}, and nothing is written before it can: try again, or \
                 run `onceward repair`",
                at.file, at.offset
            );
            Error::new(ErrorKind::Io, "UNREADABLE", message).with_source(error)
        }
        Some(_) | None => from_log(error),
    }
}

/// Whether there is neither a store nor anything else.
fn is_empty(vfs: &dyn Vfs) -> Result<bool> {
    let entries = vfs.list("")?;
    if entries.iter().any(|entry| entry == "meta" || entry == "log") {
        return Ok(false);
    }
    // A crash while a store was being made leaves these.
    let leftover = |entry: &String| entry == LOCK_FILE || entry == "meta.tmp";
    match entries.iter().find(|entry| !leftover(entry)) {
        None => Ok(true),
        Some(foreign) => Err(Error::invalid(
            "NOT_A_STORE",
            format!("the directory is not a store: it holds {foreign:?} and no meta file"),
        )),
    }
}

/// An error of the index, told as one of the store.
pub(crate) fn from_index(error: &onceward_index::Error) -> Error {
    let (kind, code) = match error.kind() {
        onceward_index::ErrorKind::Invalid => (ErrorKind::Invalid, "CONFIG_INVALID"),
        onceward_index::ErrorKind::Full => (ErrorKind::Full, "FULL"),
        onceward_index::ErrorKind::Corrupt => (ErrorKind::Corrupt, "INDEX_DAMAGED"),
        onceward_index::ErrorKind::Io => (ErrorKind::Io, "INDEX_IO"),
    };
    Error::new(kind, code, error.to_string())
}

/// The key of the fingerprints.
pub(crate) fn secret_of(identity: &Identity) -> Secret {
    let mut secret = [0; 16];
    secret.iter_mut().zip(identity.secret).for_each(|(to, from)| *to = from);
    Secret::from_bytes(secret)
}

/// What the log found, told as the store's report.
pub(crate) fn recovery_of(examined: &Examined) -> RecoveryReport {
    let report = examined.report();
    RecoveryReport {
        clean: report.clean,
        frames: report.frames,
        torn_bytes: report.torn_bytes,
        torn_frames_in_doubt: u64::try_from(report.in_doubt).unwrap_or(u64::MAX),
        damage: report.damage.iter().map(told_of).collect(),
        keys_of_lost_frames: 0,
        index_rebuilt: None,
        catalog_rebuilt: None,
        unmeasured: None,
    }
}

/// Damage of the log, told as the store's.
pub(crate) fn told_of(damage: &onceward_wal::Damage) -> Damage {
    Damage {
        file: damage.file.clone(),
        offset: damage.offset,
        length: damage.bytes,
        what: damage.what.clone(),
    }
}

/// Frames that are whole and do not fit the log.
pub(crate) fn damage_of(view: &View) -> impl Iterator<Item = Damage> + '_ {
    view.odd.iter().map(|(at, why)| Damage {
        file: format!("segment {}", at.place.segment),
        offset: u64::from(at.place.offset),
        length: u64::from(at.bytes),
        what: format!("LSN {}: {why}", at.lsn),
    })
}

/// The answer where a store is wanted and none is.
pub(crate) fn no_store() -> Error {
    Error::new(ErrorKind::NotFound, "NO_STORE", "there is no store in this directory")
}

/// Why a directory cannot be opened.
pub(crate) fn cannot_open(dir: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        let message = format!("there is no store in {}: no such directory", dir.display());
        return Error::new(ErrorKind::NotFound, "NO_STORE", message).with_source(source);
    }
    let message = format!("cannot open {}: {source}", dir.display());
    let told = Error::from(source);
    Error::new(told.kind(), told.code(), message).with_source(told)
}
