mod imports;
mod keys;
mod outages;
mod scopes;
mod told;
mod ways;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use onceward::{Config, Event, Key, Payload, State};
use serde_json::{Value, json};

use super::*;
use crate::dialect::Forloy;
use crate::error::ErrorKind;
use crate::line::{Line, Timeouts};
use crate::secret::Secret;

/// What the hub does with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    /// Applies and answers.
    Answer,
    /// Applies and closes without an answer.
    LoseReply,
    /// Applies and answers, with these headers.
    Tell(&'static str),
    /// Answers with this status and applies nothing.
    Refuse(u16),
    /// Answers with this status and body and applies nothing.
    Say(u16, &'static str),
    /// Answers with this status, these headers and a body that is no answer, and applies nothing.
    RefuseTelling(u16, &'static str),
    /// Answers nothing until the terminal is gone.
    Hang,
}

/// A hub on loopback that speaks just enough Forloy, and follows a script; after it, it answers.
struct Hub {
    address: SocketAddr,
    seen: Arc<Seen>,
    requests: mpsc::Receiver<usize>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    applied: Mutex<BTreeMap<String, u32>>,
    closing: AtomicBool,
}

impl Hub {
    fn start(script: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (sender, requests) = mpsc::channel();
        let theirs = Arc::clone(&seen);
        let script = script.to_vec();
        let thread = thread::spawn(move || {
            let mut acts = script.into_iter();
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                if theirs.closing.load(Ordering::SeqCst) {
                    return;
                }
                // A probe sends nothing.
                let Some(items) = read_items(&mut stream) else { continue };
                sender.send(items.len()).unwrap();
                serve(&mut stream, acts.next().unwrap_or(Act::Answer), &items, &theirs);
            }
        });
        Self { address, seen, requests, thread: Some(thread) }
    }

    /// An uploader of `store` to this hub, which sends one request at a time and waits a millisecond at most.
    fn uploader(&self, store: &Store) -> Uploader {
        self.uploader_with(store, options())
    }

    fn uploader_with(&self, store: &Store, options: Options) -> Uploader {
        let key = Some(Secret::new("some-key"));
        let line = Line::new(&format!("http://{}", self.address), key, Timeouts::default());
        Uploader::new(store.clone(), line.unwrap(), Box::new(Forloy::new()), options).unwrap()
    }

    /// How often each key took effect.
    fn applied(&self) -> BTreeMap<String, u32> {
        self.seen.applied.lock().unwrap().clone()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.seen.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// One request at a time, and waits of a millisecond at most.
fn options() -> Options {
    Options::new(Scope::default())
        .with_window(1)
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1))
}

/// The transactions of one request; `None`: none came.
fn read_items(stream: &mut TcpStream) -> Option<Vec<Value>> {
    let mut seen = Vec::new();
    let mut block = [0; 4_096];
    loop {
        let count = stream.read(&mut block).unwrap_or(0);
        seen.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&seen);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        if let Ok(document) = serde_json::from_str::<Value>(body) {
            return document["transactions"].as_array().cloned();
        }
        if count == 0 {
            return None;
        }
    }
}

fn serve(stream: &mut TcpStream, act: Act, items: &[Value], seen: &Seen) {
    let answer = match act {
        Act::Refuse(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Act::Say(status, body) => {
            format!(
                "HTTP/1.1 {status} No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Act::RefuseTelling(status, headers) => {
            format!(
                "HTTP/1.1 {status} No\r\n{headers}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            )
        }
        Act::Answer | Act::LoseReply => apply(items, &mut seen.applied.lock().unwrap()),
        Act::Tell(headers) => {
            let answer = apply(items, &mut seen.applied.lock().unwrap());
            answer.replacen("\r\n", &format!("\r\n{headers}"), 1)
        }
        Act::Hang => {
            drop(stream.read(&mut [0; 1]));
            return;
        }
    };
    if act != Act::LoseReply {
        drop(stream.write_all(answer.as_bytes()));
    }
}

fn apply(items: &[Value], applied: &mut BTreeMap<String, u32>) -> String {
    let results: Vec<Value> = items
        .iter()
        .map(|item| {
            let key = item["idempotency_key"].as_str().unwrap();
            let idempotent = applied.contains_key(key);
            applied.entry(key.to_owned()).or_insert(1);
            let result = json!({"success": true, "idempotent": idempotent, "transaction_id": format!("txn_{key}")});
            json!({"idempotency_key": key, "result": result})
        })
        .collect();
    let count = results.len();
    let data =
        json!({"total_count": count, "success_count": count, "error_count": 0, "results": results});
    let body = json!({"success": true, "data": data}).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A store with `count` purchases, keys `k0`, `k1` and so on.
fn store_with(folder: &tempfile::TempDir, count: usize) -> Store {
    let store = Store::open(folder.path(), Config::new()).unwrap();
    for number in 0..count {
        capture(&store, &format!("k{number}"), purchase());
    }
    store
}

fn purchase() -> Payload {
    let text =
        r#"{"qr_code_data":"q","location_id":"l","staff_user_id":"u","purchase_amount":1.50}"#;
    Payload::json(text).unwrap()
}

fn capture(store: &Store, key: &str, payload: Payload) {
    store.capture(&Event::new(Scope::default(), Key::new(key).unwrap(), payload)).unwrap();
}

fn state(store: &Store, key: &str) -> State {
    store.outcome(&Scope::default(), &Key::new(key).unwrap()).unwrap().state
}

/// Waits until the thread reports what `condition` asks for; the runner's limit ends a failure.
fn until(handle: &UploaderHandle, condition: impl Fn(&Report) -> bool) {
    while !condition(&handle.report()) {
        assert!(!handle.is_finished(), "the thread ended: {:?}", handle.report());
        thread::yield_now();
    }
}

#[test]
fn one_run_delivers_everything_and_keeps_the_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 120);
    let hub = Hub::start(&[]);
    let mut exchanges = 0;
    let report = hub.uploader(&store).run_once(&mut |_| exchanges += 1).unwrap();
    assert_eq!((report.attempted, report.accepted, report.duplicate), (120, 120, 0));
    assert_eq!((report.batches, exchanges), (3, 3), "fifty in a batch");
    assert_eq!(hub.applied().len(), 120);
    let outcome = store.outcome(&Scope::default(), &Key::new("k7").unwrap()).unwrap();
    assert_eq!(outcome.state, State::Accepted);
    assert_eq!(outcome.receipt.unwrap().as_bytes(), b"txn_k7");
    assert_eq!(store.status().pending, 0);
}

/// T39.
#[test]
fn a_lost_reply_is_made_up_for_and_nothing_takes_effect_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 3);
    let hub = Hub::start(&[Act::LoseReply]);
    let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    assert!(report.unreachable, "{report:?}");
    assert_eq!(hub.applied().len(), 3, "control: the hub applied it");
    assert_ne!(state(&store, "k0"), State::Accepted, "nothing was proved");
    let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, report.duplicate), (0, 3));
    assert!(hub.applied().values().all(|times| *times == 1));
}

