//! Records of idempotent calls: a key is leased, the work is done once, and what came of it is kept.
//!
//! ```text
//!              begin: Acquired                     complete
//!   unknown ------------------> leased --------------------------> completed: begin says Cached
//!      ^                        |    ^                                 |
//!      |        release         |    | begin: OutcomeUnknown           | the record's life is over
//!      +------------------------+    | (a new lease, the old one       v
//!                               |    |  can do nothing any more)    unknown
//!                               v    |
//!              the lease expired, or its store was opened again
//! ```

mod bodies;
mod calls;
pub(crate) mod frames;
mod lease;
pub(crate) mod table;

use crate::Lsn;
use crate::base::bounds::{LEASE_MS_DEFAULT, LEASE_MS_MAX, LEASE_MS_MIN};
use crate::base::shown::OnlyLength;
use crate::base::{Error, Result};
use crate::event::{Key, Payload, Scope};
use std::fmt;
use std::time::Duration;

pub(crate) use bodies::Bodies;
pub use calls::Records;
pub use lease::Lease;
pub(crate) use table::RecordTable;

use onceward_index::{Fingerprint, Secret};

/// What is in front of the scope of a record: no event's scope has a colon.
pub(crate) const RECORD_PREFIX: &str = "record:";

/// The fingerprint of a record's key: that of an event with the same scope and key is another.
pub(crate) fn fingerprint(secret: &Secret, scope: &str, key: &str) -> Fingerprint {
    secret.fingerprint(&format!("{RECORD_PREFIX}{scope}"), key.as_bytes())
}

/// What a caller says before it does work that must be done once; see
/// [`Records::begin`](crate::records::Records::begin).
///
/// ```
/// use std::time::Duration;
/// use onceward::{Key, Scope};
/// use onceward::records::LeaseRequest;
///
/// let begin = LeaseRequest::new(Scope::new("orders")?, Key::new("order-2001")?)
///     .with_request(br#"{"amount":"12.00"}"#.to_vec())
///     .with_lease(Duration::from_mins(1));
/// assert_eq!(begin.lease, Duration::from_mins(1));
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct LeaseRequest {
    /// Logical grouping of keys. A record and an event may share scope and key.
    pub scope: Scope,
    /// The key: made before the work begins, and the same in every attempt.
    pub key: Key,
    /// What the work is asked to do, if two calls with one key and different requests are to be kept
    /// apart. Only a content hash of 48 bits is kept.
    pub request: Option<Vec<u8>>,
    /// How long the lease lasts unless it is renewed: one second to 24 hours.
    pub lease: Duration,
}

impl fmt::Debug for LeaseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, key, request, lease } = self;
        f.debug_struct("LeaseRequest")
            .field("scope", scope)
            .field("key", key)
            .field("request", &request.as_deref().map(OnlyLength))
            .field("lease", lease)
            .finish()
    }
}

impl LeaseRequest {
    /// Asks for a key with a lease of 30 seconds, whatever the request is.
    #[must_use]
    pub fn new(scope: Scope, key: Key) -> Self {
        let lease = Duration::from_millis(LEASE_MS_DEFAULT);
        Self { scope, key, request: None, lease }
    }

    /// Sets the bytes by which a request differs from others under the same key.
    #[must_use]
    pub fn with_request(mut self, request: Vec<u8>) -> Self {
        self.request = Some(request);
        self
    }

