//! How a terminal shows who it is.

use std::path::PathBuf;

use crate::secret::Secret;

/// How a terminal shows who it is.
///
/// ```
/// use onceward_uplink::Secret;
/// use onceward_uplink::nats::NatsCredentials;
///
/// let password = Secret::new("a secret");
/// let credentials = NatsCredentials::UserPassword { user: "till-7".to_owned(), password };
/// assert!(!format!("{credentials:?}").contains("a secret"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NatsCredentials {
    /// A name and its password.
    UserPassword {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
    /// The seed of an NKey, which never leaves the terminal.
    Nkey(Secret),
    /// The text of a file of credentials: a signed name and the seed of its key.
    Creds(Secret),
    /// A file of credentials, which is read for each new connection, so that it can be renewed.
    CredsFile(PathBuf),
}
