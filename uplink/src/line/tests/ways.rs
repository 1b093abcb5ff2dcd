//! Kept connections, proxies and trusted certificates.

#![expect(clippy::disallowed_methods, reason = "files of an operator's, as no store writes them")]

use std::net::Shutdown;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

/// A server that answers the first request of each connection and closes it at the second, `count` of them.
fn closing_at_the_second(count: usize) -> Server {
    Server::start(count, |stream| {
        let request = read_request(stream);
        drop(stream.write_all(answer("200 OK", "", "{}").as_bytes()));
        drop(read_request(stream));
        request
    })
}

fn line_through(proxy: &str, to: &str) -> Line {
    Line::allowing_plain_http(to, Some(Secret::new(KEY)), Timeouts::default())
        .unwrap()
        .through("--proxy", proxy)
        .unwrap()
}

#[test]
fn a_kept_connection_that_died_unused_is_followed_by_a_fresh_one_at_once() {
    let server = closing_at_the_second(4);
    let line = server.line();
    for _ in 0..4 {
        assert_eq!(line.send(request()).unwrap().status, 200);
    }
    drop(line);
    assert_eq!(server.seen().len(), 4);
}

/// The upstream closes each connection behind its answer without saying so, and the second one without an answer.
#[test]
fn a_request_over_a_fresh_connection_is_not_sent_again_although_one_was_kept_before() {
    let (closed, is_closed) = mpsc::channel();
    let count = AtomicUsize::new(0);
    let server = Server::start(3, move |stream| {
        let request = read_request(stream);
        if count.fetch_add(1, Ordering::Relaxed) != 1 {
            stream.write_all(answer("200 OK", "", "{}").as_bytes()).unwrap();
        }
        stream.shutdown(Shutdown::Both).unwrap();
        closed.send(()).unwrap();
        request
    });
    let line = server.line();
    assert_eq!(line.send(request()).unwrap().status, 200);
    is_closed.recv().unwrap();
    // What was kept is closed, as can be seen.
    failure(&line);
    assert_eq!(line.send(request()).unwrap().status, 200);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn plain_http_goes_through_a_proxy_by_its_full_name_and_without_a_tunnel() {
    let proxy = Server::start(1, |stream| {
        let mut seen = read_request(stream);
        drop(stream.write_all(answer("200 OK", "", "{\"a\":1}").as_bytes()));
        seen.extend(read_request(stream));
        drop(stream.write_all(answer("200 OK", "Connection: close\r\n", "{}").as_bytes()));
        seen
    });
    let through = format!("http://user:pass%20word@{}", proxy.address);
    let line = line_through(&through, "http://hub.invalid:8080/tills");
    assert_eq!(line.send(request()).unwrap().body, b"{\"a\":1}");
    assert_eq!(line.send(request()).unwrap().body, b"{}");
    assert!(!format!("{line:?}").contains("word"), "{line:?}");
    let seen = proxy.seen().remove(0).to_lowercase();
    let target = "post http://hub.invalid:8080/tills/v1/sync/batch http/1.1\r\n";
    assert_eq!(seen.matches(target).count(), 2, "{seen}");
    for header in
        ["host: hub.invalid:8080\r\n", "proxy-authorization: basic dxnlcjpwyxnzihdvcmq=\r\n"]
    {
        assert_eq!(seen.matches(header).count(), 2, "{header} is not in {seen}");
    }
    assert!(!seen.contains("connect "), "{seen}");
}

#[test]
fn https_goes_through_a_tunnel_and_shows_the_proxy_no_credentials() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let proxy = Server::start(1, move |stream| {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        drop(stream.write_all(refusal.as_bytes()));
        head
    });
    let shown = format!("http://{}", proxy.address);
    let why = failure(&line_through(&shown, "https://hub.invalid"));
    assert!(
        why.contains(&format!("the proxy {shown} (named by --proxy): it opens no way")),
        "{why}"
    );
    assert!(why.contains("407"), "{why}");
    let seen = proxy.seen().remove(0);
    assert!(
        seen.starts_with("CONNECT hub.invalid:443 HTTP/1.1\r\n") && !seen.contains(KEY),
        "{seen}"
    );
}

#[test]
fn a_dead_proxy_is_told_as_the_proxy() {
    let server = Server::start(0, |_| Vec::new());
    let shown = format!("http://{}", server.address);
    drop(server.seen());
    for to in ["http://hub.invalid", "https://hub.invalid", "http://127.0.0.1:1"] {
        let why = failure(&line_through(&shown, to));
        let expected = format!("the proxy {shown} (named by --proxy): connection refused");
        assert!(why.contains(&expected), "{why}");
    }
}

#[test]
fn a_proxy_that_is_not_supported_is_refused() {
    let line = Line::direct("https://hub.example", None, Timeouts::default()).unwrap();
    let error = line.through("--proxy", "socks5://proxy:1080").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert_eq!(error.to_string(), "--proxy: socks5 proxies are not supported, only http and https");
}

#[test]
fn a_file_of_certificates_must_be_there_and_hold_some() {
    let folder = tempfile::tempdir().unwrap();
    let line = || Line::direct("https://hub.example", None, Timeouts::default()).unwrap();
    let file = folder.path().join("ca.pem");
    let refused = |path: &Path| line().trusting_file("--ca-file", path).unwrap_err();
    let refusal = |path: &Path| refused(path).to_string();
    assert!(refusal(&file).starts_with("--ca-file: cannot read "), "{}", refusal(&file));
    assert_eq!(refused(&file).kind(), crate::ErrorKind::Io);
    for (pem, expected) in [
        ("", "has no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n", "is damaged"),
        ("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n", "TLS can use"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged"),
    ] {
        std::fs::write(&file, pem).unwrap();
        assert!(refusal(&file).contains(expected), "{pem}: {}", refusal(&file));
        assert_eq!(refused(&file).kind(), crate::ErrorKind::Invalid);
    }
    for other in [folder.path(), Path::new("/dev/zero")] {
        assert!(refusal(other).contains("is not a regular file"), "{}", refusal(other));
    }
}
