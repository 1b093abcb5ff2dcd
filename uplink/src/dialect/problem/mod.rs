//! How an upstream says, in its own format, that it took nothing of a request.
//!
//! Between a terminal and its upstream others answer with the same statuses: proxies, firewalls, login pages,
//! gateways. So a status alone proves nothing; an answer is the upstream's when it is a problem document (RFC
//! 9457), by its type or by a `status`, whose `status`, if any, is the answer's own and whose `code` is one that
//! is documented for that status.

use onceward::sync::{Answered, Failure};
use serde::Deserialize;
use serde_json::Value;

use super::object::Object;
use super::{Response, form, status};
use crate::excerpt;

/// The status that proxies answer to a request over their limit.
const PAYLOAD_TOO_LARGE: u16 = 413;

/// What a problem means for the batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Meaning {
    /// An item breaks a rule: it must be found.
    Refused,
    /// Half of it may fit.
    TooLarge,
    /// The batch's own key is taken by other content: no item is at fault.
    BatchKey,
    /// Credentials or version: no item is at fault.
    Blocked,
    /// An earlier attempt is still at work.
    InProgress,
    /// Nothing is wrong with items or credentials; the same request may succeed later.
    Later,
    /// Another store went on with the history of this one: a person has to find out which of them is the terminal's.
    Forked,
    /// A server that speaks the format has no such route, or somebody on the way changed the request.
    Elsewhere,
}

/// A problem that a dialect documents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable name for programs.
    pub(crate) code: &'static str,
    /// What the problem means for the batch.
    pub(crate) meaning: Meaning,
}

/// A row of a dialect's table.
pub(crate) const fn known(status: u16, code: &'static str, meaning: Meaning) -> Known {
    Known { status, code, meaning }
}

/// The problems that an upstream of any dialect documents, besides those of single items.
pub(crate) const SHARED: [Known; 11] = [
    known(400, "NOT_JSON", Meaning::Refused),
    known(400, "BODY_INCOMPLETE", Meaning::Later),
    known(401, "UNAUTHORIZED", Meaning::Blocked),
    known(403, "FORBIDDEN", Meaning::Blocked),
    known(404, "NOT_FOUND", Meaning::Elsewhere),
    known(405, "METHOD_NOT_ALLOWED", Meaning::Elsewhere),
    known(408, "REQUEST_TIMEOUT", Meaning::Later),
    known(409, "REQUEST_IN_PROGRESS", Meaning::InProgress),
    known(413, "TOO_LARGE", Meaning::TooLarge),
    known(415, "UNSUPPORTED_MEDIA_TYPE", Meaning::Elsewhere),
    known(422, "INVALID_REQUEST", Meaning::Refused),
];

/// The members of a problem by RFC 9457, and `code`, by which it is extended here. A member of another type counts as
/// absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    /// The stable name for programs.
    code: Value,
    /// The HTTP status, again.
    status: Value,
    /// The words for people about this occurrence.
    detail: Value,
    /// The words for people about this kind of problem.
    title: Value,
}

/// A problem document that agrees with the answer around it.
pub(crate) struct Problem {
    /// The stable name for programs.
    pub(crate) code: String,
    /// The words for people.
    pub(crate) message: Option<String>,
}

impl Problem {
    /// Reads the problem in `response`, whoever wrote it; `None` if there is none.
    pub(crate) fn read(response: &Response) -> Option<Self> {
        if !form::may_be_json(response) {
            return None;
        }
        let Object::<Document>(document) = serde_json::from_slice(&response.body).ok()?;
        let Document { code, status, detail, title } = document;
        let is_given = match &status {
            Value::Null => form::is_problem(response),
            status => status.as_u64() == Some(u64::from(response.status)),
        };
        if !is_given {
            return None;
        }
        let text = |value: &Value, bytes_max| {
            let text = value.as_str().filter(|text| !text.trim().is_empty())?;
            Some(response.quoted(text, bytes_max))
        };
        let message = [detail, title].iter().find_map(|v| text(v, excerpt::MESSAGE_BYTES_MAX));
        Some(Self { code: text(&code, excerpt::CODE_BYTES_MAX)?, message })
    }
}

/// Reads what `response`, whose status is none that may confirm, says of the batch by [`SHARED`] and the dialect's own
/// table.
pub(crate) fn failure(response: &Response, own: &[Known]) -> Failure {
    let Some(problem) = Problem::read(response) else { return unrecognised(response) };
    let mut rows = SHARED.iter().chain(own);
    let row = rows.find(|row| row.status == response.status && row.code == problem.code);
    let Some(row) = row else {
        // A wish to wait is the upstream's own if the rest speaks its format; a code may be newer than this.
        return match status::is_for_now(response.status) {
            true => later(response, &problem),
            false => unrecognised(response),
        };
    };
    let Problem { code, message } = problem;
    match row.meaning {
        Meaning::Refused => {
            let message = message.unwrap_or_else(|| "the whole batch is refused".to_owned());
            Failure::Refused { code, message }
        }
        Meaning::BatchKey => {
            let message = message.unwrap_or_else(|| "the batch's key is taken".to_owned());
            Failure::BatchKeyRefused { code, message }
        }
        Meaning::TooLarge => Failure::TooLarge,
        Meaning::Blocked => {
            let what = status::meaning(response.status);
            Failure::Blocked { why: describe(response, what, &code, message.as_deref()) }
        }
        Meaning::InProgress => Failure::InProgress { retry_after_ms: response.retry_after_ms() },
        Meaning::Later => later(response, &Problem { code, message }),
        Meaning::Forked => {
            let what = "what it has of this store is not what this store has sent";
            Failure::Misdirected { why: describe(response, what, &code, message.as_deref()) }
        }
        Meaning::Elsewhere => {
            let what = status::meaning(response.status);
            Failure::Misdirected { why: describe(response, what, &code, message.as_deref()) }
        }
    }
}

/// The upstream has no answer for now.
fn later(response: &Response, problem: &Problem) -> Failure {
    let what = status::meaning(response.status);
    Failure::Unavailable {
        why: describe(response, what, &problem.code, problem.message.as_deref()),
        retry_after_ms: response.retry_after_ms(),
        answered: Answered::Upstream,
    }
}

/// An answer that is not in the upstream's own format. Whoever finds the request too large, fewer events may
/// get through there.
fn unrecognised(response: &Response) -> Failure {
    if response.status == PAYLOAD_TOO_LARGE {
        let (what, form) = (status::meaning(response.status), form::describe(response));
        return Failure::LineTooNarrow { why: format!("status 413: {what}; {form}") };
    }
    let what = match response.status {
        401 | 403 => "somebody asks for other credentials who does not answer as the upstream does",
        status => status::meaning(status),
    };
    status::not_recognised(response, what)
}

/// Status, what it means, and what the upstream says.
fn describe(response: &Response, what: &str, code: &str, message: Option<&str>) -> String {
    let status = response.status;
    match message {
        Some(message) => format!("status {status}: {what}; the upstream says {code}: {message}"),
        None => format!("status {status}: {what}; the upstream says {code}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
