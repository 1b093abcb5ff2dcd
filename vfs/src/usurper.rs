//! What stands where a file should.

use std::{error, fmt, io};

/// A directory, a link or something else that took a file's place.
///
/// It comes as the inner error of an [`io::Error`] of kind `InvalidInput` of whatever opens the file:
/// it was not followed, and nothing waited for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Usurper {
    /// A directory.
    Directory,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, whose other end might never come.
    Pipe,
    /// A socket, a device, or something else.
    Other,
}

impl Usurper {
    /// What it is, if it is why `error` came.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for Usurper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory stands in the place of the file",
            Self::Link => "a symbolic link stands in the place of the file",
            Self::Pipe => "a pipe stands in the place of the file",
            Self::Other => "a device or socket stands in the place of the file",
        })
    }
}

impl error::Error for Usurper {}

impl From<Usurper> for io::Error {
    fn from(usurper: Usurper) -> Self {
        Self::new(io::ErrorKind::InvalidInput, usurper)
    }
}
