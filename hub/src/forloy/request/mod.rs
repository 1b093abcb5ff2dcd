//! The form of a Forloy request.

use onceward::{
    Amount, Event, Key, Payload, Scope,
    wire::{ITEM_BYTES_MAX, TEXT_BYTES_MAX},
};
use serde_json::value::RawValue;

use crate::{
    fields::{Faults, Object},
    moment,
    problem::{Code, Problem},
    process::{Item, UsedCard},
    receipt::CardType,
    strict::{self, Refusal},
};

/// The scope of all purchases.
const SCOPE: &str = "forloy";
/// Most purchases in one request.
const ITEMS_MAX: usize = 100;
/// Longest notes, bytes: whatever fits into a purchase.
const NOTES_BYTES_MAX: usize = ITEM_BYTES_MAX;

/// The purchases of a request.
///
/// # Errors
///
/// 400 if the body is not JSON; 422, naming every field at fault, if anything breaks a rule. One bad
/// purchase refuses them all, so that a client never has to guess which were looked at.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Item>, Problem> {
    let body = strict::parse(body).map_err(Refusal::into_problem)?;
    let mut faults = Faults::default();
    let items = read(body, &mut faults);
    let items = faults.or(items)?;
    items.ok_or_else(|| Problem::new(Code::InvalidRequest, "the request holds no purchases"))
}

/// The purchases, if nothing is at fault.
fn read(body: &RawValue, faults: &mut Faults) -> Option<Vec<Item>> {
    let mut request = Object::read(body, "", faults)?;
    let items = request.required_items("transactions", ITEMS_MAX, faults);
    request.finish(faults);
    let items = items?;
    let mut purchases = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        // Goes on after a bad one, to name the others too.
        purchases.extend(read_item(item, &format!("transactions[{index}]"), faults));
    }
    Some(purchases)
}

/// Reads a purchase; returns it if nothing of it is at fault.
fn read_item(item: &RawValue, path: &str, faults: &mut Faults) -> Option<Item> {
    let mut object = Object::read(item, path, faults)?;
    let code = object.required_text("qr_code_data", TEXT_BYTES_MAX, faults);
    let location = object.required_text("location_id", TEXT_BYTES_MAX, faults);
    let staff = object.required_text("staff_user_id", TEXT_BYTES_MAX, faults);
    let amount = object
        .required("purchase_amount", faults)
        .and_then(|value| read_amount(value, &object.path_of("purchase_amount"), faults));
    let key = object.required_key(faults);
    let punches = object.optional("punch_count");
    if let Some(value) = punches {
        check_count(value, &object.path_of("punch_count"), faults);
    }
    object.optional_text("pos_reference_id", TEXT_BYTES_MAX, faults);
    object.optional_text("pos_terminal_id", TEXT_BYTES_MAX, faults);
    if let Some(notes) = object.optional("transaction_notes") {
        check_notes(notes, &object.path_of("transaction_notes"), faults);
    }
    let captured_at_ms = object
        .optional("client_timestamp")
        .and_then(|value| moment::read(value, &object.path_of("client_timestamp"), faults));
    object.finish(faults);
    let payload = read_payload(item, path, faults);
    // All of them must be good; these two are looked at again by nobody.
    location.and(staff)?;
    let fallback = if punches.is_some() { CardType::Punch } else { CardType::Cashback };
    let event = event(key?, payload?, amount?, captured_at_ms)?;
    Some(Item { event, card: Some(UsedCard { code: code?, fallback }) })
}

/// The event of a purchase. The client's time is kept with it and decides nothing.
fn event(key: Key, payload: Payload, amount: Amount, captured_at_ms: Option<i64>) -> Option<Event> {
    let event = Event::new(Scope::new(SCOPE).ok()?, key, payload).with_amount(amount);
    Some(match captured_at_ms {
        Some(ms) => event.with_captured_at_ms(ms),
        None => event,
    })
}

/// The whole purchase as it was sent, without insignificant white space: the content of its key.
fn read_payload(item: &RawValue, path: &str, faults: &mut Faults) -> Option<Payload> {
    match Payload::json(item.get()) {
        Ok(payload) if payload.as_bytes().len() <= ITEM_BYTES_MAX => return Some(payload),
        Ok(_) => faults.add(path, format!("must be at most {ITEM_BYTES_MAX} bytes")),
        Err(error) => faults.add(path, format!("cannot be kept: {error}")),
    }
    None
}

/// The money that the number's own text states; it never passes through a float.
fn read_amount(value: &RawValue, path: &str, faults: &mut Faults) -> Option<Amount> {
    let text = value.get();
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let message = match text.parse::<Amount>() {
        _ if !is_number => "must be a number such as 24.50".to_owned(),
        _ if text.starts_with('-') => "must not be negative".to_owned(),
        Ok(amount) => return Some(amount),
        Err(_) if text.contains(['e', 'E']) => "must be written without an exponent".to_owned(),
        Err(error) => format!("must be money with at most 4 decimals: {error}"),
    };
    faults.add(path, message);
    None
}

/// Checks a number of punches.
fn check_count(value: &RawValue, path: &str, faults: &mut Faults) {
    if serde_json::from_str::<u32>(value.get()).is_err() {
        faults.add(path, format!("must be a whole number from 0 to {}", u32::MAX));
    }
}

/// Checks notes: any text, also an empty one.
fn check_notes(value: &RawValue, path: &str, faults: &mut Faults) {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) if text.len() <= NOTES_BYTES_MAX => {}
        Ok(_) => faults.add(path, format!("must be at most {NOTES_BYTES_MAX} bytes")),
        Err(_) => faults.add(path, "must be a string"),
    }
}

#[cfg(test)]
mod tests;
