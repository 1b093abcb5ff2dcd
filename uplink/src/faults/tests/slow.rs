//! A slow line is as slow as asked, each way, and no slower.
//!
//! Method: time what comes through it, with room above for a busy machine and none below.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::super::http::Head;
use super::super::{FaultProxy, Plan};
use super::{Upstream, any_port, ask, request};
use crate::clock;

/// How long something took.
fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let began: Instant = clock::instant();
    let done = run();
    (clock::instant().duration_since(began), done)
}

#[test]
fn a_delay_is_both_ways_and_takes_no_throughput() {
    let body = vec![b'x'; 12_500_000];
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _from) = listener.accept().unwrap();
        Head::read(&mut BufReader::new(&stream)).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        (&stream).write_all(&[head.as_bytes(), &body].concat()).unwrap();
    });
    let proxy = FaultProxy::start(any_port(), address, Plan::script("* delay ms=100").unwrap());
    let proxy = proxy.unwrap();
    let (took, came) = timed(|| ask(&proxy, ""));
    assert!(came.bytes.len() > 12_500_000);
    assert!(took >= Duration::from_millis(200), "{took:?}");
    // A second at 100 Mbit/s. One piece after the other, each with its delay, would take over a minute.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_delay_is_accurate() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("* delay ms=40");
    let best = (0..5).map(|_| timed(|| ask(&proxy, "x")).0).min().unwrap();
    assert!((80..120).contains(&best.as_millis()), "{best:?}");
}

#[test]
fn a_rate_holds_for_all_connections_together_and_goes_with_a_fault() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("* rate bytes_per_s=2000\n* twice");
    let sent = request("x", "Connection: close\r\n").len();
    let (took, came) = timed(|| ask(&proxy, "x"));
    assert!(came.status() == 200 && upstream.count() == 2);
    // The request goes up twice, the reply down once.
    let bytes = u64::try_from(2 * sent + came.bytes.len()).unwrap();
    let least = Duration::from_millis(bytes * 1000 / 2000);
    assert!(took >= least && took < least * 5, "{took:?} for {least:?}");
}

#[test]
fn a_dripping_head_and_a_dripping_body_come_byte_by_byte() {
    let upstream = Upstream::start();
    let (head, body) = ask(&upstream.behind(""), "x").parts();
    for (fault, dripping) in [("drip_head", head.len()), ("drip_body", body.len())] {
        let proxy = upstream.behind(&format!("* {fault} ms=2"));
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        (&stream).write_all(request("x", "Connection: close\r\n").as_bytes()).unwrap();
        let (took, pieces) = timed(|| {
            let mut pieces = Vec::new();
            let mut bytes = [0; 4096];
            loop {
                match (&stream).read(&mut bytes).unwrap() {
                    0 => break pieces,
                    count => pieces.push(count),
                }
            }
        });
        // The reading begins a little after the first bytes.
        let least = Duration::from_millis(2) * u32::try_from(dripping - 10).unwrap();
        assert!(took >= least, "{fault}: {took:?}");
        assert!(pieces.len() > 20, "{fault}: {pieces:?}");
        let (longest, whole) = (pieces.iter().max().unwrap(), pieces.iter().sum::<usize>());
        assert!(*longest > 50 && whole > 150, "{fault}: the other part at once: {pieces:?}");
    }
}
