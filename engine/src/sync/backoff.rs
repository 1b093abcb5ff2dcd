//! How long to wait before anything is sent again: doubling, with jitter, and never less than the base,
//! whatever the upstream wishes. No clock here.

/// Doubling waits with jitter, from a seed.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base_ms: u64,
    cap_ms: u64,
    failures: u32,
    state: u64,
}

/// Longest wait that an upstream may ask for: one hour.
pub(super) const RETRY_AFTER_MS_MAX: u64 = 60 * 60 * 1000;

impl Backoff {
    /// No failure so far.
    pub(super) fn new(base_ms: u64, cap_ms: u64, seed: u64) -> Self {
        Self { base_ms, cap_ms, failures: 0, state: seed }
    }

    /// Forgets the failures.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure, milliseconds: uniform between the base and the doubled base, at
    /// least what the upstream asked for (up to one hour).
    pub(super) fn wait_ms(&mut self, retry_after_ms: Option<u64>) -> u64 {
        self.failures = self.failures.saturating_add(1);
        let room = doubled_ms(self.base_ms, self.cap_ms, self.failures) - self.base_ms;
        let jittered = self.base_ms + draw(&mut self.state) % room.saturating_add(1).max(1);
        jittered.max(retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX))
    }
}

/// The next number of the SplitMix64 sequence.
pub(super) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The base, doubled for each failure, up to the cap; the base itself where the cap is less.
pub(super) fn doubled_ms(base_ms: u64, cap_ms: u64, failures: u32) -> u64 {
    let doubled = 1_u64.checked_shl(failures).and_then(|factor| base_ms.checked_mul(factor));
    doubled.map_or(cap_ms, |ms| ms.min(cap_ms)).max(base_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_the_base_and_a_doubling_ceiling_and_reach_the_upper_half() {
        let mut highest = [0_u64; 12];
        for seed in 0..200 {
            let mut backoff = Backoff::new(1_000, 300_000, seed);
            for (failures, high) in highest.iter_mut().enumerate() {
                let ceiling = (2_000_u64 << failures).min(300_000);
                let wait = backoff.wait_ms(None);
                assert!(
                    (1_000..=ceiling).contains(&wait),
                    "seed {seed}, failure {failures}: {wait}"
                );
                *high = (*high).max(wait);
            }
        }
        for (failures, high) in highest.iter().enumerate() {
            assert!(*high > (2_000_u64 << failures).min(300_000) / 2, "failure {failures}: {high}");
        }
    }

    #[test]
    fn a_wish_of_the_upstream_is_honoured_up_to_one_hour() {
        let mut backoff = Backoff::new(1, 1, 7);
        assert_eq!(backoff.wait_ms(Some(120_000)), 120_000);
        assert_eq!(backoff.wait_ms(Some(u64::MAX)), RETRY_AFTER_MS_MAX);
    }

    #[test]
    fn a_wish_of_no_time_at_all_does_not_go_under_the_base() {
        let mut backoff = Backoff::new(1_000, 300_000, 3);
        assert!((0..50).all(|_| backoff.wait_ms(Some(0)) >= 1_000));
        let mut steady = Backoff::new(1_000, 1_000, 3);
        assert!((0..50).all(|_| steady.wait_ms(Some(0)) == 1_000));
    }

    #[test]
    fn a_hundred_failures_do_not_overflow() {
        let mut backoff = Backoff::new(u64::MAX, u64::MAX, 1);
        for _ in 0..100 {
            backoff.wait_ms(None);
        }
    }
}
