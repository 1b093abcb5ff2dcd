//! What a reply means for the events of its batch. Matches by key and nothing else.

use std::collections::{HashMap, HashSet};

use super::{ItemOutcome, Reply};
use crate::outbox::Answer;

/// What a reply says of a batch's events.
pub(super) struct Said<'a> {
    /// By key; `None` where it says two different things.
    pub(super) outcomes: HashMap<&'a str, Option<&'a ItemOutcome>>,
    pub(super) strangers: u64,
}

impl Said<'_> {
    /// Why some of its items did not take effect for now, by the first of such codes.
    pub(super) fn for_now(&self) -> Option<String> {
        let code = |outcome: &ItemOutcome| {
            if let ItemOutcome::Transient { code, .. } = outcome {
                Some(code.clone())
            } else {
                None
            }
        };
        let codes = self.outcomes.values().flatten().filter_map(|outcome| code(outcome));
        codes.min().map(|code| format!("the upstream did not take events for now: {code}"))
    }
}

/// Matches a reply to the events of its batch, by the keys under which they were sent and nothing else.
pub(super) fn match_by_key<'a>(keys: &[String], reply: &'a Reply) -> Said<'a> {
    let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let mut said = Said { outcomes: HashMap::with_capacity(keys.len()), strangers: 0 };
    for (key, outcome) in &reply.items {
        if !keys.contains(key.as_str()) {
            said.strangers += 1;
            continue;
        }
        said.outcomes
            .entry(key.as_str())
            .and_modify(|before| *before = before.and_then(|before| agreed(before, outcome)))
            .or_insert(Some(outcome));
    }
    said
}

/// What two outcomes of one key say together, unless they disagree. That it took effect, with the same receipt, is said
/// by both where one took a second copy in the same request for what it is.
fn agreed<'a>(one: &'a ItemOutcome, other: &'a ItemOutcome) -> Option<&'a ItemOutcome> {
    use ItemOutcome::{Accepted, Duplicate};
    match (one, other) {
        (Accepted { receipt: now }, Duplicate { receipt: before }) if now == before => Some(one),
        (Duplicate { receipt: before }, Accepted { receipt: now }) if now == before => Some(other),
        (one, other) => (one == other).then_some(one),
    }
}

/// The answer of an outcome, or for one that failed for now, when the upstream wants to be asked again.
pub(super) fn answer(outcome: &ItemOutcome) -> Result<Answer, Option<u64>> {
    match outcome {
        ItemOutcome::Accepted { receipt } => Ok(Answer::Accepted { receipt: receipt.clone() }),
        ItemOutcome::Duplicate { receipt } => Ok(Answer::Duplicate { receipt: receipt.clone() }),
        ItemOutcome::Rejected { code, message, reply } => Ok(Answer::Rejected {
            code: code.clone(),
            message: message.clone(),
            reply: reply.clone(),
        }),
        ItemOutcome::Uncertain { code, message } => {
            Ok(Answer::Uncertain { code: code.clone(), message: message.clone() })
        }
        ItemOutcome::Transient { code: _, retry_after_ms } => Err(*retry_after_ms),
    }
}
