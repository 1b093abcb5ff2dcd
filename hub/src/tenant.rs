//! One customer of the hub: a name, a store of its own, and what runs in it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use onceward::config::{Create, Retain};
use onceward::inspect::RecoveryReport;
use onceward::{Config, ErrorKind, Scope, Store};

use crate::{
    error::Error,
    notice::{Notice, Notices},
    segments::Histories,
};

/// Name of the only tenant so far.
pub(crate) const DEFAULT: &str = "default";
/// How long keys are remembered: 30 days.
const WINDOW_MS: u64 = WINDOW_S * 1_000;
/// How long keys are remembered in seconds, as every answer says it.
pub(crate) const WINDOW_S: u64 = 30 * 24 * 60 * 60;
/// Size of a log segment where none is given.
const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Segments that must fit on a disk that was full before it counts as one with room: the next one, and one that
/// settling may use.
const SEGMENTS_NEEDED: u64 = 2;
/// Largest payload that the hub ever needs: a kept answer to 500 events with the longest keys.
const PAYLOAD_BYTES_MAX: u32 = 1024 * 1024;

/// A tenant and its open store.
pub(crate) struct Tenant {
    /// The tenant's name; matches the pattern of a scope, so it is safe as a file name.
    name: String,
    /// The tenant's store, until it is closed. Read while it is used, so that closing waits for all uses.
    store: RwLock<Option<Store>>,
    /// Size of a log segment: an atomic write must fit into one.
    segment_bytes: u64,
    /// Ids of the batches that are being worked on.
    running: Mutex<HashSet<String>>,
    /// How far the histories of its terminals are.
    histories: Histories,
    /// Whether the store refuses everything until it is opened again.
    poisoned: AtomicBool,
    /// Whether the store took nothing new when it was last asked, for want of room.
    full: AtomicBool,
    /// The report of opening the store.
    recovery: RecoveryReport,
    /// The notices to which refusals of the store go.
    notices: Notices,
}

/// All tenants. Cheap to clone; all clones are of the same ones.
#[derive(Clone)]
pub(crate) struct Tenants(Arc<[Arc<Tenant>]>);

impl Tenants {
    /// The given tenants as one set.
    pub(crate) fn new(tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        Self(tenants.into_iter().collect())
    }

    /// Iterates over the tenants.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.0.iter().map(|tenant| &**tenant)
    }
}

/// Directory of a tenant's store.
///
/// # Errors
///
/// `Invalid` for a name that a scope could not have: it could lead out of the data directory.
pub(crate) fn directory(data: &Path, name: &str) -> Result<PathBuf, Error> {
    let name = Scope::new(name).map_err(|error| Error::option("tenant", error.to_string()))?;
    Ok(data.join("tenants").join(name.as_str()))
}

impl Tenant {
    /// Opens the tenant's store, or makes it.
    ///
    /// # Errors
    ///
    /// What the store said, for example `Locked` while another hub has it open.
    pub(crate) fn open(
        data: &Path,
        name: &str,
        (segment_bytes, create): (Option<u64>, Create),
        notices: Notices,
    ) -> Result<Self, Error> {
        let segment_bytes = segment_bytes.unwrap_or(SEGMENT_BYTES_DEFAULT);
        // A frame is at most a quarter of a segment.
        let quarter = u32::try_from(segment_bytes / 4).unwrap_or(u32::MAX);
        let config = Config::new()
            .with_create(create)
            .with_segment_bytes(segment_bytes)
            .with_payload_bytes_max(PAYLOAD_BYTES_MAX.min(quarter))
            .with_window(std::time::Duration::from_millis(WINDOW_MS))
            // The log is the ledger of effects.
            .with_retain(Retain::Everything);
        let dir = directory(data, name)?;
        let store = Store::open(&dir, config).map_err(|error| Error::store(name, error))?;
        let recovery = store.recovery();
        report_opening((name, &dir), &recovery, &notices);
        Ok(Self {
            name: name.to_owned(),
            full: AtomicBool::new(false),
            recovery,
            store: RwLock::new(Some(store)),
            segment_bytes,
            running: Mutex::default(),
            histories: Histories::new(data.join("histories").join(name)),
            poisoned: AtomicBool::new(false),
            notices,
        })
    }

