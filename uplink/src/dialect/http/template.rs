//! A JSON value with placeholders: read once, and rendered for each event with what is fixed byte for byte.

use onceward::StoredEvent;
use onceward::sync::Misfit;
use onceward::wire::{JSON_LEVELS_MAX, check_json};
use serde_json::value::RawValue;
use toml::{Spanned, Value as TomlValue};

use super::fault::{Found, found};
use super::placeholder::{Place, Placeholder};
use super::text::{Text, Value};
use crate::dialect::members::Members;
use crate::dialect::{misfit, push_text};

/// The member whose place the payload's members take.
const MERGED: &str = "...payload";

/// A value of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Node {
    /// As it is spelled.
    Fixed(String),
    /// A text with placeholders.
    Text(Text),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<Member>),
    /// The items of the request.
    Items,
}

/// A part of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Member {
    /// A name and its value.
    Named(String, Node),
    /// The members of the payload.
    Payload,
}

/// Whether an amount that is alone in a text is a number or stays a text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum AmountForm {
    /// A number.
    Number,
    /// A text.
    #[default]
    Text,
}

/// What a template is filled with.
pub(super) struct Filling<'a> {
    /// Gives the values.
    pub(super) value: &'a dyn Fn(&Placeholder) -> Value<'a>,
    /// The event whose payload it may have.
    pub(super) event: Option<&'a StoredEvent>,
    /// How amounts are spelled.
    pub(super) amount: AmountForm,
    /// The items, as JSON.
    pub(super) items: &'a [u8],
}

/// Reads the template that is the field of that path.
pub(super) fn parse(at: &Spanned<TomlValue>, field: &str, place: Place) -> Result<Node, Found> {
    let allowed = "JSON as a text, or a table without dates";
    let wrong = |what: String| found(at, field, what, allowed);
    let json = match at.get_ref() {
        TomlValue::String(json) => json.clone(),
        TomlValue::Table(_) | TomlValue::Array(_) => {
            if !has_json(at.get_ref()) {
                return Err(wrong("a date or a number without end has no JSON".to_owned()));
            }
            serde_json::to_string(at.get_ref()).map_err(|error| wrong(error.to_string()))?
        }
        other => return Err(wrong(format!("a template is no {}", other.type_str()))),
    };
    let raw: &RawValue =
        serde_json::from_str(&json).map_err(|error| wrong(format!("not JSON: {error}")))?;
    check_json(raw.get(), JSON_LEVELS_MAX)
        .map_err(|fault| wrong(format!("{} {}", fault.path, fault.message)))?;
    node(raw, place).map_err(|what| found(at, field, what, place.allowed()))
}

/// Whether every part of a table has a JSON form.
fn has_json(value: &TomlValue) -> bool {
    match value {
        TomlValue::Datetime(_) => false,
        TomlValue::Float(number) => number.is_finite(),
        TomlValue::Array(list) => list.iter().all(has_json),
        TomlValue::Table(table) => table.iter().all(|(_, value)| has_json(value)),
        TomlValue::String(_) | TomlValue::Integer(_) | TomlValue::Boolean(_) => true,
    }
}

/// Reads a value, which passed the check for JSON that all readers understand alike.
fn node(raw: &RawValue, place: Place) -> Result<Node, String> {
    let text = raw.get();
    let broken = |error: serde_json::Error| error.to_string();
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(broken)?;
            let members = members.into_iter().map(|(name, value)| member(&name, value, place));
            members.collect::<Result<_, _>>().map(Node::Object)
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
            list.into_iter()
                .map(|value| node(value, place))
                .collect::<Result<_, _>>()
                .map(Node::List)
        }
        Some(b'"') => {
            let text = Text::parse(&serde_json::from_str::<String>(text).map_err(broken)?, place)?;
            if text.pieces.len() > 1 && text.placeholders().any(|of| *of == Placeholder::Payload) {
                return Err("{payload} has other text beside it".to_owned());
            }
            Ok(Node::Text(text))
        }
        _ => Ok(Node::Fixed(text.to_owned())),
    }
}

/// Reads a part of an object.
fn member(name: &str, value: &RawValue, place: Place) -> Result<Member, String> {
    if name != MERGED {
        return Ok(Member::Named(name.to_owned(), node(value, place)?));
    }
    match (place, value.get()) {
        (Place::Item, "true") => Ok(Member::Payload),
        (Place::Item, _) => Err(format!("\"{MERGED}\" has another value than true")),
        _ => Err(format!("\"{MERGED}\" cannot be here")),
    }
}

impl Node {
    /// Whether a text in it has the event's key.
    pub(super) fn names_event(&self) -> bool {
        self.any(&|text| text.names_event())
    }

