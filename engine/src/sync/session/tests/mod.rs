//! A session with scripted replies and scripted time.

mod aside;
mod attempts;
mod damage;
mod full;
mod history;
mod horizon;
mod identity;
mod in_flight;
mod keys;
mod lanes;
mod limits;
mod lookups;
mod misfits;
mod once;
mod outages;
mod pace;
mod replies;
mod splitting;
mod suspects;
mod wishes;

use std::time::Duration;

use super::Session;
use crate::sync::payloads;
use crate::sync::{Batch, Effort, ItemOutcome, Options, Reply, Step};
use crate::testing::upstream::{Mood, ScriptedUpstream};
use crate::testing::{event, key, keys, sales};
use crate::{State, Store};

fn options() -> Options {
    crate::testing::options().with_items_max(4).with_seed(7)
}

fn start(store: &Store) -> Session {
    Session::start(store, options(), payloads()).unwrap()
}

fn start_once(store: &Store) -> Session {
    Session::start(store, options().with_effort(Effort::Once), payloads()).unwrap()
}

/// Captures events with these numbers.
fn capture(store: &Store, numbers: std::ops::RangeInclusive<u64>) {
    let events: Vec<_> = numbers.map(event).collect();
    store.capture_batch(&events).unwrap();
}

/// The batch that is to be sent now.
fn batch(session: &mut Session, now_ms: u64) -> Batch {
    match session.next(now_ms).unwrap() {
        Step::Send(batch) => batch,
        step => panic!("{step:?}"),
    }
}

/// What was sent last and not reported on, sent again.
fn again(session: &mut Session, now_ms: u64) -> Batch {
    session.on_abandoned();
    batch(session, now_ms)
}

/// When the session wants to be asked again.
fn wait(session: &mut Session, now_ms: u64) -> u64 {
    match session.next(now_ms).unwrap() {
        Step::Wait { until_ms } => until_ms,
        step => panic!("{step:?}"),
    }
}

/// A reply that gives one outcome to these keys.
fn reply(numbers: &[u64], outcome: &ItemOutcome) -> Reply {
    Reply::of(numbers.iter().map(|n| (key(*n).to_string(), outcome.clone())).collect())
}

fn accepted() -> ItemOutcome {
    ItemOutcome::Accepted { receipt: None }
}

fn transient(retry_after_ms: Option<u64>) -> ItemOutcome {
    ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms }
}

fn pending(store: &Store) -> Vec<String> {
    keys(&store.pending(&sales(), None, 10_000).unwrap())
}

fn state(store: &Store, n: u64) -> State {
    store.outcome(&sales(), &key(n)).unwrap().state
}

/// Asks and answers until there is nothing to send, waiting as long as it takes.
fn drain(session: &mut Session, upstream: &mut ScriptedUpstream, mut now_ms: u64) -> u64 {
    for _ in 0..10_000 {
        match session.next(now_ms).unwrap() {
            Step::Send(batch) => match upstream.take(&batch, Mood::Well) {
                Ok(reply) => session.on_reply(batch.id, &reply, now_ms).unwrap(),
                Err(failure) => session.on_failure(batch.id, &failure, now_ms).unwrap(),
            },
            Step::Wait { until_ms } => now_ms = until_ms,
            step => {
                assert!(matches!(step, Step::Idle | Step::Blocked), "{step:?}");
                return now_ms;
            }
        }
    }
    panic!("it never ends: {:?}", session.report());
}
