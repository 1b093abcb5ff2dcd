//! Acks of whatever a hub delivers: events, as [`Transyt`](crate::Transyt) does, and deliveries of a window.
//!
//! One store may hold deliveries of both kinds, and its inbox has one scope, so one dialect tells of both; which
//! request it forms follows from the ack: one that names a window is of a delivery of that window.
//!
//! ```text
//! POST /v1/engage/deliveries/{delivery_id}/ack          {"window": "w_...", "device": "phone-1"}
//! Authorization: Bearer KEY
//! ```
//!
//! | answer                                             | the ack                             |
//! |----------------------------------------------------|-------------------------------------|
//! | 200, the same `delivery_id`, `status` `done`       | is accepted                         |
//! | 200, `status` `late`                               | is accepted: the window was over    |
//! | 410 `WINDOW_OVER`                                  | is rejected, and goes to review     |
//! | 404 `DELIVERY_NOT_FOUND`                           | is rejected, and goes to review     |
//! | 422 `STEP_INVALID`                                 | is rejected, and goes to review     |
//! | 401 `UNAUTHORIZED`, 403 `FORBIDDEN`                | waits for other credentials         |
//! | 429, 5xx                                           | is told again, after `Retry-After`  |
//! | anything else, or any of these in another format   | is told again: a stranger answered  |
//!
//! There is no way to tell that a delivery of a window failed: such an event is never sent, and goes to review.

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};

use super::ending::Ending;
use super::{Dialect, Request, Response};

/// The dialect of acks to a hub that delivers events and deliveries of windows.
///
/// ```
/// use onceward::sync::Options;
/// use onceward::{Config, Store};
/// use onceward_uplink::{Deliveries, Line, Timeouts, Uploader};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let line = Line::new("http://127.0.0.1:9", None, Timeouts::default())?;
/// let options = Options::new(store.inbox().scope()?);
/// let acks = Uploader::new(store, line, Box::new(Deliveries::new("till-7")), options)?;
/// # let _ = acks;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Deliveries {
    device: String,
}

impl Deliveries {
    /// The dialect, for the device of that name: the one that a [`Puller`](crate::deliveries::Puller) asks for.
    #[must_use]
    pub fn new(device: impl Into<String>) -> Self {
        Self { device: device.into() }
    }
}

impl Dialect for Deliveries {
    fn name(&self) -> &str {
        "deliveries"
    }

    fn takes_acks(&self) -> bool {
        true
    }

    /// Acks have routes of their own.
    fn conveys_scope(&self) -> bool {
        true
    }

    fn settings(&self) -> String {
        self.device.clone()
    }

    fn items_max(&self) -> usize {
        1
    }

    /// None: the upstream knows an ack by what it is of, which it keeps.
    fn horizon_ms(&self) -> Option<u64> {
        None
    }

    fn form(&self, event: &StoredEvent, _wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        Ending::of_event(event)?.encode(item);
        Ok(())
    }

    fn request(&self, batch: &Batch) -> Request {
        Ending::of_batch(batch).request(&batch.settings)
    }

    fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        Ending::of_batch(batch).decode(batch, response)
    }
}

#[cfg(test)]
mod tests;
