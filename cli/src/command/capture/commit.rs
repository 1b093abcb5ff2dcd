//! Commits lines that arrived together and answers each in its place. Reads no input.

use onceward::{Error, ErrorKind, EventRef, State, Store, Verdict};
use serde::Serialize;

use super::{
    line::{self, BadLine, Parsed, Refusal, Shared},
    lines::{Content, LINE_BYTES_MAX, Line},
};
use crate::{exit::Failure, output::Output};

/// Turns batches of lines into answers.
#[derive(Debug)]
pub(super) struct Committer<'a> {
    /// The store that events go to.
    store: &'a Store,
    /// The fields that all events of the run share.
    shared: &'a Shared,
    /// The output that answers go to.
    out: Output,
    /// Counts of what was judged so far.
    tally: Tally,
    /// Why no more answers are written.
    unheard: Option<Failure>,
}

/// Counts of the lines that were judged so far, answered or not.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines that are stored now.
    pub(super) fresh: u64,
    /// Lines that had been stored before.
    pub(super) duplicate: u64,
    /// Lines that had been stored before and whose events are lost to damage.
    pub(super) lost: u64,
    /// Lines whose key is taken by something else.
    pub(super) conflict: u64,
    /// Lines that were not stored.
    pub(super) refused: u64,
    /// Whether any line was refused for want of room.
    pub(super) full: bool,
    /// Number of the first line that was refused or in conflict, and why.
    pub(super) first_bad: Option<(u64, String)>,
}

impl Tally {
    /// The count of all lines.
    pub(super) fn lines(&self) -> u64 {
        self.fresh
            .saturating_add(self.duplicate)
            .saturating_add(self.conflict)
            .saturating_add(self.refused)
    }

    /// Remembers the first line that went wrong.
    fn note(&mut self, line: u64, why: &str) {
        self.first_bad.get_or_insert_with(|| (line, why.to_owned()));
    }
}

/// One line of output.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// Number of the line of input, from 1.
    line: u64,
    /// The key, if it could be read.
    key: Option<&'a str>,
    /// The event's number; a duplicate's is the original's.
    lsn: Option<u64>,
    /// `fresh`, `duplicate`, `conflict` or `refused`.
    verdict: &'static str,
    /// The event's state, `outcome_unknown`; only of a duplicate whose event is lost to damage.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why the line was refused.
    error: Option<&'a Refusal>,
}

/// The judgement of the store, or of this program, on a line.
enum Judged {
    /// The store's answer.
    Stored(Verdict),
    /// The event is not stored, or may not be.
    Refused {
        /// Why it was refused.
        refusal: Refusal,
        /// Whether it was refused for want of room.
        full: bool,
    },
}

impl<'a> Committer<'a> {
    /// Starts with nothing answered.
    pub(super) fn new(store: &'a Store, shared: &'a Shared, out: Output) -> Self {
        Self { store, shared, out, tally: Tally::default(), unheard: None }
    }

    /// The counts of what was judged.
    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Commits the good lines of a batch at once, then answers all lines in their order and flushes.
    ///
    /// # Errors
    ///
    /// Stdout refused. What was committed stays committed and counted, answered or not.
    pub(super) fn commit(&mut self, batch: &[Line]) -> Result<(), Failure> {
        let shared = self.shared;
        let parsed: Vec<_> = batch.iter().map(|line| parse(line, shared)).collect();
        let mut events = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for result in &parsed {
            let event = result.as_ref().map_err(BadLine::clone).and_then(Parsed::event);
            answers.push(event.map(|event| events.push(event)));
        }
        let mut stored = events.iter().zip(self.store_all(&events));
        for (line, answer) in batch.iter().zip(answers) {
            match answer {
                Ok(()) => {
                    // One verdict for each event: both were counted from the same lines.
                    if let Some((event, judged)) = stored.next() {
                        self.answer(line.number, Some(event.key()), &judged);
                    }
                }
                Err(bad) => {
                    let judged = Judged::Refused { refusal: bad.refusal, full: false };
                    self.answer(line.number, bad.key.as_deref(), &judged);
                }
            }
        }
        match self.unheard.take() {
            Some(failure) => Err(failure),
            None => self.out.flush(),
        }
    }

