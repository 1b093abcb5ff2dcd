//! The form of a Forloy answer: names, order and nesting are the dialect's, to the letter.

use serde::Serialize;

use crate::{
    apply::{Judged, Trouble},
    process::Decision,
    receipt::{CardType, TransactionReceipt},
    request_id::{self, RequestId},
};

/// The answer to a request.
#[derive(Serialize)]
pub(crate) struct Reply {
    /// Whether the request was worked on; true whatever became of its purchases.
    success: bool,
    /// What became of the purchases.
    data: Data,
    /// About the request.
    meta: Meta,
}

/// What became of the purchases.
#[derive(Serialize)]
struct Data {
    /// Number of purchases.
    total_count: usize,
    /// Number of purchases that are applied, now or before.
    success_count: usize,
    /// Number of purchases that are not applied.
    error_count: usize,
    /// The results, one for each purchase, in the order of the request.
    results: Vec<Entry>,
}

/// About the request.
#[derive(Serialize)]
struct Meta {
    /// The request's name.
    request_id: String,
    /// The moment of the answer.
    timestamp: String,
}

/// What became of one purchase.
#[derive(Serialize)]
pub(crate) struct Entry {
    /// The purchase's key.
    idempotency_key: String,
    /// What became of the purchase.
    result: Result,
}

/// What became of one purchase.
#[derive(Serialize)]
#[serde(untagged)]
enum Result {
    /// The purchase is applied.
    Done {
        /// Always `true`.
        success: bool,
        /// Whether the purchase was applied before this request.
        idempotent: bool,
        /// The transaction's name, the same each time.
        transaction_id: String,
        /// The card's type at the moment of the transaction.
        card_type: CardType,
    },
    /// The purchase is not applied.
    Failed {
        /// Always `false`.
        success: bool,
        /// The code that says what to do.
        error: &'static str,
        /// The sentence for people.
        message: &'static str,
    },
}

impl Reply {
    /// The answer made of `results`.
    pub(crate) fn new(results: Vec<Entry>, request_id: &RequestId) -> Self {
        let is_done = |entry: &&Entry| matches!(entry.result, Result::Done { .. });
        let total_count = results.len();
        let success_count = results.iter().filter(is_done).count();
        let error_count = total_count.saturating_sub(success_count);
        let request_id = request_id.as_str().to_owned();
        Self {
            success: true,
            data: Data { total_count, success_count, error_count, results },
            meta: Meta { request_id, timestamp: request_id::timestamp() },
        }
    }

    /// Whether any purchase is not applied.
    pub(crate) const fn has_errors(&self) -> bool {
        self.data.error_count > 0
    }
}

impl From<(String, Decision)> for Entry {
    fn from((idempotency_key, decision): (String, Decision)) -> Self {
        let result = match decision {
            Decision::Refused(refusal) => failed(refusal.code(), refusal.message()),
            Decision::Judged(Judged::Fresh(receipt)) => done(receipt, false),
            Decision::Judged(Judged::Duplicate(receipt)) => done(receipt, true),
            Decision::Judged(Judged::Conflict) => failed(
                "IDEMPOTENCY_KEY_REUSED",
                "The idempotency key was used for another transaction",
            ),
            Decision::Judged(Judged::OutcomeUnknown) => failed(
                "OUTCOME_UNKNOWN",
                "The transaction came before, and whether it was applied is lost: a person must find out",
            ),
            Decision::Judged(Judged::Failed(Trouble::Full)) => failed(
                "DATABASE_ERROR",
                "Storage full: the transaction could not be stored; send it again later",
            ),
            Decision::Judged(Judged::Failed(Trouble::Storage)) => {
                failed("DATABASE_ERROR", "The transaction could not be stored; send it again")
            }
            Decision::Judged(Judged::Failed(Trouble::Internal)) => internal_error(),
        };
        Self { idempotency_key, result }
    }
}

/// A purchase that is applied.
fn done(receipt: TransactionReceipt, idempotent: bool) -> Result {
    let TransactionReceipt { transaction_id, card_type } = receipt;
    // Every purchase uses a card: a receipt without a type is not one of a purchase.
    card_type.map_or_else(internal_error, |card_type| Result::Done {
        success: true,
        idempotent,
        transaction_id,
        card_type,
    })
}

/// A purchase that is not applied.
const fn failed(error: &'static str, message: &'static str) -> Result {
    Result::Failed { success: false, error, message }
}

/// A purchase that the hub failed at.
const fn internal_error() -> Result {
    failed("INTERNAL_ERROR", "An unexpected error occurred; send the transaction again")
}