    /// Uses the tenant's store.
    ///
    /// # Errors
    ///
    /// What the store said, or that it was closed.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, onceward::Error>,
    ) -> Result<T, Refused> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or(Refused::Closed)?;
        work(store).map_err(Refused::Store)
    }

    /// How many bytes one atomic write may have: half a segment leaves room for what frames add.
    pub(crate) const fn group_bytes_max(&self) -> u64 {
        self.segment_bytes / 2
    }

    /// Largest payload of one event, bytes.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        let quarter = usize::try_from(self.segment_bytes / 4).unwrap_or(usize::MAX);
        quarter.min(usize::try_from(PAYLOAD_BYTES_MAX).unwrap_or(usize::MAX))
    }

    /// Whether the store must be opened again.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Whether the store takes nothing new for want of room, as far as is known.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// How far the histories of its terminals are.
    pub(crate) const fn histories(&self) -> &Histories {
        &self.histories
    }

    /// The tenant's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The report of opening the store.
    pub(crate) const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Notes that something new was stored.
    pub(crate) fn has_room(&self) {
        if self.full.swap(false, Ordering::Relaxed) {
            self.notices.send(&Notice::HasRoom { tenant: self.name.clone() });
        }
    }

    /// Looks whether there is room again for what a capture may need: a segment.
    fn look_for_room(&self) {
        if !self.is_full() {
            return;
        }
        let free = self.with_store(Store::free_bytes);
        let needed = self.segment_bytes.saturating_mul(SEGMENTS_NEEDED);
        if let Ok(free) = free
            && free.is_none_or(|free| free >= needed)
        {
            self.has_room();
        }
    }

    /// Reports to the operator what the store said, which the client does not get.
    pub(crate) fn report(&self, refused: &Refused) {
        if let Refused::Store(error) = refused
            && (error.kind() == ErrorKind::Poisoned || error.in_doubt())
        {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        let tenant = self.name.clone();
        if !refused.is_full() {
            let why = refused.to_string();
            self.notices.send(&Notice::StorageFailed { tenant, why });
        } else if !self.full.swap(true, Ordering::Relaxed) {
            self.notices.send(&Notice::Full { tenant });
        }
    }

    /// Lets the store expire, clean and trim.
    pub(crate) fn tick(&self) {
        if self.is_poisoned() {
            return;
        }
        self.look_for_room();
        match self.with_store(Store::tick) {
            // A closed store has nothing to expire.
            Ok(()) | Err(Refused::Closed) => {}
            Err(refused) => self.report(&refused),
        }
    }

    /// Marks batch `id` as being worked on; `None` if it already is.
    pub(crate) fn start(self: &Arc<Self>, id: &str) -> Option<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = running.insert(id.to_owned());
        is_new.then(|| Running { tenant: Arc::clone(self), id: id.to_owned() })
    }

    /// Closes the store in order, after all that use it have finished.
    ///
    /// # Errors
    ///
    /// What the store said. Nothing that was confirmed is lost.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        store.map_or(Ok(()), |store| store.close()).map_err(|error| Error::store(&self.name, error))
    }
}

/// Reports to the operator what opening found.
fn report_opening((name, dir): (&str, &Path), found: &RecoveryReport, notices: &Notices) {
    for damage in &found.damage {
        notices.send(&Notice::Damaged {
            tenant: name.to_owned(),
            dir: dir.to_owned(),
            file: damage.file.clone(),
            offset: damage.offset,
            length: damage.length,
            what: damage.what.clone(),
        });
    }
    if let Some(off) = found.unmeasured {
        let (tenant, by_wall_clock_ms) = (name.to_owned(), off.by_wall_clock_ms);
        notices.send(&Notice::OffTimeNotCounted { tenant, by_wall_clock_ms });
    }
    let made_anew = |what: &str, why: &String| {
        format!("the files of the {what} are made anew from the log: {why}")
    };
    let index = found.index_rebuilt.as_ref().map(|why| made_anew("index", why));
    let catalog = found.catalog_rebuilt.as_ref().map(|why| made_anew("catalog", why));
    let file_system = onceward::host::remark_on(dir).map(ToOwned::to_owned);
    let keys = (found.keys_of_lost_frames > 0).then(|| {
        format!(
            "keys whose items are lost to damage, and which stay taken, outcome unknown: {}",
            found.keys_of_lost_frames
        )
    });
    for what in [index, catalog, keys, file_system].into_iter().flatten() {
        notices.send(&Notice::Opened { tenant: name.to_owned(), what });
    }
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The hub is stopping.
    #[error("the store was closed")]
    Closed,
    /// The store said so.
    #[error(transparent)]
    Store(onceward::Error),
}

impl Refused {
    /// Whether the store has no room, and has written nothing.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind() == ErrorKind::Full)
    }
}

/// A batch that is being worked on, until this is dropped.
pub(crate) struct Running {
    /// Whose batch it is.
    tenant: Arc<Tenant>,
    /// The batch's id.
    id: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.tenant.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::directory;

    #[test]
    fn no_name_of_a_tenant_leads_out_of_the_data_directory() {
        let data = Path::new("data");
        assert_eq!(directory(data, "shop-1").unwrap(), Path::new("data/tenants/shop-1"), "control");
        for bad in
            ["", ".", "..", "../x", "a/b", "a\\b", "A", "a\0", "%2e%2e", "-a", &"a".repeat(64)]
        {
            assert!(directory(data, bad).is_err(), "{bad:?}");
        }
    }
}
