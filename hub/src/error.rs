//! Why a hub could not be opened, run or read.

use std::{io, path::PathBuf};

use onceward::ErrorKind;

/// A failed operation of the hub as a whole; what one request did wrong is answered over HTTP.
///
/// Match on [`Error::kind`] to decide, print the error to explain.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Cause);

/// The cause of an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    /// An option breaks a rule.
    #[error("{field}: {message}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// What is wrong with the option.
        message: String,
    },
    /// The cards file breaks a rule.
    #[error("cards file {}: {message}", .file.display())]
    Cards {
        /// The file.
        file: PathBuf,
        /// Line, field and rule.
        message: String,
    },
    /// The store refused.
    #[error("tenant {tenant}: {source}")]
    Store {
        /// Whose store it is.
        tenant: String,
        /// What the store said.
        source: onceward::Error,
    },
    /// The store can be read only in part.
    #[error("tenant {tenant}: {count} damaged places, the first in {first}")]
    Damaged {
        /// Whose store it is.
        tenant: String,
        /// How many places are damaged.
        count: usize,
        /// File, offset and what is wrong.
        first: String,
    },
    /// The network or the file system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// What the caller has to do; the kinds of the store apply to the hub too.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Cause::Option { .. } | Cause::Cards { .. } => ErrorKind::Invalid,
            Cause::Store { source, .. } => source.kind(),
            Cause::Damaged { .. } => ErrorKind::Corrupt,
            Cause::Io { .. } => ErrorKind::Io,
        }
    }

    /// An option that breaks a rule.
    pub(crate) fn option(field: &'static str, message: impl Into<String>) -> Self {
        Self(Cause::Option { field, message: message.into() })
    }

    /// A store that refused.
    pub(crate) fn store(tenant: &str, source: onceward::Error) -> Self {
        Self(Cause::Store { tenant: tenant.to_owned(), source })
    }

    /// A system call that failed.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self(Cause::Io { doing: doing.into(), source })
    }
}
