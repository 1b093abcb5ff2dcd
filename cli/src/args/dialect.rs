//! The dialects that can be asked for, and the arguments of `dialect`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args, Subcommand};

/// The dialects that `sync` speaks, and for which `capture` refuses what cannot be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DialectName {
    /// `POST /api/v1/transactions/sync`, up to 100 items.
    Forloy,
    /// `POST /v1/sync/batch`, up to 500 events.
    Wede,
    /// `POST /v1/segments`, up to 4,096 events, to a hub of this program.
    Onceward,
    /// What a file describes.
    Http(PathBuf),
    /// `POST /admin/events/{event_id}/ack` and `/fail`: acks of deliveries.
    Transyt,
    /// The same, and `POST /v1/engage/deliveries/{delivery_id}/ack`.
    Deliveries,
    /// A stream of NATS JetStream, a message for each event.
    #[cfg(feature = "nats")]
    Nats,
}

impl DialectName {
    /// The argument by which it is asked for.
    #[must_use]
    pub fn to_argument(&self) -> OsString {
        match self {
            Self::Forloy => "forloy".into(),
            Self::Wede => "wede".into(),
            Self::Onceward => "onceward".into(),
            Self::Http(file) => {
                let mut argument = OsString::from("http:");
                argument.push(file);
                argument
            }
            Self::Transyt => "transyt".into(),
            Self::Deliveries => "deliveries".into(),
            #[cfg(feature = "nats")]
            Self::Nats => "nats".into(),
        }
    }
}

/// What can be asked for.
#[cfg(feature = "nats")]
pub(super) const NAMES: &str = "forloy, wede, onceward, nats, http:FILE, transyt, deliveries";
/// What can be asked for.
#[cfg(not(feature = "nats"))]
pub(super) const NAMES: &str = "forloy, wede, onceward, http:FILE, transyt, deliveries";

/// The same in the help of `sync`.
pub(super) const NAMES_SHOWN: &str = "forloy|wede|onceward|nats|http:FILE|transyt|deliveries";

/// Parses the name of a dialect, or the file that describes one.
pub(super) fn dialect(text: &str) -> Result<DialectName, String> {
    match text {
        "forloy" => Ok(DialectName::Forloy),
        "wede" => Ok(DialectName::Wede),
        "onceward" => Ok(DialectName::Onceward),
        "transyt" => Ok(DialectName::Transyt),
        "deliveries" => Ok(DialectName::Deliveries),
        #[cfg(feature = "nats")]
        "nats" => Ok(DialectName::Nats),
        other => match other.strip_prefix("http:") {
            Some("") => Err("http: needs the file that describes the dialect behind it".to_owned()),
            Some(file) => Ok(DialectName::Http(file.into())),
            None if is_file(other) => {
                Err(format!("a file is given as http:{other}; possible values: {NAMES}"))
            }
            None => Err(format!("possible values: {NAMES}")),
        },
    }
}

/// Whether there is a file of that name. It is not read here.
fn is_file(name: &str) -> bool {
    Path::new(name).is_file()
}

/// The same for those of events that a terminal captures.
pub(super) fn dialect_of_events(text: &str) -> Result<DialectName, String> {
    match dialect(text)? {
        DialectName::Transyt | DialectName::Deliveries => {
            Err(format!("{text} is for acks of deliveries, which are not captured"))
        }
        other => Ok(other),
    }
}

/// What is to be done with descriptions of dialects.
#[derive(Debug, Subcommand)]
pub enum DialectCommand {
    /// Check a file that describes a dialect, and print what it sends and how it reads an answer
    #[command(after_help = CHECK_NOTES)]
    Check(DialectCheckArgs),
    /// Print the names of the files that come with the program
    List,
    /// Print one of these files, to start from
    Show(DialectShowArgs),
}

/// Arguments of `dialect check`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("answer").args(["status", "reply"]).multiple(true))]
pub struct DialectCheckArgs {
    /// The file
    pub file: PathBuf,
    /// A file with the event to send, as a line of `capture`; a made-up one unless given
    #[arg(long, value_name = "F")]
    pub event: Option<PathBuf>,
    /// The status of an answer to read; with --reply the first of the file's `statuses` unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub status: Option<u16>,
    /// A file with the body of that answer; an empty one unless given
    #[arg(long, value_name = "F")]
    pub reply: Option<PathBuf>,
    /// A header of that answer, such as 'Content-Type: application/json'; may be given several times
    #[arg(long = "header", value_name = "HEADER", requires = "answer", value_parser = answer_header)]
    pub headers: Vec<(String, String)>,
    /// Read it as the answer to a lookup of the event's key
    #[arg(long, requires = "answer")]
    pub lookup: bool,
}

/// Arguments of `dialect show`.
#[derive(Args, Debug)]
pub struct DialectShowArgs {
    /// The name, without `.toml`
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(
        onceward_uplink::BUILT_IN.map(|(name, _)| name)
    ))]
    pub name: String,
}

/// Parses `Name: value`.
fn answer_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("needs a name, ':' and a value".to_owned()),
    }
}

/// The last part of `dialect check --help`.
const CHECK_NOTES: &str = "The format of the file is in uplink/DIALECTS.md. Nothing is sent anywhere.

Exit codes: 0 the file describes a dialect, 1 the event cannot be sent in it, or a file cannot be read, 2 the file, or an \
argument, is wrong: the message has file, line and column.";
