//! The content of an event: JSON text or bytes.

use crate::error::{Error, Result};

/// The content of an event, kept as it was given.
///
/// Of JSON, white space outside strings is removed; the order of members and the spelling of numbers
/// are kept, so `1.50` stays `1.50`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    bytes: Vec<u8>,
    form: Form,
}

/// Deepest nesting of JSON: what common parsers read.
const JSON_DEPTH_MAX: usize = 127;

/// How the bytes are to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
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
        let checked: std::result::Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
        match checked {
            Ok(_) if depth(text) > JSON_DEPTH_MAX => Err(Error::invalid(
                "PAYLOAD_INVALID",
                format!("payload: is nested deeper than {JSON_DEPTH_MAX}"),
            )),
            Ok(_) => Ok(Self { bytes: without_white_space(text), form: Form::Json }),
            Err(found) => {
                Err(Error::invalid("PAYLOAD_INVALID", format!("payload: not JSON: {found}")))
            }
        }
    }

    /// Takes any bytes.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, form: Form::Bytes }
    }

    /// Takes JSON text that an earlier [`Payload::json`] produced, as the log holds it.
    pub(crate) fn from_stored_json(bytes: Vec<u8>) -> Self {
        Self { bytes, form: Form::Json }
    }

    /// The content as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was given as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// The JSON text, if it was given as JSON.
    #[must_use]
    pub fn as_json(&self) -> Option<&str> {
        match self.form {
            Form::Json => std::str::from_utf8(&self.bytes).ok(),
            Form::Bytes => None,
        }
    }
}

/// Shows every byte of JSON text, and whether it stands within a string.
fn scan(text: &str, mut visit: impl FnMut(u8, bool)) {
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        visit(byte, in_string);
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            in_string = byte == b'"';
        }
    }
}

/// How deep arrays and objects of JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    scan(text, |byte, in_string| match byte {
        b'[' | b'{' if !in_string => {
            depth += 1;
            deepest = deepest.max(depth);
        }
        b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
        _ => {}
    });
    deepest
}

/// Removes the white space outside strings from text that is known to be JSON.
fn without_white_space(text: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    scan(text, |byte, in_string| {
        if in_string || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            kept.push(byte);
        }
    });
    kept
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
    }

    proptest! {
        #[test]
        fn the_value_is_the_same_after_white_space_is_removed(text in "\\PC{0,12}", n in any::<i64>()) {
            let value = serde_json::json!({ text.clone(): [n, text, { "k": null }] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let payload = Payload::json(&pretty).unwrap();
            prop_assert_eq!(payload.as_json().unwrap(), value.to_string());
        }
    }
}
