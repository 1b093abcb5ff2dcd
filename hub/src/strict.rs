//! Reads JSON strictly: what two readers could understand differently is refused.
//!
//! Values stay as the text that was sent, so that numbers never pass through a float. Bounded: one pass
//! without recursion for the syntax, one with at most [`JSON_LEVELS_MAX`] levels for the rest.

use onceward::wire::{JSON_LEVELS_MAX, check_json};
use serde_json::value::RawValue;

use crate::problem::{Code, Fault, Problem};

/// Why a body is refused before its fields are looked at.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The body is not UTF-8, or not the grammar of JSON.
    NotJson(String),
    /// The body is JSON, but not what every reader understands alike.
    Fault(Fault),
}

impl Refusal {
    /// The problem that the client is answered.
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
    check_json(value.get(), JSON_LEVELS_MAX).map_err(|fault| {
        let field = if fault.path.is_empty() { "body".to_owned() } else { fault.path };
        Refusal::Fault(Fault { field, message: fault.message })
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::{Refusal, parse};

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
    fn what_readers_understand_differently_is_refused_with_its_path() {
        assert_eq!(fault(r#"{"a":[0,{"b":1,"b":1}]}"#), "a[1].b is there twice");
        assert!(fault("1e400").starts_with("body is unusable"));
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(64).as_bytes()).is_ok(), "control");
        assert!(fault(&nested(65)).contains("nests deeper than 64 levels"));
    }
}
