//! What an answer is read as, in words.

use onceward::sync::{Answered, Failure, ItemOutcome};

/// What becomes of an event.
pub(super) fn outcome(outcome: &ItemOutcome) -> String {
    let with = |receipt: &Option<onceward::Receipt>| match receipt {
        Some(receipt) => format!(", receipt {}", String::from_utf8_lossy(receipt.as_bytes())),
        None => String::new(),
    };
    match outcome {
        ItemOutcome::Accepted { receipt } => format!("accepted{}", with(receipt)),
        ItemOutcome::Duplicate { receipt } => format!("duplicate{}", with(receipt)),
        ItemOutcome::Rejected { code, message, .. } => {
            format!("rejected, it goes to review: {code}: {message}")
        }
        ItemOutcome::Uncertain { code, message } => {
            format!("uncertain, a person must find out: {code}: {message}")
        }
        ItemOutcome::Transient { code, retry_after_ms } => {
            format!("transient, it is sent again{}: {code}", wait(*retry_after_ms))
        }
    }
}

/// What becomes of the request as a whole.
pub(super) fn described(failure: &Failure) -> String {
    match failure {
        Failure::Unavailable { why, retry_after_ms, answered } => {
            let who = match answered {
                Answered::Upstream => "the upstream has no answer for now",
                _ => "this proves nothing: it is a failure of the line",
            };
            format!("request: {who}, it is sent again{}: {why}", wait(*retry_after_ms))
        }
        Failure::Blocked { why } => format!("request: blocked, sending pauses: {why}"),
        Failure::TooLarge => "request: too large, it is halved".to_owned(),
        Failure::LineTooNarrow { why } | Failure::ReplyTooLarge { why } => {
            format!("request: too large for the line, it is halved: {why}")
        }
        Failure::Refused { code, message } => {
            format!("request: refused, the event at fault is looked for: {code}: {message}")
        }
        Failure::BatchKeyRefused { code, message } => {
            format!("request: the batch's key is refused, it is formed anew: {code}: {message}")
        }
        Failure::InProgress { retry_after_ms } => {
            format!("request: in progress, it is asked again{}", wait(*retry_after_ms))
        }
        other => format!("request: {other:?}"),
    }
}

/// The wish of whoever answered.
fn wait(retry_after_ms: Option<u64>) -> String {
    retry_after_ms.map(|ms| format!(" after {ms} ms")).unwrap_or_default()
}
