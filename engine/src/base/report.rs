//! What opening a store reports: its number, damage, and what was done about it. Plain structs, nothing hidden in a
//! log line.

use std::fmt;

use super::shown::Hex;

/// A store's number of 128 random bits, made once. Prints as 32 hexadecimal digits.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let id = store.id().to_string();
/// assert_eq!(id.len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct StoreId(pub(crate) [u8; 16]);

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreId").field(&Hex(&self.0)).finish()
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Bytes that came back from the disk different from what was written.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// for damage in &store.recovery().damage {
///     println!("{} {} {} {}", damage.file, damage.offset, damage.length, damage.what);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Damage {
    /// The file's name within the store's directory.
    pub file: String,
    /// Offset at which what is damaged begins: mostly a frame's.
    pub offset: u64,
    /// Count of bytes that cannot be used.
    pub length: u64,
    /// What is wrong, and which numbers are lost.
    pub what: String,
}

/// What opening found.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let found = store.recovery();
/// assert!(found.damage.is_empty() && found.torn_bytes == 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether the store had been closed in order, and its log is as that left it, as far as opening read it; `false`
    /// for one that was just made, and where damage was found.
    pub clean: bool,
    /// Frames that were read, those included of segments of which a summary was read.
    pub frames: u64,
    /// Finished segments of which opening read a summary, and that nobody has read yet: damage in them is not found
    /// yet. The store reads them one after another, beside its callers; what it finds is among the damage then.
    pub unchecked_segments: u64,
    /// Bytes of a torn tail: what a crash during an append leaves. Cut, and a copy kept where whole
    /// frames were in it.
    pub torn_bytes: u64,
    /// Whole frames within the torn tail: never confirmed to a caller, kept in quarantine.
    pub torn_frames_in_doubt: u64,
    /// Damaged ranges. Never repaired silently.
    pub damage: Vec<Damage>,
    /// Keys of which the log lost everything to damage, and which the index still knew: they stay taken, and
    /// their outcome is unknown. Counted once, by the opening that found it.
    pub keys_of_lost_frames: u64,
    /// Why the files of the index could not be used, if they could not: then it was rebuilt from the
    /// log, which lost nothing. A store that was never closed has none.
    pub index_rebuilt: Option<String>,
    /// Why the catalog's files could not be used, if they could not: then they were made anew from
    /// the log, which lost nothing. What was there is kept aside as `catalog.damaged-N`.
    pub catalog_rebuilt: Option<String>,
    /// The time since the store was last in use, if nothing measured it: the machine was started anew, or
    /// does not report that, or damage took what says it. That time does not count for expiry, and keys are
    /// remembered so much longer, unless [`Store::confirm_time`](crate::Store::confirm_time) proves it.
    pub unmeasured: Option<Unmeasured>,
}

/// Time that nobody measured.
///
/// ```
/// use onceward::{Config, Store};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// if let Some(off) = store.recovery().unmeasured {
///     println!("off for {:?} ms, by a clock that nobody vouches for", off.by_wall_clock_ms);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unmeasured {
    /// What the wall clock says of it, milliseconds; below 0 if it was set back. `None`: not even that is
    /// known.
    pub by_wall_clock_ms: Option<i64>,
}

impl RecoveryReport {
    /// How many ranges are damaged.
    pub(crate) fn damaged_ranges(&self) -> u64 {
        u64::try_from(self.damage.len()).unwrap_or(u64::MAX)
    }
}
