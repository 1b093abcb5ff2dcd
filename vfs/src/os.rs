//! Real files beneath one directory.
//!
//! Every path is walked component by component from an open directory, without following symbolic
//! links, so nothing outside the tree can be reached, whoever renames or links things meanwhile.
//! All calls go through the C library, so that fault tools can stand in front of them.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode as Permissions, OFlags},
    io::{Errno, retry_on_intr},
};

use crate::{
    File, LockError, LockGuard, Map, Mode, Vfs,
    name::{self, Name},
};

mod create;
mod file;
mod lock;
mod map;

/// Files are for their owner only, whatever the umask says.
const FILE_PERMISSIONS: Permissions = Permissions::RUSR.union(Permissions::WUSR);

/// Directories likewise.
const DIR_PERMISSIONS: Permissions = Permissions::RWXU;

/// Write permission of group and others, which the root directory must not have.
const FOREIGN_WRITE: u32 = 0o022;

/// How every directory is opened.
const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whether a tree may be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    /// Everything is allowed.
    ReadWrite,
    /// Every method that writes is refused.
    ReadOnly,
}

/// Real files beneath one directory.
#[derive(Debug)]
pub struct OsVfs {
    /// The directory, held open: a rename of it changes nothing for us.
    root: OwnedFd,
    /// Where it was when opened; for messages only.
    path: PathBuf,
    /// Whether it may be changed.
    access: Access,
}

impl OsVfs {
    /// Opens the existing directory `dir` for reading and writing.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, or `PermissionDenied` if group or others may write to it: they
    /// could swap files beneath us.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let opened = Self::open_as(dir, Access::ReadWrite)?;
        let permissions = fs::File::from(opened.root.try_clone()?).metadata()?.permissions();
        if permissions.mode() & FOREIGN_WRITE != 0 {
            let text = format!(
                "directory {} is writable by group or others (mode {:o}); take that away with \
                 chmod go-w",
                dir.display(),
                permissions.mode() & 0o7777
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(opened)
    }

    /// Creates the directory `dir` (mode 0700) and its parents where missing, then opens it.
    ///
    /// # Durability
    ///
    /// After `Ok` the directory's name is durable, save where its parent existed and may not be
    /// read by us.
    ///
    /// # Errors
    ///
    /// As [`OsVfs::open`], and what the disk says to a creation.
    pub fn create(dir: &Path) -> io::Result<Self> {
        create::directory(dir)?;
        Self::open(dir)
    }

    /// Opens the existing directory `dir` for looking only; it may be read-only.
    ///
    /// Every method that writes, locks or syncs answers `ReadOnlyFilesystem`. Who else may write to
    /// the directory does not matter here; therefore there are no maps.
    ///
    /// # Durability
    ///
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, or what the system says.
    pub fn open_read_only(dir: &Path) -> io::Result<Self> {
        Self::open_as(dir, Access::ReadOnly)
    }

    /// Where the directory was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `dir`; a symbolic link to it is the caller's choice and is followed.
    fn open_as(dir: &Path, access: Access) -> io::Result<Self> {
        let root = retry_on_intr(|| rustix::fs::open(dir, DIR_FLAGS, Permissions::empty()))?;
        Ok(Self { root, path: dir.to_owned(), access })
    }

    /// Refuses on a tree that is only looked at.
    fn writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Errno::ROFS.into()),
        }
    }

    /// Opens the directory `dir`, following no symbolic link.
    fn descend(&self, dir: &str) -> io::Result<OwnedFd> {
        let mut at = self.root.try_clone()?;
        for part in name::parts(dir) {
            at = open_dir_at(&at, part)?;
        }
        Ok(at)
    }

    /// Opens the directory that holds `name`, and returns it with the last component.
    fn locate<'a>(&self, name: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let Name { dir, entry } = Name::parse(name)?;
        Ok((self.descend(dir)?, entry))
    }
}

impl Vfs for OsVfs {
    fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        if mode != Mode::Read {
            self.writable()?;
        }
        let (dir, entry) = self.locate(name)?;
        Ok(Arc::new(file::OsFile::new(file::open_at(&dir, entry, mode)?)))
    }

    fn map(&self, name: &str) -> io::Result<Map> {
        let (dir, entry) = self.locate(name)?;
        if self.access == Access::ReadOnly {
            // Whoever may write to that directory may change the file behind the map.
            return Err(io::ErrorKind::Unsupported.into());
        }
        map::whole(&file::open_at(&dir, entry, Mode::Read)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        name::check_dir(dir)?;
        let mut names = Vec::new();
        // Opened anew: a duplicate of the root's handle would share its position with other lists.
        for entry in Dir::read_from(self.descend(dir)?)? {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(String::from_utf8_lossy(name).into_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let found = self.locate(name).and_then(|(dir, entry)| {
            Ok(rustix::fs::statat(&dir, entry, AtFlags::SYMLINK_NOFOLLOW)?)
        });
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.writable()?;
        name::check_dir(dir)?;
        let mut at = self.root.try_clone()?;
        for part in name::parts(dir) {
            let created = match rustix::fs::mkdirat(&at, part, DIR_PERMISSIONS) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            let inner = open_dir_at(&at, part)?;
            if created {
                // The umask may have taken bits away that we need.
                rustix::fs::fchmod(&inner, DIR_PERMISSIONS)?;
            }
            rustix::fs::fsync(&at)?;
            at = inner;
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        let (from_dir, from) = self.locate(from)?;
        let (to_dir, to) = self.locate(to)?;
        let stat = rustix::fs::statat(&from_dir, from, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        Ok(rustix::fs::renameat(&from_dir, from, &to_dir, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        let (dir, entry) = self.locate(name)?;
        Ok(rustix::fs::unlinkat(&dir, entry, AtFlags::empty())?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.writable()?;
        name::check_dir(dir)?;
        Ok(rustix::fs::fsync(self.descend(dir)?)?)
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.writable()?;
        let (dir, entry) = self.locate(name)?;
        Ok(Box::new(lock::OsLock::take(&dir, entry)?))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let stat = rustix::fs::fstatvfs(&self.root)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

/// Opens the directory `part` in `at`.
fn open_dir_at(at: impl AsFd, part: &str) -> io::Result<OwnedFd> {
    let flags = DIR_FLAGS.union(OFlags::NOFOLLOW);
    let open = || rustix::fs::openat(at.as_fd(), part, flags, Permissions::empty());
    Ok(retry_on_intr(open)?)
}
