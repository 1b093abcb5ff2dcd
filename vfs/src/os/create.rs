//! Creates the root directory of a tree, durably.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

use rustix::{
    fs::{Mode as Permissions, OFlags},
    io::retry_on_intr,
    process::geteuid,
};

use super::{DIR_FLAGS, owner::Owner};

/// Mode of every directory that is created here.
const MODE: u32 = 0o700;

/// Creates `dir` and its parents where missing, and syncs the parent of each that was created.
pub(super) fn directory(dir: &Path) -> io::Result<()> {
    let Some(parent) = parent_of(dir) else { return Ok(()) };
    if !parent.try_exists()? {
        directory(parent)?;
    }
    match fs::DirBuilder::new().mode(MODE).create(dir) {
        Ok(()) => {
            give(dir, parent).inspect_err(|_refused| fs::remove_dir(dir).unwrap_or_default())?;
            sync(parent)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match sync(parent) {
            // Its creator may have been killed before this sync; where we may not read the parent,
            // the directory is not ours to have been created.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        },
        Err(error) => Err(error),
    }
}

/// Gives the new directory `dir` its mode, of which the umask may have taken bits away, and, where root made it, its
/// parent's owner: root often does so for a user, whose home that is. That user may have put a link in its place by
/// now, which is not followed.
fn give(dir: &Path, parent: &Path) -> io::Result<()> {
    let flags = DIR_FLAGS.union(OFlags::NOFOLLOW);
    let made = retry_on_intr(|| rustix::fs::open(dir, flags, Permissions::empty()))?;
    if !geteuid().is_root() {
        return Ok(rustix::fs::fchmod(&made, Permissions::RWXU)?);
    }
    Owner::of(&rustix::fs::stat(parent)?).give(&made, Permissions::RWXU)
}

/// Makes the names in `dir` durable. Never retried.
fn sync(dir: &Path) -> io::Result<()> {
    match rustix::fs::fsync(fs::File::open(dir)?) {
        // A directory on a read-only file system has nothing to sync.
        Ok(()) | Err(rustix::io::Errno::ROFS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The directory that holds the name of `dir`; `None` for the root of the file system.
fn parent_of(dir: &Path) -> Option<&Path> {
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    }
}
