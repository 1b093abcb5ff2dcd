//! The header `Retry-After`: seconds or a date, honoured within reason.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// Longest wait that an upstream may ask for; more is cut to this.
pub(crate) const RETRY_AFTER_MS_MAX: u64 = 60 * 60 * 1_000;

/// The wait that `value` asks for, at most [`RETRY_AFTER_MS_MAX`].
///
/// A date is read relative to `date`, the reply's own `Date` header, so that a terminal with a
/// wrong clock waits as long as was meant; without that header it is ignored. A date in the past is
/// no wait. Negative numbers, fractions and anything else are ignored.
///
/// # Source
///
/// RFC 9110, sections 10.2.3 and 5.6.7.
pub(crate) fn retry_after_ms(value: &str, date: Option<&str>) -> Option<u64> {
    let value = value.trim_matches([' ', '\t']);
    // Said twice, by two of those on the way: whoever wants to wait longer is heard.
    if let Some(longest) = seconds_of_all(value) {
        return Some(longest.saturating_mul(1_000).min(RETRY_AFTER_MS_MAX));
    }
    let until = http_date(value)?.as_millisecond();
    let now = http_date(date?.trim())?.as_millisecond();
    let wait_ms = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    Some(wait_ms.min(RETRY_AFTER_MS_MAX))
}

/// The longest of one or more numbers of seconds, if that is all there is.
fn seconds_of_all(value: &str) -> Option<u64> {
    let seconds = |part: &str| {
        let part = part.trim_matches([' ', '\t']);
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // Too many digits for a number is a long wait too.
        is_number.then(|| part.parse::<u64>().unwrap_or(u64::MAX))
    };
    value.split(',').map(seconds).try_fold(0, |longest, next| Some(next?.max(longest)))
}

/// The moment as HTTP spells it, or `None` for a moment that has no such spelling.
pub(crate) fn http_date_of(unix_ms: i64) -> Option<String> {
    let moment = Timestamp::from_millisecond(unix_ms).ok()?;
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
}

/// A date as HTTP spells it, in Unix milliseconds.
pub(crate) fn http_date_ms(text: &str) -> Option<i64> {
    http_date(text).map(Timestamp::as_millisecond)
}

/// One of the three spellings of a date that HTTP knows.
fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong name of the day is the sender's slip; the rest says which day it is.
    if let Ok(moment) = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text) {
        return Some(moment);
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| DateTime::strptime(format, text).ok())
        .and_then(|civil| civil.to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Tue, 10 Mar 2026 14:22:05 GMT";

    #[test]
    fn the_header_is_honoured_capped_or_ignored() {
        let table = [
            ("0", Some(0)),
            ("1", Some(1_000)),
            (" 120 ", Some(120_000)),
            ("3600", Some(RETRY_AFTER_MS_MAX)),
            ("0, 600", Some(600_000)),
            ("600,5", Some(600_000)),
            ("600, soon", None),
            ("600,", None),
            ("3601", Some(RETRY_AFTER_MS_MAX)),
            ("99999999999999999999999999999999", Some(RETRY_AFTER_MS_MAX)),
            ("Tue, 10 Mar 2026 14:22:35 GMT", Some(30_000)),
            ("Tuesday, 10-Mar-26 14:22:35 GMT", Some(30_000)),
            ("Tue Mar 10 14:22:35 2026", Some(30_000)),
            ("Tue, 10 Mar 2026 14:22:04 GMT", Some(0)),
            ("Tue, 10 Mar 2027 14:22:05 GMT", Some(RETRY_AFTER_MS_MAX)),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("5s", None),
            ("1e3", None),
            ("soon", None),
            ("", None),
            ("Tue, 32 Mar 2026 14:22:35 GMT", None),
            ("2026-03-10T14:22:35Z", None),
            ("\u{661}\u{662}", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after_ms(value, Some(NOW)), expected, "{value:?}");
        }
    }

    #[test]
    fn a_date_without_a_reference_is_ignored() {
        let value = "Tue, 10 Mar 2026 14:22:35 GMT";
        assert!(retry_after_ms(value, Some(NOW)).is_some(), "control: with a reference");
        assert_eq!(retry_after_ms(value, None), None);
        assert_eq!(retry_after_ms(value, Some("yesterday")), None);
    }

    #[test]
    fn a_moment_is_spelled_as_http_does_and_read_back() {
        assert_eq!(http_date_of(1_773_152_525_000).unwrap(), NOW);
        assert_eq!(http_date(NOW).unwrap().as_millisecond(), 1_773_152_525_000);
    }
}
