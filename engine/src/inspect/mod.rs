//! Looks at a store without a lock and without writing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use onceward_vfs::{Mode, OsVfs, Vfs};
use onceward_wal::{Examined, FrameBuf, Sealing, Segments};

pub(crate) mod repair;
mod tail;
pub(crate) mod verify;

use crate::base::clock::{Clock, OsClock};
use crate::base::places::LOG_DIR;
pub use crate::base::{Damage, RecoveryReport, Unmeasured};
use crate::base::{ErrorKind, Located, Result};
use crate::config::{Config, Create};
use crate::event::StoredEvent;
use crate::kernel::opening::{
    READINGS_MAX, cannot_open, damage_of, no_store, read_clocks, recovery_of,
};
use crate::kernel::{frame_lsn, from_log, opening};
use crate::outbox::frames::Rejection;
use crate::outbox::{Standing, receipts, stored_event};
use crate::review::{ReviewItem, rejection_in};
use crate::state::{Status, StoreState};
pub use tail::{Since, Tail, TailBatch};
pub use verify::verify;

/// By what a store's files are sealed, if they are.
pub(crate) type Keys = Option<Arc<dyn Sealing>>;

/// Reads the log without a lock.
///
/// # Errors
///
/// `NotFound`, `EncryptionKey`, `Corrupt`, `Io`.
pub(crate) fn read_log(vfs: &dyn Vfs, keys: &Keys) -> Result<(Examined, StoreState)> {
    let settings = Config::new().with_create(Create::Never).key_settings()?;
    opening::read_log(vfs, keys.as_ref(), &settings)
}

/// Reads the log without a lock, and without the keys of a sealed one: then what its frames say is not read.
///
/// # Errors
///
/// As [`read_log`].
pub(crate) fn read_without_keys(vfs: &dyn Vfs) -> Result<(Examined, StoreState)> {
    let settings = Config::new().with_create(Create::Never).key_settings()?;
    opening::read_log_without_keys(vfs, &settings)
}

/// A store as it was found, while another process may be writing it.
///
/// Reads the log only, judges every byte of it, holds no payload in memory, and calls nothing
/// damaged that a second reading finds whole.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::inspect::Inspection;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// // In another process, while this one goes on.
/// let seen = Inspection::open(&dir)?;
/// assert!(seen.recovery().damage.is_empty());
/// assert_eq!(seen.status().pending, 1);
/// for event in seen.events() {
///     assert_eq!(event?.event.key.as_str(), "sale-1");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Inspection {
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    keys: Keys,
    segments: Segments,
    state: StoreState,
    status: Status,
    recovery: RecoveryReport,
}

