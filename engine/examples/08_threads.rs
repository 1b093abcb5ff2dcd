//! Embedding: one thread sells, one syncs, one person decides, and all of them end in order.
//!
//! `cargo run -p onceward --example 08_threads`

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use onceward::review::{Decision, ReviewNotice};
use onceward::sync::{
    Answered, Batch, Effort, Failure, ItemOutcome, Options, Reply, Session, Step, payloads,
};
use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};

/// What threads of a till may fail with.
type Anything = Box<dyn Error + Send + Sync>;

/// Sales of the example.
const SALES: u64 = 60;

/// Sales that the upstream refuses, until somebody adds their cards there.
type Refused = Mutex<BTreeSet<String>>;

/// Plays the other side, which knows keys, so that a repetition takes no effect again.
struct Upstream<'a> {
    /// How often each key took effect.
    effects: BTreeMap<String, u64>,
    /// Keys that it refuses.
    refused: &'a Refused,
    /// Requests so far.
    requests: u64,
}

impl Upstream<'_> {
    /// Applies a batch. The reply to each third request is lost on the way.
    fn take(&mut self, batch: &Batch) -> Result<Reply, Failure> {
        self.requests += 1;
        let mut items = Vec::new();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for item in batch.items() {
            let key = item.key.to_owned();
            let outcome = if refused.contains(&key) {
                let (code, message) = ("CARD_UNKNOWN".to_owned(), "add it first".to_owned());
                ItemOutcome::Rejected { code, message, reply: Vec::new() }
            } else if self.effects.contains_key(&key) {
                ItemOutcome::Duplicate { receipt: None }
            } else {
                *self.effects.entry(key.clone()).or_default() += 1;
                ItemOutcome::Accepted { receipt: None }
            };
            items.push((key, outcome));
        }
        if self.requests.is_multiple_of(3) {
            let answered = Answered::Nobody;
            return Err(Failure::Unavailable {
                why: "timeout".to_owned(),
                retry_after_ms: None,
                answered,
            });
        }
        Ok(Reply::of(items))
    }
}

/// Wakes the thread that syncs.
fn ring(bell: &SyncSender<()>) {
    if bell.try_send(()).is_err() {
        // It rings already, or nobody listens any more.
    }
}

/// Sells, and rings the bell after each sale. Nobody here waits for the line.
fn sell(store: &Store, bell: &SyncSender<()>) -> Result<(), Anything> {
    for number in 1..=SALES {
        let key = Key::new(&format!("till-7-{number:06}"))?;
        let sale = Event::new(Scope::default(), key, Payload::json(r#"{"total":2.5}"#)?);
        if let Verdict::Conflict { lsn } = store.capture(&sale)? {
            return Err(format!("event {lsn} has the number of this sale").into());
        }
        ring(bell);
    }
    Ok(())
}

/// A session's options: one scope, and waits that suit an example.
fn options() -> Options {
    Options::new(Scope::default())
        .with_items_max(10)
        .with_backoff(Duration::from_millis(1), Duration::from_millis(20))
}

/// A session to a store whose events all fit.
fn session(store: &Store, options: Options) -> Result<Session, onceward::Error> {
    Session::start(store, options, payloads())
}

/// Sends whatever is captured until `closing`, and then what is left.
fn sync<'a>(
    store: &Store,
    bell: &Receiver<()>,
    closing: &AtomicBool,
    mut upstream: Upstream<'a>,
) -> Result<Upstream<'a>, Anything> {
    let mut session = session(store, options())?;
    #[expect(clippy::disallowed_methods, reason = "a host has a clock; the session has none")]
    let began = Instant::now();
    let now_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    loop {
        // Read before the store is asked: what is captured before it is set is sent.
        let is_closing = closing.load(Ordering::Acquire);
        let wait_ms = match session.next(now_ms())? {
            Step::Send(batch) => {
                match upstream.take(&batch) {
                    Ok(reply) => session.on_reply(batch.id, &reply, now_ms())?,
                    Err(failure) => session.on_failure(batch.id, &failure, now_ms())?,
                }
                continue;
            }
            Step::Wait { until_ms } => until_ms.saturating_sub(now_ms()),
            // Nothing to send, or the credentials are refused.
            _ if is_closing => return Ok(upstream),
            _ => 1_000,
        };
        // Forgets what is over, and makes durable what nobody waits for.
        store.tick()?;
        match bell.recv_timeout(Duration::from_millis(wait_ms)) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("nobody can ring".into()),
        }
    }
}

/// Decides on what the upstream refused, as long as notices come.
fn review(
    store: &Store,
    notices: Receiver<ReviewNotice>,
    refused: &Refused,
    bell: &SyncSender<()>,
) -> Result<u64, Anything> {
    let mut decided = 0;
    for notice in notices {
        refused.lock().unwrap_or_else(PoisonError::into_inner).remove(notice.key.as_str());
        let retry = Decision::retry(notice.scope, notice.key)
            .with_person("anna")
            .with_note("the card was added")
            .with_version(notice.version);
        store.reviews().decide(&retry)?;
        decided += 1;
        ring(bell);
    }
    Ok(decided)
}

/// What a thread returned; one that panicked is an error too.
fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T, Anything>>) -> Result<T, Anything> {
    thread.join().map_err(|_panic| "a thread panicked")?
}

pub(crate) fn main() -> Result<(), Anything> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("store");
    let store = Store::open(&dir, Config::new())?;
    let (bell, ringing) = sync_channel(1);
    let closing = AtomicBool::new(false);
    let (notify, notices) = channel();
    // Called in the syncing thread, so it only passes on.
    let watch = store.reviews().watch(Arc::new(move |notice| drop(notify.send(notice.clone()))));

    let refused = Mutex::new(["till-7-000007", "till-7-000042"].map(str::to_owned).into());
    let upstream = Upstream { effects: BTreeMap::new(), refused: &refused, requests: 0 };
    let (upstream, decided) = thread::scope(|scope| {
        let (store, bell, closing, refused) = (&store, &bell, &closing, &refused);
        let seller = scope.spawn(|| sell(store, bell));
        let syncing = scope.spawn(move || sync(store, &ringing, closing, upstream));
        let reviewer = scope.spawn(move || review(store, notices, refused, bell));

        // In order: no new sales; then what is left is sent; then no new notices, and the person
        // finishes. Whatever fails or is killed in between is still in the store.
        let sold = join(seller);
        closing.store(true, Ordering::Release);
        ring(bell);
        let upstream = join(syncing);
        drop(watch);
        let decided = join(reviewer);
        sold.and(Ok((upstream?, decided?)))
    })?;
    assert_eq!(decided, 2);
    store.close()?;

    // What was decided after the last batch waits, durably, for the next start.
    let store = Store::open(&dir, Config::new())?;
    let mut upstream = upstream;
    while store.status().settled < SALES {
        let mut session = session(&store, options().with_effort(Effort::Once))?;
        while let Step::Send(batch) = session.next(0)? {
            match upstream.take(&batch) {
                Ok(reply) => session.on_reply(batch.id, &reply, 0)?,
                Err(failure) => session.on_failure(batch.id, &failure, 0)?,
            }
        }
    }
    assert_eq!(store.status().in_review, 0);
    assert_eq!(upstream.effects.len(), 60);
    assert!(upstream.effects.values().all(|count| *count == 1), "each sale took effect once");
    store.close()?;
    Ok(())
}
