mod plain;
mod private;
mod probes;
mod refusals;
mod trust;
mod ways;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;

const KEY: &str = "wede_live_1234567890";

/// A server on loopback that hands each of its connections to `serve`, `count` of them, and then
/// returns what they sent.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Server {
    fn start(count: usize, serve: impl Fn(&mut TcpStream) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            (0..count).map(|_| serve(&mut listener.accept().unwrap().0)).collect()
        });
        Self { address, thread }
    }

    /// Answers each connection's one request with these bytes and closes.
    fn answering(count: usize, answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(count, move |stream| {
            let request = read_request(stream);
            // A client that has seen enough may close first.
            drop(stream.write_all(&answer));
            request
        })
    }

    fn line(&self) -> Line {
        self.line_within(Timeouts::default())
    }

    fn line_within(&self, timeouts: Timeouts) -> Line {
        Line::new(&format!("http://{}", self.address), Some(Secret::new(KEY)), timeouts).unwrap()
    }

    fn seen(self) -> Vec<String> {
        let seen = self.thread.join().unwrap();
        seen.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

/// Reads one request with a `Content-Length`, or what there is of it.
fn read_request(stream: &mut impl Read) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut block = [0; 4_096];
    while !is_whole(&seen) {
        match stream.read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(count) => seen.extend_from_slice(&block[..count]),
        }
    }
    seen
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn request() -> Request {
    Request::post("/v1/sync/batch", r#"{"events":[]}"#).with_header("Idempotency-Key", "store-7")
}

fn failure(line: &Line) -> String {
    match line.send(request()) {
        Err(Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_arrives_as_it_was_made_and_its_answer_comes_back() {
    let headers = "Retry-After: 7\r\nDate: Tue, 10 Mar 2026 14:22:05 GMT\r\n";
    let server = Server::answering(1, answer("207 Multi-Status", headers, "{\"a\":1}"));
    let response = server.line().send(request()).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (207, b"{\"a\":1}".as_slice()));
    assert_eq!(response.retry_after.as_deref(), Some("7"));
    assert_eq!(response.date.as_deref(), Some("Tue, 10 Mar 2026 14:22:05 GMT"));
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /v1/sync/batch HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"events\":[]}"), "{seen}");
    let seen = seen.to_lowercase();
    for header in [
        "content-type: application/json\r\n",
        "authorization: bearer wede_live_1234567890\r\n",
        "idempotency-key: store-7\r\n",
        "user-agent: onceward/",
    ] {
        assert!(seen.contains(header), "{header} is not in {seen}");
    }
}

#[test]
fn a_status_is_an_answer_whatever_it_is() {
    for status in ["201 Created", "401 Unauthorized", "413 Too Large", "500 Oops", "503 Later"] {
        let server = Server::answering(1, answer(status, "", "why"));
        let response = server.line().send(request()).unwrap();
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(response.body, b"why");
        drop(server.seen());
    }
}

#[test]
fn a_date_in_retry_after_can_be_read_without_the_servers_date() {
    let server = Server::answering(
        1,
        answer("503 Later", "Retry-After: Wed, 01 Jan 2200 00:00:00 GMT\r\n", ""),
    );
    let response = server.line().send(request()).unwrap();
    assert_eq!(response.retry_after_ms(), Some(crate::retry_after::RETRY_AFTER_MS_MAX));
}

#[test]
fn a_redirect_is_not_followed_and_its_target_never_contacted() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    for status in ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"] {
        let header = format!("Location: http://{}/\r\n", target.local_addr().unwrap());
        let server = Server::answering(1, answer(status, &header, ""));
        let response = server.line().send(request()).unwrap();
        assert_eq!(response.status.to_string(), status[..3]);
        drop(server.seen());
    }
    assert_eq!(target.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn nobody_there_is_unavailable_and_says_so() {
    let server = Server::start(0, |_| Vec::new());
    let line = server.line();
    drop(server.seen());
    let why = failure(&line);
    assert!(why.contains("connection refused"), "{why}");
}

#[test]
fn an_answer_that_is_not_whole_or_not_http_is_unavailable() {
    let whole = answer("200 OK", "", "{\"a\":1}");
    let server = Server::answering(1, whole);
    assert!(server.line().send(request()).is_ok(), "control");
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":1}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"a\":1}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 2\r\n\r\n{\"a\":1}",
        "HTTP/1.1 200 OK\r\nno header at all\r\n\r\n{\"a\":1}",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let server = Server::answering(1, bytes);
        let why = failure(&server.line());
        assert!(why.starts_with("POST http://127.0.0.1:"), "{bytes:?}: {why}");
        assert_eq!(server.seen().len(), 1, "it is not tried again by itself");
    }
}

