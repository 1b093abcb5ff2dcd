//! The short texts of an event: scope, key, kind and lane, each with its own rule.

use std::ops::Range;
use std::sync::Arc;
use std::{fmt, str::FromStr};

use super::text::LabelText;
use crate::base::bounds::{KEY_BYTES_MAX, KIND_BYTES_MAX, LANE_BYTES_MAX, SCOPE_BYTES_MAX};
use crate::base::{Error, Result};

/// Logical grouping of keys: `^[a-z0-9][a-z0-9_-]{0,62}$`.
///
/// ```
/// use onceward::Scope;
///
/// let scope: Scope = "sales".parse()?;
/// assert_eq!(scope.as_str(), "sales");
/// assert!(Scope::new("Sales!").is_err());
/// assert_eq!(Scope::default().as_str(), Scope::DEFAULT);
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Scope(LabelText);

/// Idempotency key: text of 1 to 255 bytes, unique for each event within its scope and window.
///
/// ```
/// use onceward::Key;
///
/// // Made before the event is captured, the same for every retry.
/// let key = Key::new("till-7-receipt-000042")?;
/// // Or made here, if nothing at hand is unique; then keep it with the work.
/// assert_ne!(Key::generate(), Key::generate());
/// # let _ = key;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(LabelText);

/// Kind of an event: text of 1 to 64 bytes; `event` by default.
///
/// ```
/// use onceward::{Event, Key, Kind, Payload, Scope};
///
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// assert_eq!(event.kind.as_str(), "event");
/// assert_eq!(event.with_kind(Kind::new("PAYMENT")?).kind.as_str(), "PAYMENT");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Kind(LabelText);

/// Name of a lane, such as a card or an order: text of 1 to 255 bytes.
///
/// ```
/// use onceward::{Event, Key, Lane, Payload, Scope};
///
/// // What concerns one card arrives in order, and waits for no other card.
/// let event = Event::new(Scope::default(), Key::new("p-1")?, Payload::json("{}")?);
/// let event = event.with_lane(Lane::new("card-4711")?);
/// # let _ = event;
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lane(LabelText);

impl Scope {
    /// The scope of events that were given none.
    pub const DEFAULT: &'static str = "default";

    /// Checks a scope's name.
    ///
    /// # Errors
    ///
    /// `Invalid`: empty, over 63 bytes, or with characters outside `a-z0-9_-`.
    pub fn new(name: &str) -> Result<Self> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let all_well = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if starts_well && all_well && name.len() <= SCOPE_BYTES_MAX {
            return Ok(Self(name.into()));
        }
        Err(Error::invalid(
            "SCOPE_INVALID",
            format!(
                "scope: {} must match ^[a-z0-9][a-z0-9_-]{{0,62}}$ (at most {SCOPE_BYTES_MAX} bytes)",
                shown(name)
            ),
        ))
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self(LabelText::Fixed(Self::DEFAULT))
    }
}

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    ///
    /// `Invalid`: empty, or over 255 bytes.
    pub fn new(text: &str) -> Result<Self> {
        Self::check(text).map(Self::of_checked)
    }

    /// Refuses a text that is none, as [`Key::new`] does.
    pub(super) fn check(text: &str) -> Result<&str> {
        sized("key", "KEY_INVALID", text, KEY_BYTES_MAX)
    }

    /// Takes a text that passed [`Key::check`].
    pub(super) fn of_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// Takes a part of a text, of which the part passed [`Key::check`].
    pub(super) fn part_of(all: &Arc<str>, range: Range<usize>) -> Self {
        Self(LabelText::part(all, range))
    }

    /// Puts the text in of which the key is a part.
    pub(super) fn share(&mut self, all: &Arc<str>) {
        self.0.share(all);
    }

    /// Makes a new key, a UUID of version 7, for callers that have no name of their own for the
    /// event. Keys made by one process sort by the moment at which they were made.
    ///
    /// Make it before the capture, and keep it for every retry: a retry under another key is another
    /// event. A store never changes a key.
    ///
    /// ```
    /// use onceward::{Event, Key, Payload, Scope};
    ///
    /// let key = Key::generate();
    /// assert_eq!(key.as_str().len(), 36);
    /// let event = Event::new(Scope::default(), key.clone(), Payload::json("{}")?);
    /// assert_eq!(event.key, key);
    /// # Ok::<(), onceward::Error>(())
    /// ```
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::base::clock::uuid_v7().into())
    }
}

