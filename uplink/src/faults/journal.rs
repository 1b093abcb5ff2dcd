//! What a proxy saw: counts, and the last exchanges. No I/O here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::fault::Fault;
use super::injection::Injection;

/// Counts since the proxy started.
///
/// ```
/// use onceward_uplink::faults::{Counts, Fault};
///
/// let counts = Counts::default();
/// assert_eq!((counts.requests, counts.of(Fault::LostReply)), (0, 0));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests whose head has come.
    pub requests: u64,
    /// How many of them met which fault; those that met none are under [`Fault::Pass`].
    pub by_fault: BTreeMap<Fault, u64>,
    /// Bytes that were sent to the upstream.
    pub bytes_up: u64,
    /// Bytes that were sent to clients.
    pub bytes_down: u64,
}

impl Counts {
    /// How many requests met this fault.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.by_fault.get(&fault).copied().unwrap_or(0)
    }
}

/// One request and what became of it. Shown, it is one line.
///
/// ```
/// use onceward_uplink::faults::Exchange;
///
/// fn report(exchange: &Exchange) {
///     // 3 POST /v1/sync/batch status_503 retry_after=2 -> 503
///     eprintln!("{exchange}");
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// The number of the request, from 1.
    pub number: u64,
    /// Its method and its target. From outside: escape it before a person sees it.
    pub request: String,
    /// What it met.
    pub injection: Injection,
    /// The status that the client is sent; `None` if it is sent none.
    pub status: Option<u16>,
    /// What did not go as the fault has it: the upstream cannot be reached, or its reply has no items.
    pub note: Option<String>,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} -> ", self.number, self.request, self.injection)?;
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("no reply")?,
        }
        self.note.as_ref().map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

/// The counts and the last exchanges.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Requests whose head has come.
    requests: u64,
    /// How many met which fault.
    by_fault: BTreeMap<Fault, u64>,
    /// The last exchanges, the oldest first.
    last: VecDeque<Exchange>,
}

impl Journal {
    /// Numbers a request.
    pub(super) fn begin(&mut self) -> u64 {
        self.requests = self.requests.saturating_add(1);
        self.requests
    }

    /// Counts a fault.
    pub(super) fn count(&mut self, fault: Fault) {
        let count = self.by_fault.entry(fault).or_default();
        *count = count.saturating_add(1);
    }

    /// Keeps an exchange, and forgets the oldest where there are many.
    pub(super) fn keep(&mut self, exchange: Exchange) {
        if self.last.len() >= LAST_MAX {
            self.last.pop_front();
        }
        self.last.push_back(exchange);
    }

    /// The counts, with the bytes that others counted.
    pub(super) fn counts(&self, bytes_up: u64, bytes_down: u64) -> Counts {
        Counts { requests: self.requests, by_fault: self.by_fault.clone(), bytes_up, bytes_down }
    }

    /// The last exchanges, the oldest first.
    pub(super) fn last(&self) -> Vec<Exchange> {
        self.last.iter().cloned().collect()
    }
}

/// How many exchanges are kept.
const LAST_MAX: usize = 1_000;
