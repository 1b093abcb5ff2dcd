//! Mends a damaged store, and reports what was lost: by number, and by key as far as that can be known.
//!
//! The log mends itself; here is found out what its damage means for events. Nothing that can still be
//! read is touched, and what was lost stays lost.
//!
//! | file | what |
//! |---|---|
//! | `salvage` | which keys the damaged bytes still show |
//! | `notice` | what was lost, written down for a person |
//! | `beside` | the same for the files beside the log, once each of them is a file |

mod beside;
mod notice;
mod salvage;

use std::path::Path;
use std::sync::Arc;

use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{Examined, LostLsns};

use crate::Lsn;
use crate::base::Damage;
use crate::base::{ErrorKind, Result};
use crate::config::Config;
use crate::event::{Key, Scope};
use crate::inspect::{Keys, read_log, read_without_keys};
use crate::kernel::opening::READINGS_MAX;
use crate::kernel::opening::{ask_for_check, cannot_open, damage_of, log_damage, no_store};
use crate::kernel::{discard_summaries, from_log};
use crate::state::StoreState;

/// What a repair found and did, or would find.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::plan_repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// let plan = plan_repair(&dir)?;
/// for damage in &plan.damage {
///     println!("{} from {} on: {}", damage.file, damage.offset, damage.what);
/// }
/// assert!(plan.kept.is_empty(), "a plan changes nothing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Repair {
    /// The damage that was found.
    pub damage: Vec<Damage>,
    /// What cannot be read because of it.
    pub lost: Lost,
    /// Files within the store's directory that now hold the damaged bytes, and the note of what was lost. Empty
    /// for a plan.
    pub kept: Vec<String>,
    /// The damage that is still there: for a plan, all of it.
    pub left: Vec<Damage>,
}

/// What damage took.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::plan_repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// let lost = plan_repair(&dir)?.lost;
/// for range in &lost.lsns {
///     println!("lost: {} to {:?}", range.first, range.last);
/// }
/// for event in &lost.keys {
///     println!("lost: {} in {}", event.key, event.scope);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lost {
    /// Numbers of lost frames, ascending. Not every frame is an event, and a range that ends where a
    /// segment does may hold numbers that were never used.
    pub lsns: Vec<LostRange>,
    /// Events that were in the damaged bytes and are nowhere else, as far as these bytes still show: a
    /// key may itself be damaged, and events may be missing here.
    pub keys: Vec<LostKey>,
}

/// Consecutive lost numbers.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::plan_repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// for range in plan_repair(&dir)?.lost.lsns {
///     match range.last {
///         Some(last) => println!("lost: {} to {last}", range.first),
///         None => println!("lost: {} and those after it", range.first),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LostRange {
    /// The first one.
    pub first: Lsn,
    /// The last one; `None`: all that followed, and nothing says how many.
    pub last: Option<Lsn>,
}

/// An event that damage took.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::plan_repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// for event in plan_repair(&dir)?.lost.keys {
///     println!("ask what became of {} in {}", event.key, event.scope);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LostKey {
    /// The event's number.
    pub lsn: Lsn,
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
}

/// What [`repair`] would find in the store in `dir`. Takes no lock and changes nothing.
///
/// While another process writes the store, what a second reading finds whole is not called damage.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::plan_repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// assert_eq!(plan_repair(&dir)?.damage, []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// `NotFound`: no store. `Unsupported`: of a newer version. `Corrupt`: nothing of it can be read. `Io`.
///
/// # Cost
///
/// Reads the whole log, twice if it is damaged.
pub fn plan_repair(dir: impl AsRef<Path>) -> Result<Repair> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open_read_only(dir).map_err(|source| cannot_open(dir, source))?;
    beside::plan(&(Arc::new(vfs) as Arc<dyn Vfs>), &None)
        .map_err(|error| error.in_place("read", dir, "read"))
}

