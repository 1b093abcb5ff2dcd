//! The parts that the two dialects share in reading an answer by item.

use onceward::Receipt;
use onceward::sync::ItemOutcome;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Response;
use crate::excerpt;

/// The codes that say "failed for now" in both dialects.
const TRANSIENT_CODES: [&str; 2] = ["INTERNAL_ERROR", "DATABASE_ERROR"];

/// The code that says "it came before, and nobody knows whether it took effect" in both dialects.
pub(crate) const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// Whether an item that failed with `code` may succeed later, by what both dialects document.
pub(crate) fn is_transient(code: &str) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// The receipt that `text` makes, or none if a store could not keep it: a receipt is evidence for
/// people, and no reason to send an item again.
pub(crate) fn receipt(text: Option<&str>) -> Option<Receipt> {
    text.filter(|text| !text.is_empty()).and_then(|text| Receipt::new(text.as_bytes()).ok())
}

/// Reads one part of an answer strictly: a wrong type anywhere in it fails.
pub(crate) fn part<T: DeserializeOwned>(raw: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

/// An item that was refused for good, with `raw`, the upstream's words about it.
pub(crate) fn rejected(
    response: &Response,
    code: &str,
    message: &str,
    raw: &RawValue,
) -> ItemOutcome {
    ItemOutcome::Rejected {
        code: response.quoted(code, excerpt::CODE_BYTES_MAX),
        message: response.quoted(message, excerpt::MESSAGE_BYTES_MAX),
        reply: response.quoted(raw.get(), excerpt::REPLY_BYTES_MAX).into_bytes(),
    }
}

/// An item of which the upstream does not know whether it took effect.
pub(crate) fn uncertain(response: &Response, message: &str) -> ItemOutcome {
    ItemOutcome::Uncertain {
        code: OUTCOME_UNKNOWN.to_owned(),
        message: response.quoted(message, excerpt::MESSAGE_BYTES_MAX),
    }
}

/// An item that failed for now, or in a way that proves nothing.
pub(crate) fn transient(response: &Response, code: &str) -> ItemOutcome {
    ItemOutcome::Transient {
        code: response.quoted(code, excerpt::CODE_BYTES_MAX),
        retry_after_ms: response.retry_after_ms(),
    }
}
