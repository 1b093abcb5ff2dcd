//! The requests of C, turned into the engine's checked values. Owns nothing of the caller's.

use std::path::Path;

use onceward::config::Create;
use onceward::{Amount, Class, Config, Key, Kind, Lane, Payload, Scope};

use crate::abi::{Bytes, Event, OPEN_EXISTING, Options, Status};
use crate::borrow::{aligned, bytes, text, utf8};
use crate::failure::Failure;
use crate::sendable;

/// The directory that a store is in.
pub(crate) fn directory(path: &str) -> Result<&Path, Failure> {
    if path.is_empty() || path.contains('\0') {
        let message = "path: is empty or holds a zero byte";
        return Err(Failure::invalid("PATH_INVALID", message));
    }
    Ok(Path::new(path))
}

/// The configuration; 0 leaves a default.
pub(crate) fn config(options: &Options) -> Result<Config, Failure> {
    let Options { segment_bytes, window_ms, payload_bytes_max, flags, .. } = *options;
    if flags & !OPEN_EXISTING != 0 {
        let message = format!("options: flags {flags:#x} are not known to this version");
        return Err(Failure::new(Status::Unsupported, "FLAGS_TOO_NEW", message));
    }
    let mut config = Config::new();
    if segment_bytes != 0 {
        config = config.with_segment_bytes(segment_bytes);
    }
    if window_ms != 0 {
        config = config.with_window(std::time::Duration::from_millis(window_ms));
    }
    if payload_bytes_max != 0 {
        config = config.with_payload_bytes_max(payload_bytes_max);
    }
    if flags & OPEN_EXISTING != 0 {
        config = config.with_create(Create::Never);
    }
    sendable::judged(config, options.dialect, options.key_rule)
}

/// The scope, `default` if not given.
///
/// # Safety
///
/// `from` is readable as it says.
pub(crate) unsafe fn scope(from: Bytes) -> Result<Scope, Failure> {
    // SAFETY: by this function's contract.
    let Some(name) = (unsafe { text(from, "scope") })? else { return Ok(Scope::default()) };
    Ok(Scope::new(name)?)
}

/// The key, which must be given.
///
/// # Safety
///
/// `from` is readable as it says.
pub(crate) unsafe fn key(from: Bytes) -> Result<Key, Failure> {
    // SAFETY: by this function's contract.
    let text = unsafe { text(from, "key") }?.ok_or_else(|| Failure::null("key"))?;
    Ok(Key::new(text)?)
}

/// The event.
///
/// # Safety
///
/// What `from` points to is readable as it says.
pub(crate) unsafe fn event(from: &Event) -> Result<onceward::Event, Failure> {
    // SAFETY: by this function's contract.
    let (scope, key) = unsafe { (scope(from.scope)?, key(from.key)?) };
    // SAFETY: by this function's contract.
    let content = unsafe { bytes(from.payload, "payload") }?.unwrap_or_default();
    let payload = if is_one(from.payload_is_json, "payload_is_json")? {
        Payload::json(utf8(content, "payload")?)?
    } else {
        Payload::bytes(content.to_vec())
    };
    let mut event = onceward::Event::new(scope, key, payload);
    // SAFETY: by this function's contract.
    if let Some(kind) = unsafe { text(from.kind, "kind") }? {
        event = event.with_kind(Kind::new(kind)?);
    }
    // SAFETY: by this function's contract.
    if let Some(amount) = unsafe { text(from.amount, "amount") }? {
        event = event.with_amount(amount.parse::<Amount>()?);
    }
    // SAFETY: by this function's contract.
    if let Some(lane) = unsafe { text(from.lane, "lane") }? {
        event = event.with_lane(Lane::new(lane)?);
    }
    if !from.captured_at_ms.is_null() {
        aligned(from.captured_at_ms, "captured_at_ms")?;
        // SAFETY: not null, aligned, and readable by this function's contract.
        event = event.with_captured_at_ms(unsafe { from.captured_at_ms.read() });
    }
    if is_one(from.is_evictable, "is_evictable")? {
        event = event.with_class(Class::Evictable);
    }
    Ok(event)
}

/// A yes or no from C: any other number is a field that was never set, or of a newer header.
pub(crate) fn is_one(number: u32, name: &str) -> Result<bool, Failure> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::invalid("FLAG_INVALID", format!("{name}: is {number}, must be 0 or 1"))),
    }
}
