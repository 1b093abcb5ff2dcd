//! Publishes the events of a batch, all at once, and waits for the ack of each.

use std::str::FromStr;
use std::sync::Arc;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Request, RequestErrorKind};
use onceward::sync::{Answered, Batch, Failure, ItemOutcome, Reply};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::ack::{Told, rejected, told};
use super::link::Link;
use super::message::MessageParts;

/// The header by which another stream that has the subject refuses a message.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// A message on its way.
struct Sent {
    key: String,
    /// Where it went, in quotation marks, as a server names it that refuses it.
    quoted: String,
    task: AbortHandle,
    told: Option<Told>,
}

/// Publishes the events of a batch and says what became of each, or of all.
pub(super) async fn publish(link: Arc<Link>, batch: Batch) -> (Batch, Result<Reply, Failure>) {
    let mut refusals = link.news.refusals();
    let mut tasks = JoinSet::new();
    let mut sent: Vec<Sent> = Vec::with_capacity(batch.items().len());
    for (at, item) in batch.items().enumerate() {
        let message = MessageParts::open(item.body).ok_or_else(unanswered);
        let message = message.and_then(|parts| Outgoing::new(&link.stream, &parts));
        let subject = message.as_ref().map(|message| message.subject.as_str()).unwrap_or_default();
        let quoted = format!("\"{subject}\"");
        let link = Arc::clone(&link);
        let task = tasks.spawn(async move {
            let told = match message {
                Ok(message) => message.send(&link).await,
                Err(told) => told,
            };
            (at, told)
        });
        sent.push(Sent { key: item.key.to_owned(), quoted, task, told: None });
    }
    // A task that was given up says nothing.
    let note = |sent: &mut [Sent], done: Result<(usize, Told), JoinError>| {
        if let Some((sent, told)) = done.ok().and_then(|(at, told)| Some((sent.get_mut(at)?, told)))
        {
            sent.told.get_or_insert(told);
        }
    };
    while !tasks.is_empty() {
        tokio::select! {
            biased;
            Some(done) = tasks.join_next() => note(&mut sent, done),
            () = link.news.lost() => {
                while let Some(done) = tasks.try_join_next() {
                    note(&mut sent, done);
                }
                give_up(&mut sent, |_| true, &nobody("the connection was lost"));
                break;
            }
            // Of those that are passed over, others say the same; or no ack comes in time.
            Ok(why) = refusals.recv() => {
                let is_about = |sent: &Sent| !why.contains("Publish") || why.contains(&sent.quoted);
                give_up(&mut sent, is_about, &Failure::Blocked { why: why.clone() });
            }
        }
    }
    let told = sent.into_iter().map(|sent| (sent.key, sent.told.unwrap_or_else(unanswered)));
    (batch, judge(told.collect()))
}

/// No more answers are waited for, to messages for which that holds.
fn give_up(sent: &mut [Sent], is_about: impl Fn(&Sent) -> bool, failure: &Failure) {
    for sent in sent.iter_mut().filter(|sent| sent.told.is_none() && is_about(sent)) {
        sent.told = Some(Told::Failed(failure.clone()));
        sent.task.abort();
    }
}

/// A message as it is published.
struct Outgoing {
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

impl Outgoing {
    /// The message of an event; or why it cannot be one.
    fn new(stream: &str, parts: &MessageParts<'_>) -> Result<Self, Told> {
        let mut headers = HeaderMap::new();
        for (name, value) in parts.headers.iter().chain(&[(EXPECTED_STREAM, stream)]) {
            let unsendable = |why: String| rejected("HEADER_UNSENDABLE", format!("{name}: {why}"));
            let header = HeaderName::from_str(name);
            let header = header.map_err(|error| unsendable(error.to_string()))?;
            let value = HeaderValue::from_str(value);
            headers.append(header, value.map_err(|error| unsendable(error.to_string()))?);
        }
        let (subject, payload) = (parts.subject.to_owned(), parts.payload.to_vec());
        Ok(Self { subject, headers, payload })
    }

