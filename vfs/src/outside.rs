//! Files that are no part of a store, such as an operator names: read no further than a limit, and never
//! waited for. A device may have no end, and a pipe no writer.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
};

use rustix::fs::OFlags;

/// A file outside the tree, open to read. What it is, is asked of what was opened: whatever takes its name's place
/// meanwhile, nobody waits for that.
///
/// Symbolic links are followed. Reading a pipe does not wait either, but fails with `WouldBlock` while its
/// writer has nothing.
#[derive(Debug)]
pub struct Outside {
    file: File,
    is_pipe: bool,
}

impl Outside {
    /// Opens a file or a pipe.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: it is a directory or a device. Otherwise what the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return refused("it is a directory");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return refused("it is a device, and not a file");
        }
        Ok(Self { file, is_pipe: !kind.is_file() })
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: it is something else. Otherwise what the system says.
    pub fn open_file(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        if !file.metadata()?.is_file() {
            return refused("it is not a regular file");
        }
        Ok(Self { file, is_pipe: false })
    }

    /// Whether it is a pipe, whose writer may take its time.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        self.is_pipe
    }

    /// The system's metadata of the open file.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl Read for Outside {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl AsFd for Outside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// All bytes up to the end, at most `bytes_max`.
///
/// ```
/// # use onceward_vfs::{Outside, read_at_most};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("key");
/// # std::fs::write(&path, b"secret")?;
/// let bytes = read_at_most(Outside::open_file(&path)?, 4_096)?;
/// assert_eq!(bytes, b"secret");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// `FileTooLarge`: there are more. Otherwise what `input` says.
pub fn read_at_most(input: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        let message = format!("it has over {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Opens it without waiting for whoever would write into a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn refused<T>(what: &'static str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_what_has_no_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, [b'x'; 10]).unwrap();
        let read = |bytes_max| read_at_most(Outside::open_file(&file).unwrap(), bytes_max);
        assert_eq!(read(10).unwrap().len(), 10);
        assert_eq!(read(9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        for other in [Path::new("/dev/zero"), Path::new("/dev/null"), dir.path()] {
            let error = Outside::open(other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{other:?}");
        }
    }

    #[test]
    fn a_pipe_without_a_writer_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let permissions = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, permissions, 0)
            .unwrap();
        assert_eq!(Outside::open_file(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
        let mut opened = Outside::open(&pipe).unwrap();
        assert!(opened.is_pipe());
        assert_eq!(opened.read(&mut [0]).unwrap(), 0, "nobody is at its other end");
        let _writer = OpenOptions::new().write(true).open(&pipe).unwrap();
        assert_eq!(opened.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
