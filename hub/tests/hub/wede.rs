//! A Wede event takes effect once, and the answer to a batch can be had again by its id.
//! Method: send the dialect's example and variations of it to a running hub.

use std::{fs, thread};

use onceward_hub::ledger;

use crate::running::{
    Answer, FORLOY, Running, WEDE, batch, data, event, minified, options, purchase, purchases,
};

const REQUEST: &str = include_str!("../../../tests/fixtures/wede/request.json");
const RESPONSE: &str = include_str!("../../../tests/fixtures/wede/response.json");
const BATCH_ID: &str = "00112233445566778899aabbccddeeff-7";

#[test]
fn the_example_is_answered_to_the_letter() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    let card = r#"{"code":"forloy_enr_abc123def456","status":"inactive","card_type":"cashback"}"#;
    fs::write(&cards, card).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let known = event("device-001-1773152730000", r#"{ "amount": 12.50, "currency": "EUR" }"#);
    assert_eq!(hub.client().post(WEDE, &batch(&[known])).status, 200);
    let header = format!("Idempotency-Key: \"{BATCH_ID}\"");
    let answer = hub.client().post_with(WEDE, &[&header], REQUEST);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, minified(RESPONSE));
    hub.stop().unwrap();
}

#[test]
fn an_answer_can_be_had_again_by_the_batch_id_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let answer = hub.client().post(WEDE, REQUEST);
    let body = answer.json();
    let path = format!("{WEDE}/{}", body["data"]["batch_id"].as_str().unwrap());
    assert_eq!(hub.client().get(&path).body, answer.body);
    hub.stop().unwrap();
    let hub = Running::start(dir.path());
    let shown = hub.client().get(&path);
    assert_eq!((shown.status, shown.body), (200, answer.body));
    hub.client().get(&format!("{WEDE}/other")).assert_problem(404, "BATCH_NOT_FOUND", "batch id");
    hub.stop().unwrap();
}

#[test]
fn the_same_batch_again_is_answered_from_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let send = |key: &str, body: &str| {
        hub.client().post_with(WEDE, &[&format!("idempotency-key: {key}")], body)
    };
    let first = send("\"b 1\"", REQUEST);
    assert_eq!(first.header("idempotent-replayed"), None);
    let later = REQUEST.replace("14:25:31.000Z", "18:00:00.000Z");
    for same in [REQUEST, &minified(REQUEST), &later] {
        let again = send("\"b 1\"", same);
        assert_eq!((again.status, &again.body), (200, &first.body), "{again:?}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let other = REQUEST.replace("150.00", "150.01");
    send("\"b 1\"", &other).assert_problem(422, "IDEMPOTENCY_KEY_REUSED", "other events");
    assert_eq!(hub.client().get(&format!("{WEDE}/b%201")).body, first.body);
    hub.stop().unwrap();
}

#[test]
fn events_that_were_there_count_as_accepted_and_conflicts_as_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let send = |items: &[String]| hub.client().post(WEDE, &batch(items)).json()["data"].clone();
    let first = send(&[event("a", r#"{"n":1}"#), event("b", r#"{"n":2}"#)]);
    assert_eq!((&first["accepted"], &first["rejected"]), (&2.into(), &0.into()));
    let second = send(&[event("a", r#"{"n":1}"#), event("b", r#"{"n":3}"#), event("c", "{}")]);
    assert_eq!((&second["accepted"], &second["rejected"]), (&2.into(), &1.into()));
    let said = |at: usize| {
        (second["events"][at]["status"].clone(), second["events"][at]["reason"].clone())
    };
    assert_eq!(said(0), ("duplicate".into(), serde_json::Value::Null));
    assert_eq!(said(1), ("rejected".into(), "IDEMPOTENCY_KEY_REUSED".into()));
    assert_eq!(said(2), ("accepted".into(), serde_json::Value::Null));
    hub.stop().unwrap();
    let ledger = ledger(&data(dir.path()), "default").unwrap();
    let keys: Vec<_> = ledger.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c"], "kept answers are not effects");
}

#[test]
fn the_same_key_in_both_dialects_is_two_items() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let wede = hub.client().post(WEDE, &batch(&[event("k", "{}")]));
    assert_eq!(wede.json()["data"]["events"][0]["status"], "accepted");
    let forloy = hub.client().post(FORLOY, &purchases(&[purchase("k", "card", "1")]));
    assert_eq!(forloy.result(0)["idempotent"], false);
    hub.stop().unwrap();
}

#[test]
fn five_hundred_events_with_the_longest_keys_are_accepted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = options(dir.path()).with_segment_bytes(8 * 1024 * 1024);
    let hub = Running::serve(onceward_hub::Hub::open(wanted).unwrap());
    let many: Vec<_> = (0..500).map(|number| event(&format!("{number:0>255}"), "{}")).collect();
    let answer = hub.client().post(WEDE, &batch(&many));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["data"]["accepted"], 500);
    let path = format!("{WEDE}/{}", body["data"]["batch_id"].as_str().unwrap());
    assert_eq!(hub.client().get(&path).body, answer.body);
    hub.stop().unwrap();
}

#[test]
fn a_batch_whose_answer_could_not_be_kept_is_refused_before_anything_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = options(dir.path()).with_segment_bytes(256 * 1024);
    let hub = Running::serve(onceward_hub::Hub::open(wanted).unwrap());
    let many: Vec<_> = (0..500).map(|number| event(&format!("{number:0>255}"), "{}")).collect();
    hub.client().post(WEDE, &batch(&many)).assert_problem(413, "TOO_LARGE", "send fewer");
    assert_eq!(hub.client().post(WEDE, &batch(&many[..50])).status, 200, "control");
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 50);
}

#[test]
fn the_same_batch_sent_many_times_at_once_is_answered_once_and_the_same() {
    // T40
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let client = hub.client();
    let send = || client.post_with(WEDE, &["idempotency-key: b1"], REQUEST);
    let answers: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let kept = send();
    assert_eq!(kept.header("idempotent-replayed"), Some("true"));
    for answer in &answers {
        if answer.status == 200 {
            assert_eq!(answer.body, kept.body);
        } else {
            answer.assert_problem(409, "REQUEST_IN_PROGRESS", "being worked on");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
    let is_first =
        |answer: &&Answer| answer.status == 200 && answer.header("idempotent-replayed").is_none();
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 3);
}
