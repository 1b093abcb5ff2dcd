//! Answers that refuse: `application/problem+json` of RFC 9457.
//!
//! A [`Problem`] travels in the response's extensions and is written out at the outermost layer, which
//! alone knows the request's id. So a handler, a fallback and a limit all refuse in the same shape.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::request_id::RequestId;

/// One way to be refused. The names are part of the interface: never change or reuse one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    /// The body is not JSON.
    NotJson,
    /// The request is no slice of a segment stream.
    InvalidSlice,
    /// The body ended early.
    BodyIncomplete,
    /// The `Idempotency-Key` header is malformed.
    InvalidIdempotencyKey,
    /// The batch id in the path is malformed.
    InvalidBatchId,
    /// The request has no valid key.
    Unauthorized,
    /// There is no such route.
    NotFound,
    /// There is no such batch.
    BatchNotFound,
    /// The route exists, but not for this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The same request is being worked on.
    InProgress,
    /// Another store went on with the history of this one.
    HistoryForked,
    /// Too many bytes.
    TooLarge,
    /// The body is not `application/json`, or is compressed.
    UnsupportedMediaType,
    /// JSON that breaks a rule.
    InvalidRequest,
    /// The `Idempotency-Key` was used for another body.
    IdempotencyKeyReused,
    /// A defect of the hub.
    Internal,
    /// The store refused.
    Database,
    /// The batch before this one did not come.
    PredecessorMissing,
    /// The store is full.
    Full,
    /// Too many requests at once.
    Overloaded,
}

/// The documentation of a [`Code`].
pub(crate) struct Row {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The stable name for programs; in lower case with hyphens it ends the `type`.
    pub(crate) code: &'static str,
    /// The short sentence for people.
    pub(crate) title: &'static str,
    /// Whether and how the same request may succeed later.
    pub(crate) advice: &'static str,
}

/// Advice where only another request can succeed.
const FIX: &str = "Change the request: the same one fails the same way. Nothing was applied.";
/// Advice where the same request may succeed.
const RETRY: &str =
    "Send the same request again later, with the same keys: what was applied is not applied again.";

impl Code {
    /// Every code, in the order of the statuses.
    pub(crate) const ALL: [Self; 21] = [
        Self::NotJson,
        Self::InvalidSlice,
        Self::BodyIncomplete,
        Self::InvalidIdempotencyKey,
        Self::InvalidBatchId,
        Self::Unauthorized,
        Self::NotFound,
        Self::BatchNotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::InProgress,
        Self::HistoryForked,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidRequest,
        Self::IdempotencyKeyReused,
        Self::Internal,
        Self::Database,
        Self::PredecessorMissing,
        Self::Full,
        Self::Overloaded,
    ];

