//! From an event to a transaction, or why it cannot become one.

use onceward::StoredEvent;
use onceward::sync::Misfit;
use serde_json::value::RawValue;

use super::members::{Members, Shape, shape};
use crate::decimal;
use crate::dialect::{captured_at, misfit};
use crate::excerpt;

/// What a field's value has to be.
#[derive(Clone, Copy)]
enum Rule {
    /// A text that must be there.
    Text,
    /// The money: a number that must be there.
    Money,
    /// A text that may be absent or `null`.
    OptionalText,
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

/// Every field that a transaction may have.
const FIELDS: [(&str, Rule); 10] = [
    ("qr_code_data", Rule::Text),
    ("location_id", Rule::Text),
    ("staff_user_id", Rule::Text),
    (MONEY, Rule::Money),
    (KEY, Rule::Key),
    ("punch_count", Rule::OptionalCount),
    ("transaction_notes", Rule::OptionalText),
    ("pos_reference_id", Rule::OptionalText),
    ("pos_terminal_id", Rule::OptionalText),
    (MOMENT, Rule::OptionalText),
];

/// The transaction that `event` stands for, as JSON text.
///
/// # Errors
///
/// The payload is no object, lacks a required field, has one that is unknown, twice there or of the
/// wrong type, carries another key, or its money differs from the event's amount.
pub(super) fn encode(event: &StoredEvent) -> Result<String, Misfit> {
    let members = members(event)?;
    for (name, rule) in FIELDS {
        let value = members.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value);
        check(event, name, rule, value)?;
    }
    // Checked above: every member has a known name, which needs no escape.
    let mut parts: Vec<String> =
        members.0.iter().map(|(name, value)| format!("\"{name}\":{}", value.get())).collect();
    let has = |name: &str| members.0.iter().any(|(member, _)| member == name);
    if !has(KEY) {
        parts.push(format!("\"{KEY}\":{}", serde_json::Value::from(event.event.key.as_str())));
    }
    if !has(MOMENT) {
        let moment = captured_at(event, MOMENT)?;
        parts.push(format!("\"{MOMENT}\":\"{moment}\""));
    }
    Ok(format!("{{{}}}", parts.join(",")))
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
            Rule::OptionalText | Rule::OptionalCount | Rule::Key => Ok(()),
        };
    };
    match (rule, shape(value)) {
        (Rule::Text | Rule::OptionalText, Shape::Text)
        | (Rule::OptionalText | Rule::OptionalCount, Shape::Null) => Ok(()),
        (Rule::OptionalCount, Shape::Number) if !value.get().contains(['.', 'e', 'E']) => Ok(()),
        (Rule::Key, Shape::Text) => check_key(event, value),
        (Rule::Money, Shape::Number) => check_money(event, value),
        (Rule::Text | Rule::OptionalText | Rule::Key, _) => {
            Err(misfit(format!("{name}: must be a text")))
        }
        (Rule::Money, _) => Err(misfit(format!("{name}: must be a number"))),
        (Rule::OptionalCount, _) => Err(misfit(format!("{name}: must be a whole number"))),
    }
}

/// A key in the payload must be the event's.
fn check_key(event: &StoredEvent, value: &RawValue) -> Result<(), Misfit> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(key) if key == event.event.key.as_str() => Ok(()),
        _ => Err(misfit(format!("{KEY}: the payload has another key than the event"))),
    }
}

/// An amount that was given at capture must be the payload's money, exactly.
fn check_money(event: &StoredEvent, value: &RawValue) -> Result<(), Misfit> {
    match event.event.amount {
        Some(amount) if decimal::ten_thousandths(value.get()) != Some(amount.ten_thousandths()) => {
            let shown = excerpt::cut(value.get(), excerpt::CODE_BYTES_MAX);
            Err(misfit(format!("{MONEY}: {shown} is not the event's amount, {amount}")))
        }
        Some(_) | None => Ok(()),
    }
}
