//! How much of a foreign text is shown and kept.

/// How much of a body a message shows, before escaping.
pub(crate) const EXCERPT_BYTES_MAX: usize = 200;

/// How much of a foreign message is passed on.
pub(crate) const MESSAGE_BYTES_MAX: usize = 512;

/// How much of the reply for one item is passed on.
pub(crate) const REPLY_BYTES_MAX: usize = 1_024;

/// Longest foreign code that is passed on.
pub(crate) const CODE_BYTES_MAX: usize = 64;

/// The first bytes of `body`, escaped: one line of printable ASCII, whatever they were.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let shown = body.get(..EXCERPT_BYTES_MAX).unwrap_or(body);
    let more = if shown.len() < body.len() { "..." } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}

/// The longest start of `text` that has at most `bytes_max` bytes and ends between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_printable_and_one_line() {
        assert_eq!(excerpt(b"<html>\n\"\xff"), r#""<html>\n\"\xff""#);
        let long = excerpt(&[0; 1_000]);
        assert_eq!(long.len(), EXCERPT_BYTES_MAX * 4 + 5);
        assert!(long.ends_with("\"..."), "says that there is more");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("caf\u{e9}", 4), "caf");
        assert_eq!(cut("caf\u{e9}", 5), "caf\u{e9}");
        assert_eq!(cut("", 5), "");
    }
}
