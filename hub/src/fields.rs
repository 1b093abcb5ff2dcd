//! Takes the members of a JSON object one by one, and collects every fault with its path.

use std::fmt;

use onceward::{Key, wire::member_path};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed as _},
};
use serde_json::value::RawValue;

use crate::problem::{Code, Fault, Problem};

/// How many faults are listed in one answer; more are only counted.
const FAULTS_LISTED_MAX: usize = 20;
/// Longest idempotency key, bytes.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// The faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The first ones.
    listed: Vec<Fault>,
    /// How many there are beyond the listed ones.
    more: usize,
}

impl Faults {
    /// Adds one.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.listed.len() < FAULTS_LISTED_MAX {
            self.listed.push(Fault { field: field.into(), message: message.into() });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<&Fault> {
        self.listed.first()
    }

    /// `value` if there are no faults, otherwise the problem that names them.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Problem> {
        let Some(first) = self.first() else { return Ok(value) };
        let others = self.listed.len().saturating_sub(1).saturating_add(self.more);
        let detail = match others {
            0 => first.to_string(),
            _ => format!("{first} (and {others} more)"),
        };
        Err(Problem::new(Code::InvalidRequest, detail).with_errors(self.listed))
    }
}

/// The members of an object that have not been taken yet.
pub(crate) struct Object<'a> {
    /// Path of the object; empty for the outermost value.
    path: String,
    /// Names and texts, in the order they were sent. Names are unique: `strict::parse` saw to it.
    members: Vec<(String, &'a RawValue)>,
}

/// The members of an object, as the parser hands them out.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> de::Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        reader.deserialize_map(Collect).map(Members)
    }
}

/// Reads an array, and holds no more of its items than are allowed.
struct UpTo {
    /// How many are allowed.
    items_max: usize,
}

/// What [`UpTo`] read.
struct Items<'a> {
    /// The first ones.
    items: Vec<&'a RawValue>,
    /// How many there are beyond those.
    more: usize,
}

impl<'de> de::DeserializeSeed<'de> for UpTo {
    type Value = Items<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Items<'de>, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> de::Visitor<'de> for UpTo {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut array: A) -> Result<Items<'de>, A::Error> {
        let mut read = Items { items: Vec::new(), more: 0 };
        while read.items.len() < self.items_max {
            match array.next_element()? {
                Some(item) => read.items.push(item),
                None => return Ok(read),
            }
        }
        while array.next_element::<de::IgnoredAny>()?.is_some() {
            read.more = read.more.saturating_add(1);
        }
        Ok(read)
    }
}

impl<'a> Object<'a> {
    /// The object that `value` is; a fault if it is something else.
    pub(crate) fn read(value: &'a RawValue, path: &str, faults: &mut Faults) -> Option<Self> {
        if let Ok(Members(members)) = serde_json::from_str(value.get()) {
            return Some(Self { path: path.to_owned(), members });
        }
        faults.add(if path.is_empty() { "body" } else { path }, "must be an object");
        None
    }

    /// Path of the member `name`.
    pub(crate) fn path_of(&self, name: &str) -> String {
        member_path(&self.path, name)
    }

    /// Takes the member `name`, if it is there.
    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// Takes the member `name`, if it is there and not `null`, which many writers put for absence.
    pub(crate) fn optional(&mut self, name: &str) -> Option<&'a RawValue> {
        self.take(name).filter(|value| value.get() != "null")
    }

    /// Takes the member `name`; a fault if it is not there.
    pub(crate) fn required(&mut self, name: &str, faults: &mut Faults) -> Option<&'a RawValue> {
        let value = self.take(name);
        if value.is_none() {
            faults.add(self.path_of(name), "is missing");
        }
        value
    }

    /// Takes the text `name` of 1 to `bytes_max` bytes; a fault if it is missing or something else.
    pub(crate) fn required_text(
        &mut self,
        name: &str,
        bytes_max: usize,
        faults: &mut Faults,
    ) -> Option<String> {
        let value = self.required(name, faults)?;
        text(value, &self.path_of(name), bytes_max, faults)
    }

    /// Takes the text `name` of 1 to `bytes_max` bytes, if it is there; a fault if it is something else.
    pub(crate) fn optional_text(
        &mut self,
        name: &str,
        bytes_max: usize,
        faults: &mut Faults,
    ) -> Option<String> {
        let value = self.optional(name)?;
        text(value, &self.path_of(name), bytes_max, faults)
    }

    /// Takes the idempotency key; a fault if it is missing or not a text of 1 to 255 bytes.
    pub(crate) fn required_key(&mut self, faults: &mut Faults) -> Option<Key> {
        let text = self.required_text("idempotency_key", KEY_BYTES_MAX, faults)?;
        let key = Key::new(&text);
        if let Err(error) = &key {
            faults.add(self.path_of("idempotency_key"), format!("cannot be used: {error}"));
        }
        key.ok()
    }

    /// Takes the array `name`; a fault if it is missing, something else, or not of 1 to `items_max`.
    pub(crate) fn required_items(
        &mut self,
        name: &str,
        items_max: usize,
        faults: &mut Faults,
    ) -> Option<Vec<&'a RawValue>> {
        let value = self.required(name, faults)?;
        let path = self.path_of(name);
        let mut reader = serde_json::Deserializer::from_str(value.get());
        let Ok(read) = (UpTo { items_max }).deserialize(&mut reader) else {
            faults.add(path, "must be an array");
            return None;
        };
        let count = read.items.len().saturating_add(read.more);
        if !(1..=items_max).contains(&count) {
            faults.add(path, format!("must hold 1 to {items_max} items, not {count}"));
            return None;
        }
        Some(read.items)
    }

    /// Ends the taking: whatever is left is a fault.
    pub(crate) fn finish(self, faults: &mut Faults) {
        for (name, _) in &self.members {
            faults.add(self.path_of(name), "is not a known field");
        }
    }
}

/// The text of 1 to `bytes_max` bytes that `value` is; a fault if it is something else.
pub(crate) fn text(
    value: &RawValue,
    path: &str,
    bytes_max: usize,
    faults: &mut Faults,
) -> Option<String> {
    let Ok(text) = serde_json::from_str::<String>(value.get()) else {
        faults.add(path, "must be a string");
        return None;
    };
    if text.is_empty() {
        faults.add(path, "must not be empty");
        return None;
    }
    if text.len() > bytes_max {
        faults.add(path, format!("must be at most {bytes_max} bytes, not {}", text.len()));
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::Faults;

    #[test]
    fn faults_beyond_the_limit_are_counted_and_not_listed() {
        let mut faults = Faults::default();
        assert!(Faults::default().or(()).is_ok(), "control: none");
        for index in 0..25 {
            faults.add(format!("f{index}"), "is bad");
        }
        let shown = format!("{:?}", faults.or(()).unwrap_err());
        assert!(shown.contains("f0 is bad (and 24 more)"), "{shown}");
        assert!(shown.contains("f19") && !shown.contains("f20"), "{shown}");
    }
}
