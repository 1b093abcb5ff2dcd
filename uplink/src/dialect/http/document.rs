//! An answer as a document: whether it is the upstream's.

use onceward::wire::{JSON_LEVELS_MAX, check_json};
use serde_json::value::RawValue;

use super::rules::Rules;
use crate::dialect::{Response, form};
use crate::excerpt::CODE_BYTES_MAX;

/// The document that an answer is, if its type is declared and it is whole, well-formed, and understood alike by all.
///
/// # Errors
///
/// Why it is none.
pub(super) fn read<'a>(rules: &Rules, response: &'a Response) -> Result<&'a RawValue, String> {
    if response.is_cut() {
        return Err("its body did not come whole".to_owned());
    }
    if !form::may_be_json(response) {
        return Err("it is not JSON as it is".to_owned());
    }
    if !is_declared(rules, response) {
        let field = format!("{}.content_type", rules.table);
        return Err(match &response.content_type {
            Some(kind) => {
                let kind = form::shown(response, kind, CODE_BYTES_MAX);
                format!("its type {kind} is not in {field}")
            }
            None => format!("it has no type, and {field} asks for one"),
        });
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