    /// Whether a text in it has that placeholder.
    pub(super) fn has(&self, wanted: &Placeholder) -> bool {
        self.any(&|text| text.placeholders().any(|of| of == wanted))
    }

    /// Whether `holds` is so of any text in it.
    fn any(&self, holds: &dyn Fn(&Text) -> bool) -> bool {
        match self {
            Self::Fixed(_) | Self::Items => false,
            Self::Text(text) => holds(text),
            Self::List(list) => list.iter().any(|node| node.any(holds)),
            Self::Object(members) => members.iter().any(|member| match member {
                Member::Named(_, node) => node.any(holds),
                Member::Payload => false,
            }),
        }
    }

    /// Puts the items in the place that the steps lead to, if there is one.
    pub(super) fn put_items(&mut self, steps: &[String]) -> Option<()> {
        let Some((step, rest)) = steps.split_first() else {
            *self = Self::Items;
            return Some(());
        };
        match self {
            Self::List(list) => list.get_mut(step.parse::<usize>().ok()?)?.put_items(rest),
            Self::Object(members) => members.iter_mut().find_map(|member| match member {
                Member::Named(name, node) if name == step => node.put_items(rest),
                Member::Named(..) | Member::Payload => None,
            }),
            Self::Fixed(_) | Self::Text(_) | Self::Items => None,
        }
    }

    /// Appends the value as JSON text.
    ///
    /// # Errors
    ///
    /// The event lacks a value, its payload is not what the template needs, or has a name that is there already.
    pub(super) fn render(&self, with: &Filling<'_>, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Self::Fixed(json) => out.extend_from_slice(json.as_bytes()),
            Self::Items => out.extend_from_slice(with.items),
            Self::Text(text) => return text_value(text, with, out),
            Self::List(list) => {
                out.push(b'[');
                for (at, node) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    node.render(with, out)?;
                }
                out.push(b']');
            }
            Self::Object(members) => {
                let start = out.len();
                for member in members {
                    match member {
                        Member::Named(name, node) => {
                            push_name(name, start, out);
                            node.render(with, out)?;
                        }
                        Member::Payload => merge(members, with, start, out)?,
                    }
                }
                out.extend_from_slice(if out.len() == start { b"{}" } else { b"}" });
            }
        }
        Ok(())
    }
}

/// Appends the value that a text of the template becomes.
fn text_value(text: &Text, with: &Filling<'_>, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let Some(alone) = text.alone() else {
        push_text(&text.render(with.value, &str::to_owned)?, out);
        return Ok(());
    };
    if *alone == Placeholder::Payload {
        out.extend_from_slice(payload(with)?.as_bytes());
        return Ok(());
    }
    match (alone, (with.value)(alone)?) {
        (_, None) if alone.is_optional() => out.extend_from_slice(b"null"),
        (_, None) => return Err(misfit(format!("{alone}: the event has none"))),
        (Placeholder::Lsn, Some(number)) => out.extend_from_slice(number.as_bytes()),
        (Placeholder::Amount, Some(number)) if with.amount == AmountForm::Number => {
            out.extend_from_slice(number.as_bytes());
        }
        (_, Some(value)) => push_text(&value, out),
    }
    Ok(())
}

/// The payload as JSON.
fn payload<'a>(with: &Filling<'a>) -> Result<&'a str, Misfit> {
    let json = with.event.and_then(|event| event.event.payload.as_json());
    json.ok_or_else(|| misfit("the payload is not JSON"))
}

/// Appends the payload's members to the object that begins at `start`. No name may be there twice.
fn merge(
    members: &[Member],
    with: &Filling<'_>,
    start: usize,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let Members(merged) = serde_json::from_str(payload(with)?)
        .map_err(|_not_an_object| misfit("the payload is not a JSON object of plain names"))?;
    let mut names: std::collections::HashSet<&str> = members
        .iter()
        .filter_map(|member| match member {
            Member::Named(name, _) => Some(name.as_str()),
            Member::Payload => None,
        })
        .collect();
    for (name, value) in &merged {
        if !names.insert(name) {
            let path = onceward::wire::member_path("payload", name);
            return Err(misfit(format!("{path}: the item has this name twice")));
        }
        push_name(name, start, out);
        out.extend_from_slice(value.get().as_bytes());
    }
    Ok(())
}

/// Appends the name of a member of the object that begins at `start`, and what is before its value.
fn push_name(name: &str, start: usize, out: &mut Vec<u8>) {
    out.push(if out.len() == start { b'{' } else { b',' });
    push_text(name, out);
    out.push(b':');
}
