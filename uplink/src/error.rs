//! The errors outside of an exchange, by what the caller has to do about them.

use std::io;

use crate::dialect::DialectFault;

/// A failed operation of this crate.
///
/// What happens on the line is not an error but a
/// [`Failure`](onceward::sync::Failure), which the session handles.
///
/// ```
/// use onceward_uplink::{ErrorKind, Line, Timeouts};
///
/// let error = Line::new("ftp://hub.example", None, Timeouts::default()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert!(error.store().is_none());
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Cause);

/// What the caller has to do. One kind for each different reaction, not for each cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address, a key, a certificate or the file of a dialect is unusable. Fix it; a retry fails the same way.
    Invalid,
    /// The store refused; [`Error::store`] says why.
    Store,
    /// The operating system refused a thread, or news of links, or a file cannot be read.
    Io,
    /// The uploader's thread ended in a panic, which is a bug.
    Bug,
}

/// The cause of an error, with the evidence. Never holds a credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    /// An argument is wrong.
    #[error("{argument}: {why}")]
    Invalid {
        /// Name of the argument.
        argument: &'static str,
        /// What is wrong with the argument.
        why: String,
    },
    /// An argument names a file that cannot be read.
    #[error("{argument}: {why}")]
    File {
        /// Name of the argument.
        argument: &'static str,
        /// What is wrong with the file.
        why: String,
    },
    /// The file of a dialect is wrong.
    #[error(transparent)]
    Dialect(#[from] DialectFault),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] onceward::Error),
    /// The operating system gave no thread.
    #[error("no thread for the uploader: {0}")]
    Thread(#[source] io::Error),
    /// The operating system tells nothing of links.
    #[error("no news of network links from the system: {0}")]
    Links(#[source] io::Error),
    /// The thread panicked.
    #[error("the uploader's thread ended in a panic")]
    Panic,
}

impl Error {
    /// What the caller has to do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.0 {
            Cause::Invalid { .. } | Cause::Dialect(_) => ErrorKind::Invalid,
            Cause::Store(_) => ErrorKind::Store,
            Cause::File { .. } | Cause::Thread(_) | Cause::Links(_) => ErrorKind::Io,
            Cause::Panic => ErrorKind::Bug,
        }
    }

    /// The store's own error, if it was the store that refused.
    #[must_use]
    pub fn store(&self) -> Option<&onceward::Error> {
        match &self.0 {
            Cause::Store(error) => Some(error),
            Cause::Invalid { .. }
            | Cause::File { .. }
            | Cause::Dialect(_)
            | Cause::Thread(_)
            | Cause::Links(_)
            | Cause::Panic => None,
        }
    }

    /// An unusable argument.
    pub(crate) fn invalid(argument: &'static str, why: impl Into<String>) -> Self {
        Self(Cause::Invalid { argument, why: why.into() })
    }

    /// A task of the uploader's panicked.
    #[cfg(feature = "nats")]
    pub(crate) fn panicked() -> Self {
        Self(Cause::Panic)
    }
}

impl From<onceward::Error> for Error {
    fn from(error: onceward::Error) -> Self {
        Self(Cause::Store(error))
    }
}
