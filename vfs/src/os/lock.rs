//! The one-process lock.
//!
//! The system's lock belongs to an open file: a second opening in this process is refused on local
//! file systems, but not everywhere, so a table of the files that this process has locked is asked
//! first. A name is never removed: between an opening and its lock somebody could remove the file
//! and two would hold "the" lock.

use std::{
    collections::BTreeSet,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt},
    },
    process,
};

use parking_lot::Mutex;
use rustix::fs::OFlags;

use super::{FILE_PERMISSIONS, file::open_flags};
use crate::{LockError, LockGuard};

/// Device and number of a file: its identity, whatever path led to it.
type Identity = (u64, u64);

/// The lock files that this process holds.
static HELD_HERE: Mutex<BTreeSet<Identity>> = Mutex::new(BTreeSet::new());

/// Longest text of a process id that is believed.
const PID_BYTES_MAX: usize = 10;

/// A held lock.
#[derive(Debug)]
pub(super) struct OsLock {
    /// The lock file; the system lets go when it is closed.
    file: fs::File,
    /// Its entry in the table.
    identity: Identity,
    /// Who took it: a forked child inherits the guard, but not the right to let go.
    pid: u32,
}

impl OsLock {
    /// Takes the lock `entry` in `dir`, creating the file if it is missing.
    pub(super) fn take(dir: &OwnedFd, entry: &str) -> Result<Self, LockError> {
        let file = open_flags(dir, entry, OFlags::RDWR.union(OFlags::CREATE))?;
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        let pid = process::id();

        // Held over all of it: two threads must not both find the table empty.
        let mut held_here = HELD_HERE.lock();
        if held_here.contains(&identity) {
            return Err(LockError::Held { pid: Some(pid) });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(LockError::Held { pid: holder(&file) });
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        rustix::fs::fchmod(&file, FILE_PERMISSIONS).map_err(io::Error::from)?;
        // A courtesy to whoever is refused, in one write; a full disk may have no room for it.
        let named = format!("{pid}\n{}", " ".repeat(PID_BYTES_MAX));
        let named = named.get(..=PID_BYTES_MAX).unwrap_or(&named);
        drop(file.write_all_at(named.as_bytes(), 0));
        held_here.insert(identity);
        Ok(Self { file, identity, pid })
    }
}

impl LockGuard for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        if self.pid != process::id() {
            return;
        }
        let mut held_here = HELD_HERE.lock();
        // The name stays: it harms nobody, since only a holder's is read, and its block is there when the
        // disk is full.
        // Before the table forgets it, or another thread would be told of a foreign holder. Closing
        // lets go as well, should this fail.
        drop(self.file.unlock());
        held_here.remove(&self.identity);
    }
}

/// The process id in a lock file that somebody else holds, if it can be read.
fn holder(file: &fs::File) -> Option<u32> {
    let mut text = [0; PID_BYTES_MAX + 1];
    let count = file.read_at(&mut text, 0).ok()?;
    let (named, _rest) = str::from_utf8(text.get(..count)?).ok()?.split_once('\n')?;
    named.parse().ok()
}
