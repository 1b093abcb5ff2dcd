//! What can go wrong, by what the caller has to do about it.

use std::{error, fmt, io};

use onceward_vfs::{GroundMoved, is_full};
pub(crate) use onceward_wal::GROUND_MOVED;

/// A failed operation of a store.
///
/// Match on [`Error::kind`] to decide, on [`Error::code`] to translate, print the error to explain.
///
/// ```
/// use onceward::{ErrorKind, Key};
///
/// let error = Key::new("").unwrap_err();
/// assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "KEY_INVALID"));
/// assert!(!error.in_doubt());
/// println!("{error}");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    in_doubt: bool,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What the caller has to do. One kind for each different reaction, not for each cause.
///
/// ```
/// use onceward::{Event, ErrorKind, Store, Verdict};
///
/// fn keep(store: &Store, sale: &Event) -> Result<Verdict, String> {
///     store.capture(sale).map_err(|error| match error.kind() {
///         ErrorKind::Invalid => format!("mend the program: {error}"),
///         ErrorKind::Full => "call the shop's owner, and take cash only".to_owned(),
///         ErrorKind::Poisoned => "start the till anew".to_owned(),
///         _ => error.to_string(),
///     })
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a documented limit. Fix the caller; a retry fails the same way.
    Invalid,
    /// There is no such store, event or review item.
    NotFound,
    /// The disk, or the space that the store may use, is full. Nothing was stored; retry later.
    Full,
    /// Stored bytes are not what was written. Show it to a person; the rest stays readable.
    Corrupt,
    /// A write or a sync failed, in this call or before, so what was not synced may be lost; or the store was moved.
    /// Nothing more is written: open the store again.
    Poisoned,
    /// Somebody else does this work: another session drains, another person decided first.
    Fenced,
    /// Another process, or another handle of this process, has the store open.
    Locked,
    /// A key of an encrypted store is missing, wrong, or not to be had now, as the code says. Nothing was
    /// written; give the right one, or try again.
    EncryptionKey,
    /// The files are of a newer version than this program.
    Unsupported,
    /// The operating system refused; what it said is the source.
    Io,
}

/// The result of every fallible call of this crate.
///
/// ```
/// use onceward::{Key, Result};
///
/// fn receipt(number: u32) -> Result<Key> {
///     Key::new(&format!("till-7-{number:06}"))
/// }
/// assert_eq!(receipt(42)?.as_str(), "till-7-000042");
/// # Ok::<(), onceward::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the caller has to do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// A short stable name in capitals, such as `KEY_TOO_LONG`, for programs that translate.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether the event of a failed capture may yet be found after reopening.
    ///
    /// `false` means that it was surely not stored. `true` means that a write or a sync failed on the way: ask by key
    /// with [`Store::outcome`](crate::Store::outcome) after reopening, or capture it again under
    /// the same key. Until then the store refuses to say that it does not know the key.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    pub(crate) fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), in_doubt: false, source: None }
    }

    pub(crate) fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "CORRUPT", message)
    }

    pub(crate) fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub(crate) fn mark_in_doubt(mut self) -> Self {
        self.in_doubt = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        let (kind, code) = match GroundMoved::of(&source) {
            Some(_) => (ErrorKind::Poisoned, GROUND_MOVED),
            None if is_full(&source) => (ErrorKind::Full, "FULL"),
            None => (ErrorKind::Io, "IO"),
        };
        Self::new(kind, code, source.to_string()).with_source(source)
    }
}
