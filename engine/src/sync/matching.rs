//! What a reply means for the events of its batch. Matches by key and nothing else.

use std::collections::HashMap;

use super::batch::Items;
use super::{ItemOutcome, Reply};
use crate::outbox::Answer;

/// What a reply says of one event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyOutcomes<'a> {
    /// Nothing.
    None,
    /// This, once or more often.
    One(&'a ItemOutcome),
    /// Two different things.
    Two,
}

impl<'a> KeyOutcomes<'a> {
    /// With one more.
    fn and(self, outcome: &'a ItemOutcome) -> Self {
        match self {
            Self::None => Self::One(outcome),
            Self::One(before) => agreed(before, outcome).map_or(Self::Two, Self::One),
            Self::Two => Self::Two,
        }
    }
}

/// What a reply says of a batch's events.
pub(super) struct Said<'a> {
    /// In the order of the events.
    pub(super) outcomes: Vec<KeyOutcomes<'a>>,
    pub(super) strangers: u64,
}

impl Said<'_> {
    /// Why some of its items did not take effect for now, by the first of such codes.
    pub(super) fn for_now(&self) -> Option<String> {
        let codes = self.outcomes.iter().filter_map(|outcome| match outcome {
            KeyOutcomes::One(ItemOutcome::Transient { code, .. }) => Some(code),
            KeyOutcomes::One(_) | KeyOutcomes::None | KeyOutcomes::Two => None,
        });
        codes.min().map(|code| format!("the upstream did not take events for now: {code}"))
    }
}

/// Matches a reply to the events of its batch, by the keys under which they were sent and nothing else.
pub(super) fn match_by_key<'a>(items: &Items, reply: &'a Reply) -> Said<'a> {
    let mut said = Said { outcomes: vec![KeyOutcomes::None; items.len()], strangers: 0 };
    let mut in_order = items.iter().enumerate();
    let mut by_key: Option<HashMap<&str, usize>> = None;
    for (key, outcome) in &reply.items {
        // Most upstreams answer in the order of the request; from the first on that does not, keys are looked up.
        let next = in_order.next().filter(|(_, item)| by_key.is_none() && item.key == key);
        let found = match next {
            Some((at, _)) => Some(at),
            None => {
                let all = || items.iter().enumerate().map(|(at, item)| (item.key, at)).collect();
                by_key.get_or_insert_with(all).get(key.as_str()).copied()
            }
        };
        match found.and_then(|at| said.outcomes.get_mut(at)) {
            Some(outcomes) => *outcomes = outcomes.and(outcome),
            None => said.strangers += 1,
        }
    }
    if let Some(rest) = &reply.rest {
        let unnamed = said.outcomes.iter_mut().filter(|it| **it == KeyOutcomes::None);
        unnamed.for_each(|outcomes| *outcomes = KeyOutcomes::One(rest));
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
