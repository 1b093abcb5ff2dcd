//! From an answer to outcomes by key.

use onceward::sync::{Failure, ItemOutcome, Reply};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::answer::{OUTCOME_UNKNOWN, is_transient, part, rejected, transient, uncertain};
use crate::dialect::object::Object;
use crate::dialect::problem::{Known, Meaning, known};
use crate::dialect::{Response, problem, status};

/// The problems that only an upstream of this dialect documents: those of the key that a batch has here.
const PROBLEMS: [Known; 2] = [
    // The batch's key is well-formed: somebody on the way changed it.
    known(400, "INVALID_IDEMPOTENCY_KEY", Meaning::Elsewhere),
    known(422, "IDEMPOTENCY_KEY_REUSED", Meaning::BatchKey),
];

/// The code of a rejection that gives no reason: final, as it says, and for a person to look at.
const NO_REASON: &str = "REASON_MISSING";
/// The code of an item whose status nobody documented.
const UNKNOWN_STATUS: &str = "UNKNOWN_STATUS";

/// The message about an event that came before and of which nobody knows more; the upstream has no words.
const UNKNOWN_WORDS: &str = "the upstream knows the key, and not whether the event took effect";

/// The answer.
#[derive(Deserialize)]
struct Answer<'a> {
    /// The counts and results.
    #[serde(borrow)]
    data: Object<Data<'a>>,
}

/// The counts and results of an answer. The counts are always there; that they agree with the list is not
/// asked for, because items are matched by key and one that is missing just stays pending.
#[derive(Deserialize)]
struct Data<'a> {
    /// The name under which the batch can be asked for.
    #[serde(rename = "batch_id")]
    _batch_id: String,
    /// `processing` or `completed`.
    status: String,
    /// Events that took effect, now or earlier.
    #[serde(rename = "accepted")]
    _accepted: u64,
    /// Events that did not.
    #[serde(rename = "rejected")]
    _rejected: u64,
    /// The results, one for each event, as they were spelled: a review item keeps its own. Not there yet while the
    /// batch is being processed.
    #[serde(borrow)]
    events: Option<Vec<&'a RawValue>>,
}

/// What became of one event.
#[derive(Deserialize)]
struct Entry {
    /// The event's key.
    idempotency_key: String,
    /// `accepted`, `duplicate` or `rejected`.
    status: String,
    /// Why the event was rejected.
    reason: Option<String>,
}

/// Reads what `response` proves.
pub(super) fn decode(response: &Response) -> Result<Reply, Failure> {
    if !status::may_confirm(response.status) {
        return Err(problem::failure(response, &PROBLEMS));
    }
    let not_documented = |found: serde_json::Error| {
        status::not_recognised(response, &format!("not the documented answer ({found})"))
    };
    let Object::<Answer<'_>>(answer) =
        serde_json::from_slice(&response.body).map_err(not_documented)?;
    let Object(data) = answer.data;
    let events = match (data.status.as_str(), data.events) {
        ("processing", _) => {
            return Err(Failure::InProgress { retry_after_ms: response.retry_after_ms() });
        }
        ("completed", Some(events)) => events,
        ("completed", None) => return Err(status::not_recognised(response, "it has no events")),
        (_, _) => return Err(status::not_recognised(response, "the batch has an unknown status")),
    };
    let mut items = Vec::with_capacity(events.len());
    for raw in events {
        let Object::<Entry>(entry) = part(raw).map_err(not_documented)?;
        let outcome = judge(response, &entry, raw);
        items.push((entry.idempotency_key, outcome));
    }
    Ok(Reply::of(items))
}

/// Reads what one entry proves.
fn judge(response: &Response, entry: &Entry, raw: &RawValue) -> ItemOutcome {
    match entry.status.as_str() {
        "accepted" => ItemOutcome::Accepted { receipt: None },
        "duplicate" => ItemOutcome::Duplicate { receipt: None },
        "rejected" => match entry.reason.as_deref().filter(|reason| !reason.trim().is_empty()) {
            Some(OUTCOME_UNKNOWN) => uncertain(response, UNKNOWN_WORDS),
            Some(reason) if is_transient(reason) => transient(response, reason),
            Some(reason) => rejected(response, reason, reason, raw),
            None => rejected(response, NO_REASON, "", raw),
        },
        _ => transient(response, UNKNOWN_STATUS),
    }
}
