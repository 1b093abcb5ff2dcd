//! What an answer says, as the session takes it. Nothing that came back shows the terminal's key.

use onceward::sync::{Answered, Failure, ItemOutcome};

use super::lexicon::Meaning;
use crate::dialect::{Response, answer, status};
use crate::excerpt::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX, REPLY_BYTES_MAX};

/// What an answer says of an event or of a request.
#[derive(Debug)]
pub(super) struct Said {
    /// What it means; `None`: nobody documented it.
    pub(super) meaning: Option<Meaning>,
    /// The code, or the word; where nobody documented it, what it is and where.
    pub(super) code: String,
    /// The words for people.
    pub(super) message: String,
    /// The receipt.
    pub(super) receipt: Option<String>,
    /// All that was said of it.
    pub(super) reply: String,
}

impl Said {
    /// What it is for one event; what only a request can be is a failure for now.
    pub(super) fn outcome(&self, response: &Response) -> ItemOutcome {
        let quoted = |text: &str, bytes_max| response.quoted(text, bytes_max);
        let receipt = || {
            let clean = self.receipt.as_deref().map(|text| quoted(text, usize::MAX));
            answer::receipt(clean.as_deref())
        };
        let is_documented = self.meaning.is_some();
        let code =
            quoted(&self.code, if is_documented { CODE_BYTES_MAX } else { MESSAGE_BYTES_MAX });
        let message = quoted(&self.message, MESSAGE_BYTES_MAX);
        match self.meaning {
            Some(Meaning::Accepted) => ItemOutcome::Accepted { receipt: receipt() },
            Some(Meaning::Duplicate) => ItemOutcome::Duplicate { receipt: receipt() },
            Some(Meaning::Rejected) => {
                let reply = quoted(&self.reply, REPLY_BYTES_MAX).into_bytes();
                ItemOutcome::Rejected { code, message, reply }
            }
            Some(Meaning::Uncertain) => ItemOutcome::Uncertain { code, message },
            _ => ItemOutcome::Transient { code, retry_after_ms: response.retry_after_ms() },
        }
    }

    /// The refusal of a request as a whole that it is.
    pub(super) fn refused(&self, response: &Response) -> Failure {
        Failure::Refused {
            code: response.quoted(&self.code, CODE_BYTES_MAX),
            message: response.quoted(&self.message, MESSAGE_BYTES_MAX),
        }
    }

    /// What it is for a request as a whole, if it can be that.
    pub(super) fn failure(&self, response: &Response) -> Option<Failure> {
        let code = response.quoted(&self.code, CODE_BYTES_MAX);
        let message = response.quoted(&self.message, MESSAGE_BYTES_MAX);
        let retry_after_ms = response.retry_after_ms();
        let why = || {
            let (status, what) = (response.status, status::meaning(response.status));
            format!("status {status}: {what}; the upstream says {code}: {message}")
        };
        Some(match self.meaning? {
            Meaning::Refused => self.refused(response),
            Meaning::Blocked => Failure::Blocked { why: why() },
            Meaning::InProgress => Failure::InProgress { retry_after_ms },
            Meaning::TooLarge => Failure::TooLarge,
            Meaning::BatchKeyRefused => Failure::BatchKeyRefused { code, message },
            Meaning::Transient => {
                Failure::Unavailable { why: why(), retry_after_ms, answered: Answered::Upstream }
            }
            Meaning::Accepted
            | Meaning::Duplicate
            | Meaning::Rejected
            | Meaning::Uncertain
            | Meaning::Unknown => return None,
        })
    }
}
