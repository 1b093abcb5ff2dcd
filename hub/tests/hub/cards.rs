//! A purchase on a card that is unknown or inactive is refused, and may succeed later under its key.
//! Method: edit the cards file of a running hub and send the same purchases again.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use onceward_hub::{Hub, Notice, ledger};

use crate::running::{
    Client, FORLOY, Running, WEDE, batch, data, event, options, purchase, purchases,
};

fn card(code: &str, status: &str, card_type: &str) -> String {
    format!(r#"{{"code":"{code}","status":"{status}","card_type":"{card_type}"}}"#)
}

fn send(client: Client, key: &str, card: &str) -> serde_json::Value {
    client.post(FORLOY, &purchases(&[purchase(key, card, "1.00")])).result(0)
}

#[test]
fn a_refused_purchase_succeeds_under_its_key_once_the_card_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, card("gone", "inactive", "punch")).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let client = hub.client();
    let unknown = send(client, "k1", "new");
    assert_eq!(unknown["error"], "CARD_NOT_FOUND");
    assert_eq!(unknown["message"], "No active card found for the given code");
    assert_eq!(send(client, "k2", "gone")["error"], "CARD_INACTIVE");
    assert_eq!(ledger(&data(dir.path()), "default").unwrap(), [], "a rejection writes nothing");

    let mended = [card("gone", "active", "punch"), card("new", "active", "cashback")].join("\n");
    fs::write(&cards, mended).unwrap();
    for (key, code, card_type) in [("k1", "new", "cashback"), ("k2", "gone", "punch")] {
        let result = send(client, key, code);
        assert_eq!(result["idempotent"], false, "{result}");
        assert_eq!(result["card_type"], card_type);
    }
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 2);
}

#[test]
fn a_purchase_that_was_accepted_stays_so_when_its_card_goes() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, card("c", "active", "punch")).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let client = hub.client();
    let first = send(client, "k", "c");
    for changed in [card("c", "inactive", "punch"), card("other", "active", "punch")] {
        fs::write(&cards, changed).unwrap();
        let again = send(client, "k", "c");
        assert_eq!(again["idempotent"], true, "{again}");
        assert_eq!(again["transaction_id"], first["transaction_id"]);
        assert_eq!(again["card_type"], "punch");
        assert!(send(client, "fresh", "c")["error"].as_str().unwrap().starts_with("CARD_"));
        let other = client.post(FORLOY, &purchases(&[purchase("k", "c", "2.00")])).result(0);
        assert_eq!(other["error"], "IDEMPOTENCY_KEY_REUSED");
    }
    hub.stop().unwrap();
}

#[test]
fn a_refusal_of_the_first_leaves_the_key_to_the_second_in_the_same_request() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, card("good", "active", "punch")).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let items = [purchase("k", "bad", "1"), purchase("k", "good", "1")];
    let answer = hub.client().post(FORLOY, &purchases(&items));
    assert_eq!(answer.result(0)["error"], "CARD_NOT_FOUND");
    assert_eq!(answer.result(1)["success"], true);
    hub.stop().unwrap();
}

#[test]
fn without_a_cards_file_punches_make_a_punch_card_of_a_purchase() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let plain = purchase("a", "c", "1");
    let punched = purchase("b", "c", "1").replacen('{', r#"{"punch_count":1,"#, 1);
    let answer = hub.client().post(FORLOY, &purchases(&[plain, punched]));
    assert_eq!(answer.result(0)["card_type"], "cashback");
    assert_eq!(answer.result(1)["card_type"], "punch");
    hub.stop().unwrap();
}

#[test]
fn wede_events_follow_card_rules_only_where_they_name_a_card() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, card("gone", "inactive", "punch")).unwrap();
    let hub = Running::start_with_cards(dir.path(), &cards);
    let items = [
        event("a", r#"{"n":1}"#),
        event("b", r#"{"qr_code_data":"gone"}"#),
        event("c", r#"{"qr_code_data":"none"}"#),
    ];
    let answer = hub.client().post(WEDE, &batch(&items)).json();
    let reasons: Vec<_> = (0..3).map(|at| answer["data"]["events"][at]["reason"].clone()).collect();
    assert_eq!(reasons, [serde_json::Value::Null, "CARD_INACTIVE".into(), "CARD_NOT_FOUND".into()]);
    assert_eq!((&answer["data"]["accepted"], &answer["data"]["rejected"]), (&1.into(), &2.into()));
    hub.stop().unwrap();
}

#[test]
fn a_broken_cards_file_stops_an_opening_and_not_a_running_hub() {
    let dir = tempfile::tempdir().unwrap();
    let cards = dir.path().join("cards");
    fs::write(&cards, "{\"code\":\"c\"}").unwrap();
    let error = Hub::open(options(dir.path()).with_cards(&cards)).unwrap_err();
    assert!(error.to_string().contains("line 1: status is missing"), "{error}");
    let missing = Hub::open(options(dir.path()).with_cards(dir.path().join("none"))).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");

    fs::write(&cards, card("c", "active", "punch")).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let hub = Hub::open_with_notices(options(dir.path()).with_cards(&cards), move |notice| {
        observer.lock().unwrap().push(notice.to_string());
        assert!(matches!(notice, Notice::CardsBroken { .. } | Notice::CardsReloaded { .. }));
    })
    .unwrap();
    let running = Running::serve(hub.clone());
    fs::write(&cards, "nonsense").unwrap();
    assert_eq!(send(running.client(), "k", "c")["success"], true, "the last good file");
    assert_eq!(hub.cards_report().failures, 1);
    let told = told.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("line 1"), "{told:?}");
    drop(hub);
    running.stop().unwrap();
}
