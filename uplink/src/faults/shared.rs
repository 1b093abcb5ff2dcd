//! What the threads of one proxy share.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::door::Door;
use super::ending::{Ending, far, lock};
use super::fault::Fault;
use super::journal::{Counts, Exchange, Journal};
use super::link::Lane;
use super::plan::{Plan, Shape};
use super::upstream::Way;
use crate::clock;

/// Who is told of each exchange.
pub(super) type Report = Box<dyn Fn(&Exchange) + Send + Sync>;

/// What the threads of one proxy share.
pub(super) struct Shared {
    /// Where the upstream is.
    upstream: Mutex<Vec<SocketAddr>>,
    /// Which request meets what.
    plan: Mutex<Arc<Plan>>,
    /// What happened so far.
    journal: Mutex<Journal>,
    /// Who is told of it.
    report: Option<Report>,
    /// Requests that go later.
    held: Mutex<Vec<Held>>,
    /// Replies that can be served again, the newest last.
    replies: Mutex<VecDeque<OldReply>>,
    /// The port.
    pub(super) door: Door,
    /// Whether everything is to end.
    pub(super) ending: Arc<Ending>,
    /// The way to the upstream.
    pub(super) up: Arc<Lane>,
    /// The way to clients.
    pub(super) down: Arc<Lane>,
}

/// A request that is held.
#[derive(Debug)]
struct Held {
    /// After which request it goes.
    after: u64,
    /// The request.
    bytes: Vec<u8>,
}

/// A reply that was delivered.
#[derive(Clone, Debug)]
pub(super) struct OldReply {
    /// Method and target of its request.
    request: String,
    /// Its status.
    pub(super) status: u16,
    /// All of it.
    pub(super) bytes: Vec<u8>,
}

impl Shared {
    /// What the threads of a new proxy share.
    pub(super) fn new(
        door: Door,
        upstream: Vec<SocketAddr>,
        plan: Plan,
        report: Option<Report>,
    ) -> Self {
        Self {
            upstream: Mutex::new(upstream),
            plan: Mutex::new(Arc::new(plan)),
            journal: Mutex::default(),
            report,
            held: Mutex::default(),
            replies: Mutex::default(),
            door,
            ending: Arc::default(),
            up: Arc::default(),
            down: Arc::default(),
        }
    }

    /// Where the upstream is.
    pub(super) fn upstream(&self) -> Vec<SocketAddr> {
        lock(&self.upstream).clone()
    }

    /// Leads elsewhere from the next request on.
    pub(super) fn lead_to(&self, upstream: Vec<SocketAddr>) {
        *lock(&self.upstream) = upstream;
    }

    /// Has another plan from the next request on.
    pub(super) fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    /// Numbers a request; returns the plan that it is drawn from too.
    pub(super) fn begin(&self) -> (u64, Arc<Plan>) {
        let number = lock(&self.journal).begin();
        (number, Arc::clone(&lock(&self.plan)))
    }

    /// Counts a fault.
    pub(super) fn count(&self, fault: Fault) {
        lock(&self.journal).count(fault);
    }

    /// What happened so far.
    pub(super) fn counts(&self) -> Counts {
        lock(&self.journal).counts(self.up.bytes(), self.down.bytes())
    }

    /// The last exchanges.
    pub(super) fn last(&self) -> Vec<Exchange> {
        lock(&self.journal).last()
    }

    /// Keeps an exchange and tells of it.
    pub(super) fn note(&self, exchange: Exchange) {
        if let Some(report) = &self.report {
            report(&exchange);
        }
        lock(&self.journal).keep(exchange);
    }

    /// Refuses connections for so long.
    pub(super) fn refuse(&self, time: Duration) {
        let now = clock::instant();
        self.door.shut(now.checked_add(time).unwrap_or_else(|| far(now)));
    }

    /// Holds a request until the one of this number is through. If the proxy ends before, it never arrives.
    pub(super) fn hold(&self, after: u64, bytes: Vec<u8>) {
        lock(&self.held).push(Held { after, bytes });
    }

    /// Gives the upstream what was held until the request of this number was through, and the oldest where many are
    /// held. The replies are for nobody.
    pub(super) fn release(&self, number: u64) {
        let due: Vec<_> = {
            let mut held = lock(&self.held);
            let surplus = held.len().saturating_sub(HELD_MAX);
            let mut index = 0_usize;
            let is_due = |held: &mut Held| {
                index = index.saturating_add(1);
                held.after <= number || index <= surplus
            };
            held.extract_if(.., is_due).collect()
        };
        for held in due {
            let asked = Way::connect(self).and_then(|way| {
                way.send(&held.bytes, Shape::default())?;
                way.hear("POST")
            });
            if asked.is_err() {
                // It never arrived: so it is with what is late.
            }
        }
    }

    /// Keeps a reply that was delivered.
    pub(super) fn remember(&self, request: String, status: u16, bytes: Vec<u8>) {
        let mut replies = lock(&self.replies);
        if replies.len() >= REPLIES_MAX {
            replies.pop_front();
        }
        replies.push_back(OldReply { request, status, bytes });
    }

    /// The last reply that was delivered to such a request.
    pub(super) fn old_reply(&self, request: &str) -> Option<OldReply> {
        lock(&self.replies).iter().rev().find(|reply| reply.request == request).cloned()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("door", &self.door).finish_non_exhaustive()
    }
}

/// How many requests are held at once.
const HELD_MAX: usize = 64;

/// How many replies are kept.
const REPLIES_MAX: usize = 16;
