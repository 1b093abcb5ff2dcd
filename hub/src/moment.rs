//! Reads a client's time: kept with the event, and trusted for nothing.

use onceward::wire::parse_rfc3339;
use serde_json::value::RawValue;

use crate::fields::{self, Faults};

/// Longest spelling of a time, bytes.
const BYTES_MAX: usize = 64;

/// The Unix milliseconds that `value` states, a date and a time as RFC 3339 has them.
///
/// One without an offset is allowed, since ISO 8601 allows it, and names no moment.
pub(crate) fn read(value: &RawValue, path: &str, faults: &mut Faults) -> Option<i64> {
    let text = fields::text(value, path, BYTES_MAX, faults)?;
    let moment = parse_rfc3339(&text);
    if moment.is_none() && parse_rfc3339(&format!("{text}Z")).is_none() {
        faults.add(path, "must be an ISO 8601 time such as 2026-03-10T14:22:05.000Z");
    }
    moment
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::read;
    use crate::fields::Faults;

    fn of(text: &str) -> (Option<i64>, bool) {
        let value = RawValue::from_string(format!("\"{text}\"")).unwrap();
        let mut faults = Faults::default();
        let moment = read(&value, "t", &mut faults);
        (moment, faults.first().is_none())
    }

    #[test]
    fn a_time_with_an_offset_names_a_moment_and_one_without_is_only_allowed() {
        assert_eq!(of("1970-01-01T00:00:01.500Z"), (Some(1_500), true));
        assert_eq!(of("1970-01-01T01:00:00+01:00"), (Some(0), true));
        assert_eq!(of("2026-03-10T14:22:05"), (None, true));
        assert_eq!(of("9999-12-31T23:59:59Z"), (Some(253_402_300_799_000), true));
    }

    #[test]
    fn what_is_no_time_is_a_fault() {
        for bad in [
            "now",
            "2026-03-10",
            "2026-13-10T14:22:05Z",
            "1773152525",
            "14:22",
            "20261129T120000Z",
            "20261129T120000",
            "2026-11-29 12:00:00Z",
            "2026-11-29 12:00:00",
            "2026-11-29T12:00:00+01:00[Europe/Berlin]",
            "2026-11-29T12:00:60Z",
            "2026-11-29T12:00:00ZZ",
        ] {
            assert_eq!(of(bad), (None, false), "{bad}");
        }
    }
}
