//! Onceward's own: the segment stream. Slices of the log, compressed, whose history the upstream keeps.
//!
//! `uplink/PROTOCOL.md` has every byte of it.

mod reply;

use onceward::StoredEvent;
use onceward::sync::{Batch, Failure, Misfit, Reply};
use onceward::wire::{begin_slice, end_slice, push_entry, slice_outline};
use sha2::{Digest, Sha256};

use super::{Dialect, Request, Response, own};

/// Most events in one request.
const ITEMS_MAX: usize = 4_096;
/// Most bytes of a slice before it is compressed.
const BYTES_MAX: usize = 1024 * 1024;
/// Most batches that a request names as the store's own.
const OWN_MAX: usize = 256;
/// The path that slices go to.
const PATH: &str = "/v1/segments";
/// The type of a body.
const MEDIA_TYPE: &str = "application/vnd.onceward.segments+zstd";
/// How much work compressing is: the least, because the line is mostly faster than the disk behind it.
const LEVEL: i32 = 1;

/// The dialect of the segment stream, which our own hub speaks.
///
/// ```
/// use onceward_uplink::{Dialect, Onceward};
///
/// assert!(Onceward::new().keeps_history());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Onceward {
    is_fork_accepted: bool,
}

impl Onceward {
    /// The dialect.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same after a person accepted that the upstream's history is another one than this store's: the upstream
    /// applies each event that it does not have under the event's own key, and the history goes on with none of these
    /// batches, unless there is none there. For one drain, after the refusal: with it no fork is found. What is sent
    /// without it from then on goes on with the history, and any other copy of the store is a fork.
    #[must_use]
    pub fn accepting_fork(self) -> Self {
        Self { is_fork_accepted: true }
    }

    /// The request with these headers besides the batch's, and this slice.
    fn carry(self, slice: &[u8]) -> Request {
        // A slice that was just made has an outline; the upstream refuses another digest.
        let outline = slice_outline(slice).unwrap_or_default();
        let digest = Sha256::digest(outline);
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // Compressing into memory fails only for a level that there is not; the upstream refuses an empty body.
        let body = zstd::bulk::compress(slice, LEVEL).unwrap_or_default();
        let request = Request::post(PATH, body)
            .with_header("Content-Type", MEDIA_TYPE)
            .with_header("Onceward-Digest", digest);
        if self.is_fork_accepted {
            return request.with_header("Onceward-Fork", "accepted");
        }
        request
    }
}

/// The id of the store in a batch's key.
fn store_of(batch: &Batch) -> &str {
    let mut parts = batch.idempotency_key.rsplitn(3, '-');
    parts.nth(2).unwrap_or_default()
}

/// The batches that are named as the store's own, no more than the upstream takes: of another opening first, since it
/// knows those of the same one by their keys, and of these the last ones.
fn own_of(batch: &Batch) -> Vec<&str> {
    let opening = |key: &str| key.rsplit_once('-').map(|(opening, _)| opening.to_owned());
    let its = opening(&batch.idempotency_key);
    let mut own: Vec<&str> = batch.own.iter().map(String::as_str).collect();
    if own.len() > OWN_MAX {
        own.reverse();
        own.sort_by_key(|key| opening(key) == its);
        own.truncate(OWN_MAX);
    }
    own
}

impl Dialect for Onceward {
    fn name(&self) -> &str {
        "onceward"
    }

    fn conveys_scope(&self) -> bool {
        true
    }

    fn keeps_history(&self) -> bool {
        true
    }

    fn items_max(&self) -> usize {
        ITEMS_MAX
    }

    fn bytes_max(&self) -> Option<usize> {
        Some(BYTES_MAX)
    }

    fn form(&self, event: &StoredEvent, wire_key: &str, item: &mut Vec<u8>) -> Result<(), Misfit> {
        push_entry(event, wire_key, item);
        Ok(())
    }

    fn request(&self, batch: &Batch) -> Request {
        let mut slice = begin_slice(u32::try_from(batch.items().len()).unwrap_or(u32::MAX));
        slice.reserve(batch.bytes());
        let mut behind = Vec::new();
        for (index, item) in (0..).zip(batch.items()) {
            slice.extend_from_slice(item.body);
            behind.extend(item.behind.map(|lsn| (index, lsn.get())));
        }
        end_slice(&behind, &mut slice);
        let lsns = || batch.items().map(|item| item.lsn.get());
        let (first, last) = (lsns().min().unwrap_or(0), lsns().max().unwrap_or(0));
        let mut request = self
            .carry(&slice)
            .with_header("Onceward-Store", store_of(batch))
            .with_header("Onceward-Scope", batch.scope.as_str())
            .with_header("Idempotency-Key", &batch.idempotency_key)
            .with_header("Onceward-Lsn", format!("{first}-{last}"));
        for (name, value) in [
            ("Onceward-After", batch.after.clone().unwrap_or_default()),
            ("Onceward-Mark", batch.mark.clone()),
            ("Onceward-Own", own_of(batch).join(",")),
        ] {
            if !value.is_empty() {
                request = request.with_header(name, value);
            }
        }
        request
    }

    fn decode(&self, batch: &Batch, response: &Response) -> Result<Reply, Failure> {
        reply::decode(batch, response)
    }

    /// A slice without an event and without a batch's key, which the upstream refuses.
    fn time_request(&self) -> Option<Request> {
        let mut slice = begin_slice(0);
        end_slice(&[], &mut slice);
        Some(self.carry(&slice))
    }

    fn time_answer(&self, response: &Response) -> Result<(), Failure> {
        own(Err(reply::refused(response)))
    }
}

#[cfg(test)]
mod tests;
