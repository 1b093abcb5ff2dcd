//! Wede: events of any kind, up to 500 in a batch.

mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};
use onceward::wire::{JSON_LEVELS_MAX, TEXT_BYTES_MAX, check_json, member_path};
use serde::Serialize;
use serde_json::value::RawValue;

use super::members::{Members, Shape, shape, text};
use super::{Dialect, Request, Response, captured_at, fits_alone, misfit, own};
use crate::timestamp;

/// Most events in one batch.
const ITEMS_MAX: usize = 500;

/// The path that batches go to.
const PATH: &str = "/v1/sync/batch";

/// The header by which a batch can be asked for when its answer was lost.
const BATCH_KEY: &str = "Idempotency-Key";

/// The levels of a message around a payload: the batch, its list of events, the event.
const LEVELS_AROUND: usize = 3;

/// The one member of a payload that the upstream itself understands as a text.
const CARD: &str = "qr_code_data";

/// The dialect of Wede's batch sync.
///
/// ```
/// use onceward_uplink::{Dialect, Wede};
///
/// assert_eq!(Wede::new("till-7").items_max(), 500);
/// ```
#[derive(Clone, Debug)]
pub struct Wede {
    /// The id that distinguishes this device's batches from others'.
    device_id: String,
}

/// An event as Wede takes it.
#[derive(Serialize)]
struct Item<'a> {
    /// The event's kind.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The event's key.
    idempotency_key: &'a str,
    /// The payload, spelled as it was captured.
    payload: &'a RawValue,
}

/// The members of a batch besides its events.
#[derive(Serialize)]
struct Envelope<'a> {
    /// The device that captured the events.
    device_id: &'a str,
    /// When the last of them was captured.
    captured_at: String,
}

impl Wede {
    /// The dialect, for the device of that name: the store's id, unless the host has a better one.
    #[must_use]
    pub fn new(device_id: impl Into<String>) -> Self {
        Self { device_id: device_id.into() }
    }
}

/// The request that carries `events` of that device, each under its key, as the batch of that name.
fn carry(device_id: &str, events: &[(&StoredEvent, String)], batch_key: &str) -> Request {
    let items: Vec<String> =
        events.iter().filter_map(|(event, key)| encode(event, key).ok()).collect();
    // Of the events, not of the attempt: a resend has the same bytes.
    let moment =
        events.iter().filter_map(|(event, _)| event.captured_at_ms).max().unwrap_or_default();
    let envelope =
        Envelope { device_id, captured_at: timestamp::rfc3339(moment).unwrap_or_default() };
    // Texts only, which always encode.
    let envelope = serde_json::to_string(&envelope).unwrap_or_default();
    let rest = envelope.trim_start_matches('{');
    let body = format!("{{\"events\":[{}],{rest}", items.join(","));
    Request {
        path: PATH.to_owned(),
        headers: vec![(BATCH_KEY.to_owned(), batch_key.to_owned())],
        body: body.into_bytes(),
    }
}

/// The event as JSON text, under the key by which the upstream knows it.
///
/// # Errors
///
/// The payload is no object, or one that readers understand differently; the item is too long, or its moment at
/// the edge of the calendar.
fn encode(event: &StoredEvent, idempotency_key: &str) -> Result<String, Misfit> {
    let payload = event.event.payload.as_json().ok_or_else(|| misfit("the payload is not JSON"))?;
    check_payload(payload)?;
    captured_at(event, "captured_at")?;
    let payload =
        serde_json::from_str(payload).map_err(|found| misfit(format!("payload: {found}")))?;
    let kind = event.event.kind.as_str();
    let item = serde_json::to_string(&Item { kind, idempotency_key, payload })
        .map_err(|found| misfit(found.to_string()))?;
    fits_alone(item)
}

/// Checks what the upstream asks of a payload, which may hold anything else besides.
fn check_payload(payload: &str) -> Result<(), Misfit> {
    if !payload.starts_with('{') {
        return Err(misfit("the payload is not a JSON object"));
    }
    check_json(payload, JSON_LEVELS_MAX.saturating_sub(LEVELS_AROUND)).map_err(|fault| {
        let path = format!("payload{}{}", dot(&fault.path), fault.path);
        misfit(format!("{path}: {}", fault.message))
    })?;
    let members: Members<'_> =
        serde_json::from_str(payload).map_err(|found| misfit(format!("payload: {found}")))?;
    match members.0.iter().find(|(name, _)| name == CARD) {
        Some((_, card)) if shape(card) != Shape::Null => {
            text(card, &member_path("payload", CARD), TEXT_BYTES_MAX).map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// The separator between the payload's name and a path in it.
fn dot(path: &str) -> &'static str {
    if path.is_empty() || path.starts_with('[') { "" } else { "." }
}

impl Dialect for Wede {
    fn name(&self) -> &str {
        "wede"
    }

    fn settings(&self) -> String {
        self.device_id.clone()
    }

    fn items_max(&self) -> usize {
        ITEMS_MAX
    }

    fn fit(&self, event: &StoredEvent, wire_key: &str) -> Result<usize, Misfit> {
        // One for the comma.
        encode(event, wire_key).map(|item| item.len().saturating_add(1))
    }

    fn request(&self, batch: &Batch) -> Request {
        let keyed: Vec<(&StoredEvent, String)> =
            batch.items.iter().map(|item| (item, batch.wire_key(item))).collect();
        carry(&batch.settings, &keyed, &batch.idempotency_key)
    }

    fn decode(&self, _batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(response)
    }

    /// A batch without an event and without a key, which the upstream refuses.
    fn time_request(&self) -> Option<Request> {
        Some(Request { headers: Vec::new(), ..carry(&self.device_id, &[], "") })
    }

    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        own(reply::decode(response))
    }
}

#[cfg(test)]
mod tests;
