//! Segments: prepared ahead, trimmed when nothing in them is needed, recycled.

use std::io;
use std::sync::Arc;

use onceward_vfs::{File, Mode, Pace, Vfs};

use super::filling::SegmentSpace;
use super::finished::check_segment;
use super::spares::PreparedSegment;
use super::{Commit, Core, Log, Preparation, Purpose};
use crate::error::{Error, ErrorKind};
use crate::name;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Segments that are kept ready beyond the reserve, where a thread prepares them.
const AHEAD: usize = 1;

impl Core {
    /// Takes a prepared segment, or makes one.
    pub(super) fn take_prepared(
        &self,
        commit: &mut Commit,
        purpose: Purpose,
    ) -> Result<PreparedSegment, Error> {
        let reserve = self.options.reserve;
        loop {
            if let Some(spare) = self.spares.take_beyond(reserve) {
                return Ok(spare);
            }
            match (self.prepare_now(reserve + 1), purpose) {
                (Ok(()), _) => {}
                (Err(error), Purpose::Settle | Purpose::SettleLeaving { .. })
                    if error.kind() != ErrorKind::Poisoned =>
                {
                    break;
                }
                (Err(error), _) => {
                    commit.note(&error);
                    return Err(error);
                }
            }
        }
        let reserved = self.spares.take_beyond(0).ok_or_else(|| {
            Error::new(ErrorKind::Full, "the disk is full and the reserved segments are used up")
        })?;
        self.spares.lack();
        Ok(reserved)
    }

    /// How many segments a log keeps ready.
    pub(super) fn spares_wanted(&self) -> usize {
        match self.options.preparation {
            Preparation::InBackground => self.options.reserve + AHEAD,
            Preparation::OnDemand => self.options.reserve,
        }
    }

    /// As [`Core::prepare`], as fast as the disk can; so is one that is being made meanwhile.
    pub(super) fn prepare_now(&self, count: usize) -> Result<(), Error> {
        self.spares.waiting.fetch_add(1, Ordering::Relaxed);
        let prepared = self.prepare(count, &|| Pace::Fast);
        self.spares.waiting.fetch_sub(1, Ordering::Relaxed);
        prepared
    }

    /// Makes one segment, gently unless somebody waits for one. Once `stop` is set it is given up: whoever ends
    /// the log would wait for the rest of it, and the next opening makes one.
    pub(super) fn prepare_ahead(&self, stop: &AtomicBool) -> Result<(), Error> {
        let waited_for = || self.spares.waiting.load(Ordering::Relaxed) > 0;
        let pace = || match stop.load(Ordering::Acquire) {
            true => Pace::Abandon,
            false if waited_for() => Pace::Fast,
            false => Pace::Gentle,
        };
        self.prepare(self.spares_wanted(), &pace)
    }

    /// Makes one segment, unless `count` are ready. The caller may hold `commit`.
    pub(super) fn prepare(&self, count: usize, pace: &dyn Fn() -> Pace) -> Result<(), Error> {
        let _one_at_a_time = self.spares.making.lock();
        if self.spares.list.lock().len() >= count {
            return Ok(());
        }
        let number = self.meta.lock().current.next_number;
        let path = name::segment(&self.identity.store, number);
        let bytes = self.options.segment_bytes;
        let (file, filled) =
            self.new_file(&path, bytes, pace).inspect_err(|_full_or_given_up| {
                // What is left of it only takes space. If removing fails too, the next attempt or
                // opening removes it, because its number is not listed.
                self.vfs.remove(&path).unwrap_or_default();
            })?;
        let space = SegmentSpace::new(number, file, bytes, filled);
        self.list(PreparedSegment { space, recycled: false })
    }

    /// Lists a segment in `meta` and makes it ready. The caller holds `making`.
    fn list(&self, spare: PreparedSegment) -> Result<(), Error> {
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.segments.add(spare.space.number);
        next.next_number = spare.space.number + 1;
        next.synced = self.spares.synced.load(Ordering::Relaxed);
        next.next_lsn = self.spares.next_lsn.load(Ordering::Relaxed);
        meta.write(next)?;
        drop(meta);
        self.spares.list.lock().push_back(spare);
        if self.options.preparation == Preparation::InBackground {
            self.spares.ask_fill();
        }
        Ok(())
    }

    /// A new file of zeros whose name, space and length are durable, and how much of it was written.
    fn new_file(
        &self,
        path: &str,
        bytes: u64,
        pace: &dyn Fn() -> Pace,
    ) -> Result<(Arc<dyn File>, u64), Error> {
        let io = |source| Error::io(source, "create", path);
        if self.vfs.exists(path).map_err(io)? {
            // Never listed, so never written: what a crash left of an earlier preparation.
            self.vfs.remove(path).map_err(io)?;
        }
        let file = self.vfs.open(path, Mode::CreateNew).map_err(io)?;
        let filled = take_space(&*file, bytes, pace).map_err(io)?;
        if !onceward_vfs::planted!("no-directory-sync") {
            self.vfs.sync_dir(name::LOG_DIR).map_err(io)?;
        }
        Ok((file, filled))
    }

