//! Whether what is written still goes to where the tree was opened: the same process, the directory
//! at its path, the file under its name.
//!
//! Handles follow a directory or file wherever it goes, also into nothing, and a forked process
//! inherits them: without a look, everything would go on to succeed.

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode as Permissions},
    io::{Errno, retry_on_intr},
    path::Arg,
};

use super::{DIR_FLAGS, OpenedBy};
use crate::GroundMoved;

/// Device and number of a file: its identity, whatever path led to it.
pub(super) type FileIdentity = (u64, u64);

/// The identity of an open file.
pub(super) fn identity_of(file: impl AsFd) -> io::Result<FileIdentity> {
    Ok(look(file, "", AtFlags::EMPTY_PATH)?.0)
}

/// The identity of what is at `path`, from `dir`, and what it is.
///
/// Asks for nothing else. Linux gives a file whose times were asked for an exact time at its next write, so
/// each write would change the file's inode, and each sync would wait for the file system's journal: half as
/// long again as writing and syncing take.
fn look(
    dir: impl AsFd,
    path: impl Arg + Copy,
    flags: AtFlags,
) -> Result<(FileIdentity, FileType), Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{StatxFlags, makedev, statx};

        match retry_on_intr(|| statx(&dir, path, flags, StatxFlags::TYPE | StatxFlags::INO)) {
            Ok(found) => {
                let dev = makedev(found.stx_dev_major, found.stx_dev_minor);
                let kind = FileType::from_raw_mode(found.stx_mode.into());
                return Ok(((dev, found.stx_ino), kind));
            }
            // Older than Linux 4.11, or forbidden here.
            Err(Errno::NOSYS) => {}
            Err(error) => return Err(error),
        }
    }
    let found = if flags.contains(AtFlags::EMPTY_PATH) {
        rustix::fs::fstat(&dir)?
    } else {
        retry_on_intr(|| rustix::fs::statat(&dir, path, flags))?
    };
    Ok(((found.st_dev, found.st_ino), FileType::from_raw_mode(found.st_mode)))
}

/// The name of a file and the directories on the way to it, as the system wants them at each look.
#[derive(Debug)]
pub(super) struct RawName {
    dirs: Vec<CString>,
    whole: CString,
    /// The same, from where every path begins.
    path: CString,
}

impl RawName {
    /// Of the file `name` in a tree.
    pub(super) fn of(name: &str, ground: &Ground) -> io::Result<Self> {
        let dirs =
            name.match_indices('/').map(|(at, _)| CString::new(name.get(..at).unwrap_or(name)));
        let path = CString::new(ground.path.join(name).as_os_str().as_bytes())?;
        Ok(Self { dirs: dirs.collect::<Result<_, _>>()?, whole: CString::new(name)?, path })
    }
}

/// Where a tree was opened, and by whom.
#[derive(Debug)]
pub(super) struct Ground {
    /// The directory, held open: so its number is not used again.
    pub(super) root: OwnedFd,
    /// Which one it is.
    identity: FileIdentity,
    /// The directory's path, which does not change its meaning with the working directory.
    path: PathBuf,
    /// The same, as the system wants it at each look.
    path_raw: CString,
    /// The process that opened the tree.
    opener: OpenedBy,
}

impl Ground {
    /// Opens `dir`; a symbolic link to it is the caller's choice and is followed.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let root = retry_on_intr(|| rustix::fs::open(dir, DIR_FLAGS, Permissions::empty()))?;
        let identity = identity_of(&root)?;
        let path = std::path::absolute(dir)?;
        let path_raw = CString::new(path.as_os_str().as_bytes())?;
        Ok(Self { root, identity, path, path_raw, opener: OpenedBy::this_process() })
    }

    /// Refuses in a forked process.
    fn check_process(&self) -> io::Result<()> {
        if self.opener.is_this_process() {
            return Ok(());
        }
        Err(GroundMoved::Process { opener: self.opener.pid() }.into())
    }

    /// Refuses in a forked process, and once the path of the directory leads elsewhere.
    pub(super) fn check(&self) -> io::Result<()> {
        self.check_process()?;
        match look(CWD, self.path_raw.as_c_str(), AtFlags::empty()) {
            Ok((found, _)) if found == self.identity => Ok(()),
            // Rights were given up since, and do not reach the path: that it exists is what is left
            // to be known.
            Err(Errno::ACCESS) if rustix::fs::fstat(&self.root)?.st_nlink > 0 => Ok(()),
            Err(error) if !leads_nowhere(error) && error != Errno::ACCESS => Err(error.into()),
            Ok(_) | Err(_) => Err(GroundMoved::Directory(self.path.clone()).into()),
        }
    }

    /// As [`Ground::check`], and refuses once `name` is not the name of this file.
    pub(super) fn check_file(&self, name: &RawName, file: FileIdentity) -> io::Result<()> {
        self.check()?;
        // Nothing is opened by way of a link that is in a directory's place: nothing is written there.
        for dir in &name.dirs {
            self.check_entry(dir, |_, kind| kind == FileType::Directory)?;
        }
        self.check_entry(&name.whole, |found, _| found == file)
    }

    /// As [`Ground::check_file`], before a write, with one call instead of one for each directory: what that does not
    /// see (links that lead to the same file) the look after the sync does.
    pub(super) fn check_file_first(&self, name: &RawName, file: FileIdentity) -> io::Result<()> {
        self.check_process()?;
        match look(CWD, name.path.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok((found, _)) if found == file => Ok(()),
            // What is wrong, if anything is: rights may have been given up.
            Ok(_) | Err(_) => self.check_file(name, file),
        }
    }

    /// Refuses once what is under `name` is not what it should be.
    fn check_entry(
        &self,
        name: &CStr,
        is: impl Fn(FileIdentity, FileType) -> bool,
    ) -> io::Result<()> {
        match look(&self.root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok((found, kind)) if is(found, kind) => Ok(()),
            Err(error) if !leads_nowhere(error) => Err(error.into()),
            Ok(_) | Err(_) => Err(GroundMoved::File(name.to_string_lossy().into_owned()).into()),
        }
    }
}

/// Whether a path that was there is not any more.
fn leads_nowhere(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE)
}
