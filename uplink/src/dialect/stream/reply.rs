//! From an answer to outcomes: one for all of a slice, and the exceptions.

use std::collections::HashMap;

use onceward::sync::{Batch, Failure, ItemOutcome, Reply};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::object::Object;
use crate::dialect::problem::{self, Known, Meaning, known};
use crate::dialect::{Response, status};
use crate::excerpt;

/// The problems of this route.
const PROBLEMS: [Known; 4] = [
    known(400, "INVALID_SLICE", Meaning::Refused),
    known(409, "HISTORY_FORKED", Meaning::Forked),
    known(422, "IDEMPOTENCY_KEY_REUSED", Meaning::BatchKey),
    known(503, "PREDECESSOR_MISSING", Meaning::Later),
];

/// The answer.
#[derive(Deserialize)]
struct Answer<'a> {
    /// The batch's key.
    batch: String,
    /// Events that took effect now.
    accepted: u64,
    /// Events that had taken effect before.
    duplicate: u64,
    /// Those that did not.
    #[serde(borrow)]
    exceptions: Vec<&'a RawValue>,
    /// What is to be sent with the next batches.
    mark: String,
}

/// What became of one event that did not take effect.
#[derive(Deserialize)]
struct Exception {
    lsn: u64,
    status: String,
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads what `response` proves.
pub(super) fn decode(batch: &Batch, response: &Response) -> Result<Reply, Failure> {
    if response.status != 200 {
        return Err(refused(response));
    }
    let wrong = |what: &str| status::not_recognised(response, what);
    let not_documented =
        |found: serde_json::Error| wrong(&format!("not the documented answer ({found})"));
    let Object::<Answer<'_>>(answer) =
        serde_json::from_slice(&response.body).map_err(not_documented)?;
    if answer.batch != batch.idempotency_key {
        return Err(wrong("it answers another batch"));
    }
    let exceptions = u64::try_from(answer.exceptions.len()).unwrap_or(u64::MAX);
    let counted = [answer.accepted, answer.duplicate, exceptions]
        .iter()
        .fold(0, |sum: u64, it| sum.saturating_add(*it));
    if u64::try_from(batch.items().len()) != Ok(counted) {
        return Err(wrong("its counts are not those of the batch"));
    }
    let mut items = Vec::with_capacity(answer.exceptions.len());
    if !answer.exceptions.is_empty() {
        let mut keys: HashMap<u64, &str> =
            batch.items().map(|item| (item.lsn.get(), item.key)).collect();
        for raw in answer.exceptions {
            let Object::<Exception>(exception) =
                serde_json::from_str(raw.get()).map_err(not_documented)?;
            // Taken out: one that is named twice stands for another, of which nothing is said.
            let key = keys
                .remove(&exception.lsn)
                .ok_or_else(|| wrong("it names an event twice, or one of another batch"))?;
            items.push((key.to_owned(), outcome(response, &exception, raw)));
        }
    }
    let mut reply = Reply::of(items);
    reply.rest = match (answer.accepted, answer.duplicate) {
        (0, 0) => None,
        (accepted, duplicate) if accepted >= duplicate => {
            Some(ItemOutcome::Accepted { receipt: None })
        }
        _ => Some(ItemOutcome::Duplicate { receipt: None }),
    };
    reply.mark = Some(answer.mark).filter(|mark| !mark.is_empty());
    Ok(reply)
}

/// What an answer says that confirms nothing.
pub(super) fn refused(response: &Response) -> Failure {
    problem::failure(response, &PROBLEMS)
}

/// What became of an event.
fn outcome(response: &Response, exception: &Exception, raw: &RawValue) -> ItemOutcome {
    let Exception { status, code, message, .. } = exception;
    let code = response.quoted(code, excerpt::CODE_BYTES_MAX);
    let message = response.quoted(message, excerpt::MESSAGE_BYTES_MAX);
    match status.as_str() {
        "rejected" => {
            let reply = response.quoted(raw.get(), excerpt::REPLY_BYTES_MAX).into_bytes();
            ItemOutcome::Rejected { code, message, reply }
        }
        "uncertain" => ItemOutcome::Uncertain { code, message },
        // Also what waits for another one of its lane, and what a newer upstream says.
        _ => ItemOutcome::Transient { code, retry_after_ms: response.retry_after_ms() },
    }
}
