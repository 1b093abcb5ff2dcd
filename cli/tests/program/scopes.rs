//! The same key in two scopes is two events at the hub, too.
//! Method: `sync` against `serve`, both real processes, one key captured in two scopes.

use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Ended, KEY, on_store, onceward, run, serve};

/// Captures `receipt-1` in a scope.
fn capture(store: &Path, scope: &str) {
    capture_as(store, scope, "receipt-1");
}

fn capture_as(store: &Path, scope: &str, key: &str) {
    let item = r#"{"qr_code_data":"c","location_id":"l","staff_user_id":"s","purchase_amount":1.25,"client_timestamp":"2026-03-10T14:22:05.000Z"}"#;
    let line = format!("{{\"key\":\"{key}\",\"payload\":{item}}}\n");
    let mut command = onceward();
    command.args(["capture", "--scope", scope, "--store"]).arg(store);
    run(&mut command, line.as_bytes()).expect(0);
}

fn sync(store: &Path, url: &str, dialect: &str, more: &[&str]) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", dialect, "--to", url, "--store"]).arg(store);
    run(command.args(more).env("ONCEWARD_API_KEY", KEY), b"")
}

#[test]
fn one_key_in_two_scopes_takes_effect_twice_at_the_hub() {
    for dialect in ["wede", "forloy"] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        let hub = serve(&dir.path().join("data"), None);
        capture(&store, "default");
        capture(&store, "tips");
        // Not all of it can be sent, and that is said.
        let first = sync(&store, &hub.url, dialect, &[]).expect(5);
        let told = "1 event of scope tips is not sent: give --wire-keys scope-prefix";
        assert!(first.err.contains(told), "{}", first.err);
        let first = first.last_json();
        assert_eq!((&first["accepted"], &first["duplicate"]), (&json!(1), &json!(0)));
        assert_eq!((&first["pending"], &first["pending_elsewhere"]), (&json!(0), &json!(1)));
        sync(&store, &hub.url, dialect, &["--scope", "default"]).expect(0);
        // Without a rule it is refused by name, and nothing is sent.
        let refused = sync(&store, &hub.url, dialect, &["--scope", "tips"]).expect(2);
        assert!(refused.err.contains("--wire-keys scope-prefix"), "{}", refused.err);
        sync(&store, &hub.url, dialect, &["--scope", "tips", "--wire-keys", "bare"]).expect(2);
        let tips = ["--scope", "tips", "--wire-keys", "scope-prefix"];
        let second = sync(&store, &hub.url, dialect, &tips).expect(0).last_json();
        let counts = (&second["accepted"], &second["duplicate"], &second["pending"]);
        assert_eq!(counts, (&json!(1), &json!(0), &json!(0)), "{dialect}");
        // From then on the rule is known, and everything goes.
        sync(&store, &hub.url, dialect, &["--scope", "tips"]).expect(0);
        capture_as(&store, "default", "receipt-2");
        capture_as(&store, "tips", "receipt-2");
        let waiting = on_store("status", &store).expect(0).last_json()["to_send"].clone();
        assert_eq!(waiting, json!({"default": 1, "tips": 1}));
        let both = sync(&store, &hub.url, dialect, &[]).expect(0).last_json();
        assert_eq!((&both["accepted"], &both["pending_elsewhere"]), (&json!(2), &json!(0)));
    }
}

#[test]
fn a_dialect_that_gives_the_scope_sends_all_of_them_without_a_rule() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let hub = serve(&dir.path().join("data"), None);
    capture(&store, "default");
    capture(&store, "tips");
    let both = sync(&store, &hub.url, "onceward", &[]).expect(0).last_json();
    assert_eq!((&both["accepted"], &both["batches"]), (&json!(2), &json!(2)));
}

#[test]
fn acks_of_deliveries_go_by_a_dialect_of_their_own_and_by_no_other() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, "default");
    let deliver = || -> onceward::Result<()> {
        let store = onceward::Store::open(&store, onceward::Config::new())?;
        let payload = onceward::Payload::json("{}")?;
        let delivery =
            onceward::inbox::Delivery::new("0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69", payload)?;
        let received = store.inbox().receive(&delivery)?;
        let onceward::inbox::Received::Fresh { lsn } = received else { panic!("{received:?}") };
        store.inbox().ack(lsn)?;
        store.close()
    };
    deliver().unwrap();
    let hub = serve(&dir.path().join("data"), None);
    let sent = sync(&store, &hub.url, "wede", &[]).expect(5);
    let told = "1 event of scope inbox is not sent: they are acks of deliveries";
    assert!(sent.err.contains(told), "{}", sent.err);
    assert_eq!(sent.last_json()["accepted"], 1);
    let named = sync(&store, &hub.url, "wede", &["--scope", "inbox"]).expect(2);
    assert!(named.err.contains("takes no acks"), "{}", named.err);
    // A dialect for acks takes the inbox by itself, and nothing else.
    capture_as(&store, "default", "receipt-2");
    let acks = sync(&store, "http://127.0.0.1:9", "transyt", &[]).expect(5);
    assert!(acks.err.contains("of scope default is not sent"), "{}", acks.err);
    assert_eq!(acks.last_json()["attempted"], 1, "{}", acks.err);
    let other = sync(&store, &hub.url, "transyt", &["--scope", "default"]).expect(2);
    assert!(other.err.contains("takes acks"), "{}", other.err);
}

#[test]
fn a_scope_that_the_store_does_not_know_or_that_is_given_twice_is_refused() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, "default");
    capture(&store, "audit");
    let hub = serve(&dir.path().join("data"), None);
    let unknown = sync(&store, &hub.url, "wede", &["--scope", "nope"]).expect(2);
    let said = "--scope: the store has no event of the scope `nope`";
    assert!(unknown.err.contains(said), "{}", unknown.err);
    let twice = ["--scope", "audit", "--scope", "audit"];
    let twice = sync(&store, &hub.url, "onceward", &twice).expect(2);
    assert!(twice.err.contains("the scope `audit` is given twice"), "{}", twice.err);
    // One that is delivered whole is known all the same, and so is the scope of the inbox.
    for _ in 0..2 {
        sync(&store, &hub.url, "onceward", &["--scope", "audit"]).expect(0);
    }
    sync(&store, &hub.url, "deliveries", &["--scope", "inbox"]).expect(0);
}
