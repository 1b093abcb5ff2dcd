//! What is wrong with the file of a dialect, and where.

use std::fmt;
use std::ops::Range;

use toml::Spanned;

/// A place in the file of a dialect. Lines and columns count from 1, columns in characters.
///
/// ```
/// use onceward_uplink::HttpDialect;
///
/// let fault = HttpDialect::from_toml("name = 7\n").unwrap_err();
/// assert_eq!((fault.spot.line, fault.spot.column), (1, 8));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Spot {
    /// The line.
    pub line: usize,
    /// The column in that line.
    pub column: usize,
}

/// Why a file describes no dialect. `Display` is one line: `FILE:LINE:COL: field: what (allowed: ...)`.
///
/// ```
/// use onceward_uplink::HttpDialect;
///
/// let fault = HttpDialect::from_toml("nam = \"till\"\n").unwrap_err();
/// assert_eq!(fault.field, "nam");
/// assert!(fault.to_string().starts_with("dialect:1:1: nam: unknown field (allowed: `name`, "));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub struct DialectFault {
    /// The file, as it was named; `dialect` for a text that came from no file.
    pub file: String,
    /// Where in the file.
    pub spot: Spot,
    /// The path of the field, such as `request.items`.
    pub field: String,
    /// What is wrong with the field.
    pub what: String,
    /// What may be there instead.
    pub allowed: String,
}

impl fmt::Display for DialectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, spot: Spot { line, column }, field, what, allowed } = self;
        // Names and values of the file are quoted in these, whatever they hold.
        let line_of = |text: &str| text.replace(|letter: char| letter.is_control(), " ");
        let (file, field, what) = (line_of(file), line_of(field), line_of(what));
        write!(f, "{file}:{line}:{column}: {field}: {what} (allowed: {})", line_of(allowed))
    }
}

/// A fault by the bytes of the file that have it.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the bytes are.
    span: Range<usize>,
    /// The path of the field.
    field: String,
    /// What is wrong.
    what: String,
    /// What may be there.
    allowed: String,
}

/// A fault of the value `at`, which the field of that path has.
pub(super) fn found<T>(
    at: &Spanned<T>,
    field: impl Into<String>,
    what: impl Into<String>,
    allowed: impl Into<String>,
) -> Found {
    Found { span: at.span(), field: field.into(), what: what.into(), allowed: allowed.into() }
}

impl Found {
    /// The fault in `text`, which has the whole file.
    pub(super) fn located(self, text: &str) -> DialectFault {
        let Self { span, field, what, allowed } = self;
        let (file, spot) = ("dialect".to_owned(), spot(text, span.start));
        DialectFault { file, spot, field, what, allowed }
    }
}

/// What the reader of TOML found.
pub(super) fn of_toml(text: &str, found: &toml::de::Error) -> DialectFault {
    let start = found.span().map_or(0, |span| span.start);
    let message = found.message();
    let (field, what, allowed) = if let Some(field) = quoted(message, "unknown field `") {
        let (_, allowed) = message.split_once("expected ").unwrap_or_default();
        let allowed = allowed.trim_start_matches("one of ");
        (within(text, start, field), "unknown field".to_owned(), allowed.replace(" or `", ", `"))
    } else if let Some(field) = quoted(message, "missing field `") {
        let table = table_of(text, start);
        (format!("{table}{field}"), "it is missing".to_owned(), required(field).to_owned())
    } else {
        let (what, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
        (field_of(text, start), what.to_owned(), in_words(expected).to_owned())
    };
    Found { span: start..start, field, what, allowed }.located(text)
}

/// What a field must be that each of its tables has. A name that two tables have is of one type.
fn required(field: &str) -> &'static str {
    match field {
        "name" => "a text: 1 to 64 small letters, digits, -, _ and .",
        "horizon" => "a text with a duration such as \"30d\", or \"none\"",
        "request" | "item" | "reply" => "a table",
        "path" => "a text that begins with a slash, with placeholders",
        "items" => "\"one\" or \"array\"",
        "template" => "a text of JSON, or a table",
        "at" => "a JSON pointer into body.template, such as \"/data/events\"",
        "statuses" => "a list of numbers, some of 200 to 299",
        "member" => "a JSON pointer such as \"/error/code\"",
        _ => "see DIALECTS.md",
    }
}

/// What the reader expected, by the names that the format's document has for it.
fn in_words(expected: &str) -> &str {
    match expected {
        "a string" => "a text",
        "u16" | "u64" => "a whole number, not negative",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "" => "see DIALECTS.md",
        other => other,
    }
}

/// What `message` has between `before` and the next backquote.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split_once('`').map(|(field, _)| field)
}

/// The path of the table whose head stands at `start`, with a dot behind; empty at the top.
fn table_of(text: &str, start: usize) -> String {
    let rest = text.get(start..).unwrap_or_default();
    head(rest.lines().next().unwrap_or_default()).map(|path| format!("{path}.")).unwrap_or_default()
}

/// The path of the field of that name in the table in which `start` lies; where that is the head of a table, its path.
fn within(text: &str, start: usize, field: &str) -> String {
    let (line_start, line) = line_of(text, start);
    if let Some(path) = head(line) {
        return path.to_owned();
    }
    let before = text.get(..line_start).unwrap_or_default();
    match before.lines().filter_map(head).next_back() {
        Some(path) => format!("{path}.{field}"),
        None => field.to_owned(),
    }
}

/// The path in a line that is the head of a table. A line of a template that begins as one has other letters in it.
fn head(line: &str) -> Option<&str> {
    let (path, _) = line.trim().strip_prefix('[')?.split_once(']')?;
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || b"_.".contains(&byte);
    (!path.is_empty() && path.bytes().all(is_plain)).then_some(path)
}

/// The line of a byte, and where it begins.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (start, text.get(start..).unwrap_or_default().lines().next().unwrap_or_default())
}

/// The name before the `=` in the line of `start`.
fn field_of(text: &str, start: usize) -> String {
    let (_, line) = line_of(text, start);
    let name = line.split_once('=').map_or(line, |(name, _)| name).trim();
    if name.is_empty() { "file".to_owned() } else { within(text, start, name) }
}

/// Line and column of a byte.
fn spot(text: &str, at: usize) -> Spot {
    let before = text.get(..text.floor_char_boundary(at)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Spot { line, column }
}
