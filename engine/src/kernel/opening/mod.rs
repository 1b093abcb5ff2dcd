//! Opening: lock, judge, replay, begin a run.

mod lost;
mod quarantine;
mod reading;
pub(crate) mod usurpers;

use std::path::Path;
use std::sync::Arc;

use onceward_index::Secret;
use onceward_vfs::Vfs;
use onceward_wal::{
    Alignment, Examined, Identity, Lock, Log, Options, Preparation, Sealing, Stamp,
};

use super::checkpointer::Checkpointer;
use super::engine::{Engine, Opened, Settings, TrustedTime, expire, from_log};
use super::summaries::Summaries;
use super::{Areas, Kernel};
use crate::base::clock::{self, Clock};
use crate::base::places::LOCK_FILE;
use crate::base::{Damage, Error, ErrorKind, RecoveryReport, Result, StoreId, observe};
pub(crate) use lost::ask_for_check;
pub(crate) use quarantine::keep_note;
pub(crate) use reading::{READINGS_MAX, read_log, read_log_without_keys};
use reading::{Read, read};

/// Prepared segments that only settling and cleaning may use.
const RESERVED_SEGMENTS: usize = 2;

/// Opens the store on a disk, and makes one if there is none and that is allowed.
///
/// # Errors
///
/// As `Store::open`.
pub(crate) fn open<S: Areas>(
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    preparation: Preparation,
) -> Result<Engine<S>> {
    if is_empty(&*vfs)? && !settings.may_create {
        return Err(no_store());
    }
    let sealing = settings.sealing.as_ref();
    if !is_empty(&*vfs)? {
        // Before anything is touched.
        onceward_wal::check_keys(&*vfs, sealing).map_err(from_log)?;
    }
    let lock = onceward_wal::lock(&*vfs).map_err(from_log)?;
    // Asked again: who held the lock until now may have made a store, and used it.
    if is_empty(&*vfs)? {
        make(&*vfs, &lock, sealing)?;
    }
    usurpers::free_index(&*vfs)?;
    let Read { examined, mut state, rebuilt, lost, unread } =
        read::<S>(&vfs, sealing, &settings.keys, preparation)?;
    let unmeasured = state.kernel().times.unmeasured(&read_clocks(&*clock));
    let (stamp, unwritten_ms) = resume(&mut state, &*clock)?;
    let identity = examined.identity();
    let mut recovery = recovery_of(&examined);
    recovery.damage.extend(damage_of(state.kernel()));
    recovery.index_rebuilt = rebuilt;
    recovery.keys_of_lost_frames = lost.count();
    recovery.unmeasured = unmeasured;
    let options = Options {
        segment_bytes: settings.segment_bytes,
        reserve: RESERVED_SEGMENTS,
        preparation,
        alignment: Alignment::Frame,
    };
    let log = Log::start(Arc::clone(&vfs), lock, examined, options, stamp).map_err(not_started)?;
    state.kernel_mut().times.open(log.run(), &stamp);
    lost.keep(state.kernel(), stamp.trusted_ms);
    expire(&mut state, stamp.trusted_ms);
    let keys = &state.kernel().keys;
    let marks = (keys.coverage().last_opening(), stamp.opening);
    let keeping = lost.keeping(preparation);
    let index = Arc::clone(keys.index());
    let summaries = Arc::new(Summaries::start::<S>(Arc::clone(&vfs), &log, unread));
    summaries.covered(keys.coverage().upto());
    let kept = (index, Arc::clone(&summaries));
    let checkpointer = Checkpointer::start(kept, marks, settings.index_log_bytes_max, keeping);
    if recovery.index_rebuilt.is_some() {
        checkpointer.ask();
    }
    let mut engine = Engine::new(Opened {
        checkpointer,
        summaries,
        log,
        vfs,
        state,
        settings,
        id: StoreId(identity.store),
        secret: secret_of(&identity),
        time: TrustedTime::new(clock, stamp, stamp.mono_ms.saturating_sub(unwritten_ms)),
        recovery,
    });
    lost.write(&mut engine)?;
    if lost.misfit.is_some() { lost::open_again(engine, preparation) } else { Ok(engine) }
}

