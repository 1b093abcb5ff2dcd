//! Things that have the place of a file or of a directory.

use std::{error, fmt, io};

/// The file or directory that is expected in a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// Something that took the place of a file or of a directory.
///
/// It comes as the inner error of an [`io::Error`] of whatever goes there, of kind `InvalidInput` in the place of a
/// file and `NotADirectory` in that of a directory: it was not followed, and nothing waited for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usurper {
    /// The thing that is there, with its article.
    what: &'static str,
    /// The thing that is expected there.
    expected: Expected,
}

impl Usurper {
    /// `what`, with its article, is in that place.
    pub(crate) const fn new(what: &'static str, expected: Expected) -> Self {
        Self { what, expected }
    }

    /// The usurper because of which `error` came, if one is.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for Usurper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.expected {
            Expected::File => "file",
            Expected::Directory => "directory",
        };
        write!(f, "{} is in the place of the {place}", self.what)
    }
}

impl error::Error for Usurper {}

impl From<Usurper> for io::Error {
    fn from(usurper: Usurper) -> Self {
        let kind = match usurper.expected {
            Expected::File => io::ErrorKind::InvalidInput,
            Expected::Directory => io::ErrorKind::NotADirectory,
        };
        Self::new(kind, usurper)
    }
}
