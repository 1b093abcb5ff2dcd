//! Lengths of time in whole milliseconds, as the log and the clocks have them.

use std::time::Duration;

/// A length of time, rounded up: what is remembered, is not remembered shorter.
pub(crate) fn whole_ms(length: Duration) -> u64 {
    let part_ms = length.subsec_nanos().div_ceil(1_000_000);
    length.as_secs().saturating_mul(1_000).saturating_add(u64::from(part_ms))
}

/// A length of time, rounded down: what others remember, is not taken to be remembered longer.
pub(crate) fn whole_ms_down(length: Duration) -> u64 {
    let part_ms = length.subsec_millis();
    length.as_secs().saturating_mul(1_000).saturating_add(u64::from(part_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_counts_as_the_name_says() {
        for (length, up, down) in [
            (Duration::ZERO, 0, 0),
            (Duration::from_nanos(1), 1, 0),
            (Duration::from_micros(1_999), 2, 1),
            (Duration::from_millis(7), 7, 7),
            (Duration::new(2, 999_000_001), 3_000, 2_999),
            (Duration::from_millis(u64::MAX), u64::MAX, u64::MAX),
            (Duration::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!((whole_ms(length), whole_ms_down(length)), (up, down), "{length:?}");
        }
    }
}
