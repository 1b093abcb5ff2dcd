//! What is pending goes upstream once, and what is refused for good waits for a person.
//! Method: `sync` against `serve`, both real processes, with and without cards, with wrong keys and no hub at all.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::tempdir;

use crate::process::{
    Ended, Guarded, KEY, capture, first_line, on_store, onceward, run, serve, terminate,
};

/// `count` purchases, of cards 0 to 9.
pub(crate) fn purchases(count: usize) -> String {
    let line = |n: usize| {
        let item = format!(
            r#"{{"qr_code_data":"card{}","location_id":"l","staff_user_id":"s","purchase_amount":1.25}}"#,
            n % 10
        );
        format!("{{\"key\":\"k{n}\",\"payload\":{item}}}\n")
    };
    (0..count).map(line).collect()
}

/// `onceward sync --once` in the Forloy dialect.
fn sync(store: &Path, url: &str, key: &str) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "forloy", "--to", url, "--store"]).arg(store);
    run(command.env("ONCEWARD_API_KEY", key), b"")
}

#[test]
fn everything_is_settled_and_a_second_run_sends_nothing() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &purchases(1_000)).expect(0);
    let hub = serve(&data, None);

    let first = sync(&store, &hub.url, KEY).expect(0).last_json();
    let fields: Vec<&String> = first.as_object().unwrap().keys().collect();
    let mut documented = [
        "attempted",
        "accepted",
        "duplicate",
        "rejected",
        "pending",
        "behind",
        "pending_elsewhere",
        "in_review",
        "batches",
        "bytes",
    ];
    documented.sort_unstable();
    let mut fields_sorted = fields.clone();
    fields_sorted.sort_unstable();
    assert_eq!(fields_sorted, documented);
    assert_eq!((&first["attempted"], &first["accepted"]), (&json!(1_000), &json!(1_000)));
    assert_eq!((&first["pending"], &first["batches"]), (&json!(0), &json!(10)));

    let second = sync(&store, &hub.url, KEY).expect(0).last_json();
    assert_eq!((&second["attempted"], &second["batches"]), (&json!(0), &json!(0)));
    assert_eq!(result(&store)["state"], "good");
    assert_eq!(on_store("verify", &store).expect(0).out, "");
    let status = on_store("status", &store).expect(0).last_json();
    assert_eq!((&status["pending"], &status["settled"]), (&json!(0), &json!(1_000)));
}

#[test]
fn without_a_hub_everything_stays_pending() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &purchases(3)).expect(0);
    let summary = sync(dir.path(), "http://127.0.0.1:1", KEY).expect(5).last_json();
    assert_eq!((&summary["pending"], &summary["accepted"]), (&json!(3), &json!(0)));
    let told = result(dir.path());
    assert_eq!((&told["scope"], &told["state"]), (&json!("default"), &json!("waiting")));
    assert_eq!(told["upstream"], "forloy http://127.0.0.1:1");
    assert!(told["what"].as_str().unwrap().contains("connection refused"), "{told}");
}

/// What `status` says of sending, from another process.
fn result(store: &Path) -> serde_json::Value {
    let status = on_store("status", store).expect(0).last_json();
    status.pointer("/sync/0").cloned().unwrap()
}

#[test]
fn a_wrong_key_is_told_apart_from_a_broken_line() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &purchases(3)).expect(0);
    let hub = serve(&data, None);
    let refused = sync(&store, &hub.url, "another_key_9").expect(6);
    assert_eq!(refused.last_json()["pending"], 3);
    assert!(!refused.err.contains("another_key_9"), "{}", refused.err);
    assert_eq!(result(&store)["state"], "blocked");

    let file = dir.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "forloy", "--to", &hub.url, "--api-key-file"]);
    let ended = run(command.arg(&file).arg("--store").arg(&store), b"").expect(0);
    assert_eq!(ended.last_json()["accepted"], 3);
}

