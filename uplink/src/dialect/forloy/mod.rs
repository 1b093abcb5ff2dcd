//! Forloy: card transactions of a point of sale, up to 100 in a request.
//!
//! The item is the payload's own object, so that a till writes what the upstream documents; its
//! members keep their order and numbers their spelling.

mod item;
mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};

use super::{Dialect, Request, Response, own, push_items};

/// Most transactions in one request.
const ITEMS_MAX: usize = 100;

/// The path that transactions go to.
const PATH: &str = "/api/v1/transactions/sync";

/// What is before the transactions, and behind them.
const HEAD: &[u8] = b"{\"transactions\":[";
const TAIL: &[u8] = b"]}";

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

    fn form(&self, event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        item::encode(event, wire_key, item)
    }

    fn request(&self, batch: &Batch) -> Request {
        let bytes = batch.bytes().saturating_add(batch.items().len());
        request(batch.items().map(|item| item.body), bytes)
    }

    fn decode(&self, _batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(response)
    }

    /// A list without a transaction, which the upstream refuses.
    fn time_request(&self) -> Option<Request> {
        Some(request(std::iter::empty(), 0))
    }

    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        own(reply::decode(response))
    }
}

/// The request that carries items, which have about so many bytes.
fn request<'a>(items: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Request {
    let mut body = Vec::with_capacity(HEAD.len() + bytes + TAIL.len());
    body.extend_from_slice(HEAD);
    push_items(items, &mut body);
    body.extend_from_slice(TAIL);
    Request::post(PATH, body)
}

#[cfg(test)]
mod tests;
