//! A Forloy purchase takes effect once, and every answer has the dialect's exact shape.
//! Method: send the dialect's own examples and variations of them to a running hub.

use std::{fs, thread};

use onceward_hub::{Hub, ledger};

use crate::running::{Answer, FORLOY, Running, data, minified, options, purchase, purchases};

const REQUEST: &str = include_str!("../../../tests/fixtures/forloy/request.json");
const RESPONSE_200: &str = include_str!("../../../tests/fixtures/forloy/response_200.json");
const RESPONSE_207: &str = include_str!("../../../tests/fixtures/forloy/response_207.json");

/// `example` with the names and times that the hub makes replaced by those of `answer`.
fn expected(example: &str, answer: &Answer) -> String {
    let (example, body): (serde_json::Value, _) =
        (serde_json::from_str(example).unwrap(), answer.json());
    let mut text = minified(&minified_text(&example, RESPONSE_200, RESPONSE_207));
    let made = ["/meta/request_id", "/meta/timestamp"].map(str::to_owned).into_iter();
    let ids = (0..2).map(|index| format!("/data/results/{index}/result/transaction_id"));
    for pointer in made.chain(ids) {
        if let (Some(from), Some(to)) = (example.pointer(&pointer), body.pointer(&pointer)) {
            text = text.replace(&from.to_string(), &to.to_string());
        }
    }
    text
}

/// The text of the example that parses to `example`: a parsed value has lost the order of members.
fn minified_text(example: &serde_json::Value, first: &str, second: &str) -> String {
    let is_first = serde_json::from_str::<serde_json::Value>(first).unwrap() == *example;
    if is_first { first.to_owned() } else { second.to_owned() }
}

#[test]
fn the_first_example_is_answered_with_200_to_the_letter() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let answer = hub.client().post(FORLOY, REQUEST);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, expected(RESPONSE_200, &answer));
    let body = answer.json();
    let timestamp = body["meta"]["timestamp"].as_str().unwrap();
    assert_eq!(timestamp.len(), "2026-03-10T15:00:12.000Z".len(), "{timestamp}");
    assert!(timestamp.ends_with('Z'), "{timestamp}");
    assert!(body["meta"]["request_id"].as_str().unwrap().starts_with("req_"));
    hub.stop().unwrap();
}

#[test]
fn the_second_example_is_answered_with_207_to_the_letter() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    let card = r#"{"code":"forloy_enr_abc123def456","status":"active","card_type":"cashback"}"#;
    fs::write(&cards, card).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let first = hub.client().post(FORLOY, REQUEST);
    let answer = hub.client().post(FORLOY, REQUEST);
    assert_eq!((first.status, answer.status), (207, 207), "{answer:?}");
    assert_eq!(answer.body, expected(RESPONSE_207, &answer));
    assert_eq!(answer.result(0)["transaction_id"], first.result(0)["transaction_id"]);
    hub.stop().unwrap();
}

#[test]
fn the_same_purchase_again_is_idempotent_and_keeps_its_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let first = hub.client().post(FORLOY, REQUEST);
    let again = hub.client().post(FORLOY, &minified(REQUEST));
    assert_eq!(again.status, 200);
    for index in 0..2 {
        assert_eq!(first.result(index)["idempotent"], false);
        assert_eq!(again.result(index)["idempotent"], true);
        for member in ["transaction_id", "card_type"] {
            assert_eq!(again.result(index)[member], first.result(index)[member], "{member}");
        }
    }
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 2);
}

#[test]
fn a_key_with_other_content_is_refused_for_good_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let send = |item: String| hub.client().post(FORLOY, &purchases(&[item]));
    let first = send(purchase("k", "card", "24.50"));
    for other in [purchase("k", "card", "24.51"), purchase("k", "other", "24.50")] {
        let answer = send(other);
        assert_eq!(answer.status, 207);
        assert_eq!(answer.result(0)["success"], false);
        assert_eq!(answer.result(0)["error"], "IDEMPOTENCY_KEY_REUSED");
    }
    let again = send(purchase("k", "card", "24.50"));
    assert_eq!(again.result(0)["transaction_id"], first.result(0)["transaction_id"]);
    hub.stop().unwrap();
    let ledger = ledger(&data(dir.path()), "default").unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].amount.unwrap().to_string(), "24.50");
}

