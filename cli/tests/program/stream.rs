//! The segment stream brings every event once, and of two copies of a store only one goes on.
//! Method: `sync --dialect onceward` against `serve`, both real processes, with a store that is copied.

use std::{fs, path::Path};

use onceward_hub::ledger;
use onceward_uplink::faults::{FaultProxy, Plan};
use serde_json::json;
use tempfile::tempdir;

use crate::process::{Ended, KEY, capture, on_store, onceward, run, serve};

/// `count` sales from number `first` on, two of three in a lane.
fn sales(first: usize, count: usize) -> String {
    let line = |n: usize| match n % 3 {
        0 => format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}}}}\n"),
        lane => {
            format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}},\"lane\":\"card-{lane}\"}}\n")
        }
    };
    (first..first + count).map(line).collect()
}

/// `count` purchases from number `first` on, which every dialect can carry.
fn purchases(first: usize, count: usize) -> String {
    let line = |n: usize| {
        format!(
            "{{\"key\":\"k{n}\",\"payload\":{{\"qr_code_data\":\"c\",\"location_id\":\"l\",\
             \"staff_user_id\":\"u\",\"purchase_amount\":1.50}}}}\n"
        )
    };
    (first..first + count).map(line).collect()
}

fn sync(store: &Path, url: &str, more: &[&str]) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "onceward", "--to", url, "--store"]).arg(store);
    run(command.args(more).env("ONCEWARD_API_KEY", KEY), b"")
}

/// The keys that took effect, in the order in which they did.
fn applied(data: &Path) -> Vec<String> {
    ledger(data, "default").unwrap().into_iter().map(|entry| entry.key).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_stream_brings_everything_once_and_in_order() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &sales(0, 9_000)).expect(0);
    let hub = serve(&data, None);
    let summary = sync(&store, &hub.url, &[]).expect(0).last_json();
    assert_eq!((&summary["accepted"], &summary["batches"]), (&json!(9_000), &json!(3)));
    assert_eq!(sync(&store, &hub.url, &[]).expect(0).last_json()["attempted"], 0);
    capture(&store, &sales(9_000, 10)).expect(0);
    assert_eq!(sync(&store, &hub.url, &[]).expect(0).last_json()["accepted"], 10);
    drop(hub);
    let expected: Vec<String> = (0..9_010).map(|n| format!("k{n}")).collect();
    assert_eq!(applied(&data), expected);
}

#[test]
fn of_two_copies_one_goes_on_and_the_other_says_so_and_sends_after_a_persons_word() {
    let dir = tempdir().unwrap();
    let (store, clone, data) =
        (dir.path().join("store"), dir.path().join("clone"), dir.path().join("data"));
    capture(&store, &sales(0, 5)).expect(0);
    let hub = serve(&data, None);
    sync(&store, &hub.url, &[]).expect(0);
    copy(&store, &clone);
    capture(&store, &sales(5, 2)).expect(0);
    sync(&store, &hub.url, &[]).expect(0);
    // It goes on from where it was copied, which was left behind since.
    capture(&clone, &sales(100, 3)).expect(0);
    let refused = sync(&clone, &hub.url, &[]).expect(8);
    assert!(refused.err.contains("HISTORY_FORKED"), "{}", refused.err);
    assert_eq!(refused.last_json()["pending"], 3);
    let told = on_store("status", &clone).expect(0).last_json()["sync"][0].clone();
    assert_eq!(told["state"], "misconfigured", "{told}");
    // Nothing of it was merged, and the first one is not held up.
    capture(&store, &sales(7, 1)).expect(0);
    sync(&store, &hub.url, &[]).expect(0);
    let accepted = sync(&clone, &hub.url, &["--accept-fork"]).expect(0).last_json();
    assert_eq!(accepted["accepted"], 3);
    capture(&store, &sales(8, 1)).expect(0);
    sync(&store, &hub.url, &[]).expect(0);
    drop(hub);
    let expected = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k100", "k101", "k102", "k8"];
    assert_eq!(applied(&data), expected);
}

