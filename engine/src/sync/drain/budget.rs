//! How many bytes a second may go, for lines that cost by the byte or are shared with something that matters more.

/// What a request takes besides its items, about: its head, and that of the answer.
const REQUEST_BYTES: u64 = 512;

/// The bytes that may go.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes a second; `None`: as many as will.
    rate: Option<u64>,
    /// When the next request may go.
    ready_ms: u64,
}

impl Budget {
    /// So many bytes a second; `None`: no bound.
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.map(|rate| rate.max(1)), ready_ms: 0 }
    }

    /// The time until which nothing may go; `None`: something may.
    pub(super) fn until_ms(&self, now_ms: u64) -> Option<u64> {
        (now_ms < self.ready_ms).then_some(self.ready_ms)
    }

    /// A request with so many bytes of items goes.
    pub(super) fn take(&mut self, bytes: usize, now_ms: u64) {
        let Some(rate) = self.rate else { return };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(REQUEST_BYTES);
        let ms = bytes.saturating_mul(1_000).div_ceil(rate);
        self.ready_ms = self.ready_ms.max(now_ms).saturating_add(ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_any_minute_no_more_goes_than_is_allowed_and_one_request() {
        let mut budget = Budget::new(Some(10_000));
        let (mut now_ms, mut sent) = (0, 0_u64);
        while now_ms < 60_000 {
            match budget.until_ms(now_ms) {
                Some(until_ms) => now_ms = until_ms,
                None => {
                    budget.take(2_488, now_ms);
                    sent += 3_000;
                }
            }
        }
        assert!((597_000..=603_000).contains(&sent), "{sent}");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut budget = Budget::new(Some(1_000));
        budget.take(488, 100_000);
        assert_eq!(budget.until_ms(100_000), Some(101_000));
        assert_eq!(budget.until_ms(101_000), None);
        let mut unbounded = Budget::new(None);
        unbounded.take(usize::MAX, 0);
        assert_eq!(unbounded.until_ms(0), None);
    }
}