#[test]
fn a_failure_of_the_line_leaves_everything_pending() {
    for status in [202, 204, 302, 404, 429, 500, 503] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 2);
        let hub = Hub::start(&[Act::Refuse(status)]);
        let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
        assert!(report.unreachable && report.last_failure.is_some(), "status {status}: {report:?}");
        let left = store.status();
        assert_eq!(left.pending + left.in_flight, 2, "status {status}: {left:?}");
        assert_eq!(left.in_review, 0);
    }
}

#[test]
fn a_stranger_on_the_way_rejects_nothing_and_blocks_no_credentials() {
    let page = "<html><title>Blocked by policy</title>";
    for status in [200, 400, 401, 403, 409, 413, 422, 426, 511] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 1);
        let hub = Hub::start(&[Act::Say(status, page)]);
        let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
        assert!(report.unreachable && !report.blocked, "status {status}: {report:?}");
        let why = report.last_failure.unwrap();
        assert!(why.contains("a web page titled \"Blocked by policy\""), "{why}");
        assert_eq!(store.status().in_review, 0, "status {status}");
        let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
        assert_eq!(report.accepted, 1, "status {status}: it goes when the stranger is gone");
    }
}

/// T46.
#[test]
fn refused_credentials_pause_and_another_key_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Say(401, r#"{"status":401,"code":"UNAUTHORIZED"}"#)]);
    let uploader = hub.uploader(&store).spawn().unwrap();
    until(&uploader, |report| report.blocked);
    assert_eq!(store.status().in_review, 0);
    uploader.set_key(Some(Secret::new("a-better-key"))).unwrap();
    until(&uploader, |report| report.accepted == 1);
    assert!(!uploader.stop().unwrap().blocked);
    assert_eq!(state(&store, "k0"), State::Accepted);
}

#[test]
fn a_capture_is_sent_when_the_thread_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 0);
    let hub = Hub::start(&[]);
    let uploader = hub.uploader(&store).spawn().unwrap();
    for count in 1..=5_u64 {
        capture(&store, &format!("late{count}"), purchase());
        uploader.wake();
        until(&uploader, |report| report.accepted == count);
    }
    assert_eq!(uploader.stop().unwrap().accepted, 5);
}

#[test]
fn the_thread_tries_again_after_failures_until_it_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Refuse(503), Act::LoseReply, Act::Refuse(500)]);
    let uploader = hub.uploader(&store).spawn().unwrap();
    until(&uploader, |report| report.accepted + report.duplicate == 1);
    assert_eq!(uploader.stop().unwrap().failures, 3);
    assert_eq!(hub.applied().get("k0"), Some(&1));
}

#[test]
fn stopping_does_not_wait_for_an_answer_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Hang]);
    let uploader = hub.uploader(&store).spawn().unwrap();
    assert_eq!(hub.requests.recv().unwrap(), 1, "the request is under way");
    uploader.stop().unwrap();
    let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    assert_eq!(report.accepted, 1);
}

#[test]
fn an_event_that_forms_no_item_goes_to_review_unsent_and_the_others_flow() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 2);
    capture(&store, "odd", Payload::json("[]").unwrap());
    let hub = Hub::start(&[]);
    let report = hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    assert_eq!(report.accepted, 2);
    assert_eq!(state(&store, "odd"), State::InReview);
    let item = store.reviews().get(&Scope::default(), &Key::new("odd").unwrap()).unwrap();
    assert_eq!(item.code, "INVALID_ITEM");
    assert!(!hub.applied().contains_key("odd"));
}

#[test]
fn a_batch_with_more_items_than_the_dialect_allows_is_halved_unsent() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 130);
    let hub = Hub::start(&[]);
    let mut uploader = hub.uploader_with(&store, options().with_items_max(500));
    let report = uploader.run_once(&mut |_| ()).unwrap();
    assert_eq!(report.accepted, 130);
    assert!(hub.requests.try_iter().all(|items| (1..=100).contains(&items)));
}

#[test]
fn a_second_uploader_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Hang]);
    let first = hub.uploader(&store).spawn().unwrap();
    assert_eq!(hub.requests.recv().unwrap(), 1, "the first one drains");
    let error = hub.uploader(&store).run_once(&mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert_eq!(error.store().unwrap().kind(), onceward::ErrorKind::Fenced);
    first.stop().unwrap();
}
