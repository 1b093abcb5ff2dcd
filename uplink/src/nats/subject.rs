//! The subject of a message, made of an event's scope and kind.

use std::fmt;

use onceward::Scope;

use crate::error::Error;

/// Longest template, bytes.
const TEMPLATE_BYTES_MAX: usize = 255;
/// What stands for the event's scope.
const SCOPE: &str = "{scope}";
/// What stands for the event's kind.
const KIND: &str = "{kind}";

/// How subjects are made: tokens with dots between, in which `{scope}` and `{kind}` stand for those of the event.
///
/// Whatever of a kind is no letter of ASCII, digit, `-` or `_` is spelled `%XX`, so that each kind is one token.
///
/// ```
/// use onceward::Scope;
/// use onceward_uplink::nats::SubjectTemplate;
///
/// let template = SubjectTemplate::parse("onceward.{scope}.{kind}")?;
/// let sales = Scope::new("sales").map_err(|error| error.to_string()).unwrap();
/// assert_eq!(template.subject(&sales, "PAYMENT"), "onceward.sales.PAYMENT");
/// assert_eq!(template.subject(&sales, "a.b *"), "onceward.sales.a%2Eb%20%2A");
/// assert!(SubjectTemplate::parse("onceward.*").is_err());
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectTemplate(String);

impl SubjectTemplate {
    /// Checks a template.
    ///
    /// # Errors
    ///
    /// `Invalid`: over 255 bytes, an empty token, a first one that begins with `$`, or with other characters than
    /// visible ASCII, or with `*`, `>` or braces around anything else than `scope` and `kind`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: String| Error::invalid("subject", why);
        if text.len() > TEMPLATE_BYTES_MAX {
            let count = text.len();
            return Err(invalid(format!("has {count} bytes, at most {TEMPLATE_BYTES_MAX}")));
        }
        if text.starts_with('$') {
            return Err(invalid("begins with $, as subjects of the server do".to_owned()));
        }
        for token in text.split('.') {
            let rest = token.replace(SCOPE, "").replace(KIND, "");
            let odd = rest.chars().find(|c| !c.is_ascii_graphic() || "*>{}".contains(*c));
            match odd {
                Some('{' | '}') => {
                    return Err(invalid("knows {scope} and {kind} only".to_owned()));
                }
                Some(odd) => return Err(invalid(format!("has {odd:?} in it"))),
                None if token.is_empty() => {
                    return Err(invalid("has an empty part between two dots".to_owned()));
                }
                None => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The subject of an event of that scope and kind.
    #[must_use]
    pub fn subject(&self, scope: &Scope, kind: &str) -> String {
        // In one pass: what stands in for one is not searched for the other.
        let scoped = self.0.replace(SCOPE, scope.as_str());
        scoped.replace(KIND, &token(kind))
    }

    /// The subjects of all events, as a stream has them: with `*` for what differs.
    pub(super) fn pattern(&self, scope: Option<&Scope>) -> String {
        let given = match scope {
            Some(scope) => self.0.replace(SCOPE, scope.as_str()),
            None => self.0.clone(),
        };
        let tokens: Vec<&str> =
            given.split('.').map(|token| if token.contains('{') { "*" } else { token }).collect();
        tokens.join(".")
    }
}

impl Default for SubjectTemplate {
    fn default() -> Self {
        Self(format!("onceward.{SCOPE}"))
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a stream with that filter gets any of the subjects of a pattern.
pub(super) fn meets(filter: &str, pattern: &str) -> bool {
    let mut theirs = filter.split('.');
    let mut ours = pattern.split('.');
    loop {
        match (theirs.next(), ours.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(their), Some(our)) if their == "*" || our == "*" || their == our => {}
            _ => return false,
        }
    }
}

/// A text as one token of a subject: no two texts have the same one.
fn token(text: &str) -> String {
    escaped(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A text in visible ASCII: no two texts have the same.
pub(super) fn visible(text: &str) -> String {
    escaped(text, |byte| byte.is_ascii_graphic() && byte != b'%')
}

/// A text with `%XX` for each byte that is not plain.
fn escaped(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_no_server_takes_are_refused() {
        assert!(SubjectTemplate::parse("onceward.{scope}.x-{kind}").is_ok(), "control");
        let long = "a".repeat(256);
        for bad in
            ["", "a..b", ".a", "a.", "a b", "a.*", "a.>", "$JS.a", "{key}", "a.{", "\u{e9}", &long]
        {
            assert!(SubjectTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_is_one_token_whatever_is_in_it_and_stands_in_for_nothing_else() {
        let template = SubjectTemplate::parse("a.{scope}.{kind}").unwrap();
        let scope = Scope::new("s").unwrap();
        let subjects: Vec<String> = ["a.b", "a%2Eb", "{scope}", "\u{e9}\n", ">"]
            .map(|kind| template.subject(&scope, kind))
            .into();
        let expected = ["a.s.a%2Eb", "a.s.a%252Eb", "a.s.%7Bscope%7D", "a.s.%C3%A9%0A", "a.s.%3E"];
        assert_eq!(subjects, expected);
    }

    #[test]
    fn a_filter_meets_what_it_has_in_common() {
        let scope = Scope::new("sales").unwrap();
        let template = SubjectTemplate::parse("once.{scope}.k-{kind}").unwrap();
        assert_eq!(
            (template.pattern(None).as_str(), template.pattern(Some(&scope)).as_str()),
            ("once.*.*", "once.sales.*")
        );
        for filter in ["once.>", "once.sales.*", "*.*.*", "once.sales.k-x", ">"] {
            assert!(meets(filter, "once.sales.*"), "{filter}");
        }
        for filter in ["once.tips.*", "once.sales", "once.sales.*.*", "once.sales.*.>", "other.>"] {
            assert!(!meets(filter, "once.sales.*"), "{filter}");
        }
    }
}
