//! A proxy ends within a second, whatever its connections are at, and carries what it does not know the form of.
//!
//! Method: drop it under connections that would never end, and send bodies in chunks and without a length.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::ending::lock;
use super::super::http::Head;
use super::super::{FaultProxy, Plan};
use super::{Upstream, any_port, ask, read_to_end, request, until};
use crate::clock;

#[test]
fn a_proxy_ends_within_a_second_under_connections_that_would_not() {
    let upstream = Upstream::start();
    let script =
        "1 hang\n2 endless_body\n3 delay ms=60000\n4 drip_body ms=60000\n5 refuse ms=60000";
    let proxy = upstream.behind(script);
    let idle = TcpStream::connect(proxy.addr()).unwrap();
    let mut streams = vec![idle];
    for number in 1..=4 {
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        (&stream).write_all(request("x", "").as_bytes()).unwrap();
        streams.push(stream);
        until(|| proxy.counts().requests == number);
    }
    ask(&proxy, "x");
    let began = clock::instant();
    drop(proxy);
    let took = clock::instant().duration_since(began);
    assert!(took < Duration::from_secs(1), "{took:?}");
    // All of them have ended; what is still on its way to the client of the endless one may come.
    for mut stream in streams {
        drop(std::io::copy(&mut stream, &mut std::io::sink()));
    }
}

#[test]
fn another_plan_holds_from_the_next_request_on_and_numbers_go_on() {
    let upstream = Upstream::start();
    let proxy = upstream.behind("");
    assert_eq!(ask(&proxy, "a").status(), 200);
    proxy.set_plan(Plan::script("1 status_400\n2 status_500").unwrap());
    assert_eq!(ask(&proxy, "b").status(), 500);
}

#[test]
fn a_body_in_chunks_is_carried_as_it_came_and_a_client_that_waits_is_told_to_go_on() {
    let upstream = Upstream::start();
    let chunks = "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n";
    for script in ["", "* twice"] {
        lock(&upstream.heard).whole.clear();
        let proxy = upstream.behind(script);
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n";
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        (&stream).write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        (&stream).read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        (&stream).write_all(chunks.as_bytes()).unwrap();
        assert_eq!(read_to_end(&stream).status(), 200);
        assert!(lock(&upstream.heard).whole.iter().all(|body| body == chunks), "{script}");
    }
}

#[test]
fn a_reply_that_ends_with_its_connection_is_carried_whole() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            Head::read(&mut BufReader::new(&stream)).unwrap();
            (&stream)
                .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nab")
                .unwrap();
        }
    });
    for script in ["", "* late_copy"] {
        let plan = Plan::script(script).unwrap();
        let proxy = FaultProxy::start(any_port(), address, plan).unwrap();
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        (&stream).write_all(request("", "").as_bytes()).unwrap();
        assert_eq!(read_to_end(&stream).text(), "HTTP/1.1 200 OK\r\n\r\nab");
    }
}