    /// Uses the file of a trimmed segment again, under the next number; `false` if none is wanted.
    ///
    /// Its old frames are stale under the new number's salt. Until the new number is listed the file
    /// is what a crash of a preparation leaves. Its first `filled` bytes were written.
    fn recycle(&self, old: u64, filled: u64) -> Result<bool, Error> {
        let _one_at_a_time = self.spares.making.lock();
        // One beyond what is prepared ahead: otherwise the thread, which fills a file as soon as one was
        // taken, would leave no room for those that come back, and each would be filled anew.
        if self.spares.list.lock().len() >= self.spares_wanted() + AHEAD {
            return Ok(false);
        }
        let number = self.meta.lock().current.next_number;
        let (from, to) =
            (name::segment(&self.identity.store, old), name::segment(&self.identity.store, number));
        let io = |source| Error::io(source, "recycle", &from);
        self.vfs.rename(&from, &to).map_err(io)?;
        self.vfs.sync_dir(name::LOG_DIR).map_err(io)?;
        let file = self.vfs.open(&to, Mode::Write).map_err(io)?;
        let bytes = file.len().map_err(io)?;
        let space = SegmentSpace::new(number, file, bytes, filled);
        self.list(PreparedSegment { space, recycled: true })?;
        Ok(true)
    }

    /// See [`Log::trim`].
    fn trim(&self, number: u64) -> Result<(), Error> {
        self.refuse_if_forked()?;
        self.trim_once(number).inspect_err(|_poisoned| self.tailing.announce())
    }

    fn trim_once(&self, number: u64) -> Result<(), Error> {
        let (synced, next_lsn) = {
            let commit = self.commit.lock();
            commit.refuse_if_poisoned()?;
            (commit.synced, commit.next_lsn)
        };
        // One that nobody read since the log was opened is kept if it is damaged.
        check_segment(self, number)?;
        // What is queued, or was synced last, is never finished.
        let finished = self.segments.read().goes_on_after(number);
        let mut meta = self.meta.lock();
        if !finished || !meta.current.segments.contains(number) {
            return Err(Error::invalid(format!("segment {number} is not a finished one")));
        }
        if onceward_vfs::planted!("segment-removed-before-meta") {
            discard(&*self.vfs, &self.identity.store, number, false)?;
        }
        let mut next = meta.current.clone();
        next.segments.remove(number);
        next.synced = synced;
        next.next_lsn = next_lsn;
        let written = meta.write(next);
        drop(meta);
        written.inspect_err(|error| self.commit.lock().note(error))?;
        let removed = self.segments.write().remove(number);
        let Some((segment, pinned)) = removed else { return Ok(()) };
        if onceward_vfs::planted!("segment-removed-before-meta") {
            return Ok(());
        }
        // A reader that still holds the file must not see it change; none gets it from now on. One of another
        // setting only where the disk has none to give of this one.
        let fits = segment.file_bytes == self.options.segment_bytes || self.spares.is_in_use();
        if !segment.damaged
            && (!pinned || onceward_vfs::planted!("recycled-under-a-reader"))
            && fits
        {
            match self.recycle(number, segment.written_bytes.max(segment.used_bytes)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.commit.lock().note(&error);
                    discard(&*self.vfs, &self.identity.store, number, false).unwrap_or_default();
                    return Err(error);
                }
            }
        }
        discard(&*self.vfs, &self.identity.store, number, segment.damaged)
    }
}

impl Log {
    /// Forgets a finished segment whose frames nobody needs, also one whose file is missing.
    ///
    /// The file becomes the next prepared segment where one is wanted, and is removed otherwise. One
    /// with damage is moved to `quarantine/`.
    ///
    /// # Durability
    ///
    /// `meta` no longer lists it before the file goes; a crash or a failure between leaves a file that the
    /// next opening removes, or moves to `quarantine/` if it is damaged.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is none of that number, or the log does not go on in a later one yet. `Full`,
    /// `Io`, `Poisoned`.
    pub fn trim(&self, number: u64) -> Result<(), Error> {
        self.core.trim(number)
    }
}

/// Takes space for the first `bytes` bytes of a file, durably; where the file system cannot, by writing zeros over
/// them. Returns how many of them were written.
pub(super) fn take_space(file: &dyn File, bytes: u64, pace: &dyn Fn() -> Pace) -> io::Result<u64> {
    match file.allocate(bytes) {
        Err(refused) if refused.kind() == io::ErrorKind::Unsupported => {
            file.fill_zeros(bytes, pace).map(|()| bytes)
        }
        allocated => allocated.and_then(|()| file.sync_data()).map(|()| 0),
    }
}

/// Removes a trimmed segment's file; a damaged one is kept in `quarantine/`.
pub(super) fn discard(
    vfs: &dyn Vfs,
    store: &[u8; 16],
    number: u64,
    damaged: bool,
) -> Result<(), Error> {
    let path = name::segment(store, number);
    let io = |source| Error::io(source, "remove", &path);
    if !damaged {
        return vfs.remove(&path).map_err(io);
    }
    let kept = format!("{}/{}", name::QUARANTINE_DIR, name::segment_file(store, number));
    vfs.create_dir(name::QUARANTINE_DIR).map_err(io)?;
    vfs.rename(&path, &kept).map_err(io)?;
    vfs.sync_dir(name::QUARANTINE_DIR).map_err(io)
}
