//! Calls that are done once.

use std::time::Duration;

use super::{Done, Machine, Stop};
use crate::records::{Lease, LeaseReply, LeaseRequest};
use crate::whole_model::compare::{body_of, call_key, orders};
use crate::whole_model::hold;
use crate::whole_model::reference::Call;
use crate::whole_model::words::{Began, RECORD_MS};

/// Leases that a caller keeps.
const KEPT: usize = 5;

impl Machine {
    /// A record whose life is over may be forgotten at any moment.
    fn may_be_forgotten(&self, key: &str) -> bool {
        let call = self.model.calls.get(key);
        matches!(call, Some(Call::Done { at, .. }) if self.model.now >= at + RECORD_MS)
    }

    fn forget_call(&mut self, key: &str) {
        self.counts.add("record: forgotten");
        if let Some(call) = self.model.calls.remove(key) {
            self.gone.calls.push((key.to_owned(), call));
        }
    }

    pub(super) fn begin(&mut self, key: &str, request: Option<u8>, lease_ms: u64) -> Done {
        let mut begin =
            LeaseRequest::new(orders(), call_key(key)).with_lease(Duration::from_millis(lease_ms));
        begin.request = request.map(|request| vec![request; 9]);
        let said = self.store().records().begin(&begin);
        let forgets = self.may_be_forgotten(key);
        let is_known = matches!(said, Ok(LeaseReply::Cached(_) | LeaseReply::Conflict { .. }));
        if forgets && is_known {
            self.counts.add("record: could be forgotten");
            let over = |call: &Call| match call {
                Call::Done { at, .. } => *at + RECORD_MS + RECORD_MS / 8,
                Call::Open { .. } => 0,
            };
            let last = self.model.calls.values().map(over).max().unwrap_or(0);
            let is_quiet = self.model.calls.values().all(|call| matches!(call, Call::Done { .. }));
            hold!(self.model.now <= last || !is_quiet, "record {key} is remembered too long");
        } else if forgets {
            self.forget_call(key);
            self.step();
        }
        let began = self.model.begin(key, request, lease_ms);
        let begun = match (&began, self.said(said)?) {
            (Began::Full, Err("LEASES_FULL")) => {
                self.counts.add("begun: full");
                return Ok(());
            }
            (_, Ok(begun)) => begun,
            (_, Err(code)) => return Err(Stop::Wrong(format!("begin: {code}, not {began:?}"))),
        };
        self.begun(key, &began, begun)
    }

    fn begun(&mut self, key: &str, began: &Began, begun: LeaseReply) -> Done {
        let is_same = match (began, &begun) {
            (Began::Acquired, LeaseReply::Acquired(lease))
            | (Began::Unknown, LeaseReply::OutcomeUnknown(lease)) => {
                self.leased(key, lease)?;
                true
            }
            (Began::InProgress(ms), LeaseReply::InProgress { retry_after_ms }) => {
                ms == retry_after_ms
            }
            (Began::Cached { fence, body }, LeaseReply::Cached(record)) => {
                record.fence.get() == *fence && record.body == body_of(*body)
            }
            (Began::Conflict(known), LeaseReply::Conflict { fence }) => fence.get() == *known,
            _ => false,
        };
        hold!(is_same, "begun {begun:?}, not {began:?}");
        let shown = format!("{began:?}");
        let name = shown.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        self.counts.add(&format!("begun: {name}"));
        Ok(())
    }

    fn leased(&mut self, key: &str, lease: &Lease) -> Done {
        let given = lease.fence().get();
        hold!(given > self.highest, "fencing number {given} after {}", self.highest);
        self.highest = given;
        self.wrote(self.model.now);
        if let Some(Call::Open { fence, .. }) = self.model.calls.get_mut(key) {
            *fence = given;
        }
        if self.leases.len() >= KEPT {
            self.leases.remove(0);
        }
        self.leases.push(Lease::from_bytes(&lease.to_bytes()).unwrap());
        Ok(())
    }

    /// Completes with a body, or releases.
    pub(super) fn end_lease(&mut self, number: usize, body: Option<u64>) -> Done {
        if self.leases.is_empty() {
            return Ok(());
        }
        let lease = self.leases[number % self.leases.len()].clone();
        let (key, fence) = (lease.key().to_string(), lease.fence().get());
        let store = self.store();
        let forgets = self.may_be_forgotten(&key);
        let said = match body {
            Some(body) => store.records().complete(&lease, &body_of(body)).map(Some),
            None => store.records().release(&lease).map(|()| None),
        };
        let told = self.model.end_lease((&key, fence), body);
        let said = self.said(said)?;
        let is_lost = said.as_ref().err() == Some(&"LEASE_LOST");
        if forgets && is_lost && told != Err("LEASE_LOST") {
            self.forget_call(&key);
            return Ok(());
        }
        let is_same = match (&told, &said) {
            (Ok(()), Ok(None)) => true,
            (Ok(()), Ok(Some(record))) => {
                record.fence.get() == fence && Some(&record.body) == body.map(body_of).as_ref()
            }
            (Err(told), Err(said)) => told == said,
            _ => false,
        };
        hold!(is_same, "{key} {body:?}: {said:?}, not {told:?}");
        let what = if body.is_some() { "completed" } else { "released" };
        self.counts.add(&format!("lease: {}", told.err().unwrap_or(what)));
        Ok(())
    }

    pub(super) fn renew(&mut self, number: usize, lease_ms: u64) -> Done {
        if self.leases.is_empty() {
            return Ok(());
        }
        let number = number % self.leases.len();
        let lease = self.leases[number].clone();
        let now = self.model.now;
        let told = match self.model.calls.get_mut(lease.key().as_str()) {
            Some(Call::Open { fence, until, .. }) if *fence == lease.fence().get() => {
                *until = Some(now + lease_ms);
                Ok(())
            }
            _ => Err("LEASE_LOST"),
        };
        let said = self.store().records().renew(&lease, Duration::from_millis(lease_ms));
        let said = self.said(said)?;
        hold!(told == said.as_ref().map(|_| ()).map_err(|it| *it), "{said:?}, not {told:?}");
        self.counts.add(&format!("lease: {}", told.err().unwrap_or("renewed")));
        if let Ok(lease) = said {
            self.leases[number] = lease;
        }
        Ok(())
    }
}
