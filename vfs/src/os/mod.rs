//! Real files beneath one directory.
//!
//! Every path is walked component by component from an open directory, without following symbolic
//! links, so nothing outside the tree can be reached, whoever renames or links things meanwhile.
//! All calls go through the C library, so that fault tools can stand in front of them.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode as Permissions, OFlags},
    io::{Errno, retry_on_intr},
};

use crate::{
    Expected, File, LockError, LockGuard, Map, Mode, Usurper, Vfs,
    name::{self, Name},
};
use ground::Ground;
use owner::Owner;

mod create;
mod file;
mod ground;
mod lock;
mod map;
mod medium;
mod opened_by;
mod owner;

pub use self::medium::remark_on;
pub use self::opened_by::OpenedBy;

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
///
/// New files and directories belong to the user and group to whom the directory belongs, whoever makes
/// them, and nobody else may read them; where the directory's group may write to it, so may it to them.
///
/// What writes is refused, with [`GroundMoved`](crate::GroundMoved), in a process that was forked from the one that
/// opened the tree, and once the directory's path leads nowhere or to another directory.
#[derive(Debug)]
pub struct OsVfs {
    /// The directory, and where it is.
    ground: Arc<Ground>,
    /// The directory's path as it was given; for messages only.
    path: PathBuf,
    /// To whom what is made in it belongs.
    owner: Owner,
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
    /// `NotFound`, `NotADirectory`, or `PermissionDenied` if everybody may write to it: they could swap
    /// files beneath us.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let opened = Self::open_as(dir, Access::ReadWrite)?;
        if opened.owner.is_open_to_all() {
            let text = format!(
                "directory {} is writable by everybody (mode {:o}); take that away with chmod o-w",
                dir.display(),
                opened.owner.mode()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(opened)
    }

    /// Creates the directory `dir` (mode 0700) and its parents where missing, then opens it. What root
    /// creates belongs to whom the parent belongs.
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

    /// Whether the directory belongs to us, and nobody else may write to it.
    #[must_use]
    pub fn is_only_ours(&self) -> bool {
        self.owner.is_only_us()
    }

    /// Opens `dir`; a symbolic link to it is the caller's choice and is followed.
    fn open_as(dir: &Path, access: Access) -> io::Result<Self> {
        let ground = Ground::open(dir)?;
        let owner = Owner::of(&rustix::fs::fstat(&ground.root)?);
        Ok(Self { ground: Arc::new(ground), path: dir.to_owned(), owner, access })
    }

    /// Refuses on a tree that is only looked at, or that is not where it was opened.
    fn writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => self.ground.check(),
            Access::ReadOnly => Err(Errno::ROFS.into()),
        }
    }

    /// Opens the directory `dir`, following no symbolic link.
    fn descend(&self, dir: &str) -> io::Result<OwnedFd> {
        let mut at = self.ground.root.try_clone()?;
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
        let file = file::open_at(&dir, entry, mode, self.owner)?;
        Ok(Arc::new(file::OsFile::new(file, name, &self.ground)?))
    }

    fn map(&self, name: &str) -> io::Result<Map> {
        let (dir, entry) = self.locate(name)?;
        if self.access == Access::ReadOnly || !self.owner.is_only_us() {
            // Whoever may write to that directory may change the file behind the map.
            return Err(io::ErrorKind::Unsupported.into());
        }
        map::whole(&file::open_at(&dir, entry, Mode::Read, self.owner)?)
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
        let mut at = self.ground.root.try_clone()?;
        for part in name::parts(dir) {
            let created = match rustix::fs::mkdirat(&at, part, Permissions::RWXU) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            let inner = open_dir_at(&at, part)?;
            if created {
                self.owner.give(&inner, self.owner.of_directories())?;
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
        rustix::fs::fsync(self.descend(dir)?)?;
        self.ground.check()
    }

    fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.writable()?;
        let (dir, entry) = self.locate(name)?;
        Ok(Box::new(lock::OsLock::take(&dir, entry, self.owner)?))
    }

    fn check_ground(&self) -> io::Result<()> {
        self.ground.check()
    }

    fn usurper(&self, name: &str, expected: Expected) -> io::Result<Option<Usurper>> {
        let (dir, entry) = match self.locate(name) {
            Err(nothing_there) if is_absent(&nothing_there) => return Ok(None),
            located => located?,
        };
        match file::usurper(&dir, entry, expected) {
            Err(Errno::NOENT) => Ok(None),
            looked => Ok(looked?),
        }
    }

    fn set_aside(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        let (from_dir, from) = self.locate(from)?;
        let (to_dir, to) = self.locate(to)?;
        Ok(rustix::fs::renameat(&from_dir, from, &to_dir, to)?)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let stat = rustix::fs::fstatvfs(&self.ground.root)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

/// Whether there is no directory in which a name could be.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens the directory `part` in `at`.
fn open_dir_at(at: impl AsFd, part: &str) -> io::Result<OwnedFd> {
    let flags = DIR_FLAGS.union(OFlags::NOFOLLOW);
    let open = || rustix::fs::openat(at.as_fd(), part, flags, Permissions::empty());
    match retry_on_intr(open) {
        // What the system says of a link differs from one to the next, and none says what it found.
        Err(error @ (Errno::NOTDIR | Errno::LOOP)) => {
            Err(file::usurper(&at, part, Expected::Directory)?
                .map_or_else(|| error.into(), io::Error::from))
        }
        opened => Ok(opened?),
    }
}
