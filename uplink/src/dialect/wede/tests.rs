use onceward::sync::{Failure, ItemOutcome, Reply};
use onceward::{Event, Key, Kind, Payload, Scope, StoredEvent};
use serde_json::{Value, json};

use super::*;
use crate::dialect::INVALID_ITEM;
use crate::dialect::problem::tests::assert_documented;

const REQUEST: &str = include_str!("../../../../tests/fixtures/wede/request.json");
const COMPLETED: &str = include_str!("../../../../tests/fixtures/wede/response.json");

/// Captured at the moments that the keys of the fixture name.
const MOMENTS_MS: [i64; 3] = [1_773_152_525_000, 1_773_152_730_000, 1_773_152_731_000];

fn stored(key: &str, payload: Payload, captured_at_ms: i64) -> StoredEvent {
    let event = Event::new(Scope::default(), Key::new(key).unwrap(), payload)
        .with_kind(Kind::new("PAYMENT").unwrap());
    StoredEvent::as_if_captured(event, captured_at_ms)
}

/// The events of the fixture, payloads spelled as there.
fn documented() -> Vec<StoredEvent> {
    let payloads = [
        r#"{"amount":150.00,"currency":"EUR"}"#,
        r#"{"amount":12.50,"currency":"EUR"}"#,
        r#"{"amount":3.00,"currency":"EUR","qr_code_data":"forloy_enr_abc123def456"}"#,
    ];
    let events = payloads.into_iter().zip(MOMENTS_MS);
    events
        .map(|(payload, at)| {
            stored(&format!("device-001-{at}"), Payload::json(payload).unwrap(), at)
        })
        .collect()
}

/// What an event takes under its own key, with a comma.
fn item_size(dialect: &Wede, event: &StoredEvent) -> Result<usize, Misfit> {
    let mut item = Vec::new();
    dialect.form(event, event.event.key.as_str(), &mut item).map(|()| item.len() + 1)
}

/// The request that carries events under their own keys.
fn bare(device_id: &str, events: &[StoredEvent], batch_key: &str) -> Request {
    let item = |event: &StoredEvent| {
        let mut item = Vec::new();
        Wede::new("d").form(event, event.event.key.as_str(), &mut item).unwrap();
        item
    };
    let items: Vec<Vec<u8>> = events.iter().map(item).collect();
    let moment = events.iter().filter_map(|event| event.captured_at_ms).max();
    carry((device_id, batch_key), (items.iter().map(Vec::as_slice), 0), moment.unwrap_or(0))
}

fn decode(status: u16, body: &str) -> Result<Reply, Failure> {
    reply::decode(&Response::new(status, body))
}

fn unavailable(status: u16, body: &str) -> String {
    match decode(status, body) {
        Err(Failure::Unavailable { why, .. }) => why,
        other => panic!("{body:.200}: {other:?}"),
    }
}

#[test]
fn a_batch_is_spelled_as_documented() {
    let sent = bare("device-001", &documented(), "store-7");
    let expected = Payload::json(REQUEST).unwrap();
    assert_eq!(String::from_utf8(sent.body).unwrap(), expected.as_json().unwrap());
    assert_eq!(sent.path, "/v1/sync/batch");
    assert_eq!(sent.headers, [("Idempotency-Key".to_owned(), "store-7".to_owned())]);
}

#[test]
fn names_and_keys_are_escaped() {
    let event = stored("a\"\\\n", Payload::json("{\"a\":[1.0]}").unwrap(), 0);
    let sent = bare("till \"7\"", &[event], "b");
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["device_id"], "till \"7\"");
    assert_eq!(sent["events"][0]["idempotency_key"], "a\"\\\n");
}

#[test]
fn a_request_grows_by_its_items_and_the_commas_between() {
    let dialect = Wede::new("device-001");
    let events = documented();
    let sizes: usize = events.iter().map(|event| item_size(&dialect, event).unwrap()).sum();
    let alone =
        r#"{"events":[],"device_id":"device-001","captured_at":"2026-03-10T14:25:31.000Z"}"#;
    assert_eq!(bare("device-001", &events, "b").body.len(), alone.len() + sizes - 1);
    assert_eq!(dialect.items_max(), 500);
}

#[test]
fn an_event_that_cannot_form_an_item_says_why() {
    let dialect = Wede::new("d");
    let json = || Payload::json("{}").unwrap();
    assert!(item_size(&dialect, &stored("k", json(), 0)).is_ok(), "control");
    for event in [stored("k", Payload::bytes(b"{}".to_vec()), 0), stored("k", json(), i64::MAX)] {
        assert_eq!(item_size(&dialect, &event).unwrap_err().code, INVALID_ITEM);
    }
}

