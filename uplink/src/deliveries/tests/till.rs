//! A till: a store on a machine in memory, a pull, the acks' exchange, and an application that works.

use std::collections::BTreeMap;
use std::time::Duration;

use onceward::sync::{Effort, LineOptions, Options, Upstream};
use onceward::testing::Machine;
use onceward::{Config, Store};

use super::hub::HubModel;
use crate::deliveries::{Pull, PullOptions, PullStep};
use crate::dialect::{Deliveries, Request, Response};
use crate::exchange::{Exchange, Route, Work};

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Arrives,
    LosesRequest,
    LosesReply,
    /// Both come twice.
    Twice,
}

/// How often each step was worked, by engagement; step 0 is the whole of what has none.
pub(super) type Worked = BTreeMap<(String, u32), u32>;

pub(super) struct Till {
    machine: Machine,
    config: Config,
    pub(super) store: Store,
    pub(super) pull: Pull,
    acks: Exchange,
    device: &'static str,
    /// The till's own time, which nobody is told.
    pub(super) now_ms: u64,
    pub(super) worked: Worked,
}

impl Till {
    pub(super) fn new(device: &'static str) -> Self {
        Self::with(device, Config::new())
    }

    pub(super) fn with(device: &'static str, config: Config) -> Self {
        Self::on(Machine::new(), config, device, Worked::new())
    }

    fn on(machine: Machine, config: Config, device: &'static str, worked: Worked) -> Self {
        let store = machine.open(config.clone()).unwrap();
        let pull = Pull::start(&store, PullOptions::new("u-17", device).unwrap()).unwrap();
        let upstream = Upstream::new("https://hub", "deliveries").unwrap();
        let options = Options::new(store.inbox().scope().unwrap());
        let route = Route::new(Deliveries::new(device), options).to(upstream);
        let acks = Exchange::start(&store, LineOptions::new(), Effort::Forever, [route]).unwrap();
        Self { machine, config, store, pull, acks, device, now_ms: 0, worked }
    }

    /// The process is killed, and started again.
    pub(super) fn killed(self) -> Self {
        let Self { machine, config, device, worked, .. } = self;
        Self::on(machine.kill(), config, device, worked)
    }

    /// The power is cut, and comes back.
    pub(super) fn cut(self) -> Self {
        let Self { machine, config, device, worked, .. } = self;
        Self::on(machine.cut_power(onceward::testing::Unsynced::Lost), config, device, worked)
    }

    pub(super) fn passes(&mut self, hub: &mut HubModel, ms: u64) {
        self.now_ms += ms;
        hub.now_ms += ms;
        self.machine.clock().advance(Duration::from_millis(ms));
    }

    /// The next thing of the pull; `None`: it waits, until then.
    pub(super) fn pull_once(&mut self, hub: &mut HubModel, fate: Fate) -> Result<(), Option<u64>> {
        match self.pull.next(self.now_ms).unwrap() {
            PullStep::Send(id, request) => {
                let now_ms = self.now_ms;
                match carried(hub, &request, fate) {
                    None => self.pull.on_no_answer(id, "lost", now_ms),
                    Some(response) => {
                        self.pull.on_response(id, &response, now_ms).unwrap();
                        if fate == Fate::Twice {
                            self.pull.on_response(id, &response, now_ms).unwrap();
                        }
                    }
                }
                Ok(())
            }
            PullStep::Wait { until_ms } => Err(Some(until_ms)),
            PullStep::Await | PullStep::Blocked => Err(None),
        }
    }

    /// Sends an ack, if there is one. Returns whether there was.
    pub(super) fn ack_once(&mut self, hub: &mut HubModel, fate: Fate) -> bool {
        let Work::Send(id, request) = self.acks.next(self.now_ms).unwrap() else { return false };
        match carried(hub, &request, fate) {
            None => self.acks.on_no_answer(id, "lost", self.now_ms).unwrap(),
            Some(response) => self.acks.on_response(id, &response, self.now_ms).unwrap(),
        }
        true
    }

    /// Works the next step of the first open delivery, or acknowledges it. Returns whether there was one.
    pub(super) fn work_once(&mut self) -> bool {
        let Some(open) = self.store.inbox().list(None, 1).unwrap().pop() else { return false };
        let document = open.delivery.payload().as_json().unwrap();
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let name =
            document["engagement_id"].as_str().or_else(|| document["event_id"].as_str()).unwrap();
        let mut note = |step| *self.worked.entry((name.to_owned(), step)).or_insert(0) += 1;
        match (open.delivery.steps(), open.next_step) {
            (Some(_), Some(step)) => {
                note(step);
                self.store.inbox().progress(open.lsn, step).unwrap();
            }
            (None, _) => {
                note(0);
                self.store.inbox().ack(open.lsn).unwrap();
            }
            (Some(_), None) => drop(self.store.inbox().ack(open.lsn).unwrap()),
        }
        true
    }

    /// One round of everything; time passes where all wait.
    pub(super) fn round(&mut self, hub: &mut HubModel, fate: Fate) {
        let pulled = self.pull_once(hub, fate);
        let is_busy = self.work_once() | self.ack_once(hub, fate);
        if let (Err(until_ms), false) = (pulled, is_busy) {
            let until_ms = until_ms.unwrap_or(0).max(self.now_ms + 1_000);
            self.passes(hub, until_ms - self.now_ms);
        }
    }

    /// Goes on until the hub has nothing left.
    pub(super) fn until_settled(&mut self, hub: &mut HubModel) {
        for _ in 0..500 {
            self.round(hub, Fate::Arrives);
            if hub.is_settled() && self.store.inbox().status().open == 0 {
                return;
            }
        }
        panic!("not settled: {:?} {:?} {:?}", hub.deliveries, hub.events, self.pull.report());
    }
}

fn carried(hub: &mut HubModel, request: &Request, fate: Fate) -> Option<Response> {
    match fate {
        Fate::LosesRequest => None,
        Fate::LosesReply => {
            hub.answer(request);
            None
        }
        Fate::Arrives => Some(hub.answer(request)),
        Fate::Twice => {
            let first = hub.answer(request);
            hub.answer(request);
            Some(first)
        }
    }
}
