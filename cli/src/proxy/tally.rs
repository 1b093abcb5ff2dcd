//! What a line saw: counts of requests, faults and of what the hub answered. Counts only, no I/O.

use serde::Deserialize;

/// Counts since the line began.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Requests that reached the line whole.
    pub requests: u64,
    /// Requests that were cut or dropped before the hub had them whole.
    pub requests_lost: u64,
    /// Replies that the hub gave and that did not reach the uploader whole.
    pub replies_lost: u64,
    /// Requests that the hub was given twice.
    pub requests_repeated: u64,
    /// Items that the hub answered as applied before, in all its replies.
    pub duplicates_absorbed: u64,
    /// Items that the hub took, now or before, in replies that reached the uploader.
    pub delivered: u64,
}

/// What one reply of the hub says about its items.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Answered {
    /// Items taken, now or before.
    pub(super) taken: u64,
    /// Items that the hub had taken before.
    pub(super) before: u64,
}

impl Answered {
    /// Reads a reply's body; anything but a Forloy answer says nothing about items.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(reply) = serde_json::from_slice::<Reply>(body) else {
            return Self::default();
        };
        let mut answered = Self::default();
        for line in reply.data.results {
            answered.taken += u64::from(line.result.success);
            answered.before += u64::from(line.result.success && line.result.idempotent);
        }
        answered
    }
}

/// The part of a reply that counts.
#[derive(Deserialize)]
struct Reply {
    /// The reply's content.
    data: Data,
}

/// The content of a reply.
#[derive(Deserialize)]
struct Data {
    /// The results, one for each item.
    results: Vec<ItemResult>,
}

/// What became of an item.
#[derive(Deserialize)]
struct ItemResult {
    /// The result itself.
    result: Verdict,
}

/// The hub's word about an item.
#[derive(Deserialize)]
struct Verdict {
    /// Whether it was taken.
    success: bool,
    /// Whether it was taken before.
    #[serde(default)]
    idempotent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_taken_before_are_counted_and_failed_ones_are_not() {
        let body = br#"{"success":true,"data":{"total_count":3,"results":[
            {"idempotency_key":"a","result":{"success":true,"idempotent":true,"transaction_id":"t"}},
            {"idempotency_key":"b","result":{"success":true,"idempotent":false}},
            {"idempotency_key":"c","result":{"success":false,"error":"CARD_NOT_FOUND"}}]}}"#;
        assert_eq!(Answered::read(body), Answered { taken: 2, before: 1 });
        assert_eq!(Answered::read(b"{}"), Answered::default());
    }
}
