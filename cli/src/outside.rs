//! Files that the caller names: read no further than a limit, and not waited for for ever. A device may have no
//! end, and a pipe no writer.

use std::{
    fs::{File, FileType, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
};
use zeroize::Zeroizing;

use crate::command::stop;

/// An open file or pipe of the caller's.
#[derive(Debug)]
pub(crate) struct Outside {
    /// It.
    file: File,
    /// Whether it is a pipe, whose writer may take its time.
    is_pipe: bool,
}

impl Outside {
    /// Opens it to read.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is neither a file nor a pipe.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let is_pipe = is_pipe(file.metadata()?.file_type())?;
        Ok(Self { file, is_pipe })
    }

    /// Waits until the pipe has something, or ends.
    fn wait(&self) -> io::Result<()> {
        for _ in 0..LOOKS {
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut polled, Some(&LOOK_EVERY)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if stop::is_asked() {
                // Not `Interrupted`, which would be tried again.
                return Err(io::Error::other("stopped by a signal"));
            }
        }
        Err(io::Error::new(ErrorKind::TimedOut, "it is a pipe, and nothing came for 10 s"))
    }
}

impl Read for Outside {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.is_pipe {
            self.wait()?;
        }
        self.file.read(bytes)
    }
}

/// All bytes of a file.
///
/// # Errors
///
/// It cannot be read, or has over `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    Outside::open(path)?.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let message = format!("it has over {bytes_max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Whether it is a pipe and not a file.
fn is_pipe(kind: FileType) -> io::Result<bool> {
    let refused = |what| Err(io::Error::new(ErrorKind::InvalidInput, what));
    if kind.is_dir() {
        return refused("it is a directory");
    }
    if kind.is_char_device() || kind.is_block_device() {
        return refused("it is a device, and not a file");
    }
    Ok(!kind.is_file())
}

/// Between two looks whether a signal came.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Looks in 10 s, after which a silent pipe is given up.
const LOOKS: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_what_has_no_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, [b'x'; 10]).unwrap();
        assert_eq!(read(&file, 10).unwrap().len(), 10);
        assert_eq!(read(&file, 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        for other in [Path::new("/dev/zero"), Path::new("/dev/null"), dir.path()] {
            assert_eq!(read(other, 10).unwrap_err().kind(), ErrorKind::InvalidInput, "{other:?}");
        }
    }
}
