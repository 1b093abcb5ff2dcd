//! What a host may choose when it opens a store: [`Config`], and what its options choose between.

// `choices`: what some options choose between. `inbox`: options of the inbox. `sendable`: what is refused at capture
// because the upstream can never take it. `check`: what of it no store is opened with. `debug`: how it is
// printed.

mod check;
mod choices;
mod debug;
mod inbox;
mod sendable;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onceward_index::Window;
use onceward_wal::Sealing;

use crate::base::bounds::{
    LEASES_MAX_DEFAULT, PAYLOAD_BYTES_MAX_DEFAULT, RECORD_CACHE_BYTES_DEFAULT,
};
#[cfg(feature = "serde")]
use crate::base::time_text;
use crate::base::{Error, Result, whole_ms};
use crate::event::Scope;
use crate::inbox::{INBOX, SUBJECTS};
use crate::kernel::{KeySettings, Settings, Windows};
use crate::limits::Limits;
use crate::records::RECORD_PREFIX;

pub use choices::{Create, IndexReading, Retain, ScopeWindow, WindowStart};

/// How a store behaves.
///
/// Each option is a method that sets it, and a field of the same name that has what is set; each method says what the
/// default is. [`Config::check`] finds all that [`Store::open`](crate::Store::open) would refuse.
///
/// ```
/// use std::time::Duration;
///
/// use onceward::limits::Limits;
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new()
///     .with_window(Duration::from_hours(7 * 24))
///     .with_payload_bytes_max(16 * 1024)
///     .with_limits(Limits::new().with_count(100_000));
/// assert_eq!((config.window, config.leases_max), (Duration::from_hours(7 * 24), 10_000));
/// config.check()?;
/// let store = Store::open(dir.path().join("store"), config)?;
/// # store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Files
///
/// With the feature `serde` a configuration is read from a file of any format that serde knows, and written to one. A
/// file has the names of the fields. Lengths of time are texts such as `"90s"`, `"15m"`, `"24h"` or `"7d"`, of the
/// units `d`, `h`, `m`, `s` and `ms`; several of them are read too, as in `"1h30m"`. Amounts are texts such as
/// `"250.00"`, choices their names in snake case. What is absent has its default, and so has the `start` of a window in
/// `scope_windows`, but not its `window`. A name that is no option is refused by that name. The key provider of an
/// encrypted store and the check of [`Config::with_sendable`] are in no file. Reading a file does not
/// [`check`](Config::check) its values.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use std::time::Duration;
///
/// use onceward::Config;
///
/// let text = r#"{
///     "window": "7d",
///     "scope_windows": { "doors": { "window": "1h", "start": "from_capture" } },
///     "retain": "everything",
///     "limits": { "count": 100000, "age": "30d", "sum": "5000.00", "when_full": "evict_oldest" }
/// }"#;
/// let config: Config = serde_json::from_str(text)?;
/// assert_eq!(config.window, Duration::from_hours(7 * 24));
/// let error = serde_json::from_str::<Config>(r#"{ "windw": "7d" }"#).unwrap_err();
/// assert!(error.to_string().contains("windw"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct Config {
    /// Size of a new log segment in bytes.
    pub segment_bytes: u64,
    /// Largest payload in bytes.
    pub payload_bytes_max: u32,
    /// How long a key is remembered after its event is settled.
    #[cfg_attr(feature = "serde", serde(with = "time_text::duration"))]
    pub window: Duration,
    /// The scopes with a window of their own.
    pub scope_windows: BTreeMap<Scope, ScopeWindow>,
    /// Most memory for remembered keys, in bytes.
    pub index_memory_bytes_max: u64,
    /// How the index reads its files.
    pub index_reading: IndexReading,
    /// Bytes of the log that opening may have to apply to the index after a crash. Tests have less.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) index_log_bytes_max: u64,
    /// Segments whose unused bytes may wait before cleaning begins. Tests have none.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) cleaning_slack_segments: u64,
    /// How long a completed record is remembered.
    #[cfg_attr(feature = "serde", serde(with = "time_text::duration"))]
    pub record_life: Duration,
    /// Most leases that are open at once.
    pub leases_max: u32,
    /// Most memory for the bodies of records that were used lately, in bytes.
    pub record_cache_bytes_max: u64,
    /// Whether to make a store where there is none.
    pub create: Create,
    /// What of settled events the log keeps.
    pub retain: Retain,
    /// How long a delivery is remembered after it is finished.
    #[cfg_attr(feature = "serde", serde(with = "time_text::duration"))]
    pub inbox_window: Duration,
    /// Most unfinished deliveries.
    pub inbox_deliveries_max: usize,
    /// Most bytes of unfinished deliveries in the log.
    pub inbox_bytes_max: u64,
    /// The scope of the events that report how a delivery ended; `None`: `inbox`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub inbox_scope: Option<Scope>,
    /// How much the store takes before it refuses new events.
    pub limits: Limits,
    /// What is refused at capture because the upstream can never take it.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) sendable: Option<sendable::Sendable>,
    #[cfg(feature = "encryption")]
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) encryption: Option<crate::encryption::Provider>,
    /// Tests have one that is quick and records what it is given.
    #[cfg(test)]
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) toy: Option<Arc<dyn Sealing>>,
}

