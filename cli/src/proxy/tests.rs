//! The line against a hub of a few lines that counts what it is given.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use super::{Plan, Proxy, http};

const REPLY_BODY: &str =
    r#"{"data":{"results":[{"result":{"success":true,"idempotent":true,"transaction_id":"t"}}]}}"#;

/// A hub that answers every whole request alike, and how many it had.
fn hub() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut input = BufReader::new(stream.try_clone().unwrap());
            if let Ok(Some(_)) = http::read(&mut input) {
                counter.fetch_add(1, Ordering::SeqCst);
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", REPLY_BODY.len());
                (&stream).write_all(format!("{head}{REPLY_BODY}").as_bytes()).unwrap();
            }
        }
    });
    (address, heard)
}

/// Sends a request through the line and returns what comes back.
fn ask(line: SocketAddr) -> String {
    let mut answer = String::new();
    let Ok(mut stream) = TcpStream::connect(line) else { return "refused".to_owned() };
    stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 8\r\n\r\nabcdefgh").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // A broken line may also be reported as a reset, which leaves the text as far as it came.
    if stream.read_to_string(&mut answer).is_err() {
        answer.push_str("(reset)");
    }
    answer
}

#[test]
fn each_fault_does_what_it_says_and_is_counted() {
    let (address, heard) = hub();
    let (calls, _owner) = mpsc::channel();
    let line = Proxy::start(address, Plan::new(1, 1_000_000), calls).unwrap();

    assert_eq!(ask(line.address()), "", "the reply is lost");
    assert_eq!((heard.load(Ordering::SeqCst), line.tally().replies_lost), (1, 1));

    assert_eq!(ask(line.address()), "", "the request is cut");
    assert_eq!((heard.load(Ordering::SeqCst), line.tally().requests_lost), (1, 1));

    assert!(ask(line.address()).ends_with(REPLY_BODY), "the request is repeated");
    assert_eq!((heard.load(Ordering::SeqCst), line.tally().requests_repeated), (3, 1));

    let cut = ask(line.address());
    assert!(cut.contains("200 OK") && !cut.ends_with(REPLY_BODY), "the reply is cut: {cut}");
    assert_eq!((heard.load(Ordering::SeqCst), line.tally().replies_lost), (4, 2));

    assert_eq!(ask(line.address()), "", "the request is dropped");
    while !ask(line.address()).ends_with(REPLY_BODY) {}
    let tally = line.tally();
    assert_eq!(heard.load(Ordering::SeqCst), 5, "after the refusal the line carries again");
    assert_eq!((tally.duplicates_absorbed, tally.delivered), (5, 2));
}