#[test]
fn a_key_twice_in_one_request_is_applied_once_and_answered_in_the_order_of_the_request() {
    // T27
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let items = [
        purchase("a", "card", "1.00"),
        purchase("b", "card", "2.00"),
        purchase("a", "card", "1.00"),
        purchase("a", "card", "9.00"),
    ];
    let answer = hub.client().post(FORLOY, &purchases(&items));
    assert_eq!(answer.status, 207);
    let body = answer.json();
    let keys: Vec<_> =
        (0..4).map(|at| body["data"]["results"][at]["idempotency_key"].clone()).collect();
    assert_eq!(keys, ["a", "b", "a", "a"]);
    assert_eq!(answer.result(0)["idempotent"], false);
    assert_eq!(answer.result(2)["idempotent"], true);
    assert_eq!(answer.result(2)["transaction_id"], answer.result(0)["transaction_id"]);
    assert_eq!(answer.result(3)["error"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        (&body["data"]["success_count"], &body["data"]["error_count"]),
        (&3.into(), &1.into())
    );
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 2);
}

#[test]
fn a_hundred_purchases_with_one_new_among_known_ones_apply_just_the_new_one() {
    // T27
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let many: Vec<_> =
        (0..100).map(|number| purchase(&format!("k{number}"), "card", "0")).collect();
    assert_eq!(hub.client().post(FORLOY, &purchases(&many[..99])).status, 200);
    let answer = hub.client().post(FORLOY, &purchases(&many));
    assert_eq!(answer.status, 200);
    let fresh: Vec<_> = (0..100).filter(|at| answer.result(*at)["idempotent"] == false).collect();
    assert_eq!(fresh, [99]);
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 100);
}

#[test]
fn requests_that_race_with_the_same_purchase_apply_it_once_and_agree_on_the_transaction() {
    // T33
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let client = hub.client();
    let body = purchases(&[purchase("k", "card", "5.00"), purchase("l", "card", "6.00")]);
    let answers: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| client.post(FORLOY, &body))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for index in 0..2 {
        let fresh = answers.iter().filter(|answer| answer.result(index)["idempotent"] == false);
        assert_eq!(fresh.count(), 1);
        let id = &answers[0].result(index)["transaction_id"];
        for answer in &answers {
            assert_eq!(answer.result(index)["transaction_id"], *id, "{}", answer.body);
        }
    }
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 2);
}

#[test]
fn the_ledger_holds_the_purchase_as_it_was_sent_with_its_exact_money() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    assert_eq!(hub.client().post(FORLOY, REQUEST).status, 200);
    // The ledger takes no lock: it is read while the hub runs.
    let ledger = ledger(&data(dir.path()), "default").unwrap();
    let amounts: Vec<_> = ledger.iter().map(|entry| entry.amount.unwrap().to_string()).collect();
    assert_eq!(amounts, ["24.50", "12.00"]);
    let sent = minified(REQUEST);
    for entry in &ledger {
        assert_eq!(entry.scope, "forloy");
        assert!(sent.contains(&entry.payload), "{}", entry.payload);
    }
    assert!(ledger[0].lsn < ledger[1].lsn);
    hub.stop().unwrap();
}

#[test]
fn the_ledger_holds_the_receipt_that_the_client_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let answer = hub.client().post(FORLOY, REQUEST);
    for (index, entry) in ledger(&data(dir.path()), "default").unwrap().iter().enumerate() {
        let result = answer.result(index);
        let (id, card) = (&result["transaction_id"], &result["card_type"]);
        let receipt = format!("{}/{}", id.as_str().unwrap(), card.as_str().unwrap());
        assert_eq!(entry.receipt.as_deref(), Some(receipt.as_str()));
    }
    hub.stop().unwrap();
}

#[test]
fn the_ledger_holds_every_purchase_however_many_segments_the_log_has_grown_to() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::open(options(dir.path()).with_segment_bytes(256 * 1024)).unwrap();
    let running = Running::serve(hub.clone());
    let note = "n".repeat(4_000);
    let noted = |number| {
        let member = format!("{{\"transaction_notes\":\"{note}\",");
        purchase(&format!("k{number}"), "card", "0.01").replacen('{', &member, 1)
    };
    for request in 0..6 {
        let items: Vec<_> = (0..100).map(|number| noted(request * 100 + number)).collect();
        assert_eq!(running.client().post(FORLOY, &purchases(&items)).status, 200);
        hub.tick();
    }
    let again = running.client().post(FORLOY, &purchases(&[noted(0)]));
    assert_eq!(again.result(0)["idempotent"], true);
    running.stop().unwrap();
    let ledger = ledger(&data(dir.path()), "default").unwrap();
    assert_eq!(ledger.len(), 600);
    assert!(ledger.iter().enumerate().all(|(number, entry)| entry.key == format!("k{number}")));
}