    /// The documentation of this code.
    #[expect(clippy::too_many_lines, reason = "one table, a row for each code")]
    pub(crate) const fn row(self) -> Row {
        use StatusCode as S;
        let (status, code, title, advice) = match self {
            Self::NotJson => (S::BAD_REQUEST, "NOT_JSON", "The body is not JSON", FIX),
            Self::InvalidSlice => {
                (S::BAD_REQUEST, "INVALID_SLICE", "The request is no slice of a stream", FIX)
            }
            Self::BodyIncomplete => {
                (S::BAD_REQUEST, "BODY_INCOMPLETE", "The body ended early", RETRY)
            }
            Self::InvalidIdempotencyKey => (
                S::BAD_REQUEST,
                "INVALID_IDEMPOTENCY_KEY",
                "The Idempotency-Key header is malformed",
                FIX,
            ),
            Self::InvalidBatchId => {
                (S::BAD_REQUEST, "INVALID_BATCH_ID", "The batch id is malformed", FIX)
            }
            Self::Unauthorized => (
                S::UNAUTHORIZED,
                "UNAUTHORIZED",
                "A valid key is needed",
                "Send `Authorization: Bearer KEY` with a valid key. Nothing was applied.",
            ),
            Self::NotFound => (S::NOT_FOUND, "NOT_FOUND", "There is no such route", FIX),
            Self::BatchNotFound => (
                S::NOT_FOUND,
                "BATCH_NOT_FOUND",
                "There is no such batch",
                "The batch never arrived or is no longer kept. Sending it again is safe.",
            ),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "The route does not know this method",
                FIX,
            ),
            Self::RequestTimeout => {
                (S::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The body did not arrive in time", RETRY)
            }
            Self::InProgress => {
                (S::CONFLICT, "REQUEST_IN_PROGRESS", "The same request is being worked on", RETRY)
            }
            Self::HistoryForked => (
                S::CONFLICT,
                "HISTORY_FORKED",
                "Another store went on with this history",
                "Find out which of the stores is the terminal's. Nothing was applied. With `Onceward-Fork: accepted` the \
                 events of this one are applied each under its own key.",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "TOO_LARGE", "The request is too large", FIX),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "The body must be plain application/json",
                FIX,
            ),
            Self::InvalidRequest => {
                (S::UNPROCESSABLE_ENTITY, "INVALID_REQUEST", "The request breaks a rule", FIX)
            }
            Self::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "The Idempotency-Key was used for another request",
                FIX,
            ),
            Self::Internal => {
                (S::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "The hub made a mistake", RETRY)
            }
            Self::Database => {
                (S::SERVICE_UNAVAILABLE, "DATABASE_ERROR", "The store did not answer", RETRY)
            }
            Self::PredecessorMissing => (
                S::SERVICE_UNAVAILABLE,
                "PREDECESSOR_MISSING",
                "The batch before this one did not come",
                RETRY,
            ),
            Self::Full => (S::SERVICE_UNAVAILABLE, "FULL", "The storage is full", RETRY),
            Self::Overloaded => {
                (S::SERVICE_UNAVAILABLE, "OVERLOADED", "Too many requests at once", RETRY)
            }
        };
        Row { status, code, title, advice }
    }

    /// The last part of the `type`: the code in lower case with hyphens.
    pub(crate) fn name(self) -> String {
        self.row().code.to_ascii_lowercase().replace('_', "-")
    }

    /// The code of a `type`'s last part.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// Why a request is refused as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The code of the problem.
    code: Code,
    /// What is wrong with this request.
    detail: String,
    /// The fields that are at fault.
    errors: Vec<Fault>,
    /// After how many seconds to ask again.
    retry_after_s: Option<u32>,
}

/// The members of the problem document, in the order of RFC 9457, then ours.
#[derive(Serialize)]
struct Document<'a> {
    /// Where the problem is explained, relative to the hub.
    #[serde(rename = "type")]
    kind: String,
    /// See [`Row::title`].
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: &'a str,
    /// See [`Row::code`].
    code: &'a str,
    /// The request's name.
    request_id: &'a str,
    /// The fields that are at fault.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

impl Problem {
    /// A problem that `detail` explains.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after_s: None }
    }

    /// Names the fields that are at fault.
    pub(crate) fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// Adds when the client should ask again.
    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The code of the problem.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// The problem document.
    fn document(&self, request_id: &RequestId) -> String {
        let row = self.code.row();
        let document = Document {
            kind: format!("/problems/{}", self.code.name()),
            title: row.title,
            status: row.status.as_u16(),
            detail: &self.detail,
            code: row.code,
            request_id: request_id.as_str(),
            errors: &self.errors,
        };
        // Texts and numbers always encode; an empty body would still carry the right status.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.row().status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer realm=\"onceward\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(self.code, Code::TooLarge | Code::RequestTimeout) {
            // Bytes of this request may still be on their way: they must not be read as the next one.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A field that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Fault {
    /// Path of the field, for example `transactions[3].location_id`.
    pub(crate) field: String,
    /// What is wrong, as the end of a sentence that begins with the field.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

/// Writes out the problem that `response` carries, if it carries one.
pub(crate) fn write_out(response: Response, request_id: &RequestId) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let kind = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(header::CONTENT_TYPE, kind);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.document(request_id)))
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_is_found_by_its_name_and_no_two_share_one() {
        for code in Code::ALL {
            assert_eq!(Code::named(&code.name()), Some(code), "{code:?}");
        }
        assert_eq!(Code::named("no-such-problem"), None);
    }

    #[test]
    fn every_code_is_an_error_status() {
        for code in Code::ALL {
            let status = code.row().status;
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
        }
    }
}