#[test]
fn an_older_copy_that_is_put_back_is_no_way_to_change_the_past() {
    let dir = tempdir().unwrap();
    let (store, backup, data) =
        (dir.path().join("store"), dir.path().join("backup"), dir.path().join("data"));
    capture(&store, &sales(0, 5)).expect(0);
    copy(&store, &backup);
    let hub = serve(&data, None);
    sync(&store, &hub.url, &[]).expect(0);
    fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);
    let refused = sync(&store, &hub.url, &[]).expect(8);
    assert!(refused.err.contains("HISTORY_FORKED"), "{}", refused.err);
    let summary = sync(&store, &hub.url, &["--accept-fork"]).expect(0).last_json();
    assert_eq!((&summary["accepted"], &summary["duplicate"]), (&json!(0), &json!(5)));
    drop(hub);
    assert_eq!(applied(&data).len(), 5);
}

#[test]
fn the_word_on_a_fork_means_nothing_to_a_dialect_without_a_history() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &sales(0, 1)).expect(0);
    for dialect in ["wede", "forloy", "nats", "deliveries"] {
        let mut command = onceward();
        command.args(["sync", "--once", "--accept-fork", "--to", "http://127.0.0.1:1"]);
        command.args(["--dialect", dialect, "--store"]).arg(&store).env("ONCEWARD_API_KEY", KEY);
        let refused = run(&mut command, b"").expect(2);
        assert!(refused.err.contains("--accept-fork: means"), "{dialect}: {}", refused.err);
    }
}

/// T50: an upstream that begins anew with a terminal takes nothing of what waits there.
#[test]
fn what_is_pending_stays_when_the_hub_comes_back_empty() {
    for (dialect, code) in [("onceward", 8), ("wede", 0), ("forloy", 0)] {
        let dir = tempdir().unwrap();
        let (store, data) = (dir.path().join("store"), dir.path().join("data"));
        capture(&store, &purchases(0, 5)).expect(0);
        let hub = serve(&data, None);
        let address = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
        // The hub keeps its address.
        let line =
            FaultProxy::start("127.0.0.1:0".parse().unwrap(), address(&hub.url), Plan::pass());
        let line = line.unwrap();
        let url = format!("http://{}", line.addr());
        let sync = |more: &[&str]| {
            let mut command = onceward();
            command.args(["sync", "--once", "--dialect", dialect, "--to", &url, "--store"]);
            run(command.arg(&store).args(more).env("ONCEWARD_API_KEY", KEY), b"")
        };
        assert_eq!(sync(&[]).expect(0).last_json()["accepted"], 5);
        drop(hub);
        fs::remove_dir_all(&data).unwrap();
        capture(&store, &purchases(5, 3)).expect(0);
        let hub = serve(&data, None);
        line.lead_to(address(&hub.url)).unwrap();
        let first = sync(&[]).expect(code).last_json();
        assert_eq!(first["in_review"], 0, "{dialect}: {first}");
        // The segment stream asks a person first: the hub may be another one.
        let accepting: &[&str] = if code == 0 { &[] } else { &["--accept-fork"] };
        assert_eq!(first["pending"], if code == 0 { 0 } else { 3 }, "{dialect}: {first}");
        sync(accepting).expect(0);
        // One word is enough: from then on it is the terminal's hub as before.
        capture(&store, &purchases(8, 1)).expect(0);
        sync(&[]).expect(0);
        drop(hub);
        assert_eq!(applied(&data), ["k5", "k6", "k7", "k8"], "{dialect}");
    }
}

#[test]
fn a_hub_at_another_address_is_the_same_one_and_another_hub_has_another_history() {
    let dir = tempdir().unwrap();
    let (store, data) = (dir.path().join("store"), dir.path().join("data"));
    capture(&store, &sales(0, 5)).expect(0);
    let hub = serve(&data, None);
    sync(&store, &hub.url, &[]).expect(0);
    drop(hub);
    let hub = serve(&data, None);
    capture(&store, &sales(5, 1)).expect(0);
    sync(&store, &hub.url, &[]).expect(0);
    drop(hub);
    // Another one.
    let hub = serve(&dir.path().join("other"), None);
    capture(&store, &sales(6, 1)).expect(0);
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", "onceward", "--to", &hub.url, "--store"]);
    let named = run(
        command.arg(&store).args(["--upstream-name", "other"]).env("ONCEWARD_API_KEY", KEY),
        b"",
    );
    assert_eq!(named.expect(0).last_json()["accepted"], 1, "another upstream has another history");
}
