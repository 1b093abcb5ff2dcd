//! Names and values that travel with an event.

use std::fmt;

use crate::base::bounds::{
    HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX,
};
use crate::base::{Error, Result};

/// Names and values that travel with an event, in the order in which they were given.
///
/// At most 16 pairs of 4 KiB in all. A name has 1 to 64 bytes of `a-z`, `0-9` and `-` and may come more
/// than once; a value is text of at most 1,024 bytes. They are data for whoever receives the event: two
/// events that differ in nothing else are the same event.
///
/// ```
/// use onceward::Headers;
///
/// let headers = Headers::new().with("trace-id", "4bf92f35")?.with("till", "7")?;
/// assert_eq!(headers.value("till"), Some("7"));
/// assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["trace-id", "till"]);
/// assert_eq!(headers.with("Till", "7").unwrap_err().code(), "HEADER_INVALID");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers {
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl Headers {
    /// No headers. Takes no memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Headers::new`], for a constant.
    pub(super) const fn none() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Adds a header behind those that are there.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `HEADER_INVALID`: the name or the value breaks its rule. Code
    /// `HEADERS_TOO_LONG`: there are 16 already, or all would have over 4,096 bytes.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        check_name(name)?;
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return Err(Error::invalid(
                "HEADER_INVALID",
                format!(
                    "header {name}: its value has {} bytes, at most {HEADER_VALUE_BYTES_MAX}",
                    value.len()
                ),
            ));
        }
        let bytes = self.bytes().saturating_add(name.len()).saturating_add(value.len());
        if self.pairs.len() >= HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
            return Err(Error::invalid(
                "HEADERS_TOO_LONG",
                format!(
                    "headers: {} with {bytes} bytes, at most {HEADERS_MAX} with {HEADERS_BYTES_MAX}",
                    self.pairs.len() + 1
                ),
            ));
        }
        self.pairs.push((name.into(), value.into()));
        Ok(self)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of the first header of this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Bytes of all names and values.
    fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// Values may be personal, or secret: only the names are shown.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Refuses a name outside its rule.
fn check_name(name: &str) -> Result<()> {
    let all_well = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if all_well && (1..=HEADER_NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(
        "HEADER_INVALID",
        format!("header: {shown:?} must have 1 to {HEADER_NAME_BYTES_MAX} bytes of a-z, 0-9 and -"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_over_a_limit_are_refused() {
        let longest = "v".repeat(1_024);
        let three = (0..3).try_fold(Headers::new(), |all, _| all.with("n", &longest)).unwrap();
        assert_eq!(three.bytes(), 3 * 1_025);
        let full = three.with("n", &"v".repeat(4_096 - 3 * 1_025 - 1)).unwrap();
        assert_eq!(full.bytes(), 4_096, "control: the most");
        assert_eq!(full.with("n", "").unwrap_err().code(), "HEADERS_TOO_LONG");
        let most = (0..16).try_fold(Headers::new(), |all, _| all.with("n", "")).unwrap();
        assert_eq!(most.with("n", "").unwrap_err().code(), "HEADERS_TOO_LONG");
        assert!(Headers::new().with(&"n".repeat(64), "").is_ok(), "control: the longest name");
        for name in ["", "A", "a b", "a_b", "\u{e9}", &"n".repeat(65)] {
            assert_eq!(Headers::new().with(name, "").unwrap_err().code(), "HEADER_INVALID");
        }
        let too_long = Headers::new().with("n", &"v".repeat(1_025)).unwrap_err();
        assert_eq!(too_long.code(), "HEADER_INVALID");
    }

    #[test]
    fn values_are_not_in_debug_output() {
        let headers = Headers::new().with("token", "s3cret").unwrap();
        let shown = format!("{headers:?}");
        assert!(shown.contains("token") && !shown.contains("s3cret"), "{shown}");
    }
}
