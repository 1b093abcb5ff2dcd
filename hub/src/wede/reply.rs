//! The form of a Wede answer.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{apply::Judged, process::Decision};

/// Most bytes that an event adds to the answer beyond its key.
const EVENT_BYTES: usize = 128;
/// Most bytes that the answer has beyond its events: the kept hash included.
const FRAME_BYTES: usize = 512;

/// The answer to a batch.
#[derive(Serialize)]
struct Reply<'a> {
    /// The whole answer.
    data: Data<'a>,
}

/// What became of a batch.
#[derive(Serialize)]
struct Data<'a> {
    /// The batch's name.
    batch_id: &'a str,
    /// Whether the work is done: it always is when an answer is given.
    status: &'static str,
    /// How many events are applied, now or before.
    accepted: usize,
    /// How many are not.
    rejected: usize,
    /// The results, one for each event, in the order of the request.
    events: Vec<Entry>,
}

/// What became of one event.
#[derive(Serialize)]
struct Entry {
    /// The event's key.
    idempotency_key: String,
    /// `accepted`, `duplicate` or `rejected`.
    status: &'static str,
    /// Why the event is rejected; null otherwise.
    reason: Option<&'static str>,
}

/// The body that answers batch `id`.
pub(crate) fn encode(id: &str, decided: impl Iterator<Item = (String, Decision)>) -> Box<RawValue> {
    let events: Vec<Entry> = decided
        .map(|(idempotency_key, decision)| {
            let (status, reason) = match decision {
                Decision::Judged(Judged::Fresh(_)) => ("accepted", None),
                Decision::Judged(Judged::Duplicate(_)) => ("duplicate", None),
                Decision::Judged(Judged::Conflict) => ("rejected", Some("IDEMPOTENCY_KEY_REUSED")),
                Decision::Judged(Judged::OutcomeUnknown) => ("rejected", Some("OUTCOME_UNKNOWN")),
                // The caller refuses the batch instead; kept right here all the same.
                Decision::Judged(Judged::Failed(_)) => ("rejected", Some("DATABASE_ERROR")),
                Decision::Refused(refusal) => ("rejected", Some(refusal.code())),
            };
            Entry { idempotency_key, status, reason }
        })
        .collect();
    let rejected = events.iter().filter(|entry| entry.status == "rejected").count();
    let accepted = events.len().saturating_sub(rejected);
    let data = Data { batch_id: id, status: "completed", accepted, rejected, events };
    // Texts and numbers always encode.
    serde_json::value::to_raw_value(&Reply { data }).unwrap_or_default()
}

/// How many bytes the kept answer to events with these keys has at most.
pub(crate) fn bytes_most(id: &str, keys: &[String]) -> usize {
    let encoded = |text: &str| serde_json::to_string(text).map_or(usize::MAX, |text| text.len());
    let frame = FRAME_BYTES.saturating_add(encoded(id));
    keys.iter()
        .fold(frame, |bytes, key| bytes.saturating_add(encoded(key)).saturating_add(EVENT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::{bytes_most, encode};
    use crate::{cards::CardRefusal, process::Decision};

    #[test]
    fn no_answer_is_longer_than_was_foreseen() {
        let keys = vec!["\u{1}".repeat(255); 500];
        let decided =
            keys.iter().map(|key| (key.clone(), Decision::Refused(CardRefusal::NotFound)));
        let body = encode("batch", decided);
        let most = bytes_most("batch", &keys);
        assert!(body.get().len() <= most, "{} of {most}", body.get().len());
        assert!(most <= 1024 * 1024, "the longest answer fits what a store keeps: {most}");
    }
}
