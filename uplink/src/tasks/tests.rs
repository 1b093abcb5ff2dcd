//! The task with an upstream in memory, on a runtime whose time stands still until everybody waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex as Lock;
use std::sync::atomic::{AtomicUsize, Ordering};

use onceward::sync::{Answered, Failure, Upstream};
use onceward::testing::{DiskOperation, Machine};
use onceward::{Config, Event, Key, Payload, State};
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Forloy, Request, Response};
use crate::line::Unreachable;
use crate::secret::Secret;
use crate::transport::Transport;

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(200);

/// What the upstream does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    LoseReply,
    Refuse,
    Busy(&'static str),
    Hang,
    Panic,
}

/// An upstream that speaks just enough Forloy, follows a script, and answers after it.
#[derive(Clone, Debug, Default)]
struct Hub(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    script: Lock<VecDeque<Act>>,
    applied: Lock<BTreeMap<String, u32>>,
    requests: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    probes: AtomicUsize,
    is_off: AtomicUsize,
}

/// Counts what is on its way, also where it is dropped.
struct OnItsWay<'a>(&'a Seen);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hub {
    fn with(script: &[Act]) -> Self {
        let hub = Self::default();
        hub.0.script.lock().unwrap().extend(script);
        hub
    }

    fn count(&self, of: impl Fn(&Seen) -> &AtomicUsize) -> usize {
        of(&self.0).load(Ordering::SeqCst)
    }

    fn applied(&self) -> BTreeMap<String, u32> {
        self.0.applied.lock().unwrap().clone()
    }

    fn apply(&self, body: &[u8]) -> String {
        let document: Value = serde_json::from_slice(body).unwrap();
        let mut applied = self.0.applied.lock().unwrap();
        let result = |item: &Value| {
            let key = item["idempotency_key"].as_str().unwrap().to_owned();
            let idempotent = applied.contains_key(&key);
            applied.entry(key.clone()).or_insert(1);
            let result = json!({"success": true, "idempotent": idempotent, "transaction_id": key});
            json!({"idempotency_key": key, "result": result})
        };
        let results: Vec<Value> =
            document["transactions"].as_array().unwrap().iter().map(result).collect();
        let count = results.len();
        let data = json!({"total_count": count, "success_count": count, "error_count": 0, "results": results});
        json!({"success": true, "data": data}).to_string()
    }
}

impl AsyncTransport for Hub {
    fn send(&self, request: Request) -> Carrying<'_, Result<Response, Failure>> {
        Box::pin(async move {
            let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
            let _on_its_way = OnItsWay(&self.0);
            self.0.most.fetch_max(now, Ordering::SeqCst);
            self.0.requests.fetch_add(1, Ordering::SeqCst);
            let act = self.0.script.lock().unwrap().pop_front().unwrap_or(Act::Answer);
            sleep(ANSWER).await;
            match act {
                Act::Answer => Ok(Response::new(200, self.apply(&request.body))),
                Act::LoseReply => {
                    self.apply(&request.body);
                    let why = "connection closed".to_owned();
                    let answered = Answered::Nobody;
                    Err(Failure::Unavailable { why, retry_after_ms: None, answered })
                }
                Act::Refuse => Ok(Response::new(401, r#"{"status":401,"code":"UNAUTHORIZED"}"#)),
                Act::Busy(seconds) => {
                    let body = r#"{"status":408,"code":"REQUEST_TIMEOUT"}"#;
                    Ok(Response::new(408, body).with_retry_after(seconds))
                }
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("as the test wants it"),
            }
        })
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Ok(Upstream::new("http://hub", dialect)?)
    }

    fn can_probe(&self) -> bool {
        true
    }

    fn probe(&self) -> Carrying<'_, Result<(), Unreachable>> {
        self.0.probes.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }

    fn set_key(&self, _key: Option<Secret>) -> Result<bool, Error> {
        Ok(true)
    }

    fn shut_down(&self) {
        self.0.is_off.fetch_add(1, Ordering::SeqCst);
    }
}

fn capture(store: &Store, keys: std::ops::Range<usize>) {
    for number in keys {
        let text =
            r#"{"qr_code_data":"q","location_id":"l","staff_user_id":"u","purchase_amount":1.50}"#;
        let (key, payload) =
            (Key::new(&format!("k{number}")).unwrap(), Payload::json(text).unwrap());
        store.capture(&Event::new(Scope::default(), key, payload)).unwrap();
    }
}

