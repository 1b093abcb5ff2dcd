//! Transyt: how an application tells that it processed a delivered event, or that it could not. One event a request.
//!
//! ```text
//! POST /admin/events/{event_id}/ack                     no body
//! POST /admin/events/{event_id}/fail                    {"error": "Insufficient inventory"}
//! X-Admin-Token: KEY
//! ```
//!
//! The events are those that [`Inbox::ack`](onceward::inbox::Inbox::ack) and
//! [`Inbox::fail`](onceward::inbox::Inbox::fail) write into the inbox's scope.
//!
//! | answer                                           | the ack or failure                  |
//! |--------------------------------------------------|-------------------------------------|
//! | 200, the same `event_id`, `status` `acked` (`failed` for a failure) | is accepted      |
//! | 409 `ALREADY_ACKED`, to a failure                | is rejected, and goes to review     |
//! | 404 `EVENT_NOT_FOUND`                            | is rejected, and goes to review     |
//! | 400 `INVALID_EVENT_ID`                           | is rejected, and goes to review     |
//! | 401 `UNAUTHORIZED`, 403 `FORBIDDEN`              | waits for other credentials         |
//! | 429, 5xx                                         | is told again, after `Retry-After`  |
//! | anything else, or any of these in another format | is told again: a stranger answered  |
//!
//! Codes are those of problem documents (RFC 9457).

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};

use super::ending::Ending;
use super::{Dialect, Request, Response, misfit};

/// The dialect of Transyt's acknowledgements.
///
/// It takes the acks of deliveries that have an `event_id` and no window; one of another kind is never sent, and goes
/// to review. A store that has both kinds needs [`Deliveries`](crate::Deliveries).
///
/// ```
/// use onceward::sync::{Effort, LineOptions, Options, Upstream};
/// use onceward::{Config, Payload, Store};
/// use onceward::inbox::{Delivery, Received};
/// use onceward_uplink::{Exchange, Response, Route, Transyt, Work};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("store"), Config::new())?;
/// let delivery = Delivery::new("0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69", Payload::json("{}")?)?;
/// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
/// store.inbox().ack(lsn)?;
///
/// let options = Options::new(store.inbox().scope()?);
/// let route = Route::new(Transyt::new(), options).to(Upstream::new("https://ingest.transyt.com", "transyt")?);
/// let mut exchange = Exchange::start(&store, LineOptions::new(), Effort::Forever, [route])?;
/// let Work::Send(id, request) = exchange.next(0)? else { panic!("an ack waits") };
/// assert_eq!(request.path, "/admin/events/0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69/ack");
/// let body = r#"{"event_id":"0191f2b0-5b5a-7cc0-8000-3f1d2c4b5a69","status":"acked"}"#;
/// exchange.on_response(id, &Response::new(200, body), 0)?;
/// assert_eq!(exchange.report().accepted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Transyt;

impl Transyt {
    /// The dialect.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Transyt {
    fn name(&self) -> &str {
        "transyt"
    }

    fn takes_acks(&self) -> bool {
        true
    }

    /// Acks have routes of their own.
    fn conveys_scope(&self) -> bool {
        true
    }

    fn items_max(&self) -> usize {
        1
    }

    /// None: the upstream knows an ack by the event that it is of, which it keeps.
    fn horizon_ms(&self) -> Option<u64> {
        None
    }

    fn form(&self, event: &StoredEvent, _wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        let ending = Ending::of_event(event)?;
        if matches!(ending, Ending::Done { .. }) {
            let why = "the delivery belongs to a window, and the upstream knows events only";
            return Err(misfit(why));
        }
        ending.encode(item);
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
pub(crate) mod tests;
