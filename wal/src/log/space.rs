//! Segments: prepared ahead, trimmed when nothing in them is needed.

use std::sync::Arc;

use onceward_vfs::{File, Mode};

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
        if commit.prepared.len() <= self.options.reserve {
            let made = self.prepare_segment(commit.synced, commit.next_lsn);
            match (made, purpose) {
                (Ok(made), _) => commit.prepared.push_back(made),
                (Err(error), Purpose::Capture) => return Err(error),
                (Err(_full), Purpose::Settle) => {}
            }
        }
        commit.prepared.pop_front().ok_or_else(|| {
            Error::new(ErrorKind::Full, "the disk is full and the reserved segments are used up")
        })
    }

    /// Prepares segments until the reserve is full.
    pub(super) fn fill_reserve(&self, commit: &mut Commit) -> Result<(), Error> {
        while commit.prepared.len() < self.options.reserve {
            let made = self.prepare_segment(commit.synced, commit.next_lsn)?;
            commit.prepared.push_back(made);
        }
        Ok(())
    }

    /// Makes a segment of zeros and lists it in `meta`.
    fn prepare_segment(&self, synced: u64, next_lsn: u64) -> Result<Prepared, Error> {
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
        next.synced = synced;
        next.next_lsn = next_lsn;
        meta.write(next)?;
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

    /// Forgets a finished segment whose frames nobody needs.
    ///
    /// A segment with damage is moved to `quarantine/` instead of being removed.
    ///
    /// # Durability
    ///
    /// `meta` no longer lists it before the file goes; a crash between leaves a file that the next
    /// opening removes.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is the segment that is being written, or there is none of that number. `Io`.
    pub fn trim(&self, number: u64) -> Result<(), Error> {
        let writing = {
            let commit = self.commit.lock();
            [&commit.tail, &commit.synced_tail].iter().any(|tail| {
                tail.as_ref().is_some_and(|tail| tail.number == number && !tail.sealed)
            })
        };
        let known = self.segments.read().get(number).map(|segment| segment.damaged);
        let Some(damaged) = known.filter(|_| !writing) else {
            return Err(Error::invalid(format!("segment {number} is not a finished one")));
        };
        let (synced, next_lsn) = {
            let commit = self.commit.lock();
            (commit.synced, commit.next_lsn)
        };
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.segments.remove(number);
        next.synced = synced;
        next.next_lsn = next_lsn;
        meta.write(next)?;
        drop(meta);
        self.segments.write().remove(number);
        let path = name::segment(&self.identity.store, number);
        let io = |source| Error::io(source, "remove", &path);
        if damaged {
            let kept = format!(
                "{}/{}",
                name::QUARANTINE_DIR,
                name::segment_file(&self.identity.store, number)
            );
            self.vfs.create_dir(name::QUARANTINE_DIR).map_err(io)?;
            self.vfs.rename(&path, &kept).map_err(io)?;
            return self.vfs.sync_dir(name::QUARANTINE_DIR).map_err(io);
        }
        self.vfs.remove(&path).map_err(io)
    }
}
