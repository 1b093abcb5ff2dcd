//! The answer to a slice: what holds for all of it, and what does not.

use serde::Serialize;

use super::apply::Applied;
use super::history::Head;

/// One event that did not take effect.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Exception {
    /// Its number in the terminal's store.
    pub(super) lsn: u64,
    /// `rejected`, `uncertain`, `transient` or `parked`.
    status: &'static str,
    /// The stable name for programs.
    code: String,
    /// The words for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    /// The event of its lane behind which it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_lsn: Option<u64>,
}

impl Exception {
    /// It is refused for good.
    pub(super) fn rejected(lsn: u64, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { lsn, status: "rejected", code, message, behind_lsn: None }
    }

    /// It came before, and nobody knows whether it took effect.
    pub(super) fn uncertain(lsn: u64, message: &str) -> Self {
        let (code, message) = ("OUTCOME_UNKNOWN".to_owned(), message.to_owned());
        Self { lsn, status: "uncertain", code, message, behind_lsn: None }
    }

    /// It failed for now.
    pub(super) fn transient(lsn: u64, code: &str) -> Self {
        let code = code.to_owned();
        Self { lsn, status: "transient", code, message: String::new(), behind_lsn: None }
    }

    /// It waits for an event of its lane that did not take effect.
    pub(super) fn parked(lsn: u64, behind: u64) -> Self {
        let (code, message) = ("PARKED".to_owned(), String::new());
        Self { lsn, status: "parked", code, message, behind_lsn: Some(behind) }
    }
}

/// The answer.
#[derive(Serialize)]
struct Answer<'a> {
    /// The batch's key.
    batch: &'a str,
    /// Events that took effect now.
    accepted: u64,
    /// Events that had taken effect before.
    duplicate: u64,
    /// Those that did not.
    exceptions: &'a [Exception],
    /// What the terminal is to send with the next batches.
    mark: String,
}

/// The answer to a batch.
pub(super) fn encode(batch: &str, applied: &Applied, head: Option<&Head>) -> String {
    let answer = Answer {
        batch,
        accepted: applied.fresh,
        duplicate: applied.duplicate,
        exceptions: &applied.exceptions,
        mark: head.map(Head::mark).unwrap_or_default(),
    };
    // Texts and numbers always encode.
    serde_json::to_string(&answer).unwrap_or_default()
}
