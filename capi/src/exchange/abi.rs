//! The types of an exchange that C sees, field by field as in `include/onceward.h`. No behaviour here.
//!
//! All numbers are part of the interface: never change or reuse one, only add.

use crate::abi::Bytes;

/// Options of an exchange; `ow_exchange_options` in C. 0 in a field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExchangeOptions {
    /// Size of this struct as the caller knows it.
    pub struct_size: usize,
    /// Address of the upstream.
    pub upstream: Bytes,
    /// Name of the upstream, where two are at one address.
    pub upstream_name: Bytes,
    /// Number of the device, in the dialects that have one; that of the store if not given.
    pub device_id: Bytes,
    /// Scope whose events are sent; `default` if not given.
    pub scope: Bytes,
    /// Most bytes a second.
    pub bytes_per_second: u64,
    /// Seed of the times of waits; one of the store's own if 0.
    pub seed: u64,
    /// A [`Dialect`](crate::Dialect).
    pub dialect: u32,
    /// A [`KeyRule`](crate::KeyRule).
    pub key_rule: u32,
    /// Most events in a request.
    pub items_max: u32,
    /// Most requests on their way.
    pub in_flight_max: u32,
    /// 1: each event is attempted once; 0: for ever.
    pub is_once: u32,
    /// 1: the host can try the line without sending anything; 0: it cannot.
    pub can_probe: u32,
}

/// What the host is to do; `ow_work_kind` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum WorkKind {
    /// Send the request, and report.
    Send = 1,
    /// Open a connection, send nothing, and report.
    Probe = 2,
    /// Ask again at a time, or earlier after a report or a capture.
    Wait = 3,
    /// Ask again after the next report.
    Await = 4,
    /// Ask again after a capture.
    Idle = 5,
    /// The upstream refuses the credentials or the version.
    Blocked = 6,
}

/// Where the key of the terminal goes; `ow_key_place` in C.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum KeyPlace {
    /// Nowhere.
    Nowhere = 0,
    /// `Authorization: Bearer KEY`.
    Bearer = 1,
    /// The key alone, in the header that the work names.
    Header = 2,
}

/// A header of HTTP; `ow_header` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Its name.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// What the host is to do next; `ow_work` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Work {
    /// In: size of this struct as the caller knows it. Out: how much of it was filled.
    pub struct_size: usize,
    /// A [`WorkKind`].
    pub kind: u32,
    /// A [`KeyPlace`].
    pub key_place: u32,
    /// Number of the request.
    pub id: u64,
    /// When to ask again, by the host's clock.
    pub until_ms: u64,
    /// Method of the request.
    pub method: Bytes,
    /// Path of the request, below the address of the upstream.
    pub path: Bytes,
    /// Name of the header that the key goes into.
    pub key_header: Bytes,
    /// Body of the request.
    pub body: Bytes,
    /// Headers of the request.
    pub headers: *const Header,
    /// How many headers there are.
    pub header_count: usize,
}

/// An answer to a request; `ow_response` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Response {
    /// Size of this struct as the caller knows it.
    pub struct_size: usize,
    /// Headers of the answer.
    pub headers: *const Header,
    /// How many headers there are.
    pub header_count: usize,
    /// Body of the answer, whole.
    pub body: Bytes,
    /// Key that was sent, to be taken out of whatever is kept of the answer.
    pub key: Bytes,
    /// Status of the answer.
    pub status: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// What an exchange has done; `ow_report` in C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ReportCounts {
    /// In: size of this struct as the caller knows it. Out: how much of it was filled.
    pub struct_size: usize,
    /// Events sent, resends counted.
    pub attempted: u64,
    /// Events that took effect now.
    pub accepted: u64,
    /// Events that the upstream already had.
    pub duplicate: u64,
    /// Events that went to review.
    pub rejected: u64,
    /// Requests with events.
    pub batches: u64,
    /// Bytes of events sent.
    pub bytes: u64,
    /// Requests without an outcome.
    pub failures: u64,
    /// Events that wait in their lane behind one that waits for a person.
    pub behind: u64,
    /// Requests that are on their way.
    pub in_flight: u64,
    /// 1: the last attempt reached nobody.
    pub is_unreachable: u32,
    /// 1: the credentials or the version are refused.
    pub is_blocked: u32,
    /// 1: the disk was full for what came of it.
    pub is_full: u32,
    /// 1: nothing that was sent was taken: the address or the dialect is wrong.
    pub is_misconfigured: u32,
}
