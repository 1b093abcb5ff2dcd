//! A probe finds out who can be reached, and says nothing that is the upstream's alone.

use std::sync::mpsc;

use super::private::{Authority, showing};
use super::*;

/// Takes a connection and keeps it until the client closes it; what came over it.
fn listening() -> Server {
    Server::start(1, |stream| {
        let mut seen = Vec::new();
        drop(stream.read_to_end(&mut seen));
        seen
    })
}

/// A proxy that gives this answer to a `CONNECT`, or closes without one; all that came to it.
fn proxy(answer: &'static str) -> Server {
    Server::start(1, move |stream| {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            seen.extend(byte);
        }
        drop(stream.write_all(answer.as_bytes()));
        if !answer.is_empty() {
            drop(stream.read_to_end(&mut seen));
        }
        seen
    })
}

fn line(to: &str) -> Line {
    Line::allowing_plain_http(to, Some(Secret::new(KEY)), Timeouts::default()).unwrap()
}

fn words(line: &Line) -> String {
    line.probe().unwrap_err().to_string()
}

#[test]
fn whoever_listens_is_reached_and_is_sent_nothing() {
    for scheme in ["http", "https"] {
        let server = listening();
        assert_eq!(line(&format!("{scheme}://{}/x", server.address)).probe(), Ok(()));
        assert_eq!(server.seen(), [""], "{scheme}");
    }
}

#[test]
fn whoever_cannot_be_reached_is_named_with_the_reason() {
    let server = Server::start(0, |_| Vec::new());
    let address = server.address;
    drop(server.seen());
    let why = words(&line(&format!("https://{address}")));
    assert_eq!(why, format!("https://{address}: connection refused: nothing listens there"));
    let why = words(&line("https://hub.invalid"));
    assert!(why.starts_with("https://hub.invalid:443: the host's name cannot be"), "{why}");
}

#[test]
fn through_a_proxy_it_is_asked_for_a_tunnel_with_its_own_credentials_only() {
    for to in ["https://hub.invalid", "http://hub.invalid:80"] {
        let proxy = proxy("HTTP/1.1 200 OK\r\n\r\n");
        let through = format!("http://Aladdin:open%20sesame@{}", proxy.address);
        assert_eq!(line(to).through("--proxy", &through).unwrap().probe(), Ok(()));
        let seen = proxy.seen().remove(0);
        assert!(seen.starts_with("CONNECT hub.invalid:"), "{seen}");
        assert!(seen.contains("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "{seen}");
        assert!(!seen.contains(KEY) && seen.ends_with("\r\n\r\n"), "{seen}");
    }
}

#[test]
fn a_proxy_that_opens_tunnels_for_https_only_counts_as_reached_for_http() {
    let refusals = [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", true),
        ("HTTP/1.1 405 Method Not Allowed\r\n\r\n", true),
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", false),
        ("", false),
    ];
    for (answer, is_reached) in refusals {
        let through = |to: &str| {
            let proxy = proxy(answer);
            let named = format!("http://{}", proxy.address);
            line(to).through("--proxy", &named).unwrap().probe()
        };
        assert_eq!(through("http://hub.invalid").is_ok(), is_reached, "{answer}");
        let why = through("https://hub.invalid").unwrap_err().to_string();
        assert!(why.contains("the proxy http://127.0.0.1:"), "{answer}: {why}");
    }
    let dead = line("http://hub.invalid").through("--proxy", "http://127.0.0.1:1").unwrap();
    let why = words(&dead);
    assert!(why.contains("the proxy http://127.0.0.1:1 (named by --proxy): connection refused"));
}

#[test]
fn a_proxy_by_tls_is_checked_before_it_is_told_anything() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let proxy = Server::private(1, showing(&ours.sign(), None));
    let line = line("https://hub.invalid").trusting(other.pem().as_bytes()).unwrap();
    let through = format!("https://user:pass@{}", proxy.address);
    let why = words(&line.through("--proxy", &through).unwrap());
    assert!(why.contains("UnknownIssuer") && !why.contains("pass"), "{why}");
    assert_eq!(proxy.seen(), [""]);
}

/// A proxy that takes the question and never answers, and a way to know that it was asked.
fn hanging() -> (Server, mpsc::Receiver<()>) {
    let (sender, asked) = mpsc::channel();
    let server = Server::start(1, move |stream| {
        let mut first = [0; 7];
        stream.read_exact(&mut first).unwrap();
        sender.send(()).unwrap();
        drop(stream.read_to_end(&mut Vec::new()));
        first.to_vec()
    });
    (server, asked)
}

#[test]
fn a_host_that_hangs_meets_the_limit_of_connecting() {
    let (server, _asked) = hanging();
    let connect = Duration::from_millis(300);
    let limits = Timeouts { connect, total: Duration::from_secs(36_000) };
    let line = Line::direct("https://hub.invalid", Some(Secret::new(KEY)), limits).unwrap();
    let line = line.through("--proxy", &format!("http://{}", server.address)).unwrap();
    let why = words(&line);
    assert!(why.contains("no connection in time (through the proxy http://127.0.0.1:"), "{why}");
    assert_eq!(server.seen(), ["CONNECT"]);
}

#[test]
fn shutting_down_breaks_off_a_probe() {
    let (server, asked) = hanging();
    let hours = Duration::from_secs(36_000);
    let limits = Timeouts { connect: hours, total: hours };
    let line = Line::direct("https://hub.invalid", None, limits).unwrap();
    let line = line.through("--proxy", &format!("http://{}", server.address)).unwrap();
    let theirs = line.clone();
    let probing = thread::spawn(move || words(&theirs));
    asked.recv().unwrap();
    line.shut_down();
    assert!(probing.join().unwrap().contains("shut down"));
    // It sees the end of the connection.
    assert_eq!(server.seen(), ["CONNECT"]);
    assert!(words(&line).contains("shut down"));
}
