//! What is the fault of a batch, of a copy or of the configuration sends no sale to review.
//! Method: `sync` against `serve`, with replies that are lost on the way, stores that are copied, and devices without a
//! name.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use tempfile::tempdir;

use crate::process::{Ended, KEY, capture, on_store, onceward, run, serve};

/// Sales from `first` on, `count` of them.
fn sales(name: &str, count: usize) -> String {
    (0..count).map(|n| format!("{{\"key\":\"{name}-{n}\",\"payload\":{{\"n\":{n}}}}}\n")).collect()
}

/// `onceward sync --once` in the Wede dialect, as a device.
fn sync(store: &Path, url: &str, device: &str) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "wede", "--to", url, "--device-id", device]);
    run(command.arg("--store").arg(store).env("ONCEWARD_API_KEY", KEY), b"")
}

/// What a client gets of the hub's answer to its request of that number, from 0.
type Answer = fn(usize, Vec<u8>) -> Vec<u8>;

/// A line to `hub` on which answers are changed.
fn changing(hub: &str, answer: Answer) -> String {
    let hub = hub.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut count = 0;
        for client in listener.incoming() {
            let mut client = client.unwrap();
            // A connection that was only tried has no request.
            let Some(answered) = carry(&client, &hub) else { continue };
            drop(client.write_all(&answer(count, answered)));
            count += 1;
        }
    });
    url
}

/// Carries one request to the hub; its answer.
pub(crate) fn carry(client: impl Read, hub: &str) -> Option<Vec<u8>> {
    let mut from = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    let mut to = TcpStream::connect(hub).unwrap();
    to.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    to.write_all(&body).unwrap();
    let mut answered = Vec::new();
    to.read_to_end(&mut answered).unwrap();
    assert!(!answered.is_empty(), "the hub answered");
    Some(answered)
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn in_review(store: &Path) -> String {
    on_store("review list", store).expect(0).out
}

#[test]
fn a_lost_reply_and_another_device_name_make_the_sale_known_and_no_conflict() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales("sale", 1)).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    let losing = changing(&hub.url, |_, _| Vec::new());
    let lost = sync(&store, &losing, "till-1").expect(5);
    assert_eq!(lost.last_json()["pending"], 1);
    let known = sync(&store, &hub.url, "till-2").expect(0).last_json();
    assert_eq!((&known["pending"], &known["rejected"]), (&0.into(), &0.into()));
    assert_eq!(in_review(&store), "");
}

#[test]
fn sales_of_two_terminals_that_were_cloned_from_one_image_all_take_effect() {
    let dir = tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    capture(&one, "").expect(0);
    copy(&one, &two);
    let hub = serve(&dir.path().join("data"), None);
    for (store, name) in [(&one, "one"), (&two, "two")] {
        capture(store, &sales(name, 3)).expect(0);
        let summary = sync(store, &hub.url, "till").expect(0).last_json();
        assert_eq!((&summary["accepted"], &summary["duplicate"]), (&3.into(), &0.into()), "{name}");
        assert_eq!(in_review(store), "", "{name}");
    }
}

#[test]
fn sales_of_a_store_that_was_restored_from_a_copy_all_take_effect() {
    let dir = tempdir().unwrap();
    let (store, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let hub = serve(&dir.path().join("data"), None);
    capture(&store, &sales("old", 2)).expect(0);
    copy(&store, &backup);
    capture(&store, &sales("lost", 1)).expect(0);
    assert_eq!(sync(&store, &hub.url, "till").expect(0).last_json()["accepted"], 3);
    fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);
    capture(&store, &sales("new", 1)).expect(0);
    let summary = sync(&store, &hub.url, "till").expect(0).last_json();
    assert_eq!((&summary["accepted"], &summary["duplicate"]), (&1.into(), &2.into()));
    assert_eq!(in_review(&store), "");
}

#[test]
fn an_upstream_that_refuses_whatever_it_is_sent_is_a_fault_of_the_configuration() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales("sale", 40)).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    // No device has no name, and this upstream says so with a status of the whole batch.
    let refused = sync(&store, &hub.url, "").expect(8);
    assert!(refused.err.contains("none was taken"), "{}", refused.err);
    let summary = refused.last_json();
    assert_eq!((&summary["pending"], &summary["rejected"]), (&40.into(), &0.into()));
    assert!(summary["batches"].as_u64().unwrap() < 25, "{summary}");
    assert_eq!(in_review(&store), "");
    // And sent as it should be, everything goes.
    assert_eq!(sync(&store, &hub.url, "till").expect(0).last_json()["accepted"], 40);
}

