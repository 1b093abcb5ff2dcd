//! Exit codes, and the one failure type that every command ends with. Prints nothing.

use std::{fmt, io, process::ExitCode};

use onceward::ErrorKind;

/// How the program ends. The numbers are public: never change or reuse one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for was done.
    Ok = 0,
    /// Something failed; the reason is on stderr.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The store holds damaged bytes.
    Damage = 3,
    /// Another process has the store.
    Locked = 4,
    /// `sync --once` ended with events still pending.
    Pending = 5,
    /// The upstream refused the credentials.
    Credentials = 6,
    /// There is no room left; nothing was lost.
    Full = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed: an exit code other than 0 and the line for stderr.
#[derive(Debug)]
pub struct Failure {
    /// The code that the program ends with.
    exit: Exit,
    /// One line that says why.
    message: String,
    /// Whether the reader of stdout went away.
    reader_left: bool,
}

/// What every command returns: the exit code, or why there is none.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with the code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::with(Exit::Failed, message)
    }

    /// A failure of the arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::with(Exit::Usage, message)
    }

    /// A failure with a code of the caller's.
    pub fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), reader_left: false }
    }

    /// Writing to stdout failed.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        Self {
            exit: Exit::Failed,
            message: format!("cannot write to standard output: {error}"),
            reader_left: error.kind() == io::ErrorKind::BrokenPipe,
        }
    }

    /// The engine refused; `what` names the store or the operation.
    #[must_use]
    pub fn engine(what: &str, error: &onceward::Error) -> Self {
        Self::with(exit_of(error.kind()), format!("{what}: {error}"))
    }

    /// The code that the program ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether stdout was a pipe whose reader had enough.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        self.reader_left
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The exit code for a kind of engine error.
pub(crate) fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Locked => Exit::Locked,
        ErrorKind::Corrupt => Exit::Damage,
        ErrorKind::Full => Exit::Full,
        _ => Exit::Failed,
    }
}
