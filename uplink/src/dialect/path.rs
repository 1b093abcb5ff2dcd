//! Foreign texts as parts of a path.

use onceward::sync::Misfit;

use super::misfit;

/// A value as one part of a path.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Checks that a text is one part of a path, and leads nowhere else than below the part before it.
///
/// # Errors
///
/// It is empty, `.` or `..`.
pub(crate) fn check_part(name: &str, text: &str) -> Result<(), Misfit> {
    match text {
        "" => Err(misfit(format!("{name}: must not be empty"))),
        "." | ".." => Err(misfit(format!("{name}: {text:?} would lead to another path"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_it_stays_one_part() {
        assert_eq!(percent_encoded("a/b?c=d#e f%\u{e9}"), "a%2Fb%3Fc%3Dd%23e%20f%25%C3%A9");
        assert_eq!(percent_encoded("0191f2b0-aZ_.~"), "0191f2b0-aZ_.~");
        for text in ["", ".", ".."] {
            let found = check_part("event_id", text).unwrap_err();
            assert!(found.message.starts_with("event_id: "), "{}", found.message);
        }
        assert_eq!(check_part("event_id", "..."), Ok(()));
    }
}