#[test]
fn few_sales_that_are_refused_by_a_wrong_configuration_wait_too_and_it_is_said_for_what() {
    for count in [1, 2] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        capture(&store, &sales("sale", count)).expect(0);
        let hub = serve(&dir.path().join("data"), None);
        for _ in 0..3 {
            let ended = sync(&store, &hub.url, "").expect(8);
            assert_eq!(ended.last_json()["pending"], count);
            assert!(ended.err.contains("is the address right"), "{}", ended.err);
            assert!(ended.err.contains("wait until the upstream takes others"), "{}", ended.err);
            assert_eq!(in_review(&store), "");
        }
        assert_eq!(sync(&store, &hub.url, "till").expect(0).last_json()["accepted"], count);
    }
}

#[test]
fn a_run_that_goes_on_ends_by_itself_when_the_configuration_is_at_fault() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales("sale", 12)).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    let mut command = onceward();
    command.args(["sync", "--dialect", "wede", "--to", &hub.url, "--device-id", "", "--store"]);
    let ended = run(command.arg(&store).env("ONCEWARD_API_KEY", KEY), b"").expect(8);
    assert_eq!(ended.last_json()["pending"], 12);
    assert!(ended.err.contains("12 events are still pending"), "{}", ended.err);
}

#[test]
fn one_batch_that_fails_on_the_way_does_not_end_a_run_of_one_attempt_each() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales("sale", 1_500)).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    let failing = changing(&hub.url, |count, answered| match count {
        1 => b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        _ => answered,
    });
    // The others go first; then that one again, in halves, of which the hub has everything.
    let summary = sync(&store, &failing, "till").expect(0).last_json();
    assert_eq!((&summary["accepted"], &summary["duplicate"]), (&1_000.into(), &500.into()));
    assert_eq!((&summary["pending"], &summary["rejected"]), (&0.into(), &0.into()));
}

#[test]
fn a_device_name_that_is_too_long_is_refused_by_name_and_rejects_nothing() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales("sale", 2)).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    // Longer than any batch holds: nothing is sent.
    let refused = sync(&store, &hub.url, &"d".repeat(1_025)).expect(2);
    assert!(
        refused.err.contains("--device-id") && refused.err.contains("1025 bytes"),
        "{}",
        refused.err
    );
    // Longer than this upstream takes.
    let refused = sync(&store, &hub.url, &"d".repeat(256)).expect(8);
    assert_eq!(refused.last_json()["pending"], 2);
    assert_eq!(in_review(&store), "");
    assert_eq!(sync(&store, &hub.url, &"d".repeat(255)).expect(0).last_json()["accepted"], 2);
}

#[test]
fn two_upstreams_at_one_address_are_told_apart_by_a_name() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let hub = serve(&dir.path().join("data"), None);
    let mut capture = onceward();
    capture.args(["capture", "--scope", "tips", "--store"]).arg(&store);
    run(&mut capture, sales("tip", 1).as_bytes()).expect(0);
    let sync = |more: &[&str]| {
        let mut command = onceward();
        command.args(["sync", "--once", "--dialect", "wede", "--scope", "tips", "--to", &hub.url]);
        command.arg("--store").arg(&store).args(more);
        run(command.env("ONCEWARD_API_KEY", KEY), b"")
    };
    sync(&["--upstream-name", "trial", "--wire-keys", "scope-prefix"]).expect(0);
    // What is known of one is not known of the other.
    sync(&["--upstream-name", "trial"]).expect(0);
    for other in [&[][..], &["--upstream-name", "real"]] {
        assert!(sync(other).expect(2).err.contains("--wire-keys"), "{other:?}");
    }
    for bad in ["", "two words", "line\nbreak", &"n".repeat(256)] {
        let refused = sync(&["--upstream-name", bad]).expect(2);
        assert!(refused.err.contains("the upstream's name"), "{}", refused.err);
    }
}
