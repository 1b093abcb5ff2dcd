//! JSON that every reader understands alike.
//!
//! Values stay as the text that was sent, so that numbers never pass through a float. Bounded: one pass with at
//! most as many levels as are allowed, the names of one object in memory at once.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// How many members one object may have: their names are held while it is read.
///
/// ```
/// assert_eq!(onceward::wire::JSON_MEMBERS_MAX, 4_096);
/// ```
pub const JSON_MEMBERS_MAX: usize = 4_096;

/// How deep arrays and objects may nest in a message, the outermost counted.
///
/// ```
/// assert_eq!(onceward::wire::JSON_LEVELS_MAX, 64);
/// ```
pub const JSON_LEVELS_MAX: usize = 64;

/// How much of a member's name is shown in a path, in characters.
const NAME_SHOWN_MAX: usize = 64;

/// A place in a JSON text that is not understood alike by all, and why.
///
/// ```
/// use onceward::wire::{JSON_LEVELS_MAX, check_json};
///
/// let fault = check_json(r#"{"items":[{"id":1,"id":2}]}"#, JSON_LEVELS_MAX).unwrap_err();
/// assert_eq!(fault.path, "items[0].id");
/// assert_eq!(fault.message, "is there twice");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonFault {
    /// Path of the value, such as `items[3].name`; empty for the outermost one.
    pub path: String,
    /// What is wrong, as the end of a sentence that begins with the path.
    pub message: String,
}

/// Refuses what two readers of a JSON text could understand differently.
///
/// `text` must be JSON by the grammar. `levels_max`: how deep values may lie in it, the outermost counted; for a
/// text that becomes a part of a message, [`JSON_LEVELS_MAX`] less the levels around it.
///
/// ```
/// use onceward::wire::check_json;
///
/// assert!(check_json(r#"{"price":1.50}"#, 64).is_ok());
/// assert!(check_json(r#"{"price":1e400}"#, 64).is_err());
/// assert!(check_json("[[[]]]", 2).is_err());
/// ```
///
/// # Errors
///
/// A member name that is there twice, a lone surrogate, a number that fits no float, more than 4,096 members in an
/// object, and nesting deeper than `levels_max`.
pub fn check_json(text: &str, levels_max: usize) -> Result<(), JsonFault> {
    let mut walk = Walk { levels_max, path: Vec::new(), fault: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    (Level { walk: &mut walk }).deserialize(&mut reader).map_err(|error| {
        let message = walk.fault.take().unwrap_or_else(|| format!("is unusable: {error}"));
        JsonFault { path: walk.path_text(), message }
    })
}

/// The path of the member `name` of the value at `parent`; `parent` is empty for the outermost value.
///
/// A name that is not a plain word is quoted, escaped and cut, since others choose it and it ends up in answers and
/// logs.
///
/// ```
/// use onceward::wire::member_path;
///
/// assert_eq!(member_path("items[3]", "name"), "items[3].name");
/// assert_eq!(member_path("items[3]", "a\n"), "items[3][\"a\\n\"]");
/// ```
#[must_use]
pub fn member_path(parent: &str, name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > NAME_SHOWN_MAX || !name.bytes().all(plain) {
        let shown: String =
            name.chars().take(NAME_SHOWN_MAX).flat_map(char::escape_default).collect();
        return format!("{parent}[\"{shown}\"]");
    }
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// One step from a value to a value inside it.
enum PathStep {
    /// The member of this name.
    Member(String),
    /// The item of this index.
    Item(usize),
}

/// The state of a walk: where it is, and what it found.
///
/// A step is taken back only after the value was good, so after an error the path leads to the fault.
struct Walk {
    /// How deep values may lie.
    levels_max: usize,
    /// From the outermost value to the present one.
    path: Vec<PathStep>,
    /// Our own complaint; without it the parser's is used.
    fault: Option<String>,
}

impl Walk {
    /// The path as text, for example `transactions[3].location_id`.
    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                PathStep::Member(name) => text = member_path(&text, name),
                PathStep::Item(index) => text = format!("{text}[{index}]"),
            }
        }
        text
    }

    /// Keeps our complaint and makes the parser stop.
    fn stop<E: serde::de::Error>(&mut self, message: String) -> E {
        let error = E::custom(&message);
        self.fault = Some(message);
        error
    }
}

