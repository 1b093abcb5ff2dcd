//! Lengths of time as texts, as files of a configuration and messages about one have them: `90s`, `15m`, `24h`, `7d`.

use std::time::Duration;

use super::whole_ms;

/// Units of time, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time as a text such as `24h`: its number of the longest unit of which it is a multiple. A part of a
/// millisecond is rounded up, as the store does with all that is remembered: who reads the file remembers as long.
pub(crate) fn text_of(length: Duration) -> String {
    let ms = whole_ms(length);
    let unit = UNITS.iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms));
    let (name, unit_ms) = unit.unwrap_or(&("s", 1_000));
    format!("{}{name}", ms / unit_ms)
}

/// The length of time of a text: a number and its unit, or several of them, as in `1h30m`.
#[cfg(any(test, feature = "serde"))]
fn length_of(text: &str) -> Option<Duration> {
    let (mut sum_ms, mut rest) = (0_u64, text);
    loop {
        let unit_at = rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, behind) = rest.split_at(unit_at);
        let unit_bytes = behind.find(|it: char| it.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_bytes);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum_ms = sum_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = behind;
        if rest.is_empty() {
            return Some(Duration::from_millis(sum_ms));
        }
    }
}

/// Lengths of time in files.
#[cfg(feature = "serde")]
mod in_files {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    use super::{Duration, length_of};

    /// A length of time that a file has as a text.
    pub(super) struct FromText(pub(super) Duration);

    struct TextVisitor;

    impl Visitor<'_> for TextVisitor {
        type Value = FromText;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a length of time such as \"7d\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<FromText, E> {
            let refused = || E::custom(format!("{text:?} is no time such as 90s, 15m, 24h or 7d"));
            length_of(text).map(FromText).ok_or_else(refused)
        }
    }

    impl<'de> Deserialize<'de> for FromText {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_str(TextVisitor)
        }
    }
}

/// A length of time as a text.
#[cfg(feature = "serde")]
pub(crate) mod duration {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::in_files::FromText;
    use super::{Duration, text_of};

    pub(crate) fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text_of(*length))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        FromText::deserialize(from).map(|read| read.0)
    }
}

/// A length of time that may be absent, as a text.
#[cfg(feature = "serde")]
pub(crate) mod perhaps_duration {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::in_files::FromText;
    use super::{Duration, text_of};

    pub(crate) fn serialize<S: Serializer>(
        length: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        length.map(text_of).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<FromText>::deserialize(from)?.map(|read| read.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_their_longest_unit_and_read_again() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (900_000, "15m"),
            (86_400_000, "1d"),
            (90_000_000, "25h"),
            (400 * 86_400_000, "400d"),
        ] {
            let length = Duration::from_millis(ms);
            assert_eq!((text_of(length).as_str(), length_of(text)), (text, Some(length)));
        }
        let longest = Duration::from_millis(u64::MAX);
        assert_eq!(length_of(&text_of(longest)), Some(longest));
        assert_eq!(length_of(&text_of(Duration::MAX)), Some(longest));
        assert_eq!(text_of(Duration::from_nanos(89_999_000_001)), "90s");
        assert_eq!(length_of("1h30m"), Some(Duration::from_mins(90)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in
            ["", "7", "d", "7 d", "-1s", "1.5h", "7w", "7D", "1h30", "1h ", "99999999999999999d"]
        {
            assert_eq!(length_of(bad), None, "{bad:?}");
        }
    }
}
