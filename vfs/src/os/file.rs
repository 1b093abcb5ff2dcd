//! One real file.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FallocateFlags, FileType, Mode as Permissions, OFlags},
    io::{Errno, retry_on_intr},
};

use super::{
    ground::{FileIdentity, Ground, RawName, identity_of},
    owner::Owner,
};
use crate::{
    Expected, File, Mode, Pace, Usurper,
    file::{ZEROS, fill},
};

/// Permissions of a file until it is its owner's.
const FIRST_PERMISSIONS: Permissions = Permissions::RUSR.union(Permissions::WUSR);

/// An open real file.
#[derive(Debug)]
pub(super) struct OsFile {
    /// The handle.
    file: fs::File,
    /// Which file it is.
    identity: FileIdentity,
    /// The name under which it was opened.
    name: RawName,
    /// Where that was.
    ground: Arc<Ground>,
}

impl OsFile {
    /// Wraps a file that [`open_at`] opened under `name`.
    pub(super) fn new(file: fs::File, name: &str, ground: &Arc<Ground>) -> io::Result<Self> {
        let identity = identity_of(&file)?;
        Ok(Self { file, identity, name: RawName::of(name, ground)?, ground: Arc::clone(ground) })
    }

    /// Refuses once what is written here would not be found again.
    fn check(&self) -> io::Result<()> {
        self.ground.check_file(&self.name, self.identity)
    }
}

/// Opens the regular file `entry` in `dir`, and gives it to the owner if that makes it.
pub(super) fn open_at(
    dir: &OwnedFd,
    entry: &str,
    mode: Mode,
    owner: Owner,
) -> io::Result<fs::File> {
    let flags = match mode {
        Mode::Read => OFlags::RDONLY,
        Mode::Write => OFlags::RDWR,
        Mode::CreateNew => OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL),
    };
    let file = open_flags(dir, entry, flags)?;
    if mode == Mode::CreateNew {
        owner.give(&file, owner.of_files()).inspect_err(|_refused| {
            rustix::fs::unlinkat(dir, entry, AtFlags::empty()).unwrap_or_default();
        })?;
    }
    Ok(file)
}

/// Opens `entry` with `flags`, refusing everything but a regular file.
pub(super) fn open_flags(dir: &OwnedFd, entry: &str, flags: OFlags) -> io::Result<fs::File> {
    // Before it is opened: to open a device may do something.
    if !flags.contains(OFlags::EXCL)
        && let Some(found) = usurper(dir, entry, Expected::File)?
    {
        return Err(found.into());
    }
    // NONBLOCK: a pipe that was put in a file's place just now must not make us wait for its writer.
    // It means nothing for regular files.
    let flags = flags
        .union(OFlags::NOFOLLOW)
        .union(OFlags::CLOEXEC)
        .union(OFlags::NOCTTY)
        .union(OFlags::NONBLOCK);
    let open = || rustix::fs::openat(dir, entry, flags, FIRST_PERMISSIONS);
    let swapped = |what| Usurper::new(what, Expected::File);
    let file = match retry_on_intr(open) {
        Ok(descriptor) => fs::File::from(descriptor),
        Err(Errno::LOOP) => return Err(swapped("a symbolic link").into()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(swapped("something else").into()) }
}

/// Returns what is under `entry` in the place of what is expected; `None` if that is there.
pub(super) fn usurper(
    dir: impl AsFd,
    entry: &str,
    expected: Expected,
) -> Result<Option<Usurper>, Errno> {
    let look = || rustix::fs::statat(dir.as_fd(), entry, AtFlags::SYMLINK_NOFOLLOW);
    let what = match (FileType::from_raw_mode(retry_on_intr(look)?.st_mode), expected) {
        (FileType::RegularFile, Expected::File) | (FileType::Directory, Expected::Directory) => {
            return Ok(None);
        }
        (FileType::RegularFile, Expected::Directory) => "a file",
        (FileType::Directory, Expected::File) => "a directory",
        (FileType::Symlink, _) => "a symbolic link",
        (FileType::Fifo, _) => "a pipe",
        (
            FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown,
            _,
        ) => "a device or socket",
    };
    Ok(Some(Usurper::new(what, expected)))
}

impl File for OsFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        let mut at = offset;
        while let Some(rest) = buf.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => {
                    count += read;
                    at = at.saturating_add(u64::try_from(read).map_err(io::Error::other)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.ground.check_file_first(&self.name, self.identity)?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        sync(&self.file)?;
        self.check()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check()?;
        if len == 0 { Ok(()) } else { allocate(&self.file, len) }
    }

    fn write_zeros(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.check()?;
        let (mut at, end) = (offset, offset.saturating_add(bytes));
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = ZEROS.get(..left).unwrap_or(ZEROS);
            self.file.write_all_at(piece, at)?;
            at += u64::try_from(piece.len()).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
        match self.allocate(len) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            Err(_) | Ok(()) => {}
        }
        fill(self, len, pace)
    }
}

/// Makes what was written survive a crash.
fn sync(file: &fs::File) -> io::Result<()> {
    // Not std's `sync_data`, which retries when it is interrupted.
    Ok(rustix::fs::fdatasync(file)?)
}

/// Asks for contiguous space for the first `len` bytes; `Unsupported` where the file system does not offer that.
fn allocate(file: impl AsFd, len: u64) -> io::Result<()> {
    let ask = || rustix::fs::fallocate(file.as_fd(), FallocateFlags::empty(), 0, len);
    match retry_on_intr(ask) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            Err(io::ErrorKind::Unsupported.into())
        }
        asked => Ok(asked?),
    }
}
