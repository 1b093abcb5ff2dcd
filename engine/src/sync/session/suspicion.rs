//! Why an event waits for evidence: it was refused alone, or it forms no item of the dialect.

use std::fmt;

use crate::outbox::Answer;
use crate::sync::Misfit;

/// The fault of which an event is suspected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// The upstream refused it alone.
    Refusal,
    /// The event forms no item of the dialect.
    Misfit,
    /// The event forms no item of the dialect now, and was sent as one before.
    MisfitNow,
}

/// Why an event was refused alone, or cannot be sent.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    of: Of,
    code: String,
    message: String,
}

impl Suspicion {
    /// The upstream refused an event alone.
    pub(super) fn new(code: &str, message: &str) -> Self {
        Self { of: Of::Refusal, code: code.to_owned(), message: message.to_owned() }
    }

    /// An event forms no item. Nobody knows whether one that was sent before took effect.
    pub(super) fn misfit(misfit: Misfit, is_again: bool) -> Self {
        let Misfit { code, message } = misfit;
        Self { of: if is_again { Of::MisfitNow } else { Of::Misfit }, code, message }
    }

    /// Whether nobody was asked about the event.
    pub(super) fn is_misfit(&self) -> bool {
        self.of != Of::Refusal
    }

    /// The code and the words of whoever refused.
    pub(super) fn code_and_message(&self) -> (&str, &str) {
        (&self.code, &self.message)
    }

    /// What becomes of the event if it is at fault.
    pub(super) fn into_answer(self) -> Answer {
        let Self { of, code, message } = self;
        match of {
            Of::Refusal | Of::Misfit => Answer::Rejected { code, message, reply: Vec::new() },
            Of::MisfitNow => Answer::Uncertain { code, message },
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
