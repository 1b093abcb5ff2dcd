//! Errors, by what the caller has to do about them.

use std::{error, fmt, io};

/// A failed operation of an index.
///
/// Match on [`Error::kind`] to decide, print the error to explain.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// The reaction that an error asks for. One kind for each different reaction, not for each cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The request breaks a documented limit. Fix the caller; a retry fails the same way.
    Invalid,
    /// The memory that the caller allows, or the disk, has no room. Nothing was changed.
    Full,
    /// The index's files are not what was written. Discard them and rebuild the index from the log.
    Corrupt,
    /// The operating system refused; what it said is the source.
    Io,
}

impl Error {
    /// The reaction that the error asks for.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn corrupt(file: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupt, format!("{file}: {what}"))
    }

    /// An error of the operating system while `doing` something to `file`.
    pub(crate) fn io(source: io::Error, doing: &str, file: &str) -> Self {
        let kind = if onceward_vfs::is_full(&source) { ErrorKind::Full } else { ErrorKind::Io };
        let message = format!("cannot {doing} {file}: {source}");
        Self { kind, message, source: Some(source) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn error::Error + 'static))
    }
}

/// Result of an index operation.
pub type Result<T> = std::result::Result<T, Error>;
