//! The calls, one request each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{RecordError, answer};
use crate::dialect::{Method, Request, Response};
use crate::transport::Transport;

/// The path of records.
const PATH: &str = "/v1/record";
/// The path of renewals.
const RENEW_PATH: &str = "/v1/record/renew";
/// Longest scope, bytes.
const SCOPE_BYTES_MAX: usize = 63;
/// Longest key, bytes.
const KEY_BYTES_MAX: usize = 255;
/// Longest request that a record is begun with, bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest body that a record is completed with, bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What became of the question for a record.
///
/// ```
/// use onceward_uplink::records::{RecordBegun, RecordError, RecordsClient};
///
/// /// Pays an order once, on whichever terminal.
/// fn pay(records: &RecordsClient, order: &str) -> Result<Option<String>, RecordError> {
///     match records.begin("orders", order, None)? {
///         RecordBegun::Locked { lease, is_outcome_unknown: false, .. } => {
///             // The work; then:
///             records.complete(&lease, Some(200), r#"{"status":"paid"}"#)?;
///             Ok(Some(r#"{"status":"paid"}"#.to_owned()))
///         }
///         RecordBegun::Locked { lease, .. } => {
///             // Somebody began and never said how it ended: look whether it took effect.
///             records.release(&lease)?;
///             Ok(None)
///         }
///         RecordBegun::Busy { .. } => Ok(None),
///         RecordBegun::Cached { body, .. } => Ok(body),
///         _ => Ok(None),
///     }
/// }
/// # let _ = pay;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordBegun {
    /// The caller may do the work, and nobody else meanwhile.
    Locked {
        /// What the work is completed, released or renewed with.
        lease: RecordLease,
        /// After what time somebody else may get it; `None`: the upstream does not say.
        expires_in: Option<Duration>,
        /// Somebody had it before and never said how it ended: the work may have been done.
        is_outcome_unknown: bool,
    },
    /// Somebody is at work on it.
    Busy {
        /// After what time to ask again.
        retry_after: Duration,
    },
    /// It is done.
    Cached {
        /// The status that it was completed with, if the upstream gives it.
        status: Option<u16>,
        /// The body that it was completed with, as JSON text, if the upstream gives it.
        body: Option<String>,
    },
}

/// The right to complete a record.
///
/// ```
/// use onceward_uplink::records::RecordLease;
///
/// // Kept by a terminal across a restart, as its three texts.
/// let lease = RecordLease::new("orders", "order-2001", Some("bGVhc2U".to_owned()));
/// assert_eq!((lease.scope(), lease.key(), lease.token()), ("orders", "order-2001", Some("bGVhc2U")));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct RecordLease {
    scope: String,
    key: String,
    token: Option<String>,
}

impl RecordLease {
    /// The lease of a record, by what was kept of it.
    #[must_use]
    pub fn new(scope: impl Into<String>, key: impl Into<String>, token: Option<String>) -> Self {
        Self { scope: scope.into(), key: key.into(), token }
    }

    /// The scope of the record.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The key of the record.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What tells this holder from others; `None`: the upstream gives none.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(super) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }
}

impl fmt::Debug for RecordLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLease")
            .field("scope", &self.scope)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What is sent; members that are not there are left out.
#[derive(Serialize)]
struct Ask<'a> {
    scope: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<&'a str>,
    #[serde(rename = "lockMs", skip_serializing_if = "Option::is_none")]
    lock_ms: Option<u64>,
}

/// The records of an upstream, over any line.
///
/// ```
/// use onceward_uplink::records::RecordsClient;
/// use onceward_uplink::{Line, Secret, Timeouts};
///
/// let key = Secret::new("key-of-this-terminal");
/// let line = Line::new("https://cloud.syllecta.example", Some(key), Timeouts::default())?;
/// let records = RecordsClient::new(line);
/// # let _ = records;
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordsClient {
    transport: Arc<dyn Transport>,
}

impl RecordsClient {
    /// Puts the parts together; sends nothing yet.
    #[must_use]
    pub fn new(line: impl Transport + 'static) -> Self {
        Self { transport: Arc::new(line) }
    }

