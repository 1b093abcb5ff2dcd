//! Segments: prepared ahead, trimmed when nothing in them is needed.

use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs};

use super::{Commit, Log, Prepared, Purpose};
use crate::error::{Error, ErrorKind};
use crate::name;

impl Log {
    /// Takes a prepared segment, or makes one.
    pub(super) fn take_prepared(
        &self,
        commit: &mut Commit,
        purpose: Purpose,
    ) -> Result<Prepared, Error> {
        // As many as are missing, so that a reserve that was used is filled again.
        while commit.prepared.len() <= self.options.reserve {
            match (self.prepare_segment(commit), purpose) {
                (Ok(made), _) => commit.prepared.push_back(made),
                (Err(error), Purpose::Settle) if error.kind() != ErrorKind::Poisoned => break,
                (Err(error), _) => return Err(error),
            }
        }
        commit.prepared.pop_front().ok_or_else(|| {
            Error::new(ErrorKind::Full, "the disk is full and the reserved segments are used up")
        })
    }

    /// Prepares segments until the reserve is full.
    pub(super) fn fill_reserve(&self, commit: &mut Commit) -> Result<(), Error> {
        while commit.prepared.len() < self.options.reserve {
            let made = self.prepare_segment(commit)?;
            commit.prepared.push_back(made);
        }
        Ok(())
    }

    /// Makes a segment of zeros and lists it in `meta`.
    fn prepare_segment(&self, commit: &mut Commit) -> Result<Prepared, Error> {
        let mut meta = self.meta.lock();
        let number = meta.current.next_number;
        let path = name::segment(&self.identity.store, number);
        let segment_bytes = self.options.segment_bytes;
        let file = match self.zeros(&path, segment_bytes) {
            Ok(file) => file,
            Err(error) => {
                // What is left of it only takes space; if removing fails too, the next attempt or
                // opening removes it, because its number is not listed.
                if self.vfs.remove(&path).is_err() {
                    return Err(error);
                }
                return Err(error);
            }
        };
        let mut next = meta.current.clone();
        next.segments.add(number);
        next.next_number = number + 1;
        next.synced = commit.synced;
        next.next_lsn = commit.next_lsn;
        meta.write(next).inspect_err(|error| commit.note(error))?;
        Ok(Prepared { number, file, segment_bytes })
    }

    /// A new file of zeros whose name and content are durable.
    fn zeros(&self, path: &str, bytes: u64) -> Result<Arc<dyn File>, Error> {
        let io = |source| Error::io(source, "create", path);
        if self.vfs.exists(path).map_err(io)? {
            // Never listed, so never written: what a crash left of an earlier preparation.
            self.vfs.remove(path).map_err(io)?;
        }
        let file = self.vfs.open(path, Mode::CreateNew).map_err(io)?;
        file.fill_zeros(bytes).map_err(io)?;
        self.vfs.sync_dir(name::LOG_DIR).map_err(io)?;
        Ok(file)
    }

    /// Forgets a finished segment whose frames nobody needs, also one whose file is missing.
    ///
    /// A segment with damage is moved to `quarantine/` instead of being removed.
    ///
    /// # Durability
    ///
    /// `meta` no longer lists it before the file goes; a crash between leaves a file that the next
    /// opening removes, or moves to `quarantine/` if it is damaged.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is none of that number, or the log does not go on in a later one yet. `Full`,
    /// `Io`, `Poisoned`.
    pub fn trim(&self, number: u64) -> Result<(), Error> {
        let (synced, next_lsn) = {
            let commit = self.commit.lock();
            commit.refuse_if_poisoned()?;
            (commit.synced, commit.next_lsn)
        };
        // What is queued, or was synced last, is never finished.
        let finished = self.segments.read().goes_on_after(number);
        let mut meta = self.meta.lock();
        if !finished || !meta.current.segments.contains(number) {
            return Err(Error::invalid(format!("segment {number} is not a finished one")));
        }
        let mut next = meta.current.clone();
        next.segments.remove(number);
        next.synced = synced;
        next.next_lsn = next_lsn;
        let written = meta.write(next);
        drop(meta);
        written.inspect_err(|error| self.commit.lock().note(error))?;
        match self.segments.write().remove(number) {
            Some(segment) => discard(&*self.vfs, &self.identity.store, number, segment.damaged),
            None => Ok(()),
        }
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
