//! An upstream in memory: applies each key once and counts.

use std::collections::{BTreeMap, BTreeSet};

use super::receipt;
use crate::StoredEvent;
use crate::sync::{Answered, Batch, Failure, Fit, ItemOutcome, Misfit, Reply};

/// How the upstream answers a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    /// As it should.
    Well,
    /// It applies the batch, and the reply is lost.
    LosesReply,
    /// It cannot be reached.
    Away,
}

/// What the upstream has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upstream {
    /// Effects by key.
    pub(crate) effects: BTreeMap<String, u64>,
    /// Keys that it refuses for good.
    pub(crate) refused: BTreeSet<String>,
    /// Keys for which it refuses every batch that holds one.
    pub(crate) poison: BTreeSet<String>,
    /// What was sent under each idempotency key: numbers and payloads.
    pub(crate) batches: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
    /// Requests that reached it.
    pub(crate) requests: u64,
}

impl Upstream {
    /// Applies a batch and answers it.
    ///
    /// # Panics
    ///
    /// If the same idempotency key came with other content before.
    pub(crate) fn take(&mut self, batch: &Batch, mood: Mood) -> Result<Reply, Failure> {
        let away = || Failure::Unavailable {
            why: "timeout".to_owned(),
            retry_after_ms: None,
            answered: Answered::Nobody,
        };
        if mood == Mood::Away {
            return Err(away());
        }
        self.requests += 1;
        let content: Vec<(u64, Vec<u8>)> = batch
            .items
            .iter()
            .map(|item| (item.lsn.get(), item.event.payload.as_bytes().to_vec()))
            .collect();
        let seen =
            self.batches.entry(batch.idempotency_key.clone()).or_insert_with(|| content.clone());
        assert!(*seen == content, "T39: {} was sent with other content", batch.idempotency_key);
        if batch.items.iter().any(|item| self.poison.contains(item.event.key.as_str())) {
            let code = "VALIDATION".to_owned();
            return Err(Failure::Refused { code, message: "an item breaks a rule".to_owned() });
        }
        let items = batch.items.iter().map(|item| self.answer(item)).collect();
        if mood == Mood::LosesReply { Err(away()) } else { Ok(Reply { items }) }
    }

    fn answer(&mut self, item: &StoredEvent) -> (String, ItemOutcome) {
        let key = item.event.key.to_string();
        if self.refused.contains(&key) {
            return (key, rejected("CARD_NOT_FOUND"));
        }
        let effects = self.effects.entry(key.clone()).or_default();
        let outcome = if *effects == 0 {
            *effects = 1;
            ItemOutcome::Accepted { receipt: Some(receipt(item.lsn.get())) }
        } else {
            ItemOutcome::Duplicate { receipt: Some(receipt(item.lsn.get())) }
        };
        (key, outcome)
    }
}

/// A refusal for good.
pub(crate) fn rejected(code: &str) -> ItemOutcome {
    let (code, message, reply) = (code.to_owned(), "no such card".to_owned(), b"{}".to_vec());
    ItemOutcome::Rejected { code, message, reply }
}

/// Every event fits, and takes as many bytes as its payload.
pub(crate) fn fits() -> Fit {
    Box::new(|event, _key| Ok(event.event.payload.as_bytes().len()))
}

/// Every event fits but those with these keys.
pub(crate) fn fits_but(keys: &'static [&'static str]) -> Fit {
    Box::new(move |event, _key| {
        if keys.contains(&event.event.key.as_str()) {
            let (code, message) = ("INVALID_ITEM".to_owned(), "payload: no object".to_owned());
            return Err(Misfit { code, message });
        }
        Ok(event.event.payload.as_bytes().len())
    })
}
