//! Writes to stdout and stderr without waiting for a reader for ever: once a signal came, whoever does not
//! read is not waited for.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
    io::Errno,
};

use crate::command::stop;

/// Standard output or standard error.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Which of the two pipes this is.
    name: Name,
    /// Whether its reader can keep a writer waiting.
    can_block: bool,
}

/// The name of a pipe.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Pipe {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self::new(Name::Out)
    }

    /// Standard error.
    pub(super) fn stderr() -> Self {
        Self::new(Name::Err)
    }

    /// The one of this name.
    fn new(name: Name) -> Self {
        let is_file = |fd: BorrowedFd<'_>| {
            fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
        };
        Self { name, can_block: !with(name, is_file) }
    }

    /// Writes everything.
    ///
    /// # Errors
    ///
    /// The system refused; `Interrupted`: a signal came while the reader did not read.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.can_block {
                self.wait()?;
            }
            // What can block takes this much at least once it is ready.
            let most = if self.can_block { READY_BYTES } else { rest.len() };
            let next = rest.get(..most).unwrap_or(rest);
            match with(self.name, |fd| rustix::io::write(fd, next)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether it has a reader, as far as the system knows.
    pub(super) fn has_reader(&self) -> bool {
        let is_gone = with(self.name, |fd| {
            let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
            let found = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            found.is_ok() && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
        });
        !(self.can_block && is_gone)
    }

    /// Waits until it is ready.
    fn wait(&self) -> io::Result<()> {
        loop {
            let is_ready = with(self.name, |fd| {
                let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
                match poll(&mut polled, Some(&LOOK_EVERY)) {
                    Ok(count) => Ok(count > 0),
                    Err(Errno::INTR) => Ok(false),
                    Err(error) => Err(error),
                }
            })?;
            if is_ready {
                return Ok(());
            }
            if stop::is_asked() {
                let why = "a signal came, and nobody reads it";
                return Err(io::Error::new(ErrorKind::Interrupted, why));
            }
        }
    }
}

/// Uses the one of this name.
fn with<R>(name: Name, f: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
    match name {
        Name::Out => f(io::stdout().as_fd()),
        Name::Err => f(io::stderr().as_fd()),
    }
}

/// What a pipe that is ready takes without waiting: POSIX, `PIPE_BUF` on Linux.
const READY_BYTES: usize = 4_096;

/// Between two looks whether a signal came.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