/// How long keys, records and deliveries are remembered, unless the host chooses.
const WINDOW_DEFAULT: Duration = Duration::from_hours(24);
/// Bytes of the log between two checkpoints of the index.
const INDEX_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Segments whose unused bytes may wait before cleaning begins: the more, the less is moved twice.
const CLEANING_SLACK_SEGMENTS: u64 = 4;
/// Shortest and longest window, in milliseconds.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 60_000..=400 * 24 * 60 * 60 * 1_000;

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            segment_bytes: onceward_wal::SEGMENT_BYTES_DEFAULT,
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
            window: WINDOW_DEFAULT,
            scope_windows: BTreeMap::new(),
            index_memory_bytes_max: onceward_index::MEMORY_BYTES_DEFAULT,
            index_reading: IndexReading::Positioned,
            index_log_bytes_max: INDEX_LOG_BYTES_MAX,
            cleaning_slack_segments: CLEANING_SLACK_SEGMENTS,
            record_life: WINDOW_DEFAULT,
            leases_max: LEASES_MAX_DEFAULT,
            record_cache_bytes_max: RECORD_CACHE_BYTES_DEFAULT,
            create: Create::IfMissing,
            retain: Retain::Needed,
            inbox_window: WINDOW_DEFAULT,
            inbox_deliveries_max: inbox::DELIVERIES_MAX_DEFAULT,
            inbox_bytes_max: inbox::BYTES_MAX_DEFAULT,
            inbox_scope: None,
            limits: Limits::new(),
            sendable: None,
            #[cfg(feature = "encryption")]
            encryption: None,
            #[cfg(test)]
            toy: None,
        }
    }

    /// Size of a new log segment in bytes: 256 KiB to 1 GiB, a multiple of 4,096; 1 MiB by default.
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Largest payload in bytes: 64 KiB by default. A frame never spans two segments, so it is at
    /// most a quarter of a segment.
    pub fn with_payload_bytes_max(mut self, bytes: u32) -> Self {
        self.payload_bytes_max = bytes;
        self
    }

    /// How long a key is remembered at least after its event is settled: one minute to 400 days; 24 hours by
    /// default.
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long the keys of one scope are remembered, and from when that counts. What is chosen here
    /// at a later opening holds for the keys that are remembered already, too.
    pub fn with_scope_window(mut self, scope: Scope, window: Duration, start: WindowStart) -> Self {
        self.scope_windows.insert(scope, ScopeWindow { window, start });
        self
    }

    /// Most memory for remembered keys, in bytes: at least 4 MiB; 256 MiB by default, which is room
    /// for about 25 million keys. A capture that would need more is refused as `Full`: no key is
    /// forgotten before its time.
    pub fn with_index_memory_bytes_max(mut self, bytes: u64) -> Self {
        self.index_memory_bytes_max = bytes;
        self
    }

    /// How the index reads its files: with positioned reads by default, so that no bad block ends the
    /// process.
    pub fn with_index_reading(mut self, reading: IndexReading) -> Self {
        self.index_reading = reading;
        self
    }

    /// How long a completed record is remembered at least, from its completion: one minute to 400 days; 24 hours by
    /// default. What is chosen here at a later opening holds for the
    /// records that are there already, too. Each takes about 100 bytes of memory, its body none.
    pub fn with_record_life(mut self, life: Duration) -> Self {
        self.record_life = life;
        self
    }

    /// Most leases that are open at once: at least 1; 10,000 by default. Each takes about 250 bytes
    /// of memory. One more is refused as `Full`.
    pub fn with_leases_max(mut self, count: u32) -> Self {
        self.leases_max = count;
        self
    }

    /// Most memory for the bodies of records that were used lately, in bytes: 1 MiB by default; with 0
    /// every body is read from the disk.
    pub fn with_record_cache_bytes_max(mut self, bytes: u64) -> Self {
        self.record_cache_bytes_max = bytes;
        self
    }

    /// Whether to make a store where there is none: yes by default.
    pub fn with_create(mut self, create: Create) -> Self {
        self.create = create;
        self
    }

    /// What of settled events the log keeps: what is needed, by default.
    pub fn with_retain(mut self, retain: Retain) -> Self {
        self.retain = retain;
        self
    }

    /// How much the store takes before it refuses new events: as much as the disk holds, by default.
    pub fn with_limits(mut self, limits: Limits) -> Self {
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

    /// The windows in whole milliseconds, as the index has them; all of them rounded up: nothing is remembered shorter
    /// than was chosen.
    fn windows(&self) -> Result<Windows> {
        let from_settle = |ms| window(ms, WindowStart::FromSettle);
        let mut scopes = BTreeMap::new();
        for (scope, own) in &self.scope_windows {
            scopes.insert(scope.as_str().to_owned(), window(whole_ms(own.window), own.start)?);
        }
        let inbox_ms = whole_ms(self.inbox_window);
        // A length of its own, and so slices of its own: these keys are remembered until a window of
        // the upstream is over, however long that is, and others that came at the same time are not.
        let is_least = inbox_ms <= *WINDOW_MS.start();
        let subjects_ms = if is_least { inbox_ms + 1 } else { inbox_ms - 1 };
        let areas = BTreeMap::from([
            (RECORD_PREFIX, from_settle(whole_ms(self.record_life))?),
            (INBOX, from_settle(inbox_ms)?),
            (SUBJECTS, from_settle(subjects_ms)?),
        ]);
        Ok(Windows::new(from_settle(whole_ms(self.window))?, scopes, areas))
    }
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
