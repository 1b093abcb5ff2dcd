//! An exchange that C drives with its own HTTP client.
//!
//! | file      | what                                                          |
//! |-----------|---------------------------------------------------------------|
//! | `abi`     | the types that C sees                                         |
//! | `calls`   | the functions that C calls                                    |
//! | `request` | the requests of C, turned into checked values                 |
//! | `mod`     | the handle: an exchange that may be stopped while it is held  |
//!
//! A request that is on its way is kept here, so that C reads it where it is until its answer was reported.

mod abi;
mod calls;
mod request;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use onceward::{ErrorKind, Store};
use onceward_uplink as uplink;
use onceward_uplink::{Exchange, RequestId};

pub use abi::{ExchangeOptions, Header, KeyPlace, ReportCounts, Response, Work, WorkKind};
pub use calls::{
    ow_exchange_free, ow_exchange_next, ow_exchange_on_new_key, ow_exchange_on_no_answer,
    ow_exchange_on_online, ow_exchange_on_probe, ow_exchange_on_response, ow_exchange_report,
    ow_exchange_start, ow_exchange_stop,
};

use crate::abi::{Bytes, Status};
use crate::failure::Failure;
use crate::handle;

/// An exchange; `ow_exchange` in C, which sees nothing of it.
///
/// Calls from several threads go one after the other.
#[derive(Debug)]
pub struct ExchangeHandle {
    /// `None` once stopped.
    running: Mutex<Option<Running>>,
    /// A call on the store or on one of its exchanges panicked.
    panicked: Arc<AtomicBool>,
    /// The process that started it.
    process: u32,
}

/// An exchange that is not stopped.
#[derive(Debug)]
struct Running {
    exchange: Exchange,
    store: Store,
    /// What C reads of requests that are on their way.
    sent: BTreeMap<u64, Sent>,
}

/// A request as C reads it.
#[derive(Debug)]
struct Sent {
    /// Owns the texts that `headers` points to.
    request: uplink::Request,
    headers: Vec<Header>,
    /// When it was given out, by the clock of the host.
    at_ms: u64,
}

impl ExchangeHandle {
    /// Wraps an exchange of this store.
    fn new(store: Store, exchange: Exchange, panicked: Arc<AtomicBool>) -> Self {
        let running = Running { exchange, store, sent: BTreeMap::new() };
        Self { running: Mutex::new(Some(running)), panicked, process: std::process::id() }
    }

    /// Runs `work` on the exchange.
    ///
    /// After a panic the store and its exchanges refuse every call: what they have in memory may be half changed. What
    /// C reads of requests stays until the exchange is stopped.
    fn with<T>(&self, work: impl FnOnce(&mut Running) -> Result<T, Failure>) -> Result<T, Failure> {
        handle::refuse_if_forked(self.process)?;
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = slot.as_mut() else { return Err(stopped()) };
        handle::refuse_if_panicked(&self.panicked)?;
        catch_unwind(AssertUnwindSafe(|| work(running))).unwrap_or_else(|said| {
            self.panicked.store(true, Ordering::Release);
            resume_unwind(said)
        })
    }

    /// Stops it: what is on its way is abandoned.
    fn stop(&self) -> Result<(), Failure> {
        handle::refuse_if_forked(self.process)?;
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut running) = slot.take() else { return Err(stopped()) };
        handle::refuse_if_panicked(&self.panicked)?;
        running.exchange.on_abandoned();
        Ok(())
    }
}

impl Running {
    /// What is next, as C reads it.
    fn next(&mut self, now_ms: u64) -> Result<Work, Failure> {
        let work = match self.exchange.next(now_ms)? {
            uplink::Work::Send(id, request) => return Ok(self.keep(id, request, now_ms)),
            uplink::Work::Probe => Work::of(WorkKind::Probe),
            uplink::Work::Wait { until_ms } => Work { until_ms, ..Work::of(WorkKind::Wait) },
            uplink::Work::Await => Work::of(WorkKind::Await),
            uplink::Work::Blocked => Work::of(WorkKind::Blocked),
            // Work that this version does not know asks for nothing that a host could do.
            _ => Work::of(WorkKind::Idle),
        };
        if work.kind != WorkKind::Probe as u32 && self.exchange.in_flight() == 0 {
            self.keep_house()?;
        }
        Ok(work)
    }

    /// Keeps a request for C to read.
    fn keep(&mut self, id: RequestId, request: uplink::Request, now_ms: u64) -> Work {
        let is_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        let typed = request.method != uplink::Method::Get && !request.headers.iter().any(is_type);
        let mut headers: Vec<Header> = request
            .headers
            .iter()
            .map(|(name, value)| Header { name: bytes(name), value: bytes(value) })
            .collect();
        if typed {
            headers.push(Header { name: bytes("Content-Type"), value: bytes("application/json") });
        }
        let sent = Sent { request, headers, at_ms: now_ms };
        let work = sent.as_work(id);
        self.sent.insert(id.get(), sent);
        work
    }

