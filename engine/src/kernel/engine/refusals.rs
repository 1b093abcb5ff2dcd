//! What calls are refused with before they do anything, and what the log refuses.

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
}

fn closed() -> Error {
    Error::invalid("CLOSED", "the store was closed")
}

/// An error of the log, as one of the store.
pub(crate) fn from_log(error: onceward_wal::Error) -> Error {
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
    match kind {
        ErrorKind::Full => observe::disk_full(code),
        ErrorKind::Io => observe::disk_failed(code, error.in_doubt()),
        ErrorKind::Poisoned => observe::poisoned(code),
        _ => {}
    }
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
    let ours = Error::new(kind, code, message);
    let ours = if error.in_doubt() { ours.mark_in_doubt() } else { ours };
    ours.with_source(error)
}
