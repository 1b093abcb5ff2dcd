//! Path and headers of a request, and the header names that a file may use.

use std::collections::BTreeMap;

use onceward::sync::Misfit;
use toml::Spanned;

use super::fault::{Found, found};
use super::placeholder::{Place, Placeholder};
use super::text::{Text, Value};
use crate::dialect::path::percent_encoded;
use crate::dialect::{KeyPlace, misfit};

/// Headers that the line sets, or that this format has fields for.
const TAKEN: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The path and the headers of a request.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The path.
    path: Text,
    /// The headers.
    headers: Vec<(String, Text)>,
}

/// A path and headers, as they are sent.
pub(super) type Rendered = (String, Vec<(String, String)>);

impl Head {
    /// Reads path and headers of the table of that name.
    pub(super) fn parse(
        (path, headers): (&Spanned<String>, &BTreeMap<String, Spanned<String>>),
        credential: &KeyPlace,
        (table, place): (&str, Place),
    ) -> Result<Self, Found> {
        let field = format!("{table}.path");
        let text = path.get_ref();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !text.starts_with('/') || !text.bytes().all(is_plain) {
            let allowed = "a path that begins with a slash, in ASCII, without blanks and #";
            return Err(found(path, field, format!("{text:?} is no path"), allowed));
        }
        let parsed = parse_text(path, &field, place)?;
        let mut names: Vec<String> = Vec::new();
        let mut all = Vec::new();
        for (name, value) in headers {
            let field = format!("{table}.headers.{name}");
            check_name(value, name, &field)?;
            let lower = name.to_ascii_lowercase();
            let is_credential = match credential {
                KeyPlace::Bearer => lower == "authorization",
                KeyPlace::Header(taken) => taken.eq_ignore_ascii_case(name),
                KeyPlace::Nowhere => false,
            };
            if is_credential || names.contains(&lower) || TAKEN.contains(&lower.as_str()) {
                let what = "the header is set already, by another field or by the line";
                return Err(found(value, field, what, "another name"));
            }
            names.push(lower);
            let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
            let text = value.get_ref();
            if text.is_empty() || text.trim() != text || !text.bytes().all(is_printable) {
                let what = "it is empty, has blanks around it or is not ASCII";
                return Err(found(value, field, what, "a text of printable ASCII"));
            }
            all.push((name.clone(), parse_text(value, &field, place)?));
        }
        Ok(Self { path: parsed, headers: all })
    }

    /// Whether path or headers have the event's key.
    pub(super) fn names_event(&self) -> bool {
        self.texts().any(Text::names_event)
    }

    /// All placeholders in path and headers.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.texts().flat_map(Text::placeholders)
    }

    /// Path and headers, as they are sent.
    ///
    /// # Errors
    ///
    /// The event lacks a value, or has one that cannot be there as it is.
    pub(super) fn render<'a>(
        &self,
        value: &dyn Fn(&Placeholder) -> Value<'a>,
    ) -> Result<Rendered, Misfit> {
        let path = self.path.render(value, &percent_encoded)?;
        let (before_query, _) = path.split_once('?').unwrap_or((&path, ""));
        if before_query.split('/').any(|part| part == "." || part == "..") {
            return Err(misfit(format!("the path {path} leads to another one")));
        }
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            let optional = text.alone().filter(|alone| alone.is_optional());
            if let Some(alone) = optional
                && value(alone)?.is_none()
            {
                continue;
            }
            headers.push((name.clone(), header_value(name, text.render(value, &str::to_owned)?)?));
        }
        Ok((path, headers))
    }

    /// The texts.
    fn texts(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(&self.path).chain(self.headers.iter().map(|(_, text)| text))
    }
}

/// Reads a text with placeholders.
fn parse_text(at: &Spanned<String>, field: &str, place: Place) -> Result<Text, Found> {
    Text::parse(at.get_ref(), place).map_err(|what| found(at, field, what, place.allowed()))
}

/// Checks the name of a header by the grammar of HTTP.
pub(super) fn check_name<T>(at: &Spanned<T>, name: &str, field: &str) -> Result<(), Found> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_letter) {
        let what = format!("{name:?} is no name of a header");
        return Err(found(at, field, what, "letters, digits and -"));
    }
    Ok(())
}

/// A value that a header can hold, and that arrives as it is.
fn header_value(name: &str, value: String) -> Result<String, Misfit> {
    let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
    if value.is_empty() || value.trim() != value || !value.bytes().all(is_printable) {
        let what = "its value is empty, has blanks around it or is not printable ASCII";
        return Err(misfit(format!("header {name}: {what}, and would not arrive as it is")));
    }
    Ok(value)
}

/// Where the terminal's key goes.
pub(super) fn credential(given: Option<&Spanned<String>>) -> Result<KeyPlace, Found> {
    let Some(given) = given else { return Ok(KeyPlace::Bearer) };
    let field = "request.credential";
    match given.get_ref().as_str() {
        "bearer" => Ok(KeyPlace::Bearer),
        "nowhere" => Ok(KeyPlace::Nowhere),
        other => {
            let allowed = "\"bearer\", \"header NAME\", \"nowhere\"";
            let Some(name) = other.strip_prefix("header ") else {
                return Err(found(given, field, format!("{other:?} is no place"), allowed));
            };
            check_name(given, name, field)?;
            if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(found(given, field, "the line sets this header", "another name"));
            }
            Ok(KeyPlace::Header(name.to_owned()))
        }
    }
}
