//! Why a log writes nothing any more, and what is then known of frames that are not synced. No I/O here.

use onceward_vfs::GroundMoved;

use super::{Commit, Core};
use crate::error::{Error, ErrorKind};
use crate::sync::atomic::Ordering;

/// The code of what is refused because the log was closed.
pub const CLOSED: &str = "CLOSED";

/// Why nothing is written until the log is reopened.
#[derive(Debug)]
pub(super) struct Poison {
    cause: String,
    code: Option<&'static str>,
    /// The first LSN of which nothing was written: it and those behind it are surely absent. What is
    /// before it and not synced may be found after reopening.
    absent_from: u64,
}

impl Commit {
    /// Writes nothing any more. What is queued never reaches the disk, from `absent_from` on nothing did;
    /// the first cause is the one that is told.
    pub(super) fn poison_from(&mut self, absent_from: u64, cause: &Error) {
        let (cause, code) = (cause.to_string(), cause.code());
        self.poison_once(Poison { cause, code, absent_from });
    }

    /// Writes nothing any more because the log was closed: all that was queued is synced.
    pub(super) fn poison_closed(&mut self) {
        let (cause, absent_from) = ("it was closed".to_owned(), self.next_lsn);
        self.poison_once(Poison { cause, code: Some(CLOSED), absent_from });
    }

    fn poison_once(&mut self, poison: Poison) {
        self.poison.get_or_insert(poison);
        self.has_failures.store(true, Ordering::Release);
    }

    /// Poisons the log where what is being written may reach the disk.
    pub(super) fn poison(&mut self, cause: &Error) {
        self.poison_from(self.taken + 1, cause);
    }

    /// Refuses work after a failure that only reopening can mend.
    pub(super) fn refuse_if_poisoned(&self) -> Result<(), Error> {
        match &self.poison {
            None => Ok(()),
            Some(Poison { cause, code, .. }) => {
                let message =
                    format!("nothing more is written until it is opened again, since {cause}");
                let error = Error::new(ErrorKind::Poisoned, message);
                Err(match code {
                    Some(code) => error.with_code(code),
                    None => error,
                })
            }
        }
    }

    /// Refuses a frame that is not synced, which may be found after reopening or surely will not.
    pub(super) fn refuse_frame_if_poisoned(&self, lsn: u64) -> Result<(), Error> {
        let is_absent = self.poison.as_ref().is_some_and(|poison| lsn >= poison.absent_from);
        self.refuse_if_poisoned()
            .map_err(|error| if is_absent { error } else { error.mark_in_doubt() })
    }

    /// Applies that a failure elsewhere leaves nothing to write.
    pub(super) fn note(&mut self, error: &Error) {
        if error.kind() == ErrorKind::Poisoned {
            self.poison(error);
        }
    }
}

impl Core {
    /// Refuses work in a process that was forked from the one that opened the log, before a lock is waited
    /// for that a thread of the parent may hold.
    pub(super) fn refuse_if_forked(&self) -> Result<(), Error> {
        if self.opener.is_this_process() {
            return Ok(());
        }
        let moved = GroundMoved::Process { opener: self.opener.pid() };
        Err(Error::failed(moved.into(), "the log is not this process's"))
    }
}
