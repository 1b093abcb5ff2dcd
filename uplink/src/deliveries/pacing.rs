//! How long to wait before anything is asked for again: doubling, with jitter. No clock here.

use super::PullOptions;
use crate::retry_after::RETRY_AFTER_MS_MAX;

/// Waits after failures, as those of a session.
#[derive(Clone, Debug)]
pub(super) struct Pacing {
    base_ms: u64,
    cap_ms: u64,
    failures: u32,
    draws: u64,
    until_ms: u64,
}

impl Pacing {
    /// No failure so far.
    pub(super) fn new(options: &PullOptions, seed: u64) -> Self {
        let (base_ms, cap_ms) = (options.backoff_base_ms, options.backoff_cap_ms);
        Self { base_ms, cap_ms, failures: 0, draws: seed, until_ms: 0 }
    }

    /// Something went well, or the host says that things have changed.
    pub(super) fn reset(&mut self) {
        (self.failures, self.until_ms) = (0, 0);
    }

    /// Something failed at `now_ms`: the wait is between the base and the doubled base, at least what was asked for.
    pub(super) fn fail(&mut self, now_ms: u64, retry_after_ms: Option<u64>) {
        self.failures = self.failures.saturating_add(1);
        let doubled = 1_u64.checked_shl(self.failures).and_then(|by| self.base_ms.checked_mul(by));
        let most_ms = doubled.map_or(self.cap_ms, |ms| ms.min(self.cap_ms)).max(self.base_ms);
        let room_ms = most_ms.saturating_sub(self.base_ms).saturating_add(1).max(1);
        let wait_ms = self.base_ms.saturating_add(self.draw() % room_ms);
        let wait_ms = wait_ms.max(retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX));
        // What was asked for before still holds.
        self.until_ms = self.until_ms.max(now_ms.saturating_add(wait_ms));
    }

    /// Until when nothing is asked for, if that is after `now_ms`.
    pub(super) fn wait_until_ms(&self, now_ms: u64) -> Option<u64> {
        (self.until_ms > now_ms).then_some(self.until_ms)
    }

    /// The next number of the SplitMix64 sequence.
    fn draw(&mut self) -> u64 {
        self.draws = self.draws.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.draws;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