#[test]
fn a_rejected_purchase_waits_for_a_person_and_is_retried_under_its_key() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let cards = dir.path().join("cards");
    let card = |n: usize, status: &str| {
        format!("{{\"code\":\"card{n}\",\"status\":\"{status}\",\"card_type\":\"punch\"}}\n")
    };
    let mut file: String = (0..8).map(|n| card(n, "active")).collect();
    file.push_str(&card(8, "inactive"));
    fs::write(&cards, file).unwrap();
    capture(&store, &purchases(10)).expect(0);
    let hub = serve(&data, Some(&cards));

    let ended = sync(&store, &hub.url, KEY).expect(9);
    assert!(ended.err.contains("2 events went to review"), "{}", ended.err);
    let summary = ended.last_json();
    assert_eq!((&summary["rejected"], &summary["in_review"]), (&json!(2), &json!(2)));
    let list = on_store("review list", &store).expect(0);
    assert_eq!(list.column("key"), ["k8", "k9"]);
    assert_eq!(list.column("code"), ["CARD_INACTIVE", "CARD_NOT_FOUND"]);
    let store_text = store.to_str().unwrap();
    let show = run(onceward().args(["review", "show", "--store", store_text, "k9"]), b"").expect(0);
    assert_eq!(show.last_json()["event"]["payload"]["qr_code_data"], "card9");

    // Two people saw the same item: the second hears who was first.
    let version = show.last_json()["version"].to_string();
    let decide = |who: &str| {
        let resolve = ["review", "resolve", "--store", store_text, "k9", "--note", "not ours"];
        run(onceward().args(resolve).args(["--who", who, "--of-version", &version]), b"")
    };
    decide("anna").expect(0);
    assert!(decide("ben").expect(1).err.contains("anna"));
    // Also who did not say what was seen.
    let resolve = ["review", "resolve", "--store", store_text, "k9", "--note", "x"];
    assert!(run(onceward().args(resolve), b"").expect(1).err.contains("anna decided: resolve"));
    fs::write(&cards, (0..10).map(|n| card(n, "active")).collect::<String>()).unwrap();
    let retry = on_store("review retry --all --who anna --note mended", &store).expect(0);
    assert_eq!(retry.column("key"), ["k8"]);
    let summary = sync(&store, &hub.url, KEY).expect(0).last_json();
    assert_eq!((&summary["accepted"], &summary["in_review"]), (&json!(1), &json!(0)));
    assert_eq!(on_store("review list", &store).expect(0).out, "");
}

#[test]
fn the_wede_dialect_settles_everything_too() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    let event = |n: usize| format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}}}}\n");
    capture(&store, &(0..600).map(event).collect::<String>()).expect(0);
    let hub = serve(&data, None);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", &hub.url, "--store"]).arg(&store);
    let summary = run(command.env("ONCEWARD_API_KEY", KEY), b"").expect(0).last_json();
    assert_eq!(summary["pending"], 0);
}

#[test]
fn without_once_it_goes_on_until_it_is_asked_to_end() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &purchases(250)).expect(0);
    let hub = serve(&data, None);
    let mut command = onceward();
    command.args(["sync", "--dialect", "forloy", "--to", &hub.url, "--store"]).arg(&store);
    command.env("ONCEWARD_API_KEY", KEY).stdout(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let began = Instant::now();
    while on_store("status", &store).expect(0).last_json()["settled"] != 250 {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is sent");
    }
    assert!(child.0.try_wait().unwrap().is_none(), "it goes on");
    terminate(&child);
    let summary = first_line(child.0.stdout.take().unwrap());
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&summary).unwrap()["accepted"], 250);
}

#[test]
fn an_outage_is_told_when_it_begins_and_when_its_reason_changes_and_at_the_end() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &purchases(3)).expect(0);
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let (attempts, made) = mpsc::channel();
    thread::spawn(move || {
        for (n, client) in upstream.incoming().enumerate() {
            let mut client = client.unwrap();
            let status = if n < 2 { "401 Unauthorized" } else { "503 Busy" };
            // Nothing is read: what was sent may be reset, and only the answer counts.
            let mut request = [0; 65_536];
            drop(client.read(&mut request));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(client.write_all(head.as_bytes()));
            attempts.send(n).unwrap_or_default();
        }
    });
    let mut command = onceward();
    command.args(["sync", "--dialect", "forloy", "--to", &url, "--store"]).arg(dir.path());
    command.env("ONCEWARD_API_KEY", KEY).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let mut said = BufReader::new(child.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.next().unwrap().contains("status 401"), "printed while it lasts");
    assert!(said.next().unwrap().contains("status 503"), "printed once, until it changes");
    assert!(made.iter().nth(2).is_some(), "control: there were several attempts");
    // Why it does not upload is also shown beside it, while it runs.
    let told = result(dir.path());
    assert!(
        told["state"] == "waiting" && told["what"].as_str().unwrap().contains("status 401"),
        "{told}"
    );
    terminate(&child);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let end = said.last().unwrap();
    assert!(end.contains("3 events are still pending") && end.contains("status 503"), "{end}");
}

#[test]
fn a_hub_that_is_asked_to_end_does_so_with_code_0() {
    let dir = tempdir().unwrap();
    let mut hub = serve(&dir.path().join("data"), None);
    terminate(&hub.child);
    assert_eq!(hub.child.0.wait().unwrap().code(), Some(0));
}
