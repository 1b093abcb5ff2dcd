//! Wede: events of any kind, up to 500 in a batch.

mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Dialect, Request, Response, captured_at, misfit};
use crate::timestamp;

/// Most events in one batch.
const ITEMS_MAX: usize = 500;

/// Where batches go.
const PATH: &str = "/v1/sync/batch";

/// The header by which a batch can be asked for when its answer was lost.
const BATCH_KEY: &str = "Idempotency-Key";

/// The dialect of Wede's batch sync.
///
/// ```
/// use onceward_uplink::{Dialect, Wede};
///
/// assert_eq!(Wede::new("till-7").items_max(), 500);
/// ```
#[derive(Clone, Debug)]
pub struct Wede {
    /// What tells this device's batches from others'.
    device_id: String,
}

/// An event as Wede takes it.
#[derive(Serialize)]
struct Item<'a> {
    /// What kind of event it is.
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
    /// Which device captured them.
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

/// The request that carries `events` of that device as the batch of that name.
fn carry(device_id: &str, events: &[StoredEvent], batch_key: &str) -> Request {
    let items: Vec<String> = events.iter().filter_map(|event| encode(event).ok()).collect();
    // Of the events, not of the attempt: a resend has the same bytes.
    let moment = events.iter().filter_map(|event| event.captured_at_ms).max().unwrap_or_default();
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

/// The event as JSON text.
fn encode(event: &StoredEvent) -> Result<String, Misfit> {
    let text = event.event.payload.as_json().ok_or_else(|| misfit("the payload is not JSON"))?;
    captured_at(event, "captured_at")?;
    let payload =
        serde_json::from_str(text).map_err(|found| misfit(format!("payload: {found}")))?;
    let (kind, idempotency_key) = (event.event.kind.as_str(), event.event.key.as_str());
    serde_json::to_string(&Item { kind, idempotency_key, payload })
        .map_err(|found| misfit(found.to_string()))
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

    fn fit(&self, event: &StoredEvent) -> Result<usize, Misfit> {
        // One for the comma.
        encode(event).map(|item| item.len().saturating_add(1))
    }

    fn request(&self, batch: &Batch) -> Request {
        carry(&batch.settings, &batch.items, &batch.idempotency_key)
    }

    fn decode(&self, _batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(response)
    }
}

#[cfg(test)]
mod tests;
