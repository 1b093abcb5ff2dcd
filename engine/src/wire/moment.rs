//! Moments as text: RFC 3339, read strictly and spelled in one way.

/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;
/// Days from the first of March of the year 0, where leap days end each cycle, to 1970.
const DAYS_TO_1970: i64 = 719_468;
/// Days of the 400 years after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;
/// The first moment that can be spelled, the beginning of the year 0.
const FIRST_MS: i64 = -62_167_219_200_000;
/// The last one, the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

/// Why a text is no moment. Its words go behind the name of the field.
///
/// ```
/// use onceward::wire::{MomentFault, parse_rfc3339};
///
/// assert_eq!(parse_rfc3339("2026-11-29T12:00:00"), Err(MomentFault::NoOffset));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MomentFault {
    /// The text has no offset from UTC: ISO 8601 has such times, and each is another moment elsewhere.
    #[error(
        "has no offset from UTC and so names no moment: must be an RFC 3339 time such as 2026-03-10T14:22:05.000Z"
    )]
    NoOffset,
    /// The text is nothing that RFC 3339 has, or a moment outside of the years 0 to 9999.
    #[error("must be an RFC 3339 time such as 2026-03-10T14:22:05.000Z")]
    NotRfc3339,
}

/// The Unix milliseconds that `text` states, a date and a time with its offset from UTC as RFC 3339 has them:
/// `2026-11-29T12:00:00.250+01:00`.
///
/// Stricter than many readers: no other form of ISO 8601, no blank for the `T`, nothing behind the offset. A second
/// 60 is refused, because no number of milliseconds stands for it; so is a moment outside the years 0 to 9999 of
/// UTC, which could not be spelled again. Digits behind the milliseconds are dropped.
///
/// ```
/// use onceward::wire::{parse_rfc3339, rfc3339};
///
/// assert_eq!(parse_rfc3339("1970-01-01T01:00:00.5+01:00"), Ok(500));
/// assert!(parse_rfc3339("1970-01-01 00:00:00Z").is_err());
/// assert_eq!(rfc3339(500).as_deref(), Some("1970-01-01T00:00:00.500Z"));
/// ```
///
/// # Errors
///
/// `text` is anything else.
pub fn parse_rfc3339(text: &str) -> Result<i64, MomentFault> {
    read(text).ok_or_else(|| match read(&format!("{text}Z")) {
        Some(_) => MomentFault::NoOffset,
        None => MomentFault::NotRfc3339,
    })
}

/// Reads a moment, or `None`.
fn read(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let (year, month, day) = rest.date()?;
    rest.either(b'T', b't')?;
    let (hour, minute, second) = (rest.below(24)?, rest.after(b':', 60)?, rest.after(b':', 60)?);
    let ms = rest.fraction_ms()?;
    let offset_s = rest.offset_s()?;
    let local_s = days(year, month, day)
        .checked_mul(DAY_S)?
        .checked_add((hour * 60 + minute) * 60 + second)?;
    let unix_ms = local_s.checked_sub(offset_s)?.checked_mul(1_000)?.checked_add(ms)?;
    let is_whole = rest.0.is_empty();
    Some(unix_ms).filter(|unix_ms| is_whole && (FIRST_MS..=LAST_MS).contains(unix_ms))
}

/// The moment in RFC 3339 with milliseconds and `Z`, or `None` outside of the years 0 to 9999, which the format
/// cannot spell.
///
/// ```
/// use onceward::wire::rfc3339;
///
/// assert_eq!(rfc3339(253_402_300_799_000).as_deref(), Some("9999-12-31T23:59:59.000Z"));
/// assert_eq!(rfc3339(i64::MAX), None);
/// ```
#[must_use]
pub fn rfc3339(unix_ms: i64) -> Option<String> {
    if !(FIRST_MS..=LAST_MS).contains(&unix_ms) {
        return None;
    }
    let (second, ms) = (unix_ms.div_euclid(1_000), unix_ms.rem_euclid(1_000));
    let (year, month, day) = date(second.div_euclid(DAY_S));
    let second = second.rem_euclid(DAY_S);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Takes one byte.
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of two bytes.
    fn either(&mut self, one: u8, other: u8) -> Option<u8> {
        self.byte().filter(|byte| *byte == one || *byte == other)
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        })
    }

    /// Two digits of a number below `limit`.
    fn below(&mut self, limit: i64) -> Option<i64> {
        self.digits(2).filter(|number| *number < limit)
    }

    /// Takes a number after this byte.
    fn after(&mut self, byte: u8, limit: i64) -> Option<i64> {
        self.either(byte, byte)?;
        self.below(limit)
    }

    /// A day that exists.
    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.digits(4)?;
        let month = self.after(b'-', 13)?;
        let day = self.after(b'-', 32)?;
        // The calendar gives another day back for one that does not exist.
        Some((year, month, day)).filter(|given| month > 0 && date(days(year, month, day)) == *given)
    }

    /// The milliseconds of a fraction, which may be absent.
    fn fraction_ms(&mut self) -> Option<i64> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Some(0) };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at_checked(count).filter(|_| count > 0)?;
        self.0 = rest;
        let three = digits.iter().chain(b"00").take(3);
        Some(three.fold(0, |number, byte| number * 10 + i64::from(byte - b'0')))
    }

    /// The seconds by which the time before is ahead of UTC.
    fn offset_s(&mut self) -> Option<i64> {
        let sign = match self.byte()? {
            b'Z' | b'z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hour, minute) = (self.below(24)?, self.after(b':', 60)?);
        Some(sign * (hour * 60 + minute) * 60)
    }
}

