//! Whether what is written still goes to where the tree was opened: the same process, the directory
//! at its path, the file under its name.
//!
//! Handles follow a directory or file wherever it goes, also into nothing, and a forked process
//! inherits them: without a look, everything would go on to succeed.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process,
};

use rustix::{
    fs::{AtFlags, Mode as Permissions},
    io::{Errno, retry_on_intr},
};

use super::DIR_FLAGS;
use crate::Moved;

/// Device and number of a file: its identity, whatever path led to it.
pub(super) type Identity = (u64, u64);

/// The identity of an open file.
pub(super) fn identity_of(file: &fs::File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Where a tree was opened, and by whom.
#[derive(Debug)]
pub(super) struct Ground {
    /// The directory, held open: so its number is not used again.
    pub(super) root: OwnedFd,
    /// Which one it is.
    identity: Identity,
    /// Its path, which does not change its meaning with the working directory.
    path: PathBuf,
    /// Who opened it.
    opener: u32,
}

impl Ground {
    /// Opens `dir`; a symbolic link to it is the caller's choice and is followed.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let root = retry_on_intr(|| rustix::fs::open(dir, DIR_FLAGS, Permissions::empty()))?;
        let identity = identity_of(&fs::File::from(root.try_clone()?))?;
        let path = std::path::absolute(dir)?;
        Ok(Self { root, identity, path, opener: process::id() })
    }

    /// Refuses in a forked process, and once the path of the directory leads elsewhere.
    pub(super) fn check(&self) -> io::Result<()> {
        if process::id() != self.opener {
            return Err(Moved::Process { opener: self.opener }.into());
        }
        match retry_on_intr(|| rustix::fs::stat(&self.path)) {
            Ok(stat) if (stat.st_dev, stat.st_ino) == self.identity => Ok(()),
            // Rights were given up since, and do not reach the path: that it exists is what is left
            // to be known.
            Err(Errno::ACCESS) if rustix::fs::fstat(&self.root)?.st_nlink > 0 => Ok(()),
            Err(error) if !leads_nowhere(error) && error != Errno::ACCESS => Err(error.into()),
            Ok(_) | Err(_) => Err(Moved::Directory(self.path.clone()).into()),
        }
    }

    /// As [`Ground::check`], and refuses once `name` is not the name of this file.
    pub(super) fn check_file(&self, name: &str, identity: Identity) -> io::Result<()> {
        self.check()?;
        match rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if (stat.st_dev, stat.st_ino) == identity => Ok(()),
            Err(error) if !leads_nowhere(error) => Err(error.into()),
            Ok(_) | Err(_) => Err(Moved::File(name.to_owned()).into()),
        }
    }
}

/// Whether a path that was there is not any more.
fn leads_nowhere(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE)
}
