//! The one-process lock.
//!
//! It is the system's lock of the directory itself, and of a file in it, which also names the holder. The
//! directory's is the one that counts: whoever removes the file makes room for another one, and two would
//! hold "the" lock. Where a file system locks no directories, the file's is what there is. A name is never
//! removed here.
//!
//! The system's lock belongs to an open file: a second opening in this process is refused on local
//! file systems, but not everywhere, so a table of what this process has locked is asked first. A forked
//! child inherits the table and the open files, and neither is its own: it must not let go for its parent.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    process,
};

use parking_lot::Mutex;
use rustix::{
    fs::{Mode as Permissions, OFlags},
    io::{Errno, retry_on_intr},
};

use super::{
    DIR_FLAGS,
    file::{open_at, open_flags},
    ground::{FileIdentity, identity_of},
    owner::Owner,
};
use crate::{LockError, LockGuard, Mode};

/// The files and directories that this process has locked, and its number, which is not that of a forked child.
static HELD_HERE: Mutex<BTreeMap<FileIdentity, u32>> = Mutex::new(BTreeMap::new());

/// Longest text of a process id that is believed.
const PID_BYTES_MAX: usize = 10;

/// A held lock.
#[derive(Debug)]
pub(super) struct OsLock {
    /// The locked handles, each with its entry in the table: the directory, where it can be, and the file. The
    /// system lets go when the last process that has them closes them.
    locked: Vec<(fs::File, FileIdentity)>,
    /// The process that took the lock.
    pid: u32,
}

impl OsLock {
    /// Takes the lock of `dir`, with its file `entry`, which is created if it is missing.
    pub(super) fn take(dir: &OwnedFd, entry: &str, owner: Owner) -> Result<Self, LockError> {
        let pid = process::id();
        // Held over all of it: two threads must not both find the table empty.
        let mut held_here = HELD_HERE.lock();
        held_here.retain(|_, holder| *holder == pid);
        // Closed, and so let go of, if the rest of it fails.
        let mut locked = Vec::new();
        let anew = retry_on_intr(|| rustix::fs::openat(dir, ".", DIR_FLAGS, Permissions::empty()));
        let directory = fs::File::from(anew.map_err(io::Error::from)?);
        let identity = identity_of(&directory)?;
        if held_here.contains_key(&identity) {
            return Err(LockError::Held { pid: Some(pid) });
        }
        match directory.try_lock() {
            Ok(()) => locked.push((directory, identity)),
            Err(fs::TryLockError::WouldBlock) => {
                let file = open_flags(dir, entry, OFlags::RDONLY).ok();
                return Err(LockError::Held { pid: file.and_then(|file| holder(&file)) });
            }
            Err(fs::TryLockError::Error(error)) if locks_no_directory(&error) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let file = lock_file(dir, entry, owner)?;
        let identity = identity_of(&file)?;
        if held_here.contains_key(&identity) {
            return Err(LockError::Held { pid: Some(pid) });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(LockError::Held { pid: holder(&file) });
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        // A courtesy to whoever is refused, in one write; a full disk may have no room for it.
        let named = format!("{pid}\n{}", " ".repeat(PID_BYTES_MAX));
        let named = named.get(..=PID_BYTES_MAX).unwrap_or(&named);
        drop(file.write_all_at(named.as_bytes(), 0));
        locked.push((file, identity));
        held_here.extend(locked.iter().map(|(_, identity)| (*identity, pid)));
        Ok(Self { locked, pid })
    }
}

impl LockGuard for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        if self.pid != process::id() {
            // Closing them, which follows, takes nothing from the parent, who has them open too.
            return;
        }
        let mut held_here = HELD_HERE.lock();
        // The name stays: it harms nobody, since only a holder's is read, and its block is there when the
        // disk is full.
        for (file, identity) in self.locked.drain(..).rev() {
            // Before the table forgets it, or another thread would be told of a foreign holder. Closing
            // lets go as well, should this fail, unless a forked child has it open.
            drop(file.unlock());
            held_here.remove(&identity);
        }
    }
}

/// Opens the lock's file, and makes it where it is missing.
fn lock_file(dir: &OwnedFd, entry: &str, owner: Owner) -> io::Result<fs::File> {
    for _ in 0..2 {
        match open_at(dir, entry, Mode::CreateNew, owner) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
        match open_at(dir, entry, Mode::Write, owner) {
            // Removed just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
    open_at(dir, entry, Mode::CreateNew, owner)
}

/// Whether this is how a file system says that it locks no directories, as network file systems do, which
/// want them opened for writing.
fn locks_no_directory(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::BADF | Errno::INVAL | Errno::OPNOTSUPP))
}

/// The process id in a lock file that somebody else holds, if it can be read.
fn holder(file: &fs::File) -> Option<u32> {
    let mut text = [0; PID_BYTES_MAX + 1];
    let count = file.read_at(&mut text, 0).ok()?;
    let (named, _rest) = str::from_utf8(text.get(..count)?).ok()?.split_once('\n')?;
    named.parse().ok()
}