/// The days from 1970 to a day, by the Gregorian calendar, of any year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that a leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    cycle * CYCLE_DAYS + year * 365 + year / 4 - year / 100 + of_year - DAYS_TO_1970
}

/// The day that is so many days from 1970: the other way round.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (cycle, of_cycle) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + carried, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_all_years_follows_the_one_before_and_is_read_back() {
        let (first, last) = (FIRST_MS / 1_000 / DAY_S, LAST_MS / 1_000 / DAY_S);
        let mut before = (-1, 12, 31);
        for day in first..=last {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
            let is_next = match before {
                (y, 12, 31) => (year, month, of_month) == (y + 1, 1, 1),
                (y, m, d) => [(y, m, d + 1), (y, m + 1, 1)].contains(&(year, month, of_month)),
            };
            assert!(is_next, "{before:?} {:?}", (year, month, of_month));
            before = (year, month, of_month);
            if of_month > 27 {
                let noon_ms = (day * DAY_S + 43_200) * 1_000 + 7;
                assert_eq!(parse_rfc3339(&rfc3339(noon_ms).unwrap()), Ok(noon_ms));
            }
        }
        assert_eq!(before, (9999, 12, 31));
    }

    #[test]
    fn moments_have_one_spelling() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_773_152_525_007, "2026-03-10T14:22:05.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (FIRST_MS, "0000-01-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms).as_deref(), Some(text));
            assert_eq!(parse_rfc3339(text), Ok(ms));
        }
        for ms in [FIRST_MS - 1, LAST_MS + 1, i64::MIN, i64::MAX] {
            assert_eq!(rfc3339(ms), None, "{ms}");
        }
    }

    #[test]
    fn what_rfc_3339_has_is_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T01:30:00+01:30", 0),
            ("1969-12-31T23:59:00-00:01", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T00:00:00.5Z", 500),
            ("1970-01-01T00:00:00.0019999999999999999999999999Z", 1),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ] {
            assert_eq!(parse_rfc3339(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_rfc_3339_is_refused() {
        for text in [
            "",
            "now",
            "1773152525",
            "20261129T120000Z",
            "2026-11-29",
            "2026-11-29T12:00Z",
            "2026-11-29 12:00:00Z",
            "2026-11-29T12:00:00 Z",
            "2026-11-29T12:00:00+01:00[Europe/Berlin]",
            "2026-11-29T12:00:00+0100",
            "2026-11-29T12:00:00+01",
            "2026-11-29T12:00:00+24:00",
            "2026-11-29T12:00:00+01:60",
            "2026-11-29T12:00:60Z",
            "2016-12-31T23:59:60Z",
            "2026-11-29T24:00:00Z",
            "2026-11-29T12:60:00Z",
            "2026-11-29T12:00:00.Z",
            "2026-11-29T12:00:00,5Z",
            "2026-00-29T12:00:00Z",
            "2026-13-29T12:00:00Z",
            "2026-11-00T12:00:00Z",
            "2026-11-31T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "1900-02-29T12:00:00Z",
            "+002026-11-29T12:00:00Z",
            "-0001-11-29T12:00:00Z",
            "12026-11-29T12:00:00Z",
            "2026-W48-7T12:00:00Z",
            "2026-333T12:00:00Z",
            "2026-11-29T12:00:00ZZ",
            "2026-11-29T12:00:00Z ",
            " 2026-11-29T12:00:00Z",
            "2026-11-29T1\u{662}:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(parse_rfc3339(text), Err(MomentFault::NotRfc3339), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_told_apart() {
        for text in ["2026-11-29T12:00:00", "2026-11-29T12:00:00.5", "0000-01-01T00:00:00"] {
            assert_eq!(parse_rfc3339(text), Err(MomentFault::NoOffset), "{text}");
        }
    }
}