#[test]
fn an_event_that_the_upstream_can_never_take_does_not_fit_and_says_why() {
    let fit = |payload: &str, at_ms| {
        let payload = Payload::json(payload).unwrap();
        item_size(&Wede::new("till-7"), &stored("k", payload, at_ms))
            .map_err(|misfit| misfit.message)
    };
    let nested =
        |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let long = |bytes: usize| format!("{{\"note\":\"{}\"}}", "n".repeat(bytes));
    for good in [&nested(61), &long(65_400), r#"{"qr_code_data":null,"n":1e300}"#] {
        assert!(fit(good, 0).is_ok(), "control: {good:.80}");
    }
    for (payload, expected) in [
        ("[]", "the payload is not a JSON object"),
        ("7", "the payload is not a JSON object"),
        (&nested(62), "nests deeper than 61 levels"),
        (&long(65_500), "the item has 65"),
        (r#"{"a":{"b":1,"b":2}}"#, "payload.a.b: is there twice"),
        (r#"{"a":1,"\u0061":2}"#, "payload.a: is there twice"),
        (r#"{"a":["\ud83d"]}"#, "payload.a[0]: is unusable"),
        (r#"{"a":1e400}"#, "payload.a: is unusable"),
        (r#"{"qr_code_data":7}"#, "payload.qr_code_data: must be a text"),
        (r#"{"qr_code_data":""}"#, "payload.qr_code_data: must not be empty"),
    ] {
        let why = fit(payload, 0).unwrap_err();
        assert!(why.contains(expected), "{payload:.80}: {why}");
    }
    for at_ms in [253_402_300_799_000, 253_402_300_800_000, i64::MIN] {
        let why = fit("{}", at_ms).unwrap_err();
        assert!(why.starts_with("captured_at: ") && why.contains(&at_ms.to_string()), "{why}");
    }
}

#[test]
fn the_documented_answer_means_what_is_documented() {
    let reply = decode(200, COMPLETED).unwrap();
    let keys: Vec<String> = MOMENTS_MS.iter().map(|at| format!("device-001-{at}")).collect();
    assert_eq!(reply.items[0], (keys[0].clone(), ItemOutcome::Accepted { receipt: None }));
    assert_eq!(reply.items[1], (keys[1].clone(), ItemOutcome::Duplicate { receipt: None }));
    let (key, ItemOutcome::Rejected { code, message, reply }) = &reply.items[2] else {
        panic!("{:?}", reply.items[2]);
    };
    assert_eq!(
        (key, code.as_str(), message.as_str()),
        (&keys[2], "CARD_INACTIVE", "CARD_INACTIVE")
    );
    let kept: Value = serde_json::from_slice(reply).unwrap();
    assert_eq!(kept["status"], "rejected");
}

#[test]
fn a_rejection_is_final_except_for_the_two_transient_reasons() {
    let outcome = |reason: Value| {
        let mut body: Value = serde_json::from_str(COMPLETED).unwrap();
        body["data"]["events"][2]["reason"] = reason;
        decode(200, &body.to_string()).unwrap().items.remove(2).1
    };
    for reason in ["INTERNAL_ERROR", "DATABASE_ERROR"] {
        let expected = ItemOutcome::Transient { code: reason.to_owned(), retry_after_ms: None };
        assert_eq!(outcome(json!(reason)), expected);
    }
    let long = "r".repeat(2_000);
    for (reason, expected) in [
        (json!("CARD_NOT_FOUND"), "CARD_NOT_FOUND"),
        (json!("any other words"), "any other words"),
        (json!(long), &long[..64]),
        (json!(" "), "REASON_MISSING"),
        (Value::Null, "REASON_MISSING"),
    ] {
        let ItemOutcome::Rejected { code, .. } = outcome(reason.clone()) else {
            panic!("{reason}");
        };
        assert_eq!(code, expected);
    }
}

#[test]
fn an_event_of_which_the_upstream_cannot_tell_what_became_is_uncertain() {
    let mut body: Value = serde_json::from_str(COMPLETED).unwrap();
    body["data"]["events"][2]["reason"] = json!("OUTCOME_UNKNOWN");
    let outcome = decode(200, &body.to_string()).unwrap().items.remove(2).1;
    let ItemOutcome::Uncertain { code, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(code, "OUTCOME_UNKNOWN");
}

#[test]
fn an_item_of_unknown_status_stays_pending_and_does_not_block_the_others() {
    let mut body: Value = serde_json::from_str(COMPLETED).unwrap();
    body["data"]["events"][0]["status"] = json!("queued");
    let reply = decode(200, &body.to_string()).unwrap();
    assert!(matches!(reply.items[0].1, ItemOutcome::Transient { .. }), "{reply:?}");
    assert_eq!(reply.items[1].1, ItemOutcome::Duplicate { receipt: None });
}

#[test]
fn a_batch_that_is_being_processed_confirms_nothing_yet() {
    let processing = COMPLETED.replace("completed", "processing");
    let response = Response::new(200, processing).with_retry_after("3");
    let expected = Failure::InProgress { retry_after_ms: Some(3_000) };
    assert_eq!(reply::decode(&response).unwrap_err(), expected);
    let empty = r#"{"data":{"batch_id":"b","status":"processing","accepted":0,"rejected":0}}"#;
    assert_eq!(decode(200, empty).unwrap_err(), Failure::InProgress { retry_after_ms: None });
}

#[test]
fn an_answer_that_is_cut_anywhere_confirms_nothing() {
    let body = COMPLETED.trim_end();
    assert!(decode(200, body).is_ok(), "control: whole");
    for end in 0..body.len() {
        unavailable(200, &body[..end]);
    }
}

#[test]
fn every_malformed_answer_confirms_nothing() {
    for body in
        ["", "null", "[]", "{}", "OK", "<html>Log in</html>", r#"{"data":null}"#, r#"{"data":{}}"#]
    {
        let why = unavailable(200, body);
        assert!(why.starts_with("status 200: not the documented answer"), "{why}");
    }
    // Lists of the members' values are no objects.
    for body in [
        r#"[["b","completed",1,0,[["k","accepted",null]]]]"#,
        r#"{"data":["b","completed",1,0,[]]}"#,
        r#"{"data":{"batch_id":"b","status":"completed","accepted":1,"rejected":0,"events":[["k","accepted",null]]}}"#,
    ] {
        assert!(unavailable(200, body).contains("not the documented answer"), "{body}");
    }
    for (from, to) in [
        ("completed", "done"),
        (r#""events""#, r#""others""#),
        (r#""accepted": 2"#, r#""accepted": "2""#),
        (r#""rejected": 1"#, r#""rejected": -1"#),
        (r#""status": "accepted""#, r#""status": true"#),
        (r#""status": "duplicate","#, ""),
        (r#""idempotency_key": "device-001-1773152525000""#, r#""idempotency_key": 1773152525000"#),
    ] {
        assert!(COMPLETED.contains(from), "control: {from}");
        unavailable(200, &COMPLETED.replace(from, to));
    }
}

#[test]
fn only_200_and_207_confirm() {
    assert!(decode(207, COMPLETED).is_ok(), "control");
    for status in [201, 202, 204, 301, 404, 408, 429, 500, 503] {
        unavailable(status, COMPLETED);
    }
}

#[test]
fn a_refusal_of_the_batch_key_is_none_of_the_events() {
    let problem = r#"{"status":422,"code":"IDEMPOTENCY_KEY_REUSED","detail":"other events"}"#;
    let (code, message) = ("IDEMPOTENCY_KEY_REUSED".to_owned(), "other events".to_owned());
    assert_eq!(decode(422, problem).unwrap_err(), Failure::BatchKeyRefused { code, message });
    let other = problem.replace("IDEMPOTENCY_KEY_REUSED", "INVALID_REQUEST");
    assert!(matches!(decode(422, &other), Err(Failure::Refused { .. })), "control");
}

#[test]
fn the_documented_problems_are_told_apart_and_nothing_else_is_taken_for_one() {
    assert_documented(
        decode,
        &[(400, "INVALID_IDEMPOTENCY_KEY", "elsewhere"), (422, "IDEMPOTENCY_KEY_REUSED", "key")],
    );
}

#[test]
fn an_event_of_which_nobody_knows_when_it_was_captured_is_not_sent() {
    let mut event = documented().remove(0);
    assert!(item_size(&Wede::new("d"), &event).is_ok(), "control");
    event.captured_at_ms = None;
    let misfit = item_size(&Wede::new("d"), &event).unwrap_err();
    assert_eq!(misfit.code, crate::dialect::TIME_UNKNOWN);
}

#[test]
fn the_time_is_asked_for_without_an_event_and_only_the_upstream_is_believed() {
    let dialect = Wede::new("d");
    let request = dialect.time_request().unwrap();
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.starts_with(r#"{"events":[],"device_id":"d""#), "{body}");
    assert!(request.headers.is_empty(), "no batch is kept under a key");
    let refusal = r#"{"type":"/problems/x","title":"t","status":422,"code":"INVALID_REQUEST"}"#;
    for (status, body, is_own) in [(422, refusal, true), (422, "<html>", false), (200, "", false)] {
        let answered = dialect.time_answer(&Response::new(status, body));
        assert_eq!(answered.is_ok(), is_own, "{status} {body}");
    }
}
