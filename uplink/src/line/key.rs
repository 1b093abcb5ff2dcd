//! The key of a terminal as a header holds it.

use ureq::http::HeaderValue;

use crate::error::Error;
use crate::secret::Secret;

/// The value of the header that holds the key, marked so that it is not logged either.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A key must be visible ASCII, or it would not arrive as it is.
pub(super) fn check_key(key: Option<&Secret>) -> Result<(), Error> {
    match key.map(Secret::expose) {
        Some("") => Err(Error::invalid("key", "is empty")),
        Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Error::invalid("key", "has a character that a header cannot hold"))
        }
        Some(_) | None => Ok(()),
    }
}