impl Kind {
    /// The kind of events that were given none.
    pub const DEFAULT: &'static str = "event";

    /// Checks a kind.
    ///
    /// # Errors
    ///
    /// `Invalid`: empty, or over 64 bytes.
    pub fn new(text: &str) -> Result<Self> {
        Self::check(text).map(Self::of_checked)
    }

    /// Refuses a text that is none, as [`Kind::new`] does.
    pub(super) fn check(text: &str) -> Result<&str> {
        sized("kind", "KIND_INVALID", text, KIND_BYTES_MAX)
    }

    /// Takes a text that passed [`Kind::check`].
    pub(super) fn of_checked(text: &str) -> Self {
        Self(text.into())
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self(LabelText::Fixed(Self::DEFAULT))
    }
}

impl Lane {
    /// Checks a lane's name.
    ///
    /// # Errors
    ///
    /// `Invalid`: empty, or over 255 bytes.
    pub fn new(text: &str) -> Result<Self> {
        Self::check(text).map(Self::of_checked)
    }

    /// Refuses a text that is none, as [`Lane::new`] does.
    pub(super) fn check(text: &str) -> Result<&str> {
        sized("lane", "LANE_INVALID", text, LANE_BYTES_MAX)
    }

    /// Takes a text that passed [`Lane::check`].
    pub(super) fn of_checked(text: &str) -> Self {
        Self(text.into())
    }
}

/// Checks that `text` has 1 to `bytes_max` bytes.
fn sized<'a>(field: &str, code: &'static str, text: &'a str, bytes_max: usize) -> Result<&'a str> {
    if text.is_empty() {
        return Err(Error::invalid(
            code,
            format!("{field}: is empty, must have 1 to {bytes_max} bytes"),
        ));
    }
    if text.len() > bytes_max {
        return Err(Error::invalid(
            code,
            format!("{field}: has {} bytes, must have 1 to {bytes_max}", text.len()),
        ));
    }
    Ok(text)
}

/// The first characters of a refused text, escaped, so that an error stays one short line.
fn shown(text: &str) -> String {
    const CHARS_SHOWN: usize = 40;
    let start: String = text.chars().take(CHARS_SHOWN).collect();
    format!("{start:?}")
}

macro_rules! text_label {
    ($name:ident) => {
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }
    };
}

text_label!(Scope);
text_label!(Key);
text_label!(Kind);
text_label!(Lane);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_outside_the_pattern_are_refused_by_name() {
        assert_eq!(Scope::new("sales-2_x").unwrap().as_str(), "sales-2_x", "control");
        assert!(Scope::new(&"a".repeat(63)).is_ok(), "control: the longest");
        for bad in ["", "-a", "_a", "A", "a b", "a.b", "\u{e9}", &"a".repeat(64)] {
            let error = Scope::new(bad).unwrap_err();
            assert_eq!(error.code(), "SCOPE_INVALID", "{bad:?}");
            assert!(error.to_string().contains("63"), "{error}");
        }
    }

    #[test]
    fn keys_have_one_to_255_bytes() {
        assert!(Key::new(&"k".repeat(255)).is_ok(), "control: the longest");
        assert!(Key::new("").unwrap_err().to_string().contains("255"));
        let error = Key::new(&"k".repeat(256)).unwrap_err();
        assert!(error.to_string().contains("256") && error.to_string().contains("255"), "{error}");
    }

    #[test]
    fn generated_keys_differ_and_are_valid() {
        let (one, two) = (Key::generate(), Key::generate());
        assert_ne!(one, two);
        assert_eq!(Key::new(one.as_str()).unwrap(), one);
        assert!(one < two, "they sort by time: {one}, {two}");
        assert_eq!(one.as_str().as_bytes()[14], b'7', "{one} is of version 7");
    }
}
