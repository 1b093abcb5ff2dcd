//! Reads a client's time: kept with the event, and trusted for nothing.

use jiff::{Timestamp, civil};
use serde_json::value::RawValue;

use crate::fields::{self, Faults};

/// Longest spelling of a time, bytes.
const BYTES_MAX: usize = 64;

/// The Unix milliseconds that `value` states, an ISO 8601 date and time.
///
/// One without an offset is allowed, since ISO 8601 allows it, and names no moment.
pub(crate) fn read(value: &RawValue, path: &str, faults: &mut Faults) -> Option<i64> {
    let text = fields::text(value, path, BYTES_MAX, faults)?;
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let has_time = text.contains(['T', 't', ' ']);
    if !has_time || text.parse::<civil::DateTime>().is_err() {
        faults.add(path, "must be an ISO 8601 time such as 2026-03-10T14:22:05.000Z");
    }
    None
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
    }

    #[test]
    fn what_is_no_time_is_a_fault() {
        for bad in ["now", "2026-03-10", "2026-13-10T14:22:05Z", "1773152525", "14:22"] {
            assert_eq!(of(bad), (None, false), "{bad}");
        }
    }
}
