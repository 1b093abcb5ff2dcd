//! Forloy: card transactions of a point of sale, up to 100 in a request.
//!
//! The item is the payload's own object, so that a till writes what the upstream documents; its
//! members keep their order and numbers their spelling.

mod item;
mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};

use super::{Dialect, Request, Response, own};

/// Most transactions in one request.
const ITEMS_MAX: usize = 100;

/// The path that transactions go to.
const PATH: &str = "/api/v1/transactions/sync";

/// The dialect of Forloy's offline sync.
///
/// ```
/// use onceward_uplink::{Dialect, Forloy};
///
/// assert_eq!(Forloy::new().items_max(), 100);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Forloy;

impl Forloy {
    /// The dialect.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Forloy {
    fn name(&self) -> &str {
        "forloy"
    }

    fn items_max(&self) -> usize {
        ITEMS_MAX
    }

    fn fit(&self, event: &StoredEvent, wire_key: &str) -> Result<usize, Misfit> {
        // One for the comma.
        item::encode(event, wire_key).map(|item| item.len().saturating_add(1))
    }

    fn request(&self, batch: &Batch) -> Request {
        let keyed = batch.items.iter().map(|item| (item, batch.wire_key(item)));
        request(keyed)
    }

    fn decode(&self, _batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(response)
    }

    /// A list without a transaction, which the upstream refuses.
    fn time_request(&self) -> Option<Request> {
        Some(request(std::iter::empty()))
    }

    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        own(reply::decode(response))
    }
}

/// The request that carries events, each under its key.
fn request<'a>(events: impl Iterator<Item = (&'a StoredEvent, String)>) -> Request {
    let items: Vec<String> =
        events.filter_map(|(event, key)| item::encode(event, &key).ok()).collect();
    let body = format!("{{\"transactions\":[{}]}}", items.join(","));
    Request { path: PATH.to_owned(), headers: Vec::new(), body: body.into_bytes() }
}

#[cfg(test)]
mod tests;
