//! How a delivery ended, from the event that tells it to the request that brings it upstream.

mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, ItemOutcome, Misfit, Reply};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::object::Object;
use super::path::{check_part, percent_encoded};
use super::{KeyPlace, Request, Response, misfit};

/// The header that has the key where a request is about an event.
const ADMIN_KEY: &str = "X-Admin-Token";
/// The error of a failure for which the application gave no words: the upstream takes no empty one.
const NO_WORDS: &str = "no reason was given";

/// How a delivery ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The event was processed.
    Acked {
        /// The upstream's number of the event.
        event_id: String,
    },
    /// The event could not be processed.
    Failed {
        /// The upstream's number of the event.
        event_id: String,
        /// Why it could not.
        error: String,
    },
    /// All steps of a delivery in a window are done.
    Done {
        /// The upstream's number of the delivery.
        delivery_id: String,
        /// The window that the upstream issued.
        window: String,
    },
}

/// What the inbox writes of a delivery that ended.
#[derive(Deserialize)]
struct Written {
    event_id: Option<String>,
    delivery_id: Option<String>,
    window: Option<String>,
    error: Option<String>,
}

impl Ending {
    /// Reads what the inbox wrote.
    ///
    /// # Errors
    ///
    /// The inbox did not write it, or it tells what no upstream takes.
    pub(crate) fn of_event(event: &StoredEvent) -> Result<Self, Misfit> {
        let kind = event.event.kind.as_str();
        let text =
            event.event.payload.as_json().ok_or_else(|| misfit("the payload is not JSON"))?;
        let Object::<Written>(written) = serde_json::from_str(text).map_err(|found| {
            misfit(format!("the payload is not what the inbox writes: {found}"))
        })?;
        let ending = match (kind, written) {
            ("ACK", Written { window: Some(window), delivery_id: Some(delivery_id), .. }) => {
                Self::Done { delivery_id, window }
            }
            ("FAIL", Written { window: Some(_), .. }) => {
                let why = "the upstream has no way to take that a delivery of a window failed";
                return Err(misfit(why));
            }
            ("ACK", Written { window: None, event_id: Some(event_id), .. }) => {
                Self::Acked { event_id }
            }
            ("FAIL", Written { window: None, event_id: Some(event_id), error, .. }) => {
                let error = error.filter(|error| !error.is_empty());
                Self::Failed { event_id, error: error.unwrap_or_else(|| NO_WORDS.to_owned()) }
            }
            ("ACK" | "FAIL", _) => return Err(misfit("event_id: the delivery has none")),
            (other, _) => {
                return Err(misfit(format!("kind: {other}, must be ACK or FAIL of the inbox")));
            }
        };
        check_part(ending.id_name(), ending.id())?;
        Ok(ending)
    }

    /// What the one item of a batch tells, as [`Ending::encode`] wrote it.
    pub(crate) fn of_batch(batch: &Batch) -> Self {
        let item = batch.items().next();
        let ending = item.and_then(|item| serde_json::from_slice(item.body).ok());
        // No batch is empty, and items are what `encode` wrote.
        ending.unwrap_or_else(|| Self::Acked { event_id: String::new() })
    }

    /// Appends it as an item.
    pub(crate) fn encode(&self, item: &mut Vec<u8>) {
        // Writing texts into memory does not fail.
        drop(serde_json::to_writer(item, self));
    }

    /// The upstream's number of what ended.
    fn id(&self) -> &str {
        match self {
            Self::Acked { event_id } | Self::Failed { event_id, .. } => event_id,
            Self::Done { delivery_id, .. } => delivery_id,
        }
    }

    fn id_name(&self) -> &'static str {
        match self {
            Self::Acked { .. } | Self::Failed { .. } => "event_id",
            Self::Done { .. } => "delivery_id",
        }
    }

    /// The request that brings it upstream, of the device of that name.
    pub(crate) fn request(&self, device: &str) -> Request {
        let id = percent_encoded(self.id());
        let place = KeyPlace::Header(ADMIN_KEY.to_owned());
        match self {
            Self::Acked { .. } => {
                Request::post(format!("/admin/events/{id}/ack"), "").with_key(place)
            }
            Self::Failed { error, .. } => {
                let body = json!({ "error": error }).to_string();
                Request::post(format!("/admin/events/{id}/fail"), body).with_key(place)
            }
            Self::Done { window, .. } => step_request(&id, (window, device), None),
        }
    }

    /// Reads what `response` proves of the one item of `batch`.
    ///
    /// # Errors
    ///
    /// The response proves nothing of it.
    pub(crate) fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        let outcome = self.judge(response)?;
        let keys = batch.items().map(|item| item.key.to_owned());
        Ok(Reply::of(keys.map(|key| (key, outcome.clone())).collect()))
    }

    /// Reads what `response` proves.
    ///
    /// # Errors
    ///
    /// The response proves nothing.
    pub(crate) fn judge(&self, response: &Response) -> Result<ItemOutcome, Failure> {
        reply::judge(self, response)
    }
}

/// The request that tells that a step of a delivery is done on that device, and those before it; without a step, all.
pub(crate) fn step_request(id: &str, (window, device): (&str, &str), step: Option<u32>) -> Request {
    let mut body = json!({ "window": window, "device": device });
    if let (Some(members), Some(step)) = (body.as_object_mut(), step) {
        members.insert("step".to_owned(), step.into());
    }
    Request::post(format!("/v1/engage/deliveries/{id}/ack"), body.to_string())
}
