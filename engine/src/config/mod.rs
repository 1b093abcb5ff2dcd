//! What a host may choose when it opens a store.

mod inbox;
mod sendable;

use std::collections::BTreeMap;
use std::sync::Arc;

use onceward_wal::Sealing;

use onceward_index::Window;

use crate::base::bounds::{
    LEASES_MAX_DEFAULT, PAYLOAD_BYTES_MAX_DEFAULT, RECORD_CACHE_BYTES_DEFAULT,
};
use crate::base::{Error, Result};
use crate::event::Scope;
use crate::inbox::{INBOX, InboxBounds, SUBJECTS};
use crate::kernel::{KeySettings, Settings, Windows};
use crate::limits::Limits;
use crate::records::RECORD_PREFIX;

/// Whether opening makes a store where there is none.
///
/// ```
/// use onceward::{Config, ErrorKind, Store};
/// use onceward::config::Create;
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new().create(Create::Never);
/// let error = Store::open(dir.path().join("mistyped"), config).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Create {
    /// An empty or missing directory becomes a store.
    IfMissing,
    /// Only an existing store is opened.
    Never,
}

/// From when the window of a key counts. Whichever it is, the key of an event that is not settled is
/// never forgotten.
///
/// ```
/// use onceward::{Config, Scope};
/// use onceward::config::WindowStart;
///
/// // Door openings: a repetition comes within the hour or never.
/// let hour_ms = 60 * 60 * 1_000;
/// let config = Config::new().scope_window(Scope::new("doors")?, hour_ms, WindowStart::FromCapture);
/// # let _ = config;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WindowStart {
    /// From the settlement: however long the line was down, a late repetition still meets its key.
    FromSettle,
    /// From the capture.
    FromCapture,
}

/// What of settled events the log keeps.
///
/// ```
/// use onceward::Config;
/// use onceward::config::Retain;
///
/// // A ledger that is read for years: nothing is cleaned away.
/// let config = Config::new().retain(Retain::Everything);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retain {
    /// What is still needed: keys, outcomes and receipts for the window.
    Needed,
    /// Everything, for ever: the log is the ledger.
    Everything,
}

/// How the index reads the files in which it keeps keys.
///
/// ```
/// use onceward::Config;
/// use onceward::config::IndexReading;
///
/// // On a server that handles SIGBUS, or may die of a bad block, and is asked for known keys most.
/// let config = Config::new().index_reading(IndexReading::Mapped);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IndexReading {
    /// Through read-only maps: to find a key costs no system call. If the disk cannot read a block,
    /// the system sends a signal, which ends a process that does not handle it.
    Mapped,
    /// With positioned reads: to find a key costs one, and a block that cannot be read is an error.
    Positioned,
}

impl From<IndexReading> for onceward_index::ReadMode {
    fn from(reading: IndexReading) -> Self {
        match reading {
            IndexReading::Mapped => Self::Mapped,
            IndexReading::Positioned => Self::Positioned,
        }
    }
}

/// How a store behaves; see each setter for its default.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::limits::Limits;
///
/// # let dir = tempfile::tempdir()?;
/// let week_ms = 7 * 24 * 60 * 60 * 1_000;
/// let config = Config::new()
///     .window_ms(week_ms)
///     .payload_bytes_max(16 * 1024)
///     .limits(Limits::new().count(100_000));
/// let store = Store::open(dir.path().join("store"), config)?;
/// # store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    pub(crate) segment_bytes: u64,
    pub(crate) payload_bytes_max: u32,
    pub(in crate::config) window_ms: u64,
    pub(in crate::config) windows: BTreeMap<Scope, (u64, WindowStart)>,
    pub(in crate::config) index_memory_bytes_max: u64,
    pub(in crate::config) index_reading: IndexReading,
    /// Bytes of the log that opening may have to apply to the index after a crash. Tests have less.
    pub(crate) index_log_bytes_max: u64,
    /// Segments whose unused bytes may wait before cleaning begins. Tests have none.
    pub(crate) cleaning_slack_segments: u64,
    pub(in crate::config) record_life_ms: u64,
    pub(crate) leases_max: u32,
    pub(crate) record_cache_bytes_max: u64,
    pub(crate) create: Create,
    pub(in crate::config) retain: Retain,
    pub(crate) inbox: InboxBounds,
    pub(crate) limits: Limits,
    /// What is refused at capture because the upstream can never take it.
    pub(crate) sendable: Option<sendable::Sendable>,
    #[cfg(feature = "encryption")]
    pub(crate) encryption: Option<crate::encryption::Provider>,
    /// Tests have one that is quick and records what it is given.
    #[cfg(test)]
    pub(crate) toy: Option<Arc<dyn Sealing>>,
}