#[test]
fn an_answer_that_never_ends_is_cut_at_its_limit() {
    let endless = |head: &'static str| {
        Server::start(1, move |stream| {
            let request = read_request(stream);
            drop(stream.write_all(head.as_bytes()));
            while stream.write_all(&[b' '; 65_536]).is_ok() {}
            request
        })
    };
    for head in
        ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"]
    {
        let server = endless(head);
        let Err(Failure::ReplyTooLarge { why }) = server.line().send(request()) else {
            panic!("it is taken");
        };
        assert!(why.contains("more than 1048576 bytes"), "{why}");
        drop(server.seen());
    }
    let server = endless("HTTP/1.1 401 Unauthorized\r\n\r\n");
    let response = server.line().send(request()).unwrap();
    assert_eq!((response.status, response.body.len()), (401, 0), "the status is not forgotten");
    drop(server.seen());
    // A portal's page is no reply of which a smaller batch would bring less.
    let server =
        endless("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><title>Log in</title>");
    let response = server.line().send(request()).unwrap();
    let (status, body) = (response.status, String::from_utf8_lossy(&response.body));
    assert!(status == 200 && body.starts_with("<html><title>Log in</title>"), "{status} {body}");
    drop(server.seen());
}

#[test]
fn an_answer_that_hangs_or_drips_meets_the_total_limit() {
    let limits = Timeouts { total: Duration::from_millis(300), ..Timeouts::default() };
    let hanging = Server::start(1, |stream| {
        let request = read_request(stream);
        // Until the client gives up.
        drop(stream.read(&mut [0; 1]));
        request
    });
    let why = failure(&hanging.line_within(limits));
    assert!(why.contains("in time"), "{why}");
    drop(hanging.seen());

    let dripping = Server::start(1, |stream| {
        let request = read_request(stream);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"));
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // The read is the pause between two bytes; it ends when the client is gone.
        while stream.read(&mut [0; 1]).is_err_and(|e| e.kind() != ErrorKind::ConnectionReset)
            && stream.write_all(b" ").is_ok()
        {}
        request
    });
    let why = failure(&dripping.line_within(limits));
    assert!(why.contains("in time"), "{why}");
    drop(dripping.seen());
}

#[test]
fn https_never_falls_back_to_http() {
    let server = Server::start(1, |stream| {
        let mut hello = vec![0; 4_096];
        let count = stream.read(&mut hello).unwrap();
        hello.truncate(count);
        drop(stream.write_all(answer("200 OK", "", "{}").as_bytes()));
        hello
    });
    let address = format!("https://localhost:{}", server.address.port());
    let line = Line::new(&address, Some(Secret::new(KEY)), Timeouts::default()).unwrap();
    drop(failure(&line));
    let seen = server.thread.join().unwrap().remove(0);
    assert_eq!(seen.first(), Some(&0x16), "a TLS handshake and nothing else");
    assert!(!seen.windows(KEY.len()).any(|window| window == KEY.as_bytes()));
}

