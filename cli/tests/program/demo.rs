//! The demo proves that each purchase took effect once, and would say so if one had not.
//! Method: play a short one, doctor the hub's ledger behind its back, and compare again.

use std::{fs, path::Path};

use onceward::capture::Effect;
use onceward::config::Create;
use onceward::{Config, Event, Key, Payload, Receipt, Scope, Store};
use serde_json::json;
use tempfile::tempdir;

use crate::process::{Ended, ask};

/// Plays a short demo and keeps its stores.
fn play(dir: &Path) -> Ended {
    play_in("forloy", dir)
}

/// Plays a short demo in this dialect and keeps its stores.
fn play_in(dialect: &str, dir: &Path) -> Ended {
    let dir = dir.to_str().unwrap();
    ask(&["demo", "--dialect", dialect, "--rows", "300", "--json", "--keep", dir])
}

/// Compares the kept stores again.
fn check(dir: &Path) -> Ended {
    ask(&["demo", "--json", "--check", dir.to_str().unwrap()])
}

/// Writes an effect into the hub's log as if the hub had applied it.
fn doctor(dir: &Path, scope: &str, key: &str, amount: &str) {
    let store = dir.join("hub").join("tenants").join("default");
    let store = Store::open(&store, Config::new().with_create(Create::Never)).unwrap();
    let payload = Payload::json("{}").unwrap();
    let event = Event::new(Scope::new(scope).unwrap(), Key::new(key).unwrap(), payload);
    let event = event.with_amount(amount.parse().unwrap());
    let receipt = Receipt::new(b"txn_doctored").unwrap();
    store.apply_batch(&[Effect { event, receipt }]).unwrap();
    store.close().unwrap();
}

#[test]
fn every_purchase_of_a_short_demo_takes_effect_once() {
    let dir = tempdir().unwrap();
    let site = dir.path().join("site");
    let verdict = play(&site).expect(0).last_json();
    let fields: Vec<&str> = verdict.as_object().unwrap().keys().map(String::as_str).collect();
    let mut documented = vec![
        "captured",
        "accepted",
        "rejected",
        "resolved",
        "replies_lost",
        "duplicates_absorbed",
        "effects_min",
        "effects_max",
        "amount_terminal",
        "amount_hub",
        "ok",
    ];
    documented.sort_unstable();
    assert_eq!(fields, documented);
    assert_eq!((&verdict["captured"], &verdict["accepted"]), (&json!(300), &json!(300)));
    assert_eq!((&verdict["effects_min"], &verdict["effects_max"]), (&json!(1), &json!(1)));
    assert_eq!(verdict["amount_terminal"], verdict["amount_hub"]);
    assert_eq!(verdict["rejected"], verdict["resolved"]);
    for field in ["rejected", "replies_lost", "duplicates_absorbed"] {
        assert!(verdict[field].as_u64().unwrap() > 0, "{field}: {verdict}");
    }
    assert_eq!(check(&site).expect(0).last_json(), verdict);
}

/// Plays a demo in this dialect; says how many of its 300 purchases were rejected at first.
fn assert_each_once(dialect: &str, hub_scope: &str) -> u64 {
    let dir = tempdir().unwrap();
    let site = dir.path().join("site");
    let verdict = play_in(dialect, &site).expect(0).last_json();
    let said = |field: &str| verdict.get(field).unwrap();
    let count = |field: &str| said(field).as_u64().unwrap();
    assert_eq!((count("captured"), count("accepted")), (300, 300));
    assert_eq!((count("effects_min"), count("effects_max")), (1, 1));
    assert_eq!(said("amount_terminal"), said("amount_hub"));
    assert_eq!(count("rejected"), count("resolved"));
    assert!(count("replies_lost") >= 4, "{verdict}");
    assert_eq!(check(&site).expect(0).last_json(), verdict);
    let ledger = onceward_hub::ledger(&site.join("hub"), "default").unwrap();
    assert!(ledger.iter().all(|entry| entry.scope == hub_scope), "{:?}", ledger.first());
    // The same key in another scope is found out whatever the dialect.
    doctor(&site, "other", "cdnow-000001", "29.33");
    assert!(check(&site).expect(1).err.contains("cdnow-000001: 2 effects"));
    count("rejected")
}

#[test]
fn every_purchase_takes_effect_once_by_wedes_batches() {
    assert!(assert_each_once("wede", "wede") > 0);
}

#[test]
fn every_purchase_takes_effect_once_by_the_segment_stream() {
    assert_eq!(assert_each_once("onceward", "s_default"), 0, "the stream knows no cards");
}

#[test]
fn every_purchase_takes_effect_once_by_a_dialect_that_a_file_describes() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("dialect.toml");
    fs::write(&file, ask(&["dialect", "show", "wede-single"]).expect(0).out).unwrap();
    assert!(assert_each_once(&format!("http:{}", file.display()), "wede") > 0);
}

#[test]
fn a_demo_in_no_dialect_of_the_hub_is_refused_before_anything_is_made() {
    let dir = tempdir().unwrap();
    let site = dir.path().join("site");
    play_in("esperanto", &site).expect(2);
    play_in("deliveries", &site).expect(2);
    play_in("http:/no/such/file", &site).expect(1);
    #[cfg(feature = "nats")]
    play_in("nats", &site).expect(2);
    assert!(!site.exists());
}

#[test]
fn a_doctored_ledger_is_found_out() {
    let dir = tempdir().unwrap();
    let site = dir.path().join("site");
    play(&site).expect(0);
    check(&site).expect(0);

    let ledger = fs::canonicalize(site.join("hub")).unwrap();
    let copy = dir.path().join("copy");
    copy_tree(&ledger, &copy);
    doctor(&site, "forloy", "cdnow-999999", "0");
    let ended = check(&site).expect(1);
    assert!(ended.err.contains("cdnow-999999"), "a stranger: {}", ended.err);
    assert_eq!(ended.last_json()["ok"], false);

    fs::remove_dir_all(&ledger).unwrap();
    copy_tree(&copy, &ledger);
    check(&site).expect(0);
    // The same purchase once more, by a way that the index of keys does not see.
    doctor(&site, "wede", "cdnow-000001", "29.33");
    let ended = check(&site).expect(1);
    assert!(ended.err.contains("cdnow-000001: 2 effects"), "a second effect: {}", ended.err);
    assert_eq!(ended.last_json()["effects_max"], 2);

    fs::remove_dir_all(ledger.join("tenants").join("default")).unwrap();
    doctor_empty(&ledger);
    let ended = check(&site).expect(1);
    assert_eq!(ended.last_json()["effects_min"], 0, "missing effects");
}

/// Puts an empty store where the hub's was.
fn doctor_empty(hub: &Path) {
    let store = Store::open(hub.join("tenants").join("default"), Config::new()).unwrap();
    store.close().unwrap();
}

/// Copies a directory.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_demo_leaves_nothing_behind() {
    let temporary = tempdir().unwrap();
    let mut command = crate::process::onceward();
    command.args(["demo", "--rows", "200", "--json"]).env("TMPDIR", temporary.path());
    crate::process::run(&mut command, b"").expect(0);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}
