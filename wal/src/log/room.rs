//! The reserve: what is left when the disk is full, and for what it is kept.

use super::frames::SEAL_FRAME_BYTES;
use super::{Commit, Core, Log};
use crate::error::{Error, ErrorKind};
use crate::limits::COMMIT_OVERHEAD_BYTES;
use crate::sync::atomic::{AtomicU64, Ordering};

/// A disk has plenty for what is promised where one part of so many of what is free would do.
const PLENTY: u64 = 4;
/// Bytes that a segment takes before it takes anything else.
const BEGIN_BYTES: u64 = COMMIT_OVERHEAD_BYTES as u64;

/// For how much the disk was seen to have plenty, so that it is asked a few times for each segment only.
#[derive(Debug, Default)]
pub(super) struct Plenty {
    /// The segment that was written then.
    segment: AtomicU64,
    promised: AtomicU64,
}

impl Plenty {
    /// Whether the disk had plenty for that when it was asked last, in this segment.
    fn was_seen(&self, segment: u64, promised: u64) -> bool {
        segment == self.segment.load(Ordering::Relaxed)
            && promised <= self.promised.load(Ordering::Relaxed)
    }

    fn see(&self, segment: u64, promised: u64) {
        self.segment.store(segment, Ordering::Relaxed);
        self.promised.store(promised, Ordering::Relaxed);
    }
}

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
        room_of(self, commit).0
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

    /// The room besides what is promised, of which segments are made until there are `need` bytes. Where the
    /// disk has plenty, none are made for what is promised.
    fn room_besides(&self, commit: &mut Commit, need: u64, promised: u64) -> Result<u64, Error> {
        self.refill(commit, need)?;
        let both = need.saturating_add(promised);
        if self.room(commit) < both && self.has_plenty(commit, promised) {
            return Ok(self.room(commit));
        }
        self.refill(commit, both)?;
        Ok(self.room(commit).saturating_sub(promised))
    }

    /// Whether the disk has so much more than what is promised that it need not be taken from it now.
    fn has_plenty(&self, commit: &Commit, promised: u64) -> bool {
        let segment = commit.tail.as_ref().map_or(0, |tail| tail.space.number);
        if self.spares.plenty.was_seen(segment, promised) {
            return true;
        }
        // What will be promised until it is asked again.
        let soon = promised.saturating_add(self.options.segment_bytes / PLENTY);
        // A disk that does not say is found to be full when it is.
        let free = self.vfs.free_bytes().ok().flatten();
        let has_plenty = free.is_none_or(|free| free / PLENTY >= soon);
        if has_plenty {
            self.spares.plenty.see(segment, soon);
        }
        has_plenty
    }

    /// Refuses new events that would not leave what is promised besides the reserve.
    pub(super) fn keep_promised(
        &self,
        commit: &mut Commit,
        total: usize,
        promised: u64,
    ) -> Result<(), Error> {
        let segment = commit.tail.as_ref().map_or(0, |tail| tail.space.number);
        if promised == 0 || self.spares.plenty.was_seen(segment, promised) {
            return Ok(());
        }
        let (room, reserved) = room_of(self, commit);
        let need = u64::try_from(total).unwrap_or(u64::MAX).saturating_add(reserved);
        // Before a segment is made: one that cannot be for another reason is no full disk.
        if room >= need.saturating_add(promised) || self.has_plenty(commit, promised) {
            return Ok(());
        }
        self.keep_room(commit, need, promised)
    }

    /// Refuses to go below `need` bytes of room besides what is promised.
    pub(super) fn keep_room(
        &self,
        commit: &mut Commit,
        need: u64,
        promised: u64,
    ) -> Result<(), Error> {
        if self.room_besides(commit, need, promised)? >= need {
            return Ok(());
        }
        let message = "the disk is full; the store keeps its last room for answers from upstream";
        Err(Error::new(ErrorKind::Full, message))
    }
}

impl Log {
    /// The bytes that may still be appended with [`Purpose::Settle`](super::Purpose::Settle) if the disk gives
    /// no more, besides the `promised` ones, which count only where it has no plenty of them. Segments are made
    /// first while that is less than `wanted`, as far as it does.
    ///
    /// # Errors
    ///
    /// `Poisoned`.
    pub fn room(&self, wanted: u64, promised: u64) -> Result<u64, Error> {
        let mut commit = self.core.commit.lock();
        commit.refuse_if_poisoned()?;
        self.core.room_besides(&mut commit, wanted, promised)
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

/// What [`Core::room`] says, and how much of it is in the reserved segments.
fn room_of(core: &Core, commit: &Commit) -> (u64, u64) {
    let seal = u64::try_from(SEAL_FRAME_BYTES).unwrap_or(u64::MAX);
    let open = commit.tail.as_ref().filter(|tail| !tail.sealed && !tail.closed);
    let rest = open.map_or(0, |tail| tail.space.bytes.saturating_sub(tail.offset + seal));
    let (ready, reserved) = core.spares.room(core.options.reserve, BEGIN_BYTES);
    (rest.saturating_add(ready), reserved)
}