    /// Sets how long the lease lasts.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// What became of a [`LeaseRequest`].
///
/// ```
/// use onceward::{Config, Key, Payload, Scope, Store};
/// use onceward::records::{LeaseRequest, LeaseReply};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let begin = LeaseRequest::new(Scope::new("orders")?, Key::new("order-2001")?);
/// match store.records().begin(&begin)? {
///     LeaseReply::Acquired(lease) => {
///         // Do the work, then:
///         store.records().complete(&lease, &Payload::json(r#"{"status":"paid"}"#)?)?;
///     }
///     LeaseReply::Cached(record) => println!("done before: {:?}", record.body),
///     LeaseReply::InProgress { retry_after_ms } => println!("again in {retry_after_ms} ms"),
///     LeaseReply::OutcomeUnknown(_lease) => println!("look whether it happened, then complete or release"),
///     other => println!("refused: {other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LeaseReply {
    /// The work is neither done nor being done: the caller does it and completes the lease.
    Acquired(Lease),
    /// Another caller is doing the work.
    InProgress {
        /// After how long to ask again, milliseconds: at least 1, at most what is left of the lease.
        retry_after_ms: u64,
    },
    /// The work was done: this is what came of it.
    Cached(Record),
    /// The key belongs to another request. Answered only where both sides gave one.
    Conflict {
        /// The fencing number of the other one's lease.
        fence: Lsn,
    },
    /// Somebody began and never said how it ended: the lease expired, or the store was opened again
    /// since. The work may have taken effect, wholly or in part. The caller has the lease now: it looks,
    /// and completes with what it found, or does the work, or releases.
    OutcomeUnknown(Lease),
}

/// What came of a completed call.
///
/// ```
/// use onceward::{Config, Key, Payload, Scope, Store};
/// use onceward::records::{LeaseRequest, LeaseReply};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let begin = LeaseRequest::new(Scope::default(), Key::new("order-2001")?);
/// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
/// let record = store.records().complete(&lease, &Payload::bytes(b"paid".to_vec()))?;
/// assert_eq!(record.body.as_bytes(), b"paid");
/// assert_eq!(record.fence, lease.fence());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The body that the lease was completed with.
    pub body: Payload,
    /// When, Unix milliseconds by the wall clock.
    pub completed_at_ms: i64,
    /// Fencing number of the lease that completed it.
    pub fence: Lsn,
}

/// How far a record is, for one who only looks: [`Records::get`](crate::records::Records::get).
///
/// ```
/// use onceward::{Config, Key, Scope, Store};
/// use onceward::records::{LeaseRequest, RecordState};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let (scope, key) = (Scope::default(), Key::new("order-2001")?);
/// assert_eq!(store.records().get(&scope, &key)?, RecordState::Unknown);
/// store.records().begin(&LeaseRequest::new(scope.clone(), key.clone()))?;
/// assert!(matches!(store.records().get(&scope, &key)?, RecordState::InProgress { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordState {
    /// The work was never begun, or its lease was released, or the record's life is over.
    Unknown,
    /// A caller has the lease.
    InProgress {
        /// The lease's fencing number.
        fence: Lsn,
        /// After how long to ask again, milliseconds.
        retry_after_ms: u64,
    },
    /// Somebody began and never said how it ended.
    OutcomeUnknown {
        /// The fencing number of the lost lease.
        fence: Lsn,
    },
    /// The work was done.
    Completed(Record),
}

/// A lease that is neither completed nor released, as [`Records::leases`](crate::records::Records::leases) shows
/// it: without its token, so that it is no right to anything.
///
/// ```
/// use onceward::{Config, Key, Scope, Store};
/// use onceward::records::LeaseRequest;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.records().begin(&LeaseRequest::new(Scope::default(), Key::new("order-2001")?))?;
/// let open = &store.records().leases(None, 10)?[0];
/// assert_eq!((open.key.as_str(), open.is_held), ("order-2001", true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OpenLease {
    /// The number of the frame that took the key: the record's name until it is forgotten.
    pub item: Lsn,
    /// The scope of the key.
    pub scope: Scope,
    /// The key.
    pub key: Key,
    /// The fencing number.
    pub fence: Lsn,
    /// When this lease was given, Unix milliseconds by the wall clock.
    pub since_ms: i64,
    /// Whether it has a holder: it did not expire, and was given or renewed since the store was opened.
    pub is_held: bool,
}

/// Refuses a length of a lease that nobody can mean.
pub(crate) fn check_lease_ms(lease_ms: u64) -> Result<()> {
    if (LEASE_MS_MIN..=LEASE_MS_MAX).contains(&lease_ms) {
        return Ok(());
    }
    Err(Error::invalid(
        "LEASE_LENGTH",
        format!("lease: {lease_ms} ms, must be {LEASE_MS_MIN} to {LEASE_MS_MAX}"),
    ))
}

#[cfg(test)]
pub(crate) mod tests;
