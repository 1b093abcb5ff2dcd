//! Wede: events of any kind, up to 500 in a batch.

mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};
use onceward::wire::{JSON_LEVELS_MAX, TEXT_BYTES_MAX, check_json, member_path};
use serde::Serialize;

use super::members::{Members, Shape, shape, text};
use super::{
    Dialect, Request, Response, captured_at, fits_alone, misfit, own, push_items, push_text,
};
use crate::timestamp;

/// Most events in one batch.
const ITEMS_MAX: usize = 500;

/// The path that batches go to.
const PATH: &str = "/v1/sync/batch";

/// The header by which a batch can be asked for when its answer was lost.
const BATCH_KEY: &str = "Idempotency-Key";

/// What is before the events.
const HEAD: &[u8] = b"{\"events\":[";

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

/// The request that carries items of that device, the last of them captured at that moment, as the batch of that name.
fn carry<'a>(
    (device_id, batch_key): (&str, &str),
    (items, bytes): (impl Iterator<Item = &'a [u8]>, usize),
    moment: i64,
) -> Request {
    // Of the events, not of the attempt: a resend has the same bytes.
    let envelope =
        Envelope { device_id, captured_at: timestamp::rfc3339(moment).unwrap_or_default() };
    // Texts only, which always encode.
    let envelope = serde_json::to_string(&envelope).unwrap_or_default();
    let rest = envelope.trim_start_matches('{');
    let mut body = Vec::with_capacity(HEAD.len() + bytes + rest.len() + 2);
    body.extend_from_slice(HEAD);
    push_items(items, &mut body);
    body.extend_from_slice(b"],");
    body.extend_from_slice(rest.as_bytes());
    Request::post(PATH, body).with_header(BATCH_KEY, batch_key)
}

/// Appends the event as JSON text, under the key by which the upstream knows it.
///
/// # Errors
///
/// The payload is no object, or one that readers understand differently; the item is too long, or its moment at
/// the edge of the calendar.
fn encode(event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
    let start = item.len();
    let payload = event.event.payload.as_json().ok_or_else(|| misfit("the payload is not JSON"))?;
    check_payload(payload)?;
    captured_at(event, "captured_at")?;
    item.extend_from_slice(b"{\"type\":");
    push_text(event.event.kind.as_str(), item);
    item.extend_from_slice(b",\"idempotency_key\":");
    push_text(wire_key, item);
    item.extend_from_slice(b",\"payload\":");
    // Spelled as it was captured.
    item.extend_from_slice(payload.as_bytes());
    item.push(b'}');
    fits_alone(item, start)
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

    fn form(&self, event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        encode(event, wire_key, item)
    }

    fn request(&self, batch: &Batch) -> Request {
        let bytes = batch.bytes().saturating_add(batch.items().len());
        let moment = batch.items().filter_map(|item| item.captured_at_ms).max();
        let names = (batch.settings.as_str(), batch.idempotency_key.as_str());
        let items = batch.items().map(|item| item.body);
        carry(names, (items, bytes), moment.unwrap_or_default())
    }

    fn decode(&self, _batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(response)
    }

    /// A batch without an event and without a key, which the upstream refuses.
    fn time_request(&self) -> Option<Request> {
        Some(Request {
            headers: Vec::new(),
            ..carry((&self.device_id, ""), (std::iter::empty(), 0), 0)
        })
    }

    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        own(reply::decode(response))
    }
}

#[cfg(test)]
mod tests;
