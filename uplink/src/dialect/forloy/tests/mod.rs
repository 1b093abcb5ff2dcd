mod items;

use std::fmt::Write as _;

use onceward::sync::{Failure, ItemOutcome, Reply};
use onceward::{Event, Key, Payload, Scope, StoredEvent};
use serde_json::{Value, json};

use super::*;
use crate::dialect::INVALID_ITEM;
use crate::dialect::problem::tests::assert_documented;

const REQUEST: &str = include_str!("../../../../../tests/fixtures/forloy/request.json");
const ALL_SUCCEEDED: &str = include_str!("../../../../../tests/fixtures/forloy/response_200.json");
const MIXED: &str = include_str!("../../../../../tests/fixtures/forloy/response_207.json");

const FIRST: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const SECOND: &str = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
const BARE: &str =
    r#"{"staff_user_id":"u","purchase_amount":24.50,"qr_code_data":"q","location_id":"l"}"#;

/// The request that carries events under their own keys.
fn bare(events: &[StoredEvent]) -> Request {
    let items: Vec<String> =
        events.iter().map(|event| item(event, event.event.key.as_str()).unwrap()).collect();
    request(items.iter().map(String::as_bytes), 0)
}

/// The item that an event is, under this key.
fn item(event: &StoredEvent, key: &str) -> Result<String, Misfit> {
    // Behind others.
    let mut item = b"{},".to_vec();
    Forloy::new().form(event, key, &mut item)?;
    Ok(String::from_utf8(item.split_off(3)).unwrap())
}

/// An event as a store would hold it, captured at the moment of the first fixture item.
fn stored(key: &str, payload: &str) -> StoredEvent {
    let payload = Payload::json(payload).unwrap();
    let event = Event::new(Scope::default(), Key::new(key).unwrap(), payload);
    StoredEvent::as_if_captured(event, 1_773_152_525_000)
}

/// The fixture without its white space.
fn compact(text: &str) -> String {
    Payload::json(text).unwrap().as_json().unwrap().to_owned()
}

/// The documented transactions as events, their payloads changed by `change`.
fn documented(change: impl Fn(&mut Value)) -> Vec<StoredEvent> {
    let document: Value = serde_json::from_str(REQUEST).unwrap();
    let transactions = document["transactions"].as_array().unwrap().clone();
    transactions
        .into_iter()
        .map(|mut item| {
            let key = item["idempotency_key"].as_str().unwrap().to_owned();
            change(&mut item);
            stored(&key, &item.to_string())
        })
        .collect()
}

/// The item of a single event with that payload.
fn item_of(payload: &str) -> Result<String, Misfit> {
    item(&stored("k", payload), "k")
}

fn decode(status: u16, body: &str) -> Result<Reply, Failure> {
    reply::decode(&Response::new(status, body))
}

/// Asserts that an answer is taken for no answer, and returns the reason.
fn unavailable(status: u16, body: &str) -> String {
    match decode(status, body) {
        Err(Failure::Unavailable { why, .. }) => why,
        other => panic!("{body:.200}: {other:?}"),
    }
}

