//! JSON pointers (RFC 6901) into answers, whose parts keep their spelling.

use std::fmt;

use serde_json::value::RawValue;
use toml::Spanned;

use super::fault::{Found, found};
use crate::dialect::members::Members;

/// The way to a value: the names and positions on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pointer {
    /// From the outermost value to the one that is meant.
    pub(super) steps: Vec<String>,
}

impl Pointer {
    /// Reads a pointer; an empty one is the whole document.
    pub(super) fn parse(at: &Spanned<String>, field: &str) -> Result<Self, Found> {
        let text = at.get_ref();
        let allowed = "a JSON pointer such as \"/error/code\", with ~0 for ~ and ~1 for /";
        if !text.is_empty() && !text.starts_with('/') {
            let what = format!("{text:?} does not begin with a slash");
            return Err(found(at, field, what, allowed));
        }
        let is_escape = |part: &str| part.starts_with(['0', '1']);
        if !text.split('~').skip(1).all(is_escape) {
            return Err(found(at, field, format!("{text:?} has a ~ without 0 or 1"), allowed));
        }
        let steps = text.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        Ok(Self { steps: steps.collect() })
    }

    /// Reads a pointer that must lead into the document.
    pub(super) fn parse_inner(at: &Spanned<String>, field: &str) -> Result<Self, Found> {
        let pointer = Self::parse(at, field)?;
        if pointer.steps.is_empty() {
            let what = "it is the whole document";
            return Err(found(at, field, what, "a JSON pointer such as \"/error/code\""));
        }
        Ok(pointer)
    }

    /// The value that it leads to in `document`, if there is one.
    pub(super) fn find<'a>(&self, document: &'a RawValue) -> Option<&'a RawValue> {
        self.steps.iter().try_fold(document, |value, step| child(value, step))
    }
}

/// As the file spells it, in one line.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelled = |step: &String| step.replace('~', "~0").replace('/', "~1");
        let mut steps = self.steps.iter().map(spelled);
        steps.try_for_each(|step| write!(f, "/{}", step.escape_debug()))
    }
}

/// The value of that name, or at that position, in `value`.
fn child<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    let text = value.get();
    if text.starts_with('{') {
        let Members(members) = serde_json::from_str(text).ok()?;
        return members.into_iter().find(|(name, _)| name == step).map(|(_, value)| value);
    }
    let index = step.parse::<usize>().ok().filter(|index| index.to_string() == step)?;
    let list: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    list.get(index).copied()
}
