//! The calls against the literal documents of the upstream, and against those of a hub.

use std::sync::{Mutex, PoisonError};

use onceward::sync::{Failure, Upstream};
use serde_json::{Value, json};

use super::*;
use crate::dialect::{KeyPlace, Method, Request, Response};
use crate::error::Error;
use crate::transport::{Transport, no_answer};
use std::sync::Arc;
use std::time::Duration;

/// A line on which this one answer comes to everything, and what was asked.
#[derive(Clone, Debug)]
struct Scripted(Arc<(Mutex<Vec<Request>>, Option<Response>)>);

impl Scripted {
    fn new(response: Option<Response>) -> (RecordsClient, Self) {
        let line = Self(Arc::new((Mutex::default(), response)));
        (RecordsClient::new(line.clone()), line)
    }

    fn asked(&self) -> (Method, String, Value) {
        let asked = self.0.0.lock().unwrap().pop().unwrap();
        assert_eq!(asked.key, KeyPlace::Bearer);
        (asked.method, asked.path, serde_json::from_slice(&asked.body).unwrap())
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.0.1.clone().ok_or_else(|| no_answer("nobody answers"))
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Ok(Upstream::new("http://scripted", dialect)?)
    }
}

fn begin(status: u16, body: &str) -> Result<RecordBegun, RecordError> {
    let (records, _) = Scripted::new(Some(Response::new(status, body)));
    records.begin("orders", "order-2001", None)
}

fn problem(status: u16, code: &str) -> Response {
    let body = json!({ "type": "/problems/x", "status": status, "code": code, "detail": "why" });
    Response::new(status, body.to_string()).with_content_type("application/problem+json")
}

fn lease(token: Option<&str>) -> RecordLease {
    RecordLease::new("orders", "order-2001", token.map(str::to_owned))
}