#[test]
fn the_key_is_in_no_message_even_if_the_server_echoes_it() {
    let echo = format!("{{\"headers\":{{\"Authorization\":\"Bearer {KEY}\"}}}}");
    let server = Server::answering(1, answer("401 Unauthorized", "", &echo));
    let line = server.line();
    let response = line.send(request()).unwrap();
    assert!(String::from_utf8_lossy(&response.body).contains(KEY), "control: it was echoed");
    assert!(response.excerpt().contains("Bearer [redacted]"), "{}", response.excerpt());
    for shown in [format!("{response:?}"), format!("{line:?}")] {
        assert!(!shown.contains(KEY), "{shown}");
    }
    drop(server.seen());
    assert!(!failure(&line).contains(KEY));
}

#[test]
fn another_key_counts_from_the_next_request_on() {
    let server = Server::answering(2, answer("200 OK", "Connection: close\r\n", "{}"));
    let line = server.line();
    line.send(request()).unwrap();
    let clone = line.clone();
    line.set_key(Some(Secret::new("another"))).unwrap();
    clone.send(request()).unwrap();
    let seen = server.seen();
    assert!(seen[0].contains(KEY) && !seen[1].contains(KEY), "{seen:?}");
    assert!(seen[1].to_lowercase().contains("bearer another\r\n"), "{seen:?}");
}

#[test]
fn a_key_that_could_smuggle_a_header_is_refused() {
    for bad in ["", "two words", "a\r\nX-Other: 1", "caf\u{e9}"] {
        let error = Line::new("http://127.0.0.1", Some(Secret::new(bad)), Timeouts::default());
        assert_eq!(error.unwrap_err().kind(), crate::ErrorKind::Invalid, "{bad:?}");
    }
}

#[test]
fn certificates_must_be_certificates() {
    for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
    {
        let line = Line::new("https://hub.example", None, Timeouts::default()).unwrap();
        let error = line.trusting(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{bad:?}");
    }
}

#[test]
fn shutting_down_breaks_off_what_is_under_way() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = Server::start(1, move |stream| {
        let request = read_request(stream);
        sender.send(()).unwrap();
        drop(stream.read(&mut [0; 1]));
        request
    });
    let hours = Duration::from_secs(36_000);
    let line = server.line_within(Timeouts { connect: hours, total: hours });
    let theirs = line.clone();
    let sending = thread::spawn(move || failure(&theirs));
    receiver.recv().unwrap();
    line.shut_down();
    drop(sending.join().unwrap());
    assert!(failure(&line).contains("shut down"));
    drop(server.seen());
}

#[test]
fn an_answer_that_is_asked_to_be_held_back_is_waited_for_so_much_longer() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (arrive, arrived) = std::sync::mpsc::channel();
    let released = std::sync::Mutex::new(released);
    // Answers the held request when it is told to, and the other one never.
    let server = Server::start(2, move |stream| {
        let request = read_request(stream);
        if request.starts_with(b"POST /held") {
            arrive.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        } else {
            drop(stream.read(&mut [0; 1]));
        }
        request
    });
    let total = Duration::from_millis(100);
    let line = server.line_within(Timeouts { total, ..Timeouts::default() });
    let held = Request::post("/held", "{}").with_hold(Duration::from_hours(1));
    let theirs = line.clone();
    let holding = thread::spawn(move || theirs.send(held));
    arrived.recv().unwrap();
    // Three times as long as an answer may take, by requests that nobody answers: the first listens to nobody, too.
    for _ in 0..3 {
        let waiting = line.send(Request::post("/other", "{}")).unwrap_err();
        assert!(format!("{waiting:?}").contains("no complete answer in time"), "{waiting:?}");
    }
    release.send(()).unwrap();
    assert_eq!(holding.join().unwrap().unwrap().status, 204);
    drop(line);
    drop(server.seen());
}

#[test]
fn a_delete_has_its_body() {
    let server = Server::answering(1, "HTTP/1.1 204 No Content\r\n\r\n");
    let line = server.line();
    let request = Request::new(Method::Delete, "/v1/record", r#"{"scope":"orders"}"#);
    assert_eq!(line.send(request).unwrap().status, 204);
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("DELETE /v1/record HTTP/1.1"), "{seen}");
    assert!(seen.ends_with(r#"{"scope":"orders"}"#), "{seen}");
}
