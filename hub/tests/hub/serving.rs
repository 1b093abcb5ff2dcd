//! A hub serves honest clients while others dawdle, stops in order, and confirms nothing without a store.
//! Method: hold requests open half sent, and stop or close the hub at that moment.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use onceward_hub::{Hub, ledger};

use crate::running::{
    API_KEY, Client, FORLOY, Running, WEDE, batch, data, event, head, options, purchase, purchases,
    read_answer,
};

/// How often a condition is looked at before a test gives up: each look is a round trip.
const LOOKS_MAX: usize = 20_000;

/// The head of a good request with a body of `body_bytes`.
fn good_head(body_bytes: usize) -> String {
    let auth = format!("authorization: Bearer {API_KEY}");
    head("POST", FORLOY, &["content-type: application/json".to_owned(), auth], body_bytes)
}

/// A request that is sent but for the last byte of its body.
fn almost_sent(client: Client, body: &str) -> TcpStream {
    let mut stream = client.connect().unwrap();
    let (most, _) = body.split_at(body.len() - 1);
    stream.write_all(format!("{}{most}", good_head(body.len())).as_bytes()).unwrap();
    stream
}

/// Looks until `condition` holds.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    assert!((0..LOOKS_MAX).any(|_| condition()), "never: {what}");
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_again_and_health_is_served_all_the_same() {
    // H5
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let client = hub.client();
    let body = purchases(&[purchase("k", "c", "1")]);
    let ask = || client.get(&format!("{WEDE}/none"));
    let mut held = Vec::new();
    wait_until("all places are taken", || {
        held.push(almost_sent(client, &body));
        ask().status == 503
    });
    assert!(held.len() >= 64, "{} were too many", held.len());
    let refused = ask();
    refused.assert_problem(503, "OVERLOADED", "too many requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(client.request("GET", "/healthz", &[], b"").status, 200);
    drop(held);
    wait_until("the places are free again", || ask().status == 404);
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap(), [], "half a request applies nothing");
}

#[test]
fn a_body_that_breaks_off_is_400() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let mut stream = almost_sent(hub.client(), &purchases(&[purchase("k", "c", "1")]));
    stream.shutdown(Shutdown::Write).unwrap();
    // The hub may also just close: there is nobody to answer.
    if let Ok(answer) = read_answer(&mut stream) {
        answer.assert_problem(400, "BODY_INCOMPLETE", "broke");
    }
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap(), []);
}

#[test]
fn a_request_that_was_begun_is_finished_before_the_hub_stops() {
    // T48
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let client = hub.client();
    let body = purchases(&[purchase("k", "c", "1")]);
    let mut begun = almost_sent(client, &body);
    // Once this is answered, the connection before it has been accepted.
    assert_eq!(client.request("GET", "/healthz", &[], b"").status, 200);
    let stopping = thread::spawn(move || hub.stop());
    wait_until("new connections are refused", || client.connect().is_err());
    begun.write_all(body.as_bytes().last_chunk::<1>().unwrap()).unwrap();
    let answer = read_answer(&mut begun).unwrap();
    assert_eq!(answer.result(0)["success"], true, "{answer:?}");
    stopping.join().unwrap().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 1);
}

#[test]
fn an_idle_connection_does_not_keep_a_hub_from_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let mut idle = hub.client().connect().unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(&mut idle).read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");
    hub.stop().unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
}

#[test]
fn one_connection_carries_many_requests() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let mut stream = hub.client().connect().unwrap();
    let mut all = String::new();
    for number in 0..3 {
        let body = purchases(&[purchase(&format!("k{number}"), "c", "1")]);
        let head = good_head(body.len());
        let last = number == 2;
        all.push_str(&if last { head } else { head.replace("connection: close\r\n", "") });
        all.push_str(&body);
    }
    stream.write_all(all.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 3);
}

#[test]
fn without_its_store_a_hub_confirms_nothing() {
    // H11
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::open(options(dir.path())).unwrap();
    let running = Running::serve(hub.clone());
    let client = running.client();
    assert_eq!(client.post(FORLOY, &purchases(&[purchase("a", "c", "1")])).status, 200, "control");
    hub.close().unwrap();
    let answer = client.post(FORLOY, &purchases(&[purchase("b", "c", "1")]));
    assert_eq!(answer.status, 207, "{answer:?}");
    assert_eq!(answer.result(0)["error"], "DATABASE_ERROR");
    let answer = client.post(WEDE, &batch(&[event("b", "{}")]));
    answer.assert_problem(503, "DATABASE_ERROR", "the store refused");
    assert_eq!(answer.header("retry-after"), Some("5"));
    drop(running);
    assert_eq!(ledger(&data(dir.path()), "default").unwrap().len(), 1);
}
