//! What an answer is read as, in words.

use onceward::sync::{Answered, Failure, ItemOutcome, Reply};
use serde::Serialize;

/// An answer as it is read.
#[derive(Debug, Serialize)]
pub(super) struct Read {
    /// Its status.
    pub(super) status: u16,
    /// What becomes of the events that it names.
    items: Vec<ItemShape>,
    /// What becomes of the request, where the answer is none by item.
    request: Option<Said>,
}

/// What becomes of an event.
#[derive(Debug, Serialize)]
struct ItemShape {
    /// The key.
    key: String,
    /// Whether it is that of the event that was sent.
    is_sent: bool,
    /// What becomes of it.
    #[serde(flatten)]
    said: Said,
}

/// What becomes of something, for a program and for a person.
#[derive(Debug, Serialize)]
struct Said {
    /// In one word.
    outcome: &'static str,
    /// In words.
    text: String,
}

impl Read {
    /// The answer to a request with the event of that key.
    pub(super) fn of_request(status: u16, key: &str, read: Result<Reply, Failure>) -> Self {
        let reply = match read {
            Ok(reply) => reply,
            Err(failure) => return Self::of_failure(status, &failure),
        };
        let of = |(named, found): &(String, ItemOutcome)| {
            let other = if named == key { "" } else { " (not the event that was sent)" };
            let text = format!("{}{other}", outcome(found));
            item(named, named == key, word_of(found), text)
        };
        let mut items: Vec<ItemShape> = reply.items.iter().map(of).collect();
        if !items.iter().any(|item| item.is_sent) {
            items.push(item(key, true, "not_named", "not named: it stays pending".to_owned()));
        }
        Self { status, items, request: None }
    }

    /// The answer to a lookup of that key.
    pub(super) fn of_lookup(
        status: u16,
        key: &str,
        read: Result<Option<ItemOutcome>, Failure>,
    ) -> Self {
        let item = match read {
            Ok(Some(found)) => item(key, true, word_of(&found), outcome(&found)),
            Ok(None) => item(key, true, "unknown", "unknown: the upstream never got it".to_owned()),
            Err(failure) => return Self::of_failure(status, &failure),
        };
        Self { status, items: vec![item], request: None }
    }

    /// An answer that is none by item.
    fn of_failure(status: u16, failure: &Failure) -> Self {
        let said = Said { outcome: word_of_failure(failure), text: described(failure) };
        Self { status, items: Vec::new(), request: Some(said) }
    }

    /// The same for a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let request = self.request.iter().map(|said| format!("request: {}", said.text));
        let items = self.items.iter().map(|item| format!("{}: {}", item.key, item.said.text));
        request.chain(items).collect()
    }
}

/// What becomes of the event of a key.
fn item(key: &str, is_sent: bool, outcome: &'static str, text: String) -> ItemShape {
    ItemShape { key: key.to_owned(), is_sent, said: Said { outcome, text } }
}

/// What becomes of an event, in one word.
fn word_of(outcome: &ItemOutcome) -> &'static str {
    match outcome {
        ItemOutcome::Accepted { .. } => "accepted",
        ItemOutcome::Duplicate { .. } => "duplicate",
        ItemOutcome::Rejected { .. } => "rejected",
        ItemOutcome::Uncertain { .. } => "uncertain",
        ItemOutcome::Transient { .. } => "transient",
    }
}

/// What becomes of a request, in one word.
fn word_of_failure(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unavailable { answered: Answered::Upstream, .. } => "unavailable",
        Failure::Unavailable { .. } => "not_recognised",
        Failure::Blocked { .. } => "blocked",
        Failure::TooLarge | Failure::LineTooNarrow { .. } | Failure::ReplyTooLarge { .. } => {
            "too_large"
        }
        Failure::Refused { .. } => "refused",
        Failure::BatchKeyRefused { .. } => "batch_key_refused",
        Failure::InProgress { .. } => "in_progress",
        _ => "other",
    }
}

/// What becomes of an event.
fn outcome(outcome: &ItemOutcome) -> String {
    let with = |receipt: &Option<onceward::Receipt>| match receipt {
        Some(receipt) => format!(", receipt {}", String::from_utf8_lossy(receipt.as_bytes())),
        None => String::new(),
    };
    match outcome {
        ItemOutcome::Accepted { receipt } => format!("accepted{}", with(receipt)),
        ItemOutcome::Duplicate { receipt } => format!("duplicate{}", with(receipt)),
        ItemOutcome::Rejected { code, message, .. } => {
            format!("rejected, it goes to review: {code}: {message}")
        }
        ItemOutcome::Uncertain { code, message } => {
            format!("uncertain, a person must find out: {code}: {message}")
        }
        ItemOutcome::Transient { code, retry_after_ms } => {
            format!("transient, it is sent again{}: {code}", wait(*retry_after_ms))
        }
    }
}

/// What becomes of the request as a whole.
fn described(failure: &Failure) -> String {
    match failure {
        Failure::Unavailable { why, retry_after_ms, answered } => {
            let who = match answered {
                Answered::Upstream => "the upstream has no answer for now",
                _ => "this proves nothing: it is a failure of the line",
            };
            format!("{who}, it is sent again{}: {why}", wait(*retry_after_ms))
        }
        Failure::Blocked { why } => format!("blocked, sending pauses: {why}"),
        Failure::TooLarge => "too large, it is halved".to_owned(),
        Failure::LineTooNarrow { why } | Failure::ReplyTooLarge { why } => {
            format!("too large for the line, it is halved: {why}")
        }
        Failure::Refused { code, message } => {
            format!("refused, the event at fault is looked for: {code}: {message}")
        }
        Failure::BatchKeyRefused { code, message } => {
            format!("the batch's key is refused, it is formed anew: {code}: {message}")
        }
        Failure::InProgress { retry_after_ms } => {
            format!("in progress, it is asked again{}", wait(*retry_after_ms))
        }
        other => format!("{other:?}"),
    }
}

/// The wish of whoever answered.
fn wait(retry_after_ms: Option<u64>) -> String {
    retry_after_ms.map(|ms| format!(" after {ms} ms")).unwrap_or_default()
}
