//! The reserve: what is left when the disk is full, and for what it is kept.

use super::frames::SEAL_FRAME_BYTES;
use super::{Commit, Core, Log};
use crate::error::{Error, ErrorKind};
use crate::limits::COMMIT_OVERHEAD_BYTES;

impl Core {
    /// Refuses to put more new events into a segment that was reserved: what gives space back needs
    /// the rest of it. Not once as many are reserved again.
    pub(super) fn keep_reserve(&self, commit: &mut Commit) -> Result<(), Error> {
        if !self.spares.is_in_use() {
            return Ok(());
        }
        for count in 1..=self.options.reserve {
            self.prepare_now(count).inspect_err(|error| commit.note(error))?;
        }
        self.spares.is_whole();
        Ok(())
    }

    /// The bytes that may be appended if the disk gives no more: the rest of the tail, and what is ready.
    pub(super) fn room(&self, commit: &Commit) -> u64 {
        let seal = u64::try_from(SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
        let begin = u64::try_from(COMMIT_OVERHEAD_BYTES).unwrap_or(u64::MAX);
        let open = commit.tail.as_ref().filter(|tail| !tail.sealed && !tail.closed);
        let rest = open.map_or(0, |tail| tail.segment_bytes.saturating_sub(tail.offset + seal));
        let ready = self.spares.sizes().into_iter().map(|bytes| bytes.saturating_sub(begin));
        ready.fold(rest, u64::saturating_add)
    }

    /// Makes segments until there is so much room, as far as the disk gives them.
    pub(super) fn refill(&self, commit: &mut Commit, need: u64) -> Result<(), Error> {
        while self.room(commit) < need {
            // Filling a file until the disk has no more costs more than asking.
            let free = self.vfs.free_bytes().ok().flatten();
            if free.is_some_and(|free| free < self.options.segment_bytes) {
                break;
            }
            match self.prepare_now(self.spares.sizes().len() + 1) {
                Err(error) if error.kind() == ErrorKind::Poisoned => {
                    commit.note(&error);
                    return Err(error);
                }
                Err(_full) => break,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Refuses to go below `need` bytes of room.
    pub(super) fn keep_room(&self, commit: &mut Commit, need: u64) -> Result<(), Error> {
        self.refill(commit, need)?;
        if self.room(commit) >= need {
            return Ok(());
        }
        let message =
            "the disk is full, and what is left of the reserve is for what gives room back";
        Err(Error::new(ErrorKind::Full, message))
    }
}

impl Log {
    /// The bytes that may still be appended with [`Purpose::Settle`](super::Purpose::Settle) if the disk gives
    /// no more. Segments are made first while that is less than `wanted`, as far as it does.
    ///
    /// # Errors
    ///
    /// `Poisoned`.
    pub fn room(&self, wanted: u64) -> Result<u64, Error> {
        let mut commit = self.core.commit.lock();
        commit.refuse_if_poisoned()?;
        self.core.refill(&mut commit, wanted)?;
        Ok(self.core.room(&commit))
    }

    /// The size of the smallest segment that is ready, at most that of a new one; where none is ready, as
    /// that of the last one. What is reserved may have been made under another setting, and on a full disk
    /// it stays as it is.
    #[must_use]
    pub fn reserved_segment_bytes(&self) -> u64 {
        let ready = self.core.spares.sizes().into_iter().min();
        let last = || self.core.segments.read().infos().last().map(|info| info.file_bytes);
        let new = self.core.options.segment_bytes;
        ready.or_else(last).unwrap_or(new).min(new)
    }

    /// Whether as many segments are ready as are to be reserved.
    #[must_use]
    pub fn has_whole_reserve(&self) -> bool {
        self.core.spares.sizes().len() >= self.core.options.reserve
    }
}
