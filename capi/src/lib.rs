//! The C interface of Onceward: `include/onceward.h` is its documentation, this is the other side.
//!
//! Every function checks its pointers and texts, borrows them for the call, calls the engine, and
//! answers a status; a panic becomes one too. What is promised of the arguments, and what each
//! answer means, is said once, in the header; a test holds the two to the same functions and
//! numbers.

mod abi;
mod borrow;
mod exchange;
mod failure;
mod handle;
mod request;
mod sendable;

use std::ffi::c_char;
use std::ptr;

use onceward::Store;

pub use abi::{
    Bytes, Counts, Dialect, Event, KeyRule, OPEN_EXISTING, Options, State, Status, Verdict,
};
use borrow::aligned;
pub use exchange::{
    ExchangeHandle, ExchangeOptions, Header, KeyPlace, ReportCounts, Response, Work, WorkKind,
    ow_exchange_free, ow_exchange_next, ow_exchange_on_new_key, ow_exchange_on_no_answer,
    ow_exchange_on_online, ow_exchange_on_probe, ow_exchange_on_response, ow_exchange_report,
    ow_exchange_start, ow_exchange_stop,
};
use failure::{Failure, guard};
pub use handle::Handle;

/// The library's version, such as `0.1.0`. Never null, never freed.
#[unsafe(no_mangle)]
pub extern "C" fn ow_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// Returns what went wrong in the last call on this thread that answered a status; empty if nothing did.
///
/// Borrowed until the next such call on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn ow_last_error_message() -> *const c_char {
    failure::last_message()
}

/// The stable name of what went wrong, such as `KEY_INVALID`; borrowed as the message is.
#[unsafe(no_mangle)]
pub extern "C" fn ow_last_error_code() -> *const c_char {
    failure::last_code()
}

/// 1 if the failed capture may yet be found after reopening, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn ow_last_error_in_doubt() -> i32 {
    i32::from(failure::last_in_doubt())
}

/// Opens a store, and makes it if it is missing.
///
/// # Safety
///
/// `path` is readable as it says; `options` is null or readable as its `struct_size` says; `store`
/// is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_store_open(
    path: Bytes,
    options: *const Options,
    store: *mut *mut Handle,
) -> Status {
    guard(|| {
        aligned(store, "store")?;
        // SAFETY: not null, aligned, and writable by contract.
        unsafe { store.write(ptr::null_mut()) };
        // SAFETY: by this function's contract.
        let path = unsafe { borrow::text(path, "path") }?.ok_or_else(|| Failure::null("path"))?;
        let config = if options.is_null() {
            onceward::Config::new()
        } else {
            // SAFETY: by this function's contract.
            request::config(&unsafe { borrow::read(options) }?)?
        };
        let opened = Store::open(request::directory(path)?, config)?;
        let handle = Box::into_raw(Box::new(Handle::new(opened)));
        // SAFETY: as above.
        unsafe { store.write(handle) };
        Ok(())
    })
}

/// Stores an event unless its key was seen, and answers once it is durable.
///
/// # Safety
///
/// `store` is null or an open handle; `event` is null or readable as its `struct_size` says, and so
/// is what it points to; `verdict` is null or writable, and so is `lsn`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_capture(
    store: *const Handle,
    event: *const Event,
    verdict: *mut Verdict,
    lsn: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let store = unsafe { handle(store) }?;
        aligned(verdict, "verdict")?;
        optional(lsn, "lsn")?;
        // SAFETY: by this function's contract.
        let event = unsafe { borrow::read(event) }?;
        // SAFETY: what the event points to is readable, by this function's contract.
        let event = unsafe { request::event(&event) }?;
        let answer = store.with(|store| Ok(store.capture(&event)?))?;
        // SAFETY: not null, aligned, and writable by contract.
        unsafe { verdict.write(answer.into()) };
        // SAFETY: null, or aligned and writable by contract.
        unsafe { write_if_wanted(lsn, answer.lsn().get()) };
        Ok(())
    })
}

/// Returns how far the event of a key is, also after its payload is gone.
///
/// # Safety
///
/// `store` is null or an open handle; `scope` and `key` are readable as they say; `state` is null
/// or writable, and so is `lsn`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_outcome(
    store: *const Handle,
    scope: Bytes,
    key: Bytes,
    state: *mut State,
    lsn: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let store = unsafe { handle(store) }?;
        aligned(state, "state")?;
        optional(lsn, "lsn")?;
        // SAFETY: by this function's contract.
        let (scope, key) = unsafe { (request::scope(scope)?, request::key(key)?) };
        let outcome = store.with(|store| Ok(store.outcome(&scope, &key)?))?;
        // SAFETY: not null, aligned, and writable by contract.
        unsafe { state.write(outcome.state.into()) };
        // SAFETY: null, or aligned and writable by contract.
        unsafe { write_if_wanted(lsn, outcome.lsn.map_or(0, onceward::Lsn::get)) };
        Ok(())
    })
}

/// Counts a store's events and bytes.
///
/// # Safety
///
/// `store` is null or an open handle; `counts` is null, or readable for its `struct_size` and
/// writable as that says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_store_status(store: *const Handle, counts: *mut Counts) -> Status {
    guard(|| {
        // SAFETY: null or a handle, by this function's contract.
        let store = unsafe { handle(store) }?;
        let status = store.with(|store| Ok(store.status()))?;
        let known = Counts {
            struct_size: size_of::<Counts>(),
            pending: status.pending,
            in_flight: status.in_flight,
            settled: status.settled,
            in_review: status.in_review,
            bytes: status.bytes,
            oldest_pending_ms: u64::try_from(status.oldest_pending.as_millis()).unwrap_or(u64::MAX),
            amount_pending_ten_thousandths: status.amount_pending.ten_thousandths(),
            keys: status.keys,
            damaged_ranges: status.damaged_ranges,
        };
        // SAFETY: by this function's contract.
        unsafe { borrow::fill(counts, known) }
    })
}

/// Closes a store in order, after the calls that run. The handle stays until [`ow_store_free`].
///
/// # Safety
///
/// `store` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_store_close(store: *const Handle) -> Status {
    // SAFETY: null or a handle, by this function's contract.
    guard(|| unsafe { handle(store) }?.close())
}

/// Gives a handle back. A store that was not closed is left as by a crash: nothing durable is lost.
///
/// # Safety
///
/// `store` is null or a handle that no other call uses, now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ow_store_free(store: *mut Handle) {
    if store.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: not null, made by `Box::into_raw` in `ow_store_open`, and nobody else's.
        drop(unsafe { Box::from_raw(store) });
        Ok(())
    });
}

/// Borrows a handle.
///
/// # Safety
///
/// `store` is null, or a handle that is not freed during `'a`.
unsafe fn handle<'a>(store: *const Handle) -> Result<&'a Handle, Failure> {
    aligned(store, "store")?;
    // SAFETY: not null, and a handle by this function's contract; it is shared, never exclusive.
    Ok(unsafe { &*store })
}

/// Refuses an optional pointer that cannot be what it is said to be.
fn optional<T>(at: *const T, name: &str) -> Result<(), Failure> {
    if at.is_null() { Ok(()) } else { aligned(at, name) }
}

/// Writes an answer that the caller may not want.
///
/// # Safety
///
/// `to` is null, or aligned and writable.
unsafe fn write_if_wanted(to: *mut u64, value: u64) {
    if !to.is_null() {
        // SAFETY: not null, and by this function's contract.
        unsafe { to.write(value) };
    }
}

/// The version with the zero byte that ends it in C.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