/// Looks at one value and all inside it.
struct Level<'w> {
    /// Shared by all levels.
    walk: &'w mut Walk,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.walk.path.len() >= self.walk.levels_max {
            let levels_max = self.walk.levels_max;
            return Err(self.walk.stop(format!("nests deeper than {levels_max} levels")));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let walk = self.walk;
        let mut index: usize = 0;
        loop {
            walk.path.push(PathStep::Item(index));
            let found = items.next_element_seed(Level { walk })?;
            walk.path.pop();
            if found.is_none() {
                return Ok(());
            }
            index = index.saturating_add(1);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let walk = self.walk;
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            walk.path.push(PathStep::Member(name.clone()));
            if seen.len() >= JSON_MEMBERS_MAX {
                return Err(walk.stop(format!("is one of more than {JSON_MEMBERS_MAX} members")));
            }
            if !seen.insert(name) {
                return Err(walk.stop("is there twice".to_owned()));
            }
            members.next_value_seed(Level { walk })?;
            walk.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let JsonFault { path, message } = check_json(text, JSON_LEVELS_MAX).unwrap_err();
        format!("{path} {message}")
    }

    #[test]
    fn a_path_shows_plain_names_as_they_are_and_quotes_all_others() {
        assert_eq!(member_path("", "a_b-1"), "a_b-1");
        assert_eq!(member_path("t[3]", "id"), "t[3].id");
        assert_eq!(member_path("t", "x\r\n\u{1b}[31m"), "t[\"x\\r\\n\\u{1b}[31m\"]");
        assert_eq!(member_path("t", ""), "t[\"\"]");
        assert!(member_path("t", &"n".repeat(5000)).len() <= NAME_SHOWN_MAX + 8);
    }

    #[test]
    fn a_member_name_that_is_there_twice_is_found_at_any_depth_and_under_any_spelling() {
        assert_eq!(fault(r#"{"a":1,"a":1}"#), "a is there twice");
        assert_eq!(fault(r#"{"a":[0,{"b":{"c":1,"c":2}}]}"#), "a[1].b.c is there twice");
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), "a is there twice");
        let control = check_json(r#"[{"a":1},{"a":1}]"#, JSON_LEVELS_MAX);
        assert!(control.is_ok(), "control: two objects may share a name");
    }

    #[test]
    fn a_lone_surrogate_and_a_number_without_a_float_are_refused_with_their_path() {
        let good = [r#"{"a":"\ud83d\ude00"}"#, "[1e300]", "[-0.0,1E-400]"];
        for text in good {
            assert!(check_json(text, 64).is_ok(), "control: {text}");
        }
        for bad in [r#"{"a":"\ud83d"}"#, r#"{"a":"\ude00\ud83d"}"#, r#"{"a":1e400}"#] {
            assert!(fault(bad).starts_with("a is unusable"), "{bad}");
        }
        assert!(fault("[0,-1e309]").starts_with("[1] is unusable"));
        assert!(fault(r#"{"\udc00":0}"#).starts_with(" is unusable"));
    }

    #[test]
    fn an_object_has_as_many_members_as_are_allowed_and_no_more() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(check_json(&object(JSON_MEMBERS_MAX), 64).is_ok(), "control");
        let shown = fault(&object(JSON_MEMBERS_MAX + 1));
        assert_eq!(shown, "m4096 is one of more than 4096 members");
    }

    #[test]
    fn nesting_is_allowed_to_the_limit_and_not_beyond() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_json(&nested(JSON_LEVELS_MAX), JSON_LEVELS_MAX).is_ok());
        assert!(fault(&nested(JSON_LEVELS_MAX + 1)).contains("nests deeper than 64 levels"));
        assert!(fault(&nested(200_000)).contains("nests deeper than 64 levels"));
        assert!(check_json(&nested(3), 3).is_ok() && check_json(&nested(4), 3).is_err());
        assert!(check_json("[[1]]", 2).is_err(), "a number is a level of its own");
    }
}
