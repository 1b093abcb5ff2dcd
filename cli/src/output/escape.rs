//! Shows texts from outside so that no terminal obeys them. The one place that knows what is dangerous.

use std::{borrow::Cow, fmt::Write as _};

/// The text with escapes in the place of what a terminal would obey or hide: control characters, line ends,
/// and what changes the direction of writing or has no width. A backslash that could be taken for the beginning of
/// such an escape is doubled, so that two texts that differ never look the same.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    let text = without_false_escapes(text);
    let escaped = escaped(&text, |out, character| match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => out.extend(other.escape_unicode()),
    });
    match escaped {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => Cow::Owned(escaped),
    }
}

/// The text with each backslash doubled that an escape, or what looks like one, could follow.
fn without_false_escapes(text: &str) -> Cow<'_, str> {
    let is_false = |rest: &str| {
        rest.starts_with(['\\', 'n', 'r', 't'])
            || rest.starts_with("u{")
            || rest.starts_with(is_dangerous)
    };
    let places = text.match_indices('\\').map(|(at, _)| at);
    let mut places = places.filter(|at| text.get(at + 1..).is_some_and(is_false)).peekable();
    if places.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut from) = (String::with_capacity(text.len().saturating_add(32)), 0);
    for at in places {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push('\\');
        from = at;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
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
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_everything_else_stays() {
        for (text, expected) in [
            ("till-7 \u{e9} \u{1f6d2} C:\\x\\", "till-7 \u{e9} \u{1f6d2} C:\\x\\"),
            ("C:\\new", "C:\\\\new"),
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
    fn two_texts_that_differ_never_look_the_same() {
        let pieces =
            ["r1", "\u{fe00}", "\u{0}", "\n", "\\", "\\n", "\\u{0}", "\\u{fe00}", "n", "u{0}"];
        let mut texts = vec![String::new()];
        for _ in 0..3 {
            let longer = texts.iter().flat_map(|text| pieces.map(|piece| format!("{text}{piece}")));
            texts = texts.iter().cloned().chain(longer.collect::<Vec<_>>()).collect();
            texts.sort();
            texts.dedup();
        }
        let looks: std::collections::BTreeSet<_> = texts.iter().map(|text| shown(text)).collect();
        assert_eq!(looks.len(), texts.len());
        assert!(!looks.iter().any(|look| look.contains(is_dangerous)));
        for blank in "\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180f}\u{3164}\u{ffa0}\u{fe0f}\u{e0100}\u{e01ef}".chars() {
            assert_eq!(shown(&format!("r1{blank}")), format!("r1{}", blank.escape_unicode()));
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
