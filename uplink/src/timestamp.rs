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
}