    /// Asks for the record of (scope, key), and for the right to do its work. `request`, as JSON text, says what is
    /// asked to be done: the upstream refuses the key for another one.
    ///
    /// | argument  | unit  | range           |
    /// |-----------|-------|-----------------|
    /// | `scope`   | bytes | `1..=63`        |
    /// | `key`     | bytes | `1..=255`       |
    /// | `request` | bytes | `1..=16 * 1024` |
    ///
    /// # Durability
    ///
    /// `Locked` holds across a crash of the upstream. After `Unavailable` this caller may have the lease without
    /// knowing it: asked again it is `Busy` until that ends, and `is_outcome_unknown` then.
    ///
    /// # Errors
    ///
    /// `Invalid`, `KeyReused`, `UsageExceeded`, `LeasesFull`, `Unauthorized`: nothing changed. `Unavailable`: unknown.
    pub fn begin(
        &self,
        scope: &str,
        key: &str,
        request: Option<&str>,
    ) -> Result<RecordBegun, RecordError> {
        sized("scope", scope, 1, SCOPE_BYTES_MAX)?;
        sized("key", key, 1, KEY_BYTES_MAX)?;
        let request = request.map(|text| json("request", text, REQUEST_BYTES_MAX)).transpose()?;
        let asked = RecordLease::new(scope, key, None);
        let ask = Ask { request, ..Ask::of(&asked) };
        let response = self.send(Method::Post, PATH, &ask)?;
        answer::begun(&response, asked)
    }

    /// Says how the work ended, with a body as JSON text of at most 64 KiB: whoever asks from now on gets it.
    /// `status` is 200 where it is left out.
    ///
    /// # Durability
    ///
    /// `Ok` means that the upstream keeps it. Repeated with the same body and status it is the same `Ok`, so after
    /// `Unavailable` it is repeated.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `CompletedOtherwise`, `NotLocked`, `LeaseAmbiguous`: it is not completed by this. `Invalid`: the
    /// body is no JSON, or too long, or the status is not 100 to 599. `Unauthorized`. `Unavailable`: unknown; the
    /// lease stays.
    pub fn complete(
        &self,
        lease: &RecordLease,
        status: Option<u16>,
        body: &str,
    ) -> Result<(), RecordError> {
        if let Some(status) = status.filter(|status| !(100..=599).contains(status)) {
            return Err(RecordError::invalid(format!("status: {status}, must be 100 to 599")));
        }
        let body = Some(json("body", body, BODY_BYTES_MAX)?);
        let ask = Ask { body, status, ..Ask::of(lease) };
        let response = self.send(Method::Put, PATH, &ask)?;
        answer::completed(&response, lease)
    }

    /// Gives the lease back, because nothing came of the work: the next caller gets it at once.
    ///
    /// # Errors
    ///
    /// `LeaseLost`: it was gone. `Invalid`: the upstream gave no token with the lease, which then ends by itself.
    /// `Unauthorized`. `Unavailable`: unknown.
    pub fn release(&self, lease: &RecordLease) -> Result<(), RecordError> {
        has_token(lease)?;
        answer::released(&self.send(Method::Delete, PATH, &Ask::of(lease))?)
    }

    /// Keeps the lease for so long from now on. Returns after what time it ends.
    ///
    /// # Errors
    ///
    /// As [`RecordsClient::release`], and `Invalid`: the time is not 1 s to 24 h.
    pub fn renew(&self, lease: &RecordLease, lock: Duration) -> Result<Duration, RecordError> {
        has_token(lease)?;
        if !(Duration::from_secs(1)..=Duration::from_hours(24)).contains(&lock) {
            let ms = lock.as_millis();
            return Err(RecordError::invalid(format!("lock: {ms} ms, must be 1000 to 86400000")));
        }
        let lock_ms = u64::try_from(lock.as_millis()).ok();
        let ask = Ask { lock_ms, ..Ask::of(lease) };
        answer::renewed(&self.send(Method::Post, RENEW_PATH, &ask)?)
    }

    fn send(&self, method: Method, path: &str, ask: &Ask<'_>) -> Result<Response, RecordError> {
        // Texts, numbers and JSON only, which always encode.
        let body = serde_json::to_vec(ask).unwrap_or_default();
        Ok(self.transport.send(Request::new(method, path, body))?)
    }
}

impl<'a> Ask<'a> {
    fn of(lease: &'a RecordLease) -> Self {
        Self {
            scope: lease.scope(),
            key: lease.key(),
            request: None,
            body: None,
            status: None,
            lease: lease.token(),
            lock_ms: None,
        }
    }
}

fn has_token(lease: &RecordLease) -> Result<(), RecordError> {
    match lease.token() {
        Some(_) => Ok(()),
        None => Err(RecordError::invalid("lease: the upstream gave none, and it ends by itself")),
    }
}

/// Checks the bytes of an argument.
fn sized(name: &str, text: &str, least: usize, most: usize) -> Result<(), RecordError> {
    let bytes = text.len();
    if (least..=most).contains(&bytes) {
        return Ok(());
    }
    Err(RecordError::invalid(format!("{name}: has {bytes} bytes, must have {least} to {most}")))
}

/// JSON text, as it is spelled.
fn json<'a>(name: &str, text: &'a str, most: usize) -> Result<&'a RawValue, RecordError> {
    sized(name, text, 1, most)?;
    serde_json::from_str(text)
        .map_err(|found| RecordError::invalid(format!("{name}: is not JSON: {found}")))
}
