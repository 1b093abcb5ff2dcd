//! Idempotent calls: begin, complete, release, renew.
//!
//! A key is leased as an event's is captured: judging it, queueing the frame and taking the key is
//! one critical section, and whoever finds it taken waits, outside it, until that is durable. What
//! changes a lease that is there (completion, release, takeover) is queued under `control`, so that
//! its frame does not come before one with which cleaning carries the lease; it is waited for
//! without, so that calls share their syncs.

mod begin;
mod change;
mod read;

use onceward_wal::Lsn;
use std::time::Duration;

use super::{Lease, LeaseReply, LeaseRequest, OpenLease, Record, RecordState, check_lease_ms};
use crate::base::{Error, ErrorKind, Result, whole_ms};
use crate::event::{Key, Payload, Scope};
use crate::store::Shared;
use change::{Ending, Holding};

/// Idempotent calls of an open store.
#[derive(Clone, Copy, Debug)]
pub struct Records<'s> {
    inner: &'s Shared,
}

impl<'s> Records<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }
}

impl Records<'_> {
    /// Asks for the right to do work that must be done once, or for what came of it.
    ///
    /// Of many who ask at once, one gets the lease. A lease that expired is taken over by the next who
    /// asks, and its late holder can do nothing more with it. A lease of an earlier opening of the
    /// store is taken over at once: its holder went with that process, or renews it first.
    ///
    /// # Durability
    ///
    /// What is answered survives kill -9 and power cut. After an error that is not
    /// [`in_doubt`](Error::in_doubt) the caller surely has no lease; else it asks again after reopening
    /// and gets the answer that the outcome is unknown.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `LEASE_LENGTH`: a lease outside 1 second to 24 hours. `Full`, code
    /// `LEASES_FULL`: [`leases_max`](crate::Config::with_leases_max) leases are open. `Full`: no room, and
    /// no key was taken. `Corrupt`: the record cannot be read. `Poisoned`, `Io`: as for
    /// [`Store::capture`](crate::Store::capture).
    ///
    /// # Cost
    ///
    /// `Acquired` and `OutcomeUnknown`: one write and one `fdatasync`, shared with those who write at
    /// the same time. `InProgress` and `Conflict`: none. `Cached`: none for a body that was used
    /// lately, else one read.
    ///
    /// ```
    /// use onceward::{Config, Key, Payload, Scope, Store};
    /// use onceward::records::{LeaseRequest, LeaseReply};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let begin = LeaseRequest::new(Scope::new("orders")?, Key::new("order-2001")?);
    /// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
    /// assert!(matches!(store.records().begin(&begin)?, LeaseReply::InProgress { retry_after_ms: 1..=1_500 }));
    /// store.records().complete(&lease, &Payload::json(r#"{"status":"paid"}"#)?)?;
    /// let LeaseReply::Cached(record) = store.records().begin(&begin)? else { panic!("it was completed") };
    /// assert_eq!(record.body.as_json(), Some(r#"{"status":"paid"}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin(&self, begin: &LeaseRequest) -> Result<LeaseReply> {
        check_lease_ms(whole_ms(begin.lease))?;
        self.begin_record(begin)
    }

    /// Keeps what came of the work that a lease is for, for the
    /// [record's life](crate::Config::with_record_life) from now on.
    ///
    /// A lease that expired can still complete, as long as nobody took it over: then the outcome is
    /// known after all. Completing again with the same body gives the record again.
    ///
    /// ```
    /// use onceward::{Config, Key, Payload, Scope, Store};
    /// use onceward::records::{LeaseRequest, LeaseReply};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let begin = LeaseRequest::new(Scope::default(), Key::new("order-2001")?);
    /// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
    /// let record = store.records().complete(&lease, &Payload::json(r#"{"paid":true}"#)?)?;
    /// assert!(matches!(store.records().begin(&begin)?, LeaseReply::Cached(again) if again == record));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// The record survives kill -9 and power cut when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Fenced`, code `LEASE_LOST`: the lease was taken over or released; nothing changed. `Invalid`, code
    /// `COMPLETED_OTHERWISE`: the lease was completed with another body, which stays; `PAYLOAD_TOO_LONG`. `Full`: no
    /// room; the lease is still the caller's. `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture); where
    /// the error is [`in_doubt`](Error::in_doubt), ask with [`Records::begin`](crate::records::Records::begin) after
    /// reopening.
    ///
    /// # Cost
    ///
    /// One write and one `fdatasync`, shared with those who write at the same time. On a full disk the
    /// ends of leases share a quarter of a segment of what is reserved for finishing what was begun.
    pub fn complete(&self, lease: &Lease, body: &Payload) -> Result<Record> {
        self.inner.refuse_if_long("body", body.as_bytes())?;
        match self.end_lease(lease, Ending::Complete(body))? {
            Holding::Mine { record: Some(record), .. } => Ok(record),
            Holding::Done { item, done } => {
                let found = self.read_record(item, done)?;
                let found = found.filter(|record| record.fence == lease.fence);
                match found.ok_or_else(|| lost(lease))? {
                    record if record.body == *body => Ok(record),
                    _other => Err(Error::invalid(
                        "COMPLETED_OTHERWISE",
                        format!("the lease of key {} was completed with another body", lease.key),
                    )),
                }
            }
            Holding::Mine { record: None, .. } | Holding::Lost => Err(lost(lease)),
        }
    }

    /// Gives a lease back because the work did not take effect: the key is free at once.
    ///
    /// # Durability
    ///
    /// The key is free after a crash, too, when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Fenced`, code `LEASE_LOST`: the lease was taken over, released or completed; nothing changed.
    /// `Full`: no room; the lease is still the caller's. `Poisoned`, `Io`: as for
    /// [`Store::capture`](crate::Store::capture).
    ///
    /// ```
    /// use onceward::{Config, Key, Scope, Store};
    /// use onceward::records::{LeaseRequest, LeaseReply};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let begin = LeaseRequest::new(Scope::default(), Key::new("order-2001")?);
    /// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
    /// store.records().release(&lease)?;
    /// assert!(matches!(store.records().begin(&begin)?, LeaseReply::Acquired(next) if next.fence() > lease.fence()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&self, lease: &Lease) -> Result<()> {
        match self.end_lease(lease, Ending::Release)? {
            Holding::Mine { .. } => Ok(()),
            Holding::Done { .. } | Holding::Lost => Err(lost(lease)),
        }
    }

    /// Lets a lease last so long from now: for work that takes longer than was
    /// thought. Returns the lease with its new end; the old one can be used as well.
    ///
    /// A lease that expired, or that is of an earlier opening of the store, is held again by this, if
    /// nobody took it over.
    ///
    /// ```
    /// use std::time::Duration;
    /// use onceward::{Config, Key, Scope, Store};
    /// use onceward::records::{LeaseRequest, LeaseReply};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let begin = LeaseRequest::new(Scope::default(), Key::new("order-2001")?);
    /// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
    /// let before_ms = lease.expires_at_ms();
    /// // The work takes longer than was thought.
    /// let lease = store.records().renew(&lease, Duration::from_mins(1))?;
    /// assert!(lease.expires_at_ms() >= before_ms);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// None is needed: after a crash no lease is held, until it is renewed.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `LEASE_LENGTH`: outside 1 second to 24 hours. `Fenced`, code `LEASE_LOST`: the
    /// lease was taken over, released or completed. `Corrupt`, `Io`, `Poisoned`: the
    /// index cannot be read.
    ///
    /// # Cost
    ///
    /// Nothing is written.
    pub fn renew(&self, lease: &Lease, length: Duration) -> Result<Lease> {
        let lease_ms = whole_ms(length);
        check_lease_ms(lease_ms)?;
        self.renew_lease(lease, lease_ms)?.ok_or_else(|| lost(lease))
    }

    /// How far a record is, without taking its key.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: it cannot be read. `Poisoned`: as for [`Store::outcome`](crate::Store::outcome).
    ///
    /// ```
    /// use onceward::{Config, Key, Scope, Store};
    /// use onceward::records::RecordState;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let state = store.records().get(&Scope::default(), &Key::new("order-2001")?)?;
    /// assert_eq!(state, RecordState::Unknown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, scope: &Scope, key: &Key) -> Result<RecordState> {
        self.look_at_record(scope, key)
    }

    /// The leases that are neither completed nor released, oldest first, at most `max` of them from
    /// behind the one whose [`item`](OpenLease::item) is `after` on.
    ///
    /// For a person who looks for calls of which nobody said how they ended: they count against
    /// [`leases_max`](crate::Config::with_leases_max) until somebody begins them again and completes or
    /// releases what [`LeaseReply::OutcomeUnknown`] gives.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: one cannot be read.
    ///
    /// # Cost
    ///
    /// A read for each.
    ///
    /// ```
    /// use onceward::{Config, Key, Scope, Store};
    /// use onceward::records::LeaseRequest;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// store.records().begin(&LeaseRequest::new(Scope::default(), Key::new("order-2001")?))?;
    /// let open = store.records().leases(None, 100)?;
    /// assert_eq!((open.len(), open[0].key.as_str(), open[0].is_held), (1, "order-2001", true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leases(&self, after: Option<Lsn>, max: usize) -> Result<Vec<OpenLease>> {
        self.list_leases(after, max)
    }
}

/// The error for a lease whose key somebody else has by now.
fn lost(lease: &Lease) -> Error {
    let message = format!(
        "the lease {} of key {} in scope {} was taken over, released or completed",
        lease.fence, lease.key, lease.scope
    );
    Error::new(ErrorKind::Fenced, "LEASE_LOST", message)
}