/// One hour.
const HOUR_MS: u64 = 60 * 60 * 1000;
/// Bytes of the log between two checkpoints of the index.
const INDEX_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Segments whose unused bytes may wait before cleaning begins: the more, the less is moved twice.
const CLEANING_SLACK_SEGMENTS: u64 = 4;
/// Shortest and longest window.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 60_000..=400 * 24 * HOUR_MS;

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            segment_bytes: onceward_wal::SEGMENT_BYTES_DEFAULT,
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
            window_ms: 24 * HOUR_MS,
            windows: BTreeMap::new(),
            index_memory_bytes_max: onceward_index::MEMORY_BYTES_DEFAULT,
            index_reading: IndexReading::Positioned,
            index_log_bytes_max: INDEX_LOG_BYTES_MAX,
            cleaning_slack_segments: CLEANING_SLACK_SEGMENTS,
            record_life_ms: 24 * HOUR_MS,
            leases_max: LEASES_MAX_DEFAULT,
            record_cache_bytes_max: RECORD_CACHE_BYTES_DEFAULT,
            create: Create::IfMissing,
            retain: Retain::Needed,
            inbox: InboxBounds::default(),
            limits: Limits::new(),
            sendable: None,
            #[cfg(feature = "encryption")]
            encryption: None,
            #[cfg(test)]
            toy: None,
        }
    }

    /// Size of a new log segment in bytes: 256 KiB to 1 GiB, a multiple of 4,096; 1 MiB by default.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Largest payload in bytes: 64 KiB by default. A frame never spans two segments, so it is at
    /// most a quarter of a segment.
    pub fn payload_bytes_max(mut self, bytes: u32) -> Self {
        self.payload_bytes_max = bytes;
        self
    }

    /// How long a key is remembered at least after its event is settled, in milliseconds: one
    /// minute to 400 days; 24 hours by default.
    pub fn window_ms(mut self, ms: u64) -> Self {
        self.window_ms = ms;
        self
    }

    /// Sets how long the keys of one scope are remembered, and from when that counts. What is chosen here
    /// at a later opening holds for the keys that are remembered already, too.
    pub fn scope_window(mut self, scope: Scope, ms: u64, start: WindowStart) -> Self {
        self.windows.insert(scope, (ms, start));
        self
    }

    /// Most memory for remembered keys, in bytes: at least 4 MiB; 256 MiB by default, which is room
    /// for about 25 million keys. A capture that would need more is refused as `Full`: no key is
    /// forgotten before its time.
    pub fn index_memory_bytes_max(mut self, bytes: u64) -> Self {
        self.index_memory_bytes_max = bytes;
        self
    }

    /// How the index reads its files: with positioned reads by default, so that no bad block ends the
    /// process.
    pub fn index_reading(mut self, reading: IndexReading) -> Self {
        self.index_reading = reading;
        self
    }

    /// How long a completed record is remembered at least, from its completion, in milliseconds: one
    /// minute to 400 days; 24 hours by default. What is chosen here at a later opening holds for the
    /// records that are there already, too. Each takes about 100 bytes of memory, its body none.
    pub fn record_life_ms(mut self, ms: u64) -> Self {
        self.record_life_ms = ms;
        self
    }

    /// Most leases that are open at once: at least 1; 10,000 by default. Each takes about 250 bytes
    /// of memory. One more is refused as `Full`.
    pub fn leases_max(mut self, count: u32) -> Self {
        self.leases_max = count;
        self
    }

    /// Most memory for the bodies of records that were used lately, in bytes: 1 MiB by default; with 0
    /// every body is read from the disk.
    pub fn record_cache_bytes_max(mut self, bytes: u64) -> Self {
        self.record_cache_bytes_max = bytes;
        self
    }

    /// Whether to make a store where there is none: yes by default.
    pub fn create(mut self, create: Create) -> Self {
        self.create = create;
        self
    }

    /// What of settled events the log keeps: what is needed, by default.
    pub fn retain(mut self, retain: Retain) -> Self {
        self.retain = retain;
        self
    }

    /// How much the store takes before it refuses new events: as much as the disk holds, by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What seals the log from one opening to its end.
    pub(crate) fn sealing(&self) -> Option<Arc<dyn Sealing>> {
        #[cfg(test)]
        if self.toy.is_some() {
            return self.toy.clone();
        }
        #[cfg(feature = "encryption")]
        if let Some(provider) = &self.encryption {
            return Some(Arc::new(crate::encryption::Keyring::new(Arc::clone(&provider.0))));
        }
        None
    }

    /// What of it concerns every area.
    ///
    /// # Errors
    ///
    /// `Invalid`: a window is outside its range.
    pub(crate) fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            segment_bytes: self.segment_bytes,
            may_create: self.create == Create::IfMissing,
            may_trim: self.retain == Retain::Needed,
            slack_segments: self.cleaning_slack_segments,
            index_log_bytes_max: self.index_log_bytes_max,
            keys: self.key_settings()?,
            sealing: self.sealing(),
        })
    }

    /// What of it concerns the keys.
    ///
    /// # Errors
    ///
    /// As [`Config::settings`].
    pub(crate) fn key_settings(&self) -> Result<KeySettings> {
        let windows = self.windows()?;
        let (memory_bytes_max, reading) = (self.index_memory_bytes_max, self.index_reading.into());
        Ok(KeySettings { windows, memory_bytes_max, reading })
    }

    fn windows(&self) -> Result<Windows> {
        let from_settle = |ms| window(ms, WindowStart::FromSettle);
        let mut scopes = BTreeMap::new();
        for (scope, (ms, start)) in &self.windows {
            scopes.insert(scope.as_str().to_owned(), window(*ms, *start)?);
        }
        let inbox_ms = self.inbox.window_ms;
        // A length of its own, and so slices of its own: these keys are remembered until a window of
        // the upstream is over, however long that is, and others that came at the same time are not.
        let is_least = inbox_ms <= *WINDOW_MS.start();
        let subjects_ms = if is_least { inbox_ms + 1 } else { inbox_ms - 1 };
        let areas = BTreeMap::from([
            (RECORD_PREFIX, from_settle(self.record_life_ms)?),
            (INBOX, from_settle(inbox_ms)?),
            (SUBJECTS, from_settle(subjects_ms)?),
        ]);
        Ok(Windows::new(from_settle(self.window_ms)?, scopes, areas))
    }

    /// Refuses values outside the documented ranges.
    pub(crate) fn check(&self) -> Result<()> {
        onceward_wal::check_segment_bytes(self.segment_bytes)
            .map_err(|refused| Error::invalid("CONFIG_INVALID", refused.to_string()))?;
        self.limits.check()?;
        let payload_bytes_most = self.segment_bytes / 4;
        if u64::from(self.payload_bytes_max) > payload_bytes_most {
            return Err(Error::invalid(
                "CONFIG_INVALID",
                format!(
                    "payload_bytes_max: {} must be at most a quarter of segment_bytes, {payload_bytes_most}",
                    self.payload_bytes_max
                ),
            ));
        }
        let scopes = self.windows.iter().map(|(scope, (ms, _))| (scope.as_str(), *ms));
        for (scope, ms) in scopes.chain([("all others", self.window_ms)]) {
            check_window(&format!("window_ms of {scope}"), ms)?;
        }
        check_window("record_life_ms", self.record_life_ms)?;
        if self.leases_max == 0 {
            return Err(Error::invalid("CONFIG_INVALID", "leases_max: 0 must be at least 1"));
        }
        self.inbox.check(&WINDOW_MS)?;
        if self.index_memory_bytes_max < onceward_index::MEMORY_BYTES_MIN {
            return Err(Error::invalid(
                "CONFIG_INVALID",
                format!(
                    "index_memory_bytes_max: {} must be at least {}",
                    self.index_memory_bytes_max,
                    onceward_index::MEMORY_BYTES_MIN
                ),
            ));
        }
        Ok(())
    }
}

/// Refuses a length of time for which no key can be remembered.
fn check_window(field: &str, ms: u64) -> Result<()> {
    if WINDOW_MS.contains(&ms) {
        return Ok(());
    }
    let (least, most) = (WINDOW_MS.start(), WINDOW_MS.end());
    Err(Error::invalid("CONFIG_INVALID", format!("{field}: {ms} must be {least} to {most}")))
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

fn window(ms: u64, start: WindowStart) -> Result<Window> {
    let start = match start {
        WindowStart::FromSettle => onceward_index::WindowStart::FromSettle,
        WindowStart::FromCapture => onceward_index::WindowStart::FromCapture,
    };
    Window::new(ms, start)
        .map_err(|refused| Error::invalid("CONFIG_INVALID", format!("window: {refused}")))
}
