//! What can go wrong, by what the caller has to do about it.

use std::path::Path;
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
    /// The operating system refused; the message has what it said, or the source.
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

    /// A short stable name in capitals, such as `KEY_INVALID`, for programs that translate. Each is in the
    /// table of `engine/ERRORS.md` in the repository, with its kind and what a host does about it.
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

    /// The same, of which it is told which event could not be read.
    pub(crate) fn of_event(mut self, lsn: u64) -> Self {
        self.message.insert_str(0, &format!("event {lsn}: "));
        self
    }

    pub(crate) fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The same error of opening a store, with the path in its message, and what to look at where that is not allowed:
    /// `may_not` is what the user of this process may not do there.
    pub(crate) fn in_place(mut self, doing: &str, dir: &Path, may_not: &str) -> Self {
        let (denied, dir) = (self.is_denied(), dir.display().to_string());
        if self.message.contains(&dir) {
            return self;
        }
        self.message = format!("cannot {doing} {dir}: {}", self.message);
        if denied {
            self.message.push_str("; the user of this process may not ");
            self.message.push_str(may_not);
            self.message.push_str(" there");
        }
        self
    }

    /// Whether the operating system says that this is not allowed. What the disk's layer refuses has its own words.
    fn is_denied(&self) -> bool {
        let mut at: Option<&(dyn error::Error + 'static)> = self.whole_source();
        while let Some(error) = at {
            let of_log = error.downcast_ref().and_then(onceward_wal::Error::os_error);
            if let Some(said) = of_log.or_else(|| error.downcast_ref::<io::Error>()) {
                let denied = said.kind() == io::ErrorKind::PermissionDenied;
                return denied && said.raw_os_error().is_some();
            }
            at = error.downcast_ref::<Self>().map_or_else(|| error.source(), Self::whole_source);
        }
        false
    }

    /// The source, whatever the message has of it.
    fn whole_source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
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
    /// What the message does not say already: who prints the whole chain prints nothing twice.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let mut source = self.whole_source();
        while let Some(said) = source.filter(|source| self.message.contains(&source.to_string())) {
            source = said.source();
        }
        source
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_chain_that_is_printed_says_nothing_twice() {
        let refused = || io::Error::from_raw_os_error(13);
        let failed = Error::from(refused());
        assert!(failed.to_string() == refused().to_string() && failed.source().is_none());
        let message = format!("cannot open it: {failed}");
        let outer = Error::new(ErrorKind::Io, "IO", message).with_source(failed);
        assert!(outer.source().is_none(), "{outer}");
        let outer =
            Error::new(ErrorKind::Io, "IO", "cannot open it").with_source(Error::from(refused()));
        let source = outer.source().unwrap();
        assert!(source.to_string() == refused().to_string() && source.source().is_none());
    }

    #[test]
    fn a_place_is_named_and_what_is_not_allowed_there() {
        let place = Path::new("/srv/till");
        let named = |error: Error| error.in_place("open", place, "write").to_string();
        let said = io::Error::from_raw_os_error(13);
        let expected =
            format!("cannot open /srv/till: {said}; the user of this process may not write there");
        let inner = Error::from(io::Error::from_raw_os_error(13));
        assert_eq!(
            named(Error::new(ErrorKind::Io, "IO", said.to_string()).with_source(inner)),
            expected
        );
        assert_eq!(named(said.into()), expected);
        assert_eq!(named(Error::corrupt("no meta")), "cannot open /srv/till: no meta");
        assert_eq!(named(Error::corrupt("none in /srv/till")), "none in /srv/till");
        let other = named(io::Error::from_raw_os_error(5).into());
        assert!(!other.contains("may not"), "{other}");
    }
}
