//! Whoever knows that the line is back ends a wait of `sync`, however long the upstream asked for it.
//! Method: run the built program towards an upstream that asks for ten minutes, send SIGUSR1, and time what it sends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use tempfile::tempdir;

use crate::process::{Guarded, KEY, capture, lines, onceward, send, terminate};

/// The address of an upstream that asks for ten minutes, and a word for each request that came to its end.
fn busy() -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut from = BufReader::new(client.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while from.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            if length == 0 {
                continue; // Only tried.
            }
            let came = Instant::now();
            from.read_exact(&mut vec![0; length]).unwrap();
            // In the upstream's own format: a stranger's wish would only count until a probe reached somebody.
            let body = r#"{"status":408,"code":"REQUEST_TIMEOUT"}"#;
            let head =
                "HTTP/1.1 408 Busy\r\nretry-after: 600\r\nconnection: close\r\ncontent-length";
            client.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
            if sender.send(came).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

#[test]
fn sigusr1_ends_a_wait_of_minutes_at_once_and_not_the_program() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(3, "a")).expect(0);
    let (url, requests) = busy();
    let mut command = onceward();
    command.args(["sync", "--dialect", "wede", "--to", &url, "--store"]).arg(dir.path());
    command.env("ONCEWARD_API_KEY", KEY).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().unwrap());
    let minute = Duration::from_secs(60);
    requests.recv_timeout(minute).unwrap();
    let mut fastest = minute;
    for _ in 0..5 {
        let quiet = requests.recv_timeout(Duration::from_millis(500));
        assert!(quiet.is_err(), "it waits, as the upstream asked");
        let sent = Instant::now();
        send("-USR1", &child);
        let came = requests.recv_timeout(minute).unwrap();
        fastest = fastest.min(came.saturating_duration_since(sent));
    }
    // The best of five: what a busy machine adds is not its own.
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
    terminate(&child);
    assert_eq!(child.0.wait().unwrap().code(), Some(0), "{}", child.said());
}
