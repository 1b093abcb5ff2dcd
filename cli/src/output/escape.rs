//! Shows texts from outside so that no terminal obeys them. The one place that knows what is dangerous.

use std::{borrow::Cow, fmt::Write as _};

/// The text with escapes in the place of what a terminal would obey or hide: control characters, line ends,
/// and what changes the direction of writing or has no width.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |out, character| match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => out.extend(other.escape_unicode()),
    })
}

/// JSON of the same value with JSON's escapes in these places.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |out, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            if write!(out, "\\u{unit:04x}").is_err() {
                // A text takes whatever is written to it.
            }
        }
    })
}

/// The text with `escape` called for each dangerous character.
fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let Some(first) = text.find(is_dangerous) else { return Cow::Borrowed(text) };
    let (safe, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len().saturating_add(32));
    out.push_str(safe);
    for character in rest.chars() {
        if is_dangerous(character) {
            escape(&mut out, character);
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal obeys or hides it.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks and overrides of direction, line ends of Unicode, and what has no width.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_everything_else_stays() {
        for (text, expected) in [
            ("till-7 \u{e9} \u{1f6d2} C:\\n", "till-7 \u{e9} \u{1f6d2} C:\\n"),
            ("", ""),
            ("a\0b", "a\\u{0}b"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("a\u{200b}b\u{2028}c", "a\\u{200b}b\\u{2028}c"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn json_is_that_of_the_same_value_and_holds_nothing_a_terminal_obeys() {
        let value = "a\0\u{7f}\u{9b}\u{202e}\u{e0041}\u{e9}\n\u{1b}";
        let text = serde_json::to_string(value).unwrap();
        let escaped = json(&text);
        assert!(text.contains(is_dangerous) && !escaped.contains(is_dangerous), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), value);
    }
}
