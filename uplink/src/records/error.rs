//! Why a call of a record came to nothing, by what the caller has to do about it.

use std::fmt;
use std::time::Duration;

use onceward::sync::Failure;

/// A call of a record that came to nothing.
///
/// ```
/// use onceward_uplink::records::{RecordErrorKind, RecordsClient};
/// use onceward_uplink::{Line, Timeouts};
///
/// let records = RecordsClient::new(Line::new("http://127.0.0.1:9", None, Timeouts::default())?);
/// let error = records.begin("", "order-2001", None).unwrap_err();
/// assert_eq!(error.kind(), RecordErrorKind::Invalid);
/// assert_eq!(error.to_string(), "scope: has 0 bytes, must have 1 to 63");
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordError {
    kind: RecordErrorKind,
    code: Option<String>,
    message: String,
    retry_after: Option<Duration>,
}

/// What the caller has to do. One kind for each different reaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// The request breaks a rule. Fix it; a retry fails the same way.
    Invalid,
    /// The key is taken by another request: this is another call. Give it another key.
    KeyReused,
    /// Somebody else has the lease now, or it was released: what was done may be done twice. Look, and do not complete.
    LeaseLost,
    /// It was completed with another outcome, which stays. Begin again to read it.
    CompletedOtherwise,
    /// Nobody has a lease: it was never begun, it was released, or its record is forgotten. Begin again.
    NotLocked,
    /// It was leased more than once, and without a lease's token nobody can say whose this is.
    LeaseAmbiguous,
    /// The plan is used up. Ask again after [`RecordError::retry_after`], or change the plan.
    UsageExceeded,
    /// The upstream has as many leases as it may. Nothing changed; ask again after [`RecordError::retry_after`].
    LeasesFull,
    /// The credentials are refused.
    Unauthorized,
    /// There is no answer of the upstream's: whether it took effect is unknown. The same call may be made again.
    Unavailable,
}

impl RecordError {
    /// What the caller has to do.
    #[must_use]
    pub fn kind(&self) -> RecordErrorKind {
        self.kind
    }

    /// The upstream's code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How long the upstream wants to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// An argument that breaks a rule.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let (kind, message) = (RecordErrorKind::Invalid, message.into());
        Self { kind, code: None, message, retry_after: None }
    }

    /// What the upstream says by its code.
    pub(super) fn coded(
        kind: RecordErrorKind,
        code: &str,
        message: Option<&str>,
        retry_after_ms: Option<u64>,
    ) -> Self {
        let message = message.unwrap_or("the upstream gave no words").to_owned();
        let retry_after = retry_after_ms.map(Duration::from_millis);
        Self { kind, code: Some(code.to_owned()), message, retry_after }
    }
}

impl From<Failure> for RecordError {
    fn from(failure: Failure) -> Self {
        let (kind, code, message, retry_after_ms) = match failure {
            Failure::Unavailable { why, retry_after_ms, .. } => {
                (RecordErrorKind::Unavailable, None, why, retry_after_ms)
            }
            Failure::Blocked { why } => (RecordErrorKind::Unauthorized, None, why, None),
            Failure::Refused { code, message } | Failure::BatchKeyRefused { code, message } => {
                (RecordErrorKind::Invalid, Some(code), message, None)
            }
            Failure::TooLarge => {
                let why = "the upstream says that the request is too large";
                (RecordErrorKind::Invalid, None, why.to_owned(), None)
            }
            Failure::InProgress { retry_after_ms } => {
                let why = "the same request is being worked on";
                (RecordErrorKind::Unavailable, None, why.to_owned(), retry_after_ms)
            }
            Failure::Misdirected { why }
            | Failure::ReplyTooLarge { why }
            | Failure::LineTooNarrow { why } => (RecordErrorKind::Unavailable, None, why, None),
            // A newer kind of failure proves nothing either.
            _ => (RecordErrorKind::Unavailable, None, "an unknown failure".to_owned(), None),
        };
        Self { kind, code, message, retry_after: retry_after_ms.map(Duration::from_millis) }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for RecordError {}