    /// Does what the store wants done now and then.
    fn keep_house(&self) -> Result<(), Failure> {
        match self.store.tick() {
            Err(full) if full.kind() == ErrorKind::Full => Ok(()),
            kept => Ok(kept?),
        }
    }

    /// What was done so far.
    fn report(&self) -> ReportCounts {
        let report = self.exchange.report();
        ReportCounts {
            struct_size: size_of::<ReportCounts>(),
            attempted: report.attempted,
            accepted: report.accepted,
            duplicate: report.duplicate,
            rejected: report.rejected,
            batches: report.batches,
            bytes: report.bytes,
            failures: report.failures,
            behind: report.behind,
            in_flight: u64::try_from(self.exchange.in_flight()).unwrap_or(u64::MAX),
            is_unreachable: u32::from(report.unreachable),
            is_blocked: u32::from(report.blocked),
            is_full: u32::from(report.is_full),
            is_misconfigured: u32::from(report.misconfigured.is_some()),
        }
    }
}

impl Sent {
    /// What C is told of it. The texts stay where they are, wherever this is moved.
    fn as_work(&self, id: RequestId) -> Work {
        let (key_place, key_header) = match &self.request.key {
            uplink::KeyPlace::Bearer => (KeyPlace::Bearer, NOTHING),
            uplink::KeyPlace::Header(name) => (KeyPlace::Header, bytes(name)),
            _ => (KeyPlace::Nowhere, NOTHING),
        };
        Work {
            id: id.get(),
            key_place: key_place as u32,
            method: bytes(self.request.method.as_str()),
            path: bytes(&self.request.path),
            key_header,
            body: bytes(&self.request.body),
            headers: self.headers.as_ptr(),
            header_count: self.headers.len(),
            ..Work::of(WorkKind::Send)
        }
    }
}

impl Work {
    /// Work of this kind, of which there is nothing more to say.
    fn of(kind: WorkKind) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            kind: kind as u32,
            key_place: KeyPlace::Nowhere as u32,
            id: 0,
            until_ms: 0,
            method: NOTHING,
            path: NOTHING,
            key_header: NOTHING,
            body: NOTHING,
            headers: ptr::null(),
            header_count: 0,
        }
    }
}

/// Lends bytes to C.
fn bytes(of: impl AsRef<[u8]>) -> Bytes {
    let of = of.as_ref();
    Bytes { start: of.as_ptr().cast(), size_bytes: of.len() }
}

/// The answer on an exchange that was stopped.
fn stopped() -> Failure {
    Failure::invalid("CLOSED", "exchange: was stopped")
}

impl From<uplink::Error> for Failure {
    fn from(error: uplink::Error) -> Self {
        match (error.store(), error.kind()) {
            (Some(store), _) => Self::from(store),
            (None, uplink::ErrorKind::Invalid) => {
                Self::invalid("OPTION_INVALID", error.to_string())
            }
            (None, _) => Self::new(Status::Other, "UPLINK", error.to_string()),
        }
    }
}

/// Not given.
const NOTHING: Bytes = Bytes { start: ptr::null(), size_bytes: 0 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::guard;
    use onceward::sync::{Effort, LineOptions, Options, Upstream};
    use onceward::{Config, Event, Key, Payload, Scope};

    /// An exchange of a store with an event.
    fn started(dir: &std::path::Path) -> ExchangeHandle {
        let store = Store::open(dir, Config::new()).unwrap();
        let payload = Payload::json("{}").unwrap();
        store.capture(&Event::new(Scope::default(), Key::new("k").unwrap(), payload)).unwrap();
        let route = uplink::Route::new(uplink::Wede::new("till"), Options::new(Scope::default()))
            .to(Upstream::new("http://hub", "wede").unwrap());
        let exchange = Exchange::start(&store, LineOptions::new(), Effort::Forever, [route]);
        ExchangeHandle::new(store, exchange.unwrap(), Arc::default())
    }

    #[test]
    fn after_a_panic_it_refuses_until_it_is_stopped_and_the_store_can_be_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let handle = started(dir.path());
        let ask = || guard(|| handle.with(|running| running.next(0)).map(drop));
        assert_eq!(ask(), Status::Ok, "control: before the panic");
        assert_eq!(guard(|| handle.with(|_| -> Result<(), _> { panic!("x") })), Status::Panic);
        assert_eq!(ask(), Status::Poisoned);
        assert_eq!(guard(|| handle.stop()), Status::Poisoned);
        assert_eq!(guard(|| handle.stop()), Status::Invalid, "stopped by the first");
        assert_eq!(ask(), Status::Invalid);
        assert!(Store::open(dir.path(), Config::new()).is_ok());
    }

    #[test]
    fn a_request_is_kept_and_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let handle = started(dir.path());
        let kept = handle.with(|running| {
            let work = running.next(7)?;
            let sent = running.sent.get(&work.id).expect("it is kept");
            assert_eq!(sent.as_work(RequestId::from_u64(work.id)).body.start, work.body.start);
            assert_eq!((sent.at_ms, sent.headers.len()), (7, work.header_count));
            Ok(())
        });
        assert!(kept.is_ok());
    }
}
