//! How a batch looks on the wire, and what an answer proves: pure functions, no I/O.

mod answer;
mod forloy;
mod request;
mod response;
mod status;
mod wede;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};

pub use forloy::Forloy;
pub use request::Request;
pub use response::Response;
pub use wede::Wede;

/// Code of an event that cannot form an item; it goes to review unsent.
pub(crate) const INVALID_ITEM: &str = "INVALID_ITEM";

/// The language of one kind of upstream.
///
/// Pure: the same batch gives the same bytes at every attempt, and decoding reads no clock.
pub trait Dialect: Send + Sync {
    /// Most items that one request may carry.
    fn items_max(&self) -> usize;

    /// How many bytes `event` adds to a request.
    ///
    /// # Errors
    ///
    /// Why the event cannot form an item of this dialect. It then waits for a person, unsent.
    fn fit(&self, event: &StoredEvent) -> Result<usize, Misfit>;

    /// The request that carries `batch`.
    ///
    /// An event that does not [`fit`](Dialect::fit) is left out, and so stays pending.
    fn request(&self, batch: &Batch) -> Request;

    /// What `response` proves about the items of `batch`.
    ///
    /// # Errors
    ///
    /// What the response is instead of an answer by item. Then it proves nothing about any.
    fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure>;
}

/// Why an event cannot form an item.
pub(crate) fn misfit(message: impl Into<String>) -> Misfit {
    Misfit { code: INVALID_ITEM.to_owned(), message: message.into() }
}
