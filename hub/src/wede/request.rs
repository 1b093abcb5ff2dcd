//! The form of a Wede request.

use onceward::{
    Amount, Event, Kind, Payload, Scope,
    wire::{ITEM_BYTES_MAX, TEXT_BYTES_MAX},
};
use serde_json::value::RawValue;

use crate::{
    batches, fields,
    fields::{Faults, Object},
    moment,
    problem::{Code, Problem},
    process::{Item, UsedCard},
    receipt::CardType,
    strict::{self, Refusal},
};

/// The scope of all events.
const SCOPE: &str = "wede";
/// Most events in one request.
const ITEMS_MAX: usize = 500;
/// Longest type, bytes: it must fit a kind of the store.
const TYPE_BYTES_MAX: usize = 64;

/// A batch that keeps all rules.
pub(crate) struct Batch {
    /// The events.
    pub(crate) items: Vec<Item>,
    /// The events' keys, in the same order.
    pub(crate) keys: Vec<String>,
    /// The hash that distinguishes this batch from others: its device and events. The time is left out, since a client
    /// that repeats the call may state the time of the repetition.
    pub(crate) fingerprint: String,
}

/// The batch of a request.
///
/// # Errors
///
/// 400 if the body is not JSON; 422, naming every field at fault, if anything breaks a rule.
pub(crate) fn parse(body: &[u8]) -> Result<Batch, Problem> {
    let body = strict::parse(body).map_err(Refusal::into_problem)?;
    let mut faults = Faults::default();
    let batch = read(body, &mut faults);
    let batch = faults.or(batch)?;
    batch.ok_or_else(|| Problem::new(Code::InvalidRequest, "the request holds no batch"))
}

/// The batch, if nothing is at fault.
fn read(body: &RawValue, faults: &mut Faults) -> Option<Batch> {
    let mut request = Object::read(body, "", faults)?;
    let device = request.required_text("device_id", TEXT_BYTES_MAX, faults);
    if let Some(value) = request.required("captured_at", faults) {
        moment::read(value, "captured_at", faults);
    }
    let events = request.required_items("events", ITEMS_MAX, faults);
    request.finish(faults);
    let mut items = Vec::new();
    for (index, event) in events?.into_iter().enumerate() {
        // Goes on after a bad one, to name the others too.
        items.extend(read_item(event, &format!("events[{index}]"), faults));
    }
    let device = device?;
    let mut parts = vec![device.as_bytes()];
    parts.extend(items.iter().map(|item| item.event.payload.as_bytes()));
    let fingerprint = batches::fingerprint(&parts);
    let keys = items.iter().map(|item| item.event.key.as_str().to_owned()).collect();
    Some(Batch { items, keys, fingerprint })
}

/// Reads an event; returns it if nothing of it is at fault.
fn read_item(item: &RawValue, path: &str, faults: &mut Faults) -> Option<Item> {
    let mut object = Object::read(item, path, faults)?;
    let kind = object.required_text("type", TYPE_BYTES_MAX, faults);
    let key = object.required_key(faults);
    let content = object.required("payload", faults);
    let content = content.and_then(|value| read_content(value, &object.path_of("payload"), faults));
    object.finish(faults);
    let payload = read_payload(item, path, faults);
    let Content { card, amount } = content?;
    let kind = Kind::new(&kind?).ok()?;
    let event = Event::new(Scope::new(SCOPE).ok()?, key?, payload?).with_kind(kind);
    let event = match amount {
        Some(amount) => event.with_amount(amount),
        None => event,
    };
    Some(Item { event, card })
}

/// The part of an event's payload that the hub itself understands.
struct Content {
    /// The card that the event uses, if any.
    card: Option<UsedCard>,
    /// The event's `amount`, if that is money as the store counts it.
    amount: Option<Amount>,
}

/// Reads what the hub understands of a payload, which may hold anything else besides.
fn read_content(payload: &RawValue, path: &str, faults: &mut Faults) -> Option<Content> {
    let mut object = Object::read(payload, path, faults)?;
    let amount = object.optional("amount").and_then(|value| value.get().parse().ok());
    let Some(code) = object.optional("qr_code_data") else {
        return Some(Content { card: None, amount });
    };
    let code = fields::text(code, &object.path_of("qr_code_data"), TEXT_BYTES_MAX, faults)?;
    let punches = object.optional("punch_count").is_some();
    let fallback = if punches { CardType::Punch } else { CardType::Cashback };
    Some(Content { card: Some(UsedCard { code, fallback }), amount })
}

