//! From an answer to what it says of a record.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{RecordBegun, RecordError, RecordErrorKind, RecordLease};
use crate::dialect::{Object, Problem, Response, failure_of, not_recognised};
use crate::retry_after::RETRY_AFTER_MS_MAX;

/// The status of whoever is over his plan.
const TOO_MANY: u16 = 429;
/// The code for it, which may be missing.
const USAGE_EXCEEDED: &str = "USAGE_EXCEEDED";

/// What the upstream's codes mean.
const CODES: [(u16, &str, RecordErrorKind); 7] = [
    (409, "LEASE_LOST", RecordErrorKind::LeaseLost),
    (409, "COMPLETED_OTHERWISE", RecordErrorKind::CompletedOtherwise),
    (409, "NOT_LOCKED", RecordErrorKind::NotLocked),
    (409, "LEASE_AMBIGUOUS", RecordErrorKind::LeaseAmbiguous),
    (422, "IDEMPOTENCY_KEY_REUSED", RecordErrorKind::KeyReused),
    (TOO_MANY, USAGE_EXCEEDED, RecordErrorKind::UsageExceeded),
    (503, "LEASES_FULL", RecordErrorKind::LeasesFull),
];

/// The answer to the question for a record.
#[derive(Deserialize)]
struct BegunDocument<'a> {
    cached: Option<bool>,
    locked: Option<bool>,
    lease: Option<String>,
    #[serde(rename = "lockExpiresInMs")]
    lock_expires_in_ms: Option<u64>,
    #[serde(rename = "outcomeUnknown")]
    outcome_unknown: Option<bool>,
    #[serde(rename = "retryAfterMs")]
    retry_after_ms: Option<u64>,
    #[serde(borrow)]
    record: Option<Object<RecordDocument<'a>>>,
}

/// A record.
#[derive(Deserialize)]
struct RecordDocument<'a> {
    scope: String,
    key: String,
    status: Option<u16>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The answer to a completion.
#[derive(Deserialize)]
struct CompletedDocument<'a> {
    ok: Option<bool>,
    #[serde(borrow)]
    record: Option<Object<RecordDocument<'a>>>,
}

/// The answer to a renewal.
#[derive(Deserialize)]
struct RenewedDocument {
    #[serde(rename = "lockExpiresInMs")]
    lock_expires_in_ms: u64,
}

impl RecordDocument<'_> {
    fn is_of(&self, lease: &RecordLease) -> bool {
        self.scope == lease.scope() && self.key == lease.key()
    }
}

/// Reads the answer to the question for the record that `asked` names, which has no token.
pub(super) fn begun(response: &Response, asked: RecordLease) -> Result<RecordBegun, RecordError> {
    let Object::<BegunDocument<'_>>(found) = document(response)?;
    match (found.cached, found.locked) {
        (Some(true), None) => {
            let Some(Object(record)) = found.record else {
                return Ok(RecordBegun::Cached { status: None, body: None });
            };
            if !record.is_of(&asked) {
                return Err(wrong(response, "it is another record's"));
            }
            let body = Some(record.body.get().to_owned());
            Ok(RecordBegun::Cached { status: record.status, body })
        }
        (None | Some(false), Some(true)) => Ok(RecordBegun::Locked {
            lease: asked.with_token(found.lease),
            expires_in: found.lock_expires_in_ms.map(Duration::from_millis),
            is_outcome_unknown: found.outcome_unknown.unwrap_or(false),
        }),
        (None | Some(false), Some(false)) => {
            let retry_after_ms = found.retry_after_ms.or_else(|| response.retry_after_ms());
            let wait_ms = retry_after_ms
                .ok_or_else(|| wrong(response, "it does not say when to ask again"))?
                .clamp(1, RETRY_AFTER_MS_MAX);
            Ok(RecordBegun::Busy { retry_after: Duration::from_millis(wait_ms) })
        }
        (_, _) => Err(wrong(response, "it says neither cached nor locked, or both")),
    }
}

/// Reads the answer to a completion. One that gave a lease says that it is complete; of another nothing is documented
/// but that it takes it.
pub(super) fn completed(response: &Response, lease: &RecordLease) -> Result<(), RecordError> {
    let has_lease = lease.token().is_some();
    if !has_lease && response.status == 204 {
        return Ok(());
    }
    if has_lease || response.status != 201 {
        expect(response, 200)?;
    }
    let Object::<CompletedDocument<'_>>(found) = parsed(response)?;
    let is_ok = if has_lease { found.ok == Some(true) } else { found.ok != Some(false) };
    let is_it = found.record.is_none_or(|Object(record)| record.is_of(lease));
    match is_ok && is_it {
        true => Ok(()),
        false => Err(wrong(response, "it does not say that this record is complete")),
    }
}

/// Reads the answer to a release.
pub(super) fn released(response: &Response) -> Result<(), RecordError> {
    expect(response, 204)
}

/// Reads the answer to a renewal.
pub(super) fn renewed(response: &Response) -> Result<Duration, RecordError> {
    let Object::<RenewedDocument>(found) = document(response)?;
    Ok(Duration::from_millis(found.lock_expires_in_ms))
}

/// The document of an answer with status 200.
fn document<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T, RecordError> {
    expect(response, 200)?;
    parsed(response)
}

fn parsed<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T, RecordError> {
    serde_json::from_slice(&response.body)
        .map_err(|found| wrong(response, &format!("not the documented answer ({found})")))
}

/// Somebody answered who is not the upstream, or says what it does not.
fn wrong(response: &Response, what: &str) -> RecordError {
    not_recognised(response, what).into()
}

/// Checks the status, or says what the answer is instead.
fn expect(response: &Response, status: u16) -> Result<(), RecordError> {
    if response.status == status {
        return Ok(());
    }
    let retry_after_ms = response.retry_after_ms();
    if let Some(problem) = Problem::read(response) {
        let row = CODES.iter().find(|row| (row.0, row.1) == (response.status, &problem.code));
        if let Some((_, code, kind)) = row {
            let message = problem.message.as_deref();
            return Err(RecordError::coded(*kind, code, message, retry_after_ms));
        }
    } else if is_usage_exceeded(response) {
        let message = Some("review plan usage");
        let kind = RecordErrorKind::UsageExceeded;
        return Err(RecordError::coded(kind, USAGE_EXCEEDED, message, retry_after_ms));
    }
    Err(failure_of(response).into())
}

/// Whether it is the one refusal that is documented without a code: `{"status":429}`.
fn is_usage_exceeded(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct StatusOnly {
        status: u16,
    }
    let found = serde_json::from_slice::<Object<StatusOnly>>(&response.body);
    response.status == TOO_MANY && found.is_ok_and(|Object(found)| found.status == TOO_MANY)
}
