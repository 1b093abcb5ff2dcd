//! Moments as the dialects take them.

use onceward::wire;

/// The first moment that is sent: at any offset from UTC it lies in the year 0.
const FIRST_MS: i64 = -62_167_219_200_000 + DAY_MS;
/// The last one: at any offset it lies in the year 9999. Many readers stop there.
const LAST_MS: i64 = 253_402_300_799_999 - DAY_MS;
/// More than any offset.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The moment in RFC 3339 with milliseconds and `Z`, or `None` for one that upstreams may not be able to spell in
/// their own time.
pub(crate) fn rfc3339(unix_ms: i64) -> Option<String> {
    wire::rfc3339(unix_ms).filter(|_| (FIRST_MS..=LAST_MS).contains(&unix_ms))
}

/// Whether `text` is a moment, or a date and a time without an offset, as ISO 8601 allows.
pub(crate) fn is_moment(text: &str) -> bool {
    let ms = wire::parse_rfc3339(text).or_else(|| wire::parse_rfc3339(&format!("{text}Z")));
    ms.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_milliseconds_and_z() {
        assert_eq!(rfc3339(0).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_773_152_525_007).unwrap(), "2026-03-10T14:22:05.007Z");
        assert_eq!(rfc3339(-1).unwrap(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn moments_at_the_edge_of_the_calendar_are_not_sent() {
        assert!(rfc3339(FIRST_MS).is_some() && rfc3339(LAST_MS).is_some(), "control");
        for ms in [FIRST_MS - 1, LAST_MS + 1, 253_402_300_799_000, i64::MAX, i64::MIN] {
            assert_eq!(rfc3339(ms), None, "{ms}");
        }
    }

    #[test]
    fn a_text_without_an_offset_is_a_moment_somewhere() {
        assert!(is_moment("2026-11-29T12:00:00") && is_moment("2026-11-29T12:00:00-05:00"));
        for bad in ["", "now", "20261129T120000Z", "2026-11-29 12:00:00", "2026-11-29T12:00:60Z"] {
            assert!(!is_moment(bad), "{bad}");
        }
    }
}