    /// Stores the events in one commit. If the store refuses them together for a reason that may be one event's alone,
    /// it is given the halves, and so on, so that a bad event does not cost its neighbours.
    fn store_all(&self, events: &[EventRef<'_>]) -> Vec<Judged> {
        if events.is_empty() {
            return Vec::new();
        }
        let error = match self.store.capture_batch(events) {
            Ok(verdicts) => return verdicts.into_iter().map(Judged::Stored).collect(),
            Err(error) => error,
        };
        let may_be_one = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Full);
        if events.len() == 1 || error.in_doubt() || !may_be_one {
            return events.iter().map(|_| refused(&error)).collect();
        }
        let (first, second) = events.split_at(events.len() / 2);
        let mut judged = self.store_all(first);
        judged.extend(self.store_all(second));
        judged
    }

    /// Counts one line, and writes the answer for it while they can be written.
    fn answer(&mut self, line: u64, key: Option<&str>, judged: &Judged) {
        let (lsn, verdict, error) = match judged {
            Judged::Stored(verdict) => (Some(verdict.lsn().get()), word(verdict), None),
            Judged::Refused { refusal, .. } => (None, "refused", Some(refusal)),
        };
        match judged {
            Judged::Stored(Verdict::Fresh { .. }) => self.tally.fresh += 1,
            Judged::Stored(Verdict::Duplicate { state, .. }) => {
                self.tally.duplicate += 1;
                if *state == State::OutcomeUnknown {
                    self.tally.lost += 1;
                    let why =
                        "the key's event is lost to damage, and nobody knows what became of it";
                    self.tally.note(line, why);
                }
            }
            Judged::Stored(Verdict::Conflict { .. }) => {
                self.tally.conflict += 1;
                self.tally.note(line, "the key was captured before with other content");
            }
            Judged::Stored(_) => {
                self.tally.note(line, "the engine gave a verdict that is not known here");
            }
            Judged::Refused { refusal, full } => {
                self.tally.refused += 1;
                self.tally.full |= full;
                self.tally.note(line, &refusal.message);
            }
        }
        if self.unheard.is_none() {
            let state = state(judged);
            self.unheard = self.out.json(&Answer { line, key, lsn, verdict, state, error }).err();
        }
    }
}

/// Reads one line.
fn parse<'a>(line: &'a Line, shared: &'a Shared) -> Result<Parsed<'a>, BadLine> {
    match &line.content {
        Content::Bytes(bytes) => line::parse(bytes, shared),
        Content::TooLong => {
            let message = format!("the line has more than {LINE_BYTES_MAX} bytes");
            Err(BadLine { key: None, refusal: Refusal::new("LINE_TOO_LONG", message) })
        }
    }
}

/// The state in the answer about a duplicate that may have had no effect.
fn state(judged: &Judged) -> Option<&'static str> {
    match judged {
        Judged::Stored(Verdict::Duplicate { state: State::OutcomeUnknown, .. }) => {
            Some(State::OutcomeUnknown.as_str())
        }
        Judged::Stored(_) | Judged::Refused { .. } => None,
    }
}

/// The verdict's name in an answer.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh { .. } => "fresh",
        Verdict::Duplicate { .. } => "duplicate",
        Verdict::Conflict { .. } => "conflict",
        _ => "unknown",
    }
}

/// An event that the store did not take, or of which it cannot say whether it did.
fn refused(error: &Error) -> Judged {
    let mut refusal = Refusal::new(error.code(), error.to_string());
    if error.in_doubt() {
        refusal
            .message
            .push_str("; it may be stored all the same: capture it again under this key");
    }
    Judged::Refused { refusal, full: error.kind() == ErrorKind::Full }
}
