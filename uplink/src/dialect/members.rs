//! The members of a JSON object in their order, each value as it was spelled.

use std::borrow::Cow;
use std::fmt;

use onceward::sync::Misfit;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::misfit;

/// The members of an object, in order, repeated names included.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// The shape of a JSON value, by its first byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// Text.
    Text,
    /// A number.
    Number,
    /// `null`.
    Null,
    /// Anything else.
    Other,
}

/// The shape of a value.
pub(crate) fn shape(value: &RawValue) -> Shape {
    match value.get().as_bytes().first() {
        Some(b'"') => Shape::Text,
        Some(b'-' | b'0'..=b'9') => Shape::Number,
        Some(b'n') => Shape::Null,
        _ => Shape::Other,
    }
}

/// The text of 1 to `bytes_max` bytes that the value at `path` is.
///
/// # Errors
///
/// It is something else, also a text with half of a surrogate pair.
pub(crate) fn text(value: &RawValue, path: &str, bytes_max: usize) -> Result<String, Misfit> {
    let Ok(text) = serde_json::from_str::<String>(value.get()) else {
        return Err(misfit(format!("{path}: must be a text")));
    };
    if text.is_empty() {
        return Err(misfit(format!("{path}: must not be empty")));
    }
    if text.len() > bytes_max {
        let bytes = text.len();
        return Err(misfit(format!("{path}: must be at most {bytes_max} bytes, not {bytes}")));
    }
    Ok(text)
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

/// As many members as most objects have at most.
const EXPECTED: usize = 16;

/// The name of a member; a part of the text where it holds no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AsSpelled)
    }
}

/// Takes a text as it is spelled.
struct AsSpelled;

impl<'de> Visitor<'de> for AsSpelled {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

/// Collects members as they come.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(EXPECTED);
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}
