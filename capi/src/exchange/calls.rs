//! The functions of an exchange that C calls. Each checks its pointers, borrows them, and answers a status.

use std::ptr;
use std::time::Duration;

use onceward_uplink::RequestId;

use super::abi::{ExchangeOptions, ReportCounts, Response, Work};
use super::{ExchangeHandle, request};
use crate::abi::{Bytes, Status};
use crate::borrow::{self, aligned};
use crate::failure::{Failure, guard};
use crate::handle::Handle;
use crate::request::is_one;

/// Begins to send the events of a scope.
///
/// # Safety
///
/// `store` is null or an open handle; `options` is null or readable as its `struct_size` says, and so is what it
/// points to; `exchange` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_start(
    store: *const Handle,
    options: *const ExchangeOptions,
    exchange: *mut *mut ExchangeHandle,
) -> Status {
    guard(|| {
        aligned(exchange, "exchange")?;
        // SAFETY: not null, aligned, and writable by contract.
        unsafe { exchange.write(ptr::null_mut()) };
        // SAFETY: null or a handle, by this function's contract.
        let store = unsafe { crate::handle(store) }?;
        // SAFETY: by this function's contract.
        let options = unsafe { borrow::read(options) }?;
        let started = store.with(|store| {
            // SAFETY: what the options point to is readable, by this function's contract.
            let exchange = unsafe { request::start(store, &options) }?;
            Ok((store.clone(), exchange))
        });
        let (of, started) = started?;
        let started = ExchangeHandle::new(of, started, store.panicked());
        // SAFETY: as above.
        unsafe { exchange.write(Box::into_raw(Box::new(started))) };
        Ok(())
    })
}

/// Returns what the host is to do next.
///
/// # Safety
///
/// `exchange` is null or a handle; `work` is null, or readable for its `struct_size` and writable as that says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_next(
    exchange: *const ExchangeHandle,
    now_ms: u64,
    work: *mut Work,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let exchange = unsafe { handle(exchange) }?;
        // SAFETY: by this function's contract. A request must not be given out to nobody.
        unsafe { borrow::check(work) }?;
        let next = exchange.with(|running| running.next(now_ms))?;
        // SAFETY: by this function's contract.
        unsafe { borrow::fill(work, next) }
    })
}

/// Applies the answer to a request.
///
/// # Safety
///
/// `exchange` is null or a handle; `response` is null or readable as its `struct_size` says, and so is what it points
/// to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_on_response(
    exchange: *const ExchangeHandle,
    id: u64,
    response: *const Response,
    now_ms: u64,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let exchange = unsafe { handle(exchange) }?;
        // SAFETY: by this function's contract.
        let response = unsafe { borrow::read(response) }?;
        exchange.with(|running| {
            let given_ms = running.sent.get(&id).map_or(now_ms, |sent| sent.at_ms);
            let round_trip = Duration::from_millis(now_ms.saturating_sub(given_ms));
            // SAFETY: what the answer points to is readable, by this function's contract.
            let response = unsafe { request::response(&response, round_trip) }?;
            running.sent.remove(&id);
            Ok(running.exchange.on_response(RequestId::from_u64(id), &response, now_ms)?)
        })
    })
}

/// Applies that a request has no answer.
///
/// # Safety
///
/// `exchange` is null or a handle; `why` is readable as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_on_no_answer(
    exchange: *const ExchangeHandle,
    id: u64,
    why: Bytes,
    now_ms: u64,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let exchange = unsafe { handle(exchange) }?;
        // SAFETY: by this function's contract.
        let why = unsafe { borrow::text(why, "why") }?.unwrap_or("no answer");
        exchange.with(|running| {
            // The words may be some of the request's: it goes when they were read.
            let _request = running.sent.remove(&id);
            Ok(running.exchange.on_no_answer(RequestId::from_u64(id), why, now_ms)?)
        })
    })
}

/// Applies whether a probe reached the upstream.
///
/// # Safety
///
/// `exchange` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_on_probe(
    exchange: *const ExchangeHandle,
    is_reached: u32,
    now_ms: u64,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let exchange = unsafe { handle(exchange) }?;
        let is_reached = is_one(is_reached, "is_reached")?;
        exchange.with(|running| {
            running.exchange.on_probe(is_reached, now_ms);
            Ok(())
        })
    })
}

/// Applies that the line is back.
///
/// # Safety
///
/// `exchange` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_on_online(exchange: *const ExchangeHandle) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        unsafe { handle(exchange) }?.with(|running| {
            running.exchange.on_online();
            Ok(())
        })
    })
}

/// Applies that the host has other credentials.
///
/// # Safety
///
/// `exchange` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_on_new_key(exchange: *const ExchangeHandle) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        unsafe { handle(exchange) }?.with(|running| {
            running.exchange.on_new_key();
            Ok(())
        })
    })
}

/// Counts what was done so far.
///
/// # Safety
///
/// `exchange` is null or a handle; `report` is null, or readable for its `struct_size` and writable as that says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_report(
    exchange: *const ExchangeHandle,
    report: *mut ReportCounts,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let counts = unsafe { handle(exchange) }?.with(|running| Ok(running.report()))?;
        // SAFETY: by this function's contract.
        unsafe { borrow::fill(report, counts) }
    })
}

/// Stops it. The handle stays until [`ow_exchange_free`].
///
/// # Safety
///
/// `exchange` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_stop(exchange: *const ExchangeHandle) -> Status {
    // SAFETY: null or a handle, by this function's contract.
    guard(|| unsafe { handle(exchange) }?.stop())
}

/// Gives a handle back.
///
/// # Safety
///
/// `exchange` is null or a handle that no other call uses, now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_exchange_free(exchange: *mut ExchangeHandle) {
    if exchange.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: not null, made by `Box::into_raw` in `ow_exchange_start`, and nobody else's.
        drop(unsafe { Box::from_raw(exchange) });
        Ok(())
    });
}

/// Borrows a handle.
///
/// # Safety
///
/// `exchange` is null, or a handle that is not freed during `'a`.
unsafe fn handle<'a>(exchange: *const ExchangeHandle) -> Result<&'a ExchangeHandle, Failure> {
    aligned(exchange, "exchange")?;
    // SAFETY: not null, and a handle by this function's contract; it is shared, never exclusive.
    Ok(unsafe { &*exchange })
}
