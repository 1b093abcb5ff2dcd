//! Lengths of time in whole milliseconds, as the log and the clocks have them.

use std::time::Duration;

/// A length of time, rounded up: what is remembered, is not remembered shorter.
pub(crate) fn whole_ms(length: Duration) -> u64 {
    let ms = length.as_nanos().div_ceil(1_000_000);
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// A length of time, rounded down: what others remember, is not taken to be remembered longer.
pub(crate) fn whole_ms_down(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
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
            (Duration::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!((whole_ms(length), whole_ms_down(length)), (up, down), "{length:?}");
        }
    }
}
