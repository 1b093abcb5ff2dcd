//! Files and pipes that the caller names: read no further than a limit, and a pipe waited for no longer than
//! its writer deserves.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
};

use onceward::host::{Outside, read_at_most};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use zeroize::Zeroizing;

use crate::command::stop;

/// An open file or pipe of the caller's.
#[derive(Debug)]
pub(crate) struct Waiting(Outside);

impl Waiting {
    /// Opens it to read.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is neither a file nor a pipe.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Outside::open(path).map(Self)
    }

    /// Waits until the pipe has something, or ends.
    fn wait(&self) -> io::Result<()> {
        for _ in 0..LOOKS {
            let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
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

impl Read for Waiting {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.0.is_pipe() {
            self.wait()?;
        }
        self.0.read(bytes)
    }
}

/// All bytes of a file.
///
/// # Errors
///
/// It cannot be read, or has over `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    read_at_most(Waiting::open(path)?, bytes_max).map(Zeroizing::new)
}

/// Between two looks whether a signal came.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Looks in 10 s, after which a silent pipe is given up.
const LOOKS: u32 = 200;
