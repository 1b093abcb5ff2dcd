//! Times as texts, as files of a configuration have them: `90s`, `15m`, `24h`, `7d`.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// Units of time, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A time as a text such as `24h`: its number of the longest unit of which it is a multiple.
fn text_of(ms: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms));
    let (name, unit_ms) = unit.unwrap_or(&("s", 1_000));
    format!("{}{name}", ms / unit_ms)
}

/// The milliseconds of a text: a number and its unit, or several of them, as in `1h30m`.
fn ms_of(text: &str) -> Option<u64> {
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
            return Some(sum_ms);
        }
    }
}

/// A text, whatever the format makes of it.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Cow<'de, str>, D::Error> {
    Cow::deserialize(from)
}

fn checked_ms<E: serde::de::Error>(text: &str) -> Result<u64, E> {
    let refused = || E::custom(format!("{text:?} is no time such as 90s, 15m, 24h or 7d"));
    ms_of(text).ok_or_else(refused)
}

/// Milliseconds as a text.
pub(crate) mod duration {
    use super::{Deserializer, Serializer, checked_ms, text, text_of};

    pub(crate) fn serialize<S: Serializer>(ms: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text_of(*ms))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        checked_ms(&text(from)?)
    }
}

/// Milliseconds that may be absent, as a text.
pub(crate) mod perhaps_duration {
    use super::{Cow, Deserialize, Deserializer, Serialize, Serializer, checked_ms, text_of};

    pub(crate) fn serialize<S: Serializer>(ms: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        ms.map(text_of).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(from)?;
        text.map(|text| checked_ms(&text)).transpose()
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
            assert_eq!((text_of(ms).as_str(), ms_of(text)), (text, Some(ms)));
        }
        assert_eq!(ms_of(&text_of(u64::MAX)), Some(u64::MAX));
        assert_eq!(ms_of("1h30m"), Some(5_400_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in
            ["", "7", "d", "7 d", "-1s", "1.5h", "7w", "7D", "1h30", "1h ", "99999999999999999d"]
        {
            assert_eq!(ms_of(bad), None, "{bad:?}");
        }
    }
}
