//! An answer as a document: whether it is the upstream's, and the texts in it.

use onceward::wire::{JSON_LEVELS_MAX, check_json};
use serde_json::value::RawValue;

use super::pointer::Pointer;
use super::rules::Rules;
use crate::dialect::members::{Shape, shape};
use crate::dialect::{Response, form};

/// The document that an answer is, if its type is declared and it is whole, well-formed, and understood alike by all.
///
/// # Errors
///
/// Why it is none.
pub(super) fn read<'a>(rules: &Rules, response: &'a Response) -> Result<&'a RawValue, String> {
    if response.is_cut() {
        return Err("its body did not come whole".to_owned());
    }
    if !form::may_be_json(response) || !is_declared(rules, response) {
        return Err("not of the declared type".to_owned());
    }
    let text = std::str::from_utf8(&response.body)
        .map_err(|_not_text| "not the declared answer (it is not UTF-8)".to_owned())?;
    let document: &RawValue =
        serde_json::from_str(text).map_err(|found| format!("not the declared answer ({found})"))?;
    check_json(document.get(), JSON_LEVELS_MAX)
        .map_err(|fault| format!("not the declared answer ({} {})", fault.path, fault.message))?;
    Ok(document)
}

/// Whether the type is one of those that the file names, if it names any.
fn is_declared(rules: &Rules, response: &Response) -> bool {
    let given = response.content_type.as_deref().unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    rules.content_type.is_empty() || rules.content_type.contains(&kind)
}

/// The text, number or truth value at `pointer`, as a text; `None` where there is none, or nothing in it.
///
/// # Errors
///
/// There is a list or an object.
pub(super) fn text_at(
    pointer: Option<&Pointer>,
    value: &RawValue,
) -> Result<Option<String>, String> {
    let Some(found) = pointer.and_then(|pointer| pointer.find(value)) else { return Ok(None) };
    let text = match (shape(found), found.get()) {
        (Shape::Null, _) => return Ok(None),
        (Shape::Text, quoted) => serde_json::from_str(quoted)
            .map_err(|found| format!("not the declared answer ({found})"))?,
        (Shape::Number, number) => number.to_owned(),
        (Shape::Other, word @ ("true" | "false")) => word.to_owned(),
        (Shape::Other, _) => return Err("a list or an object is where a word should be".to_owned()),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The key of a result.
///
/// # Errors
///
/// There is no text, or an empty one.
pub(super) fn key_at(pointer: &Pointer, value: &RawValue) -> Result<String, String> {
    let found = pointer.find(value).filter(|found| shape(found) == Shape::Text);
    let text = text_at(found.map(|_| pointer), value)?;
    text.ok_or_else(|| "a result has no key that is a text".to_owned())
}
