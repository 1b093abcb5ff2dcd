//! Reads JSON strictly: what two readers could understand differently is refused.
//!
//! Values stay as the text that was sent, so that numbers never pass through a float. Bounded: one pass
//! without recursion for the syntax, one with at most [`DEPTH_MAX`] levels for the rest.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    fields::{Fault, member_path},
    problem::{Code, Problem},
};

/// How many members one object may have: their names are held while it is read.
const MEMBERS_MAX: usize = 4_096;
/// How deep arrays and objects may nest, the outermost counted.
const DEPTH_MAX: usize = 64;

/// Why a body is refused before its fields are looked at.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not UTF-8, or not the grammar of JSON.
    NotJson(String),
    /// JSON, but not what every reader understands alike.
    Fault(Fault),
}

impl Refusal {
    /// The problem that tells a client.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::NotJson(why) => {
                Problem::new(Code::NotJson, format!("the body is not JSON: {why}"))
            }
            Self::Fault(fault) => {
                Problem::new(Code::InvalidRequest, fault.to_string()).with_errors(vec![fault])
            }
        }
    }
}

/// The one JSON value that `body` consists of.
///
/// # Errors
///
/// `NotJson` if it is none. `Fault`, with the path, for a member name that is there twice, a lone
/// surrogate, a number that fits no float, more than 4,096 members, and nesting deeper than 64.
pub(crate) fn parse(body: &[u8]) -> Result<&RawValue, Refusal> {
    let text = str::from_utf8(body).map_err(|error| {
        Refusal::NotJson(format!("not UTF-8: byte {} is malformed", error.valid_up_to()))
    })?;
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| Refusal::NotJson(error.to_string()))?;
    let mut walk = Walk::default();
    let mut reader = serde_json::Deserializer::from_str(value.get());
    match (Level { walk: &mut walk }).deserialize(&mut reader) {
        Ok(()) => Ok(value),
        Err(error) => {
            let message = walk.fault.take().unwrap_or_else(|| format!("is unusable: {error}"));
            Err(Refusal::Fault(Fault { field: walk.path_text(), message }))
        }
    }
}

/// One step from a value to a value inside it.
enum Step {
    /// The member of this name.
    Member(String),
    /// The item of this index.
    Item(usize),
}

/// Where the walk is, and what it found.
///
/// A step is taken back only after the value was good, so after an error the path leads to the fault.
#[derive(Default)]
struct Walk {
    /// From the outermost value to the present one.
    path: Vec<Step>,
    /// Our own complaint; without it the parser's is used.
    fault: Option<String>,
}

impl Walk {
    /// The path as text, for example `transactions[3].location_id`.
    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) => text = member_path(&text, name),
                Step::Item(index) => text = format!("{text}[{index}]"),
            }
        }
        if text.is_empty() { "body".to_owned() } else { text }
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
        if self.walk.path.len() >= DEPTH_MAX {
            return Err(self.walk.stop(format!("nests deeper than {DEPTH_MAX} levels")));
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
            walk.path.push(Step::Item(index));
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
            walk.path.push(Step::Member(name.clone()));
            if seen.len() >= MEMBERS_MAX {
                return Err(walk.stop(format!("is one of more than {MEMBERS_MAX} members")));
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
    use super::{DEPTH_MAX, MEMBERS_MAX, Refusal, parse};

    fn fault(body: &str) -> String {
        match parse(body.as_bytes()) {
            Err(Refusal::Fault(fault)) => fault.to_string(),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_value_is_given_back_as_the_text_that_was_sent() {
        let value = parse(b" {\"a\": [1.50, {\"b\": null}]} ").unwrap();
        assert_eq!(value.get(), "{\"a\": [1.50, {\"b\": null}]}");
    }

    #[test]
    fn what_is_not_json_is_told_apart_from_what_breaks_a_rule() {
        for bad in
            [&b""[..], b"{", b"{} {}", b"NaN", b"[1,]", b"{'a':1}", b"\xff", b"\xef\xbb\xbf{}"]
        {
            assert!(matches!(parse(bad), Err(Refusal::NotJson(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_member_name_that_is_there_twice_is_found_at_any_depth_and_under_any_spelling() {
        assert_eq!(fault(r#"{"a":1,"a":1}"#), "a is there twice");
        assert_eq!(fault(r#"{"a":[0,{"b":{"c":1,"c":2}}]}"#), "a[1].b.c is there twice");
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), "a is there twice");
        assert!(parse(br#"[{"a":1},{"a":1}]"#).is_ok(), "control: two objects may share a name");
    }

    #[test]
    fn a_lone_surrogate_and_a_number_without_a_float_are_refused_with_their_path() {
        assert!(parse(br#"{"a":"\ud83d\ude00"}"#).is_ok(), "control: a pair");
        assert!(fault(r#"{"a":"\ud83d"}"#).starts_with("a is unusable"));
        assert!(parse(b"[1e300]").is_ok(), "control: a large number");
        assert!(fault("[0,1e400]").starts_with("[1] is unusable"));
    }

    #[test]
    fn an_object_has_as_many_members_as_are_allowed_and_no_more() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(parse(object(MEMBERS_MAX).as_bytes()).is_ok(), "control");
        let shown = fault(&object(MEMBERS_MAX + 1));
        assert_eq!(shown, "m4096 is one of more than 4096 members");
    }

    #[test]
    fn nesting_is_allowed_to_the_limit_and_not_beyond() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(fault(&nested(DEPTH_MAX + 1)).contains("nests deeper than 64 levels"));
        assert!(matches!(parse(nested(200_000).as_bytes()), Err(Refusal::Fault(_))));
    }
}
