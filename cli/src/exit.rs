//! Exit codes, and the one failure type that every command ends with. Prints only that.

use std::{fmt, io, process::ExitCode};

use onceward::ErrorKind;

use crate::output::{complain, complain_at_length};

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
    /// The store has no room left; nothing was lost.
    Full = 7,
    /// The configuration, or the line's other end, is wrong: nothing that was sent was taken.
    Upstream = 8,
    /// Events went to review in this run of `sync`.
    Review = 9,
}

impl Exit {
    /// The rank of the code: of several, the lowest counts.
    const fn rank(self) -> u8 {
        match self {
            Self::Damage => 0,
            Self::Full => 1,
            Self::Credentials => 2,
            Self::Upstream => 3,
            Self::Pending => 4,
            Self::Review => 5,
            Self::Failed | Self::Usage | Self::Locked => 6,
            Self::Ok => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed: an exit code other than 0 and the message for stderr.
#[derive(Debug)]
pub struct Failure {
    /// The code that the program ends with.
    exit: Exit,
    /// Why the command failed.
    message: String,
    /// Whether its line ends are this program's own.
    is_paragraph: bool,
    /// Whether the reader of stdout went away.
    reader_left: bool,
    /// Whether it does not read, and a signal came.
    gave_up_reader: bool,
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
        Self {
            exit,
            message: message.into(),
            is_paragraph: false,
            reader_left: false,
            gave_up_reader: false,
        }
    }

    /// A failure whose message has several lines.
    pub fn at_length(exit: Exit, message: impl Into<String>) -> Self {
        Self { is_paragraph: true, ..Self::with(exit, message) }
    }

    /// Prints the message on stderr.
    pub fn report(&self) {
        if self.is_paragraph {
            complain_at_length(&self.message);
        } else {
            complain(&self.message);
        }
    }

    /// Writing to stdout failed.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        Self {
            reader_left: error.kind() == io::ErrorKind::BrokenPipe,
            gave_up_reader: error.kind() == io::ErrorKind::Interrupted,
            ..Self::failed(format!("cannot write to standard output: {error}"))
        }
    }

    /// The engine refused; `what` names the store or the operation. Where it cannot say whether it was done, that
    /// is said too.
    #[must_use]
    pub fn engine(what: &str, error: &onceward::Error) -> Self {
        let mut message = format!("{what}: {error}");
        if error.in_doubt() {
            message.push_str(IN_DOUBT);
        }
        Self::with(exit_of(error.kind()), message)
    }

    /// The engine could not open a store, which its message names.
    #[must_use]
    pub fn opening(error: &onceward::Error) -> Self {
        Self::with(exit_of(error.kind()), error.to_string())
    }

    /// The store could not be closed in order. Whatever was answered before is durable, as long as the directory is
    /// there in which it was stored.
    #[must_use]
    pub fn closing(error: &onceward::Error) -> Self {
        let kept = match error.code() {
            "GROUND_MOVED" => {
                "what was answered before went where the store was then, and is kept if that is"
            }
            _ => "what was answered before is kept",
        };
        let message = format!("cannot close the store: {error}; {kept}");
        Self::with(exit_of(error.kind()), message)
    }

    /// The failure with more in its message: what went wrong after it, or what helps.
    #[must_use]
    pub fn and(mut self, also: impl fmt::Display) -> Self {
        self.message.push_str(&format!("; and {also}"));
        self
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

    /// Whether stdout was a pipe that nobody read from when a signal came.
    #[must_use]
    pub fn gave_up_reader(&self) -> bool {
        self.gave_up_reader
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a run ends with whose store was damaged when it was opened: that counts before whatever is left to do, but
/// not before another failure of the run itself, such as of its input.
pub(crate) fn ranked(outcome: Outcome, is_damaged: bool) -> Outcome {
    match outcome {
        Ok(_) if is_damaged => Ok(Exit::Damage),
        Err(failure) if is_damaged && failure.exit == Exit::Full => {
            Err(Failure { exit: Exit::Damage, ..failure })
        }
        outcome => outcome,
    }
}

/// What a command ends with that closed its store: a close that failed is reported in any case, and counts where
/// nothing else failed.
pub(crate) fn after_closing<T>(
    done: Result<T, Failure>,
    closed: Result<(), Failure>,
) -> Result<T, Failure> {
    match (done, closed) {
        (done, Ok(())) => done,
        (Ok(_), Err(failure)) => Err(failure),
        (Err(failure), Err(also)) => Err(failure.and(&also)),
    }
}

/// What a run ends with that was concluded before its store was closed and its outcome shown: a later failure is
/// reported in any case, and counts before what is less, in the order of [`sync`](crate::command::sync).
pub(crate) fn first_of<const COUNT: usize>(
    concluded: Exit,
    then: [Result<(), Failure>; COUNT],
) -> Outcome {
    let failures = then.into_iter().filter_map(Result::err);
    let Some(failure) = failures.reduce(|first, also| {
        let exit = if also.exit.rank() < first.exit.rank() { also.exit } else { first.exit };
        Failure { exit, ..first.and(&also) }
    }) else {
        return Ok(concluded);
    };
    if failure.exit.rank() < concluded.rank() {
        return Err(failure);
    }
    failure.report();
    Ok(concluded)
}

/// What is said of an operation whose frame may be there after the next opening, or may not.
const IN_DOUBT: &str = "; it is in doubt: it may be done all the same, look again after this";

/// The exit code for a kind of engine error.
pub(crate) fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Locked => Exit::Locked,
        ErrorKind::Corrupt => Exit::Damage,
        ErrorKind::Full => Exit::Full,
        _ => Exit::Failed,
    }
}
