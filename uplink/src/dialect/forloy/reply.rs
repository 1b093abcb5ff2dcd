//! From an answer to outcomes by key.

use onceward::sync::{Failure, ItemOutcome, Reply};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::answer::{OUTCOME_UNKNOWN, part, receipt, rejected, transient, uncertain};
use crate::dialect::object::Object;
use crate::dialect::{Response, problem, status};

/// Codes that no later attempt can change.
const PERMANENT_CODES: [&str; 3] = ["CARD_NOT_FOUND", "CARD_INACTIVE", "IDEMPOTENCY_KEY_REUSED"];

/// The code of a failure that names none.
const NO_CODE: &str = "ERROR_MISSING";
/// The code of a success that names an error too.
const CONTRADICTION: &str = "CONTRADICTION";

/// The answer.
#[derive(Deserialize)]
struct Answer<'a> {
    /// Whether the request as a whole was handled.
    success: bool,
    /// The counts and results.
    #[serde(borrow)]
    data: Object<Data<'a>>,
}

/// The counts and results of an answer. The counts are always there; that they agree with the list is not
/// asked for, because items are matched by key and one that is missing just stays pending.
#[derive(Deserialize)]
struct Data<'a> {
    /// Transactions in the request.
    #[serde(rename = "total_count")]
    _total: u64,
    /// Transactions that succeeded.
    #[serde(rename = "success_count")]
    _succeeded: u64,
    /// Transactions that failed.
    #[serde(rename = "error_count")]
    _failed: u64,
    /// The results, one for each transaction.
    #[serde(borrow)]
    results: Vec<Object<Entry<'a>>>,
}

/// What became of one transaction.
#[derive(Deserialize)]
struct Entry<'a> {
    /// The transaction's key.
    idempotency_key: String,
    /// What became of the transaction, as it was spelled: a review item keeps it.
    #[serde(borrow)]
    result: &'a RawValue,
}

/// The inside of a result.
#[derive(Deserialize)]
struct Outcome {
    /// Whether the transaction took effect, now or earlier.
    success: bool,
    /// Whether the transaction had taken effect earlier. Always there on success.
    idempotent: Option<bool>,
    /// The upstream's number for the transaction.
    transaction_id: Option<String>,
    /// Why the transaction failed, as a code.
    error: Option<String>,
    /// Why the transaction failed, for people.
    message: Option<String>,
}

/// Reads what `response` proves.
pub(super) fn decode(response: &Response) -> Result<Reply, Failure> {
    if !status::may_confirm(response.status) {
        return Err(problem::failure(response, &[]));
    }
    let not_documented = |found: serde_json::Error| {
        status::not_recognised(response, &format!("not the documented answer ({found})"))
    };
    let Object::<Answer<'_>>(answer) =
        serde_json::from_slice(&response.body).map_err(not_documented)?;
    if !answer.success {
        return Err(status::not_recognised(response, "the answer says that it is no success"));
    }
    let Object(data) = answer.data;
    let mut items = Vec::with_capacity(data.results.len());
    for Object(entry) in data.results {
        let Object::<Outcome>(outcome) = part(entry.result).map_err(not_documented)?;
        let outcome = judge(response, &outcome, entry.result).ok_or_else(|| {
            status::not_recognised(response, "a success does not say whether it is idempotent")
        })?;
        items.push((entry.idempotency_key, outcome));
    }
    Ok(Reply::of(items))
}

/// Reads what one result proves, or `None` if it is incomplete.
fn judge(response: &Response, outcome: &Outcome, raw: &RawValue) -> Option<ItemOutcome> {
    if !outcome.success {
        return Some(failed(response, outcome, raw));
    }
    let receipt = receipt(outcome.transaction_id.as_deref());
    match (outcome.idempotent?, &outcome.error) {
        (_, Some(_)) => Some(transient(response, CONTRADICTION)),
        (false, None) => Some(ItemOutcome::Accepted { receipt }),
        (true, None) => Some(ItemOutcome::Duplicate { receipt }),
    }
}

/// A failure: for good only where the code is documented so, for now otherwise.
fn failed(response: &Response, outcome: &Outcome, raw: &RawValue) -> ItemOutcome {
    let code = outcome.error.as_deref().unwrap_or(NO_CODE);
    if PERMANENT_CODES.contains(&code) {
        return rejected(response, code, outcome.message.as_deref().unwrap_or_default(), raw);
    }
    if code == OUTCOME_UNKNOWN {
        return uncertain(response, outcome.message.as_deref().unwrap_or_default());
    }
    transient(response, code)
}