impl Inspection {
    /// Reads and judges the log of the store in `dir`.
    ///
    /// # Errors
    ///
    /// `NotFound`: no store. `EncryptionKey`: it is encrypted; see [`Inspection::open_with`]. `Unsupported`: of a
    /// newer version. `Corrupt`: nothing of it can be read. `Io`.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let vfs = OsVfs::open_read_only(dir).map_err(|source| cannot_open(dir, source))?;
        Self::open_on(Arc::new(vfs), Arc::new(OsClock::new()), None)
            .map_err(|error| error.in_place("read", dir, "read"))
    }

    /// Opens as [`Inspection::open`] does, with the keys of an encrypted store; nothing else of the configuration is
    /// used.
    ///
    /// # Errors
    ///
    /// As [`Inspection::open`].
    pub fn open_with(dir: impl AsRef<Path>, config: &Config) -> Result<Self> {
        let dir = dir.as_ref();
        let vfs = OsVfs::open_read_only(dir).map_err(|source| cannot_open(dir, source))?;
        Self::open_on(Arc::new(vfs), Arc::new(OsClock::new()), config.sealing())
            .map_err(|error| error.in_place("read", dir, "read"))
    }

    /// Opens as [`Inspection::open`] does, on any disk.
    pub(crate) fn open_on(vfs: Arc<dyn Vfs>, clock: Arc<dyn Clock>, keys: Keys) -> Result<Self> {
        let mut before: Option<Vec<Damage>> = None;
        let mut last_error = None;
        for _ in 0..READINGS_MAX {
            let mut found = match Self::read(&vfs, &clock, &keys) {
                Ok(found) => found,
                // A segment was trimmed between the list and the reading.
                Err(error) if error.kind() == ErrorKind::Io => {
                    last_error = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(before) = &before {
                found.recovery.damage.retain(|damage| before.contains(damage));
                return Ok(found);
            }
            if found.recovery.damage.is_empty() {
                return Ok(found);
            }
            before = Some(found.recovery.damage);
        }
        Err(last_error.unwrap_or_else(no_store))
    }

    /// Reads the log once.
    fn read(disk: &Arc<dyn Vfs>, clock: &Arc<dyn Clock>, keys: &Keys) -> Result<Self> {
        let vfs = &**disk;
        let (examined, state) = read_log(vfs, keys)?;
        let mut recovery = recovery_of(&examined);
        recovery.damage.extend(damage_of(&state.kernel));
        let now = read_clocks(&**clock);
        recovery.unmeasured = state.kernel.times.unmeasured(&now);
        let mut status = state.status(state.kernel.times.trusted_ms(&now));
        let segments = examined.into_segments();
        status.bytes = log_bytes(vfs)?;
        status.damaged_ranges = recovery.damaged_ranges();
        let (vfs, clock) = (Arc::clone(disk), Arc::clone(clock));
        Ok(Self { vfs, clock, keys: keys.clone(), segments, state, status, recovery })
    }

    /// Every event that is still in the log, in the order of their numbers. One that cannot be read
    /// is an error, and the next one follows. One whose segment a writer trimmed since is read from
    /// where it is now, and left out if it was settled and is gone.
    pub fn events(&self) -> impl Iterator<Item = Result<StoredEvent>> {
        let mut again = Rereading::default();
        self.lsns().filter_map(move |lsn| self.find(lsn, &mut again).transpose())
    }

    /// The events that wait for a person, in the order in which they came into review.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: an event cannot be read.
    pub fn reviews(&self) -> Result<Vec<ReviewItem>> {
        let mut again = Rereading::default();
        let items = self.state.outbox.reviews().items().filter_map(|(lsn, _)| {
            self.state.outbox.waiting(lsn)?;
            self.find_review(lsn, &mut again).transpose()
        });
        let mut items: Vec<ReviewItem> = items.collect::<Result<_>>()?;
        items.sort_by_key(|item| (item.version, item.lsn));
        Ok(items)
    }

    /// The log as it is now.
    fn anew(&self) -> Result<Self> {
        Self::open_on(Arc::clone(&self.vfs), Arc::clone(&self.clock), self.keys.clone())
    }

    /// The item of an event; `None` if it was decided since.
    fn find_review(&self, lsn: u64, again: &mut Rereading) -> Result<Option<ReviewItem>> {
        for _ in 1..READINGS_MAX {
            let Some(event) = self.find(lsn, again)? else { return Ok(None) };
            let seen = again.newer.as_deref().unwrap_or(self);
            let Some(review) = seen.state.outbox.waiting(lsn) else { return Ok(None) };
            match seen.frame(review.at) {
                Err(error) if error.code() == "TRIMMED" => {
                    let newer = self.anew()?;
                    *again = Rereading { newer: Some(Box::new(newer)), ..Rereading::default() };
                }
                read => {
                    let read = read?;
                    let reason = rejection_in(&read.frame().map_err(from_log)?, lsn)?;
                    let version = review.version;
                    return Ok(Some(ReviewItem::of(event, Rejection { version, ..reason })));
                }
            }
        }
        Ok(None)
    }

    /// How many events are where.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// What reading the log found.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// The numbers of all events that are still in the log, ascending.
    pub(crate) fn lsns(&self) -> impl Iterator<Item = u64> + use<> {
        let events = self.state.outbox.events();
        let all = events.packed().live_between(..).map(|(lsn, _)| lsn);
        let all = all.chain(events.packed().settled_between(..).map(|(lsn, _)| lsn));
        let mut all: Vec<u64> = all.collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    /// The event with this number; `None` if the log no longer has it.
    pub(crate) fn find(&self, lsn: u64, again: &mut Rereading) -> Result<Option<StoredEvent>> {
        for _ in 1..READINGS_MAX {
            match again.newer.as_deref().unwrap_or(self).find_here(lsn, &mut again.receipts) {
                Err(error) if error.code() == "TRIMMED" => {
                    let newer = self.anew()?;
                    *again = Rereading { newer: Some(Box::new(newer)), ..Rereading::default() };
                }
                done => return done,
            }
        }
        again.newer.as_deref().unwrap_or(self).find_here(lsn, &mut again.receipts)
    }

    /// Finds as [`Inspection::find`] does, from this reading of the log.
    fn find_here(&self, lsn: u64, receipts: &mut Receipts) -> Result<Option<StoredEvent>> {
        let standing = self.state.outbox.events().standing(&self.state.kernel, lsn);
        standing.map(|standing| self.event(&standing, receipts)).transpose()
    }

    fn event(&self, standing: &Standing, receipts: &mut Receipts) -> Result<StoredEvent> {
        let read = self.frame(standing.at)?;
        let receipt = match standing.outcome {
            Some(outcome) => receipts.of(self, outcome, standing.lsn)?,
            None => None,
        };
        let frame = read.frame().map_err(from_log)?;
        let origin = self.state.kernel.times.origin(frame.run, frame.time_ms);
        stored_event(&frame, standing, origin, receipt)
    }

    fn frame(&self, at: Located) -> Result<FrameBuf> {
        let vfs = &*self.vfs;
        self.segments.read(vfs, at.place, at.bytes, frame_lsn(at)?).map_err(from_log)
    }
}

/// Bytes of all segment files, those included that are prepared and not begun.
fn log_bytes(vfs: &dyn Vfs) -> Result<u64> {
    let names = match vfs.list(LOG_DIR) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let mut bytes = 0;
    for name in names.iter().filter(|name| name.ends_with(".seg")) {
        bytes += vfs.open(&format!("{LOG_DIR}/{name}"), Mode::Read)?.len()?;
    }
    Ok(bytes)
}

/// What reading events one after the other goes on with.
#[derive(Debug, Default)]
pub(crate) struct Rereading {
    /// The log as it was read later, if it had to be.
    newer: Option<Box<Inspection>>,
    receipts: Receipts,
}

/// The receipts of the frame that was read last: neighbours were mostly answered together.
#[derive(Debug, Default)]
struct Receipts {
    of_frame: u64,
    by_event: BTreeMap<u64, Vec<u8>>,
}

impl Receipts {
    /// The receipt of `event` in the frame at `at`.
    fn of(&mut self, inspection: &Inspection, at: Located, event: u64) -> Result<Option<Vec<u8>>> {
        if self.of_frame != at.lsn {
            let read = inspection.frame(at)?;
            self.by_event = receipts(&read.frame().map_err(from_log)?, event);
            self.of_frame = at.lsn;
        }
        Ok(self.by_event.remove(&event))
    }
}

#[cfg(test)]
pub(crate) mod tests;