fn kind<T: std::fmt::Debug>(result: Result<T, RecordError>) -> RecordErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn the_requests_are_those_of_the_document() {
    let (records, line) = Scripted::new(Some(Response::new(200, r#"{ "locked": true }"#)));
    records.begin("orders", "order-2001", None).unwrap();
    let seed: Value = serde_json::from_str(
        r#"{
    "scope": "orders",
    "key": "order-2001"
  }"#,
    )
    .unwrap();
    assert_eq!(line.asked(), (Method::Post, "/v1/record".to_owned(), seed));
    let (records, line) = Scripted::new(Some(Response::new(200, r#"{"ok":true}"#)));
    records.complete(&lease(None), None, r#"{"status": "paid"}"#).unwrap();
    let seed: Value = serde_json::from_str(
        r#"{
    "scope": "orders",
    "key": "order-2001",
    "body": {
      "status": "paid"
    }
  }"#,
    )
    .unwrap();
    assert_eq!(line.asked(), (Method::Put, "/v1/record".to_owned(), seed));
}

#[test]
fn the_four_answers_of_the_document_are_understood() {
    let cached = RecordBegun::Cached { status: None, body: None };
    assert_eq!(begin(200, "{\n  \"cached\": true\n}"), Ok(cached));
    let locked =
        RecordBegun::Locked { lease: lease(None), expires_in: None, is_outcome_unknown: false };
    assert_eq!(begin(200, "{\n  \"locked\": true\n}"), Ok(locked));
    let busy = RecordBegun::Busy { retry_after: Duration::from_millis(1_500) };
    assert_eq!(begin(200, "{\n  \"locked\": false,\n  \"retryAfterMs\": 1500\n}"), Ok(busy));
    let exceeded = begin(429, "{\n  \"status\": 429\n}").unwrap_err();
    assert_eq!(exceeded.kind(), RecordErrorKind::UsageExceeded);
}

#[test]
fn a_hub_gives_a_lease_its_time_and_the_record() {
    let body = r#"{"locked":true,"lease":"bGVhc2U","lockExpiresInMs":30000,"outcomeUnknown":true}"#;
    let expected = RecordBegun::Locked {
        lease: lease(Some("bGVhc2U")),
        expires_in: Some(Duration::from_secs(30)),
        is_outcome_unknown: true,
    };
    assert_eq!(begin(200, body), Ok(expected));
    let cached = |key: &str, body: &str| {
        begin(
            200,
            &format!(
                r#"{{"cached":true,"record":{{"scope":"orders","key":"{key}","status":201,"body":{body},"completedAt":"t","expiresAt":"t"}}}}"#
            ),
        )
    };
    for body in [r#"{"total": 1.50,  "b":null}"#, "null", "7.0", r#""x""#] {
        let expected = RecordBegun::Cached { status: Some(201), body: Some(body.to_owned()) };
        assert_eq!(cached("order-2001", body), Ok(expected), "as it was spelled");
    }
    assert_eq!(kind(cached("order-2002", "{}")), RecordErrorKind::Unavailable);
}

#[test]
fn what_no_upstream_says_proves_nothing() {
    for (status, body) in [
        (200, ""),
        (200, "<html>Log in</html>"),
        (200, "{}"),
        (200, r#"{"locked":true,"cached":true}"#),
        (200, r#"{"cached":false}"#),
        (200, r#"{"locked":false}"#),
        (200, r#"{"locked":"true"}"#),
        (200, "[true]"),
        (201, r#"{"locked":true}"#),
        (204, ""),
        (302, ""),
        (401, "who?"),
        (409, r#"{"code":"LEASE_LOST"}"#),
        (429, "slow down"),
        (429, r#"{"status":200}"#),
        (500, r#"{"locked":true}"#),
    ] {
        assert_eq!(kind(begin(status, body)), RecordErrorKind::Unavailable, "{status} {body}");
    }
    let (records, _) = Scripted::new(None);
    assert_eq!(kind(records.begin("orders", "k", None)), RecordErrorKind::Unavailable);
}

#[test]
fn each_code_is_a_kind_of_its_own() {
    for (status, code, expected) in [
        (409, "LEASE_LOST", RecordErrorKind::LeaseLost),
        (409, "COMPLETED_OTHERWISE", RecordErrorKind::CompletedOtherwise),
        (409, "NOT_LOCKED", RecordErrorKind::NotLocked),
        (409, "LEASE_AMBIGUOUS", RecordErrorKind::LeaseAmbiguous),
        (422, "IDEMPOTENCY_KEY_REUSED", RecordErrorKind::KeyReused),
        (429, "USAGE_EXCEEDED", RecordErrorKind::UsageExceeded),
        (503, "LEASES_FULL", RecordErrorKind::LeasesFull),
        (401, "UNAUTHORIZED", RecordErrorKind::Unauthorized),
        (403, "FORBIDDEN", RecordErrorKind::Unauthorized),
        (422, "INVALID_REQUEST", RecordErrorKind::Invalid),
        (413, "TOO_LARGE", RecordErrorKind::Invalid),
        (503, "FULL", RecordErrorKind::Unavailable),
        // A code with another status than its own is nobody's.
        (503, "LEASE_LOST", RecordErrorKind::Unavailable),
        (404, "NOT_FOUND", RecordErrorKind::Unavailable),
    ] {
        let response = problem(status, code).with_retry_after("7");
        let (records, _) = Scripted::new(Some(response));
        let lease = lease(Some("t"));
        for error in [
            records.begin("orders", "k", None).unwrap_err(),
            records.complete(&lease, None, "{}").unwrap_err(),
            records.release(&lease).unwrap_err(),
            records.renew(&lease, Duration::from_secs(60)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), expected, "{status} {code}");
        }
        let retry_after = records.begin("orders", "k", None).unwrap_err().retry_after();
        if matches!(status, 429 | 503) {
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status} {code}");
        }
    }
}

#[test]
fn a_lease_is_sent_with_what_it_is_for_and_its_answer_is_believed_for_this_record_only() {
    let lease = lease(Some("bGVhc2U"));
    let complete = |body: &str| {
        let (records, line) = Scripted::new(Some(Response::new(200, body)));
        (records.complete(&lease, Some(201), r#"{"a": 1.50}"#), line.0.0.lock().unwrap().pop())
    };
    let (result, asked) = complete(
        r#"{"ok":true,"record":{"scope":"orders","key":"order-2001","status":201,"body":{"a": 1.50}}}"#,
    );
    assert_eq!(result, Ok(()));
    let sent = String::from_utf8(asked.unwrap().body).unwrap();
    assert_eq!(
        sent,
        r#"{"scope":"orders","key":"order-2001","body":{"a": 1.50},"status":201,"lease":"bGVhc2U"}"#
    );
    for body in [
        "{}",
        r#"{"ok":false}"#,
        r#"{"ok":true,"record":{"scope":"orders","key":"other","status":201,"body":{}}}"#,
        "",
        "ok",
    ] {
        assert_eq!(kind(complete(body).0), RecordErrorKind::Unavailable, "{body}");
    }
    let (records, line) = Scripted::new(Some(Response::new(204, "")));
    assert_eq!(records.release(&lease), Ok(()));
    let named = json!({ "scope": "orders", "key": "order-2001", "lease": "bGVhc2U" });
    assert_eq!(line.asked(), (Method::Delete, "/v1/record".to_owned(), named));
    assert_eq!(kind(records.complete(&lease, None, "{}")), RecordErrorKind::Unavailable);
    let (records, line) = Scripted::new(Some(Response::new(200, r#"{"lockExpiresInMs":60000}"#)));
    assert_eq!(records.renew(&lease, Duration::from_secs(60)), Ok(Duration::from_secs(60)));
    let (method, path, body) = line.asked();
    assert_eq!(
        (method, path.as_str(), &body["lockMs"]),
        (Method::Post, "/v1/record/renew", &json!(60_000))
    );
    assert_eq!(kind(records.release(&lease)), RecordErrorKind::Unavailable, "only 204 says it");
}

#[test]
fn an_upstream_that_gives_no_lease_completes_all_the_same() {
    for (status, body) in [(200, "{}"), (200, r#"{"ok":true}"#), (201, "{}"), (204, "")] {
        let (records, _) = Scripted::new(Some(Response::new(status, body)));
        assert_eq!(records.complete(&lease(None), None, "{}"), Ok(()), "{status} {body}");
    }
    for (status, body) in [(200, ""), (200, "<html>"), (200, r#"{"ok":false}"#), (202, "{}")] {
        let (records, _) = Scripted::new(Some(Response::new(status, body)));
        let found = records.complete(&lease(None), None, "{}");
        assert_eq!(kind(found), RecordErrorKind::Unavailable, "{status} {body}");
    }
    let (records, line) = Scripted::new(Some(Response::new(204, "")));
    assert_eq!(kind(records.release(&lease(None))), RecordErrorKind::Invalid);
    assert_eq!(kind(records.renew(&lease(None), Duration::from_secs(5))), RecordErrorKind::Invalid);
    assert!(line.0.0.lock().unwrap().is_empty(), "nothing was sent");
}

#[test]
fn arguments_out_of_range_are_refused_by_name_and_limit_and_nothing_is_sent() {
    let (records, line) = Scripted::new(None);
    let long = "x".repeat(64 * 1024 + 1);
    let quoted = format!("\"{long}\"");
    let lease = lease(Some("t"));
    for (error, expected) in [
        (records.begin("", "k", None).unwrap_err(), "scope: has 0 bytes, must have 1 to 63"),
        (records.begin("s", &long, None).unwrap_err(), "key: has 65537 bytes, must have 1 to 255"),
        (
            records.begin("s", "k", Some(&quoted)).unwrap_err(),
            "request: has 65539 bytes, must have 1 to 16384",
        ),
        (
            records.complete(&lease, None, &quoted).unwrap_err(),
            "body: has 65539 bytes, must have 1 to 65536",
        ),
        (records.complete(&lease, Some(99), "{}").unwrap_err(), "status: 99, must be 100 to 599"),
        (
            records.renew(&lease, Duration::ZERO).unwrap_err(),
            "lock: 0 ms, must be 1000 to 86400000",
        ),
    ] {
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (RecordErrorKind::Invalid, expected)
        );
    }
    let error = records.complete(&lease, None, "{").unwrap_err();
    assert!(error.to_string().starts_with("body: is not JSON: "), "{error}");
    assert!(line.0.0.lock().unwrap().is_empty(), "nothing was sent");
}

#[test]
fn a_lease_is_not_printed() {
    let shown = format!("{:?}", lease(Some("bGVhc2U")));
    assert!(shown.contains("order-2001") && !shown.contains("bGVhc2U"), "{shown}");
}
