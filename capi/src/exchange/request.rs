//! The options and answers of C, turned into checked values. Owns nothing of the caller's.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use onceward::Store;
use onceward::sync::{self, Effort, LineOptions};
use onceward_uplink::{self as uplink, Exchange, Forloy, Line, Route, Secret, Wede};

use super::abi::{ExchangeOptions, Header, Response};
use crate::abi::{Bytes, Dialect, KeyRule, Status};
use crate::borrow::{array, bytes, text, utf8};
use crate::failure::Failure;
use crate::request::{is_one, scope};
use crate::sendable::{DIALECTS, KEY_RULES, known};

/// Starts an exchange of this store.
///
/// # Safety
///
/// What `from` points to is readable as it says.
pub(super) unsafe fn start(store: &Store, from: &ExchangeOptions) -> Result<Exchange, Failure> {
    // SAFETY: by this function's contract.
    let (scope, address) = unsafe { (scope(from.scope)?, text(from.upstream, "upstream")?) };
    let address = address.ok_or_else(|| Failure::null("upstream"))?;
    // SAFETY: by this function's contract.
    let (name, device) =
        unsafe { (text(from.upstream_name, "upstream_name")?, text(from.device_id, "device_id")?) };
    let dialect: Arc<dyn uplink::Dialect> =
        match known("dialect", from.dialect, &DIALECTS, |found| found as u32)? {
            Dialect::None => {
                let message = "dialect: an exchange needs one";
                return Err(Failure::invalid("OPTION_INVALID", message));
            }
            Dialect::Forloy => Arc::new(Forloy::new()),
            Dialect::Wede => {
                let device = device.map_or_else(|| store.id().to_string(), ToOwned::to_owned);
                Arc::new(Wede::new(device))
            }
        };
    let mut upstream = Line::upstream_of(address, dialect.name())?;
    if let Some(name) = name {
        upstream = upstream.named(name)?;
    }
    let seed = seed(store, from.seed);
    let mut options = sync::Options::new(scope).with_seed(seed).with_upstream(upstream);
    if let Some(count) = given(from.items_max) {
        options = options.with_items_max(count.min(dialect.items_max()));
    }
    match known("key_rule", from.key_rule, &KEY_RULES, |found| found as u32)? {
        KeyRule::None => {}
        KeyRule::ScopePrefix => options = options.with_keys(sync::KeyRule::ScopePrefix),
    }
    let mut line = LineOptions::new()
        .with_seed(seed)
        .with_probes(is_one(from.can_probe, "can_probe")?)
        .with_bytes_per_second(Some(from.bytes_per_second).filter(|rate| *rate != 0));
    if let Some(count) = given(from.in_flight_max) {
        line = line.with_in_flight(count);
        options = options.with_window(count);
    }
    let is_once = is_one(from.is_once, "is_once")?;
    let effort = if is_once { Effort::Once } else { Effort::Forever };
    Ok(Exchange::start(store, line, effort, [Route::shared(dialect, options)])?)
}

/// The answer, which came `round_trip` after its request was given out.
///
/// # Safety
///
/// What `from` points to is readable as it says.
pub(super) unsafe fn response(
    from: &Response,
    round_trip: Duration,
) -> Result<uplink::Response, Failure> {
    let status = u16::try_from(from.status).ok().filter(|status| (100..=999).contains(status));
    let status = status.ok_or_else(|| {
        let message = format!("status: {} is none of HTTP's", from.status);
        Failure::invalid("STATUS_INVALID", message)
    })?;
    if from.reserved != 0 {
        let message = "response: uses a field that this version does not have";
        return Err(Failure::new(Status::Unsupported, "STRUCT_TOO_NEW", message));
    }
    // SAFETY: by this function's contract.
    let given = unsafe { array::<Header>(from.headers, from.header_count, "headers") }?;
    let mut headers = Vec::with_capacity(given.len());
    for header in given {
        // SAFETY: by this function's contract.
        if let Some(pair) = unsafe { pair(header) }? {
            headers.push(pair);
        }
    }
    // SAFETY: by this function's contract.
    let (body, key) = unsafe { (bytes(from.body, "body")?, text(from.key, "key")?) };
    let body = body.unwrap_or_default();
    let response = uplink::Response::from_headers(status, headers, round_trip, body);
    Ok(response.hiding(key.map(Secret::new)))
}

/// The name and the value of a header; `None`: it is no text, and none that counts.
///
/// # Safety
///
/// Both are readable as they say.
unsafe fn pair(header: &Header) -> Result<Option<(&str, &str)>, Failure> {
    let of = |part: Bytes| -> Result<Option<&str>, Failure> {
        // SAFETY: by this function's contract.
        let part = unsafe { bytes(part, "header") }?.unwrap_or_default();
        Ok(utf8(part, "header").ok())
    };
    let (name, value) = (of(header.name)?, of(header.value)?);
    Ok(name.zip(value))
}

/// A count, where one is given.
fn given(count: u32) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| *count != 0)
}

/// A number that differs between stores, unless the host gives one.
fn seed(store: &Store, given: u64) -> u64 {
    if given != 0 {
        return given;
    }
    let mut hasher = DefaultHasher::new();
    store.id().to_string().hash(&mut hasher);
    hasher.finish()
}
