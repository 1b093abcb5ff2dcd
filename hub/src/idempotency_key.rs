//! The `Idempotency-Key` header: one structured-field string, quoted or bare.
//!
//! As in draft-ietf-httpapi-idempotency-key-header-07; the bare form is what many clients send.

use axum::http::HeaderMap;

use crate::problem::{Code, Problem};

/// Longest key, bytes: it must fit a key of the store.
const BYTES_MAX: usize = 255;
/// The header's name.
const NAME: &str = "idempotency-key";

/// The key that `headers` hold, if they hold one.
///
/// # Errors
///
/// 400 if the header is there twice, malformed, empty or over 255 bytes.
pub(crate) fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(NAME).iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(refused("is there twice"));
    }
    let text = first.to_str().map_err(|_not_ascii| refused("must be visible ASCII"))?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquote(rest).ok_or_else(|| refused("is not a well-formed quoted string"))?,
        None if text.bytes().all(is_bare) => text.to_owned(),
        None => return Err(refused("must be one string, quoted if it has spaces or marks")),
    };
    match key.len() {
        1..=BYTES_MAX => Ok(Some(key)),
        _ => Err(refused("must have 1 to 255 bytes")),
    }
}

/// The problem of a malformed header.
fn refused(why: &str) -> Problem {
    Problem::new(Code::InvalidIdempotencyKey, format!("Idempotency-Key {why}"))
}

/// Whether `byte` may be in a key without quotes: nothing that would begin another header value.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// The text of a quoted string without its opening quote; `None` if it is malformed.
fn unquote(rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => text.push(escaped),
                _ => return None,
            },
            plain @ ' '..='~' => text.push(plain),
            _ => return None,
        }
    }
    // Parameters may follow in theory; nobody has defined one, so there is none to ignore.
    characters.as_str().is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::read;

    fn key(values: &[&str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("Idempotency-Key", HeaderValue::from_str(value).unwrap());
        }
        read(&headers).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn quoted_and_bare_keys_are_the_same_key() {
        assert_eq!(key(&["\"8e03-97\""]), Ok(Some("8e03-97".to_owned())));
        assert_eq!(key(&["8e03-97"]), Ok(Some("8e03-97".to_owned())));
        assert_eq!(key(&["\"a \\\" b\\\\\""]), Ok(Some("a \" b\\".to_owned())));
        assert_eq!(key(&[]), Ok(None));
        assert!(key(&[&"k".repeat(255)]).is_ok());
    }

    #[test]
    fn malformed_keys_are_refused() {
        let too_long = "k".repeat(256);
        for bad in [
            &["\"\""][..],
            &[""],
            &["\"open"],
            &["\"a\"b"],
            &["\"a\\b\""],
            &["a b"],
            &["a,b"],
            &["a\"b"],
            &["k\u{e9}y"],
            &[too_long.as_str()],
            &["a", "a"],
        ] {
            let shown = key(bad).unwrap_err();
            assert!(shown.contains("Idempotency-Key"), "{bad:?}: {shown}");
        }
    }
}