    /// Publishes it, and waits for its ack.
    async fn send(self, link: &Link) -> Told {
        let request = Request::new().headers(self.headers).payload(self.payload.into());
        let request = request.timeout(Some(link.ack_timeout));
        let error = match link.client.send_request(self.subject, request).await {
            Ok(message) => return told(&link.stream, &message.payload),
            Err(error) => error,
        };
        match error.kind() {
            RequestErrorKind::MaxPayloadExceeded => rejected("MAX_PAYLOAD", error.to_string()),
            RequestErrorKind::InvalidSubject => rejected("SUBJECT_INVALID", error.to_string()),
            RequestErrorKind::NoResponders => {
                let why = "no stream takes the message: it has no leader now, or is gone";
                let (why, answered) = (why.to_owned(), Answered::Upstream);
                Told::Failed(Failure::Unavailable { why, retry_after_ms: None, answered })
            }
            RequestErrorKind::TimedOut => {
                let ms = link.ack_timeout.as_millis();
                Told::Failed(nobody(&format!("no publish ack within {ms} ms")))
            }
            RequestErrorKind::Other => Told::Failed(nobody(&error.to_string())),
        }
    }
}

/// Nobody answered.
fn nobody(why: &str) -> Failure {
    let answered = Answered::Nobody;
    Failure::Unavailable { why: why.to_owned(), retry_after_ms: None, answered }
}

/// Nothing is known of a message.
fn unanswered() -> Told {
    Told::Failed(nobody("the message was given up"))
}

/// What the answers to the messages of a batch say together: a reply, if anything is known of any event; or else what
/// failed, the gravest.
fn judge(told: Vec<(String, Told)>) -> Result<Reply, Failure> {
    let failures = told.iter().filter_map(|(_, told)| match told {
        Told::Failed(failure) => Some(failure),
        Told::Outcome(_) => None,
    });
    let gravest = failures.max_by_key(|failure| gravity(failure)).cloned();
    let has_outcome = told.iter().any(|(_, told)| matches!(told, Told::Outcome(_)));
    if let Some(failure) = gravest.filter(|_| !has_outcome) {
        return Err(failure);
    }
    let items = told.into_iter().map(|(key, told)| match told {
        Told::Outcome(outcome) => (key, outcome),
        Told::Failed(failure) => {
            let code = code(&failure).to_owned();
            (key, ItemOutcome::Transient { code, retry_after_ms: None })
        }
    });
    Ok(Reply::of(items.collect()))
}

/// How grave a failure is: what only a person can mend is more than what passes.
fn gravity(failure: &Failure) -> u8 {
    match failure {
        Failure::Blocked { .. } => 2,
        Failure::Misdirected { .. } => 1,
        _ => 0,
    }
}

/// A failure as what an event has that failed for it while others did not.
fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::Blocked { .. } => "NOT_PERMITTED",
        Failure::Misdirected { .. } => "OTHER_STREAM",
        _ => "NO_ACK",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fails_as_a_whole_only_where_nothing_is_known_of_any_of_its_events() {
        let key = |text: &str| text.to_owned();
        let accepted = || Told::Outcome(ItemOutcome::Accepted { receipt: None });
        let silent = || Told::Failed(nobody("no ack"));
        let blocked = || Told::Failed(Failure::Blocked { why: "no".to_owned() });
        let all = vec![(key("a"), silent()), (key("b"), blocked()), (key("c"), silent())];
        assert!(matches!(judge(all), Err(Failure::Blocked { .. })));
        let some = vec![(key("a"), silent()), (key("b"), accepted()), (key("c"), blocked())];
        let reply = judge(some).unwrap();
        let later =
            |code: &str| ItemOutcome::Transient { code: code.to_owned(), retry_after_ms: None };
        let expected = [
            (key("a"), later("NO_ACK")),
            (key("b"), ItemOutcome::Accepted { receipt: None }),
            (key("c"), later("NOT_PERMITTED")),
        ];
        assert_eq!(reply.items, expected);
    }
}