/// Goes on where the log's last frame left trusted time, and by what passed since, if the same clock
/// measured it: the process was started again, the machine was not.
///
/// Returns who writes from now on, and at what time; and what passed since the last frame and was measured,
/// milliseconds.
fn resume<S: Areas>(state: &mut S, clock: &dyn Clock) -> Result<(Stamp, u64)> {
    let now = read_clocks(clock);
    let times = &mut state.kernel_mut().times;
    let unwritten_ms = times.resume(&now).unwrap_or(0);
    let trusted_ms = times.latest_ms().saturating_add(unwritten_ms);
    state.note_marks();
    let stamp = Stamp { opening: u64::from_le_bytes(clock::random()?), trusted_ms, ..now };
    Ok((stamp, unwritten_ms))
}

/// What the machine's clocks show.
pub(crate) fn read_clocks(clock: &dyn Clock) -> Stamp {
    let (boot, wall_ms, mono_ms) = (clock.boot(), clock.wall_ms(), clock.mono_ms());
    Stamp { boot, wall_ms, mono_ms, ..Stamp::default() }
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
            observe::disk_failed("UNREADABLE", error.in_doubt());
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

/// An error of the index, as one of the store.
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

/// What the log found, as the store's report.
pub(crate) fn recovery_of(examined: &Examined) -> RecoveryReport {
    let report = examined.report();
    RecoveryReport {
        clean: report.clean,
        frames: report.frames,
        unchecked_segments: u64::try_from(report.unchecked.len()).unwrap_or(u64::MAX),
        torn_bytes: report.torn_bytes,
        torn_frames_in_doubt: u64::try_from(report.in_doubt).unwrap_or(u64::MAX),
        damage: report.damage.iter().map(log_damage).collect(),
        keys_of_lost_frames: 0,
        index_rebuilt: None,
        catalog_rebuilt: None,
        unmeasured: None,
    }
}

/// Damage of the log, as the store's.
pub(crate) fn log_damage(damage: &onceward_wal::Damage) -> Damage {
    Damage {
        file: damage.file.clone(),
        offset: damage.offset,
        length: damage.bytes,
        what: damage.what.clone(),
    }
}

/// Frames that are whole and do not fit the log.
pub(crate) fn damage_of(kernel: &Kernel) -> impl Iterator<Item = Damage> + '_ {
    kernel.invalid().iter().map(|(at, why)| Damage {
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

/// Why a directory cannot be opened that would be made where it is missing.
pub(crate) fn cannot_make(dir: &Path, source: std::io::Error) -> Error {
    if !dir.as_os_str().is_empty() && source.kind() == std::io::ErrorKind::NotFound {
        let message = format!("cannot open {}: nothing can be made there: {source}", dir.display());
        return Error::new(ErrorKind::Io, "IO", message).with_source(source);
    }
    cannot_open(dir, source)
}

/// Why a directory cannot be opened.
pub(crate) fn cannot_open(dir: &Path, source: std::io::Error) -> Error {
    if dir.as_os_str().is_empty() {
        return Error::invalid("NOT_A_DIRECTORY", "the path of the store is empty")
            .with_source(source);
    }
    if source.kind() == std::io::ErrorKind::NotFound {
        let message = format!("there is no store in {}: no such directory", dir.display());
        return Error::new(ErrorKind::NotFound, "NO_STORE", message).with_source(source);
    }
    let dir = dir.display();
    let message = match source.kind() {
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            let message = format!(
                "cannot open {dir}: a store is a directory, and this, or something on the way to it, is none"
            );
            return Error::invalid("NOT_A_DIRECTORY", message).with_source(source);
        }
        std::io::ErrorKind::ReadOnlyFilesystem => format!(
            "cannot open {dir}: it is on a file system that is mounted read-only, and a store is written to"
        ),
        // What the disk's layer refuses itself has its own words.
        std::io::ErrorKind::PermissionDenied if source.raw_os_error().is_some() => format!(
            "cannot open {dir}: the user of this process may not read and write there: {source}"
        ),
        _ => format!("cannot open {dir}: {source}"),
    };
    let failed = Error::from(source);
    Error::new(failed.kind(), failed.code(), message).with_source(failed)
}
