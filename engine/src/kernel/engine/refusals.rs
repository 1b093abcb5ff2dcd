//! What calls are refused with before they do anything, and what the log refuses.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::base::{Error, ErrorKind, GROUND_MOVED, Result, observe};
use crate::kernel::Areas;

/// What a message says of something in doubt.
const SHOWS_THEN: &str = "whether this is stored shows then";

impl<S: Areas> Engine<S> {
    /// Refuses work on a store that was closed through another handle, and in a process that was forked
    /// from the one that opened it, before a lock is waited for that a thread of the parent may hold.
    pub(crate) fn refuse_if_closed(&self) -> Result<()> {
        if self.log.is_forked() {
            let message = "the store was opened by the process from which this one was forked: open it \
                           after forking, or in one process only";
            return Err(Error::new(ErrorKind::Poisoned, GROUND_MOVED, message));
        }
        if self.is_closed() {
            return Err(closed());
        }
        Ok(())
    }

    /// Refuses to say that something is not here where a write or a sync failed: until the store is opened again
    /// nobody knows what of it is there. What was closed in order is known.
    pub(crate) fn refuse_if_in_doubt(&self) -> Result<()> {
        match self.log.poisoned() {
            Some(error) if error.code() != Some(onceward_wal::CLOSED) => {
                let code = error.code().unwrap_or("POISONED");
                let message = format!("{error}; {SHOWS_THEN}");
                Err(Error::new(ErrorKind::Poisoned, code, message).mark_in_doubt())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An error of this store's log, as one of the store. The first one that says that nothing is written any more is
    /// reported as a failure of the disk too.
    pub(crate) fn log_error(&self, error: onceward_wal::Error) -> Error {
        let is_first =
            is_failure_to_write(&error) && !self.is_failure_told.swap(true, Ordering::Relaxed);
        reported(error, is_first)
    }
}

fn closed() -> Error {
    Error::invalid("CLOSED", "the store was closed")
}

/// Whether a log writes nothing any more because of a failure, and not because it is closed or not where it was.
fn is_failure_to_write(error: &onceward_wal::Error) -> bool {
    error.kind() == onceward_wal::ErrorKind::Poisoned && error.code().is_none()
}

/// An error of a log that no open store writes, as one of the store.
pub(crate) fn from_log(error: onceward_wal::Error) -> Error {
    // Those that repeat an earlier failure have no error of the system.
    let is_first = is_failure_to_write(&error) && error.os_error().is_some();
    reported(error, is_first)
}

/// An error of the log as one of the store, reported; `is_first`: it is the one after which nothing is written.
fn reported(error: onceward_wal::Error, is_first: bool) -> Error {
    use onceward_wal::ErrorKind as Log;
    let (kind, code) = match error.kind() {
        Log::Invalid => (ErrorKind::Invalid, "INVALID"),
        Log::Full => (ErrorKind::Full, "FULL"),
        Log::Corrupt => (ErrorKind::Corrupt, error.code().unwrap_or("CORRUPT")),
        Log::Key => (ErrorKind::EncryptionKey, error.code().unwrap_or("KEY")),
        Log::Poisoned => (ErrorKind::Poisoned, error.code().unwrap_or("POISONED")),
        Log::Locked => (ErrorKind::Locked, "LOCKED"),
        Log::Unsupported => (ErrorKind::Unsupported, "UNSUPPORTED"),
        Log::Io => (ErrorKind::Io, "IO"),
        // Only somebody without the lock meets it: the next reading is of another moment.
        Log::Trimmed => (ErrorKind::Io, "TRIMMED"),
    };
    if error.code() == Some(onceward_wal::CLOSED) {
        // It was refused just as another handle closed the store.
        return closed();
    }
    let what_of_it = match (kind, error.in_doubt()) {
        (ErrorKind::Poisoned, true) => Some(SHOWS_THEN),
        (ErrorKind::Poisoned, false) => Some("nothing of this is stored"),
        _ => None,
    };
    let message = what_of_it.map_or_else(|| error.to_string(), |of_it| format!("{error}; {of_it}"));
    if is_first || error.kind() == Log::Io {
        observe::disk_failed(code, error.in_doubt());
    }
    match error.kind() {
        Log::Full => observe::disk_full(code),
        Log::Poisoned => observe::poisoned(code),
        Log::Invalid
        | Log::Corrupt
        | Log::Trimmed
        | Log::Locked
        | Log::Key
        | Log::Unsupported
        | Log::Io => {}
    }
    let ours = Error::new(kind, code, message);
    let ours = if error.in_doubt() { ours.mark_in_doubt() } else { ours };
    ours.with_source(error)
}
