//! Which cards exist: a file of JSON lines that is read again when it changes.
//!
//! A broken file at the start is an error; a file that breaks later leaves the last good one in force,
//! and is reported and counted. Without a file every card exists and is active.

use std::{
    collections::HashMap,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use onceward::host::{Outside, read_at_most};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    error::{Cause, Error},
    fields::{Faults, Object},
    notice::{Notice, Notices},
    receipt::CardType,
    strict::{self, Refusal},
};

/// Largest cards file, bytes: it is held in memory while it is read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest code of a card, bytes; the same as that of a purchase.
pub(crate) const CODE_BYTES_MAX: usize = 255;
/// A file that changed less than this before it was read may change again without showing it.
const SETTLED_MS: i64 = 2_000;

/// Whether a card may be used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// The card may be used.
    Active,
    /// The card exists and may not be used.
    Inactive,
}

/// A card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Card {
    /// Whether the card may be used.
    status: Status,
    /// How the card rewards.
    card_type: CardType,
}

/// Why a card cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CardRefusal {
    /// No card has this code.
    NotFound,
    /// The card is inactive.
    Inactive,
}

impl CardRefusal {
    /// The code on the wire.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "CARD_NOT_FOUND",
            Self::Inactive => "CARD_INACTIVE",
        }
    }

    /// The sentence on the wire.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NotFound => "No active card found for the given code",
            Self::Inactive => "The card exists but has been deactivated",
        }
    }
}

/// The cards of one moment.
#[derive(Debug, Default)]
pub(crate) struct Cards(Option<HashMap<String, Card>>);

impl Cards {
    /// The type of the card `code`; `fallback` where every card exists.
    pub(crate) fn judge(&self, code: &str, fallback: CardType) -> Result<CardType, CardRefusal> {
        let Some(cards) = &self.0 else { return Ok(fallback) };
        match cards.get(code) {
            None => Err(CardRefusal::NotFound),
            Some(Card { status: Status::Inactive, .. }) => Err(CardRefusal::Inactive),
            Some(Card { status: Status::Active, card_type }) => Ok(*card_type),
        }
    }

    /// Number of cards known; 0 where every card exists.
    fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |cards| u64::try_from(cards.len()).unwrap_or(u64::MAX))
    }
}

/// How the cards file has fared since the hub was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CardsReport {
    /// Number of cards in force; 0 without a cards file.
    pub cards: u64,
    /// How often a changed file was read and used.
    pub reloads: u64,
    /// How often a changed file could not be used.
    pub failures: u64,
    /// Why the file cannot be used now, if so; the last good one is in force.
    pub broken: Option<String>,
}

/// The facts that distinguish one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    /// Device and inode: a file renamed into place is another one.
    file: (u64, u64),
    /// Size, bytes.
    bytes: u64,
    /// Modification time, seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    /// The stamp of a file, from what the system says of it.
    fn of(meta: &Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}

/// The cards in force and the file that they come from.
pub(crate) struct CardsFile {
    /// The file; without it every card exists.
    path: Option<PathBuf>,
    /// The state of the file that was last seen.
    seen: Mutex<Seen>,
    /// The notices to which changes go.
    notices: Notices,
}

/// The state of the file that was last seen.
#[derive(Default)]
struct Seen {
    /// The cards in force.
    cards: Arc<Cards>,
    /// The stamp of what was last read; none if it may have changed since without showing it.
    stamp: Option<Stamp>,
    /// Digest of what was last read, so that the same content is not reported twice.
    digest: Option<[u8; 32]>,
    /// For the operator.
    report: CardsReport,
}

impl CardsFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// If it cannot be read or breaks a rule, naming line and field.
    pub(crate) fn open(path: Option<PathBuf>, notices: Notices) -> Result<Self, Error> {
        let mut seen = Seen::default();
        if let Some(file) = &path {
            let named = |message| Error::from(Cause::Cards { file: file.clone(), message });
            let read = read(file).map_err(|error| named(error.to_string()))?;
            seen.cards = Arc::new(parse(&read.content).map_err(named)?);
            seen.stamp = read.stamp;
            seen.digest = Some(read.digest);
            seen.report.cards = seen.cards.count();
        }
        Ok(Self { path, seen: Mutex::new(seen), notices })
    }

    /// The cards in force, read again first if the file has changed.
    ///
    /// # Cost
    ///
    /// Asks the file system each time; reads the file only after a change. Blocking.
    pub(crate) fn current(&self) -> Arc<Cards> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = self.path.as_deref().and_then(|path| seen.refresh(path));
        let cards = Arc::clone(&seen.cards);
        // The observer is foreign code: it must not run under the lock.
        drop(seen);
        if let Some(notice) = notice {
            self.notices.send(&notice);
        }
        cards
    }

    /// How the file has fared.
    pub(crate) fn report(&self) -> CardsReport {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).report.clone()
    }
}

