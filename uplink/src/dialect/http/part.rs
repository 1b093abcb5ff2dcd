//! A part of an answer: where the file looks for it, what is there, and how that is told to whoever wrote the file.

use serde_json::value::RawValue;

use super::pointer::Pointer;
use crate::dialect::members::{Shape, shape};
use crate::dialect::{Response, form};
use crate::excerpt::CODE_BYTES_MAX;

/// A part of an answer, or of one of its results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// Where it is.
    pub(super) pointer: &'a Pointer,
    /// The table of the file that says so.
    pub(super) table: &'a str,
    /// The field of that table.
    pub(super) field: &'static str,
    /// Which result of the list it is in, from 0.
    pub(super) result: Option<usize>,
}

impl Part<'_> {
    /// The value there.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn find<'v>(&self, value: &'v RawValue) -> Result<&'v RawValue, String> {
        self.pointer.find(value).ok_or_else(|| self.missing())
    }

    /// The values in the list there.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn list<'v>(&self, value: &'v RawValue) -> Result<Vec<&'v RawValue>, String> {
        let found = self.find(value)?;
        serde_json::from_str(found.get()).map_err(|_no_list| self.is_not("a list", found))
    }

    /// The text, number or truth value there, as a text; `None` where there is none, or nothing in it.
    ///
    /// # Errors
    ///
    /// There is a list or an object.
    pub(super) fn text(&self, value: &RawValue) -> Result<Option<String>, String> {
        let Some(found) = self.pointer.find(value) else { return Ok(None) };
        let text = match (shape(found), found.get()) {
            (Shape::Null, _) => return Ok(None),
            (Shape::Text, quoted) => serde_json::from_str(quoted)
                .map_err(|_half| self.is_not("one that can be read", found))?,
            (Shape::Number, number) => number.to_owned(),
            (Shape::Other, word @ ("true" | "false")) => word.to_owned(),
            (Shape::Other, _) => return Err(self.is_not("a text", found)),
        };
        Ok(Some(text).filter(|text: &String| !text.is_empty()))
    }

    /// The key there.
    ///
    /// # Errors
    ///
    /// There is no text, or an empty one.
    pub(super) fn key(&self, value: &RawValue) -> Result<String, String> {
        let found = self.find(value)?;
        let text = if shape(found) == Shape::Text { self.text(value)? } else { None };
        text.ok_or_else(|| self.is_not("a text", found))
    }

    /// That there is no text: nothing, `null`, or an empty one.
    pub(super) fn silent(&self, value: &RawValue) -> String {
        match self.pointer.find(value) {
            None => self.missing(),
            Some(found) => self.is_not("a text", found),
        }
    }

    /// What is there, and where: `"created" at /state (reply.outcome)`.
    pub(super) fn holding(&self, text: &str, response: &Response) -> String {
        let text = form::shown(response, text, CODE_BYTES_MAX);
        format!("{text} at {} ({}.{})", self.place(), self.table, self.field)
    }

    /// That nothing is there.
    fn missing(&self) -> String {
        format!("nothing at {} ({}.{})", self.place(), self.table, self.field)
    }

    /// That something else is there.
    fn is_not(&self, wanted: &str, found: &RawValue) -> String {
        let (place, kind) = (self.place(), kind(found));
        let but = if kind == EMPTY { String::new() } else { format!(", not {wanted}") };
        format!("{place} is {kind}{but} ({}.{})", self.table, self.field)
    }

    /// Where it is, in words.
    fn place(&self) -> String {
        let pointer = self.pointer.to_string();
        match (pointer.as_str(), self.result) {
            ("", None) => "the answer".to_owned(),
            ("", Some(at)) => format!("result {at}"),
            (pointer, None) => pointer.to_owned(),
            (pointer, Some(at)) => format!("{pointer} of result {at}"),
        }
    }
}

/// What a text without a letter is.
const EMPTY: &str = "an empty text";

/// What a value is, in words.
fn kind(value: &RawValue) -> &'static str {
    match (shape(value), value.get()) {
        (Shape::Text, "\"\"") => EMPTY,
        (Shape::Text, _) => "a text",
        (Shape::Number, _) => "a number",
        (Shape::Null, _) => "null",
        (Shape::Other, "true" | "false") => "a truth value",
        (Shape::Other, text) if text.starts_with('[') => "a list",
        (Shape::Other, _) => "an object",
    }
}
