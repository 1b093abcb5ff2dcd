//! The options of a hub.

use std::{fmt, path::PathBuf};

/// A text that is never shown: `Debug` prints a placeholder.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The options with which a hub is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the hub's data; each tenant's store is `tenants/NAME` in it. Created when missing.
    pub data: PathBuf,
    /// Bearer key of the tenant `default`: visible ASCII, not empty.
    pub api_key: Secret,
    /// File of cards as JSON lines; without it every card exists and is active.
    pub cards: Option<PathBuf>,
    /// Size of a log segment in bytes; 64 MiB without it.
    pub segment_bytes: Option<u64>,
    /// Whether the data must be there already.
    pub must_exist: bool,
}

impl Options {
    /// Options with the defaults for all that may be left out.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, api_key: impl Into<Secret>) -> Self {
        Self {
            data: data.into(),
            api_key: api_key.into(),
            cards: None,
            segment_bytes: None,
            must_exist: false,
        }
    }

    /// Takes cards from a file; see [`Options::cards`].
    #[must_use]
    pub fn with_cards(mut self, file: impl Into<PathBuf>) -> Self {
        self.cards = Some(file.into());
        self
    }

    /// Makes no data where there is none: its disk may not be mounted yet.
    #[must_use]
    pub const fn existing(mut self) -> Self {
        self.must_exist = true;
        self
    }

    /// Sets the size of a log segment; see [`Options::segment_bytes`].
    #[must_use]
    pub const fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn debug_output_of_the_options_hides_the_key() {
        let shown = format!("{:?}", Options::new("data", "very-secret"));
        assert!(shown.contains("data"), "control: the rest is shown: {shown}");
        assert!(!shown.contains("very-secret"), "{shown}");
    }
}
