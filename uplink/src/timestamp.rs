//! Moments as the dialects spell them.

use jiff::Timestamp;

/// The moment in RFC 3339 with milliseconds and `Z`, or `None` outside of the years 0 to 9999,
/// which the format cannot spell.
pub(crate) fn rfc3339(unix_ms: i64) -> Option<String> {
    let moment = Timestamp::from_millisecond(unix_ms).ok()?;
    let text = format!("{moment:.3}");
    // A year before 0 is spelled with a sign and six digits.
    (!text.starts_with('-')).then_some(text)
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
    fn moments_that_cannot_be_spelled_are_none() {
        assert_eq!(rfc3339(i64::MAX), None);
        assert_eq!(rfc3339(i64::MIN), None);
        assert_eq!(rfc3339(-63_000_000_000_000), None);
    }
}
