//! What the answer to a published message means.

use onceward::Receipt;
use onceward::sync::{Answered, Failure, ItemOutcome};
use serde::Deserialize;

use super::api::ApiError;

/// Longest receipt, bytes.
const RECEIPT_BYTES_MAX: usize = 64;

/// What was said of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// Of the event.
    Outcome(ItemOutcome),
    /// Of everything that is sent there.
    Failed(Failure),
}

/// The document by which a stream answers a message.
#[derive(Deserialize)]
struct Ack {
    stream: Option<String>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

/// What an answer means for a message that was meant for `stream`.
pub(super) fn told(stream: &str, body: &[u8]) -> Told {
    let Ok(ack) = serde_json::from_slice::<Ack>(body) else {
        return unclear("the answer is no publish ack");
    };
    if let Some(error) = &ack.error {
        return refused(error);
    }
    match (ack.stream, ack.seq) {
        (Some(named), _) if named != stream => {
            let why = format!("stream {named:?} took the message, and {stream:?} was meant");
            Told::Failed(Failure::Misdirected { why })
        }
        (Some(_), Some(seq)) if seq > 0 => {
            let receipt = receipt(stream, seq);
            Told::Outcome(if ack.duplicate {
                ItemOutcome::Duplicate { receipt }
            } else {
                ItemOutcome::Accepted { receipt }
            })
        }
        // A copy of it is on its way into the stream, and has no number yet.
        _ if ack.duplicate => transient("DUPLICATE_UNDER_WAY".to_owned()),
        _ => unclear("the publish ack names no stream, or no message in it"),
    }
}

/// An event that is never taken as it is.
pub(super) fn rejected(code: &str, message: String) -> Told {
    Told::Outcome(ItemOutcome::Rejected { code: code.to_owned(), message, reply: Vec::new() })
}

/// An event that is sent again.
fn transient(code: String) -> Told {
    Told::Outcome(ItemOutcome::Transient { code, retry_after_ms: None })
}

/// An answer that proves nothing.
fn unclear(why: &str) -> Told {
    let (why, answered) = (why.to_owned(), Answered::Stranger);
    Told::Failed(Failure::Unavailable { why, retry_after_ms: None, answered })
}

/// What a refusal means, by its number.
fn refused(error: &ApiError) -> Told {
    match error.err_code {
        // Larger than the stream's messages may be; headers over 64 KiB.
        10_054 | 10_097 => rejected("MESSAGE_TOO_LARGE", error.to_string()),
        // No JetStream for this account, or on this server; another stream has the subject.
        10_039 | 10_060 | 10_076 => Told::Failed(Failure::Misdirected { why: error.to_string() }),
        // Limits of the stream, the account, the server.
        10_002 | 10_023 | 10_028 | 10_047 | 10_077 => transient("STREAM_FULL".to_owned()),
        0 => transient(format!("JS_{}", error.code)),
        code => transient(format!("JS_{code}")),
    }
}

/// `STREAM:NUMBER`, of a long name its beginning.
fn receipt(stream: &str, seq: u64) -> Option<Receipt> {
    let number = format!(":{seq}");
    let name = stream.get(..stream.len().min(RECEIPT_BYTES_MAX - number.len())).unwrap_or_default();
    Receipt::new(format!("{name}{number}").as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> ItemOutcome {
        match told("SALES", body.as_bytes()) {
            Told::Outcome(outcome) => outcome,
            Told::Failed(failure) => panic!("{failure:?}"),
        }
    }

    fn failure(body: &str) -> Failure {
        match told("SALES", body.as_bytes()) {
            Told::Failed(failure) => failure,
            Told::Outcome(outcome) => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn only_a_whole_ack_of_the_stream_that_was_meant_confirms() {
        let receipt = Some(Receipt::new(b"SALES:7").unwrap());
        let accepted = outcome(r#"{"stream":"SALES","seq":7}"#);
        assert_eq!(accepted, ItemOutcome::Accepted { receipt: receipt.clone() });
        let known = outcome(r#"{"stream":"SALES","seq":7,"duplicate":true,"domain":"hub"}"#);
        assert_eq!(known, ItemOutcome::Duplicate { receipt });
        for nothing in [
            "",
            "{}",
            "+OK",
            r#"{"stream":"SALES"}"#,
            r#"{"seq":7}"#,
            r#"{"stream":"SALES","seq":0}"#,
            r#"{"stream":"SALES","seq":-1}"#,
            r#"{"stream":"SALES","seq":7"#,
        ] {
            assert!(matches!(failure(nothing), Failure::Unavailable { .. }), "{nothing}");
        }
        assert!(matches!(failure(r#"{"stream":"OTHER","seq":7}"#), Failure::Misdirected { .. }));
        let under_way = outcome(r#"{"stream":"SALES","seq":0,"duplicate":true}"#);
        assert!(matches!(under_way, ItemOutcome::Transient { .. }));
    }

    #[test]
    fn refusals_mean_what_their_number_says_and_never_confirm() {
        let refusal = |code: u64| {
            format!(
                r#"{{"stream":"SALES","seq":7,"error":{{"code":503,"err_code":{code},"description":"no"}}}}"#
            )
        };
        for (number, code) in [(10_077, "STREAM_FULL"), (10_071, "JS_10071"), (0, "JS_503")] {
            let expected = ItemOutcome::Transient { code: code.to_owned(), retry_after_ms: None };
            assert_eq!(outcome(&refusal(number)), expected);
        }
        assert!(
            matches!(outcome(&refusal(10_054)), ItemOutcome::Rejected { code, .. } if code == "MESSAGE_TOO_LARGE")
        );
        assert!(matches!(failure(&refusal(10_060)), Failure::Misdirected { .. }));
    }

    #[test]
    fn the_receipt_of_a_stream_with_a_long_name_has_the_whole_number() {
        let receipt = receipt(&"s".repeat(255), u64::MAX).unwrap();
        assert_eq!(receipt.as_bytes().len(), 64);
        assert!(receipt.as_bytes().ends_with(b":18446744073709551615"));
    }
}