/// A store with `count` purchases, and an uploader of one event a request.
fn draining(hub: &Hub, count: usize) -> (Store, AsyncUploader) {
    draining_on(&Machine::new(), hub, count)
}

fn draining_on(machine: &Machine, hub: &Hub, count: usize) -> (Store, AsyncUploader) {
    let store = machine.open(Config::new()).unwrap();
    capture(&store, 0..count);
    let options = Options::new(Scope::default()).with_items_max(1);
    let uploader = AsyncUploader::new(store.clone(), hub.clone(), Box::new(Forloy::new()), options);
    (store, uploader.unwrap())
}

/// Runs it for ever, on a task of its own.
fn spawn(
    mut uploader: AsyncUploader,
) -> (AsyncHandle, tokio::task::JoinHandle<Result<Report, Error>>) {
    let control = Control::new();
    let handle = uploader.handle(&control);
    (handle, tokio::spawn(async move { uploader.run(&control).await }))
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn several_requests_are_on_their_way_at_once_and_everything_is_delivered() {
    let hub = Hub::default();
    let (store, mut uploader) = draining(&hub, 40);
    let report = uploader.run_once(&Control::new()).await.unwrap();
    assert_eq!((report.accepted, report.batches, store.status().pending), (40, 40, 0));
    let most = hub.count(|hub| &hub.most);
    assert!((4..=16).contains(&most), "{most}");
    assert_eq!((hub.applied().len(), hub.count(|hub| &hub.now)), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_made_up_for_after_a_probe_and_nothing_takes_effect_twice() {
    let hub = Hub::with(&[Act::LoseReply]);
    let (store, uploader) = draining(&hub, 1);
    let (handle, running) = spawn(uploader);
    assert!(handle.flush(Duration::from_secs(60)).await);
    handle.stop();
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.accepted, report.duplicate, report.failures), (0, 1, 1));
    assert_eq!((hub.applied().len(), hub.count(|hub| &hub.probes)), (1, 1));
    assert_eq!(store.status().settled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_is_one_that_has_no_answer() {
    let hub = Hub::with(&[Act::Panic]);
    let (_store, uploader) = draining(&hub, 1);
    let (handle, _running) = spawn(uploader);
    assert!(handle.flush(Duration::from_secs(60)).await);
    let report = handle.report();
    assert_eq!((report.accepted, report.failures), (1, 1));
    assert!(report.last_failure.unwrap_or_default().contains("panicked"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_a_moment_for_what_is_on_its_way_and_loses_nothing() {
    let hub = Hub::with(&[Act::Answer, Act::Answer, Act::Hang]);
    let (store, uploader) = draining(&hub, 3);
    let (handle, running) = spawn(uploader);
    // One is tried first.
    until(|| hub.count(|hub| &hub.requests) == 3).await;
    let began = Instant::now();
    handle.stop();
    let report = running.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((report.accepted, store.status().settled), (2, 2));
    until(|| hub.count(|hub| &hub.now) == 0).await;
    assert_eq!(hub.count(|hub| &hub.is_off), 1);
    assert!(!handle.flush(Duration::from_secs(60)).await, "nobody sends any more");
    let options = Options::new(Scope::default());
    let next = AsyncUploader::new(store, hub.clone(), Box::new(Forloy::new()), options);
    assert_eq!(next.unwrap().run_once(&Control::new()).await.unwrap().accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_at_any_moment_is_made_up_for_by_the_next() {
    for after_ms in [0, 1, 50, 199, 200, 201, 250, 399, 400, 401] {
        let hub = Hub::default();
        let (store, mut uploader) = draining(&hub, 20);
        let control = Control::new();
        let dropped =
            tokio::time::timeout(Duration::from_millis(after_ms), uploader.run(&control)).await;
        assert!(dropped.is_err(), "control: it was dropped");
        // What was on its way is broken off.
        until(|| hub.count(|hub| &hub.now) == 0).await;
        uploader.run_once(&Control::new()).await.unwrap();
        let status = store.status();
        assert_eq!((status.settled, status.pending, status.in_flight), (20, 0, 0), "{after_ms}");
        assert_eq!(hub.applied().len(), 20);
    }
}

#[tokio::test]
async fn a_disk_that_stands_still_holds_up_no_task_and_the_next_run_waits_for_it() {
    let (machine, hub) = (Machine::new(), Hub::default());
    let (store, mut uploader) = draining_on(&machine, &hub, 3);
    let gate = machine.disk().close_gate(DiskOperation::Sync);
    let control = Control::new();
    let short = Duration::from_millis(100);
    let dropped = tokio::time::timeout(short, uploader.run(&control)).await;
    assert!(dropped.is_err(), "the only thread of this runtime is free");
    gate.wait_until_reached();
    let waiting = tokio::time::timeout(short, uploader.run_once(&control)).await;
    assert!(waiting.is_err(), "what the first one began is not over");
    gate.open();
    uploader.run_once(&control).await.unwrap();
    assert_eq!((store.status().settled, hub.applied().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_upstream_asked_for_goes_on_until_somebody_says_online() {
    let hub = Hub::with(&[Act::Busy("120"), Act::Busy("120")]);
    let (store, uploader) = draining(&hub, 1);
    let (handle, _running) = spawn(uploader);
    let requests = || hub.count(|hub| &hub.requests);
    until(|| requests() == 1).await;
    handle.wake();
    assert!(!handle.flush(Duration::from_secs(90)).await);
    assert_eq!(requests(), 1, "it waits");
    let began = Instant::now();
    handle.online();
    until(|| requests() == 2).await;
    assert!(began.elapsed() <= Duration::from_millis(20), "{:?}", began.elapsed());
    until(|| handle.report().failures == 2).await;
    handle.online();
    assert!(handle.flush(Duration::from_secs(5)).await);
    assert_eq!((requests(), store.status().settled), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pause_sends_nothing_new_and_a_refused_key_waits_for_another() {
    let hub = Hub::with(&[Act::Refuse]);
    let (store, uploader) = draining(&hub, 1);
    let (handle, _running) = spawn(uploader);
    until(|| handle.report().blocked).await;
    handle.pause();
    handle.set_key(Some(Secret::new("another"))).unwrap();
    assert!(!handle.flush(Duration::from_secs(30)).await);
    assert_eq!(hub.count(|hub| &hub.requests), 1);
    handle.resume();
    assert!(handle.flush(Duration::from_secs(30)).await);
    capture(&store, 1..3);
    handle.wake();
    assert!(handle.flush(Duration::from_secs(30)).await);
    assert_eq!(store.status().settled, 3);
}

#[tokio::test(start_paused = true)]
async fn a_scope_has_one_route_and_one_run_at_a_time() {
    let hub = Hub::default();
    let (store, uploader) = draining(&hub, 1);
    let (handle, _running) = spawn(uploader);
    until(|| hub.count(|hub| &hub.now) == 1).await;
    let another = || {
        let options = Options::new(Scope::default());
        AsyncUploader::new(store.clone(), hub.clone(), Box::new(Forloy::new()), options).unwrap()
    };
    let twice = another().and(Route::new(Forloy::new(), Options::new(Scope::default())));
    assert_eq!(twice.unwrap_err().kind(), crate::ErrorKind::Invalid);
    let refused = another().run(&Control::new()).await.unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Store);
    assert!(handle.flush(Duration::from_secs(30)).await, "the first goes on");
}

/// A transport that blocks its thread.
#[derive(Debug)]
struct Slow(Hub);

impl Transport for Slow {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        self.0.0.requests.fetch_add(1, Ordering::SeqCst);
        assert!(self.0.0.script.lock().unwrap().pop_front().is_none(), "as the test wants it");
        Ok(Response::new(200, self.0.apply(&request.body)))
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        AsyncTransport::upstream(&self.0, dialect)
    }

    fn can_probe(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<(), Unreachable> {
        Ok(())
    }
}

#[tokio::test]
async fn a_transport_that_blocks_is_carried_on_threads_for_that() {
    let hub = Hub::with(&[Act::Panic]);
    let store = Machine::new().open(Config::new()).unwrap();
    capture(&store, 0..5);
    let options = Options::new(Scope::default())
        .with_items_max(1)
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let transport = Blocking::new(Slow(hub.clone()));
    let uploader = AsyncUploader::new(store.clone(), transport, Box::new(Forloy::new()), options);
    let (handle, running) = spawn(uploader.unwrap());
    assert!(handle.flush(Duration::from_secs(60)).await);
    handle.stop();
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.accepted, report.failures, hub.applied().len()), (5, 1, 5));
    assert_eq!(
        store.outcome(&Scope::default(), &Key::new("k3").unwrap()).unwrap().state,
        State::Accepted
    );
}
