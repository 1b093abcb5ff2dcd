//! What a directory tree can do. What is inside a file belongs to [`File`](crate::File).

use std::{error, fmt, io, sync::Arc};

use crate::{File, Map, Mode, name::Name};

/// One directory tree: the only door to the disk.
///
/// Names are relative and '/'-separated, without `.`, `..`, empty components or NUL, each component
/// at most 255 bytes; anything else is [`io::ErrorKind::InvalidInput`]. A directory is named in the
/// same way, the root by `""`. Symbolic links are never followed below the root.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens or creates the file `name`.
    ///
    /// # Durability
    ///
    /// A created name is durable only after [`Vfs::sync_dir`] of its directory; a crash before that
    /// leaves the name or not, whatever was synced inside the file.
    ///
    /// # Errors
    ///
    /// `NotFound` if it, or its directory, is missing; `AlreadyExists` with [`Mode::CreateNew`];
    /// anything that is not a regular file is refused. On error nothing was created.
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>>;

    /// The bytes of the finished file `name`, as memory that the system fills when it is touched.
    ///
    /// Only for a file that is finished and synced, and is **never written, cut, extended or used
    /// again for something else** while the map lives: bytes that change behind a reference are
    /// undefined behaviour, and an access to bytes that were cut off is a signal. Renaming and
    /// removing it are fine, its bytes stay readable. The map is as long as the file is now.
    ///
    /// A read error shows when a byte is touched, and then there is nobody to return it to: on real
    /// files the system sends a signal (SIGBUS), which kills the process unless the host handles it.
    /// Who cannot have that reads with [`File::read_at`] instead. So does who gets `Unsupported`:
    /// maps make reads faster, and nothing possible that was not.
    ///
    /// # Durability
    ///
    /// Changes nothing. The bytes must be durable already: after a failed sync, the system may
    /// replace what is in memory by what is on the disk.
    ///
    /// # Errors
    ///
    /// As [`Vfs::open`] with [`Mode::Read`]. `Unsupported` where there are no maps: on 32-bit
    /// systems, some file systems, in trees that are only looked at, and in implementations that do
    /// not offer them. Otherwise what the
    /// system said, for example that it has no memory left. An empty file is no error, but an empty
    /// map.
    fn map(&self, name: &str) -> io::Result<Map> {
        Name::parse(name)?;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Names (not paths) of the entries of directory `dir`, sorted.
    ///
    /// Directories, symbolic links and the like are listed as any entry. Bytes that are not UTF-8
    /// are replaced by U+FFFD: such a name is shown, and is not ours.
    ///
    /// # Durability
    ///
    /// Changes nothing, and shows names that are not durable yet.
    ///
    /// # Errors
    ///
    /// `NotFound` or `NotADirectory`.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Whether there is an entry `name`, of whatever sort.
    ///
    /// # Durability
    ///
    /// Changes nothing; the name may not be durable yet.
    ///
    /// # Errors
    ///
    /// What the disk said. A missing directory on the way is `Ok(false)`.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Creates a directory and its parents, where missing.
    ///
    /// # Durability
    ///
    /// After `Ok` the whole path is durable: every parent was synced, also those that were there
    /// before (their creator may have been killed before its sync). On error, some of it exists.
    ///
    /// # Errors
    ///
    /// `NotADirectory` or `AlreadyExists` if something else has the name.
    fn create_dir(&self, dir: &str) -> io::Result<()>;

    /// Gives the file `from` the name `to`, replacing what file was there.
    ///
    /// # Durability
    ///
    /// Atomic in memory. Durable only after [`Vfs::sync_dir`] of both directories; a crash before
    /// that leaves the old or the new name, and across two directories perhaps both.
    ///
    /// # Errors
    ///
    /// `NotFound`; a directory is refused. On error nothing was renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file `name`.
    ///
    /// # Durability
    ///
    /// Durable only after [`Vfs::sync_dir`]; a crash before that may bring it back.
    ///
    /// # Errors
    ///
    /// `NotFound`; a directory is refused. On error the file is still there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in `dir` (not what is inside the files) survive a crash.
    ///
    /// # Durability
    ///
    /// After `Ok`, every creation, rename and removal in `dir` so far is durable.
    ///
    /// # Errors
    ///
    /// What the disk said; as [`File::sync_data`], never retried here. A crash then leaves each of
    /// the changes or not.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Takes the one-process lock of a directory, creating its file `name`; held until the guard is
    /// dropped.
    ///
    /// The same process is refused a second time too, also through another path to the directory, and so
    /// is everybody once the file was removed, or under another name: it is the directory that is locked.
    /// A holder that was killed holds nothing. A forked child holds nothing either, and lets go of nothing.
    ///
    /// # Durability
    ///
    /// None, and none needed: no lock survives a crash.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] with the holder's process id if it can be read, else what the disk said.
    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError>;

    /// Whether what is written would go to where the tree was opened, by the process that opened it.
    ///
    /// For those who write by other ways; whatever writes here, or through a [`File`], looks by itself.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// One of [`GroundMoved`](crate::GroundMoved), or what the disk said.
    fn check_ground(&self) -> io::Result<()> {
        Ok(())
    }

    /// Returns what is under `name` in the place of what is expected; `None`: that, or nothing.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// What the disk said.
    fn usurper(&self, name: &str, expected: crate::Expected) -> io::Result<Option<crate::Usurper>> {
        let _never_there = (name, expected);
        Ok(None)
    }

    /// Gives what is under `from`, a directory with all that is in it also, the name `to`, under which
    /// there must be nothing. A link is not followed.
    ///
    /// # Durability
    ///
    /// As [`Vfs::rename`].
    ///
    /// # Errors
    ///
    /// `NotFound`, or what the disk said. On error nothing was renamed.
    fn set_aside(&self, from: &str, to: &str) -> io::Result<()> {
        self.rename(from, to)
    }

    /// Bytes that the file system still offers to us; `None` if it does not say.
    ///
    /// # Durability
    ///
    /// Changes nothing, and promises nothing: others use the same disk.
    ///
    /// # Errors
    ///
    /// What the disk said.
    fn free_bytes(&self) -> io::Result<Option<u64>>;
}

/// A held lock. Dropping it lets go.
pub trait LockGuard: Send + Sync + fmt::Debug {}

/// Why a lock was not given.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else, or this process already, has it.
    Held {
        /// The holder's process id, if it could be read.
        pid: Option<u32>,
    },
    /// The disk refused.
    Io(io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { pid: Some(pid) } => write!(f, "locked by process {pid}"),
            Self::Held { pid: None } => f.write_str("locked by another process"),
            Self::Io(error) => write!(f, "cannot lock: {error}"),
        }
    }
}

impl error::Error for LockError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
