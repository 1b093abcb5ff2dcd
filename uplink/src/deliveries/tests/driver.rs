//! The thread around a pull, over a transport in memory that holds answers back until there is something.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use onceward::sync::{Failure, Upstream};
use onceward::testing::Machine;
use onceward::{Config, Store};

use super::hub::{HubModel, problem};
use crate::deliveries::{PullOptions, Puller};
use crate::dialect::{Method, Request, Response};
use crate::error::Error;
use crate::secret::Secret;
use crate::transport::{Transport, no_answer};

#[derive(Debug)]
struct Held {
    hub: HubModel,
    /// The key that is used, and the one that is right.
    keys: (Option<Secret>, Option<Secret>),
    polls: u32,
    is_deaf: bool,
    is_shut: bool,
}

/// A line to a hub in memory. A question without an answer waits, until something is queued or the line is shut down; a
/// deaf one does not even end then.
#[derive(Clone, Debug)]
struct HeldLine(Arc<(Mutex<Held>, Condvar)>);

impl HeldLine {
    fn new() -> Self {
        let (hub, keys) = (HubModel::new(), (None, None));
        let held = Held { hub, keys, polls: 0, is_deaf: false, is_shut: false };
        Self(Arc::new((Mutex::new(held), Condvar::new())))
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits until it is so; the runner's limit ends a failure.
    fn until(&self, is_so: impl Fn(&Held) -> bool) {
        let held = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(held, |held| !is_so(held)).unwrap());
    }
}

impl Transport for HeldLine {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        let mut held = self.0.0.lock().unwrap();
        if held.keys.0 != held.keys.1 {
            return Ok(problem(401, "UNAUTHORIZED"));
        }
        let is_poll = request.method == Method::Get;
        held.polls += u32::from(is_poll);
        self.0.1.notify_all();
        loop {
            if held.is_shut && !held.is_deaf {
                return Err(no_answer("the line was shut down"));
            }
            if !held.is_deaf {
                let response = held.hub.answer(&request);
                self.0.1.notify_all();
                if response.status != 204 {
                    return Ok(response);
                }
            }
            held = self.0.1.wait(held).unwrap();
        }
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Ok(Upstream::new("http://held", dialect)?)
    }

    fn set_key(&self, key: Option<Secret>) -> Result<bool, Error> {
        let mut held = self.0.0.lock().unwrap();
        let is_other = held.keys.0 != key;
        held.keys.0 = key;
        Ok(is_other)
    }

    fn shut_down(&self) {
        self.change(|held| held.is_shut = true);
    }
}

fn store() -> Store {
    Machine::new().open(Config::new()).unwrap()
}

fn options() -> PullOptions {
    PullOptions::new("u-17", "phone-1").unwrap()
}

#[test]
fn a_delivery_comes_while_a_question_is_held_and_a_step_is_told_beside_one() {
    let (store, line) = (store(), HeldLine::new());
    let (sender, came) = mpsc::channel();
    let puller = Puller::new(store.clone(), line.clone(), options())
        .spawn_observed(move |report| sender.send(report.received).unwrap_or_default())
        .unwrap();
    line.until(|held| held.polls == 1);
    line.change(|held| drop(held.hub.queue("survey", Some(3))));
    while came.recv().unwrap() == 0 {}
    let open = store.inbox().list(None, 1).unwrap().remove(0);
    line.until(|held| held.polls == 2);
    store.inbox().progress(open.lsn, 1).unwrap();
    puller.wake();
    line.until(|held| held.hub.deliveries[0].recorded == 1);
    let report = puller.stop().unwrap();
    assert_eq!((report.received, report.duplicates), (1, 0));
}

#[test]
fn a_stop_does_not_wait_for_an_answer_that_is_held_back() {
    for is_deaf in [false, true] {
        let line = HeldLine::new();
        let puller = Puller::new(store(), line.clone(), options()).spawn().unwrap();
        line.until(|held| held.polls == 1);
        line.change(|held| held.is_deaf = is_deaf);
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || sender.send(puller.stop().unwrap()).unwrap());
        // A third of a second; a machine that is busy takes longer, and the answer would never come.
        let report = ended.recv_timeout(Duration::from_secs(10));
        assert_eq!(report.unwrap().received, 0, "deaf: {is_deaf}");
    }
}

#[test]
fn a_refused_key_is_replaced_by_the_hosts_next_one() {
    let line = HeldLine::new();
    let keys = (Some(Secret::new("key-of-yesterday")), Some(Secret::new("key-of-today")));
    line.change(|held| held.keys = keys);
    let mut given = ["key-of-yesterday", "key-of-today"].into_iter();
    let puller = Puller::new(store(), line.clone(), options())
        .fresh_key(move || given.next().map(Secret::new))
        .spawn()
        .unwrap();
    line.until(|held| held.polls == 1);
    assert!(!puller.report().blocked);
    puller.stop().unwrap();
}

#[test]
fn a_key_that_the_host_sets_goes_on_after_a_refusal() {
    let line = HeldLine::new();
    line.change(|held| held.keys.1 = Some(Secret::new("key-of-today")));
    let (sender, told) = mpsc::channel();
    let puller = Puller::new(store(), line.clone(), options())
        .spawn_observed(move |report| sender.send(report.blocked).unwrap_or_default())
        .unwrap();
    while !told.recv().unwrap() {}
    puller.set_key(Some(Secret::new("key-of-today"))).unwrap();
    line.until(|held| held.polls == 1);
    puller.stop().unwrap();
}

#[test]
fn options_out_of_range_are_refused_by_name_and_limit() {
    let long = "x".repeat(101);
    for (error, name) in [
        (PullOptions::new("", "d").unwrap_err(), "user: has 0 bytes, must have 1 to 100"),
        (PullOptions::new(&long, "d").unwrap_err(), "user: has 101 bytes, must have 1 to 100"),
        (PullOptions::new("u", "a/b").unwrap_err(), "device: \"a/b\": must have no /"),
        (
            options().with_hold(Duration::from_millis(25_001)).unwrap_err(),
            "hold: 25001 ms, must be 0 to 25000",
        ),
    ] {
        assert_eq!(error.to_string(), name);
    }
}
