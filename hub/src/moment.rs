//! Reads a client's time: kept with the event, and trusted for nothing.

use onceward::wire::parse_rfc3339;
use serde_json::value::RawValue;

use crate::fields::{self, Faults};

/// Longest spelling of a time, bytes.
const BYTES_MAX: usize = 64;

/// The Unix milliseconds that `value` states, a date and a time with its offset as RFC 3339 has them.
pub(crate) fn read(value: &RawValue, path: &str, faults: &mut Faults) -> Option<i64> {
    let text = fields::text(value, path, BYTES_MAX, faults)?;
    parse_rfc3339(&text).map_err(|fault| faults.add(path, fault.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::read;
    use crate::fields::Faults;

    fn of(text: &str) -> Result<i64, String> {
        let value = RawValue::from_string(format!("\"{text}\"")).unwrap();
        let mut faults = Faults::default();
        let moment = read(&value, "t", &mut faults);
        moment.ok_or_else(|| faults.first().unwrap().to_string())
    }

    #[test]
    fn a_time_with_an_offset_names_a_moment() {
        assert_eq!(of("1970-01-01T00:00:01.500Z"), Ok(1_500));
        assert_eq!(of("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(of("0000-01-01T00:00:00Z"), Ok(-62_167_219_200_000));
        assert_eq!(of("9999-12-31T23:59:59Z"), Ok(253_402_300_799_000));
    }

    #[test]
    fn a_time_without_an_offset_is_refused_with_the_reason() {
        for text in ["2026-03-10T14:22:05", "2026-03-10T14:22:05.000", "9999-12-31T23:59:59"] {
            let why = of(text).unwrap_err();
            assert!(why.contains("t has no offset from UTC"), "{why}");
        }
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
            assert!(of(bad).unwrap_err().contains("t must be an RFC 3339 time"), "{bad}");
        }
    }
}
