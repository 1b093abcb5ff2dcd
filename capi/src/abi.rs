//! The types that C sees, field by field as in `include/onceward.h`. No behaviour here.
//!
//! All numbers are part of the interface: never change or reuse one, only add.

use std::ffi::c_void;

/// The answer of a call; `ow_status` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Status {
    /// The call worked.
    Ok = 0,
    /// A pointer that must not be null is null.
    Null = 1,
    /// Text is not UTF-8.
    Utf8 = 2,
    /// The request breaks a documented limit; a retry fails the same way.
    Invalid = 3,
    /// No such store exists.
    NotFound = 4,
    /// The disk is full; nothing was stored.
    Full = 5,
    /// Stored bytes are not what was written.
    Corrupt = 6,
    /// Nothing more can be done with this handle: close and reopen.
    Poisoned = 7,
    /// Somebody else does this work.
    Fenced = 8,
    /// Another process, or another handle, has the store open.
    Locked = 9,
    /// The files, or the request, are of a newer version than this library.
    Unsupported = 10,
    /// The operating system refused.
    Io = 11,
    /// A bug in this library; the handle refuses everything from now on.
    Panic = 12,
    /// A failure of a kind that this interface does not know yet.
    Other = 13,
}

/// The answer to a capture; `ow_verdict` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Verdict {
    /// The event is stored and durable.
    Fresh = 1,
    /// The key was captured before with the same content; nothing was written.
    Duplicate = 2,
    /// The key was captured before with other content; nothing was written.
    Conflict = 3,
}

/// How far an event is; `ow_state` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum State {
    /// The key is not remembered.
    Unknown = 0,
    /// The event is stored and to be sent.
    Pending = 1,
    /// The event was sent and is not answered.
    InFlight = 2,
    /// The upstream accepted the event.
    Accepted = 3,
    /// The upstream already had the event.
    Duplicate = 4,
    /// The event was refused for good, and a person resolved it.
    Rejected = 5,
    /// The event was refused for good and waits for a person.
    InReview = 6,
    /// Whether the upstream has the event cannot be known; it waits for a person.
    Uncertain = 7,
    /// The event was too old to be sent.
    Expired = 8,
    /// A state that this interface does not know yet.
    Other = 9,
    /// The key is taken, and nothing of the event is left: nobody knows what became of it.
    OutcomeUnknown = 10,
}

/// Borrowed bytes; `ow_bytes` in C. A null `start` with a size of 0 means "not given".
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Bytes {
    /// The first byte, or null.
    pub start: *const c_void,
    /// How many bytes there are.
    pub size_bytes: usize,
}

/// Options of opening; `ow_options` in C. 0 in a field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Options {
    /// Size of this struct as the caller knows it.
    pub struct_size: usize,
    /// Size of a new log segment.
    pub segment_bytes: u64,
    /// How long a key is remembered at least after its event is settled.
    pub window_ms: u64,
    /// Largest payload.
    pub payload_bytes_max: u32,
    /// [`OPEN_EXISTING`], or 0.
    pub flags: u32,
    /// A [`Dialect`].
    pub dialect: u32,
    /// A [`KeyRule`].
    pub key_rule: u32,
}

/// The dialect that the upstream speaks, so that capture refuses what it can never carry; `ow_dialect` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Dialect {
    /// No dialect is given: nothing is refused for it.
    None = 0,
    /// `POST /api/v1/transactions/sync`.
    Forloy = 1,
    /// `POST /v1/sync/batch`.
    Wede = 2,
}

/// How keys of different scopes are spelled for the upstream; `ow_key_rule` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum KeyRule {
    /// The upstream gets events of scope `default` only.
    None = 0,
    /// The upstream gets keys of other scopes as `~scope/key`.
    ScopePrefix = 1,
}

/// In [`Options::flags`]: a missing store is not made.
pub const OPEN_EXISTING: u32 = 1;

/// An event to be captured; `ow_event` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event {
    /// Size of this struct as the caller knows it.
    pub struct_size: usize,
    /// Scope; `default` if not given.
    pub scope: Bytes,
    /// Idempotency key.
    pub key: Bytes,
    /// Kind; `event` if not given.
    pub kind: Bytes,
    /// Payload, as JSON text or any bytes.
    pub payload: Bytes,
    /// Amount as decimal text; none if not given.
    pub amount: Bytes,
    /// Lane; none if not given.
    pub lane: Bytes,
    /// When it happened, Unix milliseconds; null means the moment of the capture.
    pub captured_at_ms: *const i64,
    /// 1: the payload is JSON text; 0: bytes.
    pub payload_is_json: u32,
    /// 1: may be dropped to make room; 0: never.
    pub is_evictable: u32,
}

/// The counts of a store's events; `ow_counts` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Counts {
    /// In: size of this struct as the caller knows it. Out: how much of it was filled.
    pub struct_size: usize,
    /// Events that wait to be sent.
    pub pending: u64,
    /// Events that were sent and are not answered.
    pub in_flight: u64,
    /// Events with a final answer whose key is remembered.
    pub settled: u64,
    /// Events that wait for a person.
    pub in_review: u64,
    /// Bytes of the log on disk.
    pub bytes: u64,
    /// Age of the oldest event that is not settled; 0 if there is none.
    pub oldest_pending_ms: u64,
    /// Sum of the amounts that are not settled, in ten-thousandths.
    pub amount_pending_ten_thousandths: i64,
    /// Keys that are remembered.
    pub keys: u64,
    /// Damaged ranges that opening found.
    pub damaged_ranges: u64,
}

impl From<onceward::ErrorKind> for Status {
    fn from(kind: onceward::ErrorKind) -> Self {
        use onceward::ErrorKind;
        match kind {
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Full => Self::Full,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Poisoned => Self::Poisoned,
            ErrorKind::Fenced => Self::Fenced,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Io => Self::Io,
            _ => Self::Other,
        }
    }
}

impl From<onceward::Verdict> for Verdict {
    fn from(verdict: onceward::Verdict) -> Self {
        match verdict {
            onceward::Verdict::Fresh { .. } => Self::Fresh,
            onceward::Verdict::Duplicate { .. } => Self::Duplicate,
            // Whatever else an engine may answer is nothing that a host may take for stored.
            _ => Self::Conflict,
        }
    }
}

impl From<onceward::State> for State {
    fn from(state: onceward::State) -> Self {
        use onceward::State as Known;
        match state {
            Known::Unknown => Self::Unknown,
            Known::Pending => Self::Pending,
            Known::InFlight => Self::InFlight,
            Known::Accepted => Self::Accepted,
            Known::Duplicate => Self::Duplicate,
            Known::Rejected => Self::Rejected,
            Known::InReview => Self::InReview,
            Known::Uncertain => Self::Uncertain,
            Known::Expired => Self::Expired,
            Known::OutcomeUnknown => Self::OutcomeUnknown,
            _ => Self::Other,
        }
    }
}
