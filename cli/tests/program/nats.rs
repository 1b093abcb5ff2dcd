//! What is pending goes into a stream of NATS JetStream once, with the exit codes of any other upstream.
//! Method: `sync --dialect nats` against a `nats-server` of the test's own, and against none.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::{TempDir, tempdir};

use crate::process::{Ended, Guarded, capture, on_store, onceward, run, terminate};

/// A server, killed when it is dropped, before its folder goes.
struct Server {
    port: u16,
    _child: Guarded,
    _folder: TempDir,
}

impl Server {
    /// A server that asks for a token, and takes messages of so many bytes.
    fn start() -> Self {
        let folder = tempdir().unwrap();
        let config = folder.path().join("server.conf");
        fs::write(&config, "authorization { token: \"good-token\" }\nmax_payload: 4096\n").unwrap();
        let port = free_port();
        let spawn = |program: &str| {
            Command::new(program)
                .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
                .arg(folder.path())
                .arg("-c")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        // Where Debian has it, and where users do not look by themselves.
        let child = spawn("nats-server").or_else(|_| spawn("/usr/sbin/nats-server"));
        let child =
            child.expect("these tests need nats-server: on Debian, apt-get install nats-server");
        let server = Self { port, _child: Guarded(child), _folder: folder };
        until(|| says_who_it_is(port));
        server
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

fn says_who_it_is(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO ")
}

/// Waits until something is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let is_so = (0..400).any(|_| {
        thread::sleep(Duration::from_millis(25));
        is_so()
    });
    assert!(is_so, "it is not so after ten seconds");
}

/// A port on which nobody listens, below those that the system gives to connections.
fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Each process begins elsewhere: a test may be one.
    let own = std::process::id().wrapping_mul(8);
    let mut ports = (0..4_000).map(|_| {
        let at = own.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % 4_000;
        u16::try_from(16_000 + at).unwrap()
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// `onceward sync --dialect nats` with these arguments besides.
fn sync(store: &Path, url: &str, token: &str, more: &[&str]) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--json", "--dialect", "nats", "--to", url, "--store"]).arg(store);
    run(command.args(more).env("ONCEWARD_API_KEY", token), b"")
}

const ONCE: [&str; 3] = ["--once", "--stream", "SALES"];

/// So many events.
fn events(count: usize) -> String {
    (0..count).map(|n| format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n}}}}}\n")).collect()
}

#[test]
fn everything_goes_into_the_stream_and_exit_codes_say_what_does_not() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &events(50)).expect(0);
    let nowhere = format!("nats://127.0.0.1:{}", free_port());
    let unreached = sync(&store, &nowhere, "good-token", &ONCE).expect(5);
    assert!(unreached.err.contains("50 events are still pending"), "{}", unreached.err);

    let server = Server::start();
    let refused = sync(&store, &server.url(), "wrong-token", &ONCE).expect(6);
    assert!(!refused.err.contains("wrong-token"), "{}", refused.err);
    let missing = sync(&store, &server.url(), "good-token", &ONCE).expect(8);
    assert!(missing.err.contains("there is no stream \"SALES\""), "{}", missing.err);
    // Also where it would go on: the arguments stay as they are.
    sync(&store, &server.url(), "good-token", &["--stream", "SALES"]).expect(8);

    let create = [&ONCE[..], &["--create-stream", "--subject", "till-7.{scope}.{kind}"]].concat();
    let sent = sync(&store, &server.url(), "good-token", &create).expect(0).last_json();
    assert_eq!(
        (&sent["accepted"], &sent["pending"], &sent["batches"]),
        (&50.into(), &0.into(), &1.into())
    );
    let again = sync(&store, &server.url(), "good-token", &create).expect(0).last_json();
    assert_eq!(again["attempted"], 0);

    let large = format!("{{\"key\":\"large\",\"payload\":\"{}\"}}\n", "x".repeat(5_000));
    capture(&store, &large).expect(0);
    let reviewed = sync(&store, &server.url(), "good-token", &create).expect(9).last_json();
    assert_eq!((&reviewed["rejected"], &reviewed["in_review"]), (&1.into(), &1.into()));
    // The stream is made for another subject.
    capture(&store, &events(51)).expect(0);
    let elsewhere = sync(&store, &server.url(), "good-token", &ONCE).expect(8);
    assert!(elsewhere.err.contains("till-7.*.*"), "{}", elsewhere.err);
}

#[test]
fn a_signal_ends_a_run_that_goes_on_within_a_second_or_two() {
    let dir = tempdir().unwrap();
    let (store, server) = (dir.path().join("store"), Server::start());
    capture(&store, &events(5)).expect(0);
    let mut command = onceward();
    command.args(["sync", "--dialect", "nats", "--stream", "SALES", "--create-stream", "--to"]);
    command.arg(server.url()).arg("--store").arg(&store).env("ONCEWARD_API_KEY", "good-token");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut child = Guarded(child);
    until(|| {
        let states = on_store("dump", &store).column("state");
        states.len() == 5 && states.iter().all(|state| state == "accepted")
    });
    terminate(&child);
    let began = Instant::now();
    let status = child.0.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn credentials_that_cannot_be_read_are_refused_credentials() {
    let dir = tempdir().unwrap();
    let (store, server) = (dir.path().join("store"), Server::start());
    capture(&store, &events(1)).expect(0);
    let file = dir.path().join("till-7.creds");
    let creds = [&ONCE[..], &["--creds", file.to_str().unwrap()]].concat();
    for text in [None, Some("no credentials, but a secret")] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let refused = sync(&store, &server.url(), "good-token", &creds).expect(6);
        let (is_named, is_shown) =
            (refused.err.contains("till-7.creds"), refused.err.contains("secret"));
        assert!(is_named && !is_shown, "{}", refused.err);
    }
}

#[test]
fn what_would_be_an_order_to_the_server_is_refused_at_capture() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    let mut command = onceward();
    command.args(["capture", "--dialect", "nats", "--header", "nats-rollup=all", "--store"]);
    let refused = run(command.arg(&store), events(1).as_bytes()).expect(1);
    assert!(refused.out.contains("headers.nats-rollup: would be an order"), "{}", refused.out);
}

#[test]
fn arguments_of_other_upstreams_are_refused() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    capture(&store, &events(1)).expect(0);
    let url = "nats://127.0.0.1:9";
    for wrong in [
        &["--once"][..],
        &["--once", "--stream", "a.b"],
        &["--stream", "S", "--wire-keys", "scope-prefix"],
        &["--stream", "S", "--proxy", "http://127.0.0.1:1"],
        &["--stream", "S", "--subject", "onceward.*"],
        &["--stream", "S", "--creds", "till-7.creds", "--api-key", "key"],
    ] {
        sync(&store, url, "token", wrong).expect(2);
    }
    sync(&store, "http://127.0.0.1:9", "token", &ONCE).expect(2);
    sync(&store, "nats://user:password@127.0.0.1:9", "token", &ONCE).expect(2);
    let mut http = onceward();
    http.args([
        "sync",
        "--once",
        "--dialect",
        "wede",
        "--stream",
        "S",
        "--to",
        "http://127.0.0.1:9",
    ]);
    run(http.arg("--store").arg(&store), b"").expect(2);
}