/// Plans as [`plan_repair`] does, with the keys of an encrypted store: then frames that are whole and forged are
/// found too, and lost keys are named. Nothing else of the configuration is used.
///
/// # Errors
///
/// As [`plan_repair`]. `EncryptionKey`: a key is missing or wrong.
pub fn plan_repair_with(dir: impl AsRef<Path>, config: &Config) -> Result<Repair> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open_read_only(dir).map_err(|source| cannot_open(dir, source))?;
    beside::plan(&(Arc::new(vfs) as Arc<dyn Vfs>), &config.sealing())
        .map_err(|error| error.in_place("read", dir, "read"))
}

/// Copies the damaged bytes of the store in `dir` to its directory `quarantine`, and mends the log around
/// them, so that it is no longer damaged and goes on. A store without damage is left as it is. What was lost is
/// written down there too, for a person: as long as that note is there, the store is not
/// [safe to wipe](crate::rescue::Rescue::safe_to_wipe).
///
/// What is still damaged afterwards is in [`Repair::left`]: frames that are whole and do not fit, which
/// no program should remove by itself, and what the disk refuses to take.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::repair::repair;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// let done = repair(&dir)?;
/// assert!(done.left.is_empty(), "it goes on: {:?}", done.kept);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Durability
///
/// When this returns `Ok`, copies and mended places are synced. After a crash on the way, the store is as
/// damaged as it was or less, and repairing again completes it.
///
/// # Errors
///
/// `NotFound`: no store. `Locked`: open elsewhere. `Unsupported`: of a newer version. `Corrupt`: nothing
/// of it can be read. `Full`: no room for the copies. `Poisoned`, `Io`: the disk refused. Repairing may be
/// tried again.
///
/// # Cost
///
/// Reads the whole log several times.
pub fn repair(dir: impl AsRef<Path>) -> Result<Repair> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open(dir).map_err(|source| cannot_open(dir, source))?;
    beside::repair(&(Arc::new(vfs) as Arc<dyn Vfs>), &None)
        .map_err(|error| error.in_place("repair", dir, "read and write"))
}

/// Repairs as [`repair`] does, with the keys of an encrypted store: then frames that are whole and forged are taken out
/// too, and lost keys are named. Nothing else of the configuration is used.
///
/// # Errors
///
/// As [`repair`]. `EncryptionKey`: a key is missing or wrong.
pub fn repair_with(dir: impl AsRef<Path>, config: &Config) -> Result<Repair> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open(dir).map_err(|source| cannot_open(dir, source))?;
    beside::repair(&(Arc::new(vfs) as Arc<dyn Vfs>), &config.sealing())
        .map_err(|error| error.in_place("repair", dir, "read and write"))
}

/// Plans as [`plan_repair`] does, for the log on any disk.
pub(crate) fn plan_on(vfs: &dyn Vfs, keys: &Keys) -> Result<Repair> {
    let Survey { damage, lost } = Survey::take(vfs, keys)?;
    Ok(Repair { left: damage.clone(), damage, lost, kept: Vec::new() })
}

/// Repairs as [`repair`] does, for the log on any disk.
pub(crate) fn repair_on(vfs: &dyn Vfs, keys: &Keys) -> Result<Repair> {
    // Asked before the lock, which would leave its file in a directory that is no store.
    onceward_wal::identity(vfs).map_err(from_log)?.ok_or_else(no_store)?;
    if keys.is_some() {
        onceward_wal::check_keys(vfs, keys.as_ref()).map_err(from_log)?;
    }
    let lock = onceward_wal::lock(vfs).map_err(from_log)?;
    // Before anything is written over: the damaged bytes show keys.
    let Survey { mut damage, lost } = Survey::take(vfs, keys)?;
    if !damage.is_empty() {
        // The index may know keys of which the log will not: they stay taken. First, so that no crash
        // leaves a mended log of which nobody knows that.
        ask_for_check(vfs)?;
        // Of what a segment says then, its summary knows nothing.
        discard_summaries(vfs)?;
    }
    let note = notice::write(vfs, &damage, &lost, keys.is_some())?;
    let repaired = match keys {
        None => onceward_wal::repair(vfs, &lock),
        Some(_) => onceward_wal::repair_with(vfs, &lock, keys.as_ref()),
    };
    let repaired = repaired.map_err(from_log)?.ok_or_else(no_store)?;
    for found in repaired.damage.iter().map(log_damage) {
        if !damage.contains(&found) {
            damage.push(found);
        }
    }
    let left = Survey::take(vfs, keys)?.damage;
    Ok(Repair { damage, lost, kept: note.into_iter().chain(repaired.kept).collect(), left })
}

