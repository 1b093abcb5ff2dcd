//! The content of an event: JSON text or bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::base::{Error, Result};

/// The content of an event, kept as it was given.
///
/// Of JSON, white space outside strings is removed; the order of members and the spelling of numbers
/// are kept, so `1.50` stays `1.50`. Its `Debug` says how long it is, and nothing of the content: a logged event puts
/// none of it into a log.
///
/// ```
/// use onceward::Payload;
///
/// let json = Payload::json(r#"{ "total": 1.50 }"#)?;
/// assert_eq!(json.as_json(), Some(r#"{"total":1.50}"#));
/// let bytes = Payload::bytes(vec![0xff, 0]);
/// assert_eq!((bytes.as_json(), bytes.as_bytes()), (None, &[0xff, 0][..]));
/// assert_eq!(format!("{json:?}"), "Payload { bytes: 14, is_json: true }");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone)]
pub struct Payload {
    content: Content,
    form: PayloadForm,
}

/// The bytes of a payload.
#[derive(Clone)]
enum Content {
    /// In memory of its own.
    Own(Vec<u8>),
    /// In memory that it shares with others.
    Part { all: Arc<Vec<u8>>, from: u32, to: u32 },
}

/// Deepest nesting of JSON: what common parsers read.
const JSON_DEPTH_MAX: usize = 127;

/// How the bytes are to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PayloadForm {
    Json,
    Bytes,
}

impl Payload {
    /// Takes one JSON value.
    ///
    /// # Errors
    ///
    /// `Invalid`: not one JSON value, or nested deeper than 127.
    pub fn json(text: &str) -> Result<Self> {
        Ok(Self::stored(checked_json(text)?.into_owned(), PayloadForm::Json))
    }

    /// Takes any bytes.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::stored(bytes, PayloadForm::Bytes)
    }

    /// Takes JSON text that an earlier [`Payload::json`] produced, as the log holds it.
    pub(crate) fn from_stored_json(bytes: Vec<u8>) -> Self {
        Self::stored(bytes, PayloadForm::Json)
    }

    /// Takes bytes that an earlier [`Payload::json`] or [`Payload::bytes`] has, as the log holds them.
    pub(super) fn stored(bytes: Vec<u8>, form: PayloadForm) -> Self {
        Self { content: Content::Own(bytes), form }
    }

    /// Takes such bytes where others are, too.
    pub(super) fn part_of(all: &Arc<Vec<u8>>, range: Range<usize>, form: PayloadForm) -> Self {
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let (from, to) = (at(range.start), at(range.end));
        Self { content: Content::Part { all: Arc::clone(all), from, to }, form }
    }

    /// Puts the memory in where the bytes are, unless they are in memory of their own.
    pub(super) fn share(&mut self, with: &Arc<Vec<u8>>) {
        if let Content::Part { all, .. } = &mut self.content {
            all.clone_from(with);
        }
    }

    /// How the bytes are to be read.
    pub(super) fn form(&self) -> PayloadForm {
        self.form
    }

    /// The content as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Own(bytes) => bytes,
            Content::Part { all, from, to } => {
                let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
                all.get(at(*from)..at(*to)).unwrap_or_default()
            }
        }
    }

    /// Whether it was given as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == PayloadForm::Json
    }

    /// The JSON text, if it was given as JSON.
    #[must_use]
    pub fn as_json(&self) -> Option<&str> {
        match self.form {
            PayloadForm::Json => std::str::from_utf8(self.as_bytes()).ok(),
            PayloadForm::Bytes => None,
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Payload");
        shown.field("bytes", &self.as_bytes().len()).field("is_json", &self.is_json()).finish()
    }
}

/// One JSON value without the white space outside strings: where it was given if it has none.
///
/// # Errors
///
/// `Invalid`: not one JSON value, or nested deeper than 127.
pub(super) fn checked_json(text: &str) -> Result<Cow<'_, [u8]>> {
    let checked: std::result::Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    if let Err(found) = checked {
        return Err(Error::invalid("PAYLOAD_INVALID", format!("payload: not JSON: {found}")));
    }
    match compact(text) {
        (bytes, depth) if depth <= JSON_DEPTH_MAX => Ok(bytes),
        _ => Err(Error::invalid(
            "PAYLOAD_INVALID",
            format!("payload: is nested deeper than {JSON_DEPTH_MAX}"),
        )),
    }
}

/// Text that is known to be JSON, without the white space outside strings; and how deep its arrays and
/// objects are nested. One look at each byte: every capture of JSON passes here.
fn compact(text: &str) -> (Cow<'_, [u8]>, usize) {
    let bytes = text.as_bytes();
    // Nothing until there is something to leave out.
    let mut kept = Vec::new();
    let (mut depth, mut deepest) = (0_usize, 0);
    // What is between two pieces of white space is copied at once.
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                if from == 0 {
                    kept.reserve_exact(bytes.len() - 1);
                }
                kept.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    if from == 0 {
        return (Cow::Borrowed(bytes), deepest);
    }
    kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
    (Cow::Owned(kept), deepest)
}

/// The offset of the quotation mark that ends the string from `at` on.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(near) if rest.get(near) == Some(&b'"') => return at + near,
            Some(near) => at += near + 2,
            None => return bytes.len(),
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_goes_and_everything_else_stays() {
        let given = " { \"a b\" : [ 1.50 , \"x \\\" y \\\\\" , 1e2 ] ,\n\t\"z\":null }\r\n";
        let kept = r#"{"a b":[1.50,"x \" y \\",1e2],"z":null}"#;
        assert_eq!(Payload::json(given).unwrap().as_json(), Some(kept));
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for bad in ["", " ", "{", "{}{}", "{a:1}", "nul", "\"\u{1}\"", "01", "NaN"] {
            let error = Payload::json(bad).unwrap_err();
            assert_eq!(error.code(), "PAYLOAD_INVALID", "{bad:?}");
        }
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Payload::json(&deep).is_err());
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Payload::json(&nested(127)).is_ok(), "control: the deepest");
        assert!(Payload::json(&nested(128)).is_err());
        let braces = format!("[\"{}\\\"{}\"]", "[".repeat(200), "]{".repeat(200));
        assert!(Payload::json(&braces).is_ok(), "those in a string are no nesting");
    }

    proptest! {
        #[test]
        fn the_value_is_the_same_after_white_space_is_removed(text in "\\PC{0,12}", n in any::<i64>()) {
            let value = serde_json::json!({ text.clone(): [n, text, { "k": null }] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let payload = Payload::json(&pretty).unwrap();
            prop_assert_eq!(payload.as_json().unwrap(), value.to_string());
            let again = Payload::json(&value.to_string()).unwrap();
            prop_assert_eq!(again, payload);
        }
    }
}
