//! What a status means before anybody looks for items.

use onceward::sync::{Answered, Failure};
use serde::Deserialize;

use super::Response;
use crate::excerpt;

/// What the status alone says, or `None` if the body may hold answers by item.
///
/// | status        | failure       | because                                                    |
/// |---------------|---------------|------------------------------------------------------------|
/// | 200, 207      | none          | the only ones that may confirm                             |
/// | 400, 422      | `Refused`     | an item is poison: it must be found                        |
/// | 401, 403, 426 | `Blocked`     | credentials or version: no item is at fault                |
/// | 409           | `InProgress`  | an earlier attempt is still at work                        |
/// | 413           | `TooLarge`    | half of it may fit                                         |
/// | anything else | `Unavailable` | proves nothing: 202, 204, redirects, 408, 425, 429, 5xx ... |
pub(crate) fn failure(response: &Response) -> Option<Failure> {
    let retry_after_ms = response.retry_after_ms();
    match response.status {
        200 | 207 => None,
        400 | 422 => Some(refused(response)),
        401 | 403 | 426 => Some(Failure::Blocked { why: why(response, blocked(response.status)) }),
        409 => Some(Failure::InProgress { retry_after_ms }),
        413 => Some(Failure::TooLarge),
        status => {
            let why = why(response, unavailable(status));
            Some(Failure::Unavailable { why, retry_after_ms, answered: Answered::Stranger })
        }
    }
}

/// A body that had to hold answers by item, and does not.
pub(crate) fn malformed(response: &Response, what: &str) -> Failure {
    Failure::Unavailable {
        why: why(response, what),
        retry_after_ms: response.retry_after_ms(),
        answered: Answered::Stranger,
    }
}

/// Status, what is wrong, and the start of the body.
fn why(response: &Response, what: &str) -> String {
    let status = response.status;
    if response.body.is_empty() {
        format!("status {status}: {what}; the body is empty")
    } else {
        format!("status {status}: {what}; the body starts with {}", response.excerpt())
    }
}

/// What a status means that blocks.
fn blocked(status: u16) -> &'static str {
    match status {
        401 => "the key is missing, wrong or expired",
        403 => "the key may not do this",
        _ => "the upstream asks for another version",
    }
}

/// What a status means that confirms nothing.
fn unavailable(status: u16) -> &'static str {
    match status {
        200..=299 => "it confirms no item",
        300..=399 => "a redirect, which is not followed",
        408 | 504 => "the upstream or a proxy timed out",
        429 => "too many requests",
        404 | 405 => "there is no such route: is the address right?",
        400..=499 => "the upstream refused in an undocumented way",
        _ => "the upstream failed",
    }
}

/// What RFC 9457 and the habits around it say about a refusal. Everything is optional, and members
/// of another type count as absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    /// A short name, where the upstream extends the problem by one.
    code: serde_json::Value,
    /// The same in older habits: a name, or an object with `code` and `message`.
    error: serde_json::Value,
    /// For people, about this occurrence.
    detail: serde_json::Value,
    /// The same in older habits.
    message: serde_json::Value,
    /// For people, about this kind of problem.
    title: serde_json::Value,
}

/// The whole batch was refused: code and message from the body, as far as it has them.
fn refused(response: &Response) -> Failure {
    let problem: Problem = serde_json::from_slice(&response.body).unwrap_or_default();
    let (nested_code, nested_message) = (problem.error.get("code"), problem.error.get("message"));
    let code = first_text([Some(&problem.code), Some(&problem.error), nested_code]);
    let message = first_text([
        Some(&problem.detail),
        Some(&problem.message),
        nested_message,
        Some(&problem.title),
    ]);
    Failure::Refused {
        code: code.map_or_else(
            || format!("HTTP_{}", response.status),
            |code| response.quoted(code, excerpt::CODE_BYTES_MAX),
        ),
        message: message.map_or_else(
            || why(response, "the whole batch is refused"),
            |message| response.quoted(message, excerpt::MESSAGE_BYTES_MAX),
        ),
    }
}

/// The first of `candidates` that is a text with something in it.
fn first_text<const COUNT: usize>(candidates: [Option<&serde_json::Value>; COUNT]) -> Option<&str> {
    candidates
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .find(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure's name, for a table.
    fn name(failure: Option<&Failure>) -> &'static str {
        match failure {
            None => "none",
            Some(Failure::Unavailable { .. }) => "unavailable",
            Some(Failure::Blocked { .. }) => "blocked",
            Some(Failure::TooLarge) => "too_large",
            Some(Failure::ReplyTooLarge { .. }) => "reply_too_large",
            Some(Failure::Refused { .. }) => "refused",
            Some(Failure::InProgress { .. }) => "in_progress",
            Some(Failure::BatchKeyRefused { .. }) => "batch_key_refused",
        }
    }

    #[test]
    fn every_status_has_the_meaning_of_the_table() {
        for status in 100..=999 {
            let expected = match status {
                200 | 207 => "none",
                400 | 422 => "refused",
                401 | 403 | 426 => "blocked",
                409 => "in_progress",
                413 => "too_large",
                _ => "unavailable",
            };
            let failure = failure(&Response::new(status, "{}"));
            assert_eq!(name(failure.as_ref()), expected, "status {status}");
        }
    }

    #[test]
    fn retry_after_is_passed_on_where_it_can_matter() {
        for (status, header, expected) in [
            (429, "7", Some(7_000)),
            (503, "999999999999", Some(3_600_000)),
            (503, "-7", None),
            (409, "2", Some(2_000)),
        ] {
            let response = Response::new(status, "").with_retry_after(header);
            let found = match failure(&response).unwrap() {
                Failure::Unavailable { retry_after_ms, .. }
                | Failure::InProgress { retry_after_ms } => retry_after_ms,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "status {status}, Retry-After: {header}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_problem_document_says() {
        let table = [
            (
                r#"{"code":"RULE","detail":"transactions[3]","title":"t"}"#,
                "RULE",
                "transactions[3]",
            ),
            (r#"{"error":"RULE","message":"said so"}"#, "RULE", "said so"),
            (r#"{"error":{"code":"RULE","message":"said so"}}"#, "RULE", "said so"),
            (r#"{"type":"about:blank","title":"Bad","detail":7}"#, "HTTP_422", "Bad"),
        ];
        for (body, expected_code, expected_message) in table {
            let Some(Failure::Refused { code, message }) = failure(&Response::new(422, body))
            else {
                panic!("not refused: {body}");
            };
            assert_eq!((code.as_str(), message.as_str()), (expected_code, expected_message));
        }
    }

    #[test]
    fn a_refusal_without_a_problem_document_shows_the_start_of_the_body() {
        for body in ["<html>no</html>", "null", "[]", "7"] {
            let Some(Failure::Refused { code, message }) = failure(&Response::new(400, body))
            else {
                panic!("not refused: {body}");
            };
            assert_eq!(code, "HTTP_400");
            assert!(message.contains(&format!("\"{body}\"")), "{message}");
        }
    }
}
