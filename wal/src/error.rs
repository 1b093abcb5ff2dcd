//! What can go wrong, by what the caller has to do about it.

use std::{error, fmt, io};

use onceward_vfs::{GroundMoved, is_full};

/// The code where the log is not any more where it was opened: its directory or a file of it was moved,
/// removed or replaced, or the process is a fork of the one that opened it. Nothing is written then.
pub const GROUND_MOVED: &str = "GROUND_MOVED";

/// A failed operation of a log.
///
/// Match on [`Error::kind`] to decide, print the error to explain.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    code: Option<&'static str>,
    message: String,
    at: Option<Position>,
    in_doubt: bool,
    os_error: Option<io::Error>,
}

/// A place in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// Name within the store's directory.
    pub file: String,
    /// Offset of the first byte that is meant.
    pub offset: u64,
}

/// The reaction that an error asks of the caller: one kind for each different reaction, not for each cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The request breaks a documented limit. Fix the caller; a retry fails the same way.
    Invalid,
    /// The disk is full. Nothing was stored; the log stays usable, retry when space returned.
    Full,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A writer in another process trimmed the segment since the log was read: its file is gone, or used again.
    /// Read the log again: what lived there is elsewhere now.
    Trimmed,
    /// An earlier write or sync failed, so unsynced frames may be lost, or the log is not where it was opened
    /// ([`GROUND_MOVED`]). Close and reopen the log.
    Poisoned,
    /// Another process, or another handle of this one, writes this log.
    Locked,
    /// A key is missing, wrong, or not to be had now; [`Error::code`] says which. Nothing was written.
    Key,
    /// The files are of a newer version.
    Unsupported,
    /// The operating system refused; the message has what it said, and [`Error::os_error`].
    Io,
}

impl Error {
    /// The kind: the reaction that is asked of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// A short stable name in capitals, where there is one besides the kind.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// The place in a file where it was found.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.at.as_ref()
    }

    /// Whether the frames of a failed append may yet be found after reopening.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// What the operating system said, if it refused. The message has its words, so it is no
    /// [`source`](error::Error::source).
    #[must_use]
    pub fn os_error(&self) -> Option<&io::Error> {
        self.os_error.as_ref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            at: None,
            in_doubt: false,
            os_error: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn at(mut self, file: &str, offset: u64) -> Self {
        self.at = Some(Position { file: file.to_owned(), offset });
        self
    }

    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn mark_in_doubt(mut self) -> Self {
        self.in_doubt = true;
        self
    }

    /// As [`Error::io`], after which nothing may be written any more.
    pub(crate) fn poisoning(source: io::Error, doing: &str, file: &str) -> Self {
        Self { kind: ErrorKind::Poisoned, ..Self::io(source, doing, file) }
    }

    /// The error of a call that the operating system refused while `doing` something to `file`.
    pub(crate) fn io(source: io::Error, doing: &str, file: &str) -> Self {
        Self::failed(source, &format!("cannot {doing} {file}"))
    }

    /// The error of a call that the operating system refused; `what` says which.
    pub(crate) fn failed(source: io::Error, what: &str) -> Self {
        let (kind, code) = match GroundMoved::of(&source) {
            Some(_) => (ErrorKind::Poisoned, Some(GROUND_MOVED)),
            None if is_full(&source) => (ErrorKind::Full, None),
            None => (ErrorKind::Io, None),
        };
        let message = format!("{what}: {source}");
        Self { kind, code, message, at: None, in_doubt: false, os_error: Some(source) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.at {
            Some(at) if self.message.contains(&at.file) => write!(f, " (at {})", at.offset),
            Some(at) => write!(f, " (at {}:{})", at.file, at.offset),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_and_the_name_of_a_file_are_in_the_message_once() {
        let refused = || io::Error::from_raw_os_error(5);
        let error = Error::io(refused(), "read", "log/1.seg").at("log/1.seg", 4_192);
        assert_eq!(error.to_string(), format!("cannot read log/1.seg: {} (at 4192)", refused()));
        assert!(error::Error::source(&error).is_none());
        assert_eq!(error.os_error().and_then(io::Error::raw_os_error), Some(5));
        let error = Error::corrupt("no such segment").at("log/1.seg", 0);
        assert_eq!(error.to_string(), "no such segment (at log/1.seg:0)");
    }
}
