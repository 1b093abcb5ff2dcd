//! From an event to a transaction, or why it cannot become one.

use onceward::sync::Misfit;
use onceward::wire::{ITEM_BYTES_MAX, TEXT_BYTES_MAX, parse_rfc3339};
use onceward::{Amount, StoredEvent};
use serde_json::value::RawValue;

use crate::dialect::members::{Members, Shape, shape, text};
use crate::dialect::{captured_at, fits_alone, misfit, push_text};
use crate::excerpt;

/// The rule that a field's value has to keep.
#[derive(Clone, Copy)]
enum Rule {
    /// A text that must be there.
    Text,
    /// The money: a number that must be there.
    Money,
    /// A text that may be absent or `null`.
    OptionalText,
    /// A text, also empty and of any length.
    Notes,
    /// A moment that may be absent or `null`.
    Moment,
    /// A whole number that may be absent or `null`.
    OptionalCount,
    /// The event's own key; absent in most payloads, and then added.
    Key,
}

/// The field that holds the event's key.
const KEY: &str = "idempotency_key";
/// The field that says when it happened.
const MOMENT: &str = "client_timestamp";
/// The field that holds the money.
const MONEY: &str = "purchase_amount";

/// Longest spelling of a moment, bytes.
const MOMENT_BYTES_MAX: usize = 64;

/// Every field that a transaction may have.
const FIELDS: [(&str, Rule); 10] = [
    ("qr_code_data", Rule::Text),
    ("location_id", Rule::Text),
    ("staff_user_id", Rule::Text),
    (MONEY, Rule::Money),
    (KEY, Rule::Key),
    ("punch_count", Rule::OptionalCount),
    ("transaction_notes", Rule::Notes),
    ("pos_reference_id", Rule::OptionalText),
    ("pos_terminal_id", Rule::OptionalText),
    (MOMENT, Rule::Moment),
];

/// Appends the transaction that `event` is, as JSON text, with the key under which the upstream gets it, also in the
/// place of the payload's own.
///
/// # Errors
///
/// The payload is no object, lacks a required field, has one that is unknown, twice there or of the
/// wrong type or too long, carries another key, or its money differs from the event's amount; or the transaction
/// as a whole is too long.
pub(super) fn encode(
    event: &StoredEvent,
    wire_key: &str,
    item: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let start = item.len();
    let members = members(event)?;
    for (name, rule) in FIELDS {
        let value = members.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value);
        check(event, name, rule, value)?;
    }
    // Checked above: every member has a known name, which needs no escape.
    // The payload's own key is the event's, and stays as it is spelled where the upstream gets just that.
    let is_other_key = wire_key != event.event.key.as_str();
    for (name, value) in &members.0 {
        push_name(name, start, item);
        if name == KEY && is_other_key {
            push_text(wire_key, item);
        } else {
            item.extend_from_slice(value.get().as_bytes());
        }
    }
    let has = |name: &str| members.0.iter().any(|(member, _)| member == name);
    if !has(KEY) {
        push_name(KEY, start, item);
        push_text(wire_key, item);
    }
    if !has(MOMENT) {
        let moment = captured_at(event, MOMENT)?;
        push_name(MOMENT, start, item);
        push_text(&moment, item);
    }
    item.push(b'}');
    fits_alone(item, start)
}

/// Appends the name of a member of the item that begins at `start`, and what is before its value.
fn push_name(name: &str, start: usize, item: &mut Vec<u8>) {
    item.extend_from_slice(if item.len() == start { b"{\"" } else { b",\"" });
    item.extend_from_slice(name.as_bytes());
    item.extend_from_slice(b"\":");
}

/// The payload's members, if it is an object of known fields, each at most once.
fn members(event: &StoredEvent) -> Result<Members<'_>, Misfit> {
    let text = event.event.payload.as_json().ok_or_else(|| misfit("the payload is not JSON"))?;
    let members: Members<'_> = serde_json::from_str(text)
        .map_err(|_not_an_object| misfit("the payload is not a JSON object"))?;
    for (position, (name, _)) in members.0.iter().enumerate() {
        if !FIELDS.iter().any(|(field, _)| field == name) {
            let shown = excerpt::cut(name, excerpt::CODE_BYTES_MAX).escape_debug();
            return Err(misfit(format!("{shown}: unknown field")));
        }
        if members.0.iter().take(position).any(|(earlier, _)| earlier == name) {
            return Err(misfit(format!("{name}: the field is there twice")));
        }
    }
    Ok(members)
}

/// Checks one field by its rule.
fn check(
    event: &StoredEvent,
    name: &str,
    rule: Rule,
    value: Option<&RawValue>,
) -> Result<(), Misfit> {
    let Some(value) = value else {
        return match rule {
            Rule::Text | Rule::Money => Err(misfit(format!("{name}: the field is missing"))),
            Rule::OptionalText | Rule::Notes | Rule::Moment | Rule::OptionalCount | Rule::Key => {
                Ok(())
            }
        };
    };
    let is_null = shape(value) == Shape::Null;
    match rule {
        Rule::OptionalText | Rule::Notes | Rule::Moment | Rule::OptionalCount if is_null => Ok(()),
        Rule::Text | Rule::OptionalText => text(value, name, TEXT_BYTES_MAX).map(drop),
        Rule::Notes if value.get() == "\"\"" => Ok(()),
        Rule::Notes => text(value, name, ITEM_BYTES_MAX).map(drop),
        Rule::Moment => check_moment(&text(value, name, MOMENT_BYTES_MAX)?),
        Rule::OptionalCount if serde_json::from_str::<u32>(value.get()).is_ok() => Ok(()),
        Rule::OptionalCount => {
            Err(misfit(format!("{name}: must be a whole number from 0 to {}", u32::MAX)))
        }
        Rule::Key => check_key(event, &text(value, name, TEXT_BYTES_MAX)?),
        Rule::Money => check_money(event, value),
    }
}

/// A moment that the till gives is one that others read, too.
fn check_moment(text: &str) -> Result<(), Misfit> {
    parse_rfc3339(text).map(drop).map_err(|fault| misfit(format!("{MOMENT}: {fault}")))
}

/// A key in the payload must be the event's.
fn check_key(event: &StoredEvent, key: &str) -> Result<(), Misfit> {
    if key == event.event.key.as_str() {
        return Ok(());
    }
    Err(misfit(format!("{KEY}: the payload has another key than the event")))
}

/// The money is a plain decimal number, not negative; an amount that was given at capture must be the same.
fn check_money(event: &StoredEvent, value: &RawValue) -> Result<(), Misfit> {
    let text = value.get();
    let why = match (shape(value), text.parse::<Amount>()) {
        (Shape::Number, _) if text.starts_with('-') => "must not be negative".to_owned(),
        (Shape::Number, Ok(money)) => match event.event.amount {
            Some(amount) if amount != money => {
                format!("{money} is not the event's amount, {amount}")
            }
            Some(_) | None => return Ok(()),
        },
        (Shape::Number, Err(_)) if text.contains(['e', 'E']) => {
            "must be written without an exponent".to_owned()
        }
        (Shape::Number, Err(found)) => format!("must be money with at most 4 decimals: {found}"),
        (Shape::Text | Shape::Null | Shape::Other, _) => "must be a number".to_owned(),
    };
    Err(misfit(format!("{MONEY}: {why}")))
}
