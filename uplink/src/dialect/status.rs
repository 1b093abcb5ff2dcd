//! The meaning of a status for people, and what becomes of an answer that the dialect does not recognise.

use onceward::sync::{Answered, Failure};

use super::{Response, form};

/// Whether only this status may confirm items: the body holds answers by item.
pub(crate) fn may_confirm(status: u16) -> bool {
    matches!(status, 200 | 207)
}

/// Whether a status says that it is only for now, whoever says it.
pub(crate) fn is_for_now(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=510 | 512..=599)
}

/// The meaning of a status, in words.
pub(crate) fn meaning(status: u16) -> &'static str {
    match status {
        202 => "it is taken for later, and confirms no item",
        200..=299 => "it confirms no item",
        300..=399 => "a redirect, which is not followed",
        400 | 422 => "the request is refused",
        401 => "the key is missing, wrong or expired",
        403 => "the key may not do this",
        404 | 405 => "there is no such route: is the address right?",
        407 => "the proxy asks for credentials",
        408 | 504 => "the upstream or a proxy timed out",
        409 => "the same is being worked on",
        413 => "the request is too large",
        415 => "the request's type is refused",
        421 => "it reached a server that does not serve this address",
        426 => "the upstream asks for another version",
        429 => "too many requests",
        451 => "it is refused for legal reasons",
        511 => "the network asks for a login first",
        400..=499 => "it is refused in an undocumented way",
        _ => "the upstream failed",
    }
}

/// An answer that does not come in the upstream's own format, whatever its status: `what` says how.
///
/// Nobody's credentials and no item are at fault: the line is. Who says that it is only for now may well be a
/// proxy before the upstream; anything else was said by somebody who is not the upstream.
pub(crate) fn not_recognised(response: &Response, what: &str) -> Failure {
    let answered = if is_for_now(response.status) { Answered::Nobody } else { Answered::Stranger };
    let form = form::describe(response);
    Failure::Unavailable {
        why: format!("status {}: {what}; {form}", response.status),
        retry_after_ms: response.retry_after_ms(),
        answered,
    }
}
