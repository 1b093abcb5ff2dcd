//! The facts that a reply gives about the upstream itself: its clock, and how long it remembers keys.
//!
//! Only a reply that the dialect understands is believed: whoever else answers in between, such as the
//! login page of a network, has a clock too.

use std::time::Duration;

use crate::retry_after;

/// The header by which an upstream says how many seconds it remembers keys at least.
pub(crate) const HORIZON_HEADER: &str = "onceward-horizon";

/// The facts that a reply gives about the upstream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct About {
    /// The upstream's clock.
    pub(crate) time: Option<ServerTime>,
    /// How long the upstream remembers keys at least.
    pub(crate) horizon: Option<Duration>,
}

/// A reading of the upstream's clock when its reply came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ServerTime {
    /// Unix milliseconds.
    pub(crate) unix_ms: i64,
    /// How far from that the clock may have been.
    pub(crate) uncertainty: Duration,
}

impl About {
    /// What the headers say of a reply that came `round_trip_ms` after its request was begun.
    ///
    /// `Date` has whole seconds, and was written at any moment of the round trip; both are halved into
    /// reading and uncertainty. Another spelling than HTTP's is ignored, and so is a horizon that is not
    /// a whole number of seconds.
    pub(crate) fn read(date: Option<&str>, horizon: Option<&str>, round_trip_ms: u64) -> Self {
        let half_ms = (SECOND_MS.saturating_add(round_trip_ms)) / 2;
        let written_ms = date.and_then(|date| retry_after::http_date_ms(date.trim()));
        let time = written_ms.map(|written_ms| ServerTime {
            unix_ms: written_ms.saturating_add_unsigned(half_ms),
            // What halving lost.
            uncertainty: Duration::from_millis(half_ms.saturating_add(1)),
        });
        Self { time, horizon: horizon.and_then(seconds) }
    }
}

/// The length of time of a count of seconds in digits.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim_matches([' ', '\t']);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Too many digits for a number is a long time too.
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// A second.
const SECOND_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Tue, 10 Mar 2026 14:22:05 GMT";
    const DATE_MS: i64 = 1_773_152_525_000;

    #[test]
    fn a_reading_covers_every_moment_at_which_the_date_may_have_been_written() {
        for round_trip_ms in [0, 1, 80, 15_000] {
            let time = About::read(Some(DATE), None, round_trip_ms).time.unwrap();
            let around = i64::try_from(time.uncertainty.as_millis()).unwrap();
            // Written just before the request was answered, or with the request and a second's end.
            let latest = DATE_MS + 999 + i64::try_from(round_trip_ms).unwrap();
            assert!(time.unix_ms - around <= DATE_MS, "{round_trip_ms}");
            assert!(time.unix_ms + around >= latest, "{round_trip_ms}");
        }
    }

    #[test]
    fn what_is_no_date_and_no_number_of_seconds_is_ignored() {
        assert_eq!(About::read(None, None, 5), About::default());
        assert_eq!(About::read(Some("today"), Some("soon"), 5), About::default());
        for (text, expected) in [
            ("2592000", Some(Duration::from_hours(30 * 24))),
            (" 60 ", Some(Duration::from_mins(1))),
            ("0", Some(Duration::ZERO)),
            ("99999999999999999999999", Some(Duration::from_secs(u64::MAX))),
            ("-1", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(About::read(None, Some(text), 5).horizon, expected, "{text:?}");
        }
    }
}