/// The whole event as it was sent, without insignificant white space: the content of its key.
fn read_payload(item: &RawValue, path: &str, faults: &mut Faults) -> Option<Payload> {
    match Payload::json(item.get()) {
        Ok(payload) if payload.as_bytes().len() <= ITEM_BYTES_MAX => return Some(payload),
        Ok(_) => faults.add(path, format!("must be at most {ITEM_BYTES_MAX} bytes")),
        Err(error) => faults.add(path, format!("cannot be kept: {error}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;

    const EVENT: &str = r#"{"type":"PAYMENT","idempotency_key":"k","payload":{"amount":150.00}}"#;

    fn batch(events: &str) -> String {
        format!(
            r#"{{"events":[{events}],"device_id":"d","captured_at":"2026-03-10T14:22:05.000Z"}}"#
        )
    }

    fn refusal(body: &str) -> String {
        match parse(body.as_bytes()) {
            Ok(batch) => panic!("{} events accepted: {body}", batch.items.len()),
            Err(problem) => format!("{problem:?}"),
        }
    }

    #[test]
    fn the_amount_of_a_payload_is_taken_from_its_own_text_where_it_is_money() {
        let amount = |event: &str| {
            let batch = parse(batch(event).as_bytes()).unwrap();
            batch.items.first().unwrap().event.amount.map(|amount| amount.to_string())
        };
        assert_eq!(amount(EVENT), Some("150.00".to_owned()));
        assert_eq!(amount(&EVENT.replace("150.00", "1e2")), None);
        assert_eq!(amount(&EVENT.replace("150.00", "\"150.00\"")), None);
    }

    #[test]
    fn what_breaks_a_rule_is_named_by_its_path() {
        assert_eq!(parse(batch(EVENT).as_bytes()).unwrap().items.len(), 1, "control");
        for (from, to, expected) in [
            (r#""type":"PAYMENT","#, "", "events[1].type is missing"),
            ("\"PAYMENT\"", "\"\"", "events[1].type must not be empty"),
            ("\"PAYMENT\"", "5", "events[1].type must be a string"),
            (r#""idempotency_key":"k","#, "", "events[1].idempotency_key is missing"),
            (
                r#""payload":{"amount":150.00}"#,
                r#""payload":1"#,
                "events[1].payload must be an object",
            ),
            (
                r#"{"amount":150.00}"#,
                r#"{"qr_code_data":1}"#,
                "events[1].payload.qr_code_data must be",
            ),
            (
                r#"{"amount":150.00}"#,
                r#"{"a":{"b":1,"b":2}}"#,
                "events[1].payload.a.b is there twice",
            ),
            (r#"{"type""#, r#"{"x":1,"type""#, "events[1].x is not a known field"),
        ] {
            let bad = EVENT.replacen(from, to, 1);
            assert_ne!(bad, EVENT, "control: {from} is there");
            let shown = refusal(&batch(&format!("{EVENT},{bad}")));
            assert!(shown.contains(expected), "{bad}: {shown}");
        }
    }

    #[test]
    fn a_batch_holds_1_to_500_events_a_device_and_a_time() {
        let many = |count: usize| batch(&vec![EVENT; count].join(","));
        assert_eq!(parse(many(500).as_bytes()).unwrap().items.len(), 500, "control");
        assert!(refusal(&many(0)).contains("events must hold 1 to 500 items, not 0"));
        assert!(refusal(&many(501)).contains("events must hold 1 to 500 items, not 501"));
        let without_device = batch(EVENT).replace(r#""device_id":"d","#, "");
        assert!(refusal(&without_device).contains("device_id is missing"));
        let bad_time = batch(EVENT).replace("2026-03-10T14:22:05.000Z", "today");
        assert!(refusal(&bad_time).contains("captured_at must be an RFC 3339 time"));
    }

    #[test]
    fn the_fingerprint_follows_device_and_events_and_not_the_time_or_white_space() {
        let of = |body: &str| parse(body.as_bytes()).unwrap().fingerprint;
        let one = batch(EVENT);
        assert_eq!(of(&one), of(&one.replace("14:22:05", "14:22:06")));
        assert_eq!(of(&one), of(&one.replace(':', " : ").replace("14 : 22 : 05", "14:22:05")));
        assert_ne!(of(&one), of(&one.replace("150.00", "150.01")));
        assert_ne!(of(&one), of(&one.replace("\"d\"", "\"e\"")));
    }
}
