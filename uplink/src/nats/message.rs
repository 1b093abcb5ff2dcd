//! A message as an item of a batch has it: subject and headers in lines, an empty line, the payload.
//!
//! It is made with the item, because only then the whole event is at hand, and taken apart when it is published.

use std::str;

use onceward::sync::{Form, Misfit};
use onceward::{Event, StoreId, StoredEvent};

use super::subject::{SubjectTemplate, visible};
use crate::timestamp;

/// The header by which a stream knows a message again.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// What headers begin with that are orders to the server, or ours: no event may have one.
const RESERVED: [&str; 2] = ["nats-", "onceward-"];
/// What ends subject and headers.
const END: &[u8] = b"\n\n";

/// A message, taken apart.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct MessageParts<'a> {
    /// Where it goes.
    pub(super) subject: &'a str,
    /// Names and values.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// The event's payload.
    pub(super) payload: &'a [u8],
}

impl<'a> MessageParts<'a> {
    /// Takes apart what [`form`] made.
    pub(super) fn open(item: &'a [u8]) -> Option<Self> {
        let end = item.windows(END.len()).position(|window| window == END)?;
        let head = str::from_utf8(item.get(..end)?).ok()?;
        let payload = item.get(end.checked_add(END.len())?..)?;
        let mut lines = head.split('\n');
        let subject = lines.next()?;
        let headers = lines.map(|line| line.split_once(':')).collect::<Option<Vec<_>>>()?;
        Some(Self { subject, headers, payload })
    }
}

/// The form of a store's events.
pub(super) fn form(store: StoreId, template: SubjectTemplate) -> Form {
    let store = store.to_string();
    std::sync::Arc::new(move |event, _key, item| write(&store, &template, event, item))
}

/// The check for [`Config::with_sendable`](onceward::Config::with_sendable) by which a store refuses at capture what
/// no stream can take, by its headers. How large a message may be only the server knows.
///
/// ```
/// use onceward::{Config, Event, Headers, Key, Payload, Scope, Store};
/// use onceward_uplink::nats::{SubjectTemplate, sendable};
///
/// # let dir = tempfile::tempdir()?;
/// let config = Config::new().with_sendable(sendable(SubjectTemplate::default()));
/// let store = Store::open(dir.path().join("store"), config)?;
/// let event = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
/// store.capture(&event)?;
/// // It would be an order to the server.
/// let order = Headers::new().with("nats-rollup", "all")?;
/// let event = Event { key: Key::new("sale-2")?, ..event }.with_headers(order);
/// assert!(store.capture(&event).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sendable(
    template: SubjectTemplate,
) -> impl Fn(&Event, i64) -> Result<(), Misfit> + Send + Sync + 'static {
    move |event, captured_at_ms| {
        let stored = StoredEvent::as_if_captured(event.clone(), captured_at_ms);
        write("", &template, &stored, &mut Vec::new())
    }
}

/// Appends an event's message.
fn write(
    store: &str,
    template: &SubjectTemplate,
    stored: &StoredEvent,
    item: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let event = &stored.event;
    let kind = event.kind.as_str();
    let mut head = template.subject(&event.scope, kind);
    let mut line = |name: &str, value: &str| {
        for part in ["\n", name, ":", value] {
            head.push_str(part);
        }
    };
    // A scope has no slash, so no other scope's key makes the same id.
    line(MESSAGE_ID, &format!("{}/{}", event.scope, visible(event.key.as_str())));
    line("Onceward-Store", store);
    line("Onceward-Lsn", &stored.lsn.to_string());
    line("Onceward-Kind", &visible(kind));
    if let Some(at) = stored.captured_at_ms.and_then(timestamp::rfc3339) {
        line("Onceward-Captured-At", &at);
    }
    for (name, value) in event.headers.iter() {
        check(name, value)?;
        line(name, value);
    }
    item.extend_from_slice(head.as_bytes());
    item.extend_from_slice(END);
    item.extend_from_slice(event.payload.as_bytes());
    Ok(())
}

/// Refuses a header that a message cannot have.
fn check(name: &str, value: &str) -> Result<(), Misfit> {
    let misfit = |code: &str, why: &str| {
        Err(Misfit { code: code.to_owned(), message: format!("headers.{name}: {why}") })
    };
    if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
        return misfit(
            "HEADER_RESERVED",
            "would be an order to the server, or one of Onceward's own",
        );
    }
    if value.chars().any(char::is_control) {
        return misfit("HEADER_UNSENDABLE", "has a control character in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use onceward::{Headers, Key, Kind, Payload, Scope};

    use super::*;

    fn event(scope: &str, key: &str) -> Event {
        let payload = Payload::bytes(b"\n\nbytes\xff".to_vec());
        Event::new(Scope::new(scope).unwrap(), Key::new(key).unwrap(), payload)
    }

    fn item(event: Event) -> Result<Vec<u8>, Misfit> {
        let mut item = Vec::new();
        let template = SubjectTemplate::parse("once.{scope}.{kind}").unwrap();
        write("store-1", &template, &StoredEvent::as_if_captured(event, 0), &mut item)?;
        Ok(item)
    }

    fn id(event: Event) -> String {
        let item = item(event).unwrap();
        MessageParts::open(&item).unwrap().headers[0].1.to_owned()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let headers = Headers::new().with("trace-id", "a: b").unwrap().with("empty", "").unwrap();
        let event = event("tips", "k-1").with_kind(Kind::new("A b").unwrap()).with_headers(headers);
        let item = item(event).unwrap();
        let parts = MessageParts::open(&item).unwrap();
        assert_eq!(
            (parts.subject, parts.payload),
            ("once.tips.A%20b", b"\n\nbytes\xff".as_slice())
        );
        let expected = [
            (MESSAGE_ID, "tips/k-1"),
            ("Onceward-Store", "store-1"),
            ("Onceward-Lsn", "1"),
            ("Onceward-Kind", "A%20b"),
            ("Onceward-Captured-At", "1970-01-01T00:00:00.000Z"),
            ("trace-id", "a: b"),
            ("empty", ""),
        ];
        assert_eq!(parts.headers, expected);
    }

    #[test]
    fn no_two_keys_have_the_same_id() {
        let ids = [
            id(event("a", "b/c")),
            id(event("a", "b")),
            id(event("b", "b")),
            id(event("a", "b ")),
            id(event("a", " b")),
            id(event("a", "b%20")),
            id(event("a", "b\r\n")),
            id(event("a", "\u{e9}")),
        ];
        let expected =
            ["a/b/c", "a/b", "b/b", "a/b%20", "a/%20b", "a/b%2520", "a/b%0D%0A", "a/%C3%A9"];
        assert_eq!(ids, expected);
    }

    #[test]
    fn headers_that_would_be_orders_or_break_out_are_refused() {
        for (name, value, code) in [
            ("nats-rollup", "all", "HEADER_RESERVED"),
            ("onceward-lsn", "7", "HEADER_RESERVED"),
            ("note", "a\r\nNats-Rollup: all", "HEADER_UNSENDABLE"),
        ] {
            let headers = Headers::new().with(name, value).unwrap();
            assert_eq!(item(event("a", "b").with_headers(headers)).unwrap_err().code, code);
        }
    }
}
