//! How a batch looks on the wire, and what an answer proves: pure functions, no I/O.

mod answer;
mod deliveries;
mod ending;
mod forloy;
mod form;
mod http;
mod members;
mod object;
mod path;
mod problem;
mod request;
mod response;
mod sendable;
mod status;
mod stream;
mod transyt;
mod wede;

use onceward::StoredEvent;
use onceward::sync::{Answered, Batch, Failure, Misfit, Reply};
use onceward::wire::ITEM_BYTES_MAX;

use crate::timestamp;

pub use deliveries::Deliveries;
pub use forloy::Forloy;
pub(crate) use form::may_be_json;
pub use http::{BUILT_IN, DialectFault, HttpDialect, Spot};
pub use request::{KeyPlace, Method, Request};
pub use response::Response;
pub use sendable::sendable;
pub use stream::Onceward;
pub use transyt::Transyt;
pub use wede::Wede;

/// How long upstreams remember keys that do not say how long: as our hub, 30 days.
const HORIZON_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Code of an event that cannot form an item; it is never sent, see [`Misfit`].
pub(crate) const INVALID_ITEM: &str = "INVALID_ITEM";
/// Code of an event of which nobody knows when it was captured, where the item has to say.
pub(crate) const TIME_UNKNOWN: &str = "TIME_UNKNOWN";

/// The language of one kind of upstream.
///
/// Pure: the same batch gives the same bytes at every attempt, and decoding reads no clock.
///
/// What the upstream remembers an event by must be the event's own key, which never changes.
/// [`Batch::idempotency_key`] only names an attempt's content: a batch that is formed anew has
/// another one, so it may be sent beside the events' keys and never in their place. Where a refusal of
/// the batch's key can be distinguished from one of an event, it is [`Failure::BatchKeyRefused`]; where a
/// header is the only key of the one event in a request, it is that event's, and its refusal is
/// [`ItemOutcome::Rejected`](onceward::sync::ItemOutcome::Rejected).
///
/// ```
/// use onceward::StoredEvent;
/// use onceward::sync::{Answered, Batch, Failure, ItemOutcome, Misfit, Reply};
/// use onceward_uplink::{Dialect, Request, Response};
///
/// /// An upstream that takes one event at a time and says nothing but 200.
/// struct Plain;
///
/// impl Dialect for Plain {
///     fn name(&self) -> &str {
///         "plain"
///     }
///
///     fn items_max(&self) -> usize {
///         1
///     }
///
///     fn form(&self, event: &StoredEvent, _key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
///         item.extend_from_slice(event.event.payload.as_bytes());
///         Ok(())
///     }
///
///     fn request(&self, batch: &Batch) -> Request {
///         let first = batch.items().next();
///         let (key, body) = first.map(|item| (item.key, item.body)).unwrap_or_default();
///         // The header is the only key that this upstream sees, so it is the event's own.
///         Request::post("/events", body).with_header("Idempotency-Key", key)
///     }
///
///     fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure> {
///         let outcome = match (response.status, response.body.as_slice()) {
///             (200, _) => ItemOutcome::Accepted { receipt: None },
///             // The key is taken by another event: a conflict of this one, and no batch's fault.
///             (422, br#"{"code":"KEY_REUSED"}"#) => ItemOutcome::Rejected {
///                 code: "KEY_REUSED".to_owned(),
///                 message: "another event has this key".to_owned(),
///                 reply: response.body.clone(),
///             },
///             (status, _) => {
///                 let why = format!("status {status}");
///                 let answered = Answered::Stranger;
///                 return Err(Failure::Unavailable { why, retry_after_ms: None, answered });
///             }
///         };
///         let outcomes = batch.items().map(|item| (item.key.to_owned(), outcome.clone()));
///         Ok(Reply::of(outcomes.collect()))
///     }
/// }
/// assert_eq!(Plain.items_max(), 1);
/// ```
pub trait Dialect: Send + Sync {
    /// The name of the dialect: part of the upstream's
    /// [identity](onceward::sync::Upstream). Small letters, no blanks, at most 64 bytes.
    fn name(&self) -> &str;

    /// Whether requests give the upstream the batch's scope, and the upstream keeps the keys of two scopes
    /// apart: no, unless a dialect says so. Only then may a session use
    /// [`KeyRule::Conveyed`](onceward::sync::KeyRule::Conveyed).
    fn conveys_scope(&self) -> bool {
        false
    }

    /// Whether the upstream keeps the history of a scope and the order of its lanes: no, unless a dialect says so. Its
    /// sessions are [told so](onceward::sync::Options::with_history).
    fn keeps_history(&self) -> bool {
        false
    }

