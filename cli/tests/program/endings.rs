//! What came of a run of `sync` is reported and counts, whoever reads it, however it closes, and whenever it is to end.
//! Method: run the built program with a full stdout, on a disk that fails at its end, and towards an address whose
//! packets are dropped.

use std::{
    fs::{self, OpenOptions},
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::tempdir;

use crate::{
    order::{Failing, with_failing_sync},
    process::{Guarded, KEY, capture, lines, on_store, onceward, run, serve, terminate},
    upstreams::copy,
};

/// `onceward sync`.
fn sync(store: &Path, dialect: &str, url: &str) -> Command {
    let mut command = onceward();
    command.args(["sync", "--dialect", dialect, "--to", url, "--store"]).arg(store);
    command.env("ONCEWARD_API_KEY", KEY);
    command
}

/// How it ends with a stdout that takes nothing, and what it says.
fn with_full_stdout(command: &mut Command) -> (Option<i32>, String) {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_came_of_a_run_is_told_and_counts_although_nobody_can_read_the_summary() {
    let dir = tempdir().unwrap();
    let (store, cards) = (dir.path().join("store"), dir.path().join("cards"));
    fs::write(&cards, "{\"code\":\"x\",\"status\":\"active\",\"card_type\":\"punch\"}\n").unwrap();
    let hub = serve(&dir.path().join("data"), Some(&cards));
    let sale = r#"{"qr_code_data":"c","location_id":"l","staff_user_id":"s","purchase_amount":1}"#;
    capture(&store, &format!("{{\"key\":\"k1\",\"payload\":{sale}}}\n")).expect(0);
    for (url, key, code, words) in [
        ("http://127.0.0.1:1", KEY, 5, "1 event is still pending"),
        (hub.url.as_str(), "another", 6, "refused the credentials"),
        (hub.url.as_str(), KEY, 9, "1 event went to review"),
    ] {
        let mut command = sync(&store, "forloy", url);
        let (ended, said) = with_full_stdout(command.arg("--once").env("ONCEWARD_API_KEY", key));
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(words) && said.contains("standard output"), "{said}");
    }
    let (ended, said) = with_full_stdout(sync(&store, "forloy", &hub.url).arg("--once"));
    assert_eq!(ended, Some(1), "nothing else went wrong: {said}");
}

#[test]
fn a_close_that_fails_hides_nothing_of_what_came_of_a_run() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &lines(2, "a")).expect(0);
    let mut failed = 0;
    for number in 1.. {
        let copied = dir.path().join(number.to_string());
        copy(&store, &copied);
        let to = ["sync", "--once", "--to", "http://127.0.0.1:1", "--dialect", "wede", "--store"];
        let args = [&to[..], &[copied.to_str().unwrap()]].concat();
        let Some(ended) = with_failing_sync((Failing::EveryThread, number), &args, "") else {
            break;
        };
        if ended.err.contains("cannot close the store") && ended.err.contains("still pending") {
            failed += 1;
            assert_eq!(ended.expect(5).last_json()["pending"], 2);
        }
    }
    assert!(failed > 0, "some sync is that of the end");
}

#[test]
fn an_event_that_nobody_was_asked_about_hides_no_upstream_that_takes_nothing() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let capture = |input: &str| {
        let mut command = onceward();
        run(command.args(["capture", "--scope", "tips", "--store"]).arg(&store), input.as_bytes())
    };
    capture(&lines(3, "a")).expect(0);
    // With its scope before it, it is longer than any key.
    capture(&format!("{{\"key\":\"{}\",\"payload\":{{}}}}\n", "k".repeat(255))).expect(0);
    let hub = serve(&dir.path().join("data"), None);
    let mut command = sync(&store, "wede", &hub.url);
    command.args(["--once", "--scope", "tips", "--wire-keys", "scope-prefix", "--device-id", ""]);
    let ended = run(&mut command, b"").expect(8);
    let summary = ended.last_json();
    assert_eq!((&summary["pending"], &summary["rejected"]), (&3.into(), &1.into()));
}

/// An address that answers no packet of who connects, for as long as this is kept.
fn dropping() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Nobody accepts, so the kernel takes so many and drops what comes then.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    (address, listener, waiting)
}

/// Waits until somebody waits for the answer to a first packet to this port.
fn wait_for_connect(port: u16, child: &mut Child) {
    let began = Instant::now();
    let is_tried = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|remote| remote.ends_with(&format!(":{port:04X}")))
            && fields.next() == Some("02")
    };
    while !fs::read_to_string("/proc/net/tcp").unwrap().lines().any(is_tried) {
        assert!(child.try_wait().unwrap().is_none(), "it connects");
        assert!(began.elapsed() < Duration::from_secs(30), "it connects");
    }
}

#[test]
fn a_signal_while_a_connection_is_made_ends_sync_in_order() {
    let (address, _listener, _waiting) = dropping();
    for (once, code) in [(true, 5), (false, 0)] {
        let dir = tempdir().unwrap();
        capture(dir.path(), &lines(3, "a")).expect(0);
        let mut command = sync(dir.path(), "wede", &format!("http://{address}"));
        command.args(once.then_some("--once")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded(command.spawn().unwrap());
        wait_for_connect(address.port(), &mut child.0);
        terminate(&child);
        assert_eq!(child.0.wait().unwrap().code(), Some(code), "{}", child.said());
        let mut summary = String::new();
        child.0.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
        assert!(summary.contains("\"pending\":3"), "{summary}");
        let said = child.said();
        assert!(said.contains("stopped by a signal, 3 events are still pending"), "{said}");
        let status = on_store("status", dir.path()).expect(0).last_json();
        assert_eq!(status["recovery"]["clean"], true);
    }
}
