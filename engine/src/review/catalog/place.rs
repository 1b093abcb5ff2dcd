//! The catalog's directories: leftovers, setting aside, switching to a new one.
//!
//! Past `vfs`, as sled itself is: no promise rests on what is here, and a simulated disk has the
//! catalog in memory.
#![expect(clippy::disallowed_methods, reason = "sled goes past vfs, and nothing depends on it")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::base::places::CATALOG_DIR;

/// The next one while it is being written.
const NEW_DIR: &str = "catalog.new";
/// The last one while it is being removed.
const OLD_DIR: &str = "catalog.old";
/// What was set aside; a number follows.
const DAMAGED: &str = "catalog.damaged-";
/// The one directory within it.
const BLOBS: &str = "blobs";
/// How many that were set aside are kept.
const DAMAGED_KEPT: usize = 2;

/// Takes from everybody but the owner what sled let them have: it makes files as the umask says, and all
/// of them when it opens.
///
/// # Errors
///
/// The disk refused.
pub(super) fn make_private(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.file_type()?;
        // A link leads elsewhere.
        if found.is_dir() || found.is_file() {
            let mode = if found.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// The catalog's directories within a store's directory.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    store: PathBuf,
}

impl Directories {
    /// The directories within the store's directory.
    #[expect(clippy::unnecessary_wraps, reason = "a build without files has none")]
    pub(crate) fn within(store: &Path) -> Option<Self> {
        Some(Self { store: store.to_owned() })
    }

    /// The one in use.
    pub(crate) fn current(&self) -> PathBuf {
        self.store.join(CATALOG_DIR)
    }

    /// The next one.
    pub(crate) fn next(&self) -> PathBuf {
        self.store.join(NEW_DIR)
    }

    /// Whether there is one in use, or something else in its place.
    pub(crate) fn exists(&self) -> bool {
        self.current().symlink_metadata().is_ok()
    }

    /// Refuses what is no directory, and a directory in which something else is in the place of a file: sled
    /// would follow a link, and wait for the other end of a pipe.
    ///
    /// # Errors
    ///
    /// What is where, or the disk refused.
    pub(crate) fn check(&self) -> io::Result<()> {
        let current = self.current();
        let usurped = |what: &Path| {
            Err(io::Error::other(format!("something else is in the place of {}", what.display())))
        };
        let found = match current.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            looked => looked?,
        };
        if !found.is_dir() {
            return usurped(&current);
        }
        for entry in fs::read_dir(&current)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let may_be_directory = entry.file_name() == BLOBS;
            if !(kind.is_file() || may_be_directory && kind.is_dir()) {
                return usurped(&entry.path());
            }
        }
        Ok(())
    }

    /// Removes what a crash left: a next or last directory, and files that sled had begun and would
    /// take for finished ones.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(crate) fn clean(&self) -> io::Result<()> {
        remove(&self.next())?;
        remove(&self.store.join(OLD_DIR))?;
        let entries = match fs::read_dir(self.current()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes the one in use: nothing in it is wanted.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(crate) fn discard(&self) -> io::Result<()> {
        remove(&self.current())
    }

    /// Renames the one in use to `catalog.damaged-N`, and removes the oldest of these beyond two.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(crate) fn set_aside(&self) -> io::Result<()> {
        if !self.exists() {
            return Ok(());
        }
        let mut numbers = self.damaged()?;
        let number = numbers.last().map_or(1, |last| last.saturating_add(1));
        fs::rename(self.current(), self.store.join(format!("{DAMAGED}{number}")))?;
        numbers.push(number);
        let over = numbers.len().saturating_sub(DAMAGED_KEPT);
        for number in numbers.into_iter().take(over) {
            remove(&self.store.join(format!("{DAMAGED}{number}")))?;
        }
        Ok(())
    }

    /// Puts the next directory in the place of the one in use. A crash between leaves none in use:
    /// then the next opening makes one from the log.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(crate) fn switch(&self) -> io::Result<()> {
        let old = self.store.join(OLD_DIR);
        fs::rename(self.current(), &old)?;
        fs::rename(self.next(), self.current())?;
        remove(&old)
    }

    /// The numbers of those that were set aside, ascending.
    fn damaged(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.store)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy().strip_prefix(DAMAGED).map(str::parse::<u64>);
            numbers.extend(number.and_then(Result::ok));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Removes a directory with all that is in it, or what is in its place, if it is there.
fn remove(dir: &Path) -> io::Result<()> {
    let is_other = dir.symlink_metadata().is_ok_and(|found| !found.is_dir());
    match if is_other { fs::remove_file(dir) } else { fs::remove_dir_all(dir) } {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