impl Seen {
    /// Reads the file again if it has changed, and says what came of it.
    fn refresh(&mut self, path: &Path) -> Option<Notice> {
        let read = match stamp(path) {
            Ok(now) if self.stamp == Some(now) => return None,
            Ok(_) => read(path),
            Err(error) => Err(error),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.stamp = None;
                self.digest = None;
                return self.broken(path, &error.to_string());
            }
        };
        self.stamp = read.stamp;
        if self.digest == Some(read.digest) {
            return None;
        }
        self.digest = Some(read.digest);
        match parse(&read.content) {
            Ok(cards) => {
                self.cards = Arc::new(cards);
                self.report.cards = self.cards.count();
                self.report.reloads = self.report.reloads.saturating_add(1);
                self.report.broken = None;
                Some(Notice::CardsReloaded { cards: self.report.cards })
            }
            Err(why) => self.broken(path, &why),
        }
    }

    /// Counts and reports a file that cannot be used, once for each reason.
    fn broken(&mut self, path: &Path, why: &str) -> Option<Notice> {
        let why = format!("{}: {why}", path.display());
        if self.report.broken.as_ref() == Some(&why) {
            return None;
        }
        self.report.failures = self.report.failures.saturating_add(1);
        self.report.broken = Some(why.clone());
        Some(Notice::CardsBroken { why })
    }
}

/// The result of one reading of the file.
struct Read {
    /// All bytes of the file.
    content: Vec<u8>,
    /// The file's stamp before it was read; none if it changed too recently to be sure.
    stamp: Option<Stamp>,
    /// SHA-256 of the bytes.
    digest: [u8; 32],
}

/// Reads the file.
fn read(path: &Path) -> io::Result<Read> {
    let file = Outside::open_file(path)?;
    let before = Stamp::of(&file.metadata()?);
    let content = read_at_most(file, FILE_BYTES_MAX)?;
    let age_ms = jiff::Timestamp::now()
        .as_millisecond()
        .saturating_sub(before.modified.0.saturating_mul(1_000));
    let digest = Sha256::digest(&content).into();
    Ok(Read { content, stamp: (age_ms > SETTLED_MS).then_some(before), digest })
}

/// The stamp of the file that has this name now.
#[expect(
    clippy::disallowed_methods,
    reason = "the operator's file: only looked at, nothing durable in it"
)]
fn stamp(path: &Path) -> io::Result<Stamp> {
    Ok(Stamp::of(&std::fs::metadata(path)?))
}

/// The cards that the lines of a file name; blank lines are skipped.
fn parse(content: &[u8]) -> Result<Cards, String> {
    let mut cards = HashMap::new();
    for (number, line) in (1_u64..).zip(content.split(|byte| *byte == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (code, card) = parse_line(line).map_err(|why| format!("line {number}: {why}"))?;
        if cards.contains_key(&code) {
            return Err(format!("line {number}: code names a card that an earlier line names"));
        }
        cards.insert(code, card);
    }
    Ok(Cards(Some(cards)))
}

/// The card that one line names.
fn parse_line(line: &[u8]) -> Result<(String, Card), String> {
    let value: &RawValue = strict::parse(line).map_err(|refusal| match refusal {
        // The line has a number of its own.
        Refusal::NotJson(why) => {
            format!("not JSON: {}", why.replace(" at line 1 column ", " at column "))
        }
        Refusal::Fault(fault) => fault.to_string(),
    })?;
    let mut faults = Faults::default();
    let card = read_card(value, &mut faults);
    match (faults.first(), card) {
        (None, Some(card)) => Ok(card),
        (Some(fault), _) => Err(fault.to_string()),
        (None, None) => Err("not a card".to_owned()),
    }
}

/// The card in a line's object; what is wrong goes to `faults`.
fn read_card(value: &RawValue, faults: &mut Faults) -> Option<(String, Card)> {
    let mut object = Object::read(value, "", faults)?;
    let code = object.required_text("code", CODE_BYTES_MAX, faults);
    let status = object.required_text("status", CODE_BYTES_MAX, faults).and_then(|word| match word
        .as_str()
    {
        "active" => Some(Status::Active),
        "inactive" => Some(Status::Inactive),
        _ => {
            faults.add("status", "must be \"active\" or \"inactive\"");
            None
        }
    });
    let card_type = object.required_text("card_type", CODE_BYTES_MAX, faults).and_then(|word| {
        let known = CardType::of(&word);
        if known.is_none() {
            faults.add("card_type", "must be \"cashback\" or \"punch\"");
        }
        known
    });
    object.finish(faults);
    Some((code?, Card { status: status?, card_type: card_type? }))
}

#[cfg(test)]
mod tests;
