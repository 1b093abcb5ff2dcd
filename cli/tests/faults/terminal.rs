//! One run of the matrix: a terminal that captures events, and sends them over a line with a fault.
//! Method: a store and an uploader of this process with short time limits, driven until nothing waits.

use std::{
    net::SocketAddr,
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use onceward::review::ReviewFilter;
use onceward::{Config, Event, Key, Lane, Payload, Scope, State, Store};
use onceward_uplink::{
    Line, Secret, Timeouts, Uploader, UploaderHandle,
    faults::{FaultProxy, Plan},
};

use crate::{hub::KEY, rows::MatrixRow, spoken::Spoken};

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// The fault.
    pub(crate) row: &'a MatrixRow,
    /// The dialect.
    pub(crate) spoken: Spoken,
    /// Which run of the row it is, which decides its chances.
    pub(crate) seed: u64,
    /// What is before the number of each event in its key.
    pub(crate) prefix: &'a str,
}

/// What came of a run, as the terminal has it.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Requests that met the fault.
    pub(crate) met: u64,
    /// Events that went to a person.
    pub(crate) reviewed: u64,
    /// Every event's key, and whether the terminal holds it for taken.
    pub(crate) events: Vec<(String, bool)>,
    /// Keys of each lane, in the order in which they were captured.
    pub(crate) lanes: Vec<Vec<String>>,
    /// What the session said last, where something was left.
    pub(crate) why: Option<String>,
}

impl Run<'_> {
    /// Captures, sends until everything has a final answer or the patience is over, and says what came of it.
    pub(crate) fn play(self, dir: &Path, hub: SocketAddr) -> Ended {
        let store = Store::open(dir.join(self.prefix), Config::new()).unwrap();
        let events: Vec<Event> = (0..self.spoken.events()).map(|n| self.event(n)).collect();
        store.capture_batch(&events).unwrap();
        let plan = self.row.plan(self.seed);
        let proxy = FaultProxy::start("127.0.0.1:0".parse().unwrap(), hub, plan).unwrap();

        let (told, reports) = mpsc::channel();
        let uploader = self.uploader(&store, &proxy).spawn_observed(move |_report| {
            if told.send(()).is_err() {
                // The run is over already.
            }
        });
        let uploader = uploader.unwrap();
        drain(&store, &uploader, &reports);
        let met = self.met(&proxy);
        proxy.set_plan(Plan::pass());
        let reviewed = send_again(&store, &uploader);
        drain(&store, &uploader, &reports);
        let report = uploader.stop().unwrap();

        let is_taken = |event: &Event| {
            let state = store.outcome(&event.scope, &event.key).unwrap().state;
            matches!(state, State::Accepted | State::Duplicate)
        };
        let taken: Vec<_> =
            events.iter().map(|event| (event.key.as_str().to_owned(), is_taken(event))).collect();
        let lanes = (0..LANES).map(|lane| {
            let its = (0..events.len()).filter(|n| lane_of(*n) == Some(lane));
            its.map(|n| self.key(n)).collect()
        });
        let is_left = taken.iter().any(|(_, is_taken)| !is_taken);
        let why = is_left.then(|| format!("{report:?}"));
        store.close().unwrap();
        Ended { met, reviewed, events: taken, lanes: lanes.collect(), why }
    }

    /// The key of an event.
    fn key(self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// An event that every dialect can carry.
    fn event(self, number: usize) -> Event {
        let payload = format!(
            r#"{{"qr_code_data":"card-{number}","location_id":"l","staff_user_id":"u","purchase_amount":{number}.50}}"#
        );
        let key = Key::new(&self.key(number)).unwrap();
        let event = Event::new(Scope::default(), key, Payload::json(&payload).unwrap());
        match lane_of(number) {
            Some(lane) => event.with_lane(Lane::new(&format!("lane-{lane}")).unwrap()),
            None => event,
        }
    }

    /// What sends through the proxy.
    fn uploader(self, store: &Store, proxy: &FaultProxy) -> Uploader {
        let timeouts = Timeouts { connect: TIME_LIMIT, total: TIME_LIMIT };
        let url = format!("http://{}", proxy.addr());
        let line = Line::direct(&url, Some(Secret::new(KEY)), timeouts).unwrap();
        let options = self.spoken.options(self.seed).with_backoff(BACKOFF, BACKOFF);
        Uploader::new(store.clone(), line, self.spoken.dialect(), options).unwrap()
    }

    /// How many requests met the fault, and were not merely meant to.
    fn met(self, proxy: &FaultProxy) -> u64 {
        if self.row.is_shape() {
            return proxy.counts().requests;
        }
        let fault = self.row.fault();
        let met = |exchange: &onceward_uplink::faults::Exchange| {
            exchange.injection.fault() == fault && exchange.note.is_none()
        };
        u64::try_from(proxy.log().into_iter().filter(met).count()).unwrap()
    }
}

/// In which lane an event is: some are, so that their order is at stake too.
fn lane_of(number: usize) -> Option<usize> {
    number.is_multiple_of(8).then_some(number / 8 % LANES)
}

/// Sends until nothing waits for the upstream. The terminal is told that the line is back after each exchange, as by a
/// system that watches its network, so that nobody has to wait for what an upstream asked for.
fn drain(store: &Store, uploader: &UploaderHandle, reports: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let until_now = store.synced().unwrap();
    while store.waits_for_upstream(&Scope::default(), until_now) && began.elapsed() < PATIENCE {
        assert!(!uploader.is_finished(), "{:?}", uploader.report());
        if reports.recv_timeout(LOOK).is_err() || uploader.report().last_failure.is_some() {
            uploader.online();
        }
    }
}

/// What a person does about the events in review; how many these were.
fn send_again(store: &Store, uploader: &UploaderHandle) -> u64 {
    let mut count = 0;
    loop {
        let items = store.reviews().list(&ReviewFilter::new()).unwrap();
        if items.is_empty() {
            uploader.wake();
            return count;
        }
        for item in items {
            store.reviews().retry(&item.event().scope, &item.event().key).unwrap();
            count += 1;
        }
    }
}

/// How many lanes there are.
const LANES: usize = 4;

/// The terminal's time limit for a request: far over what the hub takes, and short because hanging ones last as long.
const TIME_LIMIT: Duration = Duration::from_millis(400);

/// Between two attempts.
const BACKOFF: Duration = Duration::from_millis(1);

/// How long nothing may be heard until the terminal is told that the line is back.
const LOOK: Duration = Duration::from_millis(20);

/// How long a run may take. What is left then is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