/// What reading a log found, and what that means.
#[derive(Debug)]
struct Survey {
    damage: Vec<Damage>,
    lost: Lost,
}

/// One reading of the log.
struct LogReading {
    examined: Examined,
    state: StoreState,
}

impl Survey {
    /// Reads the log, and again if it seems damaged: a writer may be at work.
    fn take(vfs: &dyn Vfs, keys: &Keys) -> Result<Self> {
        let reading = LogReading::begin(vfs, keys)?;
        let mut damage = reading.damage();
        if damage.is_empty() {
            return Ok(Self { damage, lost: Lost::default() });
        }
        let again = LogReading::begin(vfs, keys)?;
        let confirmed = again.damage();
        damage.retain(|damage| confirmed.contains(damage));
        let lost = again.lost(vfs, &damage);
        Ok(Self { damage, lost })
    }
}

impl LogReading {
    /// Reads the log; tries again where a segment was trimmed between the list and the reading.
    fn begin(vfs: &dyn Vfs, keys: &Keys) -> Result<Self> {
        let mut tries = 1;
        loop {
            match Self::once(vfs, keys) {
                Err(error) if error.kind() == ErrorKind::Io && tries < READINGS_MAX => tries += 1,
                done => return done,
            }
        }
    }

    fn once(vfs: &dyn Vfs, keys: &Keys) -> Result<Self> {
        let (examined, state) = match keys {
            None => read_without_keys(vfs)?,
            Some(_) => read_log(vfs, keys)?,
        };
        Ok(Self { examined, state })
    }

    /// Everything that is not as it should be.
    fn damage(&self) -> Vec<Damage> {
        let told = self.examined.report().damage.iter().map(log_damage);
        told.chain(damage_of(&self.state.kernel)).collect()
    }

    /// What this damage took.
    fn lost(self, vfs: &dyn Vfs, damage: &[Damage]) -> Lost {
        let found = self.examined.report().damage.clone();
        let segments = self.examined.into_segments();
        let mut lost = Lost::default();
        for found in found.iter().filter(|found| damage.contains(&log_damage(found))) {
            let Some(LostLsns { first, last }) = found.lost else { continue };
            let Some(first) = Lsn::from_u64(first) else { continue };
            lost.lsns.push(LostRange { first, last: last.and_then(Lsn::from_u64) });
            lost.keys.extend(salvage::keys(vfs, &segments, found));
        }
        // A copy of it may have been carried forward, or be where it was carried from; or its key alone.
        let stands = |lost: &LostKey| self.state.has_key(lost.scope.as_str(), lost.key.as_str());
        lost.keys.retain(|lost| !stands(lost));
        lost.keys.sort_by_key(|lost| lost.lsn);
        lost.keys.dedup_by_key(|lost| lost.lsn);
        lost.lsns = merged(lost.lsns);
        lost
    }
}

/// The numbers of these ranges in ascending ranges that do not touch.
fn merged(mut ranges: Vec<LostRange>) -> Vec<LostRange> {
    ranges.sort_by_key(|range| range.first);
    let mut merged: Vec<LostRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(LostRange { last: None, .. }) => {}
            Some(LostRange { last: Some(last), .. })
                if range.first.get() <= last.get().saturating_add(1) =>
            {
                if range.last.is_none_or(|end| end > *last)
                    && let Some(open) = merged.last_mut()
                {
                    open.last = range.last;
                }
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