    /// Whether it tells the upstream how deliveries ended, which are the events of the
    /// [inbox's scope](onceward::inbox::Inbox::scope) and of no other: no, unless a dialect says so. Such a dialect
    /// takes that scope alone, and that scope takes no other dialect.
    fn takes_acks(&self) -> bool {
        false
    }

    /// Whatever of this dialect's own settings shapes a request, such as the name of this device: none
    /// unless a dialect has some. It is fixed in each batch as it is formed, and comes back in
    /// [`Batch::settings`].
    fn settings(&self) -> String {
        String::new()
    }

    /// Most items that one request may carry.
    fn items_max(&self) -> usize;

    /// Most bytes of the items of one request, if there is a limit: a session's own otherwise.
    fn bytes_max(&self) -> Option<usize> {
        None
    }

    /// How long an upstream of this kind remembers keys at least, milliseconds, where it does not say;
    /// `None`: nobody knows, and everything is sent again however long ago it was first attempted.
    ///
    /// 30 days unless a dialect knows better: what was first attempted longer ago waits for a person. For an
    /// upstream that forgets sooner and does not say so, the host sets
    /// [`Options::with_horizon`](onceward::sync::Options::with_horizon).
    fn horizon_ms(&self) -> Option<u64> {
        Some(HORIZON_MS)
    }

    /// Appends the item that `event` is in a request, under the key by which the upstream gets it.
    ///
    /// # Errors
    ///
    /// Why the event cannot form an item of this dialect. It is never sent: see [`Form`](onceward::sync::Form).
    fn form(&self, event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit>;

    /// The request that carries the [items](Batch::items) of `batch`, as they were formed: of its
    /// [settings](Batch::settings), not of those that the dialect has now.
    fn request(&self, batch: &Batch) -> Request;

    /// Reads what `response` proves about the items of `batch`, which it names by their
    /// [keys](onceward::sync::Item::key).
    ///
    /// # Errors
    ///
    /// What the response is instead of an answer by item. Then it proves nothing about any.
    fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure>;

    /// A request that changes nothing at the upstream, whatever it answers: it is asked with to learn what
    /// time it is there, where events wait for that and nothing else is to be sent.
    ///
    /// None unless a dialect has one; then such events wait for a person.
    fn time_request(&self) -> Option<Request> {
        None
    }

    /// Whether the answer to [`Dialect::time_request`] is the upstream's own, so that its clock is believed.
    ///
    /// # Errors
    ///
    /// What the response is instead.
    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        let why = format!("status {}: an answer that nobody expected", response.status);
        Err(Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Stranger })
    }
}

/// Whether an answer is the upstream's own: one by item, or a refusal in its own format.
fn own(decoded: Result<Reply, Failure>) -> Result<(), Failure> {
    match decoded {
        Ok(_)
        | Err(
            Failure::Refused { .. }
            | Failure::TooLarge
            | Failure::BatchKeyRefused { .. }
            | Failure::InProgress { retry_after_ms: None },
        ) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// When an event was captured, as the field `name` spells it.
///
/// A moment that damage took is not made up: what was sent before with another one would be taken for
/// other content under the same key.
pub(crate) fn captured_at(event: &StoredEvent, name: &str) -> Result<String, Misfit> {
    let unix_ms = event.captured_at_ms.ok_or_else(|| Misfit {
        code: TIME_UNKNOWN.to_owned(),
        message: format!(
            "{name}: nobody knows when it was captured, because the frame of the log with the time is \
             damaged: ask the upstream whether it took effect; if not, enter it anew with its time"
        ),
    })?;
    timestamp::rfc3339(unix_ms)
        .ok_or_else(|| misfit(format!("{name}: {unix_ms} ms is no moment that can be sent")))
}

/// Checks that an item is short enough to be taken at all: what is in `item` from `start` on.
pub(crate) fn fits_alone(item: &[u8], start: usize) -> Result<(), Misfit> {
    let bytes = item.len().saturating_sub(start);
    if bytes > ITEM_BYTES_MAX {
        return Err(misfit(format!("the item has {bytes} bytes, more than {ITEM_BYTES_MAX}")));
    }
    Ok(())
}

/// Appends a text as JSON spells it.
pub(crate) fn push_text(text: &str, item: &mut Vec<u8>) {
    // Writing texts into memory does not fail.
    drop(serde_json::to_writer(item, text));
}

/// Appends items to a body, with commas between.
pub(crate) fn push_items<'a>(items: impl Iterator<Item = &'a [u8]>, body: &mut Vec<u8>) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item);
    }
}

/// Why an event cannot form an item.
pub(crate) fn misfit(message: impl Into<String>) -> Misfit {
    Misfit { code: INVALID_ITEM.to_owned(), message: message.into() }
}
