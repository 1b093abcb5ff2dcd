//! The bad line of the demo: the fault kit's proxy with a plan, which calls for kills.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
};

use onceward_uplink::faults::{Exchange, Fault, FaultProxy, ParseError, Plan, Weights};

use crate::exit::Failure;

/// What the line asks its owner to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    /// The hub has a request that it has not answered: kill it now.
    KillHub,
    /// The hub has answered a request and the uploader does not know: kill the uploader now.
    KillUploader,
}

/// A running line; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    /// The proxy.
    proxy: FaultProxy,
    /// What it saw besides what it counts itself.
    seen: Arc<Seen>,
}

/// What the line saw.
#[derive(Debug, Default)]
struct Seen {
    /// Replies that the uploader had whole.
    delivered: AtomicU64,
    /// Replies that the hub gave, or was about to give, and that the uploader never had whole.
    lost: AtomicU64,
}

impl Line {
    /// Starts a line to `hub` on a free port of the loopback. It tells `calls` whom to kill.
    ///
    /// # Errors
    ///
    /// No port or no thread.
    pub(super) fn start(hub: SocketAddr, plan: Plan, calls: Sender<Call>) -> io::Result<Self> {
        let seen = Arc::<Seen>::default();
        let sees = Arc::clone(&seen);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let proxy = FaultProxy::start_with_report(listen, hub, plan, move |exchange| {
            let call = sees.note(exchange);
            if call.is_some_and(|call| calls.send(call).is_err()) {
                // The demo ends.
            }
        })?;
        Ok(Self { proxy, seen })
    }

    /// Where uploaders connect.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.proxy.addr()
    }

    /// Leads to a hub that was started again elsewhere.
    ///
    /// # Errors
    ///
    /// Never: it is an address.
    pub(super) fn lead_to(&self, hub: SocketAddr) -> io::Result<()> {
        self.proxy.lead_to(hub)
    }

    /// Requests that reached the line.
    #[must_use]
    pub(super) fn requests(&self) -> u64 {
        self.proxy.counts().requests
    }

    /// Replies that reached the uploader whole.
    #[must_use]
    pub(super) fn delivered(&self) -> u64 {
        self.seen.delivered.load(Ordering::Acquire)
    }

    /// Replies that the uploader never had whole.
    #[must_use]
    pub(super) fn lost(&self) -> u64 {
        self.seen.lost.load(Ordering::Acquire)
    }
}

impl Seen {
    /// Counts what became of a request; returns whom to kill now.
    fn note(&self, exchange: &Exchange) -> Option<Call> {
        let (count, call) = match exchange.injection.fault() {
            Fault::Pass | Fault::Twice => (&self.delivered, None),
            Fault::CutReply | Fault::LostReply => (&self.lost, None),
            Fault::HungUp => (&self.lost, Some(Call::KillHub)),
            Fault::Hang => (&self.lost, Some(Call::KillUploader)),
            _ => return None,
        };
        // One that could not be carried at all is neither.
        if exchange.note.is_none() {
            count.fetch_add(1, Ordering::AcqRel);
        }
        call
    }
}

/// The plan for an upload of so many requests: every fault at least once, the kills at a third and at half of the way,
/// and after the opening what the seed has.
///
/// # Errors
///
/// Never: a test excludes it.
pub(super) fn plan(seed: u64, requests: u64) -> Result<Plan, Failure> {
    let drawn = || -> Result<Plan, ParseError> {
        // An upload may be a single request, which then meets all of the opening before it gets through.
        let kill_hub = (requests / 3).max(KILLS_FROM);
        let kill_uploader = (requests / 2).max(kill_hub.saturating_add(1));
        let kills = format!("{kill_hub} hung_up\n{kill_uploader} hang applied=yes");
        // An upload of many small requests meets about as many faults as one of few large ones: each costs time.
        let fair = if requests > REQUESTS_FEW { requests / 2 } else { FAIR_OF_FEW };
        let fair = u32::try_from(fair).unwrap_or(u32::MAX);
        let weights = Weights::of([
            ("cut_request".parse()?, 1),
            ("cut_reply".parse()?, 1),
            ("lost_reply".parse()?, 2),
            ("twice".parse()?, 1),
            ("refuse ms=120".parse()?, 1),
            (Fault::Pass.into(), fair),
        ]);
        Ok(Plan::script(&format!("{kills}\n{OPENING}"))?.or_seeded(seed, weights))
    };
    drawn().map_err(|error| Failure::failed(format!("the line's plan: {error}")))
}

/// What the first requests meet.
const OPENING: &str = "\
1 lost_reply
2 cut_request
3 cut_reply
4 refuse ms=120
5-7 twice";

/// The first request that can be met by a kill.
const KILLS_FROM: u64 = 5;

/// How many requests are few.
const REQUESTS_FEW: u64 = 100;

/// How many of few requests are carried as they are, to six that meet something.
const FAIR_OF_FEW: u64 = 24;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The faults of the first requests.
    fn faults(seed: u64, requests: u64, count: u64) -> Vec<Fault> {
        let plan = plan(seed, requests).unwrap();
        (1..=count).map(|number| plan.draw(number).injection.fault()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_does_not() {
        assert_eq!(faults(7, 70, 90), faults(7, 70, 90));
        assert_ne!(faults(7, 70, 90), faults(8, 70, 90));
    }

    #[test]
    fn even_a_single_request_meets_every_fault_before_it_gets_through() {
        let met = faults(1, 1, 7);
        let all = "LostReply, CutRequest, CutReply, Refuse, HungUp, Hang, Twice";
        assert_eq!(format!("{met:?}"), format!("[{all}]"));
    }

    #[test]
    fn a_long_upload_meets_each_kill_once_and_few_faults() {
        for seed in 0..50 {
            let mut counts = HashMap::new();
            for fault in faults(seed, 7_000, 7_000) {
                *counts.entry(fault).or_insert(0) += 1;
            }
            assert_eq!((counts[&Fault::HungUp], counts[&Fault::Hang]), (1, 1), "seed {seed}");
            assert!(counts[&Fault::Pass] > 6_950, "seed {seed}: {counts:?}");
        }
    }
}