#[test]
fn a_complete_payload_is_sent_as_it_was_spelled() {
    let document = compact(REQUEST);
    let (first, second) = document.split_once("},{").unwrap();
    let first = format!("{}}}", first.strip_prefix(r#"{"transactions":["#).unwrap());
    let second = format!("{{{}", second.strip_suffix("]}").unwrap());
    let sent = bare(&[stored(FIRST, &first), stored(SECOND, &second)]);
    assert_eq!(String::from_utf8(sent.body).unwrap(), document);
    assert_eq!(sent.path, "/api/v1/transactions/sync");
    assert_eq!(sent.headers, []);
}

#[test]
fn key_and_moment_are_added_only_where_they_are_absent() {
    assert_eq!(
        item(&stored("k\"\n", BARE), "k\"\n").unwrap(),
        r#"{"staff_user_id":"u","purchase_amount":24.50,"qr_code_data":"q","location_id":"l","idempotency_key":"k\"\n","client_timestamp":"2026-03-10T14:22:05.000Z"}"#
    );
    let moment = r#","client_timestamp":"2026-03-10T14:22:05Z","idempotency_key":"\u006b"}"#;
    let with_both = BARE.replace('}', moment);
    assert_eq!(item_of(&with_both).unwrap(), with_both);
    let events = documented(|item| {
        item.as_object_mut().unwrap().remove("idempotency_key");
    });
    let sent: Value = serde_json::from_slice(&bare(&events).body).unwrap();
    assert_eq!(sent, serde_json::from_str::<Value>(REQUEST).unwrap());
}

#[test]
fn a_request_grows_by_its_items_and_the_commas_between() {
    let dialect = Forloy::new();
    let events = documented(|_| {});
    let size = |event: &StoredEvent| item(event, event.event.key.as_str()).unwrap().len() + 1;
    let sizes: usize = events.iter().map(size).sum();
    // The last item has no comma behind it.
    assert_eq!(bare(&events).body.len(), r#"{"transactions":[]}"#.len() + sizes - 1);
    assert_eq!(dialect.items_max(), 100);
}

#[test]
fn a_moment_that_nobody_knows_is_not_made_up() {
    let mut event = stored("k", BARE);
    event.captured_at_ms = None;
    let misfit = item(&event, "k").unwrap_err();
    assert_eq!(misfit.code, crate::dialect::TIME_UNKNOWN);
    assert!(misfit.message.starts_with("client_timestamp: nobody knows"), "{}", misfit.message);
    // The payload shows it.
    let dated = BARE.replace('}', r#","client_timestamp":"2026-03-10T14:22:05Z"}"#);
    event.event.payload = Payload::json(&dated).unwrap();
    assert!(item(&event, "k").unwrap().contains("2026-03-10T14:22:05Z"));
}

#[test]
fn the_documented_answers_mean_what_is_documented() {
    let accepted = |receipt: &[u8]| ItemOutcome::Accepted {
        receipt: Some(onceward::Receipt::new(receipt).unwrap()),
    };
    let reply = decode(200, ALL_SUCCEEDED).unwrap();
    let expected = [(FIRST, accepted(b"txn_01HQ0001")), (SECOND, accepted(b"txn_01HQ0002"))];
    assert_eq!(reply.items, expected.map(|(key, outcome)| (key.to_owned(), outcome)));

    let reply = decode(207, MIXED).unwrap();
    let receipt = Some(onceward::Receipt::new(b"txn_01HQ0001").unwrap());
    assert_eq!(reply.items[0], (FIRST.to_owned(), ItemOutcome::Duplicate { receipt }));
    let (key, ItemOutcome::Rejected { code, message, reply }) = &reply.items[1] else {
        panic!("{:?}", reply.items[1]);
    };
    assert_eq!(key, SECOND);
    assert_eq!(code, "CARD_NOT_FOUND");
    assert_eq!(message, "No active card found for the given code");
    let kept: Value = serde_json::from_slice(reply).unwrap();
    assert_eq!(kept["error"], "CARD_NOT_FOUND");
}

#[test]
fn only_documented_codes_reject_for_good_and_one_is_uncertain() {
    let outcome = |code: &Value| {
        let mut body: Value = serde_json::from_str(MIXED).unwrap();
        body["data"]["results"][1]["result"]["error"] = code.clone();
        decode(207, &body.to_string()).unwrap().items.remove(1).1
    };
    for code in ["CARD_NOT_FOUND", "CARD_INACTIVE", "IDEMPOTENCY_KEY_REUSED"] {
        assert!(matches!(outcome(&json!(code)), ItemOutcome::Rejected { .. }), "{code}");
    }
    for code in ["INTERNAL_ERROR", "DATABASE_ERROR", "card_inactive", "NEVER_HEARD_OF", ""] {
        let expected = ItemOutcome::Transient { code: code.to_owned(), retry_after_ms: None };
        assert_eq!(outcome(&json!(code)), expected);
    }
    assert!(matches!(outcome(&Value::Null), ItemOutcome::Transient { .. }));
    let lost = outcome(&json!("OUTCOME_UNKNOWN"));
    assert!(matches!(lost, ItemOutcome::Uncertain { .. }), "{lost:?}");
}

#[test]
fn a_transaction_number_that_is_too_long_for_a_receipt_is_dropped_and_the_item_stands() {
    for (id, expected) in
        [(json!("t".repeat(64)), true), (json!("t".repeat(65)), false), (Value::Null, false)]
    {
        let mut body: Value = serde_json::from_str(ALL_SUCCEEDED).unwrap();
        body["data"]["results"][0]["result"]["transaction_id"] = id;
        let reply = decode(200, &body.to_string()).unwrap();
        let ItemOutcome::Accepted { receipt } = &reply.items[0].1 else { panic!("{reply:?}") };
        assert_eq!(receipt.is_some(), expected);
    }
}

#[test]
fn a_success_that_names_an_error_proves_nothing() {
    let mut body: Value = serde_json::from_str(ALL_SUCCEEDED).unwrap();
    body["data"]["results"][0]["result"]["error"] = json!("CARD_INACTIVE");
    let reply = decode(200, &body.to_string()).unwrap();
    assert!(matches!(reply.items[0].1, ItemOutcome::Transient { .. }), "{reply:?}");
}

#[test]
fn an_answer_that_is_cut_anywhere_confirms_nothing() {
    let body = ALL_SUCCEEDED.trim_end();
    assert!(decode(200, body).is_ok(), "control: whole");
    for end in 0..body.len() {
        unavailable(200, &body[..end]);
    }
}

#[test]
fn every_malformed_answer_confirms_nothing_and_says_what_it_was() {
    let deep = format!(r#"{{"success":true,"data":{}"#, "[".repeat(200_000));
    let bodies = [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"ok\"",
        "[]",
        "{}",
        "OK",
        "<html>Log in</html>",
        "\u{0}\u{1}",
        r#"{"success":true}"#,
        r#"{"success":true,"data":null}"#,
        r#"{"success":true,"data":{}}"#,
        &deep,
        r#"{"success":true,"data":{"total_count":1,"success_count":1,"error_count":0}}"#,
        r#"{"success":true,"data":{"results":[]}}"#,
        // Lists of the members' values are no objects.
        r#"[true,[0,0,0,[]]]"#,
        r#"{"success":true,"data":[0,0,0,[]]}"#,
        r#"{"success":true,"data":{"total_count":1,"success_count":1,"error_count":0,"results":[["k",{"success":true,"idempotent":false}]]}}"#,
        r#"{"success":true,"data":{"total_count":1,"success_count":1,"error_count":0,"results":[{"idempotency_key":"k","result":[true,false,null,null,null]}]}}"#,
    ];
    for status in [200, 207] {
        for body in bodies {
            let why = unavailable(status, body);
            assert!(
                why.starts_with(&format!("status {status}: not the documented answer")),
                "{why}"
            );
            assert!(why.is_ascii() && why.len() < 1_200, "{why}");
        }
        for twice in [format!("{ALL_SUCCEEDED}{ALL_SUCCEEDED}"), format!("{ALL_SUCCEEDED}x")] {
            unavailable(status, &twice);
        }
        let repeated =
            ALL_SUCCEEDED.replace(r#""success": true"#, r#""success": false, "success": true"#);
        unavailable(status, &repeated);
    }
    assert!(unavailable(200, "<html>Log in</html>").contains("<html>Log in</html>"));
}

#[test]
fn an_answer_with_a_member_of_a_wrong_type_confirms_nothing() {
    let required = [
        "/success",
        "/data",
        "/data/total_count",
        "/data/success_count",
        "/data/error_count",
        "/data/results",
        "/data/results/1",
        "/data/results/1/idempotency_key",
        "/data/results/1/result",
        "/data/results/1/result/success",
        "/data/results/1/result/idempotent",
    ];
    let wrong = [json!(null), json!(-1), json!(1.5), json!("true"), json!([7]), json!({"a": 1})];
    let mut log = String::new();
    for pointer in required {
        for value in &wrong {
            let mut body: Value = serde_json::from_str(ALL_SUCCEEDED).unwrap();
            let place = body.pointer_mut(pointer).unwrap();
            if place.is_string() == value.is_string() && place.is_string() {
                continue;
            }
            *place = value.clone();
            if decode(200, &body.to_string()).is_ok() {
                writeln!(log, "{pointer} = {value} is taken").unwrap();
            }
        }
    }
    assert_eq!(log, "");
}

#[test]
fn an_answer_without_success_confirms_nothing() {
    let body = ALL_SUCCEEDED.replacen("true", "false", 1);
    unavailable(200, &body);
}

#[test]
fn only_200_and_207_confirm() {
    assert!(decode(207, ALL_SUCCEEDED).is_ok(), "control");
    for status in [201, 202, 204, 206, 301, 302, 307, 308, 404, 408, 425, 429, 500, 502, 503, 504] {
        unavailable(status, ALL_SUCCEEDED);
    }
}

#[test]
fn items_are_told_by_key_whatever_their_order_number_and_agreement() {
    let mut body: Value = serde_json::from_str(ALL_SUCCEEDED).unwrap();
    let results = body["data"]["results"].as_array_mut().unwrap();
    results.reverse();
    let mut stranger = results[0].clone();
    stranger["idempotency_key"] = json!("stranger");
    results.push(stranger);
    results.push(
        json!({"idempotency_key": FIRST, "result": {"success": false, "error": "CARD_INACTIVE"}}),
    );
    let reply = decode(207, &body.to_string()).unwrap();
    let keys: Vec<&str> = reply.items.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, [SECOND, FIRST, "stranger", FIRST]);
}

#[test]
fn the_documented_problems_are_told_apart_and_nothing_else_is_taken_for_one() {
    assert_documented(decode, &[]);
}
