//! What some options choose between.

use std::time::Duration;

/// Whether opening makes a store where there is none.
///
/// ```
/// use onceward::{Config, ErrorKind, Store};
/// use onceward::config::Create;
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new().with_create(Create::Never);
/// let error = Store::open(dir.path().join("mistyped"), config).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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
/// use std::time::Duration;
///
/// use onceward::config::WindowStart;
/// use onceward::{Config, Scope};
///
/// // Door openings: a repetition comes within the hour or never.
/// let (doors, hour) = (Scope::new("doors")?, Duration::from_hours(1));
/// let config = Config::new().with_scope_window(doors, hour, WindowStart::FromCapture);
/// # let _ = config;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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
/// let config = Config::new().with_retain(Retain::Everything);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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
/// let config = Config::new().with_index_reading(IndexReading::Mapped);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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

/// For how long the keys of one scope are remembered, and from when on: see
/// [`Config::with_scope_window`](super::Config::with_scope_window).
///
/// ```
/// use std::time::Duration;
///
/// use onceward::config::WindowStart;
/// use onceward::{Config, Scope};
///
/// let (doors, hour) = (Scope::new("doors")?, Duration::from_hours(1));
/// let config = Config::new().with_scope_window(doors.clone(), hour, WindowStart::FromCapture);
/// assert_eq!(config.scope_windows[&doors].window, hour);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ScopeWindow {
    /// How long.
    #[cfg_attr(feature = "serde", serde(with = "crate::base::time_text::duration"))]
    pub window: Duration,
    /// From when on.
    #[cfg_attr(feature = "serde", serde(default = "from_settle"))]
    pub start: WindowStart,
}

/// From when a window counts where a file does not say.
#[cfg(feature = "serde")]
fn from_settle() -> WindowStart {
    WindowStart::FromSettle
}
